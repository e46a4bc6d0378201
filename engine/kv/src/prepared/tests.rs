use std::sync::Arc;
use std::sync::Mutex;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, RealRuntime};

use super::{Decision, ResourceError, TransactionResource};
use crate::batch::{Batch, Expect};
use crate::bulk::BulkOptions;
use crate::error::Error;
use crate::options::{CommitOptions, StoreOptions};
use crate::store::Store;
use crate::transaction::{Isolation, TransactionOptions};

fn open(disk: &Arc<MemoryDisk>) -> Store {
    let disk: Arc<dyn Disk> = disk.clone();
    Store::open(disk, RealRuntime::new(), StoreOptions::default()).unwrap()
}

fn fresh() -> (Arc<MemoryDisk>, Store, TreeId) {
    let disk = MemoryDisk::new();
    let store = open(&disk);
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    txn.put(tree, b"a".to_vec(), b"0".to_vec()).unwrap();
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    (disk, store, tree)
}

fn get(store: &Store, tree: TreeId, key: &[u8]) -> Option<Vec<u8>> {
    store.snapshot().unwrap().get(tree, key).unwrap()
}

fn put(store: &Store, tree: TreeId, key: &[u8]) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.put(tree, key.to_vec(), b"other".to_vec(), Expect::Any);
    store.write(&batch, &CommitOptions::default())?.wait()
}

fn prepare(store: &Store, tree: TreeId, gid: &str) {
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), gid.as_bytes().to_vec())
        .unwrap();
    txn.prepare(gid, &[]).unwrap();
}

fn is_held_by(outcome: Result<(), Error>, gid: &str) -> bool {
    match outcome {
        Err(error @ Error::Prepared { .. }) => {
            assert!(error.is_retryable());
            error.to_string().contains(gid)
        }
        _ => false,
    }
}

#[test]
fn a_prepared_transaction_is_decided_once_from_any_handle() {
    let (_, store, tree) = fresh();
    prepare(&store, tree, "g1");
    assert_eq!(get(&store, tree, b"a").as_deref(), Some(&b"0"[..]));
    let twin = store.clone();
    twin.commit_prepared("g1", &CommitOptions::default())
        .unwrap();
    assert_eq!(get(&store, tree, b"a").as_deref(), Some(&b"g1"[..]));
    for again in [
        store.commit_prepared("g1", &CommitOptions::default()),
        store.rollback_prepared("g1"),
    ] {
        let error = again.unwrap_err();
        assert!(
            matches!(
                error,
                Error::AlreadyDecided {
                    is_committed: true,
                    ..
                }
            ),
            "{error}"
        );
    }
    let decided = store.decision("g1").unwrap().unwrap();
    assert_eq!(decided.decision, Decision::Committed);
    prepare(&store, tree, "g2");
    store.rollback_prepared("g2").unwrap();
    assert_eq!(get(&store, tree, b"a").as_deref(), Some(&b"g1"[..]));
    assert!(store.list_prepared().unwrap().is_empty());
    let unknown = store.rollback_prepared("g3").unwrap_err();
    assert!(matches!(unknown, Error::NotPrepared { .. }), "{unknown}");
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"z".to_vec(), Vec::new()).unwrap();
    let taken = txn.prepare("g2", &[]).unwrap_err();
    assert!(matches!(taken, Error::NameTaken { .. }), "{taken}");
}

#[test]
fn its_keys_are_locked_until_it_is_decided_also_after_opening_again() {
    let (disk, store, tree) = fresh();
    prepare(&store, tree, "g1");
    assert!(is_held_by(put(&store, tree, b"a"), "g1"));
    put(&store, tree, b"b").unwrap();
    store.close().unwrap();
    drop(store);
    let store = open(&disk);
    assert!(is_held_by(put(&store, tree, b"a"), "g1"));
    let mut txn = store.begin().unwrap();
    txn.delete(tree, b"a".to_vec()).unwrap();
    let held = txn.commit(&CommitOptions::default()).map(drop);
    assert!(is_held_by(held, "g1"));
    let mut txn = store.begin().unwrap();
    txn.drop_tree(tree).unwrap();
    assert!(is_held_by(
        txn.commit(&CommitOptions::default()).map(drop),
        "g1"
    ));
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), Vec::new()).unwrap();
    assert!(is_held_by(txn.prepare("g2", &[]), "g1"));
    let entries = [Ok::<_, Error>((b"zz", b"v"))];
    let options = BulkOptions::default();
    let loaded = store.bulk_load(tree, entries, &options, &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
    assert!(is_held_by(loaded.map(drop), "g1"));
    assert_eq!(store.list_prepared().unwrap()[0].gid, "g1");
    store
        .commit_prepared("g1", &CommitOptions::default())
        .unwrap();
    put(&store, tree, b"a").unwrap();
    assert!(store.check().unwrap().findings.is_empty());
}

