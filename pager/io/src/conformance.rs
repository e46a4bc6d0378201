//! What every disk must do: for whoever writes one of his own.
//!
//! [`check`] runs all of it over fresh disks and panics at the first promise
//! that is not kept, saying which. The disks of this crate pass it in their tests.
//!
//! ```
//! cs_io::conformance::check(cs_io::memory::MemoryDisk::new);
//! ```
//!
//! What is *not* here: whether a durable write survives a power cut. No program
//! can find that out about itself.
#![allow(
    clippy::unwrap_used,
    reason = "a promise that is not kept is a panic here"
)]

use std::io;
use std::sync::Arc;

use cs_base::BLOCK_SIZE;

use crate::{AlignedBuf, Disk, LockError, OpenMode, PageArena, Pending, WriteMode};

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// What is promised, as the name of a function.
    pub name: &'static str,
    /// Panics if an empty disk does not keep it.
    pub run: fn(&dyn Disk),
}

macro_rules! checks {
    ($($name:ident),* $(,)?) => {
        /// All promises, in the order in which they build on each other.
        pub const CHECKS: &[Check] = &[$(Check { name: stringify!($name), run: $name }),*];
    };
}

checks![
    opening_tells_missing_from_present,
    names_that_could_leave_the_directory_are_refused,
    reads_are_short_only_at_the_end,
    reads_that_were_started_bring_the_same,
    sizes_follow_writes_cuts_and_allocations,
    durable_writes_may_be_many_aligned_or_not_and_waited_for_in_any_order,
    threads_write_durably_side_by_side,
    a_read_only_handle_refuses_every_change,
    the_list_is_sorted_and_follows_renames_and_removals,
    a_file_renamed_before_its_first_aligned_write_is_still_itself,
    a_map_shows_the_file_as_it_is_written,
    a_lock_excludes_another,
];

/// Runs every check, each over a new and empty disk.
///
/// # Panics
/// At the first promise that is not kept.
pub fn check<D: Disk>(make: impl Fn() -> Arc<D>) {
    for check in CHECKS {
        (check.run)(&*make());
    }
}

fn block(fill: u8, blocks: usize) -> Arc<AlignedBuf> {
    let mut block = AlignedBuf::zeroed(blocks * BLOCK_SIZE);
    block.fill(fill);
    Arc::new(block)
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

fn opening_tells_missing_from_present(disk: &dyn Disk) {
    assert_eq!(
        kind(disk.open("a", OpenMode::ReadWrite)),
        Some(io::ErrorKind::NotFound)
    );
    assert_eq!(
        kind(disk.open("a", OpenMode::ReadOnly)),
        Some(io::ErrorKind::NotFound)
    );
    let file = disk.open("a", OpenMode::Create).unwrap();
    assert!(file.is_empty().unwrap());
    assert_eq!(
        kind(disk.open("a", OpenMode::Create)),
        Some(io::ErrorKind::AlreadyExists)
    );
    disk.open("a", OpenMode::ReadWrite)
        .unwrap()
        .write_at(b"x", 0)
        .unwrap();
    assert_eq!(file.len().unwrap(), 1);
}

fn names_that_could_leave_the_directory_are_refused(disk: &dyn Disk) {
    disk.open("ok", OpenMode::Create).unwrap();
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "/a",
        "a\0",
        "lock",
        ".hidden",
        "ä",
        &"x".repeat(256),
    ] {
        let refused = Some(io::ErrorKind::InvalidInput);
        assert_eq!(kind(disk.open(name, OpenMode::Create)), refused, "{name:?}");
        assert_eq!(kind(disk.remove(name)), refused, "{name:?}");
        assert_eq!(kind(disk.rename("ok", name)), refused, "{name:?}");
    }
}

fn reads_are_short_only_at_the_end(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.write_at(&[7; 5000], 0).unwrap();
    let mut aligned = AlignedBuf::zeroed(3 * BLOCK_SIZE);
    assert_eq!(file.read_at(&mut aligned, 0).unwrap(), 5000);
    assert!(aligned[..5000].iter().all(|&byte| byte == 7));
    assert_eq!(file.read_at(&mut aligned, BLOCK_SIZE as u64).unwrap(), 904);
    assert_eq!(
        file.read_at(&mut aligned, 2 * BLOCK_SIZE as u64).unwrap(),
        0
    );
    let mut odd = [0; 10];
    assert_eq!(file.read_at(&mut odd, 4995).unwrap(), 5);
    assert_eq!(file.read_at(&mut odd, 5000).unwrap(), 0);
    assert_eq!(file.read_at(&mut odd, 1 << 40).unwrap(), 0);
    assert_eq!(file.read_at(&mut [], 0).unwrap(), 0);
}

