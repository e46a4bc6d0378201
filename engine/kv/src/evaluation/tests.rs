use std::sync::Arc;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;

use super::{Also, Declined, Evaluate, Outcome};
use crate::batch::{Batch, Expect, Kept};
use crate::error::Error;
use crate::options::{CommitOptions, StoreOptions};
use crate::store::Store;

/// What it does depends on the length of the value.
#[derive(Debug)]
struct Grow(usize);

impl Evaluate for Grow {
    fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
        let len = current.map_or(0, <[u8]>::len);
        match len + self.0 {
            len if len > 10 => Err(Declined),
            7 => panic!("a bug of the caller's"),
            6 => Ok(Outcome::Delete),
            5 => Ok(Outcome::Keep),
            len => Ok(Outcome::Put(vec![1; len])),
        }
    }
}

fn grow(by: usize) -> Arc<dyn Evaluate> {
    Arc::new(Grow(by))
}

fn store() -> (Store, TreeId) {
    let store = Store::open(
        MemoryDisk::new(),
        RealRuntime::new(),
        StoreOptions::default(),
    );
    let store = store.unwrap();
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    batch.evaluate(tree, b"k".to_vec(), grow(1));
    write(&store, &batch).unwrap();
    (store, tree)
}

fn write(store: &Store, batch: &Batch) -> Result<cs_base::Index, Error> {
    let ticket = store.write(batch, &CommitOptions::default())?;
    ticket.wait()?;
    Ok(ticket.index())
}

fn len(store: &Store, tree: TreeId) -> Option<usize> {
    let value = store.snapshot().unwrap().get(tree, b"k").unwrap();
    value.map(|value| value.len())
}

fn evaluated(tree: TreeId, by: usize) -> Batch {
    let mut batch = Batch::new();
    batch.evaluate(tree, b"k".to_vec(), grow(by));
    batch
}

#[test]
fn an_evaluation_sees_earlier_operations_of_its_batch() {
    let (store, tree) = store();
    let mut batch = Batch::new();
    batch.put(tree, b"k".to_vec(), vec![0; 3], Expect::Present);
    batch.put(tree, b"l".to_vec(), vec![0; 9], Expect::Absent);
    batch.evaluate(tree, b"k".to_vec(), grow(1));
    batch.evaluate(tree, b"k".to_vec(), grow(4));
    write(&store, &batch).unwrap();
    assert_eq!(len(&store, tree), Some(8));
    let mut batch = Batch::new();
    batch.delete(tree, b"k".to_vec(), Expect::Present);
    batch.evaluate(tree, b"k".to_vec(), grow(2));
    write(&store, &batch).unwrap();
    assert_eq!(len(&store, tree), Some(2));
}

#[test]
fn one_that_declines_or_panics_leaves_everything_as_it_was() {
    let (store, tree) = store();
    for by in [20, 6] {
        let mut batch = Batch::new();
        batch.put(tree, b"other".to_vec(), vec![], Expect::Any);
        batch.evaluate(tree, b"k".to_vec(), grow(by));
        let error = write(&store, &batch).unwrap_err();
        assert!(matches!(error, Error::Declined { position: 1 }), "{error}");
    }
    assert_eq!(len(&store, tree), Some(1));
    assert_eq!(store.snapshot().unwrap().get(tree, b"other").unwrap(), None);
    write(&store, &evaluated(tree, 1)).unwrap();
    assert_eq!(len(&store, tree), Some(2), "the store goes on");
}

#[test]
fn a_statement_that_is_sent_again_hears_what_it_was_told_and_is_not_evaluated() {
    let (store, tree) = store();
    let mut options = CommitOptions::default();
    options.session = Some(crate::options::SessionStatement {
        session: [7; 16],
        number: 1,
        results: b"grown".to_vec(),
    });
    for batch in [evaluated(tree, 1), evaluated(tree, 20)] {
        let outcome = store
            .write(&batch, &options)
            .and_then(|ticket| ticket.wait());
        match outcome {
            Ok(()) => {}
            Err(Error::AlreadyApplied { number: 1, results }) => assert_eq!(results, b"grown"),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(len(&store, tree), Some(2));
}

#[test]
fn an_evaluation_may_delete_or_keep() {
    let (store, tree) = store();
    let before = store.snapshot().unwrap().index();
    assert_eq!(
        write(&store, &evaluated(tree, 4)).unwrap(),
        before,
        "nothing to log"
    );
    assert_eq!(len(&store, tree), Some(1));
    write(&store, &evaluated(tree, 5)).unwrap();
    assert_eq!(len(&store, tree), None);
    let unknown = write(&store, &evaluated(TreeId(99), 1)).unwrap_err();
    assert!(
        matches!(unknown, Error::UnknownTree(TreeId(99))),
        "{unknown}"
    );
}

/// Symptom: a refused batch named another operation than the one that did not hold.
/// Cause: an evaluation that keeps its key is left out, and places were counted
/// after that. Cure: the place in the caller's batch is told.
#[test]
fn a_refusal_names_the_place_in_the_batch_as_it_was_made() {
    let (store, tree) = store();
    let mut batch = Batch::new();
    batch.evaluate(tree, b"k".to_vec(), grow(4));
    batch.delete(tree, b"not there".to_vec(), Expect::Present);
    assert!(matches!(
        write(&store, &batch),
        Err(Error::Expectation { position: 1, .. })
    ));
}

#[test]
fn of_a_crowd_on_one_key_none_loses_and_none_is_lost() {
    #[derive(Debug)]
    struct Increment;
    impl Evaluate for Increment {
        fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
            let raw = current.map_or(Ok([0; 8]), <[u8; 8]>::try_from);
            let number = u64::from_le_bytes(raw.map_err(|_| Declined)?);
            Ok(Outcome::Put((number + 1).to_le_bytes().to_vec()))
        }
    }
    let (store, tree) = store();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let mut batch = Batch::new();
                    batch.evaluate(tree, b"n".to_vec(), Arc::new(Increment));
                    store
                        .write_and_wait(batch, &CommitOptions::default())
                        .unwrap();
                }
            });
        }
    });
    let value = store.snapshot().unwrap().get(tree, b"n").unwrap();
    assert_eq!(value, Some(1600_u64.to_le_bytes().to_vec()));
    assert_eq!(store.stats().conflicts, 0);
}

