//! Small enough for an interpreter that looks for undefined behaviour.

use cs_io::PageArena;

use super::*;

const PAGE: usize = 4096;
const ROUNDS: u64 = if cfg!(miri) { 20 } else { 2_000 };

fn at(page: u64, version: u64) -> PageRef {
    PageRef {
        page: PageId(page),
        version: Version(version),
    }
}

fn frame(arena: &PageArena, at: PageRef) -> Arc<Frame> {
    let mut bytes = arena.zeroed();
    bytes[..8].copy_from_slice(&at.version.0.to_le_bytes());
    Frame::own(at, bytes, true)
}

fn stamp(frame: &Frame) -> u64 {
    u64::from_le_bytes(frame.bytes()[..8].try_into().unwrap())
}

#[test]
fn the_table_counts_what_it_holds_and_gives_memory_back_when_it_goes() {
    let arena = PageArena::new(PAGE, 1 << 20);
    let table = PageTable::new();
    let guard = ReadGuard::enter();
    for page in [1, 1023, 1024, 5000] {
        table.insert(frame(&arena, at(page, 1)), &guard).unwrap();
    }
    assert_eq!(table.resident(), 4 * (PAGE as u64 + FRAME_WEIGHT));
    let refused = table.insert(frame(&arena, at(1, 2)), &guard).unwrap_err();
    assert_eq!(refused.version(), Version(1), "the one that is there");
    assert!(table.is_held(PageId(1), &guard));
    assert!(!table.evict(PageId(1), &guard), "somebody holds it");
    drop(refused);
    assert!(table.evict(PageId(1), &guard));
    table.remove(PageId(5000), &guard);
    assert!(table.get(PageId(1), &guard).is_none());
    assert_eq!(table.resident(), 2 * (PAGE as u64 + FRAME_WEIGHT));
    assert_eq!(table.bytes(), 5001 * SLOT_BYTES, "as far as it was reached");
    drop(guard);
    drop(table);
}

#[test]
fn a_frame_that_gave_way_is_whole_for_whoever_holds_it() {
    let arena = PageArena::new(PAGE, 1 << 20);
    let table = PageTable::new();
    let guard = ReadGuard::enter();
    table.insert(frame(&arena, at(3, 7)), &guard).unwrap();
    let held = table.pin(PageId(3), &guard).unwrap();
    let seen = table.get(PageId(3), &guard).unwrap();
    table.replace(&held, frame(&arena, at(3, 7)), &guard);
    assert!(
        !table.is_held(PageId(3), &guard),
        "the new one is nobody's yet"
    );
    table.replace(&held, frame(&arena, at(3, 7)), &guard);
    assert_eq!(
        table.resident(),
        PAGE as u64 + FRAME_WEIGHT,
        "the second time nothing happened"
    );
    assert_eq!((stamp(&held), stamp(seen)), (7, 7));
}

#[test]
fn what_is_not_in_the_table_is_held_by_nobody_and_easily_evicted() {
    let arena = PageArena::new(PAGE, 1 << 20);
    let table = PageTable::new();
    let guard = ReadGuard::enter();
    // Where there is no place yet, and where there is one that is empty.
    for _ in 0..2 {
        assert!(!table.is_held(PageId(3), &guard));
        assert!(table.evict(PageId(3), &guard));
        table.remove(PageId(3), &guard);
        table.insert(frame(&arena, at(4, 1)), &guard).unwrap();
        table.remove(PageId(4), &guard);
    }
    let gone = frame(&arena, at(1 << 30, 1));
    table.replace(&gone, frame(&arena, at(1 << 30, 1)), &guard);
    assert_eq!(table.resident(), 0);
}

#[test]
fn a_frame_that_is_not_written_yet_is_not_evicted() {
    let arena = PageArena::new(PAGE, 1 << 20);
    let table = PageTable::new();
    let guard = ReadGuard::enter();
    let dirty = Frame::own(at(2, 1), arena.zeroed(), false);
    table.insert(dirty, &guard).unwrap();
    assert!(!table.evict(PageId(2), &guard));
    let frame = table.get(PageId(2), &guard).unwrap();
    assert_eq!(format!("{frame:?} {guard:?}"), "Frame(2 v1) ReadGuard");
}

#[test]
fn readers_see_whole_frames_while_others_come_and_go() {
    let arena = PageArena::new(PAGE, 1 << 22);
    let table = PageTable::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 0..ROUNDS {
                let guard = ReadGuard::enter();
                table.remove(PageId(version % 4), &guard);
                let new = frame(&arena, at(version % 4, version));
                assert!(table.insert(new, &guard).is_ok());
                guard.flush();
            }
        });
        for _ in 0..2 {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    let guard = ReadGuard::enter();
                    if let Some(frame) = table.get(PageId(round % 4), &guard) {
                        assert_eq!(stamp(frame), frame.version().0);
                    }
                    if let Some(frame) = table.pin(PageId(round % 4), &guard) {
                        drop(guard);
                        assert_eq!(stamp(&frame), frame.version().0);
                    }
                }
            });
        }
    });
}
