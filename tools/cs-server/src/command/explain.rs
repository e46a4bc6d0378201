//! explain: how the engine finds what a command asks for. A command that writes is explained by
//! the query in it; nothing is written.

use std::time::Duration;

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::{Collection, Explain, ExplainStep, Find, IndexInfo};

use super::aggregate::Aggregation;
use super::read::{count_query, filter_of, hint_of, query};
use super::{CommandSpec, Context, Privilege, find as find_spec};
use crate::error::{CommandError, Result, code};
use crate::fields::Fields;
use crate::namespace::Namespace;
use crate::reply::{Reply, count};
use crate::session::is_generic;

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "explain",
    role: Privilege::Read,
    before_auth: false,
    in_txn: false,
    waits: true,
    fields: &["verbosity"],
    run: explain,
}];

fn explain(context: &mut Context<'_>) -> Result<Reply> {
    let Some(inner) = context.fields.document("explain")? else {
        return Err(context
            .fields
            .required("explain")
            .err()
            .unwrap_or_else(|| CommandError::bad_value("'explain' has to be a command")));
    };
    let verbosity = context
        .fields
        .text("verbosity")?
        .unwrap_or("allPlansExecution");
    if !["queryPlanner", "executionStats", "allPlansExecution"].contains(&verbosity) {
        let message = format!(
            "verbosity string must be one of {{'queryPlanner', 'executionStats', \
             'allPlansExecution'}}, found '{verbosity}'"
        );
        return Err(CommandError::new(code::FAILED_TO_PARSE, message));
    }
    let name = inner.into_iter().next().transpose()?;
    let name = name.map_or("", |(name, _)| name.as_str());
    let spec = find_spec(name).ok_or_else(|| {
        let message = format!("Explain failed due to unknown command: {name}");
        CommandError::new(code::COMMAND_NOT_FOUND, message)
    })?;
    let fields = Fields::read(spec.name, inner, |field| {
        field == spec.name || is_generic(field) || spec.fields.contains(&field)
    })?;
    if spec.name == "aggregate" {
        let aggregation = Aggregation::of(context, &fields)?;
        return self::aggregation(context, &aggregation);
    }
    let (namespace, find) = explained(context, &fields)?;
    let explain = find.context(context.operation()).explain()?;
    let plan = plan(&explain, &context.collection(&namespace)?.list_indexes()?);
    let mut reply = planner(&namespace, &plan, filter_in(&fields)?);
    if verbosity != "queryPlanner" {
        reply.append(cstr!("executionStats"), execution(&explain, plan));
    }
    reply.append(cstr!("command"), inner);
    append_server(context, &mut reply);
    Ok(reply.into())
}

fn filter_in<'a>(fields: &Fields<'a>) -> Result<Option<&'a RawDocument>> {
    match fields.document("filter")? {
        Some(filter) => Ok(Some(filter)),
        None => fields.document("query"),
    }
}

/// The query that is in a command.
fn explained(context: &Context<'_>, fields: &Fields<'_>) -> Result<(Namespace, Find)> {
    let Some((name, RawBsonRef::String(collection))) = fields.first() else {
        let message = "an explained command has to name a collection";
        return Err(CommandError::new(code::INVALID_NAMESPACE, message));
    };
    let namespace = Namespace::new(context.database, collection)?;
    let collection = context.collection(&namespace)?;
    let find = match name {
        "find" => query(&collection, fields)?,
        "count" => match count_query(&collection, fields)? {
            Some(find) => find,
            None => collection.find(filter_of(None, None)?),
        },
        "distinct" => collection.find(filter_of(fields.document("query")?, None)?),
        "findAndModify" | "findandmodify" => {
            let filter = filter_of(fields.document("query")?, fields.document("let")?)?;
            let mut find = collection.find(filter).limit(1);
            if let Some(sort) = fields.document("sort")? {
                find = find.sort(sort);
            }
            hinted(find, fields)?
        }
        "update" => written(&collection, fields, "updates")?,
        "delete" => written(&collection, fields, "deletes")?,
        other => {
            let message = format!("Explain failed due to unsupported command: {other}");
            return Err(CommandError::new(code::COMMAND_NOT_SUPPORTED, message));
        }
    };
    Ok((namespace, find))
}

fn hinted(find: Find, fields: &Fields<'_>) -> Result<Find> {
    Ok(match hint_of(fields.get("hint"))? {
        Some(hint) => find.hint(hint),
        None => find,
    })
}

/// The query of the one write.
fn written(collection: &Collection, fields: &Fields<'_>, name: &str) -> Result<Find> {
    let writes = fields.documents(name)?.unwrap_or_default();
    let [write] = writes.as_slice() else {
        let message = "explained write batches must be of size 1";
        return Err(CommandError::new(16, message));
    };
    let write = Fields::read(name, write, |_| true)?;
    let filter = filter_of(write.document("q")?, fields.document("let")?)?;
    hinted(collection.find(filter), &write)
}

