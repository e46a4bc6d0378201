//! What is compressed comes back as it was, on every path.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimOptions};
use cs_io::{Disk, OpenMode, SimRuntime};
use cs_kv::{
    Batch, CommitOptions, Compression, CompressionOptions, Error, Expect, KeyRange, Store,
    StoreOptions,
};

use crate::basics::{assert_sound, new_tree, open, small_options};

const ALL: [Compression; 5] = [
    Compression::None,
    Compression::Lz4,
    Compression::Gzip(1),
    Compression::Gzip(9),
    Compression::Auto,
];

fn options(compression: Compression) -> StoreOptions {
    let mut options = small_options();
    options.compression = CompressionOptions::of(compression);
    options.compression.threshold_bytes = 64;
    options
}

/// Options under which the log keeps everything.
fn without_checkpoints(compression: Compression) -> StoreOptions {
    let mut options = options(compression);
    options.checkpoint_log_bytes = 1 << 40;
    options
}

/// Text of records, about half of which compression takes off.
fn text(rng: &mut Rng, len: usize) -> Vec<u8> {
    const FIELDS: [&str; 4] = ["city: ", ", state: ", ", population: ", ", code: "];
    let mut text = Vec::new();
    while text.len() < len {
        for field in FIELDS {
            text.extend_from_slice(field.as_bytes());
            text.extend_from_slice(format!("{:07x}", rng.below(1 << 28)).as_bytes());
        }
    }
    text.truncate(len);
    text
}

fn noise(rng: &mut Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.draw() as u8).collect()
}

fn put(store: &Store, tree: TreeId, key: u32, value: &[u8]) {
    let mut batch = Batch::new();
    let key = key.to_be_bytes().to_vec();
    batch.put(tree, key, value.to_vec(), Expect::Any);
    commit(store, &batch);
}

fn commit(store: &Store, batch: &Batch) {
    let ticket = store.write(batch, &CommitOptions::default()).unwrap();
    ticket.wait().unwrap();
}

fn get(store: &Store, tree: TreeId, key: u32) -> Option<Vec<u8>> {
    let snapshot = store.snapshot().unwrap();
    snapshot.get(tree, &key.to_be_bytes()).unwrap()
}

/// Values around every length at which something changes.
fn values(rng: &mut Rng) -> Vec<Vec<u8>> {
    let page = 4096 - 64;
    let lens = [
        0,
        1,
        63,
        64,
        944,
        945,
        2_000,
        page - 17,
        page - 16,
        page - 15,
        page,
        9_000,
        40_000,
        300_000,
    ];
    let mut values = Vec::new();
    for len in lens {
        values.push(text(rng, len));
        values.push(noise(rng, len));
        values.push(vec![7; len]);
    }
    values
}

#[test]
fn every_codec_stores_the_same_content_and_recovers_it() {
    let mut rng = Rng::new(1);
    let values = values(&mut rng);
    let mut hashes = Vec::new();
    for compression in ALL {
        let disk = MemoryDisk::new();
        let check = |store: &Store, tree| {
            let snapshot = store.snapshot().unwrap();
            let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
            for (number, expected) in values.iter().enumerate() {
                let found = get(store, tree, number as u32).unwrap();
                assert!(found == *expected, "{compression:?}: value {number}");
                let (_, value) = cursor.next().unwrap().unwrap();
                assert!(value == *expected, "{compression:?}: cursor at {number}");
            }
            drop((cursor, snapshot));
            assert_sound(store);
        };
        let store = open(&disk, without_checkpoints(compression));
        let tree = new_tree(&store);
        for (number, value) in values.iter().enumerate() {
            // Each is written twice: the first is replaced.
            put(
                &store,
                tree,
                number as u32,
                &values[values.len() - 1 - number],
            );
            put(&store, tree, number as u32, value);
        }
        check(&store, tree);
        drop(store);
        let store = open(&disk, without_checkpoints(compression));
        assert!(store.recovery().records > 0, "replayed from the log");
        check(&store, tree);
        store.close().unwrap();
        drop(store);
        let store = open(&disk, without_checkpoints(Compression::None));
        assert_eq!(store.recovery().records, 0);
        check(&store, tree);
        hashes.push(store.snapshot().unwrap().tree_stats(tree).unwrap());
        let before = store.stats().space.used;
        for number in 0..values.len() as u32 {
            let mut batch = Batch::new();
            batch.delete(tree, number.to_be_bytes().to_vec(), Expect::Present);
            commit(&store, &batch);
        }
        store.checkpoint().unwrap();
        store.checkpoint().unwrap();
        assert_sound(&store);
        assert!(store.stats().space.used < before / 2, "{compression:?}");
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "count, bytes and hash are of the values");
}

