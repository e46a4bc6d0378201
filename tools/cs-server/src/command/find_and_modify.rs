//! findAndModify: one document found and changed in one step.

use bson::raw::cstr;
use bson::{RawBson, RawDocumentBuf, rawdoc};
use collection_store::{FindAndModifyOptions, FoundAndModified, ReturnDocument};

use super::statement::{Modification, Target};
use super::write::target;
use super::{CommandSpec, Context, Privilege};
use crate::error::{CommandError, Result, code};
use crate::reply::Reply;

const FIELDS: &[&str] = &[
    "query",
    "sort",
    "remove",
    "update",
    "new",
    "fields",
    "upsert",
    "bypassDocumentValidation",
    "arrayFilters",
    "hint",
    "collation",
    "let",
];

const fn spec(name: &'static str) -> CommandSpec {
    CommandSpec {
        in_txn: true,
        ..CommandSpec::new(name, Privilege::ReadWrite, FIELDS, find_and_modify)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[spec("findAndModify"), spec("findandmodify")];

fn find_and_modify(context: &mut Context<'_>) -> Result<Reply> {
    let collection = target(context)?;
    let fields = &context.fields;
    fields.refuse(&["collation"])?;
    let is_remove = fields.boolean("remove")? == Some(true);
    let is_upsert = fields.boolean("upsert")? == Some(true);
    let wants_new = fields.boolean("new")? == Some(true);
    let refuse = |message: &str| Err(CommandError::new(code::FAILED_TO_PARSE, message));
    match (is_remove, fields.get("update").is_some()) {
        (false, false) => return refuse("Either an update or remove=true must be specified"),
        (true, true) => {
            return refuse("Cannot specify both an update and remove=true");
        }
        (true, false) if is_upsert => {
            return refuse("Cannot specify both upsert=true and remove=true");
        }
        (true, false) if wants_new => {
            return refuse(
                "Cannot specify both new=true and remove=true; 'remove' always returns the \
                 deleted document",
            );
        }
        _ => {}
    }
    let mut options = FindAndModifyOptions::new().upsert(is_upsert);
    if wants_new {
        options = options.return_document(ReturnDocument::After);
    }
    if let Some(projection) = fields.document("fields")? {
        options = options.projection(projection);
    }
    if let Some(filters) = fields.documents("arrayFilters")? {
        let filters = filters.into_iter().map(ToOwned::to_owned).collect();
        options = options.array_filters(filters);
    }
    let sort = fields.document("sort")?;
    let query = fields.document("query")?.unwrap_or(crate::fields::empty());
    // The engine sorts by itself; only an index has to be gone by beforehand.
    let hinted = fields.get("hint").and(sort);
    let wanted = Target::new(query, fields.document("let")?, fields.get("hint"), hinted)?;
    if let Some(sort) = sort {
        options = options.sort(sort);
    }
    let operation = context.write_operation(0)?;
    let filter = match wanted.first(&collection, &context.operation())? {
        Some(filter) => filter,
        None if is_upsert => wanted.filter().clone(),
        None => return Ok(reply(FoundAndModified::default(), is_remove)?.into()),
    };
    if is_remove {
        let removed = collection.find_one_and_delete_with(&operation, filter, &options)?;
        return Ok(reply(removed, true)?.into());
    }
    let modified = match Modification::of("update", fields.get("update"))? {
        Modification::Update(update) => {
            collection.find_one_and_update_with(&operation, filter, update, &options)?
        }
        Modification::Replace(document) => {
            collection.find_one_and_replace_with(&operation, filter, document, &options)?
        }
    };
    Ok(reply(modified, false)?.into())
}

fn reply(modified: FoundAndModified, is_remove: bool) -> Result<RawDocumentBuf> {
    let mut last = rawdoc! { "n": i32::try_from(modified.count).unwrap_or(i32::MAX) };
    if !is_remove {
        last.append(cstr!("updatedExisting"), modified.updated_existing);
    }
    if let Some(id) = modified.upserted_id {
        last.append(cstr!("upserted"), RawBson::try_from(id)?);
    }
    let value = modified.value.map_or(RawBson::Null, RawBson::Document);
    Ok(rawdoc! { "lastErrorObject": last, "value": value })
}
