//! One update or deletion, as `update`, `delete` and `bulkWrite` carry it out.
//!
//! The engine finds its documents by itself. Where the statement says by which index, or which of
//! several to take first, they are looked for beforehand, and then changed by their `_id`s if they
//! still match.

use bson::{Bson, RawArray, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::IntoUpdate;
use collection_store::filter::Filter;
use collection_store::{
    Collection, Hint, OperationContext, UpdateOptions, UpdateResult, UpdateSpec,
};

use super::read::{filter_of, hint_of};
use super::variables::with_variables;
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::wire::validate_outer;

/// How often a document that was found beforehand is looked for anew when it has changed.
const MAX_ATTEMPTS: usize = 100;
/// How many documents that were found beforehand are changed by one operation.
const CHUNK: usize = 1000;

/// What an update does to a document.
#[derive(Clone, Debug)]
pub(crate) enum Modification {
    /// Operators, or a pipeline.
    Update(UpdateSpec),
    /// Another document in its place.
    Replace(RawDocumentBuf),
}

impl Modification {
    /// A document without operators is a replacement.
    pub(crate) fn of(name: &str, value: Option<RawBsonRef<'_>>) -> Result<Self> {
        match value {
            Some(RawBsonRef::Document(document)) => {
                let first = document.into_iter().next().transpose()?;
                let has_operators = first.is_some_and(|(name, _)| name.as_str().starts_with('$'));
                if has_operators {
                    return Ok(Self::Update(document.into_update()?));
                }
                Ok(Self::Replace(document.to_owned()))
            }
            Some(RawBsonRef::Array(stages)) => Self::pipeline(name, stages),
            _ => {
                let message = format!("'{name}' has to be a document or an array of stages");
                Err(CommandError::new(code::FAILED_TO_PARSE, message))
            }
        }
    }

    fn pipeline(name: &str, stages: &RawArray) -> Result<Self> {
        let mut documents = Vec::new();
        for stage in stages {
            let RawBsonRef::Document(stage) = stage? else {
                let message = format!("each element of the pipeline '{name}' must be an object");
                return Err(CommandError::new(code::TYPE_MISMATCH, message));
            };
            documents.push(stage.to_owned());
        }
        Ok(Self::Update(documents.into_update()?))
    }
}

/// Which documents are meant.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    source: RawDocumentBuf,
    filter: Filter,
    hint: Option<Hint>,
    sort: Option<RawDocumentBuf>,
}

impl Target {
    pub(crate) fn new(
        filter: &RawDocument,
        variables: Option<&RawDocument>,
        hint: Option<RawBsonRef<'_>>,
        sort: Option<&RawDocument>,
    ) -> Result<Self> {
        let source = match variables.filter(|variables| !variables.is_empty()) {
            Some(variables) => with_variables(filter, variables)?,
            None => filter.to_owned(),
        };
        Ok(Self {
            filter: filter_of(Some(&source), None)?,
            source,
            hint: hint_of(hint)?,
            sort: sort.filter(|sort| !sort.is_empty()).map(ToOwned::to_owned),
        })
    }

    fn is_plain(&self) -> bool {
        self.hint.is_none() && self.sort.is_none()
    }

    /// The `_id`s of the documents, found as the statement says.
    fn ids(
        &self,
        collection: &Collection,
        operation: &OperationContext,
        limit: u64,
    ) -> Result<Vec<Bson>> {
        let mut find = collection
            .find(&self.filter)
            .context(operation.clone())
            .projection(rawdoc! { "_id": 1 })
            .limit(limit);
        if let Some(sort) = &self.sort {
            find = find.sort(sort);
        }
        if let Some(hint) = &self.hint {
            find = find.hint(hint.clone());
        }
        let mut ids = Vec::new();
        for document in find.run()? {
            let document = document?;
            if let Some(id) = document.get("_id")? {
                ids.push(Bson::try_from(id)?);
            }
        }
        Ok(ids)
    }

    /// These documents, if they match still.
    fn among(&self, ids: &[Bson]) -> Result<Filter> {
        let mut wanted = bson::RawArrayBuf::new();
        for id in ids {
            wanted.push(bson::RawBson::try_from(id.clone())?);
        }
        let by_id = match ids {
            [id] => rawdoc! { "_id": { "$eq": bson::RawBson::try_from(id.clone())? } },
            _ => rawdoc! { "_id": { "$in": wanted } },
        };
        let mut both = bson::RawArrayBuf::new();
        both.push(by_id);
        both.push(self.source.clone());
        Ok(Filter::compile(&rawdoc! { "$and": both })?)
    }

