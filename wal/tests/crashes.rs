//! Seeded lives and crashes of a log against a list. See `model`.

mod model;

/// A few hundred crashes; `CS_WAL_SEEDS` asks for more.
#[test]
fn every_crash_leaves_a_beginning_with_all_that_was_durable() {
    let seeds = std::env::var("CS_WAL_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(60);
    for seed in 0..seeds {
        model::run(seed, 8).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}

#[test]
fn a_fault_at_any_operation_loses_nothing_that_was_durable() {
    use cs_io::sim::Fault;
    for fault in [
        Fault::Eio,
        Fault::NoSpace,
        Fault::ShortWrite,
        Fault::SyncFails,
        Fault::ReadEio,
    ] {
        let mut at = 0;
        while let Some(fired) = model::run_with_fault(11, at, fault)
            .unwrap_or_else(|error| panic!("{fault:?} at operation {at}: {error}"))
        {
            at = fired + 1;
        }
        assert!(
            at > 0 || fault == Fault::ReadEio,
            "{fault:?} was never tried"
        );
    }
}
