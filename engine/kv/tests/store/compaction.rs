//! Compaction: what it gives back, what it leaves alone, and when it begins.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode};
use cs_kv::{
    AutoCompact, Batch, CommitOptions, CompactOptions, CompactReport, Durability, Error, Expect,
    KeyRange, Store, StoreOptions,
};

use crate::basics::{assert_sound, new_tree, small_options};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> StoreOptions {
    let mut options = small_options();
    options.cache_bytes = 4 << 20;
    options.checkpoint_log_bytes = 1 << 20;
    options.auto_compact = None;
    options
}

/// A store without threads.
fn open(disk: &Arc<MemoryDisk>, options: StoreOptions) -> Store {
    let disk: Arc<dyn Disk> = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open(disk, cs_io::SimRuntime::new(1), options).unwrap()
}

fn compact(store: &Store) -> CompactReport {
    let mut progress = |_: &_| ControlFlow::Continue(());
    store
        .compact(&CompactOptions::default(), &mut progress)
        .unwrap()
}

/// Bytes of all files.
fn directory_bytes(disk: &MemoryDisk) -> u64 {
    let names = disk.list().unwrap();
    let len = |name: &String| disk.open(name, OpenMode::ReadOnly).unwrap().len().unwrap();
    names.iter().map(len).sum()
}

fn write(store: &Store, batch: &Batch) {
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    store.write(batch, &unsynced).unwrap().wait().unwrap();
    while store.step().unwrap() {}
}

fn contents(store: &Store, tree: TreeId) -> Model {
    let mut cursor = store
        .snapshot()
        .unwrap()
        .cursor(tree, KeyRange::all())
        .unwrap();
    let mut found = Model::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        found.insert(key.to_vec(), value.to_vec());
    }
    found
}

fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    *state >> 33
}

/// Keys in no order, in batches; some keys and values are too large for a page.
fn fill(store: &Store, tree: TreeId, model: &mut Model, count: u64, seed: u64) {
    let mut state = seed;
    let mut batch = Batch::new();
    for number in 0..count {
        let mut key = random(&mut state).to_be_bytes().to_vec();
        if number % 97 == 0 {
            key.splice(0..0, vec![b'k'; 1500]);
        }
        let len = if number % 41 == 0 { 9_000 } else { 150 };
        let value = vec![number as u8; len];
        model.insert(key.clone(), value.clone());
        batch.put(tree, key, value, Expect::Any);
        if batch.len() == 500 {
            write(store, &std::mem::take(&mut batch));
        }
    }
    write(store, &batch);
}

fn delete(store: &Store, tree: TreeId, model: &mut Model, keep_one_in: usize) {
    let keys: Vec<_> = model.keys().cloned().collect();
    let gone = keys
        .into_iter()
        .enumerate()
        .filter(|(number, _)| number % keep_one_in != 0);
    let mut batch = Batch::new();
    for (_, key) in gone {
        model.remove(&key);
        batch.delete(tree, key, Expect::Present);
        if batch.len() == 500 {
            write(store, &std::mem::take(&mut batch));
        }
    }
    write(store, &batch);
}

/// The account of a store says the sizes of its files.
fn assert_accounted(store: &Store, disk: &MemoryDisk, model: &Model) -> cs_kv::Account {
    let mut told = (0, 0);
    let mut progress = |seen, all| {
        told = (seen, all);
        ControlFlow::Continue(())
    };
    let account = store.account(&mut progress).unwrap();
    assert_eq!(account.total(), directory_bytes(disk), "{account:#?}");
    assert_eq!(account.unexplained, 0);
    assert_eq!(account.payload, payload(model));
    assert!(told.0 > 0 && told.0 <= told.1, "{told:?}");
    let space = store.space().unwrap();
    assert_eq!(space.data_bytes + space.log_bytes, account.total());
    account
}

fn payload(model: &Model) -> u64 {
    let bytes = model.iter().map(|(key, value)| key.len() + value.len());
    bytes.sum::<usize>() as u64
}

#[test]
fn after_load_and_churn_compaction_leaves_little_more_than_the_payload() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let mut model = Model::new();
    fill(&store, tree, &mut model, 40_000, 1);
    delete(&store, tree, &mut model, 2);
    let before = directory_bytes(&disk);
    let report = compact(&store);
    let after = directory_bytes(&disk);
    assert_eq!((report.bytes_before, report.bytes_after), (before, after));
    assert!(
        before > 3 * payload(&model),
        "{before} for {}",
        payload(&model)
    );
    assert!(
        after * 10 < payload(&model) * 16,
        "{after} for {}",
        payload(&model)
    );
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
    // The next one finds nothing to do.
    let again = compact(&store);
    assert!(
        again.bytes_after <= after && again.pages * 10 < report.pages,
        "{again:?}"
    );
    drop(store);
    let store = open(&disk, options());
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
}

