//! Backup, verification, restoring.

mod changing;
mod damage;
mod faults;
mod resume;

use std::io::{self, Cursor as Bytes, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode, RealRuntime, Runtime, SimRuntime};
use cs_kv::{
    BackupError, BackupOptions, BackupProgress, BackupReader, BackupReport, BackupSummary, Batch,
    CommitOptions, Compression, Durability, Error, Expect, KeyRange, RestoreOptions,
    SessionStatement, Snapshot, Store, StoreOptions, restore, restore_stream, system,
    verify_backup,
};

use crate::basics::{assert_sound, new_tree, open, small_options};
use crate::disks::any_disk;

type State = Vec<(TreeId, Vec<(Vec<u8>, Vec<u8>)>)>;

fn go_on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn options() -> BackupOptions {
    let mut options = BackupOptions::default();
    options.chunk_bytes = 4096;
    options.sync_bytes = 16 << 10;
    options
}

/// Everything that a snapshot sees: the trees that a backup has.
fn state(snapshot: &Snapshot) -> State {
    let mut trees = vec![system::SESSIONS, system::CATALOG];
    trees.extend(snapshot.trees().unwrap().into_iter().map(|(tree, _)| tree));
    let entries = |tree| {
        let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
        let mut entries = Vec::new();
        while let Some((key, value)) = cursor.next().unwrap() {
            entries.push((key.to_vec(), value.to_vec()));
        }
        entries
    };
    trees
        .into_iter()
        .map(|tree| (tree, entries(tree)))
        .collect()
}

fn put(store: &Store, tree: TreeId, numbers: impl Iterator<Item = u32>, value: &[u8]) {
    let mut batch = Batch::new();
    for number in numbers {
        batch.put(
            tree,
            number.to_be_bytes().to_vec(),
            value.to_vec(),
            Expect::Any,
        );
    }
    let unsynced = CommitOptions::with_durability(Durability::Memory);
    store.write(&batch, &unsynced).unwrap().wait().unwrap();
}

/// A store with entries of all kinds: sessions, a catalog, an empty tree, large
/// keys and values, a tree that was dropped, and the highest id dropped too.
fn filled(disk: &Arc<impl Disk + 'static>, entries: u32) -> (Store, TreeId) {
    let mut settings = small_options();
    settings.cache_bytes = 1 << 20;
    let store = open(disk, settings);
    let tree = new_tree(&store);
    let second = new_tree(&store);
    new_tree(&store);
    put(&store, tree, 0..entries, &[5; 90]);
    let mut batch = Batch::new();
    batch.put(second, vec![1; 9_000], vec![2; 50_000], Expect::Absent);
    batch.put(second, vec![3], Vec::new(), Expect::Absent);
    batch.put(second, Vec::new(), vec![9], Expect::Absent);
    batch.put(
        system::CATALOG,
        b"name".to_vec(),
        b"entry".to_vec(),
        Expect::Any,
    );
    let mut commit = CommitOptions::default();
    commit.session = Some(SessionStatement {
        session: [7; 16],
        number: 3,
        results: b"results".to_vec(),
    });
    store.write(&batch, &commit).unwrap().wait().unwrap();
    let gone = new_tree(&store);
    put(&store, gone, 0..10, b"gone");
    let mut batch = Batch::new();
    batch.drop_tree(gone);
    store
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    (store, tree)
}

fn to_bytes(store: &Store, options: &BackupOptions) -> (Vec<u8>, BackupReport) {
    let mut backup = store.backup(Vec::new(), options).unwrap();
    let report = backup.run(&mut |progress| go_on(progress)).unwrap();
    (backup.into_sink(), report)
}

fn verify(bytes: &[u8]) -> Result<BackupSummary, Error> {
    verify_backup(bytes, &mut go_on)
}

fn restore_options() -> RestoreOptions {
    let mut options = RestoreOptions::default();
    options.store = small_options();
    options.store.cache_bytes = 1 << 20;
    options
}