#[test]
fn large_values_that_compress_take_fewer_pages_and_are_counted() {
    let mut used = Vec::new();
    for compression in [Compression::None, Compression::Lz4, Compression::Gzip(6)] {
        let disk = MemoryDisk::new();
        let store = open(&disk, options(compression));
        let tree = new_tree(&store);
        let mut rng = Rng::new(2);
        for number in 0..50 {
            put(&store, tree, number, &text(&mut rng, 60_000));
        }
        store.checkpoint().unwrap();
        store.checkpoint().unwrap();
        used.push(store.stats().space.used);
        let values = store.stats().compression.values;
        let counts = (values.plain, values.lz4, values.gzip);
        match compression {
            Compression::None => assert_eq!(values.bytes_in, 0),
            _ => {
                assert_eq!(values.bytes_in, 50 * 60_000);
                assert!(values.saving() > 0.3, "{values:?}");
            }
        }
        let expected = match compression {
            Compression::None => (0, 0, 0),
            Compression::Lz4 => (0, 50, 0),
            _ => (0, 0, 50),
        };
        assert_eq!(counts, expected);
        assert_sound(&store);
    }
    assert!(used[1] * 10 < used[0] * 7, "{used:?}");
    assert!(used[2] < used[1], "{used:?}");
}

#[test]
fn a_value_is_packed_only_where_that_saves_a_page() {
    let disk = MemoryDisk::new();
    let store = open(&disk, options(Compression::Lz4));
    let tree = new_tree(&store);
    // One page either way.
    put(&store, tree, 1, &[7; 4_000]);
    assert_eq!(store.stats().compression.values.bytes_in, 0);
    // Two pages, and compression takes off far less than one.
    let mut rng = Rng::new(3);
    let mut value = noise(&mut rng, 7_900);
    value.extend_from_slice(&[7; 80]);
    put(&store, tree, 2, &value);
    let values = store.stats().compression.values;
    assert_eq!((values.plain, values.lz4), (1, 0));
    assert_eq!(get(&store, tree, 2).unwrap(), value);
}

#[test]
fn auto_gives_up_on_noise_and_keeps_on_with_text() {
    let mut rng = Rng::new(4);
    let disk = MemoryDisk::new();
    let store = open(&disk, options(Compression::Auto));
    let tree = new_tree(&store);
    for number in 0..100 {
        put(&store, tree, number, &noise(&mut rng, 9_000));
    }
    let noisy = store.stats().compression;
    assert_eq!((noisy.values.lz4, noisy.values.plain), (0, 100));
    assert!(noisy.log.saving() < 0.02, "{noisy:?}");
    for number in 0..400 {
        put(&store, tree, number % 20, &text(&mut rng, 9_000));
    }
    let after = store.stats().compression;
    assert!(after.values.lz4 > 200, "it noticed: {after:?}");
    assert_sound(&store);
}

#[test]
fn a_log_is_read_whatever_the_options_were_when_it_was_written() {
    let disk = MemoryDisk::new();
    let mut rng = Rng::new(5);
    let mut model: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut tree = None;
    for round in 0..10_u32 {
        let compression = ALL[round as usize % ALL.len()];
        let store = open(&disk, without_checkpoints(compression));
        let tree = *tree.get_or_insert_with(|| new_tree(&store));
        for number in 0..20 {
            let len = rng.below(30_000) as usize;
            let value = text(&mut rng, len);
            put(&store, tree, number + round, &value);
            model.insert(number + round, value);
        }
        for (&number, value) in &model {
            assert!(
                get(&store, tree, number).as_ref() == Some(value),
                "{number}"
            );
        }
        assert_sound(&store);
    }
}

