use cs_loom::pins::Core;
use cs_loom::plant::Plant;
use cs_loom::{assert_found, check};
use loom::thread;

const BOUND: usize = 3;
const REUSED: &str = "page of version";

/// A snapshot is taken while its root is superseded, and read when its pages could be reused.
fn readers_beside_a_writer() {
    let core = Core::new();
    let readers = [(); 2].map(|()| {
        let core = core.clone();
        thread::spawn(move || {
            let snapshot = core.snapshot();
            snapshot.read();
            snapshot.read();
        })
    });
    core.commit(1);
    core.commit(2);
    for reader in readers {
        reader.join().unwrap();
    }
    core.reclaim();
}

/// A snapshot is ended while it is read.
fn a_reader_that_is_evicted() {
    let core = Core::new();
    let snapshot = std::sync::Arc::new(core.snapshot());
    core.commit(1);
    let same = snapshot.clone();
    let reader = thread::spawn(move || same.read());
    snapshot.end();
    reader.join().unwrap();
}

#[test]
fn no_page_is_reused_that_a_snapshot_reads() {
    check(BOUND, None, readers_beside_a_writer);
}

#[test]
fn a_snapshot_whose_pages_were_reused_has_been_told() {
    check(BOUND, None, a_reader_that_is_evicted);
}

#[test]
fn unpinning_the_old_root_before_the_swap_is_found() {
    assert_found(2, Plant::UnpinBeforeSwap, REUSED, readers_beside_a_writer);
}

#[test]
fn pinning_a_root_after_it_was_loaded_is_found() {
    assert_found(2, Plant::PinAfterLoad, REUSED, readers_beside_a_writer);
}

#[test]
fn unpinning_before_the_flag_of_eviction_is_found() {
    assert_found(
        BOUND,
        Plant::UnpinBeforeFlag,
        REUSED,
        a_reader_that_is_evicted,
    );
}
