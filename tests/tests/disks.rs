//! The same promises on every disk: memory, simulated, system calls, io_uring,
//! with and without direct I/O, and with either of them refused.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cs_io::memory::MemoryDisk;
use cs_io::sim::{SimDisk, SimOptions};
use cs_io::sys::{DirectIo, SysDisk, SysOptions};
use cs_io::uring::{IoChoice, UringDisk, UringOptions, open_best};
use cs_io::{BackendReport, Disk, RealRuntime, Runtime, SimRuntime, refuse};
use cs_kv::{Batch, CommitOptions, Error, Expect, KeyRange, Store, StoreOptions};
use tempfile::TempDir;

/// A directory that can be opened again and again, in one way.
struct Place {
    open: Box<dyn Fn() -> Arc<dyn Disk>>,
    runtime: fn() -> Arc<dyn Runtime>,
    /// Lives as long as the place.
    _directory: Option<TempDir>,
}

impl Place {
    fn memory() -> Self {
        let disk = MemoryDisk::new();
        Self::with(Box::new(move || Arc::clone(&disk) as Arc<dyn Disk>), None)
    }

    fn simulated() -> Self {
        let disk = SimDisk::new(7, SimOptions::default());
        let open = Box::new(move || Arc::clone(&disk) as Arc<dyn Disk>);
        Self {
            open,
            runtime: || SimRuntime::new(7),
            _directory: None,
        }
    }

    fn system(direct: DirectIo) -> Self {
        Self::on_directory(move |path| {
            SysDisk::open(
                path,
                SysOptions {
                    create: false,
                    direct,
                },
            )
            .unwrap()
        })
    }

    /// None where the system refuses io_uring.
    fn uring(direct: DirectIo) -> Option<Self> {
        let options = UringOptions {
            direct,
            ..UringOptions::default()
        };
        let scratch = tempfile::tempdir().unwrap();
        if let Err(error) = UringDisk::open(scratch.path(), options) {
            println!("skipped: io_uring is refused here: {error}");
            return None;
        }
        Some(Self::on_directory(move |path| {
            UringDisk::open(path, options).unwrap()
        }))
    }

    fn on_directory<D: Disk + 'static>(open: impl Fn(&Path) -> Arc<D> + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path: PathBuf = directory.path().to_owned();
        Self::with(Box::new(move || open(&path)), Some(directory))
    }

    fn with(open: Box<dyn Fn() -> Arc<dyn Disk>>, directory: Option<TempDir>) -> Self {
        Self {
            open,
            runtime: || RealRuntime::new(),
            _directory: directory,
        }
    }

    fn store(&self) -> Store {
        let mut options = StoreOptions::default();
        options.page_size = 4096;
        options.cache_bytes = 256 * 1024;
        options.checkpoint_log_bytes = 256 * 1024;
        options.log.segment_bytes_min = 64 * 1024;
        Store::open((self.open)(), (self.runtime)(), options).unwrap()
    }
}

