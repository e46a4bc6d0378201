//! What a store must hold: one map per tree, kept for every commit.
//!
//! Figures and hash sums are computed here anew from the documented formula,
//! not by the code under test.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_kv::{
    Batch, CommitOptions, Durability, Error, Expect, KeyRange, SessionStatement, Snapshot, Store,
    TreeStats,
};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::verdict::ensure;
use crate::{Failure, Verdict};

pub(crate) type Bytes = Arc<[u8]>;

/// One change of a commit.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Create(TreeId),
    Put(TreeId, Bytes, Bytes),
    Delete(TreeId, Bytes),
    Drop(TreeId),
    /// The commit is this statement of this session, and happens at most once.
    Statement(u8, u64),
}

/// What the commit of these changes asks for.
pub(crate) fn options_of(changes: &[Change], level: Durability) -> CommitOptions {
    let mut options = CommitOptions::with_durability(level);
    options.session = changes.iter().find_map(|change| match *change {
        Change::Statement(session, number) => Some(statement(session, number)),
        _ => None,
    });
    options
}

/// Statements tell whoever asks again something of their own.
fn statement(session: u8, number: u64) -> SessionStatement {
    SessionStatement {
        session: [session; 16],
        number,
        results: results_of(session, number),
    }
}

fn results_of(session: u8, number: u64) -> Vec<u8> {
    format!("statement {number} of session {session}").into_bytes()
}

/// The batch that makes these changes, whatever is there.
pub(crate) fn batch_of(changes: &[Change]) -> Batch {
    let mut batch = Batch::new();
    for change in changes {
        match change {
            Change::Create(tree) => batch.create_tree(*tree),
            Change::Put(tree, key, value) => {
                batch.put(*tree, key.to_vec(), value.to_vec(), Expect::Any);
            }
            Change::Delete(tree, key) => batch.delete(*tree, key.to_vec(), Expect::Any),
            Change::Drop(tree) => batch.drop_tree(*tree),
            Change::Statement(..) => {}
        }
    }
    batch
}

/// One tree.
#[derive(Clone, Debug, Default)]
pub(crate) struct TreeModel {
    pub(crate) entries: BTreeMap<Bytes, Bytes>,
    stats: TreeStats,
}

fn digest(key: &[u8], value: &[u8]) -> u128 {
    let key = xxh3_128(key);
    xxh3_128_with_seed(value, key as u64).wrapping_add(key.rotate_left(64))
}

impl TreeModel {
    fn put(&mut self, key: &Bytes, value: &Bytes) {
        self.delete(key);
        self.stats.count += 1;
        self.stats.bytes += (key.len() + value.len()) as u64;
        self.stats.hash = self.stats.hash.wrapping_add(digest(key, value));
        self.entries.insert(Arc::clone(key), Arc::clone(value));
    }

    fn delete(&mut self, key: &Bytes) {
        if let Some(old) = self.entries.remove(key) {
            self.stats.count -= 1;
            self.stats.bytes -= (key.len() + old.len()) as u64;
            self.stats.hash = self.stats.hash.wrapping_sub(digest(key, &old));
        }
    }
}

/// All trees after some commit. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) trees: BTreeMap<TreeId, Arc<TreeModel>>,
    /// Each session's newest statement.
    pub(crate) sessions: BTreeMap<u8, u64>,
    /// Named snapshots: the last commit that each sees.
    pub(crate) named: BTreeMap<String, u64>,
    /// Prepared transactions that nobody has decided.
    pub(crate) prepared: BTreeMap<String, Arc<Prepared>>,
    /// How the others were decided: whether to commit.
    pub(crate) decided: BTreeMap<String, bool>,
}

/// What a prepared transaction will do, and what it holds until it is decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) changes: Vec<Change>,
    /// Keys that nobody else may write.
    pub(crate) locked: Vec<(TreeId, Bytes)>,
}

/// The state after each commit, by its index; the empty one at 0.
pub(crate) type History = Vec<Arc<State>>;

impl State {
    /// The state after a commit.
    pub(crate) fn after(&self, changes: &[Change]) -> Self {
        let mut next = self.clone();
        for change in changes {
            next.apply(change);
        }
        next
    }

