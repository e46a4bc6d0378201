//! A place in the history of a database that outlives the process.

use std::fmt;
use std::str::FromStr;

use cs_base::{FileId, Index, Term};

use crate::error::{Error, Result};

/// A place between two commits of one database: behind the one at `index`, and
/// the first `ordinal` effects of the next. Its text form can be kept anywhere.
///
/// ```
/// # use cs_io::{RealRuntime, memory::MemoryDisk};
/// # use cs_kv::{Store, StoreOptions};
/// # let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
/// let token = store.changes()?.position().to_string();
/// let position = token.parse()?;
/// let feed = store.changes_after(&position)?;
/// assert_eq!(feed.position(), position);
/// # Ok::<(), cs_kv::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangePosition {
    /// Which database: a restored backup is another one.
    pub database: FileId,
    /// Term of the commit at `index`.
    pub term: Term,
    /// Index of the last commit before the place.
    pub index: Index,
    /// Effects of the next commit that are before the place too.
    pub ordinal: u32,
}

impl ChangePosition {
    /// Refuses a place that means nothing in this database.
    pub(super) fn check(&self, database: &FileId, visible: Index) -> Result<()> {
        if self.database != *database {
            return Err(Error::ChangesLost(
                "the place is one of another database".into(),
            ));
        }
        if self.index > visible {
            return Err(Error::ChangesLost(format!(
                "the commit at index {} was lost: the newest is {visible}",
                self.index
            )));
        }
        Ok(())
    }
}

impl fmt::Display for ChangePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            database,
            term,
            index,
            ordinal,
        } = self;
        write!(f, "{:x}-{:x}-{:x}-{ordinal:x}", database.0, term.0, index.0)
    }
}

impl FromStr for ChangePosition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::ChangesLost(format!("'{text}' is no place in a history"));
        let mut parts = text.split('-');
        let mut number = || {
            let part = parts.next().ok_or_else(wrong)?;
            u64::from_str_radix(part, 16).map_err(|_| wrong())
        };
        let position = Self {
            database: FileId(number()?),
            term: Term(number()?),
            index: Index(number()?),
            ordinal: u32::try_from(number()?).map_err(|_| wrong())?,
        };
        if parts.next().is_some() {
            return Err(wrong());
        }
        Ok(position)
    }
}
