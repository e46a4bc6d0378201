//! What opening makes of a log.

use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimOptions};
use cs_io::{Disk, OpenMode};
use cs_kv::{Batch, Durability, Expect, Store, StoreOptions};
use cs_wal::{LogReader, RecordKind, SegmentRole};

use super::{
    assert_sound, commit, get, new_tree, open, options_without_checkpoints, put, small_options,
};

/// One commit that takes several records.
fn commit_in_parts(store: &Store, tree: TreeId, values: u32, value: &[u8]) {
    let mut batch = Batch::new();
    for number in 0..values {
        let key = number.to_be_bytes().to_vec();
        batch.put(tree, key, value.to_vec(), Expect::Any);
    }
    commit(store, &batch).unwrap();
}

/// Clears the log from its last transaction on, as a crash might that left the
/// parts before it.
fn tear_last_transaction(disk: &Arc<MemoryDisk>) {
    let reader = LogReader::discover(Arc::clone(disk) as Arc<dyn Disk>).unwrap();
    let mut last = None;
    let mut parts = 0;
    reader
        .for_each_record(|report| {
            if let Some(record) = &report.record {
                parts += u32::from(record.head.kind == RecordKind::Part);
                if record.head.kind == RecordKind::Transaction {
                    last = Some(record.lsn);
                }
            }
            true
        })
        .unwrap();
    assert!(parts > 0, "the transaction fitted into one record");
    let torn = last.unwrap();
    for segment in reader.segments().unwrap() {
        let (SegmentRole::Live, Ok(header)) = (segment.role, &segment.header) else {
            continue;
        };
        if header.base <= torn && torn.0 < header.base.0 + header.capacity {
            let at = segment.file_bytes - header.capacity + (torn.0 - header.base.0);
            let file = disk.open(&segment.name, OpenMode::ReadWrite).unwrap();
            let zeroes = vec![0; (segment.file_bytes - at) as usize];
            file.write_at(&zeroes, at).unwrap();
            return;
        }
    }
    panic!("no segment holds {torn}");
}

/// Symptom: a database could not be opened a second time after a crash, and
/// acknowledged commits were lost. Cause: parts whose commit was torn away were
/// added to the next run of parts. Cure: the first part of a run says so.
#[test]
fn parts_whose_commit_was_torn_away_do_not_join_the_next_transaction() {
    let disk = MemoryDisk::new();
    let options = options_without_checkpoints();
    let tree = {
        let store = open(&disk, options.clone()).unwrap();
        let tree = new_tree(&store);
        commit_in_parts(&store, tree, 12, &[7; 500_000]);
        tree
    };
    tear_last_transaction(&disk);
    {
        let store = open(&disk, options.clone()).unwrap();
        assert_eq!(get(&store, tree, &0_u32.to_be_bytes()), None);
        commit_in_parts(&store, tree, 12, &[9; 400_000]);
    }
    let store = open(&disk, options).unwrap();
    let value = get(&store, tree, &11_u32.to_be_bytes()).unwrap();
    assert_eq!(value, vec![9; 400_000]);
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, 12);
    assert_sound(&store);
}

/// A store that was not closed, with a log of many scattered updates; how many
/// pages its file had.
fn leave_scattered_updates(disk: &Arc<MemoryDisk>, options: &StoreOptions) -> u64 {
    let store = open(disk, options.clone()).unwrap();
    let tree = new_tree(&store);
    let mut random = 1_u64;
    for _ in 0..800 {
        let mut batch = Batch::new();
        for _ in 0..10 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = ((random >> 33) % 4_000).to_be_bytes().to_vec();
            batch.put(tree, key, vec![3; 200], Expect::Any);
        }
        commit(&store, &batch).unwrap();
    }
    store.stats().space.page_count
}

/// Symptom: opening after a crash made the data file forty times as large.
/// Cause: recovery sealed versions to write them early, and never took back
/// the pages that these freed. Cure: it reclaims behind each.
#[test]
fn recovery_does_not_make_the_data_file_larger_than_the_work_did() {
    let disk = MemoryDisk::new();
    let options = options_without_checkpoints();
    let before = leave_scattered_updates(&disk, &options);
    let store = open(&disk, options).unwrap();
    assert_eq!(store.recovery().records, 801);
    let after = store.stats().space.page_count;
    assert!(after < 2 * before, "{before} pages became {after}");
    assert_sound(&store);
}

/// Symptom: a store on a disk with room to spare could not be opened after a
/// crash: no space. Cause: as above, recovery used no page twice. Cure: as above.
#[test]
fn recovery_needs_hardly_more_room_than_the_data_and_the_log_take() {
    let options = options_without_checkpoints();
    let data = {
        let disk = MemoryDisk::new();
        leave_scattered_updates(&disk, &options) * u64::from(options.page_size)
    };
    // Twice the data file, and a log of at most 800 groups of a block or two.
    let disk = MemoryDisk::with_capacity(2 * data + 16 * 1024 * 1024);
    leave_scattered_updates(&disk, &options);
    let store = open(&disk, options).unwrap();
    assert_eq!(store.recovery().records, 801);
    assert_sound(&store);
}

/// Symptom: a store without a log, whose maker was killed amid the creation,
/// lost a checkpoint, and all else, in a later crash of the machine. Cause: the
/// name of the data file was not on disk yet, and whoever opened it next never
/// synced the directory. Cure: opening a store without a log does.
#[test]
fn a_store_without_a_log_outlives_two_crashes_that_begin_in_its_creation() {
    let mut options = small_options();
    options.durability = Some(Durability::Memory);
    let disk = SimDisk::new(1, SimOptions::default());
    drop(open(&disk, options.clone()).unwrap());
    let made = disk.journal();
    let mut first = Replay::new(&made);
    for event in 0..=made.len() {
        first.advance_to(event);
        for seed in 0..8 {
            let mut rng = Rng::new(seed);
            let image = first.crash(&mut rng, CrashKind::Process);
            let disk = SimDisk::from_image(&image, seed, SimOptions::default());
            let store = open(&disk, options.clone()).unwrap();
            let tree = new_tree(&store);
            commit(&store, &put(tree, b"key", vec![1])).unwrap();
            store.checkpoint().unwrap();
            let saved = disk.journal();
            let mut second = Replay::from_image(&image, &saved);
            second.advance_to(saved.len());
            let image = second.crash(&mut rng, CrashKind::Machine);
            let disk = SimDisk::from_image(&image, seed, SimOptions::default());
            let store = open(&disk, options.clone()).unwrap();
            let found = get(&store, tree, b"key");
            assert_eq!(found, Some(vec![1]), "event {event}, seed {seed}");
        }
    }
}