fn write(store: &Store, batch: &Batch) {
    store
        .write(batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
}

fn new_tree(store: &Store) -> cs_base::TreeId {
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    write(store, &batch);
    tree
}

fn assert_sound(store: &Store) {
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
}

mod promises {
    use super::*;

    pub(crate) fn what_was_committed_is_there_after_reopening(place: &Place) {
        let store = place.store();
        let tree = new_tree(&store);
        for number in 0..60_u32 {
            let mut batch = Batch::new();
            for part in 0..4_u32 {
                let key = [number.to_be_bytes(), part.to_be_bytes()].concat();
                batch.put(tree, key, vec![number as u8; 50], Expect::Absent);
            }
            write(&store, &batch);
        }
        let stats = store.snapshot().unwrap().tree_stats(tree).unwrap();
        drop(store);
        let store = place.store();
        assert!(store.recovery().records > 0, "it was not closed");
        assert_eq!(store.snapshot().unwrap().tree_stats(tree).unwrap(), stats);
        store.close().unwrap();
        drop(store);
        let store = place.store();
        assert_eq!(store.recovery().records, 0, "it was closed");
        let snapshot = store.snapshot().unwrap();
        let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
        let mut count = 0;
        while let Some((key, value)) = cursor.next().unwrap() {
            assert_eq!(value, vec![key[3]; 50]);
            count += 1;
        }
        assert_eq!(count, 240);
        drop((snapshot, cursor));
        assert_sound(&store);
    }

    pub(crate) fn large_values_come_back_and_leave_nothing_behind(place: &Place) {
        let store = place.store();
        let tree = new_tree(&store);
        let value = |number: u32| vec![number as u8; 1 + number as usize * 9_001];
        for number in 0..24_u32 {
            let mut batch = Batch::new();
            batch.put(
                tree,
                number.to_be_bytes().to_vec(),
                value(number),
                Expect::Absent,
            );
            write(&store, &batch);
        }
        drop(store);
        let store = place.store();
        let snapshot = store.snapshot().unwrap();
        for number in 0..24_u32 {
            assert_eq!(
                snapshot.get(tree, &number.to_be_bytes()).unwrap().unwrap(),
                value(number)
            );
        }
        drop(snapshot);
        let mut batch = Batch::new();
        (0..24_u32).for_each(|number| {
            batch.delete(tree, number.to_be_bytes().to_vec(), Expect::Present);
        });
        write(&store, &batch);
        let stats = store.snapshot().unwrap().tree_stats(tree).unwrap().unwrap();
        assert_eq!((stats.count, stats.bytes, stats.hash), (0, 0, 0));
        assert_sound(&store);
    }

    pub(crate) fn checkpoints_keep_the_log_short(place: &Place) {
        let store = place.store();
        let tree = new_tree(&store);
        for number in 0..200_u32 {
            let mut batch = Batch::new();
            batch.put(
                tree,
                (number % 16).to_be_bytes().to_vec(),
                vec![3; 6_000],
                Expect::Any,
            );
            write(&store, &batch);
            while !(place.runtime)().may_block() && store.step().unwrap() {}
        }
        let stats = store.stats();
        assert!(stats.checkpoints > 0, "{stats:?}");
        assert!(stats.log_bytes < 1_500_000, "{stats:?}");
        assert_sound(&store);
        drop(store);
        let store = place.store();
        assert_eq!(
            store
                .snapshot()
                .unwrap()
                .tree_stats(tree)
                .unwrap()
                .unwrap()
                .count,
            16
        );
        assert_sound(&store);
    }

    pub(crate) fn a_second_opening_is_refused(place: &Place) {
        let store = place.store();
        new_tree(&store);
        let other = Store::open((place.open)(), (place.runtime)(), StoreOptions::default());
        assert!(matches!(other, Err(Error::Locked(_))), "{other:?}");
        drop((store, other));
        place.store();
    }

    pub(crate) fn many_threads_read_their_own_writes(place: &Place) {
        if !(place.runtime)().may_block() {
            // One thread is all that it has.
            return;
        }
        let store = place.store();
        let tree = new_tree(&store);
        std::thread::scope(|scope| {
            for thread in 0..6_u32 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..60_u32 {
                        let key = [thread.to_be_bytes(), number.to_be_bytes()].concat();
                        let mut batch = Batch::new();
                        batch.put(tree, key.clone(), vec![thread as u8; 300], Expect::Absent);
                        write(store, &batch);
                        assert!(store.snapshot().unwrap().get(tree, &key).unwrap().is_some());
                    }
                });
            }
        });
        assert_eq!(
            store
                .snapshot()
                .unwrap()
                .tree_stats(tree)
                .unwrap()
                .unwrap()
                .count,
            360
        );
        assert_sound(&store);
        store.close().unwrap();
    }

    /// All of them, each in a directory of its own.
    pub(crate) fn all(place: impl Fn() -> Place) {
        what_was_committed_is_there_after_reopening(&place());
        large_values_come_back_and_leave_nothing_behind(&place());
        checkpoints_keep_the_log_short(&place());
        a_second_opening_is_refused(&place());
        many_threads_read_their_own_writes(&place());
    }
}