/// Counts its calls, and stores what they came to.
#[derive(Debug, Default)]
struct Counting(std::sync::atomic::AtomicU8);

impl Evaluate for Counting {
    fn evaluate(&self, current: Option<&[u8]>) -> std::result::Result<Outcome, Declined> {
        let before = current.map_or(0, |value| value[0]);
        self.0
            .store(before + 1, std::sync::atomic::Ordering::Relaxed);
        Ok(Outcome::Put(vec![before + 1]))
    }

    fn results(&self) -> Option<Vec<u8>> {
        Some(vec![self.0.load(std::sync::atomic::Ordering::Relaxed)])
    }
}

#[test]
fn a_statement_stores_what_its_evaluation_came_to() {
    let (store, tree) = store();
    for number in [1, 1, 2, 2] {
        let mut batch = Batch::new();
        batch.evaluate(tree, b"hot".to_vec(), Arc::new(Counting::default()));
        let mut options = CommitOptions::default();
        options.session = Some(crate::options::SessionStatement {
            session: [1; 16],
            number,
            results: Vec::new(),
        });
        if let Err(error) = store.write_and_wait(batch, &options) {
            let Error::AlreadyApplied {
                number: last,
                results,
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!((last, results), (number, vec![number as u8]));
        }
    }
    let value = store.snapshot().unwrap().get(tree, b"hot").unwrap();
    assert_eq!(value, Some(vec![2]));
    assert!(store.forget_session(&[1; 16]).unwrap());
}

/// Doubles its key's length in another tree, and expects that to be new.
#[derive(Debug)]
struct Mirror(TreeId);

impl Evaluate for Mirror {
    fn evaluate(&self, _: Option<&[u8]>) -> Result<Outcome, Declined> {
        Err(Declined)
    }

    fn evaluate_with(&self, current: Option<&[u8]>, also: &mut Also) -> Result<Outcome, Declined> {
        let len = current.map_or(0, <[u8]>::len);
        also.put(self.0, vec![1; len], Vec::new(), Expect::Absent);
        also.delete(self.0, vec![1; len.saturating_sub(1)], Expect::Any);
        Ok(Outcome::Put(vec![1; len + 1]))
    }
}

#[test]
fn what_an_evaluation_changes_beside_its_key_is_part_of_the_commit() {
    let (store, tree) = store();
    let other = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(other);
    batch.put(other, vec![1; 3], Vec::new(), Expect::Any);
    write(&store, &batch).unwrap();
    for expected in [2, 3] {
        let mut batch = Batch::new();
        batch.evaluate(tree, b"k".to_vec(), Arc::new(Mirror(other)));
        write(&store, &batch).unwrap();
        assert_eq!(len(&store, tree), Some(expected));
    }
    let mut batch = Batch::new();
    batch.put(tree, b"other".to_vec(), Vec::new(), Expect::Any);
    batch.evaluate(tree, b"k".to_vec(), Arc::new(Mirror(other)));
    let refused = write(&store, &batch).unwrap_err();
    assert!(
        matches!(refused, Error::Expectation { position: 1, .. }),
        "{refused}"
    );
    assert_eq!(len(&store, tree), Some(3), "nothing of it has happened");
    let keys = store.snapshot().unwrap().tree_stats(other).unwrap();
    assert_eq!(keys.unwrap().count, 2);
}

#[test]
fn a_commit_that_relies_on_a_value_is_refused_once_that_has_changed() {
    let (store, tree) = store();
    let snapshot = store.snapshot().unwrap();
    let kept = Kept {
        tree,
        hash: snapshot.tree_stats(tree).unwrap().unwrap().hash,
        key: Arc::from(*b"k"),
        value: snapshot.get(tree, b"k").unwrap().unwrap().into(),
    };
    let other = |kept: &Kept| {
        let mut batch = Batch::new();
        batch.keep(kept.clone());
        batch.put(tree, b"other".to_vec(), Vec::new(), Expect::Any);
        batch
    };
    write(&store, &other(&kept)).unwrap();
    write(&store, &other(&kept)).expect("the tree has changed, the key has not");
    let mut transaction = store.begin().unwrap();
    transaction.keep(tree, b"k");
    transaction
        .put(tree, b"third".to_vec(), Vec::new())
        .unwrap();
    write(&store, &evaluated(tree, 1)).unwrap();
    assert!(write(&store, &other(&kept)).unwrap_err().is_retryable());
    let refused = transaction.commit(&CommitOptions::default()).unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
}
