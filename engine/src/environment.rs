//! What all handles of an open database share.
//!
//! | state | where it hangs |
//! |---|---|
//! | collections and their options | the catalog tree, hence the root |
//! | cache of catalog entries | here; may be dropped at any time |
//! | generator of object ids | here; starts anew at each open |
//! | transactions under way | here: each has a snapshot, and changes that nobody else sees |
//! | counters since open | here |
//! | listeners, and who wants to be told what was before | here; their places in the history are of this process |

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use cs_kv::io::{ForkMark, Runtime};
use cs_kv::{Housekeeping, Snapshot, Store, Transaction};

use crate::catalog::{Catalog, Entry};
use crate::changes::{Listeners, Wanting};
use crate::error::{Error, ErrorKind, Result};
use crate::names::Namespace;
use crate::object_ids::ObjectIds;
use crate::stats::Counters;
use crate::transaction::Registry;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Environment {
    // Before the store, so that they are gone before it is.
    pub(crate) listeners: Listeners,
    pub(crate) wanting: Arc<Wanting>,
    store: Store,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) catalog: Catalog,
    pub(crate) object_ids: ObjectIds,
    pub(crate) counters: Counters,
    pub(crate) transactions: Registry,
    read_only: bool,
    closed: AtomicBool,
    fork: ForkMark,
    this: Weak<Self>,
}

impl Environment {
    pub(crate) fn new(store: Store, runtime: Arc<dyn Runtime>, read_only: bool) -> Arc<Self> {
        let environment = Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            listeners: Listeners::default(),
            wanting: Arc::default(),
            store,
            object_ids: ObjectIds::new(Arc::clone(&runtime)),
            runtime,
            catalog: Catalog::default(),
            counters: Counters::default(),
            transactions: Registry::default(),
            read_only,
            closed: AtomicBool::new(false),
            fork: ForkMark::new(),
        });
        let housekeeping: Weak<Self> = Arc::downgrade(&environment);
        environment.store.attach(housekeeping);
        environment
    }

    /// The store, unless the database was closed, or opened by a parent process.
    pub(crate) fn store(&self) -> Result<&Store> {
        if self.fork.is_forked() {
            let message = "the database was opened before this process was forked off";
            return Err(Error::new(ErrorKind::Forked, message));
        }
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::Closed, "the database was closed"));
        }
        Ok(&self.store)
    }

    /// The store, if it may be written to.
    pub(crate) fn writable(&self) -> Result<&Store> {
        if self.read_only {
            let message = "the database was opened for reading only";
            return Err(Error::new(ErrorKind::ReadOnly, message));
        }
        self.store()
    }

    /// Whether the database was opened for reading only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The store, closed or not: for figures.
    pub(crate) fn any_store(&self) -> &Store {
        &self.store
    }

    /// Refuses all further operations and closes the store.
    pub(crate) fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        // Whoever waits for changes looks, and finds it closed.
        self.store.wake_followers();
        self.listeners.stop();
        if self.read_only {
            return Ok(());
        }
        Ok(self.store.close()?)
    }

    /// The newest state, and the collection's entry in it.
    pub(crate) fn snapshot(&self, namespace: &Namespace) -> Result<(Snapshot, Option<Entry>)> {
        let store = self.store()?;
        self.catalog
            .with(namespace, || store.snapshot(), |snapshot| snapshot)
    }

    /// A write transaction on the newest state, and the collection's entry in it.
    pub(crate) fn begin(&self, namespace: &Namespace) -> Result<(Transaction, Option<Entry>)> {
        let store = self.writable()?;
        self.catalog
            .with(namespace, || store.begin(), Transaction::snapshot)
    }

    /// The collection's newest entry.
    pub(crate) fn entry(&self, namespace: &Namespace) -> Result<Option<Entry>> {
        self.catalog.entry(self.store()?, namespace)
    }
}

impl Housekeeping for Environment {
    fn step(&self) -> bool {
        let expired = self.transactions.expire();
        let this = self.this.upgrade();
        expired | this.is_some_and(|this| self.listeners.step(&this))
    }
}
