//! Opening, closing, and what is refused on the way.

use std::sync::Arc;

use cs_base::{HybridTime, Index, Term};
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, RealRuntime, SimRuntime};
use cs_kv::{Batch, CommitOptions, Durability, Error, Expect, ReadPath, Store, StoreOptions};
use cs_wal::{Log, RecordHead, RecordKind, StartPoint};

use crate::basics::{assert_sound, new_tree, open, small_options};
use crate::disks::any_disk;

fn try_open(disk: &Arc<impl Disk + 'static>, options: StoreOptions) -> Result<Store, Error> {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    Store::open(disk, RealRuntime::new(), options)
}

fn put(store: &Store, tree: cs_base::TreeId, key: &[u8]) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.put(tree, key.to_vec(), vec![1; 100], Expect::Any);
    store.write(&batch, &CommitOptions::default())?.wait()
}

#[test]
fn a_database_is_recovered_on_its_own_and_what_that_took_is_told() {
    let disk = any_disk();
    let tree = {
        let store = open(&disk, small_options());
        let tree = new_tree(&store);
        put(&store, tree, b"a").unwrap();
        tree
    };
    let shared = Arc::clone(&disk) as Arc<dyn Disk>;
    let recover = || Store::recover(shared.clone(), RealRuntime::new(), small_options());
    let report = recover().unwrap();
    assert_eq!((report.records, report.created), (2, false));
    let again = recover().unwrap();
    assert_eq!(again.records, 0, "it was closed in order");
    let store = open(&disk, small_options());
    assert!(store.snapshot().unwrap().get(tree, b"a").unwrap().is_some());
}

#[test]
fn what_is_not_there_is_not_made_unless_asked_for() {
    let disk = any_disk();
    let shared = Arc::clone(&disk) as Arc<dyn Disk>;
    let error = Store::recover(shared, RealRuntime::new(), small_options()).unwrap_err();
    assert_eq!(error.to_string(), "there is no database in this directory");
    let mut options = small_options();
    options.read_only = true;
    assert!(try_open(&disk, options).is_err());
    assert!(disk.list().unwrap().is_empty());
}

#[test]
fn a_second_opening_is_told_who_has_the_database() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let error = try_open(&disk, small_options()).unwrap_err();
    assert!(matches!(error, Error::Locked(_)), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("the database is in use: "), "{text}");
    drop(store);
    try_open(&disk, small_options()).unwrap();
}

#[test]
fn closing_twice_is_closing_once_and_a_closed_store_takes_nothing() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    put(&store, tree, b"a").unwrap();
    store.close().unwrap();
    store.close().unwrap();
    let error = put(&store, tree, b"b").unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    drop(store);
    assert_sound(&open(&disk, small_options()));
}

#[test]
fn a_read_only_store_shows_all_takes_nothing_and_leaves_no_trace() {
    let disk = any_disk();
    let tree = {
        let store = open(&disk, small_options());
        let tree = new_tree(&store);
        put(&store, tree, b"a").unwrap();
        tree
    };
    let names = disk.list().unwrap();
    let mut options = small_options();
    options.read_only = true;
    let store = try_open(&disk, options).unwrap();
    assert!(store.options().read_only);
    assert!(store.snapshot().unwrap().get(tree, b"a").unwrap().is_some());
    let error = put(&store, tree, b"b").unwrap_err();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    store.close().unwrap();
    drop(store);
    assert_eq!(disk.list().unwrap(), names);
}

#[test]
fn where_the_disk_has_no_map_the_stats_say_so_and_all_works() {
    let disk = MemoryDisk::new();
    let mut options = small_options();
    options.read_path = ReadPath::Map;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    put(&store, tree, b"a").unwrap();
    let fallbacks = store.stats().io.fallbacks;
    assert_eq!(fallbacks, ["no memory map: this disk has none"]);
    assert_sound(&store);
}

#[test]
fn the_recorder_tells_what_happened_in_words() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    put(&store, tree, b"a").unwrap();
    store.checkpoint().unwrap();
    let text = store.recorder();
    assert!(text.to_lowercase().contains("checkpoint"), "{text}");
}

#[test]
fn a_log_without_its_data_file_is_damage_and_not_a_new_database() {
    let disk = any_disk();
    {
        let store = open(&disk, small_options());
        let tree = new_tree(&store);
        put(&store, tree, b"a").unwrap();
    }
    disk.remove("data.cs").unwrap();
    let error = try_open(&disk, small_options()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("data.cs is missing, though the log has records in wal-"),
        "{text}"
    );
}