fn restored(bytes: &[u8], disk: &Arc<dyn Disk>) -> Result<Store, Error> {
    let options = restore_options();
    restore(
        Bytes::new(bytes),
        disk,
        RealRuntime::new(),
        &options,
        &mut |told| go_on(told),
    )?;
    Store::open(Arc::clone(disk), RealRuntime::new(), options.store)
}

fn memory() -> Arc<dyn Disk> {
    MemoryDisk::new()
}

/// A file of a disk as it is.
fn read(disk: &dyn Disk, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut reader = BackupReader::open(disk, name).unwrap();
    io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, reader.file_bytes().unwrap());
    bytes
}

fn write(disk: &dyn Disk, name: &str, bytes: &[u8]) {
    let file = disk.open(name, OpenMode::Create).unwrap();
    file.write_at(bytes, 0).unwrap();
}

/// Where the blocks of a backup begin, and where the last one ends.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut found = vec![0, 64];
    let mut at = 64;
    while at < bytes.len() {
        let len: [u8; 4] = bytes[at + 36..at + 40].try_into().unwrap();
        at += 48 + u32::from_le_bytes(len) as usize;
        found.push(at);
    }
    assert_eq!(at, bytes.len());
    found
}

#[test]
fn a_restored_database_is_the_one_that_was_backed_up() {
    for compression in [
        Compression::None,
        Compression::Lz4,
        Compression::Gzip(6),
        Compression::Auto,
    ] {
        let (store, _) = filled(&any_disk(), 2000);
        let mut options = options();
        options.compression = compression;
        let (bytes, report) = to_bytes(&store, &options);
        let snapshot = store.snapshot().unwrap();
        let summary = verify(&bytes).unwrap();
        assert_eq!(summary, report.summary);
        assert_eq!(summary.position.index, snapshot.index());
        assert_eq!((summary.position.term.0, summary.position.ordinal), (1, 0));
        assert_eq!(summary.file_bytes, bytes.len() as u64);
        assert!(
            summary.chunks > 20 && summary.kept_chunks == 0,
            "{summary:?}"
        );
        let disk: Arc<dyn Disk> = any_disk();
        let copy = restored(&bytes, &disk).unwrap();
        assert_sound(&copy);
        assert_eq!(state(&copy.snapshot().unwrap()), state(&snapshot));
        assert_eq!(
            copy.new_tree_id(),
            store.new_tree_id(),
            "no id is given twice"
        );
        assert_eq!(copy.stats().page_size, store.stats().page_size);
        // A statement that was carried out there is refused here.
        let mut again = CommitOptions::default();
        again.session = Some(SessionStatement {
            session: [7; 16],
            number: 3,
            results: Vec::new(),
        });
        let refused = copy.write(&Batch::new(), &again).map(drop);
        let Err(Error::AlreadyApplied { results, .. }) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(results, b"results");
        // The copy of the copy has the same content.
        assert_eq!(to_bytes(&copy, &options).1.summary.content, summary.content);
    }
}

/// Symptom: restoring was refused. Cause: what the prepared transaction had locked
/// was locked while the trees that it touches were built. Cure: a restore builds
/// what was there before, whoever has locked it.
#[test]
fn a_backup_with_a_prepared_transaction_restores_and_can_be_decided() {
    let (store, tree) = filled(&any_disk(), 500);
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"new".to_vec(), b"value".to_vec()).unwrap();
    txn.prepare("in doubt", &[]).unwrap();
    let (bytes, _) = to_bytes(&store, &options());
    let copy = restored(&bytes, &memory()).unwrap();
    assert_eq!(copy.list_prepared().unwrap()[0].gid, "in doubt");
    copy.commit_prepared("in doubt", &CommitOptions::default())
        .unwrap();
    let found = copy.snapshot().unwrap().get(tree, b"new").unwrap();
    assert_eq!(found.as_deref(), Some(&b"value"[..]));
    assert_sound(&copy);
}

