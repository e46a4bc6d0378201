use super::*;
use crate::latency::Summary;
use crate::probe::sample::Measured;

fn report() -> Report {
    let measured = |per_s| {
        let latency = Summary {
            p50: 65.2,
            p99: 106.3,
            p999: 200.0,
            max: 301.5,
        };
        Outcome::Measured(Measured {
            per_s,
            latency,
            records_per_sync: None,
        })
    };
    let row = |name, outcome| Row {
        name,
        title: "a title",
        outcome,
    };
    let refused = Outcome::Unsupported("invalid argument".to_owned());
    Report {
        directory: "/data".to_owned(),
        file_system: Some("ext4".to_owned()),
        kernel: None,
        seconds: 1.0,
        rows: vec![
            row("append_fdatasync", measured(12_345.67)),
            row("append_odsync", refused),
            row(
                "waiting_writers_64_log_thread_fdatasync",
                measured(177_000.0),
            ),
            row("waiting_writers_64_leader_fdatasync", measured(116_000.0)),
        ],
    }
}

#[test]
fn json_has_each_rate_by_name_and_all_figures_in_rows() {
    let json = report().json();
    assert_eq!(json["append_fdatasync_per_s"], 12_345.7);
    assert_eq!(json["append_odsync_per_s"], Value::Null);
    assert_eq!(json["waiting_writers_64_per_s"], 177_000.0);
    assert_eq!(json["waiting_writers_64_leader_fdatasync_per_s"], 116_000.0);
    assert_eq!(
        json["rows"][0],
        json!({
            "name": "append_fdatasync", "title": "a title", "per_s": 12_345.7,
            "p50_us": 65.2, "p99_us": 106.3, "max_us": 301.5,
        })
    );
    assert_eq!(
        json["rows"][1],
        json!({"name": "append_odsync", "title": "a title", "unsupported": "invalid argument"})
    );
    assert_eq!(json["debug_build"], DEBUG_BUILD);
}

#[test]
fn the_table_shows_what_is_refused_and_why() {
    let table = report().table();
    assert!(table.contains("12.3 k"), "{table}");
    assert!(table.contains("unsupported: invalid argument"), "{table}");
    assert!(table.contains("best shape: 177.0 k"), "{table}");
}