#[test]
fn what_a_serializable_one_read_stays_and_what_others_will_change_it_cannot_rely_on() {
    let (_, store, tree) = fresh();
    let serializable = TransactionOptions::with_isolation(Isolation::Serializable);
    let mut txn = store.begin_with(serializable).unwrap();
    assert_eq!(txn.get(tree, b"read").unwrap(), None);
    txn.put(tree, b"w".to_vec(), Vec::new()).unwrap();
    txn.prepare("g1", &[(tree, b"kept".to_vec())]).unwrap();
    for key in [&b"read"[..], b"w", b"kept"] {
        assert!(is_held_by(put(&store, tree, key), "g1"), "{key:?}");
    }
    put(&store, tree, b"reads").unwrap();
    let mut other = store.begin_with(serializable).unwrap();
    other.get(tree, b"w").unwrap();
    other.put(tree, b"x".to_vec(), Vec::new()).unwrap();
    assert!(is_held_by(other.prepare("g2", &[]), "g1"));
    store.rollback_prepared("g1").unwrap();
    put(&store, tree, b"read").unwrap();
}

#[test]
fn a_conflict_is_found_when_it_is_prepared() {
    let (_, store, tree) = fresh();
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), b"1".to_vec()).unwrap();
    put(&store, tree, b"a").unwrap();
    let conflict = txn.prepare("g1", &[]).unwrap_err();
    assert!(matches!(conflict, Error::Conflict { .. }), "{conflict}");
    assert!(store.list_prepared().unwrap().is_empty());
}

#[test]
fn trees_that_it_makes_and_drops_are_made_and_dropped_when_it_is_committed() {
    let (disk, store, tree) = fresh();
    let mut txn = store.begin().unwrap();
    let made = txn.create_tree();
    txn.put(made, b"k".to_vec(), vec![5; 9_000_000]).unwrap();
    txn.drop_tree(tree).unwrap();
    txn.prepare("g1", &[]).unwrap();
    assert!(is_held_by(put(&store, tree, b"a"), "g1"));
    assert!(store.list_prepared().unwrap()[0].bytes > 9_000_000);
    drop(store);
    let store = open(&disk);
    assert_ne!(store.new_tree_id(), made, "its id is not given again");
    store
        .commit_prepared("g1", &CommitOptions::default())
        .unwrap();
    assert_eq!(
        get(&store, made, b"k").map(|value| value.len()),
        Some(9_000_000)
    );
    assert!(matches!(
        put(&store, tree, b"a"),
        Err(Error::UnknownTree(_))
    ));
}

/// Remembers what it was told; refuses what it is made to refuse.
#[derive(Default)]
struct Ledger {
    name: &'static str,
    refuses: bool,
    is_away: Mutex<bool>,
    told: Mutex<Vec<String>>,
}

impl Ledger {
    fn told(&self) -> String {
        self.told.lock().unwrap().join(" ")
    }

    fn hear(&self, what: &str) -> Result<(), ResourceError> {
        if *self.is_away.lock().unwrap() {
            return Err("it is away".into());
        }
        self.told.lock().unwrap().push(what.to_owned());
        Ok(())
    }
}

impl TransactionResource for Ledger {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(&format!("prepare:{gid}"))?;
        if self.refuses {
            return Err("no funds".into());
        }
        Ok(())
    }

    fn finalize(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(&format!("finalize:{gid}"))
    }

    fn rollback(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(&format!("rollback:{gid}"))
    }
}

fn ledger(name: &'static str) -> Ledger {
    Ledger {
        name,
        ..Ledger::default()
    }
}

#[test]
fn resources_commit_with_the_store_or_nobody_does() {
    let (_, store, tree) = fresh();
    let (one, two) = (ledger("one"), ledger("two"));
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), b"1".to_vec()).unwrap();
    let options = CommitOptions::default();
    let done = txn
        .commit_with_resources("g1", &[&one, &two], &options)
        .unwrap();
    assert!(done.untold.is_empty());
    assert_eq!(one.told(), "prepare:g1 finalize:g1");
    assert_eq!(get(&store, tree, b"a").as_deref(), Some(&b"1"[..]));
    let refusing = Ledger {
        refuses: true,
        ..ledger("two")
    };
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), b"2".to_vec()).unwrap();
    let refused = txn
        .commit_with_resources("g2", &[&one, &refusing], &options)
        .unwrap_err();
    assert!(
        matches!(refused, Error::ResourceRefused { .. }),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains("'two' would not prepare: no funds")
    );
    assert_eq!(one.told(), "prepare:g1 finalize:g1 prepare:g2 rollback:g2");
    assert_eq!(refusing.told(), "prepare:g2 rollback:g2");
    assert_eq!(get(&store, tree, b"a").as_deref(), Some(&b"1"[..]));
    put(&store, tree, b"a").unwrap();
}