macro_rules! on {
    ($disk:ident, $place:expr) => {
        on!($disk, $place, what_was_committed_is_there_after_reopening,
            large_values_come_back_and_leave_nothing_behind, checkpoints_keep_the_log_short,
            a_second_opening_is_refused, many_threads_read_their_own_writes);
    };
    ($disk:ident, $place:expr, $($promise:ident),*) => {
        mod $disk {
            use super::*;

            $(#[test]
            fn $promise() {
                if let Some(place) = $place {
                    promises::$promise(&place);
                }
            })*
        }
    };
}

on!(memory, Some(Place::memory()));
on!(simulated, Some(Place::simulated()));
on!(syscalls_direct, Some(Place::system(DirectIo::Auto)));
on!(syscalls_buffered, Some(Place::system(DirectIo::Off)));
on!(uring_direct, Place::uring(DirectIo::Auto));
on!(uring_buffered, Place::uring(DirectIo::Off));

// ---- refused ----

/// Tells the child what is refused; absent in an ordinary run of the tests.
const REFUSED: &str = "CS_TEST_REFUSED";

/// Runs [`child_of_the_refusals`] in a process of its own, since a filter
/// cannot be taken off again.
fn run_child(refused: &str, environment: &[(&str, &str)]) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "child_of_the_refusals", "--nocapture"])
        .env(REFUSED, refused);
    let output = child.envs(environment.iter().copied()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{refused}: {out}{err}");
    assert!(
        out.contains("kept every promise"),
        "{refused}: the child did nothing: {out}"
    );
}

#[test]
fn child_of_the_refusals() {
    let Ok(refused) = std::env::var(REFUSED) else {
        return;
    };
    // Binds this thread, and those of the stores that it opens.
    match refused.as_str() {
        "io_uring EPERM" => refuse::io_uring(libc::EPERM).unwrap(),
        "io_uring ENOSYS" => refuse::io_uring(libc::ENOSYS).unwrap(),
        "io_uring ENOMEM" => refuse::io_uring(libc::ENOMEM).unwrap(),
        "direct" => refuse::direct_io().unwrap(),
        _ => {}
    }
    let open = |path: &Path| open_best(path, true, IoChoice::Auto, DirectIo::Auto).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let place = Place::with(Box::new(move || open(&path)), Some(directory));
    let store = place.store();
    let tree = new_tree(&store);
    let mut batch = Batch::new();
    batch.put(tree, b"key".to_vec(), vec![1; 100], Expect::Any);
    write(&store, &batch);
    check_report(&refused, &store.stats().io);
    drop(store);
    promises::all(|| {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        Place::with(Box::new(move || open(&path)), Some(directory))
    });
    println!("kept every promise");
}

/// A fallback is never silent; what was asked for is none.
fn check_report(refused: &str, report: &BackendReport) {
    let says = |what: &str| report.fallbacks.iter().any(|reason| reason.contains(what));
    match refused {
        "direct" => {
            assert!(!report.direct_io && says("direct I/O"), "{report:?}");
        }
        "CS_DIRECT_IO" => assert!(!report.direct_io, "{report:?}"),
        "CS_IO" => {
            assert_eq!(report.name, "syscalls");
            assert!(!says("io_uring"), "{report:?}");
        }
        _ => {
            assert_eq!(report.name, "syscalls");
            assert!(says("io_uring refused"), "{report:?}");
        }
    }
}

#[test]
fn with_io_uring_refused_the_store_works_and_says_why() {
    for refused in ["io_uring EPERM", "io_uring ENOSYS", "io_uring ENOMEM"] {
        run_child(refused, &[("CS_IO", "auto")]);
    }
}

#[test]
fn with_direct_io_refused_the_store_works_and_says_why() {
    run_child("direct", &[("CS_DIRECT_IO", "auto")]);
}

#[test]
fn the_environment_overrides_how_a_directory_is_opened() {
    run_child("CS_DIRECT_IO", &[("CS_DIRECT_IO", "off")]);
    run_child("CS_IO", &[("CS_IO", "syscalls")]);
}
