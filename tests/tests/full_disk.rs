//! Real file systems that are really full: a write is refused cleanly, nothing
//! is poisoned, reads and deletes go on, and space comes back.
//!
//! Needs the right to mount; where it is refused the tests say so and pass.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_io::{Disk, RealRuntime};
use cs_kv::{Batch, CommitOptions, Error, Expect, KeyRange, Store, StoreOptions};
use oorandom::Rand64;
use tempfile::TempDir;

const SEED: u64 = 20_264;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// An ext4 file system in a file; unmounted when dropped.
struct Mounted {
    directory: TempDir,
}

impl Mounted {
    /// None where mounting is refused.
    fn new(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let image = directory.path().join("image");
        File::create(&image)
            .unwrap()
            .set_len(mebibytes << 20)
            .unwrap();
        std::fs::create_dir(directory.path().join("mounted")).unwrap();
        let mounted = Self { directory };
        let mut make = Command::new("mkfs.ext4");
        make.args(["-q", "-F", "-m", "0"]).arg(&image);
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop"]).arg(&image).arg(mounted.path());
        for command in [&mut make, &mut mount] {
            let refused = match command.output() {
                Ok(output) if output.status.success() => continue,
                Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
                Err(error) => error.to_string(),
            };
            println!("skipped: {command:?}: {refused}");
            return None;
        }
        Some(mounted)
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("mounted")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Nothing is mounted after a refusal: then this fails, and may.
        let _ = Command::new("umount").arg("-q").arg(self.path()).output();
    }
}

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 4 * 1024 * 1024;
    options.checkpoint_log_bytes = 1024 * 1024;
    options.log.segment_bytes_min = 128 * 1024;
    options.log.segment_bytes_max = 1024 * 1024;
    options
}

fn open(path: &Path, choice: IoChoice) -> Store {
    let disk: Arc<dyn Disk> = open_best(&path.join("db"), true, choice, DirectIo::Auto).unwrap();
    Store::open(disk, RealRuntime::new(), options()).unwrap()
}

fn assert_sound(store: &Store) {
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
}

fn assert_holds(store: &Store, tree: TreeId, model: &Model) {
    let mut cursor = store
        .snapshot()
        .unwrap()
        .cursor(tree, KeyRange::all())
        .unwrap();
    for (key, value) in model {
        let found = cursor.next().unwrap();
        assert!(found == Some((key, value)), "{}", key.escape_ascii());
    }
    assert!(cursor.next().unwrap().is_none());
}

/// Puts and deletes that a commit makes together.
fn commit(store: &Store, tree: TreeId, changes: &Model, model: &mut Model) -> Result<(), Error> {
    let mut batch = Batch::new();
    for (key, value) in changes {
        batch.put(tree, key.clone(), value.clone(), Expect::Any);
    }
    store.write(&batch, &CommitOptions::default())?.wait()?;
    model.extend(changes.clone());
    Ok(())
}

fn entries(rng: &mut Rand64, round: u32, number: u32) -> Model {
    let entry = |part: u32| {
        let len = rng.rand_range(100..6_000) as usize;
        (
            format!("{round}/{number:06}/{part}").into_bytes(),
            vec![(number + part) as u8; len],
        )
    };
    (0..4).map(entry).collect()
}

/// Writes until the disk is full; returns how many commits it took.
fn fill(store: &Store, tree: TreeId, rng: &mut Rand64, round: u32, model: &mut Model) -> u32 {
    for number in 0..1_000_000 {
        let changes = entries(rng, round, number);
        match commit(store, tree, &changes, model) {
            Ok(()) => {}
            Err(error) => {
                assert!(error.is_no_space(), "after {number} commits: {error}");
                return number;
            }
        }
    }
    panic!("the disk is never full");
}

fn fill_empty_and_fill_again(mebibytes: u64, choice: IoChoice) {
    println!("seed {SEED}");
    let Some(mounted) = Mounted::new(mebibytes) else {
        return;
    };
    let mut rng = Rand64::new(u128::from(SEED));
    let mut model = Model::new();
    let mut store = open(&mounted.path(), choice);
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    store
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let mut commits = Vec::new();
    for round in 0..3 {
        commits.push(fill(&store, tree, &mut rng, round, &mut model));
        // Refused, not poisoned; a second try is refused as cleanly.
        assert_eq!(store.stats().poisoned, None);
        let large = Model::from([(b"large".to_vec(), vec![1; 2 << 20])]);
        let again = commit(&store, tree, &large, &mut Model::new()).unwrap_err();
        assert!(again.is_no_space(), "{again}");
        assert_holds(&store, tree, &model);
        assert_sound(&store);
        if round == 1 {
            // Full, and the process ends without closing: it opens again.
            drop(store);
            store = open(&mounted.path(), choice);
            assert_holds(&store, tree, &model);
        }
        delete_most(&store, tree, &mut rng, &mut model);
        assert_eq!(store.stats().poisoned, None);
        assert_holds(&store, tree, &model);
        assert_sound(&store);
    }
    println!("{mebibytes} MiB: {commits:?} commits until full");
    assert!(commits[0] > 50, "{commits:?}");
    // Most was deleted, so much of the space came back.
    assert!(
        commits[1..].iter().all(|&later| later > commits[0] / 4),
        "{commits:?}"
    );
    store.close().unwrap();
    drop(store);
    let store = open(&mounted.path(), choice);
    assert_holds(&store, tree, &model);
    assert_sound(&store);
}

/// Deletes three of four entries, a few in each commit, which a full disk must allow.
fn delete_most(store: &Store, tree: TreeId, rng: &mut Rand64, model: &mut Model) {
    let keys: Vec<Vec<u8>> = model
        .keys()
        .filter(|_| rng.rand_range(0..4) > 0)
        .cloned()
        .collect();
    for some in keys.chunks(16) {
        let mut batch = Batch::new();
        for key in some {
            batch.delete(tree, key.clone(), Expect::Present);
        }
        let deleted = store.write(&batch, &CommitOptions::default());
        deleted
            .and_then(|ticket| ticket.wait())
            .unwrap_or_else(|error| {
                panic!("a delete on a full disk: {error}; {:?}", store.stats());
            });
        some.iter().for_each(|key| drop(model.remove(key)));
    }
    store.checkpoint().unwrap();
    store.checkpoint().unwrap();
}

#[test]
fn eight_mebibytes_fill_up_empty_and_fill_up_again() {
    fill_empty_and_fill_again(8, IoChoice::Auto);
}

#[test]
fn eight_mebibytes_do_so_by_system_calls_too() {
    fill_empty_and_fill_again(8, IoChoice::Syscalls);
}

#[test]
fn sixty_four_mebibytes_fill_up_empty_and_fill_up_again() {
    fill_empty_and_fill_again(64, IoChoice::Auto);
}
