//! Aggregation over a collection.

use std::fmt;
use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

use super::Collection;
use super::cursor::{Cursor, Order};
use super::matches::{Matches, Wish};
use super::place::View;
use crate::aggregate::{Foreign, Pipeline, Rows, Run, Scan};
use crate::catalog::entry_in;
use crate::context::{OperationContext, Watch};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::index::Hint;
use crate::input::IntoDocument;
use crate::monitor::Operation;
use crate::names::Namespace;
use crate::sort::SortPattern;
use crate::stats::Counters;
use crate::values::validate_document;

/// How an aggregation is done.
#[derive(Clone, Debug)]
#[must_use]
pub struct AggregateOptions {
    allow_disk_use: bool,
    hint: Option<Hint>,
    /// What is no document is said when the options are used.
    variables: Result<Option<RawDocumentBuf>, String>,
}

impl Default for AggregateOptions {
    fn default() -> Self {
        Self {
            allow_disk_use: true,
            hint: None,
            variables: Ok(None),
        }
    }
}

impl AggregateOptions {
    /// As usual.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `$sort`, `$group` and `$bucketAuto` may use the disk beyond their memory,
    /// as they do unless told; if not, they end with code 292.
    pub fn allow_disk_use(mut self, allow: bool) -> Self {
        self.allow_disk_use = allow;
        self
    }

    /// Reads the collection by this index.
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Variables that all expressions of the pipeline may name, as `$$x`: MongoDB's `let`.
    ///
    /// ```
    /// use bson::{doc, rawdoc};
    /// use collection_store::{AggregateOptions, OperationContext};
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let sales = database.collection("sales");
    /// sales.insert_one(doc! { "_id": 1, "cents": 300 })?;
    /// let options = AggregateOptions::new().variables(doc! { "rate": 2 });
    /// let doubled = doc! { "$set": { "cents": { "$multiply": ["$cents", "$$rate"] } } };
    /// let mut found = sales.aggregate_with(&OperationContext::new(), [doubled], &options)?;
    /// assert_eq!(found.next().unwrap()?, rawdoc! { "_id": 1, "cents": 600 });
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn variables(mut self, variables: impl IntoDocument) -> Self {
        let variables = variables.into_document();
        self.variables = variables.map(Some).map_err(|error| error.to_string());
        self
    }
}

impl Collection {
    /// Runs a pipeline over the documents of the collection.
    ///
    /// Stages: `$match $project $addFields $set $unset $replaceRoot $replaceWith $unwind
    /// $sort $limit $skip $group $count $bucket $bucketAuto $sortByCount $lookup
    /// $unionWith $facet $redact $sample $documents $out $merge`. Any other is refused by name.
    ///
    /// ```
    /// use bson::{doc, rawdoc};
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let sales = database.collection("sales");
    /// sales.insert_one(doc! { "_id": 1, "item": "tea", "cents": 300 })?;
    /// sales.insert_one(doc! { "_id": 2, "item": "ink", "cents": 120 })?;
    /// sales.insert_one(doc! { "_id": 3, "item": "tea", "cents": 250 })?;
    /// let totals = sales.aggregate([
    ///     doc! { "$group": { "_id": "$item", "cents": { "$sum": "$cents" } } },
    ///     doc! { "$sort": { "cents": -1 } },
    /// ])?;
    /// let totals: Vec<_> = totals.collect::<Result<_, _>>()?;
    /// assert_eq!(totals[0], rawdoc! { "_id": "tea", "cents": 550 });
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// A stage is malformed or not known, with MongoDB's code; a page could not be read.
    /// Where the pipeline ends in `$out` or `$merge`, all that can go wrong in it.
    pub fn aggregate<D: IntoDocument>(
        &self,
        pipeline: impl IntoIterator<Item = D>,
    ) -> Result<AggregateCursor> {
        let options = AggregateOptions::default();
        self.aggregate_with(&OperationContext::new(), pipeline, &options)
    }

    /// [`aggregate`](Self::aggregate) with a context and options.
    ///
    /// # Errors
    /// As [`aggregate`](Self::aggregate), and those of the context.
    pub fn aggregate_with<D: IntoDocument>(
        &self,
        context: &OperationContext,
        pipeline: impl IntoIterator<Item = D>,
        options: &AggregateOptions,
    ) -> Result<AggregateCursor> {
        self.timed(Operation::Aggregate, || {
            self.aggregate_untimed(context, pipeline, options)
        })
    }

