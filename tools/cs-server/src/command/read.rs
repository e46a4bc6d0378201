//! Reading: find, count, distinct, and the cursors that they leave.

use std::time::Duration;

use bson::{RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::filter::Filter;
use collection_store::values::MAX_DOCUMENT_LEN;
use collection_store::{Collection, Find, Hint};

use super::variables::with_variables;
use super::{CommandSpec, Context, Handler, Privilege};
use crate::cursor::{Batch, BatchLimits, Cursor, FIRST_BATCH, Found, Source};
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::namespace::Namespace;
use crate::reply::{Reply, count as as_count};

/// How long a getMore waits for news where it does not say.
const DEFAULT_AWAIT: Duration = Duration::from_secs(1);

const fn spec(name: &'static str, fields: &'static [&'static str], run: Handler) -> CommandSpec {
    CommandSpec {
        in_txn: true,
        ..CommandSpec::new(name, Privilege::Read, fields, run)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    spec("find", FIND_FIELDS, find),
    CommandSpec {
        role: Privilege::Authenticated,
        ..spec("getMore", &["collection", "batchSize", "term"], get_more)
    },
    CommandSpec {
        role: Privilege::Authenticated,
        waits: false,
        ..spec("killCursors", &["cursors"], kill_cursors)
    },
    CommandSpec {
        in_txn: false,
        ..spec(
            "count",
            &["query", "limit", "skip", "hint", "collation", "fields"],
            count,
        )
    },
    spec("distinct", &["key", "query", "collation", "hint"], distinct),
];

const FIND_FIELDS: &[&str] = &[
    "filter",
    "sort",
    "projection",
    "hint",
    "skip",
    "limit",
    "batchSize",
    "singleBatch",
    "max",
    "min",
    "returnKey",
    "showRecordId",
    "tailable",
    "awaitData",
    "oplogReplay",
    "noCursorTimeout",
    "allowPartialResults",
    "collation",
    "allowDiskUse",
    "let",
];

/// What a hint names; none where it is empty.
pub(super) fn hint_of(value: Option<RawBsonRef<'_>>) -> Result<Option<Hint>> {
    match value {
        None => Ok(None),
        Some(RawBsonRef::String(name)) => Ok(Some(Hint::Name(name.to_owned()))),
        Some(RawBsonRef::Document(key)) if key.is_empty() => Ok(None),
        Some(RawBsonRef::Document(key)) => Ok(Some(Hint::Key(key.to_owned()))),
        Some(other) => {
            let found = crate::fields::type_name(other);
            let message = format!("a hint has to be a string or an object, found {found}");
            Err(CommandError::new(code::FAILED_TO_PARSE, message))
        }
    }
}

/// A filter, in which the variables of the command have their values.
pub(super) fn filter_of(
    filter: Option<&RawDocument>,
    variables: Option<&RawDocument>,
) -> Result<Filter> {
    match (filter, variables.filter(|variables| !variables.is_empty())) {
        (None, _) => Ok(Filter::all()),
        (Some(filter), None) => Ok(Filter::compile(filter)?),
        (Some(filter), Some(variables)) => {
            Ok(Filter::compile(&with_variables(filter, variables)?)?)
        }
    }
}

/// The order in which documents lie is that of their `_id`s; a sort by it is a scan, as the hint
/// of the same name is.
fn natural_order(sort: &RawDocument) -> Option<Hint> {
    let mut fields = sort.into_iter();
    match (fields.next(), fields.next()) {
        (Some(Ok((name, _))), None) if name.as_str() == "$natural" => {
            Some(Hint::Key(sort.to_owned()))
        }
        _ => None,
    }
}

/// The query of a find, as far as an explain shares it.
pub(super) fn query(collection: &Collection, fields: &Fields<'_>) -> Result<Find> {
    let refused = [
        "max",
        "min",
        "returnKey",
        "showRecordId",
        "collation",
        "awaitData",
    ];
    fields.refuse(&refused)?;
    if fields.boolean("tailable")? == Some(true) {
        let message = "tailable cursors are for capped collections, which are not supported";
        return Err(CommandError::bad_value(message));
    }
    let filter = filter_of(fields.document("filter")?, fields.document("let")?)?;
    let mut find = collection
        .find(filter)
        .skip(fields.natural("skip")?.unwrap_or(0))
        .limit(fields.natural("limit")?.unwrap_or(0))
        .allow_disk_use(fields.boolean("allowDiskUse")?.unwrap_or(true));
    let natural = fields.document("sort")?.and_then(natural_order);
    match (natural, fields.document("sort")?) {
        (Some(order), _) if fields.get("hint").is_none() => find = find.hint(order),
        (_, Some(sort)) => find = find.sort(sort),
        (_, None) => {}
    }
    if let Some(projection) = fields.document("projection")? {
        find = find.projection(projection);
    }
    if let Some(hint) = hint_of(fields.get("hint"))? {
        find = find.hint(hint);
    }
    Ok(find)
}

fn find(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    let fields = &context.fields;
    let query = query(&collection, fields)?;
    // Time is kept by the batches, for the client's own does not count.
    let operation = context.operation_without_time();
    let found = query.context(operation).run()?;
    let limit = fields.natural("limit")?.filter(|limit| *limit > 0);
    let source = Found {
        cursor: found,
        left: limit,
    };
    let opening = Opening {
        namespace: namespace.to_string(),
        documents: fields.natural("batchSize")?.unwrap_or(FIRST_BATCH),
        is_single: fields.boolean("singleBatch")? == Some(true),
        never_times_out: fields.boolean("noCursorTimeout")? == Some(true),
        wait: None,
    };
    open(context, Box::new(source), opening)
}

/// How a cursor begins.
pub(crate) struct Opening {
    /// By which it is asked for more.
    pub(crate) namespace: String,
    /// How many documents the first batch may have.
    pub(crate) documents: u64,
    /// Whether the first batch is all that is wanted.
    pub(crate) is_single: bool,
    /// Whether it is kept until it is asked for.
    pub(crate) never_times_out: bool,
    /// How long its first batch may wait for a document.
    pub(crate) wait: Option<Duration>,
}

impl Opening {
    /// With so many documents in the first batch.
    pub(crate) fn new(namespace: String, documents: Option<u64>) -> Self {
        Self {
            namespace,
            documents: documents.unwrap_or(FIRST_BATCH),
            is_single: false,
            never_times_out: false,
            wait: None,
        }
    }
}

/// The first batch of a source, and a cursor for the rest.
pub(crate) fn open(
    context: &Context<'_>,
    source: Box<dyn Source>,
    opening: Opening,
) -> Result<Reply> {
    let mut cursor = Cursor {
        namespace: opening.namespace,
        source,
        pending: None,
        lsid: context.session_id(),
        txn_number: context.transaction_number(),
        owner: context.user_name(),
        cancel: context.cancel.clone(),
        time_left: context.envelope.max_time,
        never_times_out: opening.never_times_out,
    };
    let limits = BatchLimits {
        documents: opening.documents,
        wait: opening.wait,
        cancel: context.cancel.clone(),
    };
    let batch = Batch::fill("firstBatch", &mut cursor, &limits)?;
    let token = cursor.token();
    let namespace = cursor.namespace.clone();
    let id = match batch.has_more && !opening.is_single {
        true => context.server.cursors.keep(cursor)?,
        false => 0,
    };
    Ok(batch.writer.finish(id, &namespace, token.as_deref()))
}

fn get_more(context: &mut Context<'_>) -> Result<Reply> {
    let fields = &context.fields;
    let id = match fields.first() {
        Some((_, RawBsonRef::Int64(id))) => id,
        Some((_, other)) => return Err(fields.mismatch("getMore", other, "long")),
        None => return Err(crate::cursor::not_found(0)),
    };
    let collection = match fields.required("collection")? {
        RawBsonRef::String(name) => name,
        other => return Err(fields.mismatch("collection", other, "string")),
    };
    let namespace = format!("{}.{collection}", context.database);
    let documents = match fields.natural("batchSize")? {
        Some(0) | None => u64::MAX,
        Some(documents) => documents,
    };
    let cursors = &context.server.cursors;
    let mut cursor = cursors.take(id, &namespace, context.user_name().as_deref())?;
    if let Err(error) = context.check_cursor(&cursor) {
        cursors.put_back(id, cursor);
        return Err(error);
    }
    let limits = BatchLimits {
        documents,
        // Of a cursor that waits for news, the time of a getMore is how long to wait.
        wait: Some(context.envelope.max_time.unwrap_or(DEFAULT_AWAIT)),
        cancel: context.cancel.clone(),
    };
    match Batch::fill("nextBatch", &mut cursor, &limits) {
        Ok(batch) => {
            let token = cursor.token();
            let next = if batch.has_more {
                cursors.put_back(id, cursor);
                id
            } else {
                cursors.end(id);
                0
            };
            Ok(batch.writer.finish(next, &namespace, token.as_deref()))
        }
        Err(error) => {
            cursors.end(id);
            Err(error)
        }
    }
}

fn kill_cursors(context: &mut Context<'_>) -> Result<Reply> {
    let fields = &context.fields;
    let namespace = context.cursor_namespace()?;
    let mut ids = Vec::new();
    for id in fields.array("cursors")?.into_iter().flatten() {
        match id? {
            RawBsonRef::Int64(id) => ids.push(id),
            other => return Err(fields.mismatch("cursors", other, "long")),
        }
    }
    if ids.is_empty() {
        return Err(CommandError::bad_value(
            "Must specify at least one cursor id",
        ));
    }
    let owner = context.user_name();
    let cursors = &context.server.cursors;
    Ok(cursors.kill_all(&ids, &namespace, owner.as_deref()).into())
}

fn count(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    let find = count_query(&collection, &context.fields)?;
    let count = match find {
        Some(find) => find.context(context.operation()).count()?,
        None => collection.count_with(&context.operation(), Filter::all())?,
    };
    Ok(rawdoc! { "n": as_count(count) }.into())
}

/// What a count looks for; `None` if it wants all there is, which is known.
pub(super) fn count_query(collection: &Collection, fields: &Fields<'_>) -> Result<Option<Find>> {
    fields.refuse(&["collation"])?;
    let filter = filter_of(fields.document("query")?, None)?;
    // A negative limit means the same as a positive one: from the times of OP_QUERY.
    let limit = fields.integer("limit")?.map_or(0, i64::unsigned_abs);
    let skip = fields.natural("skip")?.unwrap_or(0);
    let hint = hint_of(fields.get("hint"))?;
    if filter.is_all() && limit == 0 && skip == 0 && hint.is_none() {
        return Ok(None);
    }
    let mut find = collection.find(filter).skip(skip).limit(limit);
    if let Some(hint) = hint {
        find = find.hint(hint);
    }
    Ok(Some(find))
}

fn distinct(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    let fields = &context.fields;
    fields.refuse(&["collation", "hint"])?;
    let key = match fields.required("key")? {
        RawBsonRef::String(key) => key,
        other => return Err(fields.mismatch("key", other, "string")),
    };
    let filter = filter_of(fields.document("query")?, None)?;
    let found = collection.distinct_with(&context.operation(), key, filter)?;
    let (mut values, mut len) = (RawArrayBuf::new(), 0);
    for value in found {
        let value = RawBson::try_from(value)?;
        len += value_len(&value);
        if len > MAX_DOCUMENT_LEN {
            let message = "distinct too big, 16mb cap";
            return Err(CommandError::new(17217, message));
        }
        values.push(value);
    }
    Ok(rawdoc! { "values": values }.into())
}

/// About how many bytes a value takes.
fn value_len(value: &RawBson) -> usize {
    match value {
        RawBson::String(text) => text.len() + 16,
        RawBson::Document(document) => document.as_bytes().len() + 8,
        RawBson::Array(array) => array.as_bytes().len() + 8,
        RawBson::Binary(binary) => binary.bytes.len() + 16,
        _ => 24,
    }
}

impl Context<'_> {
    /// The namespace that a command about cursors names: `system` names and `$cmd` too.
    fn cursor_namespace(&self) -> Result<String> {
        match self.fields.first() {
            Some((_, RawBsonRef::String(name))) if !name.is_empty() => {
                Ok(format!("{}.{name}", self.database))
            }
            _ => {
                let message = "a command about cursors names their collection";
                Err(CommandError::new(code::INVALID_NAMESPACE, message))
            }
        }
    }
}

/// One document as the answer of a command that lists things.
pub(super) fn listed(
    context: &Context<'_>,
    documents: Vec<RawDocumentBuf>,
    collection: &str,
) -> Result<Reply> {
    let cursor = context.fields.document("cursor")?;
    let cursor = cursor.map(|cursor| Fields::within("cursor", cursor, &["batchSize"]));
    let wanted = match cursor.transpose()? {
        Some(cursor) => cursor.natural("batchSize")?,
        None => None,
    };
    let namespace = Namespace {
        database: context.database.to_owned(),
        collection: collection.to_owned(),
    };
    let source = crate::cursor::Listed::new(documents);
    let opening = Opening::new(namespace.to_string(), wanted);
    open(context, Box::new(source), opening)
}
