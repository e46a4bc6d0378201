use super::*;

fn all_of(kind: Kind) -> Outcome {
    let mut outcome = Outcome::default();
    let sweep = Sweep {
        seed: 1,
        kind,
        shape: Shape::WithLog,
    };
    sweep.run(u64::MAX, &Progress::new("fault", 0), &mut outcome);
    outcome
}

#[test]
fn the_first_operations_may_fail_in_every_manner() {
    let outcome = sweep(2, 40);
    assert_eq!(outcome.failed, 0);
    assert!(outcome.passed > 250, "{outcome:?}");
}

/// Symptom: after a sync had failed while the next segment of the log was made,
/// later commits were acknowledged, and a crash of the machine took them. Cause:
/// the failure was the answer to one commit and nobody's memory. Cure: every
/// failure to reserve log space but want of it poisons the store.
#[test]
fn a_failed_sync_while_log_space_is_made_ends_acknowledgements() {
    assert_eq!(all_of(Kind::SyncFails).failed, 0);
}

/// Symptom: a background step that found no space for the next segment of the
/// log poisoned the store. Cause: every error of that step did. Cure: want of
/// space harms nobody before a commit needs the segment.
#[test]
fn no_space_for_a_segment_that_nobody_needs_yet_poisons_nothing() {
    assert_eq!(all_of(Kind::NoSpace).failed, 0);
}

/// See `runs_use_pages_that_were_freed_just_now` in the pager for the cause.
#[test]
fn a_disk_that_is_full_three_times_over_loses_nothing_and_gives_its_space_back() {
    for kib in full::CAPACITIES_KIB {
        full::live(1, kib << 10).unwrap_or_else(|failure| panic!("{kib} KiB: {failure}"));
    }
}
