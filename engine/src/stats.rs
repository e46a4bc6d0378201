//! Figures of a database.

use std::sync::atomic::{AtomicU64, Ordering};

use cs_kv::{NamedSnapshot, StoreStats};

/// Counts since the database was opened.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) inserted: AtomicU64,
    pub(crate) replaced: AtomicU64,
    pub(crate) updated: AtomicU64,
    pub(crate) deleted: AtomicU64,
    pub(crate) queries: AtomicU64,
    pub(crate) examined: AtomicU64,
    pub(crate) returned: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) expiry_passes: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) expiry_passed_over: AtomicU64,
    pub(crate) expiry_failures: AtomicU64,
    pub(crate) validation_warnings: AtomicU64,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn expiry(&self) -> ExpiryStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExpiryStats {
            passes: get(&self.expiry_passes),
            deleted: get(&self.expired),
            passed_over: get(&self.expiry_passed_over),
            failures: get(&self.expiry_failures),
        }
    }

    pub(crate) fn read(&self) -> OperationStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        OperationStats {
            inserted: get(&self.inserted),
            replaced: get(&self.replaced),
            updated: get(&self.updated),
            deleted: get(&self.deleted),
            queries: get(&self.queries),
            examined: get(&self.examined),
            returned: get(&self.returned),
            retries: get(&self.retries),
            validation_warnings: get(&self.validation_warnings),
        }
    }
}

/// What operations did since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OperationStats {
    /// Documents inserted.
    pub inserted: u64,
    /// Documents replaced.
    pub replaced: u64,
    /// Documents modified by updates.
    pub updated: u64,
    /// Documents deleted.
    pub deleted: u64,
    /// Queries begun: finds, and the searches of counts, replacements and deletions.
    pub queries: u64,
    /// Documents that queries looked at.
    pub examined: u64,
    /// Documents that queries found.
    pub returned: u64,
    /// Writes tried again because another was first.
    pub retries: u64,
    /// How often a validator whose action is `warn` or `errorAndLog` did not accept a
    /// document; a write that is tried again is judged again.
    pub validation_warnings: u64,
}

/// What became of documents whose time was over, since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiryStats {
    /// How often it was looked for such documents, by the database itself or by
    /// [`Database::expire_now`](crate::Database::expire_now).
    pub passes: u64,
    /// Documents deleted because they had expired.
    pub deleted: u64,
    /// How often a document was left to the next pass, because another write to it was
    /// first, or a prepared transaction holds it.
    pub passed_over: u64,
    /// How often a pass had to leave out (the rest of) a collection because of an error.
    pub failures: u64,
}

/// Figures of one collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// Documents in it; exact.
    pub documents: u64,
    /// Bytes of its documents and their keys, before the pages' overhead.
    pub bytes: u64,
    /// An order-independent hash of all its documents: equal collections have equal ones.
    pub hash: u128,
}

/// Figures of the filters that operations were asked with, since the database
/// was opened. Filters that differ in nothing but operands have one shape, and
/// share its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilterStats {
    /// Shapes whose plans are kept.
    pub shapes: u64,
    /// Filters that were given the plan of another.
    pub reused: u64,
    /// Filters whose plan had to be made.
    pub planned: u64,
}

/// Figures of a database.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DatabaseStats {
    /// Collections of all databases in it.
    pub collections: u64,
    /// Documents in them.
    pub documents: u64,
    /// Bytes of documents and their keys.
    pub bytes: u64,
    /// Named snapshots, in order of name; what each keeps of the files says
    /// [`Database::list_snapshots`](crate::Database::list_snapshots).
    pub named_snapshots: Vec<NamedSnapshot>,
    /// What operations did.
    pub operations: OperationStats,
    /// Documents that expired.
    pub expiry: ExpiryStats,
    /// The filters that they were asked with.
    pub filters: FilterStats,
    /// Pages, log, commits, compression, input and output.
    pub store: StoreStats,
}
