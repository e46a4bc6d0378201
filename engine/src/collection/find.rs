//! Queries: from a filter to the documents that match.

use std::fmt;
use std::sync::Arc;

use bson::{Bson, RawDocument, RawDocumentBuf};

use super::Collection;
use super::matches::Matches;
use super::place::Place;
use crate::context::{OperationContext, Watch};
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::input::IntoFilter;
use crate::key;
use crate::stats::Counters;
use crate::values::OwnedValue;

impl Collection {
    /// The document with this `_id`.
    ///
    /// # Errors
    /// The name is not allowed, or a page could not be read.
    pub fn find_by_id(&self, id: impl Into<Bson>) -> Result<Option<RawDocumentBuf>> {
        self.find_by_id_with(&OperationContext::new(), id)
    }

    /// [`find_by_id`](Self::find_by_id) with a context.
    ///
    /// # Errors
    /// As [`find_by_id`](Self::find_by_id), and those of the context.
    pub fn find_by_id_with(
        &self,
        context: &OperationContext,
        id: impl Into<Bson>,
    ) -> Result<Option<RawDocumentBuf>> {
        let watch = context.start(&self.environment.runtime);
        watch.check()?;
        let id = OwnedValue::try_from(&id.into())?;
        let view = self.view()?;
        let counters = &self.environment.counters;
        Counters::add(&counters.queries, 1);
        let (Some(place), Ok(key)) = (view.place, key::encode(id.as_raw())) else {
            return Ok(None);
        };
        let copy = |bytes: &[u8]| watch.room_for(bytes.len()).map(|()| bytes.to_vec());
        let found = place.with_value(&key, copy)?;
        let Some(bytes) = found.transpose()? else {
            return Ok(None);
        };
        Counters::add(&counters.examined, 1);
        Counters::add(&counters.returned, 1);
        stored(bytes).map(Some)
    }

    /// The first document that matches, in order of `_id`.
    ///
    /// # Errors
    /// The filter makes no sense, or as [`find_by_id`](Self::find_by_id).
    pub fn find_one(&self, filter: impl IntoFilter) -> Result<Option<RawDocumentBuf>> {
        self.find_one_with(&OperationContext::new(), filter)
    }

    /// [`find_one`](Self::find_one) with a context.
    ///
    /// # Errors
    /// As [`find_one`](Self::find_one), and those of the context.
    pub fn find_one_with(
        &self,
        context: &OperationContext,
        filter: impl IntoFilter,
    ) -> Result<Option<RawDocumentBuf>> {
        self.find(filter)
            .context(context.clone())
            .limit(1)
            .run()?
            .next()
            .transpose()
    }

    /// A query, to be refined and [run](Find::run).
    ///
    /// ```
    /// # use bson::doc;
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let numbers = database.collection("numbers");
    /// numbers.insert_many((0..10).map(|n| doc! { "_id": n, "even": n % 2 == 0 }))?;
    /// let mut found = Vec::new();
    /// for document in numbers.find(doc! { "even": true }).skip(1).limit(3).run()? {
    ///     found.push(document?.get_i32("_id").unwrap());
    /// }
    /// assert_eq!(found, [2, 4, 6]);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn find(&self, filter: impl IntoFilter) -> Find {
        Find {
            collection: self.clone(),
            filter: filter.into_filter(),
            context: OperationContext::new(),
            skip: 0,
            limit: None,
        }
    }

    /// How many documents match. Without conditions that is known, and costs nothing.
    ///
    /// # Errors
    /// As [`find_one`](Self::find_one).
    pub fn count(&self, filter: impl IntoFilter) -> Result<u64> {
        self.count_with(&OperationContext::new(), filter)
    }

    /// [`count`](Self::count) with a context.
    ///
    /// # Errors
    /// As [`find_one_with`](Self::find_one_with).
    pub fn count_with(&self, context: &OperationContext, filter: impl IntoFilter) -> Result<u64> {
        let filter = filter.into_filter()?;
        if let (true, Some(session)) = (filter.is_all(), &self.session) {
            context.start(&self.environment.runtime).check()?;
            return self.count_within(session);
        }
        if filter.is_all() {
            return Ok(self.stats_with(context)?.documents);
        }
        let mut cursor = self.find(filter).context(context.clone()).run()?;
        let mut count = 0;
        while cursor.advance()?.is_some() {
            count += 1;
        }
        Ok(count)
    }
}

/// A query that has not begun.
#[derive(Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Find {
    collection: Collection,
    filter: Result<Filter>,
    context: OperationContext,
    skip: u64,
    limit: Option<u64>,
}

impl Find {
    /// With these limits.
    pub fn context(mut self, context: OperationContext) -> Self {
        self.context = context;
        self
    }

    /// Leaves out the first `count` documents that match.
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Ends after `count` documents; 0 is no limit, as in MongoDB.
    pub fn limit(mut self, count: u64) -> Self {
        self.limit = (count > 0).then_some(count);
        self
    }

    /// Begins: takes a snapshot, which the cursor keeps.
    ///
    /// # Errors
    /// The filter makes no sense, the name is not allowed, or a page could not
    /// be read.
    pub fn run(self) -> Result<Cursor> {
        let environment = Arc::clone(&self.collection.environment);
        let watch = self.context.start(&environment.runtime);
        watch.check()?;
        let filter = self.filter?;
        let view = self.collection.view()?;
        Counters::add(&environment.counters.queries, 1);
        let matches = match &view.place {
            Some(place) => Matches::new(place, filter, None)?,
            None => Matches::none(),
        };
        Ok(Cursor {
            environment,
            index: view.index,
            _place: view.place,
            watch,
            matches: Some(matches),
            skip: self.skip,
            left: self.limit,
            returned: 0,
            document: Vec::new(),
        })
    }
}

/// The documents that a query found, in order of `_id`.
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
    skip: u64,
    left: Option<u64>,
    returned: u64,
    document: Vec<u8>,
}

impl Cursor {
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
        }
    }

    fn try_fill(&mut self) -> Result<bool> {
        let Some(matches) = &mut self.matches else {
            return Ok(false);
        };
        if self.left == Some(0) {
            return Ok(false);
        }
        loop {
            let (document, watch) = (&mut self.document, &self.watch);
            let is_skipped = self.skip > 0;
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
            match found {
                None => return Ok(false),
                Some(copied) => copied?,
            }
            if !is_skipped {
                break;
            }
            self.skip -= 1;
        }
        self.returned += 1;
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        Ok(true)
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
fn stored(bytes: Vec<u8>) -> Result<RawDocumentBuf> {
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