#[test]
fn who_was_away_is_told_later_also_after_opening_again() {
    let (disk, store, tree) = fresh();
    /// Promises, and is not there when the decision is made.
    struct Leaves(Ledger);
    impl TransactionResource for Leaves {
        fn name(&self) -> &str {
            self.0.name
        }
        fn prepare(&self, gid: &str) -> Result<(), ResourceError> {
            self.0.prepare(gid)?;
            *self.0.is_away.lock().unwrap() = true;
            Ok(())
        }
        fn finalize(&self, gid: &str) -> Result<(), ResourceError> {
            self.0.finalize(gid)
        }
        fn rollback(&self, gid: &str) -> Result<(), ResourceError> {
            self.0.rollback(gid)
        }
    }
    let (one, two) = (ledger("one"), Leaves(ledger("two")));
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), b"1".to_vec()).unwrap();
    let done = txn
        .commit_with_resources("g1", &[&one, &two], &CommitOptions::default())
        .unwrap();
    assert_eq!(done.untold, ["two"]);
    drop(store);
    let store = open(&disk);
    let untold = store.untold_resources().unwrap();
    assert_eq!(
        (untold[0].gid.as_str(), untold[0].decision),
        ("g1", Decision::Committed)
    );
    assert_eq!(
        store.tell_resources(&[&one, &two]).unwrap().len(),
        1,
        "it is still away"
    );
    *two.0.is_away.lock().unwrap() = false;
    assert!(store.tell_resources(&[&one, &two]).unwrap().is_empty());
    assert_eq!(two.0.told(), "prepare:g1 finalize:g1");
    assert_eq!(one.told(), "prepare:g1 finalize:g1", "once is enough");
}

#[test]
fn a_coordinator_that_ended_before_its_decision_has_rolled_back() {
    let (disk, store, tree) = fresh();
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), b"1".to_vec()).unwrap();
    // What commit_with_resources does first; then the process ends.
    txn.prepare_for("g1", &[], &["one".into()]).unwrap();
    prepare_other(&store, tree);
    drop(store);
    let store = open(&disk);
    let untold = store.untold_resources().unwrap();
    assert_eq!(untold.len(), 1);
    assert_eq!(
        (untold[0].gid.as_str(), untold[0].decision),
        ("g1", Decision::RolledBack)
    );
    let one = ledger("one");
    assert!(store.tell_resources(&[&one]).unwrap().is_empty());
    assert_eq!(one.told(), "rollback:g1");
    put(&store, tree, b"a").unwrap();
    let waiting = store.list_prepared().unwrap();
    assert_eq!(waiting.len(), 1, "one that others decide waits on");
    assert_eq!(waiting[0].gid, "other");
}

fn prepare_other(store: &Store, tree: TreeId) {
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"other".to_vec(), Vec::new()).unwrap();
    txn.prepare("other", &[]).unwrap();
}

#[test]
fn names_and_lists_of_resources_that_cannot_be_are_refused() {
    let (_, store, tree) = fresh();
    for gid in ["", &"g".repeat(201)] {
        let mut txn = store.begin().unwrap();
        txn.put(tree, b"a".to_vec(), Vec::new()).unwrap();
        assert!(txn.prepare(gid, &[]).is_err());
    }
    let (one, twin) = (ledger("one"), ledger("one"));
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), Vec::new()).unwrap();
    let twice = txn.commit_with_resources("g", &[&one, &twin], &CommitOptions::default());
    assert!(matches!(twice, Err(Error::Refused(_))));
    let mut batch = Batch::new();
    batch.put(
        crate::system::PREPARED,
        b"x".to_vec(),
        Vec::new(),
        Expect::Any,
    );
    assert!(store.write(&batch, &CommitOptions::default()).is_err());
}

#[test]
fn old_decisions_are_forgotten_unless_somebody_has_to_be_told() {
    let disk = MemoryDisk::new();
    let options = StoreOptions {
        remember_decisions: std::time::Duration::ZERO,
        ..StoreOptions::default()
    };
    let store = Store::open(disk, RealRuntime::new(), options).unwrap();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let away = Ledger {
        is_away: Mutex::new(true),
        ..ledger("one")
    };
    let mut txn = store.begin().unwrap();
    txn.put(tree, b"a".to_vec(), Vec::new()).unwrap();
    let away: &dyn TransactionResource = &away;
    let refused = txn.commit_with_resources("kept", &[away], &CommitOptions::default());
    assert!(matches!(refused, Err(Error::ResourceRefused { .. })));
    for round in 0..10 {
        let gid = format!("g{round}");
        prepare(&store, tree, &gid);
        store.rollback_prepared(&gid).unwrap();
    }
    assert!(store.decision("kept").unwrap().is_some());
    assert!(store.decision("g0").unwrap().is_none());
    let stats = store
        .snapshot()
        .unwrap()
        .tree_stats(crate::system::DECIDED)
        .unwrap()
        .unwrap();
    assert!(stats.count <= 6, "{} entries", stats.count);
}