#[test]
fn a_backup_beside_writers_is_the_snapshot_that_it_began_with() {
    let (store, tree) = filled(&any_disk(), 3000);
    let mut backup = store.backup(Vec::new(), &options()).unwrap();
    let before = state(&store.snapshot().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60_u32 {
                put(
                    &store,
                    tree,
                    (round * 50..round * 50 + 50).rev(),
                    &[round as u8; 70],
                );
                if round % 20 == 0 {
                    store.checkpoint().unwrap();
                }
            }
        });
        while !backup.step(700).unwrap().is_done {}
    });
    assert_ne!(state(&store.snapshot().unwrap()), before);
    let copy = restored(&backup.into_sink(), &memory()).unwrap();
    assert_eq!(state(&copy.snapshot().unwrap()), before);
}

#[test]
fn stream_and_file_and_any_size_of_steps_give_the_same_bytes() {
    let (store, _) = filled(&any_disk(), 1500);
    let (bytes, _) = to_bytes(&store, &options());
    let disk = memory();
    let report = store
        .backup_to(&disk, "shop.csb", &options(), &mut |told| go_on(told))
        .unwrap();
    assert_eq!(read(&*disk, "shop.csb"), bytes);
    assert_eq!((report.written, report.discarded), (bytes.len() as u64, 0));
    assert_eq!(
        disk.list().unwrap(),
        ["shop.csb"],
        "no unfinished file is left"
    );
    for step in [1, 999, 1 << 30] {
        let mut backup = store.backup(Vec::new(), &options()).unwrap();
        let mut last = BackupProgress::default();
        while !last.is_done {
            let now = backup.step(step).unwrap();
            assert!(now.written >= last.written && now.entries <= now.total_entries);
            last = now;
        }
        assert_eq!(
            (last.entries, last.bytes),
            (last.total_entries, last.total_bytes)
        );
        assert_eq!(backup.into_sink(), bytes);
    }
    let again = store.backup_to(&disk, "shop.csb", &options(), &mut |told| go_on(told));
    assert!(
        matches!(again, Err(Error::Backup(BackupError::Exists(_)))),
        "{again:?}"
    );
}

