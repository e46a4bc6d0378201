//! How a database is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cs_kv::io::memory::MemoryDisk;
use cs_kv::io::overlay::OverlayDisk;
use cs_kv::io::sys::{DirectIo, SysDisk};
use cs_kv::io::uring::{IoChoice, open_best};
use cs_kv::io::{Disk, RealRuntime, Runtime};
use cs_kv::{
    AutoCompact, CompressionOptions, Durability, KeepChanges, ReadPath, SnapshotLimits, Store,
    StoreOptions,
};

use crate::database::Database;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::names::DEFAULT_DATABASE;

/// As often as MongoDB looks for documents that have expired.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);

/// Options for opening a database; the defaults are right for most.
///
/// ```
/// use collection_store::{Database, Durability};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("db");
/// let database = Database::options()
///     .cache_bytes(64 << 20)
///     .durability(Durability::Async)
///     .open(&path)?;
/// database.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct DatabaseOptions {
    pub(crate) store: StoreOptions,
    pub(crate) io: IoChoice,
    pub(crate) direct: DirectIo,
    pub(crate) expire_interval: Option<Duration>,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            store: StoreOptions::default(),
            io: IoChoice::default(),
            direct: DirectIo::Auto,
            expire_interval: Some(EXPIRE_INTERVAL),
        }
    }
}

impl DatabaseOptions {
    /// Bytes a page, a power of two from 4,096 to 65,536. Only a new database asks.
    pub fn page_size(mut self, bytes: u32) -> Self {
        self.store.page_size = bytes;
        self
    }

