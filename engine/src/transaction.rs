//! Transactions over any number of collections.
//!
//! | file | what |
//! |---|---|
//! | `transaction.rs` | the handle, and how a database gives one out |
//! | `retry.rs` | `with_transaction`: commit, roll back, try again |
//! | `session.rs` | a transaction under way, as its collections use it |
//! | `registry.rs` | those under way, by id |
//! | `kept.rs` | what is kept of sessions |
//! | `two_phase.rs` | prepared transactions, and stores of the caller's own |
//!
//! A collection that is taken from a transaction reads and writes in it, with the
//! same methods as any other.

mod kept;
mod registry;
mod retry;
pub(crate) mod session;
mod two_phase;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cs_kv::{CommitOptions, Durability, Isolation, SessionStatement};

use crate::collection::Collection;
use crate::database::Database;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::names::Namespace;

pub(crate) use kept::last_of;
pub(crate) use registry::Registry;
pub(crate) use retry::pause;
use session::{End, Session};

/// How long a transaction may take, unless told.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How a transaction is made.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransactionOptions {
    /// What it may not notice of others; `Snapshot` unless told.
    pub isolation: Isolation,
    /// After so long it is rolled back; 30 s unless told. For
    /// [`with_transaction`](Database::with_transaction) all attempts together.
    pub timeout: Duration,
    /// What its commit survives; that of the database unless told.
    pub durability: Option<Durability>,
    /// Makes the commit happen at most once, however often it is sent.
    pub statement: Option<SessionStatement>,
}

impl Default for TransactionOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::Snapshot,
            timeout: TIMEOUT,
            durability: None,
            statement: None,
        }
    }
}

impl TransactionOptions {
    /// The usual ones.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this isolation.
    #[must_use]
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = isolation;
        self
    }

    /// Rolled back after so long.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With this durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// As this statement of a session.
    #[must_use]
    pub fn statement(mut self, statement: SessionStatement) -> Self {
        self.statement = Some(statement);
        self
    }

    fn commit_options(&self) -> CommitOptions {
        let mut options = CommitOptions::default();
        options.durability = self.durability;
        options.session.clone_from(&self.statement);
        options
    }
}

/// A place in a transaction to go back to.
pub use cs_kv::Savepoint;

/// A transaction that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TransactionInfo {
    /// Its id.
    pub id: u64,
    /// How long ago it began.
    pub age: Duration,
    /// What it may not notice of others.
    pub isolation: Isolation,
    /// Bytes of its changes so far.
    pub bytes: u64,
}

/// A transaction: reads one state and its own writes, and commits all of them or
/// none. Dropping it rolls it back, unless it was [detached](Self::detach).
///
/// ```
/// use bson::doc;
/// use collection_store::Database;
///
/// let database = Database::open_in_memory()?;
/// let transaction = database.begin()?;
/// transaction.collection("orders").insert_one(doc! { "_id": 1, "item": "tea" })?;
/// let savepoint = transaction.set_savepoint()?;
/// transaction.collection("orders").delete_one(doc! { "_id": 1 })?;
/// transaction.roll_back_to(savepoint)?;
/// assert_eq!(database.collection("orders").count(doc! {})?, 0, "nobody sees it yet");
/// transaction.commit()?;
/// assert_eq!(database.collection("orders").count(doc! {})?, 1);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    environment: Arc<Environment>,
    database: Arc<str>,
    session: Arc<Session>,
    options: TransactionOptions,
    /// Others may go on with it.
    detached: bool,
}

