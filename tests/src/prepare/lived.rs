//! What a life is made of, and what it leaves: what was meant, what was
//! acknowledged, and what others saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sim::{SimDisk, SimImage};
use cs_kv::{ChangeFeed, Effect, Error, KeepChanges, StoreOptions};

use super::ledger::Ledger;

/// What becomes of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Commit,
    RollBack,
    /// Nobody decides it.
    Wait,
    /// With resources, all of whom prepare.
    Together,
    /// One of them refuses.
    Refused,
    /// One of them is not there to hear of the decision.
    Away,
}

/// What was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fact {
    Prepared(String),
    Committed(String),
    RolledBack(String),
    /// An ordinary commit of this key.
    Wrote(Vec<u8>),
}

/// One transaction, as it was meant.
#[derive(Clone, Debug)]
pub(super) struct Meant {
    pub(super) fate: Fate,
    /// A tree that it makes.
    pub(super) makes: Option<TreeId>,
    /// It locks what it read.
    pub(super) locks_range: bool,
}

impl Meant {
    pub(super) fn has_resources(&self) -> bool {
        matches!(self.fate, Fate::Together | Fate::Refused | Fate::Away)
    }
}

/// A place of whoever follows the changes.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: usize,
    pub(super) token: String,
    /// Keys put by commits shown since the place before.
    pub(super) keys: Vec<Vec<u8>>,
}

/// What a life left behind.
pub(super) struct Lived {
    /// The disk at its beginning; the life is `disk`'s journal.
    pub(super) image: SimImage,
    pub(super) disk: Arc<SimDisk>,
    pub(super) tree: TreeId,
    pub(super) meant: BTreeMap<String, Meant>,
    /// With the number of events before each.
    pub(super) facts: Vec<(usize, Fact)>,
    pub(super) ledgers: [Ledger; 2],
    pub(super) seen: Vec<Seen>,
    pub(super) fired: Option<u64>,
    /// One of its transactions takes several records.
    pub(super) is_large: bool,
}

pub(super) fn options(is_large: bool) -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = if is_large { 64 << 20 } else { 256 << 10 };
    options.checkpoint_log_bytes = 64 << 10;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options.log.segment_bytes_min = 32 << 10;
    options.log.segment_bytes_max = 64 << 10;
    // Buffers of the usual size cost more than all else that a state does.
    options.log.group_bytes_max = 16 << 10;
    options.log.groups_in_flight = 2;
    options.auto_compact = None;
    options.keep_changes = Some(KeepChanges {
        max_bytes: 64 << 20,
        max_age: std::time::Duration::from_secs(3600),
    });
    options
}

/// The two keys that a transaction writes, and the beginning of those that it reads.
pub(super) fn keys_of(gid: &str) -> ([Vec<u8>; 2], Vec<u8>) {
    let key = |what: &str| format!("{what}-{gid}").into_bytes();
    ([key("one"), key("two")], key("read"))
}

/// Whoever follows the changes: the next, until there is none.
pub(super) fn follow(feed: &mut ChangeFeed, tree: TreeId) -> Result<Vec<Vec<u8>>, Error> {
    let mut keys = Vec::new();
    while let Some(change) = feed.next()? {
        for effect in change.effects()? {
            if let Effect::Put { tree: of, key, .. } = effect?
                && of == tree
            {
                keys.push(key.to_vec());
            }
        }
    }
    Ok(keys)
}
