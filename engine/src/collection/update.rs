//! Updating.
//!
//! A filter that asks for one `_id`, alone or with more, is evaluated where the
//! commit is, on the newest document there is: clients that update one hot
//! document neither conflict nor wait for each other's syncs. Any other filter
//! finds its documents on a snapshot, and the write is tried again when it lost.

use std::sync::Arc;

use bson::{Bson, DateTime, RawDocument, RawDocumentBuf, Timestamp};
use cs_kv::{Also, Batch, Declined, Evaluate, Outcome, Ticket};
use parking_lot::Mutex;

use super::by_id::no_reason;
use super::indexing::{Target, index_also};
use super::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
use super::matches::in_tree;
use super::place::Place;
use super::statement::{encode, repeated};
use super::tally::Tally;
use super::targets::Targets;
use super::write::{Change, Changed, Found, lost};
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::Entry;
use crate::context::{OperationContext, Statement, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, IdBounds};
use crate::index::Indexes;
use crate::input::{IntoDocument, IntoFilter, IntoUpdate, UpdateSpec};
use crate::rules::Judge;
use crate::stats::Counters;
use crate::update::{Applied, Update, UpdateContext, UpdateOptions};

/// What an update came to.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UpdateResult {
    /// Documents that matched.
    pub matched: u64,
    /// Documents that changed.
    pub modified: u64,
    /// The `_id` of the document that was inserted because none matched.
    pub upserted_id: Option<Bson>,
}

impl From<Changed> for UpdateResult {
    fn from(changed: Changed) -> Self {
        Self {
            matched: u64::from(changed != Changed::Nothing),
            modified: u64::from(changed == Changed::Written),
            upserted_id: None,
        }
    }
}

impl Collection {
    /// Updates the first document that matches, in order of `_id`, with MongoDB's
    /// update operators. Where the filter asks for one `_id`, any number of clients
    /// may do so at once, and none is refused or lost.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let pages = database.collection("pages");
    /// pages.insert_one(doc! { "_id": "/", "hits": 0 })?;
    /// let updated = pages.update_one(doc! { "_id": "/" }, doc! { "$inc": { "hits": 1 } })?;
    /// assert_eq!((updated.matched, updated.modified), (1, 1));
    /// assert_eq!(pages.count(doc! { "hits": 1 })?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// Filter or update make no sense, or cannot be applied to the document; the
    /// commit failed. Nothing has changed then.
    pub fn update_one(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        let options = UpdateOptions::default();
        self.update_one_with(&OperationContext::new(), filter, update, &options)
    }

