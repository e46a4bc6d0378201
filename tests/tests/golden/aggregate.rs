//! `aggregate` and `expr`.

use bson::{Bson, Document, RawDocumentBuf, doc, rawdoc};
use collection_store::values::{Elements, OwnedValue, RawValue, compare};
use collection_store::{Collection, Database, Error};

use crate::case::{Case, NAME, Verdict, document, fill, show, show_all};
use crate::same::Marks;

fn run(
    collection: &Collection,
    pipeline: Vec<RawDocumentBuf>,
) -> Result<Vec<RawDocumentBuf>, Error> {
    collection.aggregate(pipeline)?.collect()
}

/// The collections beside that of the case, which are dropped before the next.
fn set_up_others(database: &Database, case: &Case<'_>) {
    for name in database.list_collections().unwrap() {
        database.collection(&name.name).drop_collection().unwrap();
    }
    let others = case.get("foreign").and_then(|others| others.elements());
    for other in others.into_iter().flatten() {
        let name = std::str::from_utf8(other.name).unwrap();
        let documents = Elements::new(other.value.bytes());
        let documents = documents.map(|element| document(element.value).unwrap());
        fill(&database.collection(name), documents.collect());
    }
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    set_up_others(database, case);
    let collection = case.set_up(database);
    let found = match run(&collection, case.documents("pipeline")) {
        Err(error) => return with_pipeline(case, case.judge_error(&error)),
        Ok(found) => found,
    };
    if let Err(verdict) = case.expects_no_error() {
        return with_pipeline(case, verdict);
    }
    let expected = case.documents("result");
    if Marks::of(case).all(&found, &expected) {
        return Verdict::Right;
    }
    // Without a sort, other collections are read in order of `_id` here and in order of
    // insertion there: the same again, with their documents in that order in the pipeline.
    if let Some(pipeline) = in_order_of_insertion(case)
        && run(&collection, pipeline).is_ok_and(|found| Marks::of(case).all(&found, &expected))
    {
        return Verdict::Right;
    }
    let complaint = format!(
        "expected {} found {}",
        show_all(&expected),
        show_all(&found)
    );
    with_pipeline(case, Verdict::Wrong(complaint))
}

/// The pipeline, with `$documents` in the place of the names of other collections; none
/// if their order is that of `_id` anyway.
fn in_order_of_insertion(case: &Case<'_>) -> Option<Vec<RawDocumentBuf>> {
    let others: Document = case.document("foreign")?.try_into().ok()?;
    let is_sorted = |documents: &Bson| {
        let ids = documents.as_array().unwrap().iter().map(|document| {
            let id = document.as_document().unwrap().get("_id").unwrap();
            OwnedValue::try_from(id).unwrap()
        });
        let ids: Vec<OwnedValue> = ids.collect();
        ids.is_sorted_by(|a, b| compare(a.as_raw(), b.as_raw()).is_le())
    };
    if others.values().all(is_sorted) {
        return None;
    }
    let stages = case.documents("pipeline").into_iter().map(|stage| {
        let mut stage: Document = stage.try_into().ok()?;
        rewrite(&mut stage, &others);
        RawDocumentBuf::try_from(&stage).ok()
    });
    stages.collect()
}

fn rewrite(stage: &mut Document, others: &Document) {
    for (name, operand) in stage.iter_mut() {
        let key = match name.as_str() {
            "$lookup" => "from",
            "$unionWith" => "coll",
            "$facet" => {
                for (_, stages) in operand.as_document_mut().unwrap().iter_mut() {
                    rewrite_all(stages, others);
                }
                continue;
            }
            _ => continue,
        };
        if let Bson::String(collection) = operand {
            *operand = Bson::Document(doc! { "coll": collection.clone() });
        }
        let operand = operand.as_document_mut().unwrap();
        let mut stages = operand
            .remove("pipeline")
            .unwrap_or_else(|| Bson::Array(Vec::new()));
        rewrite_all(&mut stages, others);
        if let Some(Bson::String(collection)) = operand.remove(key) {
            let documents = others.get_array(&collection).cloned().unwrap_or_default();
            let documents: Vec<Bson> = documents
                .into_iter()
                .map(|document| Bson::Document(doc! { "$literal": document }))
                .collect();
            let stages = stages.as_array_mut().unwrap();
            stages.insert(0, Bson::Document(doc! { "$documents": documents }));
        }
        operand.insert("pipeline", stages);
    }
}

fn rewrite_all(stages: &mut Bson, others: &Document) {
    for stage in stages.as_array_mut().into_iter().flatten() {
        rewrite(stage.as_document_mut().unwrap(), others);
    }
}

fn with_pipeline(case: &Case<'_>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Right => Verdict::Right,
        Verdict::Wrong(what) => {
            let docs = show_all(&case.documents("docs"));
            let pipeline = show_all(&case.documents("pipeline"));
            Verdict::Wrong(format!("{what}\n    {pipeline}\n    {docs}"))
        }
    }
}

/// `{ name: value }`.
fn under(name: &str, value: RawValue<'_>) -> RawDocumentBuf {
    let mut builder = collection_store::values::DocumentBuilder::new();
    builder.append(name.as_bytes(), value);
    RawDocumentBuf::from_bytes(builder.finish()).unwrap()
}

pub(crate) fn judge_expression(database: &Database, case: &Case<'_>) -> Verdict {
    let collection = database.collection(NAME);
    collection.drop_collection().unwrap();
    let doc = case.document("doc").unwrap();
    let has_id = Elements::new(doc.as_bytes()).any(|field| field.name == b"_id");
    let mut root = RawDocumentBuf::new();
    if !has_id {
        // A stored document has an `_id`; the expression does not see it.
        root.append(bson::raw::cstr!("_id"), 1);
        root.append(bson::raw::cstr!("d"), doc);
    } else {
        root = doc;
    }
    fill(&collection, vec![root]);
    let mut pipeline = Vec::new();
    if !has_id {
        pipeline.push(rawdoc! { "$replaceWith": "$d" });
    }
    let expression = under("r", case.get("expr").unwrap());
    pipeline.push(rawdoc! { "$replaceWith": expression });
    let found = match run(&collection, pipeline) {
        Err(error) => return with_expression(case, case.judge_error(&error)),
        Ok(found) => found,
    };
    if let Err(verdict) = case.expects_no_error() {
        return with_expression(case, verdict);
    }
    let value = found
        .first()
        .and_then(|document| Elements::new(document.as_bytes()).find_name(b"r"));
    let is_right = match (value, case.get("result")) {
        (None, None) => case.flag("missing"),
        (Some(value), Some(expected)) => Marks::of(case).value(value, expected),
        _ => false,
    };
    if is_right {
        return Verdict::Right;
    }
    let found = value.map_or_else(|| "missing".to_owned(), show);
    let expected = case
        .get("result")
        .map_or_else(|| "missing".to_owned(), show);
    let complaint = format!("expected {expected}, found {found}");
    with_expression(case, Verdict::Wrong(complaint))
}

fn with_expression(case: &Case<'_>, verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Right => Verdict::Right,
        Verdict::Wrong(what) => {
            let (expr, doc) = (case.get("expr").unwrap(), case.get("doc").unwrap());
            Verdict::Wrong(format!("{what}: {} over {}", show(expr), show(doc)))
        }
    }
}
