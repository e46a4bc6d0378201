use super::*;

fn measured(shape: Shape) -> Measured {
    let directory = tempfile::tempdir().unwrap();
    let scratch = Scratch {
        directory: directory.path().to_owned(),
        time: Duration::from_millis(30),
    };
    match crowd(&scratch, shape, Access::Buffered).unwrap() {
        Outcome::Measured(measured) => measured,
        Outcome::Unsupported(reason) => panic!("buffered writes are refused: {reason}"),
    }
}

#[test]
fn a_log_thread_serves_every_writer_and_ends() {
    let measured = measured(Shape::LogThread);
    assert!(measured.per_s > 0.0 && measured.latency.p50 > 0.0);
    assert!(measured.records_per_sync.unwrap() >= 1.0);
}

#[test]
fn leaders_hand_over_until_all_are_served() {
    let measured = measured(Shape::Leader);
    assert!(measured.per_s > 0.0 && measured.latency.p50 > 0.0);
    assert!(measured.records_per_sync.unwrap() >= 1.0);
}

#[test]
fn a_failed_write_ends_every_writer() {
    for shape in [Shape::LogThread, Shape::Leader] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("read-only");
        std::fs::write(&path, [0; BLOCK]).unwrap();
        let file = File::open(&path).unwrap();
        let log = GroupLog::new(file, shape, Access::Buffered);
        log.measure(Duration::from_secs(60))
            .expect_err("the file cannot be written");
    }
}
