//! `findAndModify`.

use bson::RawDocumentBuf;
use collection_store::values::{Kind, OwnedValue, RawValue};
use collection_store::{
    Collection, Database, Error, ErrorKind, FindAndModifyOptions, FoundAndModified, ReturnDocument,
};

use crate::case::{Case, Verdict, document, show, show_all};
use crate::same::Marks;
use crate::update::{everything, generated, narrowed, stages};

fn failed(message: &str) -> Error {
    Error::new(ErrorKind::FailedToParse, message)
}

fn run(
    collection: &Collection,
    case: &Case<'_>,
    query: RawDocumentBuf,
) -> Result<FoundAndModified, Error> {
    let mut options = FindAndModifyOptions::new()
        .upsert(case.flag("upsert"))
        .array_filters(case.documents("arrayFilters"));
    if let Some(sort) = case.document("sort") {
        options = options.sort(sort);
    }
    if let Some(fields) = case.document("fields") {
        options = options.projection(fields);
    }
    if case.flag("new") {
        options = options.return_document(ReturnDocument::After);
    }
    if case.flag("remove") {
        return collection.find_one_and_delete(query, &options);
    }
    let Some(update) = case.get("update") else {
        return Err(failed("neither an update nor a removal"));
    };
    if update.kind() == Kind::Array {
        return collection.find_one_and_update(query, stages(update)?, &options);
    }
    let Some(update) = document(update) else {
        return Err(failed("the update is neither a document nor an array"));
    };
    let first = update.iter().next();
    let is_operators = first.is_some_and(|first| first.unwrap().0.as_str().starts_with('$'));
    if is_operators {
        collection.find_one_and_update(query, update, &options)
    } else {
        collection.find_one_and_replace(query, update, &options)
    }
}

/// What is wrong with the `lastErrorObject`.
fn last_error(
    found: &FoundAndModified,
    expected: RawValue<'_>,
    marks: &Marks,
    is_removal: bool,
) -> Option<String> {
    let fields = || expected.elements().unwrap();
    let count = fields().find_name(b"n").and_then(|n| n.integer());
    if count != i64::try_from(found.count).ok() {
        return Some(format!("n is {}, not {count:?}", found.count));
    }
    let updated = fields()
        .find_name(b"updatedExisting")
        .and_then(|flag| flag.boolean());
    if !is_removal && updated != Some(found.updated_existing) {
        return Some(format!("updatedExisting is not {updated:?}"));
    }
    let upserted = found.upserted_id.as_ref();
    let upserted = upserted.map(|id| OwnedValue::try_from(id).unwrap());
    match (upserted, fields().find_name(b"upserted")) {
        (None, None) => None,
        (Some(id), Some(expected)) if marks.value(id.as_raw(), expected) => None,
        _ => Some("upserted".to_owned()),
    }
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    let query = case.document("query").unwrap();
    let verdict = judge_with(database, case, query.clone());
    if matches!(verdict, Verdict::Right) || case.get("sort").is_some() {
        return verdict;
    }
    match narrowed(database, case, &query) {
        Some(query) => judge_with(database, case, query),
        None => verdict,
    }
}

fn judge_with(database: &Database, case: &Case<'_>, query: RawDocumentBuf) -> Verdict {
    let collection = case.set_up(database);
    let found = match run(&collection, case, query) {
        Err(error) => return with_case(case, case.judge_error(&error)),
        Ok(found) => found,
    };
    if let Err(verdict) = case.expects_no_error() {
        return with_case(case, verdict);
    }
    let mut marks = Marks::of(case);
    marks.generated = generated(case, found.upserted_id.as_ref());
    let after = everything(&collection);
    let last = case.get("lastErrorObject").unwrap();
    let value: Option<RawDocumentBuf> = case.document("value");
    let is_right = match (&found.value, &value) {
        (None, None) => true,
        (Some(found), Some(expected)) => marks.document(found, expected, b""),
        _ => false,
    };
    let complaint = if !is_right {
        let found: Vec<RawDocumentBuf> = found.value.clone().into_iter().collect();
        Some(format!("value {}", show_all(&found)))
    } else if let Some(complaint) = last_error(&found, last, &marks, case.flag("remove")) {
        Some(complaint)
    } else if !marks.all(&after, &case.documents("after")) {
        Some(format!("after {}", show_all(&after)))
    } else {
        None
    };
    with_case(case, Verdict::of(complaint))
}

fn with_case(case: &Case<'_>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Right => Verdict::Right,
        Verdict::Wrong(what) => {
            let mut all = String::new();
            for name in [
                "docs", "query", "update", "sort", "fields", "value", "after",
            ] {
                if let Some(value) = case.get(name) {
                    all += &format!("\n    {name} {}", show(value));
                }
            }
            Verdict::Wrong(what + &all)
        }
    }
}
