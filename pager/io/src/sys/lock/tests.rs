use super::{DirectoryLock, holder, utc};
use crate::LockError;

/// Symptom: a directory that was just given back was locked for a moment, by
/// this very process. Cause: another thread was starting a program, and the
/// forked child still had the descriptor. Cure: the lock is given back by name.
#[test]
fn a_lock_that_was_dropped_is_free_although_a_copy_of_its_descriptor_lives() {
    let directory = tempfile::tempdir().unwrap();
    let directory = std::fs::File::open(directory.path()).unwrap().into();
    let lock = DirectoryLock::take_own(&directory).unwrap();
    // What a fork makes: another descriptor of the same open file.
    let copy = lock.file.try_clone().unwrap();
    assert!(matches!(
        DirectoryLock::take_own(&directory),
        Err(LockError::Held(_))
    ));
    drop(lock);
    let again = DirectoryLock::take_own(&directory).unwrap();
    drop((copy, again));
}

#[test]
fn times_are_shown_in_utc() {
    assert_eq!(utc(0), "1970-01-01T00:00:00Z");
    assert_eq!(utc(951_782_400_000), "2000-02-29T00:00:00Z");
    assert_eq!(utc(1_767_225_599_999), "2025-12-31T23:59:59Z");
}

#[test]
fn a_damaged_lock_file_still_gives_a_sentence() {
    assert_eq!(
        holder(""),
        "held by pid unknown on host unknown since unknown"
    );
    assert_eq!(
        holder("pid 12\nhost a\nstarted x\n"),
        "held by pid 12 on host a since unknown"
    );
}
