//! The root: one state of the whole database.

use std::sync::Arc;

use cs_base::{HybridTime, Incarnation, Index, Lsn, Term, TreeId};
use cs_pager::{ROOT_PAYLOAD, RootRecord};

use crate::error::{Error, Result};
use crate::tree_root::{TREE_ROOT, TreeRoot, system};

/// A sealed state: what a snapshot reads and a checkpoint writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// As a meta would have it.
    pub(crate) record: RootRecord,
    /// Root of the directory.
    pub(crate) directory: TreeRoot,
    /// The next tree id that was never given.
    pub(crate) next_tree: u32,
}

/// Where in the log a state stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogPosition {
    pub(crate) lsn: Lsn,
    pub(crate) chain: u32,
    pub(crate) incarnation: Incarnation,
    pub(crate) term: Term,
    pub(crate) index: Index,
    pub(crate) time: HybridTime,
}

impl LogPosition {
    pub(crate) fn of(record: &RootRecord) -> Self {
        Self {
            lsn: record.lsn,
            chain: record.chain,
            incarnation: record.log_incarnation,
            term: record.term,
            index: record.index,
            time: record.time,
        }
    }

    pub(crate) fn write(&self, record: &mut RootRecord) {
        record.lsn = self.lsn;
        record.chain = self.chain;
        record.log_incarnation = self.incarnation;
        record.term = self.term;
        record.index = self.index;
        record.time = self.time;
    }
}

/// Bytes of the payload in use: the directory's root and the next tree id.
const USED: usize = TREE_ROOT + 4;

const _: () = assert!(USED <= ROOT_PAYLOAD);

impl Root {
    /// Reads what a meta says.
    pub(crate) fn decode(record: &RootRecord) -> Result<Self> {
        let payload = &record.payload;
        if record.payload == [0; ROOT_PAYLOAD] {
            let next_tree = system::FIRST_USER;
            return Ok(Self {
                record: *record,
                directory: TreeRoot::default(),
                next_tree,
            });
        }
        let directory = TreeRoot::decode(system::DIRECTORY, &payload[..TREE_ROOT])?;
        let mut raw = [0; 4];
        raw.copy_from_slice(&payload[TREE_ROOT..USED]);
        let next_tree = u32::from_le_bytes(raw);
        if next_tree < system::FIRST_USER || payload[USED..].iter().any(|&byte| byte != 0) {
            return Err(Error::Damaged("payload of the root record".into()));
        }
        Ok(Self {
            record: *record,
            directory,
            next_tree,
        })
    }

    /// The state for a root record whose other fields are filled in.
    pub(crate) fn seal(mut record: RootRecord, directory: TreeRoot, next_tree: u32) -> Arc<Self> {
        record.payload = [0; ROOT_PAYLOAD];
        record.payload[..TREE_ROOT].copy_from_slice(&directory.encode());
        record.payload[TREE_ROOT..USED].copy_from_slice(&next_tree.to_le_bytes());
        Arc::new(Self {
            record,
            directory,
            next_tree,
        })
    }
}

/// Whether `tree` is one that is there without having been made.
pub(crate) fn is_system(tree: TreeId) -> bool {
    tree.0 < system::FIRST_USER
}
