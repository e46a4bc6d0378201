//! Indexes: made, listed, dropped.

use std::ops::ControlFlow;

use bson::raw::cstr;
use bson::{RawBsonRef, RawDocument, rawdoc};
use collection_store::{Collection, IndexModel};

use super::read::listed;
use super::{CommandSpec, Context, Privilege};
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::namespace::Namespace;
use crate::reply::{Reply, count};

/// How many indexes one command may make: a collection has no more.
const MAX_SPECS: usize = 64;

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec::new(
        "createIndexes",
        Privilege::Shape,
        &["indexes", "commitQuorum", "ignoreUnknownIndexOptions"],
        create_indexes,
    ),
    CommandSpec::new("listIndexes", Privilege::Inspect, &["cursor"], list_indexes),
    CommandSpec::new("dropIndexes", Privilege::Shape, &["index"], drop_indexes),
    CommandSpec::new("deleteIndexes", Privilege::Shape, &["index"], drop_indexes),
];

/// Fields of a specification that make an index other than it was asked for if passed over.
fn check_spec(specification: &RawDocument) -> Result<()> {
    if specification.get("key")?.is_none() {
        let message = "Error in specification: The 'key' field is a required property of an \
                       index specification";
        return Err(CommandError::new(code::FAILED_TO_PARSE, message));
    }
    if specification.get("name")?.is_none() {
        let message = "Error in specification: The 'name' field is a required property of an \
                       index specification";
        return Err(CommandError::new(code::FAILED_TO_PARSE, message));
    }
    Ok(())
}

fn create_indexes(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    context.fields.refuse(&["ignoreUnknownIndexOptions"])?;
    let specifications = context.fields.documents("indexes")?;
    let specifications = match specifications {
        Some(some) if !some.is_empty() => some,
        Some(_) => {
            let message = "Must specify at least one index to create";
            return Err(CommandError::bad_value(message));
        }
        None => return Err(missing_indexes(&context.fields)),
    };
    if specifications.len() > MAX_SPECS {
        let message = format!("at most {MAX_SPECS} indexes can be made at once");
        return Err(CommandError::new(67, message));
    }
    for specification in &specifications {
        check_spec(specification)?;
    }
    let existed = collection.exists_now()?;
    let before = if existed { number_of(&collection)? } else { 1 };
    let models = specifications.into_iter().map(IndexModel::from_spec);
    collection.create_indexes_with(&context.operation(), models, |_| ControlFlow::Continue(()))?;
    let after = number_of(&collection)?;
    let mut reply = rawdoc! {
        "numIndexesBefore": count(before),
        "numIndexesAfter": count(after),
        "createdCollectionAutomatically": !existed,
    };
    if before == after {
        reply.append(cstr!("note"), "all indexes already exist");
    }
    Ok(reply.into())
}

fn missing_indexes(fields: &Fields<'_>) -> CommandError {
    let missing = fields.required("indexes").err();
    missing.unwrap_or_else(|| CommandError::bad_value("'indexes' is null"))
}

/// Its indexes, that over `_id` included.
pub(super) fn number_of(collection: &Collection) -> Result<u64> {
    Ok(collection.list_indexes()?.len() as u64)
}

/// There is no such collection.
pub(super) fn no_collection(namespace: &Namespace) -> CommandError {
    let message = format!("ns does not exist: {namespace}");
    CommandError::new(code::NAMESPACE_NOT_FOUND, message)
}

fn list_indexes(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    if !collection.exists_now()? {
        return Err(no_collection(&namespace));
    }
    let indexes = collection.list_indexes_with(&context.operation())?;
    let documents = indexes.iter().map(|index| index.to_document()).collect();
    listed(context, documents, &namespace.collection)
}

fn drop_indexes(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    if !collection.exists_now()? {
        let message = format!("ns not found {namespace}");
        return Err(CommandError::new(code::NAMESPACE_NOT_FOUND, message));
    }
    let before = number_of(&collection)?;
    match context.fields.required("index")? {
        RawBsonRef::String("*") => drop(collection.drop_indexes()?),
        RawBsonRef::String(name) => drop_named(context, &collection, name)?,
        RawBsonRef::Array(names) => {
            for name in names {
                let RawBsonRef::String(name) = name? else {
                    let message = "'index' has to be an array of names";
                    return Err(CommandError::new(code::TYPE_MISMATCH, message));
                };
                drop_named(context, &collection, name)?;
            }
        }
        RawBsonRef::Document(key) => {
            let indexes = collection.list_indexes()?;
            let Some(index) = indexes.iter().find(|index| *index.key == *key) else {
                let message = format!("can't find index with key: {key:?}");
                return Err(CommandError::new(code::INDEX_NOT_FOUND, message));
            };
            drop_named(context, &collection, &index.name)?;
        }
        other => return Err(context.fields.mismatch("index", other, "string")),
    }
    Ok(rawdoc! { "nIndexesWas": count(before) }.into())
}

fn drop_named(context: &Context<'_>, collection: &Collection, name: &str) -> Result<()> {
    Ok(collection.drop_index_with(&context.operation(), name)?)
}