#[test]
fn a_limit_of_bytes_each_second_is_kept_by_the_clock_of_the_runtime() {
    let runtime = SimRuntime::new(1);
    let store = Store::open(MemoryDisk::new(), runtime.clone(), small_options()).unwrap();
    let tree = new_tree(&store);
    put(&store, tree, 0..2000, &[1; 50]);
    let mut options = options();
    options.compression = Compression::None;
    options.bytes_per_second = Some(10_000);
    let mut backup = store.backup(Vec::new(), &options).unwrap();
    let begin = runtime.monotonic();
    loop {
        let now = backup.step(1000).unwrap();
        if now.is_done {
            break;
        }
        if now.wait > std::time::Duration::ZERO {
            let written = now.written;
            assert_eq!(backup.step(1 << 30).unwrap().written, written, "it waits");
            runtime.advance(now.wait);
        }
    }
    let (took, written) = (runtime.monotonic() - begin, backup.progress().written);
    let least = written.saturating_sub(20_000) as f64 / 10_000.0;
    assert!(took.as_secs_f64() > least, "{written} bytes in {took:?}");
    // Nobody else moves this clock.
    let mut backup = store.backup(Vec::new(), &options).unwrap();
    let refused = backup.run(&mut |told| go_on(told));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

/// Takes few bytes at once, and fails now and then.
#[derive(Default)]
struct Shaky {
    bytes: Vec<u8>,
    calls: usize,
}

impl Write for Shaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let len = bytes.len().min(100);
        self.bytes.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_an_error_of_the_destination_the_same_backup_goes_on() {
    let (store, _) = filled(&any_disk(), 500);
    let (bytes, _) = to_bytes(&store, &options());
    let mut backup = store.backup(Shaky::default(), &options()).unwrap();
    let mut failed = 0;
    while !backup.progress().is_done {
        if let Err(error) = backup.step(1 << 20) {
            assert!(error.is_no_space(), "{error}");
            failed += 1;
        }
    }
    assert!(failed > bytes.len() / 400, "{failed}");
    assert_eq!(backup.into_sink().bytes, bytes);
}

#[test]
fn options_that_make_no_sense_are_refused_before_anything_is_written() {
    let (store, _) = filled(&any_disk(), 1);
    let disk = memory();
    let wrong: [fn(&mut BackupOptions); 5] = [
        |options| options.chunk_bytes = 100,
        |options| options.chunk_bytes = u32::MAX,
        |options| options.bytes_per_second = Some(0),
        |options| options.sync_bytes = 0,
        |options| options.compression = Compression::Gzip(11),
    ];
    for change in wrong {
        let mut options = options();
        change(&mut options);
        let refused = store.backup_to(&disk, "b", &options, &mut |told| go_on(told));
        assert!(
            matches!(refused, Err(Error::InvalidOption(_))),
            "{refused:?}"
        );
    }
    assert!(disk.list().unwrap().is_empty());
    let refused = store.backup_to(&disk, "../b", &options(), &mut |told| go_on(told));
    assert!(
        matches!(refused, Err(Error::Backup(BackupError::Destination(_)))),
        "{refused:?}"
    );
}

#[test]
fn restoring_needs_a_directory_without_files_of_others() {
    let (store, _) = filled(&any_disk(), 50);
    let (bytes, _) = to_bytes(&store, &options());
    let disk = memory();
    write(&*disk, "letter.txt", b"mine");
    let refused = restored(&bytes, &disk).map(drop);
    assert!(
        matches!(refused, Err(Error::Backup(BackupError::NotEmpty(_)))),
        "{refused:?}"
    );
    assert_eq!(disk.list().unwrap(), ["letter.txt"]);
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    let before = restored(&bytes, &disk).unwrap();
    let refused = restored(&bytes, &disk).map(drop);
    assert!(matches!(refused, Err(Error::Locked(_))), "{refused:?}");
    drop(before);
    let refused = restored(&bytes, &disk).map(drop);
    assert!(
        matches!(refused, Err(Error::Backup(BackupError::NotEmpty(_)))),
        "{refused:?}"
    );
}

#[test]
fn page_size_and_durability_are_the_sources_unless_told() {
    let mut without_log = small_options();
    without_log.durability = Some(Durability::Memory);
    let store = open(&any_disk(), without_log);
    let tree = new_tree(&store);
    put(&store, tree, 0..100, b"value");
    let (bytes, report) = to_bytes(&store, &options());
    assert!(!report.summary.has_log);
    let disk = memory();
    let copy = restored(&bytes, &disk).unwrap();
    assert_eq!(copy.options().durability, Some(Durability::Memory));
    assert!(
        !disk
            .list()
            .unwrap()
            .iter()
            .any(|name| name.starts_with("wal"))
    );
    let mut changed = restore_options();
    changed.page_size = Some(16 << 10);
    changed.store.durability = Some(Durability::Sync);
    let disk = memory();
    restore(
        Bytes::new(&bytes),
        &disk,
        RealRuntime::new(),
        &changed,
        &mut |told| go_on(told),
    )
    .unwrap();
    let copy = Store::open(disk, RealRuntime::new(), StoreOptions::default()).unwrap();
    assert_eq!(copy.stats().page_size, 16 << 10);
    assert_eq!(copy.options().durability, Some(Durability::Sync));
    assert_eq!(
        state(&copy.snapshot().unwrap()),
        state(&store.snapshot().unwrap())
    );
}

#[test]
fn a_backup_does_not_go_among_the_files_of_a_database() {
    let disk = memory();
    let store = Store::open(Arc::clone(&disk), RealRuntime::new(), small_options()).unwrap();
    let refused = store.backup_to(&disk, "b", &options(), &mut |told| go_on(told));
    assert!(
        matches!(refused, Err(Error::InvalidOption(_))),
        "{refused:?}"
    );
    assert!(
        !disk
            .list()
            .unwrap()
            .iter()
            .any(|name| name.starts_with('b'))
    );
}
