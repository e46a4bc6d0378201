//! A resource that remembers what it was told, and when.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use cs_io::sim::SimDisk;
use cs_kv::{ResourceError, TransactionResource};

/// What a resource is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
    Prepare,
    Finalize,
    RollBack,
}

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// Events of the disk before it.
    pub(super) at: usize,
    pub(super) gid: String,
    pub(super) word: Word,
}

/// A store of the caller's; its own memory is never lost.
#[derive(Debug)]
pub(super) struct Ledger {
    pub(super) name: &'static str,
    disk: Arc<SimDisk>,
    pub(super) calls: RefCell<Vec<Call>>,
    /// It says no to the next that it is to prepare.
    pub(super) refuses: Cell<bool>,
    /// It is not there when the next decision is made.
    pub(super) leaves: Cell<bool>,
    pub(super) is_away: Cell<bool>,
}

impl Ledger {
    pub(super) fn new(name: &'static str, disk: &Arc<SimDisk>, calls: Vec<Call>) -> Self {
        Self {
            name,
            disk: Arc::clone(disk),
            calls: RefCell::new(calls),
            refuses: Cell::new(false),
            leaves: Cell::new(false),
            is_away: Cell::new(false),
        }
    }

    fn hear(&self, gid: &str, word: Word) -> Result<(), ResourceError> {
        if self.is_away.get() {
            return Err("it is away".into());
        }
        self.calls.borrow_mut().push(Call {
            at: self.disk.event_count(),
            gid: gid.to_owned(),
            word,
        });
        Ok(())
    }

    /// What it was told of one transaction.
    pub(super) fn told(&self, gid: &str) -> Vec<Word> {
        let calls = self.calls.borrow();
        let of_gid = calls.iter().filter(|call| call.gid == gid);
        of_gid.map(|call| call.word).collect()
    }
}

impl TransactionResource for Ledger {
    fn name(&self) -> &str {
        self.name
    }

    fn prepare(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(gid, Word::Prepare)?;
        if self.refuses.take() {
            return Err("no funds".into());
        }
        self.is_away.set(self.leaves.take());
        Ok(())
    }

    fn finalize(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(gid, Word::Finalize)
    }

    fn rollback(&self, gid: &str) -> Result<(), ResourceError> {
        self.hear(gid, Word::RollBack)
    }
}