    /// Memory for pages, in bytes; 256 MiB unless told.
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.store.cache_bytes = bytes;
        self
    }

    /// How pages of the data file are read: into the pool unless told, or
    /// through a map of the file. [`ReadPath`] says what the map cannot promise.
    /// Where there is no map, the pool is used, and the figures say so.
    pub fn read_path(mut self, path: ReadPath) -> Self {
        self.store.read_path = path;
        self
    }

    /// What acknowledged writes survive, unless an operation says otherwise:
    /// `Sync` unless told. `Memory` means that there is no log; that is settled
    /// when a database is made, and one without a log opens without being told.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.store.durability = Some(durability);
        self
    }

    /// The longest that an `Async` write stays unsynced; one second unless told.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.store.flush_interval = interval;
        self
    }

    /// A checkpoint begins when the log has grown since the last by as many bytes
    /// as the data file has in use, but by this at least; 64 MiB unless told.
    pub fn checkpoint_log_bytes(mut self, bytes: u64) -> Self {
        self.store.checkpoint_log_bytes = bytes;
        self
    }

    /// … and by this at most: it bounds the time that a recovery takes; 512 MiB
    /// unless told.
    pub fn checkpoint_log_bytes_max(mut self, bytes: u64) -> Self {
        self.store.checkpoint_log_bytes_max = bytes;
        self
    }

    /// A checkpoint also begins after so long, if anything was written; five
    /// minutes unless told.
    pub fn checkpoint_interval(mut self, interval: Duration) -> Self {
        self.store.checkpoint_interval = interval;
        self
    }

    /// How much of the history is kept for change streams that go on after they
    /// were away, or the database was closed: bytes of log at most, and nothing
    /// older than `age`. Nothing beyond what checkpoints leave, unless told.
    pub fn keep_changes(mut self, bytes: u64, age: Duration) -> Self {
        self.store.keep_changes = Some(KeepChanges {
            max_bytes: bytes,
            max_age: age,
        });
        self
    }

    /// Bytes of log that one stream or listener which falls behind may keep; 256
    /// MiB unless told. Beyond, it is told that changes are lost.
    pub fn feed_log_bytes(mut self, bytes: u64) -> Self {
        self.store.feed_log_bytes = bytes;
        self
    }

    /// When queries, cursors and transactions are ended that keep old versions for too
    /// long ([`ErrorKind::SnapshotEvicted`]); never unless told.
    pub fn snapshot_limits(mut self, limits: SnapshotLimits) -> Self {
        self.store.snapshot_limits = limits;
        self
    }

    /// How long it is remembered how prepared transactions were decided; a week
    /// unless told.
    pub fn remember_decisions(mut self, time: Duration) -> Self {
        self.store.remember_decisions = time;
        self
    }

    /// What is compressed on its way to disk, and how; nothing unless told. It
    /// may change from one opening to the next: what is there is read with any.
    /// What it came to is in [`DatabaseStats::store`](crate::DatabaseStats::store).
    ///
    /// ```
    /// use collection_store::{Compression, CompressionOptions, Database};
    ///
    /// # let directory = tempfile::tempdir()?;
    /// let database = Database::options()
    ///     .compression(CompressionOptions::of(Compression::Auto))
    ///     .open(directory.path().join("db"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compression(mut self, compression: CompressionOptions) -> Self {
        self.store.compression = compression;
        self
    }

    /// When the database gives space back to the file system by itself: while
    /// nobody commits, once 30 % of its files and 8 MiB are not needed, unless
    /// told otherwise; with `None` never.
    pub fn auto_compact(mut self, when: Option<AutoCompact>) -> Self {
        self.store.auto_compact = when;
        self
    }

    /// How full pages are made when ascending keys come, in percent from 50 to
    /// 100; 96 unless told.
    pub fn fill_percent(mut self, percent: u8) -> Self {
        self.store.fill_percent = percent;
        self
    }

    /// How often the database looks by itself for documents that have expired (by an index
    /// with `expireAfterSeconds`, or the option `ttlField` of a collection) and deletes
    /// them; every 60 seconds unless told, with `None` never. The first time is when so
    /// much has passed since it was opened. [`Database::expire_now`] does it at once.
    pub fn expire_interval(mut self, interval: Option<Duration>) -> Self {
        self.expire_interval = interval;
        self
    }

    /// Whether a database is made where there is none; so unless told. If not,
    /// opening is an error there, and makes nothing.
    pub fn create(mut self, create: bool) -> Self {
        self.store.create = create;
        self
    }

    /// How input and output reach the system: [`io::uring`](crate::io::uring) has
    /// the choices.
    pub fn io(mut self, choice: IoChoice) -> Self {
        self.io = choice;
        self
    }

    /// Whether the data file may pass by the cache of the kernel, as it does
    /// where the system allows it unless told.
    pub fn direct_io(mut self, direct: DirectIo) -> Self {
        self.direct = direct;
        self
    }

    /// Opens the database in the directory `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::BadValue`]: an option makes no sense, and nothing was made.
    /// [`ErrorKind::Locked`], damage, or the system refused.
    pub fn open(self, path: impl AsRef<Path>) -> Result<Database> {
        let path = path.as_ref();
        self.store.check()?;
        let disk = open_best(path, self.store.create, self.io, self.direct)
            .map_err(|error| directory_error(path, error))?;
        if !self.store.create {
            // Before the lock, which is a file too.
            refuse_empty(&*disk).map_err(|error| directory_error(path, error))?;
        }
        self.open_on(disk, RealRuntime::new())
    }

    /// Opens a new, empty database in memory. It has no log and is gone with
    /// its last handle.
    ///
    /// # Errors
    /// An option makes no sense.
    pub fn open_in_memory(mut self) -> Result<Database> {
        self.store.durability = Some(Durability::Memory);
        self.open_on(MemoryDisk::new(), RealRuntime::new())
    }

    /// Opens the database in the directory `path` to look at it: takes no lock
    /// and changes no byte. What its log has beyond the last checkpoint is
    /// recovered in memory. Somebody else may have it open meanwhile; what is
    /// read then may fail as corrupt, and never is wrong.
    ///
    /// # Errors
    /// There is no database, damage, or the system refused.
    pub fn open_read_only(mut self, path: impl AsRef<Path>) -> Result<Database> {
        let path = path.as_ref();
        self.store.check()?;
        let disk = SysDisk::open_read_only(path).map_err(|error| directory_error(path, error))?;
        refuse_empty(&*disk).map_err(|error| directory_error(path, error))?;
        self.store.read_only = true;
        self.open_on(OverlayDisk::new(disk), RealRuntime::new())
    }

    /// Opens the database on a disk and a runtime of one's own: another
    /// storage, or a simulation.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::{Database, io};
    ///
    /// let disk = io::memory::MemoryDisk::new();
    /// let database = Database::options().open_on(disk.clone(), io::RealRuntime::new())?;
    /// database.collection("notes").insert_one(doc! { "_id": 1 })?;
    /// database.close()?;
    /// drop(database);
    ///
    /// // The disk is the caller's, and so is what was stored on it.
    /// let options = Database::options().create(false);
    /// let database = options.open_on(disk, io::RealRuntime::new())?;
    /// assert_eq!(database.collection("notes").count(doc! {})?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(self, disk: Arc<dyn Disk>, runtime: Arc<dyn Runtime>) -> Result<Database> {
        let read_only = self.store.read_only;
        if self.expire_interval.is_some_and(|it| it.is_zero()) {
            return Err(Error::bad_value("the option expire_interval is zero"));
        }
        let store = Store::open(disk, Arc::clone(&runtime), self.store)?;
        let environment = Environment::new(store, runtime, read_only, self.expire_interval);
        if environment.has_collections()? {
            // Some of them may expire; the first pass finds out.
            environment.expiry.start(&environment);
        }
        Ok(Database::new(environment, DEFAULT_DATABASE))
    }
}

fn refuse_empty(disk: &dyn Disk) -> std::io::Result<()> {
    if disk.list()?.is_empty() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "it is empty",
        ));
    }
    Ok(())
}

pub(crate) fn directory_error(path: &Path, error: std::io::Error) -> Error {
    let message = format!("directory '{}' cannot be used: {error}", path.display());
    Error::new(ErrorKind::Io, message).with_source(error)
}
