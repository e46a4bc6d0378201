//! An update and all that it depends on, and its evaluation where the commit is.

use std::sync::Arc;

use bson::{DateTime, RawDocument, RawDocumentBuf, Timestamp};
use cs_kv::{Also, Declined, Evaluate, Outcome};
use parking_lot::Mutex;

use super::UpdateResult;
use crate::collection::Collection;
use crate::collection::indexing::index_also;
use crate::collection::statement::encode;
use crate::collection::write::{Change, Changed};
use crate::error::Result;
use crate::filter::{Filter, IdBounds};
use crate::index::Indexes;
use crate::input::{IntoFilter, IntoUpdate};
use crate::rules::Judge;
use crate::update::{Applied, Update, UpdateContext, UpdateOptions};

/// An update and what it depends on, fixed before it is evaluated.
#[derive(Debug)]
pub(in crate::collection) struct Work {
    pub(in crate::collection) filter: Filter,
    update: Update,
    now: DateTime,
    timestamp: Timestamp,
}

impl Work {
    pub(in crate::collection) fn new(
        collection: &Collection,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<Arc<Self>> {
        let update = update.into_update()?.compile(options)?;
        let unix_ms = collection.environment.runtime.unix_ms();
        Ok(Arc::new(Self {
            filter: collection
                .environment
                .filter(collection.aware(filter.into_filter()?)?)?,
            update,
            now: DateTime::from_millis(i64::try_from(unix_ms).unwrap_or(i64::MAX)),
            timestamp: Timestamp {
                time: u32::try_from(unix_ms / 1000).unwrap_or(u32::MAX),
                increment: 1,
            },
        }))
    }

    /// The one key that the filter asks for, if it does.
    pub(super) fn single_key(&self) -> Result<Option<Vec<u8>>> {
        if self.update.is_replacement() {
            return Ok(None);
        }
        Ok(match self.filter.id_bounds()? {
            IdBounds::Keys(keys) if keys.len() == 1 => keys.into_iter().next(),
            _ => None,
        })
    }

    fn context(&self, position: Option<usize>, is_upsert_insert: bool) -> UpdateContext {
        UpdateContext {
            position,
            now: self.now,
            timestamp: self.timestamp,
            is_upsert_insert,
        }
    }

    /// What is inserted where nothing matches.
    pub(in crate::collection) fn upserted(&self) -> Result<RawDocumentBuf> {
        let base = self.update.upsert_base(&self.filter)?;
        let new = match self.update.apply(&base, &self.context(None, true))? {
            Applied::Unchanged => base.into_bytes(),
            Applied::Changed(new) => new,
        };
        Ok(RawDocumentBuf::from_bytes(new)?)
    }

    /// What becomes of a document that matches.
    pub(in crate::collection) fn change(&self, found: &[u8]) -> Result<Change> {
        let document = RawDocument::from_bytes(found)?;
        let needs_position = self.update.needs_position();
        let position = needs_position.then(|| self.filter.matched_position(document));
        let context = self.context(position.transpose()?.flatten(), false);
        Ok(match self.update.apply(document, &context)? {
            Applied::Unchanged => Change::None,
            Applied::Changed(new) if self.update.is_replacement() => Change::Put(new),
            Applied::Changed(new) => Change::Update(new),
        })
    }
}

/// The update of one document, by `_id`, where the commit is.
#[derive(Debug)]
pub(super) struct ById {
    work: Arc<Work>,
    key: Vec<u8>,
    indexes: Indexes,
    judge: Option<Judge>,
    seen: Mutex<Result<Changed>>,
}

impl ById {
    pub(super) fn new(
        work: &Arc<Work>,
        key: &[u8],
        indexes: &Indexes,
        judge: Option<Judge>,
    ) -> Self {
        Self {
            work: Arc::clone(work),
            key: key.to_vec(),
            indexes: indexes.clone(),
            judge,
            seen: Mutex::new(Ok(Changed::Nothing)),
        }
    }

    /// What it came to where it was evaluated last.
    pub(super) fn take_seen(&self) -> Result<Changed> {
        std::mem::replace(&mut *self.seen.lock(), Ok(Changed::Nothing))
    }
}

impl Evaluate for ById {
    fn evaluate(&self, current: Option<&[u8]>) -> std::result::Result<Outcome, Declined> {
        self.evaluate_with(current, &mut Also::default())
    }

    fn evaluate_with(
        &self,
        current: Option<&[u8]>,
        also: &mut Also,
    ) -> std::result::Result<Outcome, Declined> {
        let mut changed = |document| {
            let matches = self.work.filter.matches_bytes(document)?;
            let change = || match (&self.judge, self.work.change(document)?) {
                (Some(judge), change) => change.shaped(judge, document),
                (None, change) => Ok(change),
            };
            let change = matches.then(change).transpose()?;
            if let Some(Change::Update(new)) = &change {
                if let Some(judge) = &self.judge {
                    judge.judge(Some(document), new)?;
                }
                index_also(&self.indexes, also, &self.key, Some(document), Some(new))?;
            }
            Ok(change)
        };
        let change = current.map_or(Ok(None), &mut changed);
        let (seen, outcome) = match change {
            Ok(None) => (Ok(Changed::Nothing), Ok(Outcome::Keep)),
            Ok(Some(Change::Update(new))) => (Ok(Changed::Written), Ok(Outcome::Put(new))),
            Ok(Some(Change::None | Change::Put(_) | Change::Delete)) => {
                (Ok(Changed::Same), Ok(Outcome::Keep))
            }
            Err(error) => (Err(error), Err(Declined)),
        };
        *self.seen.lock() = seen;
        outcome
    }

    fn results(&self) -> Option<Vec<u8>> {
        let result = UpdateResult::from(*self.seen.lock().as_ref().ok()?);
        encode(&result).ok()
    }
}