#[test]
fn a_transaction_over_several_parts_is_cut_after_it_was_compressed() {
    let mut rng = Rng::new(6);
    let mut bytes_out = 0;
    let disk = MemoryDisk::new();
    let tree = {
        let store = open(&disk, without_checkpoints(Compression::Lz4));
        let tree = new_tree(&store);
        let mut batch = Batch::new();
        for number in 0..20_000_u32 {
            let key = number.to_be_bytes().to_vec();
            batch.put(tree, key, text(&mut rng, 900), Expect::Absent);
        }
        commit(&store, &batch);
        let log = store.stats().compression.log;
        assert!(log.saving() > 0.3, "{log:?}");
        bytes_out += log.bytes_out;
        assert!(store.stats().log_bytes < log.bytes_in * 7 / 10);
        tree
    };
    assert!(bytes_out > 4 << 20, "more than one part: {bytes_out}");
    let store = open(&disk, without_checkpoints(Compression::None));
    let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
    assert_eq!(stats.count, 20_000);
    assert_sound(&store);
}

#[test]
fn a_level_that_gzip_does_not_have_is_refused() {
    for level in [0, 10] {
        let disk = MemoryDisk::new();
        let refused = Store::open(
            Arc::clone(&disk) as Arc<dyn Disk>,
            SimRuntime::new(1),
            options(Compression::Gzip(level)),
        );
        assert!(matches!(refused, Err(Error::InvalidOption(_))), "{level}");
        assert!(disk.list().unwrap().is_empty());
    }
}

#[test]
fn a_packed_value_that_is_taken_back_for_a_reader_is_the_old_one_again() {
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    // Nothing runs beside this thread, so nobody makes the second commit durable.
    let store = Store::open(disk, SimRuntime::new(1), options(Compression::Lz4)).unwrap();
    let tree = new_tree(&store);
    let mut rng = Rng::new(9);
    let (old, new) = (text(&mut rng, 50_000), text(&mut rng, 70_000));
    let mut batch = Batch::new();
    for key in [1_u32, 2] {
        batch.put(tree, key.to_be_bytes().to_vec(), old.clone(), Expect::Any);
    }
    commit(&store, &batch);
    let mut batch = Batch::new();
    batch.put(tree, 1_u32.to_be_bytes().to_vec(), new.clone(), Expect::Any);
    batch.delete(tree, 2_u32.to_be_bytes().to_vec(), Expect::Any);
    batch.put(tree, 3_u32.to_be_bytes().to_vec(), new.clone(), Expect::Any);
    let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
    for _ in 0..2 {
        let found = [1, 2, 3].map(|key| get(&store, tree, key));
        assert!(found == [Some(old.clone()), Some(old.clone()), None]);
    }
    ticket.wait().unwrap();
    let found = [1, 2, 3].map(|key| get(&store, tree, key));
    assert!(found == [Some(new.clone()), None, Some(new.clone())]);
    assert_sound(&store);
}

/// Damage that the checksum of the page does not show: a block that says what
/// it cannot hold.
#[test]
fn a_block_that_lies_in_a_sound_page_is_corruption_and_nothing_else() {
    use cs_pager::format::seal_checksum;
    use cs_pager::{PAGE_HEADER, PageHeader, PageKind};

    // Behind the digest: the codec, its reserved bytes, the declared length.
    let lies: [(usize, &[u8]); 5] = [
        (16, &[0]),
        (16, &[9]),
        (17, &[1]),
        (20, &[255; 4]),
        (20, &[0; 4]),
    ];
    for (at, lie) in lies {
        let disk = MemoryDisk::new();
        let store = open(&disk, options(Compression::Lz4));
        let tree = new_tree(&store);
        put(&store, tree, 1, &[7; 30_000]);
        store.close().unwrap();
        drop(store);
        let file = disk.open("data.cs", OpenMode::ReadWrite).unwrap();
        let mut lied = 0;
        for page in 2..file.len().unwrap() / 4096 {
            let mut bytes = vec![0; 4096];
            file.read_at(&mut bytes, page * 4096).unwrap();
            if PageHeader::of(&bytes).kind == PageKind::Overflow as u8 {
                let at = PAGE_HEADER + at;
                bytes[at..at + lie.len()].copy_from_slice(lie);
                seal_checksum(&mut bytes);
                file.write_at(&bytes, page * 4096).unwrap();
                lied += 1;
            }
        }
        assert_eq!(lied, 1, "the value takes one page");
        let store = open(&disk, options(Compression::Lz4));
        let snapshot = store.snapshot().unwrap();
        let error = snapshot.get(tree, &1_u32.to_be_bytes()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("compressed block"), "{text}");
        assert!(!store.check().unwrap().is_sound());
    }
}