/// An aggregation is explained by the query that it begins with; its stages follow as they are.
pub(super) fn aggregation(context: &Context<'_>, aggregation: &Aggregation<'_>) -> Result<Reply> {
    let collection = context.collection(&aggregation.namespace)?;
    let mut rest = aggregation.stages.as_slice();
    let mut filter = None;
    if let Some((first, others)) = rest.split_first()
        && let Some(RawBsonRef::Document(matched)) = first.get("$match")?
    {
        filter = Some(matched);
        rest = others;
    }
    let mut find = collection.find(filter_of(filter, None)?);
    if let Some((first, others)) = rest.split_first()
        && let Some(RawBsonRef::Document(sort)) = first.get("$sort")?
    {
        find = find.sort(sort);
        rest = others;
    }
    let explain = find.context(context.operation()).explain()?;
    let plan = plan(&explain, &collection.list_indexes()?);
    let mut cursor = planner(&aggregation.namespace, &plan, filter);
    cursor.append(cstr!("executionStats"), execution(&explain, plan));
    let mut stages = RawArrayBuf::new();
    stages.push(rawdoc! { "$cursor": cursor });
    for stage in rest {
        stages.push((*stage).to_owned());
    }
    let mut reply = rawdoc! { "explainVersion": "1", "stages": stages };
    append_server(context, &mut reply);
    Ok(reply.into())
}

fn planner(
    namespace: &Namespace,
    plan: &RawDocumentBuf,
    filter: Option<&RawDocument>,
) -> RawDocumentBuf {
    rawdoc! {
        "explainVersion": "1",
        "queryPlanner": {
            "namespace": namespace.to_string(),
            "parsedQuery": filter.unwrap_or(crate::fields::empty()).to_owned(),
            "winningPlan": plan.clone(),
            "rejectedPlans": RawArrayBuf::new(),
        },
    }
}

fn execution(explain: &Explain, plan: RawDocumentBuf) -> RawDocumentBuf {
    rawdoc! {
        "executionSuccess": true,
        "nReturned": count(explain.returned),
        "executionTimeMillis": count(milliseconds(explain.duration)),
        "totalKeysExamined": count(explain.keys_examined),
        "totalDocsExamined": count(explain.documents_examined),
        "executionStages": plan,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The plan as MongoDB's tree of stages.
fn plan(explain: &Explain, indexes: &[IndexInfo]) -> RawDocumentBuf {
    let mut found = match explain.steps.as_slice() {
        [] => rawdoc! { "stage": "EOF" },
        [step] => access(step, explain.covered, indexes),
        steps => {
            let mut inputs = RawArrayBuf::new();
            for step in steps {
                inputs.push(access(step, true, indexes));
            }
            rawdoc! { "stage": "FETCH", "inputStage": { "stage": "OR", "inputStages": inputs } }
        }
    };
    if explain.sorted {
        found = rawdoc! { "stage": "SORT", "inputStage": found };
    }
    found
}

fn access(step: &ExplainStep, covered: bool, indexes: &[IndexInfo]) -> RawDocumentBuf {
    let direction = if step.reverse { "backward" } else { "forward" };
    let Some(index) = &step.index else {
        let stage = if step.bounds.is_empty() {
            "COLLSCAN"
        } else {
            "CLUSTERED_IXSCAN"
        };
        return rawdoc! { "stage": stage, "direction": direction };
    };
    let mut bounds = RawDocumentBuf::new();
    for (path, intervals) in &step.bounds {
        let mut shown = RawArrayBuf::new();
        for interval in intervals {
            shown.push(interval.as_str());
        }
        if let Ok(path) = bson::raw::CString::try_from(path.clone()) {
            bounds.append(&path, shown);
        }
    }
    let known = indexes.iter().find(|known| known.name == *index);
    let scan = rawdoc! {
        "stage": "IXSCAN",
        "isUnique": known.is_some_and(|known| known.unique),
        "isSparse": known.is_some_and(|known| known.sparse),
        "isPartial": known.is_some_and(|known| known.partial_filter.is_some()),
        "keyPattern": step.key.clone().unwrap_or_default(),
        "indexName": index.as_str(),
        "isMultiKey": step.multikey,
        "direction": direction,
        "indexBounds": bounds,
    };
    match covered {
        true => scan,
        false => rawdoc! { "stage": "FETCH", "inputStage": scan },
    }
}

fn append_server(context: &Context<'_>, reply: &mut RawDocumentBuf) {
    let (host, port) = context
        .server
        .advertised
        .rsplit_once(':')
        .unwrap_or((&context.server.advertised, "0"));
    let info = rawdoc! {
        "host": host,
        "port": port.parse::<i32>().unwrap_or(0),
        "version": super::diagnostic::version(),
        "gitVersion": env!("CARGO_PKG_VERSION"),
    };
    reply.append(cstr!("serverInfo"), info);
}
