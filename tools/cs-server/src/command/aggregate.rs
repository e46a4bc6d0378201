//! aggregate.

use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::AggregateOptions;

use super::pipeline::touched;
use super::read::{Opening, hint_of, open};
use super::{CommandSpec, Context, Privilege};
use crate::changes;
use crate::cursor::Aggregated;
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::namespace::Namespace;
use crate::reply::Reply;

/// The collection that stands for none, where a pipeline has documents of its own.
const NO_COLLECTION: &str = "cmd.aggregate";
/// The stage that is answered by the server itself.
const LIST_SESSIONS: &str = "$listLocalSessions";

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "aggregate",
    role: Privilege::Read,
    before_auth: false,
    in_txn: true,
    waits: true,
    fields: &[
        "pipeline",
        "cursor",
        "explain",
        "allowDiskUse",
        "bypassDocumentValidation",
        "hint",
        "let",
        "collation",
    ],
    run: aggregate,
}];

/// A pipeline and what it runs over.
pub(super) struct Aggregation<'a> {
    /// The collection, or that which stands for none.
    pub(super) namespace: Namespace,
    /// By which its cursor is asked for more.
    pub(super) shown: String,
    /// The stages.
    pub(super) stages: Vec<&'a RawDocument>,
}

impl<'a> Aggregation<'a> {
    pub(super) fn of(context: &Context<'a>, fields: &Fields<'a>) -> Result<Self> {
        let stages = fields.documents("pipeline")?;
        let stages = match stages {
            Some(stages) => stages,
            None => {
                return Err(fields
                    .required("pipeline")
                    .err()
                    .unwrap_or_else(no_pipeline));
            }
        };
        let (namespace, shown) = match fields.first() {
            Some((_, RawBsonRef::String(name))) => {
                let namespace = Namespace::new(context.database, name)?;
                let shown = namespace.to_string();
                (namespace, shown)
            }
            Some((_, value)) if crate::fields::integer(value) == Some(1) => {
                let namespace = Namespace::new(context.database, NO_COLLECTION)?;
                (namespace, format!("{}.$cmd.aggregate", context.database))
            }
            _ => {
                let message = "Invalid command format: the 'aggregate' field must specify a \
                               collection name or 1";
                return Err(CommandError::new(code::FAILED_TO_PARSE, message));
            }
        };
        for touched in touched(stages.iter().copied(), context.database)? {
            context.demand(touched.privilege, &touched.namespace)?;
        }
        Ok(Self {
            namespace,
            shown,
            stages,
        })
    }

    /// Whether it has no collection, and needs none.
    fn is_without_collection(&self) -> bool {
        self.shown.ends_with("$cmd.aggregate")
    }

    fn first_stage(&self) -> Option<&'a str> {
        let first = self.stages.first()?.into_iter().next()?.ok()?;
        Some(first.0.as_str())
    }
}

fn no_pipeline() -> CommandError {
    CommandError::new(code::TYPE_MISMATCH, "'pipeline' has to be an array")
}

/// The sessions of this server, as documents of the pipeline's own.
fn sessions(context: &Context<'_>) -> RawDocumentBuf {
    let mut sessions = RawArrayBuf::new();
    for id in context.server.sessions.all() {
        let id = Binary {
            subtype: BinarySubtype::Uuid,
            bytes: id.to_vec(),
        };
        sessions.push(rawdoc! { "_id": { "id": id } });
    }
    rawdoc! { "$documents": sessions }
}

fn aggregate(context: &mut Context<'_>) -> Result<Reply> {
    let aggregation = Aggregation::of(context, &context.fields)?;
    let fields = &context.fields;
    if fields.boolean("explain")? == Some(true) {
        return super::explain::aggregation(context, &aggregation);
    }
    let Some(cursor) = fields.document("cursor")? else {
        let message = "The 'cursor' option is required, except for aggregate with the explain \
                       argument";
        return Err(CommandError::new(code::FAILED_TO_PARSE, message));
    };
    let cursor = Fields::within("aggregate.cursor", cursor, &["batchSize"])?;
    fields.refuse(&["collation"])?;
    if changes::is_asked(&aggregation.stages) {
        let collection = match aggregation.is_without_collection() {
            true => None,
            false => Some(&aggregation.namespace),
        };
        let source = changes::open(context, collection, &aggregation.stages)?;
        let opening = Opening::new(aggregation.shown, cursor.natural("batchSize")?);
        return open(context, Box::new(source), opening);
    }
    let has_documents = matches!(
        aggregation.first_stage(),
        Some("$documents" | LIST_SESSIONS)
    );
    if aggregation.is_without_collection() && !has_documents {
        let message = format!(
            "{{aggregate: 1}} is not valid for '{}'; a collection is required.",
            aggregation.first_stage().unwrap_or("an empty pipeline")
        );
        return Err(CommandError::new(code::INVALID_NAMESPACE, message));
    }
    let mut collection = context.collection(&aggregation.namespace)?;
    if fields.boolean("bypassDocumentValidation")? == Some(true) {
        collection = collection.bypassing_validation();
    }
    let mut options =
        AggregateOptions::new().allow_disk_use(fields.boolean("allowDiskUse")?.unwrap_or(true));
    if let Some(hint) = hint_of(fields.get("hint"))? {
        options = options.hint(hint);
    }
    if let Some(variables) = fields.document("let")? {
        options = options.variables(variables);
    }
    let operation = context.operation_without_time();
    let mut stages: Vec<RawDocumentBuf> = aggregation
        .stages
        .iter()
        .map(|stage| (*stage).to_owned())
        .collect();
    if aggregation.first_stage() == Some(LIST_SESSIONS)
        && let Some(first) = stages.first_mut()
    {
        *first = sessions(context);
    }
    let rows = collection.aggregate_with(&operation, stages, &options)?;
    let opening = Opening::new(aggregation.shown, cursor.natural("batchSize")?);
    open(context, Box::new(Aggregated(rows)), opening)
}
