//! Replacing and deleting.
//!
//! A write that asks for one `_id` and nothing else is a batch judged where the
//! commit is: however many clients write the same document, none conflicts.
//! Any other is a transaction on a snapshot, tried again when it lost to
//! another writer of the same document.

use cs_kv::{CommitOptions, Transaction};

use super::by_id::ById;
use super::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
use super::matches::{Matches, Wish, in_tree};
use super::place::Place;
use super::statement::Deleted;
use super::tally::Tally;
use super::targets::Targets;
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::Entry;
use crate::context::{OperationContext, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::id::{check, id_of, with_stored_id};
use crate::input::{IntoDocument, IntoFilter};
use crate::monitor::Operation;
use crate::stats::Counters;
use crate::values::{Elements, validate_document};

/// What a replacement came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplaceResult {
    /// Documents that matched: 0 or 1.
    pub matched: u64,
    /// Documents that changed: not one that is the same already, `_id` included.
    pub modified: u64,
}

/// A document that was found: its key and its bytes.
pub(super) type Found = (Vec<u8>, Vec<u8>);

impl Collection {
    /// Replaces the first document that matches, in order of `_id`, but for
    /// its `_id`.
    ///
    /// # Errors
    /// The filter makes no sense; the replacement is not valid, has fields
    /// that start with `$`, or another `_id`; the commit failed.
    pub fn replace_one(
        &self,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
    ) -> Result<ReplaceResult> {
        self.replace_one_with(&OperationContext::new(), filter, replacement)
    }

