//! Compaction on a disk that forgets: after a crash of the process or of the
//! machine at any event of it everything is there.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimImage, SimOptions};
use cs_io::{Disk, SimRuntime};
use cs_kv::{
    Batch, CommitOptions, CompactOptions, Durability, Expect, KeyRange, Store, StoreOptions,
};

use crate::basics::{assert_sound, new_tree, small_options};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Crashes looked at, of each kind.
const CRASHES: u64 = 40;

fn options() -> StoreOptions {
    let mut options = small_options();
    options.cache_bytes = 1 << 20;
    options.checkpoint_log_bytes = 256 << 10;
    options.auto_compact = None;
    options
}

fn open(disk: Arc<dyn Disk>) -> Store {
    Store::open(disk, SimRuntime::new(1), options()).unwrap()
}

fn contents(store: &Store, tree: TreeId) -> Model {
    let snapshot = store.snapshot().unwrap();
    let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
    let mut found = Model::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        found.insert(key.to_vec(), value.to_vec());
    }
    found
}

/// A tree of which three quarters were deleted again, all of it durable.
fn fill(store: &Store) -> (TreeId, Model) {
    let tree = new_tree(store);
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    let mut model = Model::new();
    let mut random = Rng::new(3);
    for round in 0..20_u8 {
        let mut batch = Batch::new();
        for _ in 0..150 {
            let key = random.draw().to_be_bytes().to_vec();
            let value = vec![round; if random.percent(3) { 9_000 } else { 120 }];
            model.insert(key.clone(), value.clone());
            batch.put(tree, key, value, Expect::Any);
        }
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
        while store.step().unwrap() {}
    }
    let keys: Vec<_> = model.keys().cloned().collect();
    for part in keys.chunks(200) {
        let mut batch = Batch::new();
        for key in part.iter().filter(|key| key[7] % 4 != 0) {
            model.remove(key);
            batch.delete(tree, key.clone(), Expect::Present);
        }
        store.write(&batch, &unsynced).unwrap().wait().unwrap();
    }
    store.flush().unwrap();
    (tree, model)
}

fn compact(store: &Store) {
    let mut options = CompactOptions::default();
    options.pages_per_step = 16;
    let mut progress = |_: &_| ControlFlow::Continue(());
    store.compact(&options, &mut progress).unwrap();
}

/// Whether what was durable is in the image, and compaction goes on from it.
fn check(image: &SimImage, seed: u64, tree: TreeId, model: &Model) {
    let disk = SimDisk::from_image(image, seed, SimOptions::default());
    let store = open(disk);
    assert!(contents(&store, tree) == *model, "crash {seed}");
    assert_sound(&store);
    if seed.is_multiple_of(8) {
        compact(&store);
        assert!(contents(&store, tree) == *model, "crash {seed}, compacted");
        assert_sound(&store);
    }
}

#[test]
fn a_crash_at_any_event_of_a_compaction_loses_nothing() {
    let disk = SimDisk::new(5, SimOptions::default());
    let store = open(Arc::clone(&disk) as Arc<dyn Disk>);
    let (tree, model) = fill(&store);
    let from = disk.event_count();
    compact(&store);
    compact(&store);
    let journal = disk.journal();
    let events = (disk.event_count() - from) as u64;
    assert!(events > 50, "{events} events");
    for kind in [CrashKind::Process, CrashKind::Machine] {
        let mut replay = Replay::new(&journal);
        for number in 0..CRASHES {
            replay.advance_to(from + (events * number / CRASHES) as usize);
            let image = replay.crash(&mut Rng::new(number), kind);
            check(&image, number, tree, &model);
        }
    }
}
