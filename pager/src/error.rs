//! What can go wrong with pages.

use std::io;

use cs_base::{PageId, Version};

/// Result of this crate.
pub type Result<T, E = PagerError> = std::result::Result<T, E>;

/// An error of the pager.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PagerError {
    /// The bytes of a page are not what was written there.
    #[error("page {page} is damaged: {what}, expected {expected}, found {found}")]
    Corrupt {
        /// The page.
        page: PageId,
        /// What was looked at.
        what: &'static str,
        /// What it should have been.
        expected: String,
        /// What it was.
        found: String,
    },
    /// The page is newer than the pointer that led to it. In a database that
    /// somebody else is writing this means: the reader was overtaken.
    #[error("page {page} is newer than its pointer: expected version {expected}, found {found}")]
    Overtaken {
        /// The page.
        page: PageId,
        /// Version in the pointer.
        expected: Version,
        /// Version in the page.
        found: Version,
    },
    /// The data file as a whole is not what was written.
    #[error("the data file is damaged: {0}")]
    Damaged(String),
    /// The data file is of a format or has features that this program does not know.
    #[error("the data file is not supported: {0}")]
    Unsupported(String),
    /// Something that was asked for is not possible.
    #[error("{0}")]
    InvalidOption(String),
    /// The disk is full. Nothing has changed.
    #[error("no space left for {pages} pages")]
    NoSpace {
        /// How many pages were asked for.
        pages: u64,
    },
    /// An earlier write or sync of the data file failed: nothing may be built
    /// on what is there now.
    #[error("an earlier write of the data file failed")]
    Failed,
    /// The system refused.
    #[error("i/o error on the data file, {doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
}

impl PagerError {
    pub(crate) fn corrupt(
        page: PageId,
        what: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) -> Self {
        Self::Corrupt {
            page,
            what,
            expected: expected.to_string(),
            found: found.to_string(),
        }
    }

    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// Whether bytes were found that nobody wrote.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(
            self,
            Self::Corrupt { .. } | Self::Overtaken { .. } | Self::Damaged(_)
        )
    }
}