    /// [`replace_one`](Self::replace_one) with a context.
    ///
    /// # Errors
    /// As [`replace_one`](Self::replace_one), and those of the context.
    pub fn replace_one_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
    ) -> Result<ReplaceResult> {
        self.timed(Operation::Update, || {
            self.replace_one_untimed(context, filter, replacement)
        })
    }

    fn replace_one_untimed(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
        replacement: impl IntoDocument,
    ) -> Result<ReplaceResult> {
        let filter = self
            .environment
            .filter(self.aware(filter.into_filter()?)?)?;
        let replacement = replacement.into_document()?;
        if let Some(statement) = context.as_statement() {
            return self.once(context, statement, |within, context| {
                within.replace_one_untimed(context, &filter, &replacement)
            });
        }
        check_replacement(replacement.as_bytes())?;
        let mut result = ReplaceResult::default();
        let change = |found: &[u8]| {
            let id = id_of(found).ok_or_else(|| {
                Error::new(
                    ErrorKind::Corruption,
                    "a stored document is damaged: it has no _id",
                )
            })?;
            let new = with_stored_id(replacement.as_bytes(), id)?;
            // As in MongoDB: without the `_id` it is another document, if only for a moment.
            Ok(if replacement.as_bytes() == found {
                Change::None
            } else {
                Change::Put(new)
            })
        };
        match self.change_one(context, &filter, change)? {
            Changed::Nothing => {}
            Changed::Same => result.matched = 1,
            Changed::Written => {
                result = ReplaceResult {
                    matched: 1,
                    modified: 1,
                };
                Counters::add(&self.environment.counters.replaced, 1);
            }
        }
        Ok(result)
    }

    /// Deletes the first document that matches, in order of `_id`; returns
    /// whether there was one.
    ///
    /// # Errors
    /// The filter makes no sense, or the commit failed.
    pub fn delete_one(&self, filter: impl IntoFilter) -> Result<bool> {
        self.delete_one_with(&OperationContext::new(), filter)
    }

    /// [`delete_one`](Self::delete_one) with a context.
    ///
    /// # Errors
    /// As [`delete_one`](Self::delete_one), and those of the context.
    pub fn delete_one_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
    ) -> Result<bool> {
        self.timed(Operation::Delete, || {
            self.delete_one_untimed(context, filter)
        })
    }

    fn delete_one_untimed(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
    ) -> Result<bool> {
        let filter = self
            .environment
            .filter(self.aware(filter.into_filter()?)?)?;
        if let Some(statement) = context.as_statement() {
            let deleted = self.once(context, statement, |within, context| {
                let deleted = within.delete_one_untimed(context, &filter)?;
                Ok(Deleted(u64::from(deleted)))
            });
            return Ok(deleted?.0 > 0);
        }
        let changed = self.change_one(context, &filter, |_| Ok(Change::Delete))?;
        let deleted = changed == Changed::Written;
        Counters::add(&self.environment.counters.deleted, u64::from(deleted));
        Ok(deleted)
    }

    /// Deletes all documents that match, in commits of bounded size; returns
    /// how many.
    ///
    /// # Errors
    /// As [`delete_one`](Self::delete_one). [`Error::written`] says how many
    /// were deleted before it.
    pub fn delete_many(&self, filter: impl IntoFilter) -> Result<u64> {
        self.delete_many_with(&OperationContext::new(), filter)
    }

    /// [`delete_many`](Self::delete_many) with a context.
    ///
    /// # Errors
    /// As [`delete_many`](Self::delete_many), and those of the context.
    pub fn delete_many_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
    ) -> Result<u64> {
        self.timed(Operation::Delete, || {
            self.delete_many_untimed(context, filter)
        })
    }

    fn delete_many_untimed(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
    ) -> Result<u64> {
        let filter = self
            .environment
            .filter(self.aware(filter.into_filter()?)?)?;
        if let Some(statement) = context.as_statement() {
            let deleted = self.once(context, statement, |within, context| {
                within.delete_many_untimed(context, &filter).map(Deleted)
            });
            return Ok(deleted?.0);
        }
        let watch = context.start(&self.environment.runtime);
        let options = context.commit_options();
        let mut tally = Tally::default();
        Counters::add(&self.environment.counters.queries, 1);
        let outcome = match self.delete_batches(&watch, &options, &filter, &mut tally) {
            Ok(()) => tally.settle(),
            Err(error) => Err(tally.end(error)),
        };
        let counters = &self.environment.counters;
        Counters::add(&counters.deleted, tally.acknowledged());
        outcome
    }

    fn delete_batches(
        &self,
        watch: &Watch,
        options: &CommitOptions,
        filter: &Filter,
        tally: &mut Tally,
    ) -> Result<()> {
        let mut after: Option<Vec<u8>> = None;
        let mut targets = Targets::default();
        let mut attempts = 0;
        loop {
            watch.check()?;
            if let Some(session) = &self.session {
                return self.delete_within(session, watch, filter, tally);
            }
            let (mut transaction, entry) = self.environment.begin(&self.namespace)?;
            let Some(entry) = entry else {
                return Ok(());
            };
            let Some(tree) = in_tree(transaction.snapshot().tree(entry.tree))? else {
                return Ok(());
            };
            let place = self.shown(Place::Stored(tree), &entry)?;
            let from = (&mut targets, after.as_deref());
            let found = self.to_delete(watch, &place, &entry, filter, from)?;
            let Some((newest, _)) = found.last().cloned() else {
                return Ok(());
            };
            let count = found.len() as u64;
            if self.tells_before(&entry) {
                transaction.tell_before(entry.tree)?;
            }
            for (key, old) in found {
                self.write_indexes(&mut transaction, &entry, &key, Some(&old), None)?;
                transaction.delete(entry.tree, key)?;
            }
            match transaction.commit(options) {
                Ok(ticket) => {
                    tally.add(ticket, count);
                    after = Some(newest);
                    attempts = 0;
                }
                Err(error) if lost(&error) => self.count_attempt(&mut attempts)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The keys of the next batch, and where there are indexes the documents, without
    /// which it is not known what they have in them.
    pub(super) fn to_delete(
        &self,
        watch: &Watch,
        place: &Place,
        entry: &Entry,
        filter: &Filter,
        (targets, after): (&mut Targets, Option<&[u8]>),
    ) -> Result<Vec<Found>> {
        let keeps = !entry.indexes.is_empty();
        let mut matches = targets.after(watch, place, entry, filter, after)?;
        let (mut found, mut bytes): (Vec<Found>, _) = (Vec::new(), 0);
        while found.len() < MAX_BATCH_DOCUMENTS && bytes < MAX_BATCH_BYTES {
            let copy = |key: &[u8], document: &[u8]| {
                let document = if keeps { document } else { &[] };
                watch.room_for(bytes + key.len() + document.len())?;
                Ok::<_, Error>((key.to_vec(), document.to_vec()))
            };
            let Some(next) = matches.next(watch, copy)? else {
                break;
            };
            let next = next?;
            bytes += next.0.len() + next.1.len();
            found.push(next);
        }
        Counters::add(&self.environment.counters.examined, matches.examined);
        Ok(found)
    }

    /// Changes the first document that matches, as `change` says.
    pub(super) fn change_one(
        &self,
        context: &OperationContext,
        filter: &Filter,
        change: impl Fn(&[u8]) -> Result<Change>,
    ) -> Result<Changed> {
        let watch = context.start(&self.environment.runtime);
        let options = context.commit_options();
        Counters::add(&self.environment.counters.queries, 1);
        if let Some(session) = &self.session {
            return self.change_within(session, &watch, filter, change);
        }
        let (mut attempts, mut may_be_by_id) = (0, true);
        loop {
            watch.check()?;
            let (mut transaction, entry) = self.environment.begin(&self.namespace)?;
            let Some(entry) = entry else {
                return Ok(Changed::Nothing);
            };
            let Some(tree) = in_tree(transaction.snapshot().tree(entry.tree))? else {
                return Ok(Changed::Nothing);
            };
            let place = self.shown(Place::Stored(tree), &entry)?;
            let found = self.first_match(&watch, &place, &entry, filter)?;
            let Some((key, document)) = found else {
                return Ok(Changed::Nothing);
            };
            let change = self.shape_change(&entry, &document, change(&document)?)?;
            if matches!(change, Change::None) {
                return Ok(Changed::Same);
            }
            let room = change.document().map_or(0, <[u8]>::len);
            watch.room_for(key.len() + document.len() + room)?;
            // A change in part depends on what it was made from.
            let is_by_id = may_be_by_id
                && filter.single_id().is_some()
                && !matches!(change, Change::Update(_))
                && !entry.needs_transaction();
            if is_by_id {
                match self.change_by_id(&entry, &key, &change, &options)? {
                    ById::Done(changed) => return Ok(changed),
                    // The other way finds out what it is.
                    ById::InTheWay => may_be_by_id = false,
                    ById::Failed(error) if lost(&error) => self.count_attempt(&mut attempts)?,
                    ById::Failed(error) => return Err(error.into()),
                }
                continue;
            }
            if self.tells_before(&entry) {
                transaction.tell_before(entry.tree)?;
            }
            let (old, new) = (Some(document.as_slice()), change.document());
            self.write_indexes(&mut transaction, &entry, &key, old, new)?;
            match commit_change(transaction, &entry, key, change, &options) {
                Ok(()) => return Ok(Changed::Written),
                Err(error) if lost(&error) => self.count_attempt(&mut attempts)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(super) fn first_match(
        &self,
        watch: &Watch,
        place: &Place,
        entry: &Entry,
        filter: &Filter,
    ) -> Result<Option<Found>> {
        let mut matches = Matches::planned(place, entry, filter.clone(), &Wish::default())?;
        let found = matches.next(watch, |key, document| {
            watch.room_for(key.len() + document.len())?;
            Ok((key.to_vec(), document.to_vec()))
        })?;
        Counters::add(&self.environment.counters.examined, matches.examined);
        found.transpose()
    }

    pub(super) fn count_attempt(&self, attempts: &mut u32) -> Result<()> {
        *attempts += 1;
        Counters::add(&self.environment.counters.retries, 1);
        if *attempts >= MAX_ATTEMPTS {
            Err(self.gave_up())
        } else {
            Ok(())
        }
    }
}

/// What is to become of a document.
#[derive(Debug)]
pub(super) enum Change {
    None,
    /// Another document in its place.
    Put(Vec<u8>),
    /// The same document, changed in part.
    Update(Vec<u8>),
    Delete,
}

impl Change {
    /// The document that there is then, if there is one.
    pub(super) fn document(&self) -> Option<&[u8]> {
        match self {
            Self::Put(document) | Self::Update(document) => Some(document),
            Self::None | Self::Delete => None,
        }
    }
}

/// What became of the first document that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// There was none.
    Nothing,
    /// It was as wanted already.
    Same,
    /// It was put or deleted.
    Written,
}

fn commit_change(
    mut transaction: Transaction,
    entry: &Entry,
    key: Vec<u8>,
    change: Change,
    options: &CommitOptions,
) -> Result<(), cs_kv::Error> {
    match change {
        Change::Put(document) => transaction.put(entry.tree, key, document)?,
        Change::Update(document) => transaction.put_in_part(entry.tree, key, document)?,
        Change::Delete | Change::None => transaction.delete(entry.tree, key)?,
    }
    transaction.commit(options)?.wait()
}

/// Whether another was first: the document changed, or the collection went away.
pub(super) fn lost(error: &cs_kv::Error) -> bool {
    error.is_retryable() || matches!(error, cs_kv::Error::UnknownTree(_))
}

fn check_replacement(replacement: &[u8]) -> Result<()> {
    validate_document(replacement)?;
    for field in Elements::new(replacement) {
        if field.name.starts_with(b"$") {
            let name = String::from_utf8_lossy(field.name);
            let message = format!("a replacement must not have operators, found '{name}'");
            return Err(Error::new(ErrorKind::FailedToParse, message));
        }
        if field.name == b"_id" {
            check(field.value)?;
        }
    }
    Ok(())
}
