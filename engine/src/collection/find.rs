//! Queries: from a filter to the documents that match.

use std::sync::Arc;

use bson::{Bson, RawDocumentBuf};

use super::Collection;
use super::cursor::{Cursor, Order, Projected, stored};
use super::explain::Explain;
use super::matches::{Matches, Wish};
use crate::context::OperationContext;
use crate::error::Result;
use crate::filter::Filter;
use crate::index::Hint;
use crate::input::{IntoDocument, IntoFilter};
use crate::key;
use crate::monitor::Operation;
use crate::projection::Projection;
use crate::sort::SortPattern;
use crate::stats::Counters;
use crate::values::{OwnedValue, validate_document};

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
        self.timed(Operation::Find, || self.find_by_id_untimed(context, id))
    }

    fn find_by_id_untimed(
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
            sort: Ok(None),
            projection: Ok(None),
            skip: 0,
            limit: None,
            allow_disk_use: true,
            hint: None,
            explain: false,
            counts: false,
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
        self.timed(Operation::Find, || self.count_untimed(context, filter))
    }

    fn count_untimed(&self, context: &OperationContext, filter: impl IntoFilter) -> Result<u64> {
        let filter = filter.into_filter()?;
        if let (true, Some(session)) = (filter.is_all(), &self.session) {
            context.start(&self.environment.runtime).check()?;
            return self.count_within(session);
        }
        if filter.is_all() {
            return Ok(self.stats_with(context)?.documents);
        }
        self.find(filter).context(context.clone()).count()
    }
}

/// A query that has not begun.
#[derive(Debug)]
#[must_use = "a query does nothing until it is run"]
pub struct Find {
    collection: Collection,
    filter: Result<Filter>,
    context: OperationContext,
    sort: Result<Option<SortPattern>>,
    projection: Result<Option<Projection>>,
    skip: u64,
    limit: Option<u64>,
    allow_disk_use: bool,
    hint: Option<Hint>,
    explain: bool,
    /// Only how many documents there are is asked for.
    counts: bool,
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

    /// Sorts by these paths, 1 or -1 each; of equal ones none is before the other. What
    /// exceeds the memory of the operation, 100 MiB at most, is sorted on disk.
    pub fn sort(mut self, sort: impl IntoDocument) -> Self {
        self.sort = sort.into_document().and_then(|sort| {
            validate_document(sort.as_bytes())?;
            let pattern = SortPattern::parse(&sort)?;
            Ok((!pattern.is_empty()).then_some(pattern))
        });
        self
    }

    /// What of each document comes back: fields that are included (1), or excluded (0),
    /// or computed; MongoDB's language, with `$slice`, `$elemMatch` and `field.$`.
    ///
    /// ```
    /// # use bson::{doc, rawdoc};
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let books = database.collection("books");
    /// books.insert_one(doc! { "_id": 1, "title": "Emma", "pages": 474 })?;
    /// let mut found = books.find(doc! {}).projection(doc! { "title": 1, "_id": 0 }).run()?;
    /// assert_eq!(found.next().unwrap()?, rawdoc! { "title": "Emma" });
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn projection(mut self, projection: impl IntoDocument) -> Self {
        self.projection = projection.into_document().and_then(|projection| {
            let projection = Projection::parse_find(&projection)?;
            Ok((!projection.is_everything()).then_some(projection))
        });
        self
    }

    /// Sorts by this pattern.
    pub(super) fn sorted_by(mut self, pattern: SortPattern) -> Self {
        self.sort = Ok(Some(pattern));
        self
    }

    /// Whether a sort may use the disk, as it does unless told; if not, one that exceeds
    /// its memory ends with code 292.
    pub fn allow_disk_use(mut self, allow: bool) -> Self {
        self.allow_disk_use = allow;
        self
    }