#[test]
fn the_account_says_of_every_byte_what_it_is_for() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let (tree, dropped) = (new_tree(&store), new_tree(&store));
    let mut model = Model::new();
    fill(&store, tree, &mut model, 8_000, 23);
    let account = assert_accounted(&store, &disk, &model);
    // Each key is stored in its leaf or its run, less the prefix of its page.
    let values: u64 = model.values().map(|value| value.len() as u64).sum();
    assert_eq!(account.values, values);
    assert!(account.keys <= payload(&model) - values);
    assert!(account.free_in_pages > 0 && account.overflow_slack > 0);
    assert!(account.checkpoints > 0 && account.log_live > 0);
    let old = store.snapshot().unwrap();
    delete(&store, tree, &mut model, 2);
    store.checkpoint().unwrap();
    let young = store.snapshot().unwrap();
    delete(&store, tree, &mut model, 2);
    for _ in 0..3 {
        store.checkpoint().unwrap();
        write(&store, &Batch::new());
    }
    let account = assert_accounted(&store, &disk, &model);
    assert!(
        account.oldest_snapshot > 0 && account.other_snapshots > 0,
        "{account:#?}"
    );
    drop((old, young));
    let mut other = Model::new();
    fill(&store, dropped, &mut other, 500, 29);
    let mut batch = Batch::new();
    batch.drop_tree(dropped);
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    store.write(&batch, &unsynced).unwrap().wait().unwrap();
    let account = assert_accounted(&store, &disk, &model);
    assert!(account.dropped_trees > 0);
    compact(&store);
    let account = assert_accounted(&store, &disk, &model);
    assert_eq!(account.dropped_trees + account.oldest_snapshot, 0);
    let error = store
        .account(&mut |_, _| ControlFlow::Break(()))
        .unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(
        account.rows().iter().map(|row| row.1).sum::<u64>(),
        account.total()
    );
}

#[test]
fn everything_deleted_leaves_an_empty_store() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let empty = store.stats().space.used;
    let tree = new_tree(&store);
    let with_tree = store.stats().space.used;
    let mut model = Model::new();
    fill(&store, tree, &mut model, 20_000, 3);
    let gone: Vec<_> = std::mem::take(&mut model).into_keys().collect();
    for keys in gone.chunks(700) {
        let mut batch = Batch::new();
        for key in keys {
            batch.delete(tree, key.clone(), Expect::Present);
        }
        write(&store, &batch);
    }
    store.checkpoint().unwrap();
    let used = store.stats().space.used;
    assert!(
        used <= with_tree.max(empty) + 4,
        "{used} pages of an empty tree"
    );
    compact(&store);
    assert!(
        directory_bytes(&disk) < 400 * 1024,
        "{}",
        directory_bytes(&disk)
    );
    assert_sound(&store);
}

#[test]
fn a_snapshot_keeps_what_it_sees_and_the_rest_of_the_space_comes_when_it_goes() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let mut model = Model::new();
    fill(&store, tree, &mut model, 10_000, 5);
    store.checkpoint().unwrap();
    let seen = model.clone();
    let snapshot = store.snapshot().unwrap();
    delete(&store, tree, &mut model, 10);
    compact(&store);
    let held = directory_bytes(&disk);
    let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
    let mut found = Model::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        found.insert(key.to_vec(), value.to_vec());
    }
    assert!(found == seen);
    assert!(held > payload(&seen));
    drop((cursor, snapshot));
    compact(&store);
    assert!(directory_bytes(&disk) * 3 < held);
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
}

#[test]
fn writers_go_on_between_the_steps() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let (tree, other) = (new_tree(&store), new_tree(&store));
    let mut model = Model::new();
    fill(&store, tree, &mut model, 15_000, 7);
    delete(&store, tree, &mut model, 3);
    let mut state = 11;
    let writer = store.clone();
    let mut options = CompactOptions::default();
    options.pages_per_step = 16;
    let mut steps = 0;
    let mut progress = |_: &_| {
        steps += 1;
        let mut batch = Batch::new();
        for _ in 0..3 {
            let key = random(&mut state).to_be_bytes().to_vec();
            let value = vec![steps as u8; 100];
            model.insert(key.clone(), value.clone());
            batch.put(tree, key, value, Expect::Any);
        }
        if steps == 20 {
            batch.drop_tree(other);
        }
        let ticket = writer.write(&batch, &CommitOptions::default()).unwrap();
        if steps % 2 == 0 {
            ticket.wait().unwrap();
        }
        ControlFlow::Continue(())
    };
    store.compact(&options, &mut progress).unwrap();
    assert!(steps > 20, "{steps} steps");
    store.flush().unwrap();
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
    drop((store, writer));
    let store = open(&disk, self::options());
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
}

