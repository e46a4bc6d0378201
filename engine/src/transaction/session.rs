//! A transaction under way, as all handles to it share it.
//!
//! ## Invariants
//! * It is active until it is committed, rolled back, prepared, or out of time;
//!   then it says which, and what it held is free.
//! * What is read through it is what the store's transaction reads: its snapshot
//!   and its own writes, the catalog included.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bson::RawDocumentBuf;
use cs_kv::base::TreeId;
use cs_kv::io::Runtime;
use cs_kv::{Isolation, KeyRange, TransactionEntries, system};
use parking_lot::Mutex;

use crate::catalog::{Entry, decode_entry, key_of};
use crate::error::{Error, ErrorKind, Result};
use crate::names::Namespace;

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    RolledBack,
    Prepared,
    TimedOut,
}

#[derive(Debug)]
enum State {
    Active(Box<Active>),
    Ended(End),
}

#[derive(Debug)]
struct Active {
    store: cs_kv::Transaction,
    /// Catalog keys of the collections that it used.
    used: BTreeSet<Vec<u8>>,
    /// Entries by the bytes that they were made of: making one costs.
    entries: HashMap<Vec<u8>, Entry>,
}

/// What a transaction that ends leaves to whoever ends it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) store: cs_kv::Transaction,
    /// Catalog keys of the collections that it used.
    pub(crate) used: Vec<(TreeId, Vec<u8>)>,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: u64,
    pub(crate) isolation: Isolation,
    runtime: Arc<dyn Runtime>,
    began: Duration,
    deadline: Duration,
    timeout: Duration,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(
        id: u64,
        store: cs_kv::Transaction,
        runtime: &Arc<dyn Runtime>,
        timeout: Duration,
    ) -> Arc<Self> {
        let began = runtime.monotonic();
        Arc::new(Self {
            id,
            isolation: store.isolation(),
            runtime: Arc::clone(runtime),
            began,
            deadline: began.saturating_add(timeout),
            timeout,
            state: Mutex::new(State::Active(Box::new(Active {
                store,
                used: BTreeSet::new(),
                entries: HashMap::new(),
            }))),
        })
    }

    /// How long ago it began.
    pub(crate) fn age(&self) -> Duration {
        self.runtime.monotonic().saturating_sub(self.began)
    }

    /// Ends it if its time is over; says whether it is active.
    pub(crate) fn expire(&self) -> bool {
        let mut state = self.state.lock();
        if matches!(*state, State::Active(_)) && self.runtime.monotonic() >= self.deadline {
            *state = State::Ended(End::TimedOut);
        }
        matches!(*state, State::Active(_))
    }

    fn ended(&self, end: End) -> Error {
        let id = self.id;
        match end {
            End::Committed => Error::new(
                ErrorKind::TransactionEnded,
                format!("transaction {id} was committed"),
            )
            .with_code(256),
            End::RolledBack => Error::new(
                ErrorKind::TransactionEnded,
                format!("transaction {id} was rolled back"),
            ),
            End::Prepared => Error::new(
                ErrorKind::TransactionEnded,
                format!("transaction {id} is prepared and waits for its decision"),
            )
            .with_code(267),
            End::TimedOut => Error::new(
                ErrorKind::TransactionTimedOut,
                format!(
                    "transaction {id} took longer than {:?} and was rolled back",
                    self.timeout
                ),
            ),
        }
    }

    /// Does something with the store's transaction.
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&mut cs_kv::Transaction) -> cs_kv::Result<R>,
    ) -> Result<R> {
        self.expire();
        match &mut *self.state.lock() {
            State::Active(active) => Ok(work(&mut active.store)?),
            State::Ended(end) => Err(self.ended(*end)),
        }
    }

    /// Takes it out, to end it as `end`.
    pub(crate) fn take(&self, end: End) -> Result<Taken> {
        self.expire();
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, State::Ended(end)) {
            State::Active(active) => {
                let used = active.used.into_iter().map(|key| (system::CATALOG, key));
                Ok(Taken {
                    used: used.collect(),
                    store: active.store,
                })
            }
            State::Ended(before) => {
                *state = State::Ended(before);
                Err(self.ended(before))
            }
        }
    }

    /// Ends it, if it is active.
    pub(crate) fn roll_back(&self) {
        let mut state = self.state.lock();
        if matches!(*state, State::Active(_)) {
            *state = State::Ended(End::RolledBack);
        }
    }

    // ---- what collections ask for ----

    /// The collection's entry as the transaction sees it.
    pub(crate) fn entry(&self, namespace: &Namespace) -> Result<Option<Entry>> {
        namespace.check()?;
        let key = key_of(namespace);
        let stored = self.with(|store| store.get(system::CATALOG, &key))?;
        let Some(stored) = stored else {
            return Ok(None);
        };
        let State::Active(active) = &mut *self.state.lock() else {
            return decode_entry(&key, &stored).map(Some);
        };
        let known = active.entries.get(&key).filter(|known| {
            let kept = known.kept.as_ref();
            kept.is_some_and(|kept| *kept.value == *stored)
        });
        if let Some(known) = known {
            return Ok(Some(known.clone()));
        }
        let entry = decode_entry(&key, &stored)?;
        active.used.insert(key.clone());
        active.entries.insert(key, entry.clone());
        Ok(Some(entry))
    }

    /// The collection's entry, made if there is none.
    pub(crate) fn entry_or_create(&self, namespace: &Namespace) -> Result<Entry> {
        if let Some(entry) = self.entry(namespace)? {
            return Ok(entry);
        }
        self.create(namespace, RawDocumentBuf::new())
    }

    /// Makes the collection, which the caller has found not to be there.
    pub(crate) fn create(&self, namespace: &Namespace, options: RawDocumentBuf) -> Result<Entry> {
        let key = key_of(namespace);
        let entry = self.with(|store| Ok(Entry::create(options, || store.create_tree())))??;
        self.with(|store| {
            store.tell_before(system::CATALOG)?;
            store.put(system::CATALOG, key, entry.encode())
        })?;
        Ok(entry)
    }

    pub(crate) fn count(&self, tree: TreeId) -> Result<u64> {
        self.with(|store| store.count(tree, &KeyRange::all()))
    }

    pub(crate) fn get(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.with(|store| store.get(tree, key))
    }

    pub(crate) fn entries(&self, tree: TreeId, range: KeyRange) -> Result<TransactionEntries> {
        self.with(|store| store.entries(tree, range, false))
    }

    /// [`entries`](Self::entries), descending.
    pub(crate) fn entries_back(&self, tree: TreeId, range: KeyRange) -> Result<TransactionEntries> {
        self.with(|store| store.entries(tree, range, true))
    }

    pub(crate) fn put(&self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.with(|store| store.put(tree, key, value))
    }

    /// The value before, changed in part.
    pub(crate) fn put_in_part(&self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.with(|store| store.put_in_part(tree, key, value))
    }

    pub(crate) fn tell_before(&self, tree: TreeId) -> Result<()> {
        self.with(|store| store.tell_before(tree))
    }

    pub(crate) fn delete(&self, tree: TreeId, key: Vec<u8>) -> Result<()> {
        self.with(|store| store.delete(tree, key))
    }

    pub(crate) fn keep(&self, tree: TreeId, key: &[u8]) -> Result<()> {
        self.with(|store| {
            store.keep(tree, key);
            Ok(())
        })
    }

    /// Index of the last commit that its snapshot has.
    pub(crate) fn index(&self) -> Result<u64> {
        self.with(|store| Ok(store.snapshot().index().get()))
    }

    /// Bytes that its changes take; none once it has ended.
    pub(crate) fn bytes(&self) -> u64 {
        match &*self.state.lock() {
            State::Active(active) => active.store.bytes(),
            State::Ended(_) => 0,
        }
    }
}
