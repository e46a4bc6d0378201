//! Seeded lives and crashes of a log against a list. See `model`.

mod model;

/// A few hundred crashes; `CS_WAL_SEEDS` asks for more.
#[test]
fn every_crash_leaves_a_beginning_with_all_that_was_durable() {
    let seeds = std::env::var("CS_WAL_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        model::run(seed, 8).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
}