    /// The filter of one document: the first, as the statement has it. `None` if there is none.
    pub(crate) fn first(
        &self,
        collection: &Collection,
        operation: &OperationContext,
    ) -> Result<Option<Filter>> {
        if self.is_plain() {
            return Ok(Some(self.filter.clone()));
        }
        let ids = self.ids(collection, operation, 1)?;
        ids.first()
            .map(|id| self.among(std::slice::from_ref(id)))
            .transpose()
    }

    /// The filter as it was given.
    pub(crate) fn filter(&self) -> &Filter {
        &self.filter
    }
}

/// An update.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) target: Target,
    modification: Modification,
    is_multi: bool,
    options: UpdateOptions,
}

impl Update {
    /// Whether it has the shape of an update: before that is so of all of a batch, none is begun.
    pub(crate) fn check(document: &RawDocument) -> Result<()> {
        let known = [
            "q",
            "u",
            "c",
            "multi",
            "upsert",
            "upsertSupplied",
            "arrayFilters",
            "hint",
            "sort",
            "collation",
        ];
        validate_outer(document).map_err(collection_store::Error::from)?;
        let fields = Fields::within("update.updates", document, &known)?;
        fields.required("q")?;
        fields.required("u")?;
        fields.refuse(&["collation", "c"])
    }

    /// Of the command `update`: `{ q, u, c, multi, upsert, arrayFilters, hint, sort, collation }`,
    /// which was [checked](Self::check).
    pub(crate) fn of_update(
        document: &RawDocument,
        variables: Option<&RawDocument>,
    ) -> Result<Self> {
        let fields = Fields::read("update.updates", document, |_| true)?;
        Self::read(&fields, ["q", "u", "c"], variables)
    }

    /// Of the command `bulkWrite`.
    pub(crate) fn of_bulk(fields: &Fields<'_>, variables: Option<&RawDocument>) -> Result<Self> {
        Self::read(fields, ["filter", "updateMods", "constants"], variables)
    }

    fn read(
        fields: &Fields<'_>,
        [filter, update, constants]: [&str; 3],
        variables: Option<&RawDocument>,
    ) -> Result<Self> {
        fields.refuse(&["collation", constants])?;
        let mut options = UpdateOptions {
            upsert: fields.boolean("upsert")? == Some(true),
            ..UpdateOptions::default()
        };
        if let Some(filters) = fields.documents("arrayFilters")? {
            options.array_filters = filters.into_iter().map(ToOwned::to_owned).collect();
        }
        fields.required(filter)?;
        let source = fields.document(filter)?.unwrap_or(crate::fields::empty());
        let modification = Modification::of(update, fields.get(update))?;
        let is_multi = fields.boolean("multi")? == Some(true);
        if is_multi && matches!(modification, Modification::Replace(_)) {
            let message = "multi update is not supported for replacement-style update";
            return Err(CommandError::new(code::FAILED_TO_PARSE, message));
        }
        let sort = fields.document("sort")?;
        if is_multi && sort.is_some() {
            let message = "Cannot specify sort with multi=true";
            return Err(CommandError::new(code::FAILED_TO_PARSE, message));
        }
        if matches!(modification, Modification::Replace(_)) && !options.array_filters.is_empty() {
            let message = "arrayFilters may not be specified for replacement-style update";
            return Err(CommandError::new(code::FAILED_TO_PARSE, message));
        }
        Ok(Self {
            target: Target::new(source, variables, fields.get("hint"), sort)?,
            modification,
            is_multi,
            options,
        })
    }

    /// Carries it out.
    pub(crate) fn run(
        &self,
        collection: &Collection,
        operation: &OperationContext,
    ) -> Result<UpdateResult> {
        if self.is_multi {
            return self.run_many(collection, operation);
        }
        if self.target.is_plain() {
            return self.run_one(collection, operation, self.target.filter(), &self.options);
        }
        let mut options = self.options.clone();
        options.upsert = false;
        for _ in 0..MAX_ATTEMPTS {
            let Some(filter) = self.target.first(collection, operation)? else {
                // Where it is an upsert, the filter says what is to be inserted.
                return self.run_one(collection, operation, self.target.filter(), &self.options);
            };
            let result = self.run_one(collection, operation, &filter, &options)?;
            if result.matched > 0 {
                return Ok(result);
            }
        }
        Err(CommandError::new(
            112,
            "the document changed too often while it was updated",
        ))
    }

