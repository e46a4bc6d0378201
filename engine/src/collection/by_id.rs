//! Changes of the one document that has an `_id`, judged where the commit is: however many
//! clients write it, none conflicts.

use std::sync::Arc;

use cs_kv::{Also, Batch, CommitOptions, Declined, Evaluate, Expect, Outcome};
use parking_lot::Mutex;

use super::Collection;
use super::indexing::index_also;
use super::write::{Change, Changed};
use crate::catalog::Entry;
use crate::error::{Error, Result};
use crate::index::Indexes;
use crate::rules::Judge;

/// What a change by `_id` came to.
pub(super) enum ById {
    Done(Changed),
    /// Another has a unique key of the new document, or the document went away just then.
    InTheWay,
    Failed(cs_kv::Error),
}

impl Collection {
    /// Whatever the document is by now, as long as it is there.
    pub(super) fn change_by_id(
        &self,
        entry: &Entry,
        key: &[u8],
        change: &Change,
        options: &CommitOptions,
    ) -> Result<ById> {
        self.check_version(entry)?;
        let mut batch = Batch::new();
        if let Some(kept) = &entry.kept {
            batch.keep(kept.clone());
        }
        if self.tells_before(entry) {
            batch.tell_before(entry.tree);
        }
        let tree = entry.tree;
        let evaluation = Arc::new(SetById {
            document: change.document().map(<[u8]>::to_vec),
            key: key.to_vec(),
            indexes: entry.indexes.clone(),
            judge: self.judge_of(entry),
            seen: Mutex::new(Ok(Changed::Nothing)),
        });
        // Without indexes and rules nothing depends on what is there.
        let is_blind = entry.indexes.is_empty() && entry.rules.is_none();
        if !is_blind {
            let evaluation: Arc<dyn Evaluate> = Arc::clone(&evaluation) as _;
            batch.evaluate(tree, key.to_vec(), evaluation);
        } else if let Some(document) = change.document() {
            batch.put(tree, key.to_vec(), document.to_vec(), Expect::Present);
        } else {
            batch.delete(tree, key.to_vec(), Expect::Present);
        }
        if matches!(change, Change::Update(_)) {
            batch.note_in_part();
        }
        let committed = self.environment.any_store().write_and_wait(batch, options);
        Ok(match committed {
            Ok(_) if is_blind => ById::Done(Changed::Written),
            Ok(_) => ById::Done(evaluation.take_seen()?),
            Err(cs_kv::Error::Expectation { .. }) if is_blind => ById::Done(Changed::Nothing),
            Err(cs_kv::Error::Expectation { .. }) => ById::InTheWay,
            Err(cs_kv::Error::Declined { .. }) => {
                evaluation.take_seen()?;
                ById::InTheWay
            }
            Err(error) => ById::Failed(error),
        })
    }
}

/// Puts a document in the place of what is there, or deletes that, with what it has in
/// the indexes.
#[derive(Debug)]
struct SetById {
    document: Option<Vec<u8>>,
    key: Vec<u8>,
    indexes: Indexes,
    judge: Option<Judge>,
    seen: Mutex<Result<Changed>>,
}

impl SetById {
    fn take_seen(&self) -> Result<Changed> {
        std::mem::replace(&mut *self.seen.lock(), Ok(Changed::Nothing))
    }
}

impl Evaluate for SetById {
    fn evaluate(&self, current: Option<&[u8]>) -> std::result::Result<Outcome, Declined> {
        self.evaluate_with(current, &mut Also::default())
    }

    fn evaluate_with(
        &self,
        current: Option<&[u8]>,
        also: &mut Also,
    ) -> std::result::Result<Outcome, Declined> {
        let Some(current) = current else {
            *self.seen.lock() = Ok(Changed::Nothing);
            return Ok(Outcome::Keep);
        };
        let new = self.document.as_deref();
        let judged = match (&self.judge, new) {
            (Some(judge), Some(new)) => judge.judge(Some(current), new),
            _ => Ok(()),
        };
        let indexed =
            judged.and_then(|()| index_also(&self.indexes, also, &self.key, Some(current), new));
        let failed = indexed.is_err();
        *self.seen.lock() = indexed.map(|()| Changed::Written);
        match new {
            _ if failed => Err(Declined),
            Some(new) => Ok(Outcome::Put(new.to_vec())),
            None => Ok(Outcome::Delete),
        }
    }
}

/// An answer that should be there is not.
pub(super) fn no_reason() -> Error {
    Error::new(
        crate::error::ErrorKind::Internal,
        "a write ended without a reason",
    )
}