fn sizes_follow_writes_cuts_and_allocations(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.write_at(&[1; 10], 100).unwrap();
    assert_eq!(file.len().unwrap(), 110);
    file.set_len(105).unwrap();
    file.set_len(9000).unwrap();
    file.allocate(4096, 12_288).unwrap();
    assert_eq!(file.len().unwrap(), 16_384);
    file.allocate(0, 100).unwrap();
    assert_eq!(file.len().unwrap(), 16_384);
    file.sync().unwrap();
    let mut bytes = vec![9; 20_000];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 16_384);
    assert!(bytes[..100].iter().all(|&byte| byte == 0));
    assert_eq!(bytes[100..105], [1; 5]);
    assert!(
        bytes[105..16_384].iter().all(|&byte| byte == 0),
        "the cut part is zero"
    );
    assert_eq!(
        kind(file.write_at(b"x", u64::MAX)),
        Some(io::ErrorKind::InvalidInput)
    );
    // Nothing, wherever it lies, changes nothing.
    file.write_at(&[], 50_000).unwrap();
    file.allocate(50_000, 0).unwrap();
    assert_eq!(file.len().unwrap(), 16_384);
}

fn durable_writes_may_be_many_aligned_or_not_and_waited_for_in_any_order(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.allocate(0, 64 * 4096).unwrap();
    file.sync().unwrap();
    let mut pending: Vec<Pending> = (0..40)
        .map(|n| {
            let mode = if n % 3 == 0 {
                WriteMode::Plain
            } else {
                WriteMode::Durable
            };
            file.start_write(block(n as u8 + 1, 1), n * 4096, mode)
        })
        .collect();
    pending.push(file.start_sync());
    for index in [30, 5, 5, 20] {
        pending.remove(index).wait().unwrap();
    }
    while !pending[0].is_finished() {}
    drop(pending.remove(1));
    for pending in pending.into_iter().rev() {
        pending.wait().unwrap();
    }
    file.write_durable(block(99, 2), 50 * 4096).unwrap();
    file.write_durable(block(98, 1), 60 * 4096 + 100).unwrap();
    file.sync().unwrap();

    let mut bytes = AlignedBuf::zeroed(64 * 4096);
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 64 * 4096);
    for n in (0..40).filter(|&n| n != 1) {
        // The one that was dropped may not have ended on the simulated disk.
        let seen = bytes[n * 4096..(n + 1) * 4096]
            .iter()
            .filter(|&&b| b == n as u8 + 1);
        let count = seen.count();
        assert!(
            count == 4096 || (count == 0 && disk.report().name == "simulated"),
            "{n}"
        );
    }
    assert!(bytes[50 * 4096..52 * 4096].iter().all(|&byte| byte == 99));
    assert!(
        bytes[60 * 4096 + 100..61 * 4096 + 100]
            .iter()
            .all(|&byte| byte == 98)
    );
}

fn a_read_only_handle_refuses_every_change(disk: &dyn Disk) {
    disk.open("a", OpenMode::Create)
        .unwrap()
        .write_at(b"old", 0)
        .unwrap();
    let file = disk.open("a", OpenMode::ReadOnly).unwrap();
    let refused = Some(io::ErrorKind::PermissionDenied);
    assert_eq!(kind(file.write_at(b"new", 0)), refused);
    let pending = file.start_write(block(1, 1), 0, WriteMode::Durable);
    assert_eq!(kind(pending.wait()), refused);
    assert_eq!(kind(file.write_durable(block(1, 1), 0)), refused);
    assert_eq!(kind(file.set_len(0)), refused);
    assert_eq!(kind(file.allocate(0, 4096)), refused);
    let mut bytes = [0; 4];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 3);
    assert_eq!(&bytes[..3], b"old");
}

fn the_list_is_sorted_and_follows_renames_and_removals(disk: &dyn Disk) {
    for name in ["b", "c", "a", "wal-0000000001.log"] {
        disk.open(name, OpenMode::Create)
            .unwrap()
            .write_at(name.as_bytes(), 0)
            .unwrap();
    }
    let handle = disk.open("a", OpenMode::ReadOnly).unwrap();
    let _lock = disk.lock().unwrap();
    assert_eq!(disk.list().unwrap(), ["a", "b", "c", "wal-0000000001.log"]);
    disk.rename("c", "a").unwrap();
    disk.remove("b").unwrap();
    disk.sync_directory().unwrap();
    assert_eq!(disk.list().unwrap(), ["a", "wal-0000000001.log"]);
    let mut byte = [0; 1];
    disk.open("a", OpenMode::ReadOnly)
        .unwrap()
        .read_at(&mut byte, 0)
        .unwrap();
    assert_eq!(&byte, b"c", "the new name replaced what had it");
    handle.read_at(&mut byte, 0).unwrap();
    assert_eq!(&byte, b"a", "an open handle keeps its file");
    assert_eq!(kind(disk.remove("b")), Some(io::ErrorKind::NotFound));
    assert_eq!(kind(disk.rename("b", "d")), Some(io::ErrorKind::NotFound));
    disk.rename("a", "a").unwrap();
    assert_eq!(disk.list().unwrap(), ["a", "wal-0000000001.log"]);
}

