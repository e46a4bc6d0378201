//! Documents on their way in: collected, committed batch by batch, and the
//! failures told apart.
//!
//! ## Invariants
//! * No two documents in one batch have the same key: whoever repeats a key
//!   meets the first in a later commit, as if it had come alone.
//! * Ordered, everything before the first failure is committed and nothing
//!   after it.
//! * An error leaves when everything that was committed before it was waited for.

use std::collections::HashSet;

use bson::Bson;
use cs_kv::{CommitOptions, Store};

use super::Collection;
use super::indexing::Refused;
use super::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS, id_of};
use super::tally::Tally;
use crate::context::{OperationContext, Watch};
use crate::error::{Error, Result, WriteError};
use crate::id::Identified;
use crate::input::IntoDocument;
use crate::stats::Counters;

/// A document that waits for its batch.
#[derive(Debug)]
pub(super) struct Waiting {
    /// Its position, for errors.
    pub(super) index: u64,
    pub(super) document: Identified,
}

/// What an [`Inserter`] came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) inserted: u64,
    pub(super) ids: Vec<Bson>,
    pub(super) errors: Vec<WriteError>,
}

/// Collects documents and commits them batch by batch.
#[derive(Debug)]
pub(super) struct Inserter<'a> {
    collection: &'a Collection,
    watch: Watch,
    options: CommitOptions,
    ordered: bool,
    waiting: Vec<Waiting>,
    /// Keys of those waiting whose `_id` was given: no two may be in one commit.
    keys: HashSet<Vec<u8>>,
    bytes: usize,
    tally: Tally,
    /// Collected if wanted.
    ids: Option<Vec<Bson>>,
    errors: Vec<WriteError>,
}

impl<'a> Inserter<'a> {
    pub(super) fn new(
        collection: &'a Collection,
        context: &OperationContext,
        ordered: bool,
    ) -> Self {
        Self {
            collection,
            watch: context.start(&collection.environment.runtime),
            options: context.commit_options(),
            ordered,
            waiting: Vec::new(),
            keys: HashSet::new(),
            bytes: 0,
            tally: Tally::default(),
            ids: None,
            errors: Vec::new(),
        }
    }

    /// The outcome will have the `_id`s of what was inserted.
    pub(super) fn keep_ids(&mut self) {
        self.ids = Some(Vec::new());
    }

    /// Whether a failed document ended the work.
    pub(super) fn is_stopped(&self) -> bool {
        self.ordered && !self.errors.is_empty()
    }

    /// How many documents were committed so far, acknowledged or not.
    pub(super) fn committed(&self) -> u64 {
        self.tally.committed()
    }

    /// The failures since this was last asked.
    pub(super) fn take_errors(&mut self) -> Vec<WriteError> {
        std::mem::take(&mut self.errors)
    }

    /// Takes a document, and commits what waits if it has become enough.
    pub(super) fn push(&mut self, index: u64, document: impl IntoDocument) -> Result<()> {
        self.watch.check()?;
        match self.collection.prepare(document) {
            Ok(document) => self.add(Waiting { index, document }),
            Err(error) => self.refuse(index, error),
        }
    }

    /// Notes that a document cannot be inserted. Those before it are committed first.
    pub(super) fn refuse(&mut self, index: u64, error: Error) -> Result<()> {
        self.watch.check()?;
        if self.ordered {
            self.flush()?;
            if self.is_stopped() {
                return Ok(());
            }
        }
        self.errors.push(WriteError { index, error });
        Ok(())
    }

    fn add(&mut self, waiting: Waiting) -> Result<()> {
        let document = &waiting.document;
        let is_repeated = !document.generated && !self.keys.insert(document.key.clone());
        let bytes = document.key.len() + document.document.len();
        let is_full = self.waiting.len() >= MAX_BATCH_DOCUMENTS
            || self.bytes.saturating_add(bytes) > MAX_BATCH_BYTES;
        if is_repeated || (is_full && !self.waiting.is_empty()) {
            self.flush()?;
            if self.is_stopped() {
                return Ok(());
            }
            self.keys.insert(waiting.document.key.clone());
        }
        // An `_id` that is kept for the answer is held to the end.
        let kept = self.ids.as_ref().map_or(0, |_| waiting.document.key.len());
        self.watch.charge(bytes.saturating_add(kept))?;
        self.bytes += bytes;
        self.waiting.push(waiting);
        Ok(())
    }

