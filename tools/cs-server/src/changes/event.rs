//! An event of the engine, as clients know them.

use bson::raw::cstr;
use bson::{Bson, DateTime, RawBson, RawDocumentBuf, rawdoc};
use collection_store::{ChangeEvent, ChangeOperation, Collection, UpdateDescription};

use super::{Image, Wanted};
use crate::clock::timestamp;
use crate::error::{CommandError, Result};
use crate::server::Server;

/// MongoDB's `NoMatchingDocument`.
const NO_IMAGE: i32 = 47;

/// The text of a token as a client keeps it.
pub(super) fn token(token: collection_store::ResumeToken) -> RawDocumentBuf {
    rawdoc! { "_data": token.to_string() }
}

/// The event as a document.
///
/// # Errors
/// A state of the document that is required is not there.
pub(super) fn shaped(
    server: &Server,
    event: &ChangeEvent,
    wanted: Wanted,
) -> Result<RawDocumentBuf> {
    // An update of which nobody was told what was before has no description: that the document
    // was replaced by what it is now is true all the same.
    let operation = match (event.operation, &event.update) {
        (ChangeOperation::Update, None) => ChangeOperation::Replace,
        (operation, _) => operation,
    };
    let mut shaped = rawdoc! {
        "_id": token(event.token),
        "operationType": name(operation),
        "clusterTime": timestamp(event.time),
        "wallTime": wall_time(event),
    };
    if let Some(document) = full_document(server, event, operation, wanted)? {
        shaped.append(cstr!("fullDocument"), document);
    }
    if operation != ChangeOperation::Invalidate {
        shaped.append(
            cstr!("ns"),
            namespace(&event.database, event.collection.as_deref()),
        );
    }
    if let Some(to) = &event.to {
        shaped.append(cstr!("to"), namespace(&event.database, Some(to)));
        if wanted.expanded {
            let to = rawdoc! { "to": namespace(&event.database, Some(to)) };
            shaped.append(cstr!("operationDescription"), to);
        }
    }
    if let Some(key) = &event.document_key {
        let key = rawdoc! { "_id": RawBson::try_from(key.clone())? };
        shaped.append(cstr!("documentKey"), key);
    }
    if let (ChangeOperation::Update, Some(update)) = (operation, &event.update) {
        shaped.append(cstr!("updateDescription"), description(update)?);
    }
    if let Some(before) = before(event, operation, wanted)? {
        shaped.append(cstr!("fullDocumentBeforeChange"), before);
    }
    Ok(shaped)
}

fn name(operation: ChangeOperation) -> &'static str {
    match operation {
        ChangeOperation::Insert => "insert",
        ChangeOperation::Update => "update",
        ChangeOperation::Replace => "replace",
        ChangeOperation::Delete => "delete",
        ChangeOperation::Create => "create",
        ChangeOperation::Drop => "drop",
        ChangeOperation::Rename => "rename",
        ChangeOperation::DropDatabase => "dropDatabase",
        ChangeOperation::Invalidate => "invalidate",
        _ => "other",
    }
}

fn wall_time(event: &ChangeEvent) -> DateTime {
    DateTime::from_millis(i64::try_from(event.time.unix_ms()).unwrap_or(i64::MAX))
}

fn namespace(database: &str, collection: Option<&str>) -> RawDocumentBuf {
    let mut namespace = rawdoc! { "db": database };
    if let Some(collection) = collection {
        namespace.append(cstr!("coll"), collection);
    }
    namespace
}

/// The document that an event has; `None` where it has no such field.
fn full_document(
    server: &Server,
    event: &ChangeEvent,
    operation: ChangeOperation,
    wanted: Wanted,
) -> Result<Option<RawBson>> {
    let own = || event.document.clone().map(RawBson::Document);
    match (operation, wanted.full_document) {
        (ChangeOperation::Insert | ChangeOperation::Replace, _) => Ok(own()),
        (ChangeOperation::Update, Image::Default) => Ok(None),
        (ChangeOperation::Update, Image::Lookup) => lookup(server, event).map(Some),
        (ChangeOperation::Update, Image::WhenAvailable) => Ok(Some(own().unwrap_or(RawBson::Null))),
        (ChangeOperation::Update, Image::Required) => match own() {
            Some(document) => Ok(Some(document)),
            None => Err(missing("a post-image", event)),
        },
        _ => Ok(None),
    }
}

/// The document as it is now; null if it is gone.
fn lookup(server: &Server, event: &ChangeEvent) -> Result<RawBson> {
    let (Some(collection), Some(id)) = (&event.collection, &event.document_key) else {
        return Ok(RawBson::Null);
    };
    let database = server.database.database(&event.database);
    let collection: Collection = database.collection(collection);
    let id: Bson = id.clone();
    let found = collection.find_by_id(id)?;
    Ok(found.map_or(RawBson::Null, RawBson::Document))
}

fn before(
    event: &ChangeEvent,
    operation: ChangeOperation,
    wanted: Wanted,
) -> Result<Option<RawBson>> {
    let has_one = matches!(
        operation,
        ChangeOperation::Update | ChangeOperation::Replace | ChangeOperation::Delete
    );
    if !has_one || wanted.before == Image::Default {
        return Ok(None);
    }
    match &event.before {
        Some(before) => Ok(Some(RawBson::Document(before.clone()))),
        None if wanted.before == Image::Required => Err(missing("a pre-image", event)),
        None => Ok(Some(RawBson::Null)),
    }
}

fn missing(what: &str, event: &ChangeEvent) -> CommandError {
    let message = format!(
        "Change stream was configured to require {what} for all update, delete and replace events, \
         but it was not found for the event {}",
        event.token
    );
    CommandError::new(NO_IMAGE, message).with_label("NonResumableChangeStreamError")
}

fn description(update: &UpdateDescription) -> Result<RawDocumentBuf> {
    let removed: Vec<RawBson> = update
        .removed_fields
        .iter()
        .map(|name| RawBson::String(name.clone()))
        .collect();
    let mut truncated = Vec::new();
    for array in &update.truncated_arrays {
        truncated.push(RawBson::Document(rawdoc! {
            "field": array.field.as_str(),
            "newSize": i32::try_from(array.new_size).unwrap_or(i32::MAX),
        }));
    }
    Ok(rawdoc! {
        "updatedFields": update.updated_fields.clone(),
        "removedFields": bson::RawArrayBuf::from_iter(removed),
        "truncatedArrays": bson::RawArrayBuf::from_iter(truncated),
    })
}