    /// [`update_one`](Self::update_one) with a context and options.
    ///
    /// # Errors
    /// As [`update_one`](Self::update_one), and those of the context.
    pub fn update_one_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        if let Some(statement) = context.as_statement() {
            let (filter, update) = (filter.into_filter()?, update.into_update()?);
            if !options.upsert && self.session.is_none() {
                let work = Work::new(self, &filter, &update, options)?;
                if let Some(key) = work.single_key()? {
                    let context = context.without_statement();
                    let updated = self.update_by_id(&context, &work, key, Some(statement))?;
                    if let Some(updated) = updated {
                        return Ok(updated);
                    }
                }
            }
            return self.once(context, statement, |within, context| {
                within.update_one_with(context, &filter, &update, options)
            });
        }
        let work = Work::new(self, filter, update, options)?;
        self.update_or_upsert(context, &work, options.upsert)
    }

    /// Replaces the first document that matches, in order of `_id`, but for its `_id`;
    /// where none matches it is inserted, if the options say `upsert`.
    ///
    /// # Errors
    /// The filter makes no sense; the replacement is not valid, has fields that start with
    /// `$`, or another `_id`; the commit failed.
    pub fn replace_one_or_insert(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        let filter = filter.into_filter()?;
        let replacement = UpdateSpec::replacement(replacement.into_document()?);
        if let Some(statement) = context.as_statement() {
            return self.once(context, statement, |within, context| {
                let work = Work::new(within, &filter, &replacement, options)?;
                within.update_or_upsert(context, &work, options.upsert)
            });
        }
        let work = Work::new(self, filter, replacement, options)?;
        self.update_or_upsert(context, &work, options.upsert)
    }

    fn update_or_upsert(
        &self,
        context: &OperationContext,
        work: &Arc<Work>,
        upsert: bool,
    ) -> Result<UpdateResult> {
        Counters::add(&self.environment.counters.queries, 1);
        for _ in 0..MAX_ATTEMPTS {
            let result = self.update_first(context, work)?;
            if result.matched > 0 || !upsert {
                Counters::add(&self.environment.counters.updated, result.modified);
                return Ok(result);
            }
            if let Some(result) = self.upsert(context, work)? {
                return Ok(result);
            }
        }
        Err(self.gave_up())
    }

    /// Updates all documents that match, each atomically, in commits of bounded size.
    ///
    /// # Errors
    /// As [`update_one`](Self::update_one). [`Error::written`] says how many were
    /// modified before it.
    pub fn update_many(
        &self,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
    ) -> Result<UpdateResult> {
        let options = UpdateOptions::default();
        self.update_many_with(&OperationContext::new(), filter, update, &options)
    }

    /// [`update_many`](Self::update_many) with a context and options.
    ///
    /// # Errors
    /// As [`update_many`](Self::update_many), and those of the context.
    pub fn update_many_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        if let Some(statement) = context.as_statement() {
            let (filter, update) = (filter.into_filter()?, update.into_update()?);
            return self.once(context, statement, |within, context| {
                within.update_many_with(context, &filter, &update, options)
            });
        }
        let work = Work::new(self, filter, update, options)?;
        let watch = context.start(&self.environment.runtime);
        Counters::add(&self.environment.counters.queries, 1);
        for _ in 0..MAX_ATTEMPTS {
            let mut tally = Tally::default();
            let updated = self.update_batches(&watch, context, &work, &mut tally);
            let counters = &self.environment.counters;
            let matched = match updated {
                Ok(matched) => {
                    let settled = tally.settle();
                    Counters::add(&counters.updated, tally.acknowledged());
                    settled?;
                    matched
                }
                Err(error) => {
                    let error = tally.end(error);
                    Counters::add(&counters.updated, tally.acknowledged());
                    return Err(error);
                }
            };
            if matched > 0 || !options.upsert {
                return Ok(UpdateResult {
                    matched,
                    modified: tally.acknowledged(),
                    upserted_id: None,
                });
            }
            if let Some(result) = self.upsert(context, &work)? {
                return Ok(result);
            }
        }
        Err(self.gave_up())
    }

    fn update_first(&self, context: &OperationContext, work: &Arc<Work>) -> Result<UpdateResult> {
        if let (Some(key), None) = (work.single_key()?, &self.session)
            && let Some(updated) = self.update_by_id(context, work, key, None)?
        {
            return Ok(updated);
        }
        let changed = self.change_one(context, &work.filter, |found| work.change(found))?;
        Ok(changed.into())
    }

    /// Evaluated where the commit is; `None` if that has to be found out in the other way.
    fn update_by_id(
        &self,
        context: &OperationContext,
        work: &Arc<Work>,
        key: Vec<u8>,
        statement: Option<Statement>,
    ) -> Result<Option<UpdateResult>> {
        let watch = context.start(&self.environment.runtime);
        let mut options = context.commit_options();
        // What it comes to is filled in where it is evaluated.
        options.session = statement.map(|statement| statement.with_results(Vec::new()));
        for _ in 0..MAX_ATTEMPTS {
            watch.check()?;
            let store = self.environment.writable()?;
            let Some(entry) = self.environment.entry(&self.namespace)? else {
                let Some(statement) = statement else {
                    return Ok(Some(UpdateResult::default()));
                };
                // That there was nothing has to be remembered.
                let once = self.once(context, statement, |within, context| {
                    within.update_first(context, work)
                });
                return once.map(Some);
            };
            self.check_version(&entry)?;
            if entry.needs_transaction() {
                return Ok(None);
            }
            let evaluation = Arc::new(ById {
                work: Arc::clone(work),
                key: key.clone(),
                indexes: entry.indexes.clone(),
                judge: self.judge_of(&entry),
                seen: Mutex::new(Ok(Changed::Nothing)),
            });
            let mut batch = Batch::new();
            if let Some(kept) = &entry.kept {
                batch.keep(kept.clone());
            }
            if self.tells_before(&entry) {
                batch.tell_before(entry.tree);
            }
            batch.evaluate(
                entry.tree,
                key.clone(),
                Arc::clone(&evaluation) as Arc<dyn Evaluate>,
            );
            batch.note_in_part();
            let committed = store.write_and_wait(batch, &options);
            let seen = std::mem::replace(&mut *evaluation.seen.lock(), Ok(Changed::Nothing));
            match committed {
                Ok(_) => return Ok(Some(seen?.into())),
                Err(cs_kv::Error::AlreadyApplied { number, results }) => {
                    let statement = statement.ok_or_else(|| {
                        Error::new(ErrorKind::Internal, "an update without a name has one")
                    })?;
                    return repeated(statement, number, &results).map(Some);
                }
                // Another has a unique key of the new document.
                Err(cs_kv::Error::Expectation { .. }) => return Ok(None),
                Err(cs_kv::Error::Declined { .. }) => {
                    return Err(seen.err().unwrap_or_else(no_reason));
                }
                Err(error) if lost(&error) => {
                    Counters::add(&self.environment.counters.retries, 1);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }

    /// Inserts what the update makes of nothing; `None` if somebody else was quicker.
    fn upsert(&self, context: &OperationContext, work: &Work) -> Result<Option<UpdateResult>> {
        let new = work.upserted()?;
        match self.insert_one_with(context, new) {
            Ok(id) => Ok(Some(UpdateResult {
                upserted_id: Some(id),
                ..UpdateResult::default()
            })),
            // There is one now: whether it matches is another question.
            Err(error) if error.kind() == ErrorKind::DuplicateKey => {
                let is_there = self.find(work.filter.clone()).limit(1).run()?.next();
                match is_there.transpose()? {
                    Some(_) => Ok(None),
                    None => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// Updates batch by batch; returns how many documents matched.
    fn update_batches(
        &self,
        watch: &Watch,
        context: &OperationContext,
        work: &Work,
        tally: &mut Tally,
    ) -> Result<u64> {
        let (mut after, mut matched, mut attempts): (Option<Vec<u8>>, u64, u32) = (None, 0, 0);
        let mut targets = Targets::default();
        loop {
            watch.check()?;
            let from = (&mut targets, after.as_deref());
            let batch = self.update_batch(watch, context, work, from)?;
            let Some(batch) = batch else {
                return Ok(matched);
            };
            match batch.committed {
                Ok(Some(ticket)) => tally.add(ticket, batch.modified),
                Ok(None) => tally.add_within(batch.modified),
                Err(error) if lost(&error) => {
                    self.count_attempt(&mut attempts)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            matched += batch.matched;
            after = Some(batch.last);
            attempts = 0;
        }
    }

    /// The next documents that match, updated; `None` when there are no more.
    fn update_batch(
        &self,
        watch: &Watch,
        context: &OperationContext,
        work: &Work,
        from: (&mut Targets, Option<&[u8]>),
    ) -> Result<Option<UpdatedBatch>> {
        if let Some(session) = &self.session {
            let Some(entry) = session.entry(&self.namespace)? else {
                return Ok(None);
            };
            self.begin_writing(session, &entry)?;
            let place = Place::Within(Arc::clone(session), entry.tree);
            let place = self.shown(place, &entry)?;
            let found = self.matching_documents(watch, &place, &entry, &work.filter, from)?;
            return self.apply_all(work, &entry, found, &mut &**session);
        }
        let (mut transaction, entry) = self.environment.begin(&self.namespace)?;
        let Some(entry) = entry else {
            return Ok(None);
        };
        let Some(tree) = in_tree(transaction.snapshot().tree(entry.tree))? else {
            return Ok(None);
        };
        if self.tells_before(&entry) {
            transaction.tell_before(entry.tree)?;
        }
        let place = self.shown(Place::Stored(tree), &entry)?;
        let found = self.matching_documents(watch, &place, &entry, &work.filter, from)?;
        let batch = self.apply_all(work, &entry, found, &mut transaction)?;
        Ok(batch.map(|batch| UpdatedBatch {
            committed: transaction.commit(&context.commit_options()).map(Some),
            ..batch
        }))
    }

    fn apply_all(
        &self,
        work: &Work,
        entry: &Entry,
        found: Vec<Found>,
        target: &mut impl Target,
    ) -> Result<Option<UpdatedBatch>> {
        let Some((last, _)) = found.last() else {
            return Ok(None);
        };
        let mut batch = UpdatedBatch {
            last: last.clone(),
            matched: found.len() as u64,
            modified: 0,
            committed: Ok(None),
        };
        for (key, document) in found {
            let change = self.shape_change(entry, &document, work.change(&document)?)?;
            if let Change::Update(new) = change {
                self.write_indexes(target, entry, &key, Some(&document), Some(&new))?;
                target.write_in_part(entry.tree, key, new)?;
                batch.modified += 1;
            }
        }
        Ok(Some(batch))
    }

    /// The keys and documents of the next batch.
    fn matching_documents(
        &self,
        watch: &Watch,
        place: &Place,
        entry: &Entry,
        filter: &Filter,
        (targets, after): (&mut Targets, Option<&[u8]>),
    ) -> Result<Vec<Found>> {
        let mut matches = targets.after(watch, place, entry, filter, after)?;
        let (mut found, mut bytes): (Vec<Found>, usize) = (Vec::new(), 0);
        while found.len() < MAX_BATCH_DOCUMENTS && bytes < MAX_BATCH_BYTES {
            let next = matches.next(watch, |key, document| {
                watch.room_for(bytes + key.len() + document.len())?;
                Ok::<_, Error>((key.to_vec(), document.to_vec()))
            })?;
            let Some(next) = next.transpose()? else { break };
            bytes += next.0.len() + next.1.len();
            found.push(next);
        }
        Counters::add(&self.environment.counters.examined, matches.examined);
        Ok(found)
    }
}

/// What one commit of [`Collection::update_many`] came to.
struct UpdatedBatch {
    last: Vec<u8>,
    matched: u64,
    modified: u64,
    /// Nothing is committed in a transaction.
    committed: Result<Option<Ticket>, cs_kv::Error>,
}

/// An update and what it depends on, fixed before it is evaluated.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) filter: Filter,
    update: Update,
    now: DateTime,
    timestamp: Timestamp,
}

impl Work {
    pub(super) fn new(
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
    fn single_key(&self) -> Result<Option<Vec<u8>>> {
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
    pub(super) fn upserted(&self) -> Result<RawDocumentBuf> {
        let base = self.update.upsert_base(&self.filter)?;
        let new = match self.update.apply(&base, &self.context(None, true))? {
            Applied::Unchanged => base.into_bytes(),
            Applied::Changed(new) => new,
        };
        Ok(RawDocumentBuf::from_bytes(new)?)
    }

    /// What becomes of a document that matches.
    pub(super) fn change(&self, found: &[u8]) -> Result<Change> {
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
struct ById {
    work: Arc<Work>,
    key: Vec<u8>,
    indexes: Indexes,
    judge: Option<Judge>,
    seen: Mutex<Result<Changed>>,
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
