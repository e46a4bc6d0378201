//! Change streams: `$changeStream` over the engine's own.
//!
//! | file | what |
//! |---|---|
//! | `changes.rs` | what is asked, and where a stream begins |
//! | `source.rs` | the stream as what a cursor reads: waits, filters, goes on |
//! | `event.rs` | an event of the engine, as clients know them |
//!
//! ## Invariants
//! * The token of an event, and that behind a batch, is the engine's: good in any later process on
//!   the same data, as long as what came behind it is kept.
//! * What the server keeps for itself is in no stream.
//! * A stage that takes the token out of an event ends the stream: it could not be gone on with.

mod event;
mod source;

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};
use collection_store::{
    ChangeOperation, ChangeStream, OperationContext, ResumeToken, WatchOptions,
};

pub(crate) use source::Changing;

use crate::clock::hybrid_time;
use crate::command::Context;
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::namespace::Namespace;

/// MongoDB's `InvalidResumeToken`.
const INVALID_TOKEN: i32 = 260;
/// Stages that may come behind `$changeStream`, each a function of one event.
const STAGES: [&str; 9] = [
    "$match",
    "$project",
    "$addFields",
    "$set",
    "$unset",
    "$replaceRoot",
    "$replaceWith",
    "$redact",
    "$changeStreamSplitLargeEvent",
];
/// Databases whose changes nobody may follow.
const UNWATCHED: [&str; 3] = ["admin", "config", "local"];
/// What is told unless the client asks for more.
const OPERATIONS: [ChangeOperation; 7] = [
    ChangeOperation::Insert,
    ChangeOperation::Update,
    ChangeOperation::Replace,
    ChangeOperation::Delete,
    ChangeOperation::Drop,
    ChangeOperation::Rename,
    ChangeOperation::DropDatabase,
];

/// Which state of a document an event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Image {
    /// That which is told anyway.
    Default,
    /// The document as it is when the event is read.
    Lookup,
    /// That of the event, or null.
    WhenAvailable,
    /// That of the event, or an error.
    Required,
}

/// What a stream is asked to tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    full_document: Image,
    before: Image,
    expanded: bool,
}

/// Whether a pipeline is one over changes.
pub(crate) fn is_asked(stages: &[&RawDocument]) -> bool {
    let first = stages.first().and_then(|stage| stage.into_iter().next());
    matches!(first, Some(Ok((name, _))) if name.as_str() == "$changeStream")
}

/// Begins a stream; `collection` is none where it is of a whole database, or of all.
///
/// # Errors
/// What is asked makes no sense, is not supported, or is not kept any more (286).
pub(crate) fn open(
    context: &Context<'_>,
    collection: Option<&Namespace>,
    stages: &[&RawDocument],
) -> Result<Changing> {
    let Some((first, rest)) = stages.split_first() else {
        return Err(CommandError::bad_value("a pipeline without stages"));
    };
    let operand = match first.into_iter().next().transpose()? {
        Some((_, RawBsonRef::Document(operand))) => operand,
        _ => {
            let message = "the $changeStream stage must be specified as an object";
            return Err(CommandError::new(50808, message));
        }
    };
    let fields = Fields::within(
        "$changeStream",
        operand,
        &[
            "fullDocument",
            "fullDocumentBeforeChange",
            "resumeAfter",
            "startAfter",
            "startAtOperationTime",
            "allChangesForCluster",
            "showExpandedEvents",
        ],
    )?;
    let wanted = Wanted {
        full_document: full_document(&fields)?,
        before: before(&fields)?,
        expanded: fields.boolean("showExpandedEvents")? == Some(true),
    };
    let is_whole = fields.boolean("allChangesForCluster")? == Some(true);
    check_place(context, collection, is_whole)?;
    let mut options = WatchOptions::new()
        .with_before()
        .context(OperationContext::new().cancel_flag(context.cancel.clone()));
    if !wanted.expanded {
        options = options.operations(OPERATIONS);
    }
    if is_whole {
        options = options.whole_directory();
    }
    let stream = begin(context, collection, starting(&fields, options)?)?;
    Changing::new(context.server, stream, wanted, check_stages(rest)?)
}

