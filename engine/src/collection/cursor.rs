//! Cursors: the documents that a query found, one by one.

use std::fmt;
use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

use super::explain::ExplainStep;
use super::matches::Matches;
use super::place::{Place, View};
use crate::context::Watch;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::projection::Projection;
use crate::sort::{SortPattern, Sorted, Sorter, SorterOptions};
use crate::stats::Counters;
use crate::surroundings::Surroundings;

/// How documents are to be sorted.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) pattern: SortPattern,
    pub(super) allow_disk_use: bool,
}

/// What of each document comes back.
#[derive(Debug)]
pub(super) struct Projected {
    pub(super) projection: Projection,
    /// Tells the position for the positional `$`, where there is one.
    pub(super) filter: Option<Filter>,
    pub(super) surroundings: Surroundings,
}

impl Projected {
    pub(super) fn apply(&self, document: &[u8]) -> Result<Vec<u8>> {
        let position = match &self.filter {
            Some(filter) => filter.matched_position(as_document(document)?)?,
            None => None,
        };
        let Self {
            projection,
            surroundings,
            ..
        } = self;
        projection.apply_in(document, position, surroundings)
    }
}

/// The documents that a query found; unless it sorts, in order of `_id` or of the index that
/// finds them.
///
/// It reads the state of the moment at which the query began, whatever is
/// written meanwhile, and keeps that state for as long as it lives. After an
/// error it yields nothing more.
pub struct Cursor {
    environment: Arc<Environment>,
    index: u64,
    /// Keeps the state that is read.
    _place: Option<Place>,
    watch: Watch,
    /// `None` once it has ended.
    matches: Option<Matches>,
    /// How they are still to be sorted, which is done when the first is asked for.
    order: Option<Order>,
    sorted: Option<Sorted>,
    skip: u64,
    left: Option<u64>,
    projected: Option<Projected>,
    returned: u64,
    /// Entries of indexes and documents looked at, once it has ended.
    examined: (u64, u64),
    document: Vec<u8>,
}

impl Cursor {
    pub(super) fn new(
        environment: Arc<Environment>,
        view: View,
        watch: Watch,
        matches: Matches,
        order: Option<Order>,
        (skip, limit): (u64, Option<u64>),
        projected: Option<Projected>,
    ) -> Self {
        Self {
            environment,
            index: view.index,
            _place: view.place,
            watch,
            matches: Some(matches),
            order,
            sorted: None,
            skip,
            left: limit,
            projected,
            returned: 0,
            examined: (0, 0),
            document: Vec::new(),
        }
    }

    /// The next document, in place until the next call; the iterator gives
    /// copies.
    ///
    /// # Errors
    /// A page could not be read, a document is damaged, or the operation's
    /// limits are exceeded.
    pub fn advance(&mut self) -> Result<Option<&RawDocument>> {
        if !self.fill()? {
            return Ok(None);
        }
        as_document(&self.document).map(Some)
    }

    /// Whether an index tells all that is asked for.
    pub(super) fn is_covered(&self) -> bool {
        self.matches.as_ref().is_some_and(Matches::is_covered)
    }

    /// Whether it has to sort what it finds.
    pub(super) fn sorts(&self) -> bool {
        self.order.is_some()
    }

    /// Reads all that is left, and says what that took: entries of indexes and documents
    /// looked at, documents returned; and how they were found.
    pub(super) fn exhaust(mut self) -> Result<(Vec<ExplainStep>, (u64, u64), u64)> {
        let matches = self.matches.as_mut();
        let steps = matches.map_or_else(Vec::new, |matches| std::mem::take(&mut matches.steps));
        while self.fill()? {}
        Ok((steps, self.examined, self.returned))
    }

    /// Index of the last commit that the query sees.
    #[must_use]
    pub fn snapshot_index(&self) -> u64 {
        self.index
    }

    /// Puts the next document into `self.document`, if there is one.
    fn fill(&mut self) -> Result<bool> {
        let filled = self.try_fill();
        if !matches!(filled, Ok(true)) {
            self.end();
        }
        filled
    }

    /// Lets go of what was read, and counts what was done: once, not for each
    /// document, since all threads share the counters.
    fn end(&mut self) {
        if let Some(matches) = self.matches.take() {
            let counters = &self.environment.counters;
            Counters::add(&counters.examined, matches.examined);
            Counters::add(&counters.returned, self.returned);
            self.examined = (matches.keys_examined(), matches.examined);
        }
    }

    fn try_fill(&mut self) -> Result<bool> {
        if self.matches.is_none() || self.left == Some(0) {
            return Ok(false);
        }
        if let Some(order) = self.order.take() {
            self.sorted = Some(self.sort(&order)?);
        }
        while self.skip > 0 {
            if !self.next_document(true)? {
                return Ok(false);
            }
            self.skip -= 1;
        }
        if !self.next_document(false)? {
            return Ok(false);
        }
        if let Some(projected) = &self.projected {
            self.document = projected.apply(&self.document)?;
        }
        self.returned += 1;
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(true)
    }

    /// Puts the next document that was found into `self.document`, unless it is skipped.
    fn next_document(&mut self, is_skipped: bool) -> Result<bool> {
        let Some(matches) = &mut self.matches else {
            return Ok(false);
        };
        let (document, watch) = (&mut self.document, &self.watch);
        if let Some(sorted) = &mut self.sorted {
            watch.check()?;
            let Some((_, next)) = sorted.next()? else {
                return Ok(false);
            };
            *document = next;
            return Ok(true);
        }
        let found = matches.next_document(watch, |bytes| -> Result<()> {
            document.clear();
            if is_skipped {
                return Ok(());
            }
            // One document at a time is all that a cursor holds.
            watch.room_for(bytes.len())?;
            document.extend_from_slice(bytes);
            Ok(())
        })?;
        found.transpose().map(|found| found.is_some())
    }

    /// Reads all that match and sorts them.
    fn sort(&mut self, order: &Order) -> Result<Sorted> {
        let mut sorter = Sorter::new(SorterOptions {
            limit: self.left.map(|left| left.saturating_add(self.skip)),
            budget: self.watch.sort_budget(),
            allow_disk_use: order.allow_disk_use,
        });
        let (watch, environment) = (&self.watch, &self.environment);
        if let Some(matches) = &mut self.matches {
            let mut push = |document: &[u8]| {
                let key = order.pattern.key_of(document)?;
                if sorter.is_beyond(&key) {
                    return Ok(());
                }
                watch.room_for(document.len() + key.len())?;
                sorter.push(environment, key, document.to_vec())
            };
            while let Some(pushed) = matches.next_document(watch, &mut push)? {
                pushed?;
            }
        }
        sorter.finish()
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.end();
    }
}

impl Iterator for Cursor {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(true) => Some(stored(std::mem::take(&mut self.document))),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::iter::FusedIterator for Cursor {}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("snapshot_index", &self.snapshot_index())
            .field("ended", &self.matches.is_none())
            .finish_non_exhaustive()
    }
}

/// The bytes under a key, as the document they are.
pub(super) fn stored(bytes: Vec<u8>) -> Result<RawDocumentBuf> {
    RawDocumentBuf::from_bytes(bytes).map_err(|error| damaged(&error))
}

fn as_document(bytes: &[u8]) -> Result<&RawDocument> {
    RawDocument::from_bytes(bytes).map_err(|error| damaged(&error))
}

fn damaged(error: &bson::error::Error) -> Error {
    Error::new(
        ErrorKind::Corruption,
        format!("a stored document is damaged: {error}"),
    )
}
