use super::*;

#[test]
fn a_store_is_idle_only_after_a_whole_wait_without_a_commit() {
    let mut watch = Watch::new(7);
    assert!(watch.is_idle(7, false));
    assert!(!watch.is_idle(8, false), "a commit came");
    assert!(watch.is_idle(8, false));
}

/// Symptom: the store compacted itself, with a checkpoint for each pass, beside a
/// busy writer. Cause: a commit raises the signal while the thread is at work, so
/// its next wait took no time, and what had come before it was not counted. Cure:
/// commits are counted from look to look, and a wait cut short is no idleness.
#[test]
fn a_wait_that_was_cut_short_or_follows_a_busy_round_is_no_idleness() {
    let mut watch = Watch::new(7);
    assert!(!watch.is_idle(7, true), "the signal was up already");
    assert!(
        !watch.is_idle(9, false),
        "they came while the round was at work"
    );
    assert!(!watch.is_idle(9, true));
}
