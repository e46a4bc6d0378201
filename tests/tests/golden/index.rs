//! `index`: unique, sparse, partial and multikey indexes, made before and after the
//! documents; hints.

use bson::{RawDocument, RawDocumentBuf};
use collection_store::values::{Elements, OwnedValue, RawValue};
use collection_store::{Collection, Database, Error, IndexModel, UpdateOptions};

use crate::case::{Case, NAME, Verdict, document, error_code, show, show_all};
use crate::same::Marks;
use crate::update::{everything, update};

/// What one operation came to.
enum Answer {
    Inserted,
    Updated(collection_store::UpdateResult),
    Deleted(u64),
    Created(usize),
    Found(Vec<OwnedValue>),
}

fn field<'a>(document: RawValue<'a>, name: &str) -> Option<RawValue<'a>> {
    document.elements()?.find_name(name.as_bytes())
}

fn flag(operation: RawValue<'_>, name: &str) -> bool {
    field(operation, name).and_then(|value| value.boolean()) == Some(true)
}

fn models(array: &[RawValue<'_>]) -> Vec<IndexModel> {
    let specs = array.iter().filter_map(|spec| document(*spec));
    specs.map(IndexModel::from_spec).collect()
}

fn carry_out(collection: &Collection, operation: RawValue<'_>) -> Result<Answer, Error> {
    let get = |name: &str| field(operation, name).and_then(document);
    let text = |name: &str| {
        let text = field(operation, name).and_then(|value| value.text());
        String::from_utf8(text.unwrap_or_default().to_vec()).unwrap()
    };
    Ok(match text("op").as_str() {
        "insert" => {
            collection.insert_one(get("doc").unwrap())?;
            Answer::Inserted
        }
        "update" => {
            let options = UpdateOptions {
                array_filters: Vec::new(),
                upsert: flag(operation, "upsert"),
            };
            let spec = field(operation, "update").unwrap();
            let filter = get("filter").unwrap();
            let is_multi = flag(operation, "multi");
            Answer::Updated(update(collection, filter, spec, is_multi, &options)?)
        }
        "delete" => Answer::Deleted(collection.delete_many(get("filter").unwrap())?),
        "createIndex" => {
            let before = collection.list_indexes()?.len();
            collection.create_indexes(models(&[field(operation, "index").unwrap()]))?;
            Answer::Created(collection.list_indexes()?.len() - before.max(1))
        }
        "find" => {
            let found = collection
                .find(get("filter").unwrap())
                .sort(get("sort").unwrap())
                .hint(text("hint"))
                .run()?;
            let ids = found.map(|document| {
                let document = document?;
                let id = Elements::new(document.as_bytes()).find_name(b"_id");
                Ok::<_, Error>(OwnedValue::from(id.unwrap()))
            });
            Answer::Found(ids.collect::<Result<_, _>>()?)
        }
        other => panic!("an operation '{other}'"),
    })
}

/// What is to be said against an error.
fn against_error(marks: &Marks, error: &Error, expected: RawValue<'_>) -> Option<String> {
    let Some(wanted) = field(expected, "error") else {
        return Some(format!("found {error:?}"));
    };
    if error_code(wanted) != error.code() {
        return Some(format!("found {error:?}"));
    }
    let same = |name: &str, found: Option<&RawDocumentBuf>| {
        let wanted = field(wanted, name).and_then(document);
        match (wanted, found) {
            (None, _) => true,
            (Some(wanted), Some(found)) => marks.all(std::slice::from_ref(found), &[wanted]),
            (Some(_), None) => false,
        }
    };
    let duplicate = error.duplicate_key();
    let is_same = same("keyPattern", duplicate.map(|it| &it.key_pattern))
        && same("keyValue", duplicate.map(|it| &it.key_value));
    (!is_same).then(|| format!("found the key {duplicate:?}"))
}

fn against(
    marks: &Marks,
    answer: &Result<Answer, Error>,
    expected: RawValue<'_>,
) -> Option<String> {
    let number = |name: &str| field(expected, name).and_then(|value| value.integer());
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return against_error(marks, error, expected),
    };
    if field(expected, "error").is_some() {
        return Some("no error came".into());
    }
    let count = |count: u64| i64::try_from(count).ok();
    let is_same = match answer {
        Answer::Inserted => true,
        Answer::Updated(result) => {
            let id = result.upserted_id.as_ref();
            let id = id.map(|id| OwnedValue::try_from(id).unwrap());
            let same_id = match (&id, field(expected, "upsertedId")) {
                (None, None) => true,
                (Some(found), Some(expected)) => marks.value(found.as_raw(), expected),
                _ => false,
            };
            same_id
                && count(result.matched) == number("matched")
                && count(result.modified) == number("modified")
        }
        Answer::Deleted(deleted) => count(*deleted) == number("deleted"),
        Answer::Created(created) => count(*created as u64) == number("created"),
        Answer::Found(ids) => {
            let wanted = field(expected, "ids").and_then(|ids| ids.elements());
            let wanted: Vec<_> = wanted.unwrap().map(|element| element.value).collect();
            ids.len() == wanted.len()
                && ids
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| marks.value(found.as_raw(), wanted))
        }
    };
    (!is_same).then(|| match answer {
        Answer::Found(ids) => {
            let ids: Vec<String> = ids.iter().map(|id| show(id.as_raw())).collect();
            format!("found {}", ids.join(" "))
        }
        Answer::Updated(result) => format!("found {result:?}"),
        Answer::Created(created) => format!("created {created}"),
        Answer::Deleted(deleted) => format!("deleted {deleted}"),
        Answer::Inserted => "inserted".into(),
    })
}

fn in_order_of_id(mut documents: Vec<RawDocumentBuf>) -> Vec<RawDocumentBuf> {
    let id = |document: &RawDocument| {
        let id = Elements::new(document.as_bytes()).find_name(b"_id");
        id.map(OwnedValue::from)
    };
    documents.sort_by(|one, other| match (id(one), id(other)) {
        (Some(one), Some(other)) => collection_store::values::compare(one.as_raw(), other.as_raw()),
        _ => std::cmp::Ordering::Equal,
    });
    documents
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    let collection = database.collection(NAME);
    collection.drop_collection().unwrap();
    if let Err(error) = collection.create_indexes(models(&case.values("indexes"))) {
        return case.judge_error(&error);
    }
    if let Err(verdict) = case.expects_no_error() {
        return verdict;
    }
    let marks = Marks::of(case);
    let answers = case.values("results").into_iter();
    for (at, (operation, expected)) in case
        .values("operations")
        .into_iter()
        .zip(answers)
        .enumerate()
    {
        let answer = carry_out(&collection, operation);
        if let Some(what) = against(&marks, &answer, expected) {
            return Verdict::wrong(format!(
                "operation {at} {} on {} with {} expected {}: {what}",
                show(operation),
                show_all(&everything(&collection)),
                show(case.get("indexes").unwrap()),
                show(expected)
            ));
        }
    }
    let after = in_order_of_id(everything(&collection));
    let expected = in_order_of_id(case.documents("after"));
    if marks.all(&after, &expected) {
        return Verdict::Right;
    }
    Verdict::wrong(format!(
        "after: expected {} found {}",
        show_all(&expected),
        show_all(&after)
    ))
}
