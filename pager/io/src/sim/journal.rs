//! What happened to a simulated disk, in order.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::WriteMode;

/// A file, whatever its name is at the moment (an inode, so to speak).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileNumber(pub u32);

/// An operation that has a beginning and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operation(pub u64);

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A new, empty file.
    Create {
        /// Its name.
        name: Arc<str>,
        /// Its number, never used before.
        file: FileNumber,
    },
    /// A name is gone.
    Remove {
        /// The name.
        name: Arc<str>,
        /// The file that had it.
        file: FileNumber,
    },
    /// A file has another name; whatever had that name has none.
    Rename {
        /// The old name.
        from: Arc<str>,
        /// The new name.
        to: Arc<str>,
        /// The file.
        file: FileNumber,
    },
    /// A file was cut or extended.
    SetLen {
        /// The file.
        file: FileNumber,
        /// Its new length in bytes.
        len: u64,
    },
    /// Space was reserved, and the file extended over it.
    Allocate {
        /// The file.
        file: FileNumber,
        /// Where the range starts.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// A write began.
    WriteStart {
        /// Which one.
        operation: Operation,
        /// The file.
        file: FileNumber,
        /// Where the bytes really go: elsewhere than asked for if misdirected.
        offset: u64,
        /// The bytes that really arrive: fewer than asked for if short or lost.
        bytes: Arc<[u8]>,
        /// What was asked for.
        mode: WriteMode,
    },
    /// A write ended.
    WriteEnd {
        /// Which one.
        operation: Operation,
        /// Whether the bytes are there to be read.
        landed: bool,
        /// Whether the caller was told that all went well; only then is a
        /// durable write durable.
        ok: bool,
    },
    /// A sync began: it covers what ended before.
    SyncStart {
        /// Which one.
        operation: Operation,
        /// The file.
        file: FileNumber,
    },
    /// A sync ended.
    SyncEnd {
        /// Which one.
        operation: Operation,
        /// Whether it succeeded.
        ok: bool,
    },
    /// The directory was synced.
    DirSync {
        /// Whether it succeeded.
        ok: bool,
    },
    /// A note of the test, such as "commit 7 was acknowledged".
    Mark(u64),
}

/// All events since a disk was made or booted.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    events: Vec<Event>,
}

impl Journal {
    /// The events, oldest first.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether nothing has happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// A number that two runs share if, as good as only if, they did the same.
    #[must_use]
    pub fn hash(&self) -> u64 {
        // With fixed keys: the same in every process.
        let mut hasher = DefaultHasher::new();
        self.events.hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }
}