    /// Commits what waits.
    fn flush(&mut self) -> Result<()> {
        let mut waiting = std::mem::take(&mut self.waiting);
        self.watch.release(std::mem::take(&mut self.bytes));
        self.keys.clear();
        while !waiting.is_empty() {
            let collection = self.collection;
            let options = &self.options;
            let commit = |store: &Store, batch| store.write(&batch, options);
            let inserted = match &collection.session {
                None => collection
                    .commit_inserts(&self.watch, &waiting, commit)?
                    .map(|(ticket, count)| (Some(ticket), count)),
                Some(session) => {
                    let inserted = collection.insert_within(session, &self.watch, &waiting)?;
                    inserted.map(|()| (None, waiting.len()))
                }
            };
            let Refused { position, error } = match inserted {
                Ok((ticket, count)) => {
                    let after = waiting.split_off(count);
                    match ticket {
                        Some(ticket) => self.tally.add(ticket, count as u64),
                        None => self.tally.add_within(count as u64),
                    }
                    if let Some(ids) = &mut self.ids {
                        for one in &waiting {
                            ids.push(id_of(&one.document)?);
                        }
                    }
                    waiting = after;
                    continue;
                }
                Err(refused) => refused,
            };
            let after = waiting.split_off(position + 1);
            let Some(failed) = waiting.pop() else {
                continue;
            };
            if let Some(document) = collection.renumbered(&failed.document, &error)? {
                let index = failed.index;
                waiting.push(Waiting { index, document });
                waiting.extend(after);
                continue;
            }
            if self.ordered {
                // Those before it alone; then the error, and nothing more.
                self.waiting = waiting;
                self.flush()?;
                if !self.is_stopped() {
                    self.errors.push(WriteError {
                        index: failed.index,
                        error,
                    });
                }
                return Ok(());
            }
            self.errors.push(WriteError {
                index: failed.index,
                error,
            });
            waiting.extend(after);
            waiting = self.without_present(waiting)?;
        }
        Ok(())
    }

    /// Takes out those whose key is there already: looking costs less than
    /// finding them commit by commit.
    fn without_present(&mut self, waiting: Vec<Waiting>) -> Result<Vec<Waiting>> {
        let view = self.collection.view()?;
        let (Some(place), Some(entry)) = (view.place, view.entry) else {
            return Ok(waiting);
        };
        let mut absent = Vec::with_capacity(waiting.len());
        for one in waiting {
            self.watch.check()?;
            if place.with_value(&one.document.key, |_| ())?.is_some() {
                let new = Some(one.document.document.as_slice());
                let judged = self.collection.judge(&entry, None, new);
                let duplicate = || self.collection.duplicate(&one.document);
                self.errors.push(WriteError {
                    index: one.index,
                    error: judged.err().unwrap_or_else(duplicate),
                });
            } else {
                absent.push(one);
            }
        }
        Ok(absent)
    }

    /// Commits what waits, and waits until all of it is as durable as asked for.
    pub(super) fn finish(mut self) -> Result<Outcome> {
        if !self.is_stopped()
            && let Err(error) = self.flush()
        {
            return Err(self.fail(error));
        }
        let settled = self.tally.settle();
        self.count();
        let inserted = settled?;
        self.errors.sort_by_key(|error| error.index);
        let ids = self.ids.unwrap_or_default();
        Ok(Outcome {
            inserted,
            ids,
            errors: self.errors,
        })
    }

    /// Ends with an error, once what was committed before it was waited for.
    pub(super) fn fail(mut self, error: Error) -> Error {
        let error = self.tally.end(error);
        self.count();
        error
    }

    fn count(&self) {
        let counters = &self.collection.environment.counters;
        Counters::add(&counters.inserted, self.tally.acknowledged());
    }
}