    fn aggregate_untimed<D: IntoDocument>(
        &self,
        context: &OperationContext,
        pipeline: impl IntoIterator<Item = D>,
        options: &AggregateOptions,
    ) -> Result<AggregateCursor> {
        let watch = context.start(&self.environment.runtime);
        watch.check()?;
        let stages = pipeline.into_iter().map(|stage| {
            let stage = stage.into_document()?;
            validate_document(stage.as_bytes())?;
            Ok(stage)
        });
        let mut surroundings = self.environment.surroundings();
        match &options.variables {
            Ok(None) => {}
            Ok(Some(variables)) => {
                validate_document(variables.as_bytes())?;
                surroundings = surroundings.with_constants(variables.as_bytes())?;
            }
            Err(failed) => return Err(Error::new(ErrorKind::InvalidDocument, failed)),
        }
        let pipeline = Pipeline::parse(stages, surroundings.scope())?;
        if pipeline.writes() {
            self.environment.writable()?;
        }
        let run = Run {
            environment: Arc::clone(&self.environment),
            watch,
            surroundings: Arc::new(surroundings),
            foreign: Arc::new(Foreign::new(self.clone())?),
            allow_disk_use: options.allow_disk_use,
        };
        let rows = pipeline.open_by(Some(self.name()), options.hint.clone(), &run)?;
        let mut cursor = AggregateCursor {
            run,
            rows: Some(rows),
            document: Vec::new(),
        };
        if pipeline.writes() {
            cursor.fill()?;
        }
        Ok(cursor)
    }

    /// Another collection of the same database, in the same transaction.
    pub(crate) fn beside(&self, name: &str) -> Self {
        self.elsewhere(None, name)
    }

    /// A collection of this or another database, in the same transaction.
    pub(crate) fn elsewhere(&self, database: Option<&str>, name: &str) -> Self {
        let database = match database {
            Some(database) => database.into(),
            None => Arc::clone(&self.namespace.database),
        };
        Self {
            namespace: Namespace {
                database,
                collection: name.into(),
            },
            ..self.clone()
        }
    }

    /// The state that an operation sees which begins now; none in a transaction, which
    /// has its own.
    pub(crate) fn state(&self) -> Result<Option<cs_kv::Snapshot>> {
        if self.session.is_some() {
            return Ok(None);
        }
        Ok(Some(self.environment.snapshot(&self.namespace)?.0))
    }

    /// What the collection holds in that state.
    pub(crate) fn view_in(&self, snapshot: Option<&cs_kv::Snapshot>) -> Result<View> {
        let Some(snapshot) = snapshot else {
            return self.view();
        };
        let entry = entry_in(snapshot, &self.namespace)?;
        self.view_of(snapshot, entry)
    }

    /// The documents of a view that match.
    pub(crate) fn scan(
        &self,
        view: View,
        watch: Watch,
        filter: Filter,
        scan: &Scan,
        allow_disk_use: bool,
    ) -> Result<Cursor> {
        Counters::add(&self.environment.counters.queries, 1);
        let wish = Wish {
            hint: scan.hint.clone(),
            sort: scan.sort.iter().flat_map(SortPattern::paths).collect(),
            ..Wish::default()
        };
        let matches = match (&view.place, &view.entry) {
            (Some(place), Some(entry)) => Matches::planned(place, entry, filter, &wish)?,
            _ => Matches::none(),
        };
        let sort = scan.sort.clone().filter(|_| !matches.is_sorted());
        let order = sort.map(|pattern| Order {
            pattern,
            allow_disk_use,
        });
        let environment = Arc::clone(&self.environment);
        let range = (0, scan.limit);
        Ok(Cursor::new(
            environment,
            view,
            watch,
            matches,
            order,
            range,
            None,
        ))
    }
}

/// What an aggregation gives. After an error it gives nothing more.
pub struct AggregateCursor {
    run: Run,
    /// `None` once it has ended.
    rows: Option<Box<dyn Rows>>,
    document: Vec<u8>,
}

impl AggregateCursor {
    /// The next document, in place until the next call; the iterator gives copies.
    ///
    /// # Errors
    /// A stage cannot be applied to a document, with MongoDB's code; a page could not be
    /// read; the operation's limits are exceeded.
    pub fn advance(&mut self) -> Result<Option<&RawDocument>> {
        if !self.fill()? {
            return Ok(None);
        }
        Ok(Some(RawDocument::from_bytes(&self.document)?))
    }

    fn fill(&mut self) -> Result<bool> {
        let Some(rows) = &mut self.rows else {
            return Ok(false);
        };
        let filled = rows.next(&self.run, &mut self.document);
        if !matches!(filled, Ok(true)) {
            self.rows = None;
        }
        filled
    }
}

impl Iterator for AggregateCursor {
    type Item = Result<RawDocumentBuf>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fill() {
            Ok(true) => {
                let document = std::mem::take(&mut self.document);
                Some(RawDocumentBuf::from_bytes(document).map_err(Into::into))
            }
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::iter::FusedIterator for AggregateCursor {}

impl fmt::Debug for AggregateCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregateCursor")
            .field("ended", &self.rows.is_none())
            .finish_non_exhaustive()
    }
}
