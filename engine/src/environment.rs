//! What all handles of an open database share.
//!
//! | state | where it hangs |
//! |---|---|
//! | collections and their options | the catalog tree, hence the root |
//! | cache of catalog entries | here; may be dropped at any time |
//! | generator of object ids | here; starts anew at each open |
//! | transactions under way | here: each has a snapshot, and changes that nobody else sees |
//! | which multikey markers are written | the trees of indexes; what is known of it here may be dropped at any time |
//! | bulk loads under way | here: no index is begun meanwhile |
//! | counters since open, figures of the program, thresholds | here |
//! | plans of filters, by shape | here; may be dropped at any time |
//! | who deletes what has expired | here, on a thread with an environment of its own |
//! | numbers for documents, taken and not given yet | here: what is left at the end is never given; the counters hang off the root |
//! | functions that stored rules name, and steps of migrations | here: the process registers them anew |
//! | listeners, and who wants to be told what was before | here; their places in the history are of this process |
//!
//! An environment *as of* a named snapshot has the state of that, reads nothing else
//! and refuses to be written to; so whatever reads through an environment reads a
//! named snapshot just as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cs_kv::io::{ForkMark, Runtime};
use cs_kv::{Housekeeping, Snapshot, Store, Transaction, system};

use crate::catalog::{Catalog, Entry, key_of};
use crate::changes::{Listeners, Wanting};
use crate::error::{Error, ErrorKind, Result};
use crate::expiry::Expiry;
use crate::filter::{Filter, PlanCache};
use crate::functions::Functions;
use crate::index::{Loads, Markers};
use crate::input::IntoFilter;
use crate::migration::Migrations;
use crate::monitor::Monitor;
use crate::names::Namespace;
use crate::object_ids::ObjectIds;
use crate::sequences::Sequences;
use crate::stats::Counters;
use crate::surroundings::Surroundings;
use crate::transaction::Registry;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Environment {
    // Before the store, so that they are gone before it is.
    pub(crate) expiry: Expiry,
    pub(crate) listeners: Listeners,
    pub(crate) wanting: Arc<Wanting>,
    store: Store,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) object_ids: ObjectIds,
    pub(crate) counters: Arc<Counters>,
    pub(crate) monitor: Arc<Monitor>,
    pub(crate) filters: PlanCache,
    pub(crate) transactions: Registry,
    pub(crate) markers: Arc<Markers>,
    pub(crate) loads: Loads,
    pub(crate) functions: Arc<Functions>,
    pub(crate) migrations: Arc<Migrations>,
    pub(crate) sequences: Sequences,
    as_of: Option<AsOf>,
    read_only: bool,
    closed: AtomicBool,
    fork: ForkMark,
    this: Weak<Self>,
}

/// The one state that an environment has, and where the newest is.
#[derive(Debug)]
struct AsOf {
    name: Arc<str>,
    snapshot: Snapshot,
    live: Arc<Environment>,
}

impl Environment {
    /// `expire_interval` is how often it is looked for documents that have expired.
    pub(crate) fn new(
        store: Store,
        runtime: Arc<dyn Runtime>,
        read_only: bool,
        expire_interval: Option<Duration>,
    ) -> Arc<Self> {
        let environment = Self::make(Self {
            expiry: Expiry::new(expire_interval),
            read_only,
            ..Self::over(store, runtime)
        });
        let housekeeping: Weak<Self> = Arc::downgrade(&environment);
        environment.store.attach(housekeeping);
        environment
    }

    /// The environment of what a named snapshot holds.
    pub(crate) fn as_of(self: &Arc<Self>, name: &str, snapshot: Snapshot) -> Arc<Self> {
        let as_of = AsOf {
            name: name.into(),
            snapshot,
            live: Arc::clone(self),
        };
        Self::make(Self {
            counters: Arc::clone(&self.counters),
            monitor: Arc::clone(&self.monitor),
            functions: Arc::clone(&self.functions),
            migrations: Arc::clone(&self.migrations),
            as_of: Some(as_of),
            read_only: true,
            ..Self::over(self.store.clone(), Arc::clone(&self.runtime))
        })
    }

    /// Another environment of the same state, for a thread of the database: it keeps the
    /// store open, so whoever drops this one waits for the thread.
    pub(crate) fn worker(&self) -> Arc<Self> {
        Self::make(Self {
            wanting: Arc::clone(&self.wanting),
            catalog: Arc::clone(&self.catalog),
            counters: Arc::clone(&self.counters),
            monitor: Arc::clone(&self.monitor),
            markers: Arc::clone(&self.markers),
            functions: Arc::clone(&self.functions),
            migrations: Arc::clone(&self.migrations),
            read_only: self.read_only,
            ..Self::over(self.store.clone(), Arc::clone(&self.runtime))
        })
    }