#[test]
fn a_record_that_this_program_does_not_write_is_refused_by_its_kind() {
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    let options = small_options();
    {
        let store = Store::open(disk.clone(), SimRuntime::new(1), options.clone()).unwrap();
        let tree = new_tree(&store);
        put(&store, tree, b"a").unwrap();
        store.close().unwrap();
    }
    let file = disk.open("data.cs", cs_io::OpenMode::ReadOnly).unwrap();
    let metas = cs_pager::read_metas(&*file).unwrap();
    let newest = metas.into_iter().flatten().max_by_key(|meta| meta.sequence);
    let newest = newest.unwrap();
    let start = StartPoint {
        lsn: newest.root.lsn,
        chain: newest.root.chain,
        index: newest.root.index,
        incarnation: newest.root.log_incarnation,
    };
    let runtime = SimRuntime::new(2);
    let recovered = Log::recover(
        disk.clone(),
        runtime,
        newest.file,
        options.log.clone(),
        start,
    );
    let log = recovered.unwrap().finish().unwrap();
    let head = RecordHead {
        kind: RecordKind::Decision,
        flags: 0,
        term: Term(1),
        index: Index(log.last_index().0 + 1),
        time: HybridTime(log.last_time().0 + 1),
    };
    let reservation = log.reserve(0).unwrap();
    let appended = log.append(reservation, head, &[]);
    log.wait_durable(&Alone, appended.end).unwrap();
    drop(log);
    let error = Store::open(disk, SimRuntime::new(3), options).unwrap_err();
    let expected = format!(
        "the log has a record of kind Decision at LSN {}, which this program does not write",
        appended.lsn
    );
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn what_is_over_a_limit_is_refused_with_its_size_and_the_limit() {
    use cs_kv::SessionStatement;
    use cs_kv::limits::{MAX_KEY, MAX_RESULTS, MAX_VALUE};

    let disk = MemoryDisk::new();
    let mut options = small_options();
    options.cache_bytes = 8 << 20;
    let store = open(&disk, options);
    let tree = new_tree(&store);
    let write = |key: usize, value: usize, results: usize| {
        let mut batch = Batch::new();
        assert!(batch.is_empty());
        batch.put(tree, vec![1; key], vec![2; value], Expect::Any);
        assert!(!batch.is_empty());
        let mut options = CommitOptions::default();
        options.session = Some(SessionStatement {
            session: [key as u8; 16],
            number: 1,
            results: vec![3; results],
        });
        let ticket = store.write(&batch, &options);
        ticket.and_then(|ticket| ticket.wait())
    };
    for (result, what, limit) in [
        (write(MAX_KEY + 1, 1, 1), "key", MAX_KEY),
        (write(1, MAX_VALUE + 1, 1), "value", MAX_VALUE),
        (write(1, 1, MAX_RESULTS + 1), "session results", MAX_RESULTS),
    ] {
        let found = limit + 1;
        let expected = format!("{what} has {found} bytes, the limit is {limit}");
        assert_eq!(result.unwrap_err().to_string(), expected);
    }
    write(MAX_KEY, 1, MAX_RESULTS).unwrap();
    let snapshot = store.snapshot().unwrap();
    let value = snapshot.get(tree, &vec![1; MAX_KEY]).unwrap();
    assert_eq!(value, Some(vec![2]));
    assert_sound(&store);
}

#[test]
fn a_key_that_must_be_there_and_is_not_is_named_by_its_position() {
    let disk = any_disk();
    let store = open(&disk, small_options());
    let tree = new_tree(&store);
    let mut batch = Batch::new();
    batch.put(tree, b"a".to_vec(), vec![1], Expect::Absent);
    batch.delete(tree, b"b".to_vec(), Expect::Present);
    let outcome = store.write(&batch, &CommitOptions::default());
    let error = outcome.and_then(|ticket| ticket.wait()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "operation 1 of the batch expected the key to be present"
    );
    assert!(!error.is_retryable() && !error.is_corruption() && !error.is_unsupported());
    assert_eq!(store.snapshot().unwrap().get(tree, b"a").unwrap(), None);
}

/// The owner of a log in which nobody else writes.
#[derive(Debug)]
struct Alone;

impl cs_wal::LogOwner for Alone {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        cut();
    }

    fn durable_advanced(&self, _durable: cs_base::Lsn) {}

    fn log_failed(&self, error: &cs_wal::LogError) {
        panic!("{error}");
    }
}

#[test]
fn a_write_that_is_waited_for_is_visible_with_any_durability_and_runtime() {
    for level in [Durability::Sync, Durability::Async, Durability::Memory] {
        for simulated in [false, true] {
            let disk: Arc<dyn Disk> = MemoryDisk::new();
            let store = if simulated {
                Store::open(disk, SimRuntime::new(1), small_options())
            } else {
                Store::open(disk, RealRuntime::new(), small_options())
            };
            let store = store.unwrap();
            let tree = new_tree(&store);
            for number in 0..20_u8 {
                let mut batch = Batch::new();
                batch.put(tree, vec![number], vec![1; 100], Expect::Absent);
                let options = CommitOptions::with_durability(level);
                let index = store.write_and_wait(batch, &options).unwrap();
                let snapshot = store.snapshot().unwrap();
                assert!(snapshot.index() >= index);
                assert!(snapshot.get(tree, &[number]).unwrap().is_some());
            }
            assert_sound(&store);
        }
    }
}
