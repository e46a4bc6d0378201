//! The crash test of change streams can fail: a feed that shows what is not durable
//! is noticed.
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

#[path = "../../engine/tests/changes/crash.rs"]
mod crash;

use std::panic::catch_unwind;

use collection_store::{ChangeEvent, ChangeStream};
use cs_kv::base::mutants::{Mutant, plant};

fn all(stream: &mut ChangeStream) -> Vec<ChangeEvent> {
    std::iter::from_fn(|| stream.next().unwrap()).collect()
}

#[test]
fn a_stream_that_shows_what_is_not_durable_is_noticed() {
    plant(Some(Mutant::FeedBeforeDurable));
    let is_noticed = |seed: u64| catch_unwind(|| crash::life(seed)).is_err();
    assert!(
        (0..10).any(is_noticed),
        "no crash of ten took back an event"
    );
    plant(None);
}