    /// Carries out one change.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(tree) => {
                self.trees.entry(*tree).or_default();
            }
            Change::Put(tree, key, value) => {
                if let Some(model) = self.trees.get_mut(tree) {
                    Arc::make_mut(model).put(key, value);
                }
            }
            Change::Delete(tree, key) => {
                if let Some(model) = self.trees.get_mut(tree) {
                    Arc::make_mut(model).delete(key);
                }
            }
            Change::Drop(tree) => {
                self.trees.remove(tree);
            }
            Change::Statement(session, number) => {
                self.sessions.insert(*session, *number);
            }
        }
    }

    /// Whether a prepared transaction needs the tree.
    pub(crate) fn is_locked(&self, tree: TreeId) -> bool {
        let mut locked = self.prepared.values().flat_map(|one| &one.locked);
        locked.any(|(of, _)| *of == tree)
    }

    pub(crate) fn get(&self, tree: TreeId, key: &[u8]) -> Option<&Bytes> {
        self.trees.get(&tree)?.entries.get(key)
    }

    /// Count, bytes and hash sum of each tree.
    pub(crate) fn figures(&self) -> Vec<(TreeId, TreeStats)> {
        let trees = self.trees.iter();
        trees.map(|(tree, model)| (*tree, model.stats)).collect()
    }

    /// Whether the snapshot holds exactly this: the figures first, then every
    /// key and value.
    pub(crate) fn compare(&self, snapshot: &Snapshot) -> Verdict {
        let found = snapshot.trees()?;
        let expected = self.figures();
        ensure(found == expected, || {
            format!(
                "at index {}: expected trees {expected:?}, found {found:?}",
                snapshot.index()
            )
        })?;
        for (&tree, model) in &self.trees {
            compare_entries(snapshot, tree, model).map_err(|failure| {
                failure.during(format_args!("tree {tree} at index {}", snapshot.index()))
            })?;
        }
        Ok(())
    }
}

fn compare_entries(snapshot: &Snapshot, tree: TreeId, model: &TreeModel) -> Verdict {
    let mut cursor = snapshot.cursor(tree, KeyRange::all())?;
    let mut expected = model.entries.iter();
    loop {
        let (found, expected) = (cursor.next()?, expected.next());
        match (found, expected) {
            (None, None) => return Ok(()),
            (Some((key, value)), Some((model_key, model_value))) => {
                ensure(key == model_key.as_ref(), || {
                    format!("expected key {}, found {}", show(model_key), show(key))
                })?;
                ensure(value == model_value.as_ref(), || {
                    format!(
                        "key {}: expected {}, found {}",
                        show(key),
                        show(model_value),
                        show(value)
                    )
                })?;
            }
            (found, expected) => {
                let found = found.map(|(key, _)| show(key));
                let expected = expected.map(|(key, _)| show(key));
                return Err(Failure(format!(
                    "expected key {expected:?}, found {found:?}"
                )));
            }
        }
    }
}

/// What a store may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) history: &'a [Arc<State>],
    /// Index of the newest commit that must be there.
    pub(crate) at_least: u64,
}

impl Expected<'_> {
    /// Whether the newest visible state of the store is one of the history's,
    /// wholly, and not older than `at_least`; returns its index.
    pub(crate) fn verify(&self, store: &Store) -> Verdict<u64> {
        let snapshot = store.snapshot()?;
        let index = snapshot.index().0;
        ensure(index >= self.at_least, || {
            format!(
                "commit {} was acknowledged, the store ends with {index}",
                self.at_least
            )
        })?;
        let state = usize::try_from(index)
            .ok()
            .and_then(|index| self.history.get(index));
        let state = state.ok_or_else(|| {
            Failure(format!(
                "the store ends with commit {index}, only {} were made",
                self.history.len() - 1
            ))
        })?;
        state.compare(&snapshot)?;
        Ok(index)
    }
}

/// Whether a statement that was carried out is refused, with what it said the
/// first time; the newest of its session stands for all.
pub(crate) fn refuses_again(store: &Store, session: u8, newest: u64) -> Verdict {
    let mut options = CommitOptions::default();
    options.session = Some(statement(session, newest));
    match store.write(&Batch::new(), &options) {
        Err(Error::AlreadyApplied { number, results })
            if number == newest && results == results_of(session, newest) =>
        {
            Ok(())
        }
        other => Err(Failure(format!(
            "statement {newest} of session {session} was carried out; sent again it got {:?}",
            other.map(|ticket| ticket.index())
        ))),
    }
}

/// The same for all sessions of a state, which is what the store holds.
pub(crate) fn check_sessions(store: &Store, state: &State) -> Verdict {
    let mut sessions = state.sessions.iter();
    sessions.try_for_each(|(&session, &newest)| refuses_again(store, session, newest))
}

/// Whether the store's own check finds nothing.
pub(crate) fn check(store: &Store) -> Verdict {
    let report = store.check()?;
    ensure(report.is_sound(), || {
        format!("check found {:?}", report.findings)
    })
}

fn show(bytes: &[u8]) -> String {
    let head: String = bytes
        .iter()
        .take(24)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{head} ({} bytes)", bytes.len())
}
