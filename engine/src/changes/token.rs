//! A place between two events.

use std::fmt;
use std::str::FromStr;

use cs_kv::ChangePosition;

use crate::error::{Error, Result};

/// MongoDB's `InvalidResumeToken`.
const INVALID_TOKEN: i32 = 260;
/// Ends the text of a token behind an `Invalidate` event.
const INVALIDATED: &str = "-invalidate";

/// A place in the history of a database, behind an event. Its text form may be
/// kept anywhere, and is good for as long as the history is kept.
///
/// ```
/// use bson::doc;
/// use collection_store::{Database, ResumeToken};
///
/// let database = Database::open_in_memory()?;
/// let token = database.watch()?.token().to_string();
/// let again: ResumeToken = token.parse()?;
/// assert_eq!(again.to_string(), token);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResumeToken {
    pub(super) position: ChangePosition,
    /// Behind the `Invalidate` event that the one at `position` brought.
    pub(super) invalidated: bool,
}

impl ResumeToken {
    pub(crate) fn at(position: ChangePosition) -> Self {
        Self {
            position,
            invalidated: false,
        }
    }

    /// Refuses a token that only [`start_after`](super::WatchOptions::start_after) takes.
    pub(super) fn check_resumable(&self) -> Result<()> {
        if !self.invalidated {
            return Ok(());
        }
        let message = "a stream cannot be resumed after an invalidate event, only started after it";
        Err(Error::bad_value(message).with_code(INVALID_TOKEN))
    }
}

impl fmt::Display for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.position.fmt(f)?;
        f.write_str(if self.invalidated { INVALIDATED } else { "" })
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (position, invalidated) = match text.strip_suffix(INVALIDATED) {
            Some(position) => (position, true),
            None => (text, false),
        };
        let position = position.parse().map_err(|error: cs_kv::Error| {
            let message = format!("'{text}' is no resume token");
            Error::bad_value(message)
                .with_code(INVALID_TOKEN)
                .with_source(error)
        })?;
        Ok(Self {
            position,
            invalidated,
        })
    }
}
