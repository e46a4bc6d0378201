//! How a store behaves.

use std::time::Duration;

use cs_pager::DEFAULT_PAGE_SIZE;
use cs_wal::LogOptions;

use crate::error::{Error, Result};

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Acknowledged means on disk.
    #[default]
    Sync,
    /// On disk within the flush interval.
    Async,
    /// For a commit: logged, never waited for. For a store: there is no log,
    /// and what was written since the last checkpoint is lost with the process.
    Memory,
}

/// Options of a store; the defaults are right for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreOptions {
    /// Bytes a page, a power of two from 4,096 to 65,536; only for a new store.
    pub page_size: u32,
    /// Memory for pages, in bytes.
    pub cache_bytes: u64,
    /// What a commit survives unless it says otherwise; unless told `Sync`, or
    /// `Memory` for a store that was made without a log.
    pub durability: Option<Durability>,
    /// The longest that an `Async` commit stays unsynced.
    pub flush_interval: Duration,
    /// A checkpoint begins when the log has grown by so many bytes since the last.
    pub checkpoint_log_bytes: u64,
    /// Segments and groups of the log.
    pub log: LogOptions,
    /// Nothing may be changed.
    pub read_only: bool,
    /// Make a store where there is none.
    pub create: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            page_size: DEFAULT_PAGE_SIZE,
            cache_bytes: 256 * 1024 * 1024,
            durability: None,
            flush_interval: Duration::from_secs(1),
            checkpoint_log_bytes: 64 * 1024 * 1024,
            log: LogOptions::default(),
            read_only: false,
            create: true,
        }
    }
}

impl StoreOptions {
    /// Refuses options that no store could have.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] names the option, what was expected and what was found.
    pub fn check(&self) -> Result<()> {
        if !cs_pager::format::valid_page_size(self.page_size) {
            return Err(Error::InvalidOption(format!(
                "page_size: expected a power of two from 4096 to 65536, found {}",
                self.page_size
            )));
        }
        if self.checkpoint_log_bytes == 0 || self.cache_bytes == 0 {
            return Err(Error::InvalidOption(
                "cache_bytes and checkpoint_log_bytes must be more than 0".into(),
            ));
        }
        Ok(())
    }
}

/// How one commit is made.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CommitOptions {
    /// What it survives; the store's durability unless told.
    pub durability: Option<Durability>,
    /// Makes the commit happen at most once: see [`SessionStatement`].
    pub session: Option<SessionStatement>,
}

impl CommitOptions {
    /// With this durability.
    #[must_use]
    pub fn with_durability(durability: Durability) -> Self {
        Self {
            durability: Some(durability),
            session: None,
        }
    }
}

/// The name of a commit that a client may send again: stored with the effects
/// in the same record. A second commit with the same session and a number that
/// is not higher is refused with what the first one stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStatement {
    /// Whose.
    pub session: [u8; 16],
    /// Which; grows within the session.
    pub number: u64,
    /// What to tell whoever asks again, at most [`MAX_RESULTS`](crate::limits::MAX_RESULTS) bytes.
    pub results: Vec<u8>,
}