fn begin(
    context: &Context<'_>,
    collection: Option<&Namespace>,
    options: WatchOptions,
) -> Result<ChangeStream> {
    let database = context.server.database.database(context.database);
    let stream = match collection {
        Some(namespace) => database
            .collection(&namespace.collection)
            .watch_with(options),
        None => database.watch_with(options),
    };
    Ok(stream?)
}

/// Where it begins.
fn starting(fields: &Fields<'_>, options: WatchOptions) -> Result<WatchOptions> {
    let after = fields.document("resumeAfter")?;
    let behind = fields.document("startAfter")?;
    let at = fields.get("startAtOperationTime");
    match (after, behind, at) {
        (None, None, None) => Ok(options),
        (Some(token), None, None) => Ok(options.resume_after(token_of(token)?)),
        (None, Some(token), None) => Ok(options.start_after(token_of(token)?)),
        (None, None, Some(RawBsonRef::Timestamp(time))) => Ok(options.start_at(hybrid_time(time))),
        (None, None, Some(other)) => {
            Err(fields.mismatch("startAtOperationTime", other, "timestamp"))
        }
        _ => {
            let message = "Only one of 'resumeAfter', 'startAfter' and 'startAtOperationTime' may \
                           be specified";
            Err(CommandError::new(40674, message))
        }
    }
}

fn token_of(token: &RawDocument) -> Result<ResumeToken> {
    let fields = Fields::within("resume token", token, &["_data"])
        .map_err(|error| CommandError::new(INVALID_TOKEN, error.message))?;
    match fields.get("_data") {
        Some(RawBsonRef::String(text)) => Ok(text.parse()?),
        _ => {
            let message = "A resume token is a document whose '_data' is a string";
            Err(CommandError::new(INVALID_TOKEN, message))
        }
    }
}

/// Whether there may be a stream there.
fn check_place(
    context: &Context<'_>,
    collection: Option<&Namespace>,
    is_whole: bool,
) -> Result<()> {
    let refuse = |code: i32, message: String| Err(CommandError::new(code, message));
    if context.is_in_transaction() {
        let message = "Operation not permitted in transaction: aggregate with $changeStream";
        return refuse(code::NOT_IN_TRANSACTION, message.to_owned());
    }
    if is_whole {
        if context.database == "admin" && collection.is_none() {
            return Ok(());
        }
        let message = "$changeStream with 'allChangesForCluster' may only be opened on the 'admin' \
                       database, and with no collection name";
        return refuse(code::INVALID_OPTIONS, message.to_owned());
    }
    if UNWATCHED.contains(&context.database) {
        let message = format!(
            "$changeStream may not be opened on the internal {} database",
            context.database
        );
        return refuse(code::INVALID_NAMESPACE, message);
    }
    Ok(())
}

/// The stages behind it.
fn check_stages(stages: &[&RawDocument]) -> Result<Vec<RawDocumentBuf>> {
    let mut kept = Vec::new();
    for stage in stages {
        let first = stage.into_iter().next().transpose()?;
        let name = first.map_or("", |(name, _)| name.as_str());
        if !STAGES.contains(&name) {
            let message = format!("{name} is not permitted in a $changeStream pipeline");
            return Err(CommandError::new(code::ILLEGAL_OPERATION, message));
        }
        if name == "$changeStreamSplitLargeEvent" {
            return Err(CommandError::not_supported("aggregate", name));
        }
        kept.push((*stage).to_owned());
    }
    Ok(kept)
}

fn full_document(fields: &Fields<'_>) -> Result<Image> {
    match fields.text("fullDocument")?.unwrap_or("default") {
        "default" => Ok(Image::Default),
        "updateLookup" => Ok(Image::Lookup),
        "whenAvailable" => Ok(Image::WhenAvailable),
        "required" => Ok(Image::Required),
        other => unknown("fullDocument", other),
    }
}

fn before(fields: &Fields<'_>) -> Result<Image> {
    match fields.text("fullDocumentBeforeChange")?.unwrap_or("off") {
        "off" => Ok(Image::Default),
        "whenAvailable" => Ok(Image::WhenAvailable),
        "required" => Ok(Image::Required),
        other => unknown("fullDocumentBeforeChange", other),
    }
}

fn unknown(field: &str, value: &str) -> Result<Image> {
    let message = format!(
        "Enumeration value '{value}' for field '$changeStream.{field}' is not a valid value."
    );
    Err(CommandError::bad_value(message))
}