fn a_file_renamed_before_its_first_aligned_write_is_still_itself(disk: &dyn Disk) {
    let file = disk.open("new.tmp", OpenMode::Create).unwrap();
    disk.rename("new.tmp", "final").unwrap();
    let other = disk.open("new.tmp", OpenMode::Create).unwrap();
    file.write_durable(block(1, 1), 0).unwrap();
    assert_eq!((file.len().unwrap(), other.len().unwrap()), (4096, 0));
}

fn threads_write_durably_side_by_side(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.write_at(&block(0, 64), 0).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u64 {
            let file = &file;
            scope.spawn(move || {
                for n in 0..8u64 {
                    let place = thread * 8 + n;
                    let bytes = block(place as u8 + 1, 1);
                    if n % 2 == 0 {
                        file.write_durable(bytes, place * 4096).unwrap();
                    } else {
                        let pending = file.start_write(bytes, place * 4096, WriteMode::Durable);
                        file.start_sync().wait().unwrap();
                        pending.wait().unwrap();
                    }
                }
            });
        }
    });
    let mut bytes = AlignedBuf::zeroed(64 * 4096);
    file.read_at(&mut bytes, 0).unwrap();
    for (place, block) in bytes.chunks(4096).enumerate() {
        assert!(
            block.iter().all(|&byte| byte == place as u8 + 1),
            "block {place}"
        );
    }
}

fn a_lock_excludes_another(disk: &dyn Disk) {
    let guard = disk.lock().unwrap();
    match disk.lock() {
        Err(LockError::Held(whom)) => assert!(!whom.is_empty(), "the holder is named"),
        other => panic!("expected that the lock is held, found {other:?}"),
    }
    drop(guard);
    drop(disk.lock().unwrap());
}

fn reads_that_were_started_bring_the_same(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    for place in 0..40 {
        file.write_at(&block(place as u8 + 1, 2), place * 8192)
            .unwrap();
    }
    file.write_at(&[77; 100], 40 * 8192).unwrap();
    let arena = PageArena::new(8192, 1 << 20);
    let started = (0..42).map(|place| file.start_read(arena.take(), place * 8192));
    let mut started: Vec<_> = started.collect();
    drop(started.remove(7));
    for (place, read) in started.into_iter().enumerate().rev() {
        let place = if place < 7 { place } else { place + 1 };
        let (page, count) = read.wait().unwrap();
        let (expected, fill) = match place {
            40 => (100, 77),
            41 => (0, 0),
            _ => (8192, place as u8 + 1),
        };
        assert_eq!(count, expected, "place {place}");
        assert!(
            page[..count].iter().all(|&byte| byte == fill),
            "place {place}"
        );
    }
    let mut last = file.start_read(arena.take(), 0);
    while !last.is_finished() {}
    assert_eq!(last.wait().unwrap().1, 8192);
    assert_eq!(arena.used_bytes(), 0, "all memory came back");
}

fn a_map_shows_the_file_as_it_is_written(disk: &dyn Disk) {
    let file = disk.open("a", OpenMode::Create).unwrap();
    file.write_at(&block(1, 4), 0).unwrap();
    let Some(chunk) = file.map_read_only(4096, 3 * 4096).unwrap() else {
        return;
    };
    assert_eq!((chunk.offset(), chunk.end()), (4096, 4 * 4096));
    assert!(chunk.bytes(0, 1).is_none() && chunk.bytes(4 * 4096 - 1, 2).is_none());
    let shown = |at: u64| chunk.bytes(at, 4096).unwrap()[17];
    assert_eq!(shown(8192), 1);
    file.write_at(&block(2, 1), 4096).unwrap();
    file.write_durable(block(3, 1), 8192).unwrap();
    let pending = file.start_write(block(4, 1), 12_288, WriteMode::Plain);
    pending.wait().unwrap();
    assert_eq!([shown(4096), shown(8192), shown(12_288)], [2, 3, 4]);
    chunk.will_need(8192, 8192);
    chunk.will_need(0, 1 << 30);
    chunk.will_need(8192, 1 << 30);
    assert_eq!(format!("{chunk:?}"), "MapChunk(4096..16384)");
    assert!(file.map_read_only(0, 5 * 4096).is_err(), "beyond the end");
    assert!(file.map_read_only(0, 0).is_err());
    file.set_len(20 * 4096).unwrap();
    let grown = file.map_read_only(0, 20 * 4096).unwrap().unwrap();
    assert_eq!(grown.bytes(4096, 4096).unwrap()[0], 2);
}

#[cfg(test)]
mod tests;