impl Transaction {
    /// Its id, good for [`Database::transaction`] for as long as it is under way.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.session.id
    }

    /// What it may not notice of others.
    #[must_use]
    pub fn isolation(&self) -> Isolation {
        self.session.isolation
    }

    /// A collection of the database it was begun in. All that is done with it is
    /// part of the transaction; an operation that fails leaves the transaction as
    /// it is, but for what a batch did before.
    #[must_use]
    pub fn collection(&self, name: &str) -> Collection {
        self.collection_in(&self.database, name)
    }

    /// A collection of any database of the same directory.
    #[must_use]
    pub fn collection_in(&self, database: &str, name: &str) -> Collection {
        let namespace = Namespace {
            database: database.into(),
            collection: name.into(),
        };
        let environment = Arc::clone(&self.environment);
        Collection::new(environment, namespace).within(Arc::clone(&self.session))
    }

    /// Sets a savepoint: they nest.
    ///
    /// # Errors
    /// The transaction has ended.
    pub fn set_savepoint(&self) -> Result<Savepoint> {
        self.session.with(|store| Ok(store.set_savepoint()))
    }

    /// Takes back what was written since the savepoint, which stays.
    ///
    /// # Errors
    /// The savepoint is gone, or the transaction has ended.
    pub fn roll_back_to(&self, savepoint: Savepoint) -> Result<()> {
        self.session.with(|store| store.roll_back_to(savepoint))
    }

    /// Forgets the savepoint; what was written since stays.
    ///
    /// # Errors
    /// As [`roll_back_to`](Self::roll_back_to).
    pub fn release(&self, savepoint: Savepoint) -> Result<()> {
        self.session.with(|store| store.release(savepoint))
    }

    /// Commits, and waits until that is acknowledged.
    ///
    /// # Errors
    /// [`Error::is_retryable`]: another was first; begin anew. The transaction has
    /// ended before, or the commit failed: nothing of it has happened then, but for
    /// [`ErrorKind::OutcomeUnknown`].
    pub fn commit(self) -> Result<()> {
        self.end(End::Committed, |taken, options| {
            taken.store.commit(options)?.wait()
        })
    }

    /// Gives up all that was written.
    ///
    /// # Errors
    /// The transaction has ended before.
    pub fn rollback(self) -> Result<()> {
        self.end(End::RolledBack, |_, _| Ok(()))
    }

    /// Lets others go on with it, under its id, when this handle is gone.
    #[must_use = "the id is the only way to it"]
    pub fn detach(mut self) -> u64 {
        self.detached = true;
        self.environment.transactions.detach(&self.session);
        self.session.id
    }

    /// Ends it for all handles.
    fn end<R>(
        mut self,
        end: End,
        work: impl FnOnce(session::Taken, &CommitOptions) -> cs_kv::Result<R>,
    ) -> Result<R> {
        // The database may have been closed meanwhile.
        self.environment.store()?;
        let taken = self.session.take(end)?;
        self.detached = false;
        self.environment.transactions.remove(self.session.id);
        match work(taken, &self.options.commit_options()) {
            Ok(result) => Ok(result),
            // The collection was dropped since the snapshot: try again without it.
            Err(cs_kv::Error::UnknownTree(_)) => Err(Error::new(
                ErrorKind::Conflict,
                "write conflict: a collection that the transaction used was dropped",
            )),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.detached {
            self.session.roll_back();
            self.environment.transactions.remove(self.session.id);
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("id", &self.session.id)
            .field("isolation", &self.session.isolation)
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Begins a transaction with the usual options.
    ///
    /// # Errors
    /// The database is read-only, was closed, or has failed.
    pub fn begin(&self) -> Result<Transaction> {
        self.begin_with(&TransactionOptions::default())
    }

    /// Begins a transaction.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_with(&self, options: &TransactionOptions) -> Result<Transaction> {
        let environment = Arc::clone(self.environment());
        let mut begin = cs_kv::TransactionOptions::default();
        begin.isolation = options.isolation;
        let store = environment.writable()?.begin_with(begin)?;
        let registry = &environment.transactions;
        let id = registry.next_id();
        let session = Session::new(id, store, &environment.runtime, options.timeout);
        registry.add(&session);
        Ok(Transaction {
            database: self.name().into(),
            session,
            options: options.clone(),
            detached: false,
            environment,
        })
    }

    /// Another handle to a transaction that was [detached](Transaction::detach).
    /// Dropping it does not roll the transaction back.
    ///
    /// # Errors
    /// [`ErrorKind::NoSuchTransaction`]: it has ended, or never was.
    pub fn transaction(&self, id: u64) -> Result<Transaction> {
        self.transaction_with(id, &TransactionOptions::default())
    }

    /// [`transaction`](Self::transaction), to be committed with these options; its
    /// isolation and timeout are those it was begun with.
    ///
    /// # Errors
    /// As [`transaction`](Self::transaction).
    pub fn transaction_with(&self, id: u64, options: &TransactionOptions) -> Result<Transaction> {
        let environment = Arc::clone(self.environment());
        environment.store()?;
        let session = environment.transactions.find(id).ok_or_else(|| {
            let message = format!("there is no transaction {id}");
            Error::new(ErrorKind::NoSuchTransaction, message)
        })?;
        Ok(Transaction {
            database: self.name().into(),
            session,
            options: options.clone(),
            detached: true,
            environment,
        })
    }

    /// Forgets the last [statement](crate::OperationContext::statement) of a session
    /// that nobody will send again; returns whether there was one. What sessions keep
    /// (at most 64 KiB each) stays until then.
    ///
    /// # Errors
    /// The database is read-only, or the commit failed: then it is still known.
    pub fn forget_session(&self, session: &[u8; 16]) -> Result<bool> {
        Ok(self.environment().writable()?.forget_session(session)?)
    }

    /// The transactions that are under way, oldest first.
    ///
    /// # Errors
    /// The database was closed.
    pub fn list_transactions(&self) -> Result<Vec<TransactionInfo>> {
        self.environment().store()?;
        let active = self.environment().transactions.active().into_iter();
        let info = active.map(|session| TransactionInfo {
            id: session.id,
            age: session.age(),
            isolation: session.isolation,
            bytes: session.bytes(),
        });
        Ok(info.collect())
    }
}
