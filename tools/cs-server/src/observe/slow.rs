//! Operations that took long, with the plan of what they looked for: which indexes were read, and
//! not with what values.

use std::time::Duration;

use bson::{RawBsonRef, RawDocument};
use collection_store::{Explain, OperationContext};

use super::Operation;
use crate::command::Request;
use crate::namespace::Namespace;
use crate::server::Server;

/// What asking for a plan may take, beside an operation that took long already.
const PLAN_TIME: Duration = Duration::from_millis(20);

/// Writes a line if the operation took long.
pub(crate) fn tell_if_slow(
    server: &Server,
    operation: &Operation,
    request: &Request<'_>,
    code: Option<i32>,
) {
    let time = operation.begun.elapsed();
    if !server.observer.is_slow(time) {
        return;
    }
    let plan = filter_of(operation.command, request).and_then(|filter| {
        let collection = operation.collection.as_deref()?;
        let namespace = Namespace::new(&operation.database, collection).ok()?;
        plan(server, &namespace, filter)
    });
    tracing::warn!(
        target: "slow",
        command = operation.command,
        namespace = operation.namespace(),
        time_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
        connection = operation.connection,
        user = operation.user,
        operation = operation.id,
        code,
        plan,
        "slow operation"
    );
}

fn plan(server: &Server, namespace: &Namespace, filter: &RawDocument) -> Option<String> {
    let context = OperationContext::new().timeout(PLAN_TIME);
    let collection = server
        .database
        .database(&namespace.database)
        .collection(&namespace.collection);
    let explain = collection
        .find(filter.to_owned())
        .limit(1)
        .context(context)
        .explain();
    explain.ok().map(|explain| shown(&explain))
}

/// The plan without values: ranges of an index hold them.
fn shown(explain: &Explain) -> String {
    let steps = explain.steps.iter().map(|step| match &step.index {
        Some(index) => format!("index {index}"),
        None if step.bounds.is_empty() => "all documents".to_owned(),
        None => "documents by _id".to_owned(),
    });
    let steps: Vec<String> = steps.collect();
    match steps.is_empty() {
        true => "nothing to read".to_owned(),
        false => steps.join(", "),
    }
}

/// What the command looked for, of several the first.
fn filter_of<'a>(command: &str, request: &Request<'a>) -> Option<&'a RawDocument> {
    let body = request.body;
    let first_of = |field: &str| {
        let sequence = request
            .sequences
            .iter()
            .find(|sequence| sequence.name == field);
        let beside = sequence.and_then(|sequence| sequence.documents.first().copied());
        beside.or_else(|| {
            let first = body.get_array(field).ok()?.into_iter().next()?.ok()?;
            first.as_document()
        })
    };
    match command {
        "find" => body.get_document("filter").ok(),
        "count" | "distinct" | "findAndModify" | "findandmodify" => body.get_document("query").ok(),
        "update" => first_of("updates")?.get_document("q").ok(),
        "delete" => first_of("deletes")?.get_document("q").ok(),
        "aggregate" => match first_of("pipeline")?.get("$match") {
            Ok(Some(RawBsonRef::Document(filter))) => Some(filter),
            _ => None,
        },
        _ => None,
    }
}