#[test]
fn compaction_can_be_cancelled_and_refuses_nonsense() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options());
    let tree = new_tree(&store);
    let mut model = Model::new();
    fill(&store, tree, &mut model, 5_000, 9);
    let mut steps = 0;
    let mut stop = |_: &_| {
        steps += 1;
        if steps == 5 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let cancelled = store
        .compact(&CompactOptions::default(), &mut stop)
        .unwrap_err();
    assert!(matches!(cancelled, Error::Cancelled), "{cancelled}");
    let mut bad = CompactOptions::default();
    bad.fill_percent = 20;
    let refused = store
        .compact(&bad, &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(matches!(refused, Error::InvalidOption(_)), "{refused}");
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
    store.close().unwrap();
    let options = CompactOptions::default();
    let refused = store
        .compact(&options, &mut |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
}

#[test]
fn a_full_disk_is_compacted_without_room_for_a_page() {
    let disk = MemoryDisk::with_capacity(64 << 20);
    let mut options = options();
    options.log.segment_bytes_max = 256 << 10;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let mut model = Model::new();
    fill(&store, tree, &mut model, 20_000, 13);
    delete(&store, tree, &mut model, 4);
    let ballast = disk.open("ballast", OpenMode::Create).unwrap();
    let mut len = 1 << 30;
    while len > 0 {
        if ballast.allocate(ballast.len().unwrap(), len).is_err() {
            len /= 2;
        }
    }
    let report = compact(&store);
    assert!(report.bytes_after * 2 < report.bytes_before, "{report:?}");
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
}

#[test]
fn an_idle_store_compacts_itself_once_and_then_lets_be() {
    let disk = MemoryDisk::new();
    let mut options = options();
    options.auto_compact = Some(AutoCompact {
        waste_percent: 30,
        waste_bytes: 1 << 20,
    });
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let mut model = Model::new();
    fill(&store, tree, &mut model, 10_000, 17);
    delete(&store, tree, &mut model, 4);
    while store.step().unwrap() {}
    let settled = directory_bytes(&disk);
    assert!(
        settled * 10 < payload(&model) * 20,
        "{settled} for {}",
        payload(&model)
    );
    // What a snapshot keeps is tried once, and not again and again.
    let snapshot = store.snapshot().unwrap();
    delete(&store, tree, &mut model, 4);
    let checkpoints = store.stats().checkpoints;
    for number in 0..50_u64 {
        let key = number.to_be_bytes().to_vec();
        model.insert(key.clone(), vec![1; 20]);
        let mut batch = Batch::new();
        batch.put(tree, key, vec![1; 20], Expect::Any);
        write(&store, &batch);
    }
    let made = store.stats().checkpoints - checkpoints;
    assert!(made < 3, "{made} checkpoints for a few small commits");
    drop(snapshot);
    assert!(contents(&store, tree) == model);
    assert_sound(&store);
}

#[test]
fn a_crash_at_any_time_of_a_compaction_leaves_everything() {
    let disk = MemoryDisk::new();
    let (tree, model) = {
        let store = open(&disk, options());
        let tree = new_tree(&store);
        let mut model = Model::new();
        fill(&store, tree, &mut model, 6_000, 19);
        delete(&store, tree, &mut model, 3);
        store.flush().unwrap();
        (tree, model)
    };
    // Each life is cut short after so many steps.
    for life in [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144] {
        let store = open(&disk, options());
        let mut steps = 0;
        let mut stop = |_: &_| {
            steps += 1;
            if steps == life {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let mut small = CompactOptions::default();
        small.pages_per_step = 8;
        let _ = store.compact(&small, &mut stop);
        drop(store);
        let store = open(&disk, options());
        assert!(contents(&store, tree) == model, "life {life}");
        assert_sound(&store);
    }
}

/// Symptom: a store at rest compacted without end, six checkpoints each time.
/// Cause: the room that file and log took for the next commits, right after,
/// was more than the least waste that it was told to begin for. Cure: what comes
/// without a commit is not waste.
#[test]
fn what_a_store_takes_for_the_next_commits_is_not_compacted_away_again() {
    let mut options = options();
    options.log.segment_bytes_min = 16 << 10;
    options.auto_compact = Some(AutoCompact {
        waste_percent: 10,
        waste_bytes: 16 << 10,
    });
    let disk = MemoryDisk::new();
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    for round in 0..4 {
        let mut batch = Batch::new();
        batch.put(tree, vec![round], vec![round; 3_000], Expect::Any);
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
        let rests = (0..2_000).any(|_| !store.step().unwrap());
        assert!(rests, "round {round}: {:?}", store.stats());
    }
}
