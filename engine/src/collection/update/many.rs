//! Updating all documents that match, in commits of bounded size.

use std::sync::Arc;

use cs_kv::Ticket;

use super::UpdateResult;
use super::work::Work;
use crate::catalog::Entry;
use crate::collection::indexing::Target;
use crate::collection::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
use crate::collection::matches::in_tree;
use crate::collection::place::Place;
use crate::collection::tally::Tally;
use crate::collection::targets::Targets;
use crate::collection::write::{Change, Found, lost};
use crate::collection::{Collection, MAX_ATTEMPTS};
use crate::context::{OperationContext, Watch};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::input::{IntoFilter, IntoUpdate};
use crate::monitor::Operation;
use crate::stats::Counters;
use crate::update::UpdateOptions;

/// What one commit of [`Collection::update_many`] came to.
struct UpdatedBatch {
    last: Vec<u8>,
    matched: u64,
    modified: u64,
    /// Nothing is committed in a transaction.
    committed: Result<Option<Ticket>, cs_kv::Error>,
}

impl Collection {
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
        self.timed(Operation::Update, || {
            self.update_many_untimed(context, filter, update, options)
        })
    }

    fn update_many_untimed(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        update: impl IntoUpdate,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        if let Some(statement) = context.as_statement() {
            let (filter, update) = (filter.into_filter()?, update.into_update()?);
            return self.once(context, statement, |within, context| {
                within.update_many_untimed(context, &filter, &update, options)
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