    fn over(store: Store, runtime: Arc<dyn Runtime>) -> Self {
        Self {
            expiry: Expiry::new(None),
            listeners: Listeners::default(),
            wanting: Arc::default(),
            store,
            object_ids: ObjectIds::new(Arc::clone(&runtime)),
            runtime,
            catalog: Arc::default(),
            counters: Arc::default(),
            monitor: Arc::default(),
            filters: PlanCache::default(),
            transactions: Registry::default(),
            markers: Arc::default(),
            loads: Loads::default(),
            functions: Arc::default(),
            migrations: Arc::default(),
            sequences: Sequences::default(),
            as_of: None,
            read_only: false,
            closed: AtomicBool::new(false),
            fork: ForkMark::new(),
            this: Weak::new(),
        }
    }

    fn make(environment: Self) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            ..environment
        })
    }

    /// The store, unless the database was closed, or opened by a parent process.
    pub(crate) fn store(&self) -> Result<&Store> {
        if let Some(as_of) = &self.as_of {
            return as_of.live.store();
        }
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
        self.newest_only("a write")?;
        if self.read_only {
            let message = "the database was opened for reading only";
            return Err(Error::new(ErrorKind::ReadOnly, message));
        }
        self.store()
    }

    /// Refuses what makes no sense as of a named snapshot.
    pub(crate) fn newest_only(&self, what: &str) -> Result<()> {
        let Some(as_of) = &self.as_of else {
            return Ok(());
        };
        let name = &as_of.name;
        let message =
            format!("{what} is not possible as of the snapshot '{name}', which is read only");
        Err(Error::new(ErrorKind::ReadOnly, message))
    }

    /// Whether the database was opened for reading only.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether there is any collection.
    pub(crate) fn has_collections(&self) -> Result<bool> {
        let catalog = self.state()?.tree_stats(system::CATALOG)?;
        Ok(catalog.is_some_and(|catalog| catalog.count > 0))
    }

    /// What expressions of an operation that begins now see.
    pub(crate) fn surroundings(&self) -> Surroundings {
        let now_ms = i64::try_from(self.runtime.unix_ms()).unwrap_or(i64::MAX);
        Surroundings::at(now_ms)
    }

    /// A filter that knows the time, compiled with a plan that is known where
    /// its like was seen before.
    pub(crate) fn filter(&self, filter: impl IntoFilter) -> Result<Filter> {
        let filter = filter.into_filter()?;
        let filter = filter.with_variables(self.surroundings().variables());
        filter.prepare(&self.filters);
        Ok(filter)
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
        self.expiry.stop();
        if self.read_only {
            return Ok(());
        }
        Ok(self.store.close()?)
    }

    /// The newest state, or the one that it is as of.
    pub(crate) fn state(&self) -> Result<Snapshot> {
        let store = self.store()?;
        Ok(match &self.as_of {
            Some(as_of) => as_of.snapshot.clone(),
            None => store.snapshot()?,
        })
    }

    /// That state, and the collection's entry in it.
    pub(crate) fn snapshot(&self, namespace: &Namespace) -> Result<(Snapshot, Option<Entry>)> {
        let store = self.store()?;
        let take = || match &self.as_of {
            Some(as_of) => Ok(as_of.snapshot.clone()),
            None => store.snapshot(),
        };
        self.catalog.with(namespace, take, |snapshot| snapshot)
    }

    /// A write transaction on the newest state, and the collection's entry in it.
    pub(crate) fn begin(&self, namespace: &Namespace) -> Result<(Transaction, Option<Entry>)> {
        let store = self.writable()?;
        let begun = self
            .catalog
            .with(namespace, || store.begin(), Transaction::snapshot);
        // What it writes relies on the collection having these indexes.
        begun.map(|(mut transaction, entry)| {
            transaction.keep(system::CATALOG, &key_of(namespace));
            (transaction, entry)
        })
    }

    /// The collection's newest entry, if it has rules.
    pub(crate) fn ruled_entry(&self, namespace: &Namespace) -> Result<Option<Entry>> {
        if self.as_of.is_some() {
            let entry = self.snapshot(namespace)?.1;
            return Ok(entry.filter(|entry| entry.rules.is_some()));
        }
        self.catalog.ruled(self.store()?, namespace)
    }

    /// The collection's newest entry.
    pub(crate) fn entry(&self, namespace: &Namespace) -> Result<Option<Entry>> {
        if self.as_of.is_some() {
            return Ok(self.snapshot(namespace)?.1);
        }
        self.catalog.entry(self.store()?, namespace)
    }
}

impl Housekeeping for Environment {
    fn step(&self) -> bool {
        let expired = self.transactions.expire();
        let Some(this) = self.this.upgrade() else {
            return expired;
        };
        expired | self.listeners.step(&this) | self.expiry.step(&this)
    }
}
