//! Unfinished files, and going on with them.

use super::*;

/// Goes on with an unfinished file, and proves what comes of it.
fn resume(store: &Store, partial: &[u8]) -> (Vec<u8>, BackupReport) {
    let disk = memory();
    write(&*disk, "b.partial", partial);
    let report = store
        .backup_to(&disk, "b", &options(), &mut |told| go_on(told))
        .unwrap();
    let bytes = read(&*disk, "b");
    assert_eq!(verify(&bytes).unwrap(), report.summary);
    (bytes, report)
}

#[test]
fn a_backup_cut_anywhere_is_resumed_to_one_state() {
    let (store, tree) = filled(&any_disk(), 1000);
    let (first, _) = to_bytes(&store, &options());
    let total = verify(&first).unwrap().chunks;
    // A change at the end, and one more tree.
    put(&store, tree, 990..1001, b"changed");
    let more = new_tree(&store);
    put(&store, more, 0..100, b"more");
    let wanted = state(&store.snapshot().unwrap());
    let content = to_bytes(&store, &options()).1.summary.content;
    let mut cuts = Vec::new();
    for pair in boundaries(&first).windows(2) {
        cuts.extend([pair[0], pair[0] + 1, pair[0].midpoint(pair[1]), pair[1] - 1]);
    }
    cuts.push(first.len());
    let mut most_kept = 0;
    for (number, cut) in cuts.into_iter().enumerate() {
        let (bytes, report) = resume(&store, &first[..cut]);
        let summary = report.summary;
        assert_eq!(summary.content, content, "cut at {cut}");
        most_kept = most_kept.max(summary.kept_chunks);
        if number % 7 == 0 {
            let copy = restored(&bytes, &memory()).unwrap();
            assert_eq!(state(&copy.snapshot().unwrap()), wanted, "cut at {cut}");
        }
    }
    assert!(
        most_kept + 6 > total,
        "{most_kept} of {total} chunks were kept"
    );
    // And once more, of what was resumed already, after nothing has changed.
    let (second, _) = resume(&store, &first[..first.len() / 2]);
    let (third, report) = resume(&store, &second[..second.len() - 10]);
    assert_eq!(report.summary.attempts, 3);
    assert_eq!(report.summary.kept_chunks, report.summary.chunks);
    assert!(report.written < 1500, "{report:?}");
    let copy = restored(&third, &memory()).unwrap();
    assert_eq!(state(&copy.snapshot().unwrap()), wanted);
    let streamed = restore_stream(
        third.as_slice(),
        &memory(),
        RealRuntime::new(),
        &restore_options(),
        &mut |told| go_on(told),
    );
    assert!(
        matches!(streamed, Err(Error::Backup(BackupError::NeedsFile))),
        "{streamed:?}"
    );
}

#[test]
fn a_resumed_backup_with_any_damage_is_still_proven_wrong() {
    let (store, tree) = filled(&any_disk(), 200);
    let (first, _) = to_bytes(&store, &options());
    put(&store, tree, 5..6, b"changed");
    let (mut bytes, report) = resume(&store, &first[..first.len() * 3 / 4]);
    assert!(report.summary.kept_chunks > 0);
    for at in (0..bytes.len()).step_by(53) {
        bytes[at] ^= 0x10;
        assert!(verify(&bytes).unwrap_err().is_corruption(), "byte {at}");
        bytes[at] ^= 0x10;
    }
}

#[test]
fn a_damaged_unfinished_file_is_cut_and_a_foreign_one_is_left_alone() {
    let (store, _) = filled(&any_disk(), 600);
    let (first, _) = to_bytes(&store, &options());
    let mut damaged = first.clone();
    damaged[first.len() / 2] ^= 1;
    let (_, report) = resume(&store, &damaged);
    assert!(
        report.discarded > 0 && report.summary.kept_chunks > 0,
        "{report:?}"
    );
    // What a crash leaves of a file that was never synced.
    let (_, report) = resume(&store, &[0; 500]);
    assert_eq!((report.discarded, report.summary.attempts), (500, 1));
    let (other, _) = filled(&any_disk(), 10);
    let disk = memory();
    write(&*disk, "b.partial", &first);
    let refused = other.backup_to(&disk, "b", &options(), &mut |told| go_on(told));
    let Err(Error::Backup(BackupError::OtherDatabase { .. })) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(read(&*disk, "b.partial"), first);
    let mut anew = options();
    anew.resume = false;
    other
        .backup_to(&disk, "b", &anew, &mut |told| go_on(told))
        .unwrap();
    write(
        &*disk,
        "c.partial",
        b"somebody's own file, which no backup may touch, whatever",
    );
    let refused = other.backup_to(&disk, "c", &options(), &mut |told| go_on(told));
    let Err(Error::Backup(BackupError::NotABackup { .. })) = refused else {
        panic!("{refused:?}")
    };
}

#[test]
fn a_cancelled_backup_goes_on_where_it_was() {
    let (store, _) = filled(&any_disk(), 3000);
    let disk = memory();
    let mut slow = options();
    slow.bytes_per_second = Some(1 << 40);
    let mut calls = 0;
    let cancelled = store.backup_to(&disk, "b", &slow, &mut |told| {
        calls += 1;
        if told.written > 1000 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    assert!(matches!(cancelled, Err(Error::Cancelled)));
    assert!(calls > 0);
    assert_eq!(disk.list().unwrap(), ["b.partial"]);
    let report = store
        .backup_to(&disk, "b", &options(), &mut |told| go_on(told))
        .unwrap();
    assert_eq!(disk.list().unwrap(), ["b"]);
    assert_eq!(verify(&read(&*disk, "b")).unwrap(), report.summary);
}