    /// Uses this index, by name or by its fields, whether it is the best or not. One that does
    /// not have all documents shows only those that it has.
    ///
    /// ```
    /// # use bson::doc;
    /// # use collection_store::IndexModel;
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let books = database.collection("books");
    /// books.insert_one(doc! { "_id": 1, "title": "Emma", "pages": 474 })?;
    /// books.create_index(IndexModel::new(doc! { "pages": 1 }))?;
    /// assert_eq!(books.find(doc! {}).hint("pages_1").count()?, 1);
    /// assert_eq!(books.find(doc! {}).hint(doc! { "pages": 1 }).count()?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn hint(mut self, hint: impl Into<Hint>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Carries the query out, and says how, instead of what it found.
    ///
    /// ```
    /// # use bson::doc;
    /// # use collection_store::IndexModel;
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let books = database.collection("books");
    /// books.insert_many((0..100).map(|n| doc! { "_id": n, "pages": 10 * n }))?;
    /// books.create_index(IndexModel::new(doc! { "pages": 1 }))?;
    /// let explain = books.find(doc! { "pages": { "$gte": 500, "$lt": 520 } }).explain()?;
    /// assert_eq!(explain.steps[0].index.as_deref(), Some("pages_1"));
    /// assert_eq!(explain.steps[0].bounds[0].1, ["[500, 520)"]);
    /// assert_eq!((explain.keys_examined, explain.returned), (2, 2));
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of the cursor.
    pub fn explain(mut self) -> Result<Explain> {
        self.explain = true;
        let filter = self.filter.as_ref().ok().cloned().unwrap_or_default();
        let runtime = Arc::clone(&self.collection.environment.runtime);
        let began = runtime.monotonic();
        let cursor = self.run()?;
        let (sorted, covered) = (cursor.sorts(), cursor.is_covered());
        let (steps, (keys_examined, documents_examined), returned) = cursor.exhaust()?;
        Ok(Explain {
            steps,
            filter: filter.plan(),
            covered,
            sorted,
            keys_examined,
            documents_examined,
            returned,
            duration: runtime.monotonic().saturating_sub(began),
        })
    }

    /// How many documents the query finds, skip and limit taken into account.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of the cursor.
    pub fn count(mut self) -> Result<u64> {
        // What is malformed is refused, and no more made of it.
        self.sort?;
        self.projection?;
        (self.sort, self.projection) = (Ok(None), Ok(None));
        self.counts = true;
        let mut cursor = self.run()?;
        let mut count = 0;
        while cursor.advance()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    /// Begins: takes a snapshot, which the cursor keeps.
    ///
    /// # Errors
    /// The filter or the sort makes no sense, the name is not allowed, or a page could
    /// not be read.
    pub fn run(self) -> Result<Cursor> {
        let environment = Arc::clone(&self.collection.environment);
        let watch = self.context.start(&environment.runtime);
        watch.check()?;
        let surroundings = environment.surroundings();
        let filter = self
            .collection
            .aware(self.filter?)?
            .with_variables(surroundings.variables());
        filter.prepare(&environment.filters);
        let sort = self.sort?;
        let projected = self.projection?.map(|projection| Projected {
            filter: projection.needs_position().then(|| filter.clone()),
            surroundings,
            projection,
        });
        let view = self.collection.view()?;
        Counters::add(&environment.counters.queries, 1);
        let fields = projected.as_ref().and_then(|projected| {
            let names = projected.projection.kept_names()?;
            let sorted = sort.iter().flat_map(SortPattern::paths);
            let sorted = sorted.filter_map(|(path, _)| {
                let first = path.split(|byte| *byte == b'.').next()?;
                Some(first.to_vec())
            });
            Some(
                names
                    .into_iter()
                    .map(<[u8]>::to_vec)
                    .chain(sorted)
                    .collect(),
            )
        });
        let wish = Wish {
            hint: self.hint,
            sort: sort.iter().flat_map(SortPattern::paths).collect(),
            fields: self.counts.then(Vec::new).or(fields),
            explain: self.explain,
        };
        let matches = match (&view.place, &view.entry) {
            (Some(place), Some(entry)) => Matches::planned(place, entry, filter, &wish)?,
            _ => Matches::none(),
        };
        let order = sort.filter(|_| !matches.is_sorted()).map(|pattern| Order {
            pattern,
            allow_disk_use: self.allow_disk_use,
        });
        Ok(Cursor::new(
            environment,
            view,
            watch,
            matches,
            order,
            (self.skip, self.limit),
            projected,
        ))
    }
}
