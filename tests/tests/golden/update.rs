//! `update`: operators, replacements and pipelines.

use bson::{Bson, RawDocumentBuf, doc, rawdoc};
use collection_store::values::{Kind, OwnedValue, RawValue};
use collection_store::{
    Collection, Database, Error, OperationContext, UpdateOptions, UpdateResult,
};

use crate::case::{Case, Verdict, show, show_all};
use crate::same::Marks;

/// All documents, in order of `_id`.
pub(crate) fn everything(collection: &Collection) -> Vec<RawDocumentBuf> {
    let all = collection.find(doc! {}).run().unwrap();
    all.map(|document| document.unwrap()).collect()
}

pub(crate) fn options(case: &Case<'_>) -> UpdateOptions {
    UpdateOptions {
        array_filters: case.documents("arrayFilters"),
        upsert: case.flag("upsert"),
    }
}

/// An update document or a pipeline, of which the operators decide what is done.
pub(crate) fn update(
    collection: &Collection,
    filter: RawDocumentBuf,
    update: RawValue<'_>,
    is_multi: bool,
    options: &UpdateOptions,
) -> Result<UpdateResult, Error> {
    let context = OperationContext::new();
    if update.kind() == Kind::Array {
        let stages = stages(update)?;
        return if is_multi {
            collection.update_many_with(&context, filter, stages, options)
        } else {
            collection.update_one_with(&context, filter, stages, options)
        };
    }
    let Some(update) = crate::case::document(update) else {
        // The types of the API leave no room for it.
        return Err(Error::new(
            collection_store::ErrorKind::FailedToParse,
            "the update is neither a document nor an array",
        ));
    };
    let first = update.iter().next();
    let is_operators = first.is_some_and(|first| first.unwrap().0.as_str().starts_with('$'));
    match (is_operators, is_multi) {
        (_, true) => collection.update_many_with(&context, filter, update, options),
        (true, false) => collection.update_one_with(&context, filter, update, options),
        (false, false) => collection.replace_one_or_insert(&context, filter, update, options),
    }
}

/// The stages of a pipeline.
pub(crate) fn stages(pipeline: RawValue<'_>) -> Result<Vec<RawDocumentBuf>, Error> {
    let elements = pipeline.elements().into_iter().flatten();
    let stages = elements.map(|element| {
        crate::case::document(element.value).ok_or_else(|| {
            // The types of the API leave no room for it.
            Error::new(
                collection_store::ErrorKind::BadValue,
                "a stage is no document",
            )
        })
    });
    stages.collect()
}

/// The bytes of an id that was made.
pub(crate) fn generated(case: &Case<'_>, id: Option<&Bson>) -> Option<Vec<u8>> {
    match id {
        Some(Bson::ObjectId(id)) if case.flag("generatedId") => Some(id.bytes().to_vec()),
        _ => None,
    }
}

/// The filter, narrowed to the first document that matches in order of insertion: without
/// a sort the first is by `_id` here. None if that is the same, or nothing matches.
pub(crate) fn narrowed(
    database: &Database,
    case: &Case<'_>,
    filter: &RawDocumentBuf,
) -> Option<RawDocumentBuf> {
    let collection = case.set_up(database);
    let found = collection.find(filter).run().ok()?;
    let found: Vec<RawDocumentBuf> = found.collect::<Result<_, _>>().ok()?;
    let first = case
        .documents("docs")
        .into_iter()
        .find(|document| found.contains(document))?;
    if found.first() == Some(&first) {
        return None;
    }
    let id = first.get("_id").unwrap().unwrap();
    Some(rawdoc! { "$and": [{ "_id": { "$eq": id } }, filter.clone()] })
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    let filter = case.document("filter").unwrap();
    let verdict = judge_with(database, case, filter.clone());
    if matches!(verdict, Verdict::Right) || case.flag("multi") {
        return verdict;
    }
    match narrowed(database, case, &filter) {
        Some(filter) => judge_with(database, case, filter),
        None => verdict,
    }
}

fn judge_with(database: &Database, case: &Case<'_>, filter: RawDocumentBuf) -> Verdict {
    let collection = case.set_up(database);
    let spec = case.get("update").unwrap();
    let result = update(
        &collection,
        filter,
        spec,
        case.flag("multi"),
        &options(case),
    );
    let result = match result {
        Ok(result) => result,
        Err(error) => return case.judge_error(&error),
    };
    if let Err(verdict) = case.expects_no_error() {
        return verdict;
    }
    let mut marks = Marks::of(case);
    marks.generated = generated(case, result.upserted_id.as_ref());
    let after = everything(&collection);
    let complaint = if !marks.all(&after, &case.documents("after")) {
        Some("after")
    } else if i64::try_from(result.matched).ok() != case.number("matched") {
        Some("matched")
    } else if i64::try_from(result.modified).ok() != case.number("modified") {
        Some("modified")
    } else {
        let id = result
            .upserted_id
            .map(|id| OwnedValue::try_from(&id).unwrap());
        match (id, case.get("upsertedId")) {
            (None, None) => None,
            (Some(found), Some(expected)) if marks.value(found.as_raw(), expected) => None,
            _ => Some("upsertedId"),
        }
    };
    Verdict::of(complaint.map(|what| {
        format!(
            "{what}: docs {} filter {} update {} expected {} found {}",
            show(case.get("docs").unwrap()),
            show(case.get("filter").unwrap()),
            show(spec),
            show(case.get("after").unwrap()),
            show_all(&after)
        )
    }))
}