/// What a run of random commits leaves: the disk's journal marks how many were
/// acknowledged, and the model has the state after each.
fn life(seed: u64, compression: Compression) -> (Arc<SimDisk>, Vec<BTreeMap<u32, Vec<u8>>>) {
    let mut rng = Rng::new(seed);
    let disk = SimDisk::new(seed, SimOptions::default());
    let store = Store::open(disk.clone(), SimRuntime::new(seed), options(compression)).unwrap();
    let tree = new_tree(&store);
    assert_eq!(tree, TreeId(16));
    disk.mark(0);
    let mut model = BTreeMap::new();
    let mut history = vec![model.clone()];
    for number in 1..=40 {
        let mut batch = Batch::new();
        for _ in 0..=rng.below(6) {
            let key = rng.below(30) as u32;
            let bytes = key.to_be_bytes().to_vec();
            if rng.percent(20) {
                batch.delete(tree, bytes, Expect::Any);
                model.remove(&key);
                continue;
            }
            let len = rng.below(25_000) as usize;
            let value = match rng.below(3) {
                0 => noise(&mut rng, len),
                1 => text(&mut rng, len),
                _ => text(&mut rng, len / 40),
            };
            batch.put(tree, bytes, value.clone(), Expect::Any);
            model.insert(key, value);
        }
        commit(&store, &batch);
        history.push(model.clone());
        disk.mark(number);
        if rng.percent(10) {
            store.checkpoint().unwrap();
        }
        while rng.percent(30) && store.step().unwrap() {}
    }
    (disk, history)
}

fn content(store: &Store) -> BTreeMap<u32, Vec<u8>> {
    let mut found = BTreeMap::new();
    let Ok(mut cursor) = store
        .snapshot()
        .unwrap()
        .cursor(TreeId(16), KeyRange::all())
    else {
        return found;
    };
    while let Some((key, value)) = cursor.next().unwrap() {
        found.insert(u32::from_be_bytes(key.try_into().unwrap()), value.to_vec());
    }
    found
}

#[test]
fn after_a_crash_anywhere_what_was_acknowledged_is_there_with_every_codec() {
    for (seed, compression) in (0..).zip(ALL.into_iter().cycle().take(10)) {
        let (disk, history) = life(seed, compression);
        let journal = disk.journal();
        let mut replay = Replay::new(&journal);
        let mut rng = Rng::new(1_000 + seed);
        let mut events: Vec<u64> = (0..30)
            .map(|_| rng.below(journal.len() as u64 + 1))
            .collect();
        events.sort_unstable();
        for event in events {
            replay.advance_to(event as usize);
            let Some(acknowledged) = replay.last_mark() else {
                continue;
            };
            let kind = if rng.percent(25) {
                CrashKind::Process
            } else {
                CrashKind::Machine
            };
            let image = replay.crash(&mut rng, kind);
            let after = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
            let runtime = SimRuntime::new(rng.draw());
            let store = Store::open(after, runtime, options(compression)).unwrap();
            let found = content(&store);
            let is_known = history[acknowledged as usize..].contains(&found);
            assert!(is_known, "seed {seed}, {compression:?}, event {event}");
            assert_sound(&store);
        }
    }
}