    fn run_one(
        &self,
        collection: &Collection,
        operation: &OperationContext,
        filter: &Filter,
        options: &UpdateOptions,
    ) -> Result<UpdateResult> {
        Ok(match &self.modification {
            Modification::Update(update) => {
                collection.update_one_with(operation, filter, update, options)?
            }
            Modification::Replace(document) => {
                collection.replace_one_or_insert(operation, filter, document, options)?
            }
        })
    }

    fn run_many(
        &self,
        collection: &Collection,
        operation: &OperationContext,
    ) -> Result<UpdateResult> {
        let Modification::Update(update) = &self.modification else {
            return Err(CommandError::new(
                code::INTERNAL_ERROR,
                "a replacement of many",
            ));
        };
        let options = &self.options;
        let all = self.target.filter();
        if self.target.is_plain() {
            return Ok(collection.update_many_with(operation, all, update, options)?);
        }
        let ids = self.target.ids(collection, operation, 0)?;
        if ids.is_empty() {
            return Ok(collection.update_many_with(operation, all, update, options)?);
        }
        let mut options = self.options.clone();
        options.upsert = false;
        let mut total = UpdateResult::default();
        for ids in ids.chunks(CHUNK) {
            let filter = self.target.among(ids)?;
            let updated = collection.update_many_with(operation, filter, update, &options)?;
            total.matched += updated.matched;
            total.modified += updated.modified;
        }
        Ok(total)
    }
}

/// A deletion.
#[derive(Clone, Debug)]
pub(crate) struct Delete {
    target: Target,
    is_multi: bool,
}

impl Delete {
    /// Whether it has the shape of a deletion: before that is so of all of a batch, none is begun.
    pub(crate) fn check(document: &RawDocument) -> Result<()> {
        let known = ["q", "limit", "hint", "collation"];
        validate_outer(document).map_err(collection_store::Error::from)?;
        let fields = Fields::within("delete.deletes", document, &known)?;
        fields.required("q")?;
        fields.required("limit")?;
        fields.refuse(&["collation"])?;
        match fields.integer("limit")? {
            Some(0 | 1) => Ok(()),
            other => {
                let message = format!(
                    "The limit field in delete objects must be 0 or 1. Got {}",
                    other.unwrap_or_default()
                );
                Err(CommandError::new(code::FAILED_TO_PARSE, message))
            }
        }
    }

    /// Of the command `delete`: `{ q, limit, hint, collation }`, which was
    /// [checked](Self::check).
    pub(crate) fn of_delete(
        document: &RawDocument,
        variables: Option<&RawDocument>,
    ) -> Result<Self> {
        let fields = Fields::read("delete.deletes", document, |_| true)?;
        let is_multi = fields.integer("limit")? == Some(0);
        Self::read(&fields, "q", is_multi, variables)
    }

    /// Of the command `bulkWrite`.
    pub(crate) fn of_bulk(fields: &Fields<'_>, variables: Option<&RawDocument>) -> Result<Self> {
        let is_multi = fields.boolean("multi")? == Some(true);
        Self::read(fields, "filter", is_multi, variables)
    }

    fn read(
        fields: &Fields<'_>,
        filter: &str,
        is_multi: bool,
        variables: Option<&RawDocument>,
    ) -> Result<Self> {
        fields.refuse(&["collation"])?;
        fields.required(filter)?;
        let source = fields.document(filter)?.unwrap_or(crate::fields::empty());
        Ok(Self {
            target: Target::new(source, variables, fields.get("hint"), None)?,
            is_multi,
        })
    }

    /// Carries it out; returns how many were deleted.
    pub(crate) fn run(&self, collection: &Collection, operation: &OperationContext) -> Result<u64> {
        let all = self.target.filter();
        if self.is_multi && self.target.is_plain() {
            return Ok(collection.delete_many_with(operation, all)?);
        }
        if self.is_multi {
            let ids = self.target.ids(collection, operation, 0)?;
            let mut deleted = 0;
            for ids in ids.chunks(CHUNK) {
                let filter = self.target.among(ids)?;
                deleted += collection.delete_many_with(operation, filter)?;
            }
            return Ok(deleted);
        }
        for _ in 0..MAX_ATTEMPTS {
            let Some(filter) = self.target.first(collection, operation)? else {
                return Ok(0);
            };
            let was_there = collection.delete_one_with(operation, filter)?;
            if was_there || self.target.is_plain() {
                return Ok(u64::from(was_there));
            }
        }
        Err(CommandError::new(
            112,
            "the document changed too often while it was deleted",
        ))
    }
}
