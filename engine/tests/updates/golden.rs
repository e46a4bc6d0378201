//! Golden cases: documents, a filter, an update, and what MongoDB 8.2 made of them.
//!
//! `cases.ndjson` is a selection. The whole corpus, with the format of a case, is
//! not part of the repository; `CS_GOLDEN_UPDATES` names a file of it to be run instead.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bson::raw::RawBsonRef;
use bson::{DateTime, RawDocument, RawDocumentBuf, Timestamp};
use collection_store::filter::Filter;
use collection_store::values::{Elements, compare};
use collection_store::{Applied, Error, Update, UpdateContext, UpdateOptions, json};

/// What became of one case.
enum Verdict {
    /// As expected, but for a change from some bytes to the same: MongoDB counts
    /// a `$push` that is sliced away, or a NaN made anew, as modified.
    SameBytes,
    /// As expected.
    Right,
    /// The filters do not know something yet.
    Skipped,
    Wrong(String),
}

/// What an update of a collection came to.
struct Outcome {
    matched: i32,
    modified: i32,
    after: Vec<RawDocumentBuf>,
}

struct Case<'a>(&'a RawDocument);

impl<'a> Case<'a> {
    fn documents(&self, name: &str) -> Vec<RawDocumentBuf> {
        let Ok(Some(RawBsonRef::Array(all))) = self.0.get(name) else {
            return Vec::new();
        };
        all.into_iter()
            .map(|one| one.unwrap().as_document().unwrap().to_owned())
            .collect()
    }

    fn flag(&self, name: &str) -> bool {
        self.0.get_bool(name).unwrap_or(false)
    }

    fn filter(&self) -> &'a RawDocument {
        self.0.get_document("filter").unwrap()
    }
}

fn context() -> UpdateContext {
    UpdateContext {
        position: None,
        // The corpus has these in the place of the time.
        now: DateTime::from_millis(0),
        timestamp: Timestamp {
            time: 0,
            increment: 0,
        },
        is_upsert_insert: false,
    }
}

fn id(document: &RawDocument) -> Option<collection_store::values::RawValue<'_>> {
    Elements::new(document.as_bytes()).find_name(b"_id")
}

/// Puts the `_id` in front, a made one if there is none.
fn with_id(document: &RawDocument) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
    match document.get("_id").unwrap() {
        Some(id) => out.append(bson::raw::cstr!("_id"), id),
        None => out.append(
            bson::raw::cstr!("_id"),
            bson::oid::ObjectId::from_bytes([0; 12]),
        ),
    }
    for field in document {
        let (name, value) = field.unwrap();
        if name != "_id" {
            out.append(name, value);
        }
    }
    out
}

fn run(case: &Case<'_>, filter: &Filter) -> Result<Outcome, Error> {
    let options = UpdateOptions {
        array_filters: case.documents("arrayFilters"),
        ..UpdateOptions::default()
    };
    let update = Update::parse_value(case.0.get("update").unwrap().unwrap(), &options)?;
    if update.is_replacement() && case.flag("multi") {
        let error = Error::new(
            collection_store::ErrorKind::FailedToParse,
            "multi update is not supported for replacement-style update",
        );
        return Err(error);
    }
    let mut after = case.documents("docs");
    let mut outcome = Outcome {
        matched: 0,
        modified: 0,
        after: Vec::new(),
    };
    for document in &mut after {
        if !filter.matches(document)? || (outcome.matched == 1 && !case.flag("multi")) {
            continue;
        }
        outcome.matched += 1;
        let mut context = context();
        context.position = filter.matched_position(document)?;
        if let Applied::Changed(bytes) = update.apply(document, &context)? {
            outcome.modified += 1;
            *document = RawDocumentBuf::from_bytes(bytes).unwrap();
        }
    }
    if outcome.matched == 0 && case.flag("upsert") {
        let base = update.upsert_base(filter)?;
        let mut context = context();
        context.is_upsert_insert = true;
        let new = match update.apply(&base, &context)? {
            Applied::Changed(bytes) => RawDocumentBuf::from_bytes(bytes).unwrap(),
            Applied::Unchanged => base,
        };
        let new = with_id(&new);
        if after
            .iter()
            .any(|old| compare(id(old).unwrap(), id(&new).unwrap()).is_eq())
        {
            return Err(Error::new(
                collection_store::ErrorKind::DuplicateKey,
                "duplicate key",
            ));
        }
        after.push(new);
    }
    after.sort_by(|left, right| match (id(left), id(right)) {
        (Some(left), Some(right)) => compare(left, right),
        _ => Ordering::Equal,
    });
    outcome.after = after;
    Ok(outcome)
}

fn is_same(found: &RawDocument, expected: &RawDocument, any_order: bool) -> bool {
    if found.as_bytes() == expected.as_bytes() {
        return true;
    }
    let fields = |document: &RawDocument| -> BTreeMap<Vec<u8>, Vec<u8>> {
        Elements::new(document.as_bytes())
            .map(|field| (field.name.to_vec(), field.value.bytes().to_vec()))
            .collect()
    };
    any_order && fields(found) == fields(expected)
}

fn judge(case: &Case<'_>) -> Verdict {
    let is_unsupported = |error: &Error| error.message().contains("not supported");
    let filter = Filter::compile(case.filter());
    let expected_code = case
        .0
        .get_document("error")
        .ok()
        .map(|error| error.get_i32("code").unwrap());
    let result = filter.and_then(|filter| run(case, &filter));
    let outcome = match (result, expected_code) {
        (Err(error), Some(code)) if error.code() == Some(code) => return Verdict::Right,
        (Err(error), _) if is_unsupported(&error) => return Verdict::Skipped,
        (Err(error), code) => {
            return Verdict::Wrong(format!("{error:?}, expected code {code:?}"));
        }
        (Ok(_), Some(code)) => return Verdict::Wrong(format!("no error, expected {code}")),
        (Ok(outcome), None) => outcome,
    };
    let expected = case.documents("after");
    let any_order = case.flag("anyFieldOrder");
    let wrong = outcome.after.len() != expected.len()
        || outcome
            .after
            .iter()
            .zip(&expected)
            .any(|(found, expected)| !is_same(found, expected, any_order));
    if wrong {
        let found: Vec<String> = outcome
            .after
            .iter()
            .map(|document| json::to_string(document, json::Form::Relaxed).unwrap())
            .collect();
        return Verdict::Wrong(format!("came to {}", found.join(" ")));
    }
    let counts = (outcome.matched, outcome.modified);
    let wanted = (
        case.0.get_i32("matched").unwrap(),
        case.0.get_i32("modified").unwrap(),
    );
    if counts != wanted && counts.0 == wanted.0 && counts.1 < wanted.1 {
        return Verdict::SameBytes;
    }
    if counts != wanted {
        return Verdict::Wrong(format!("matched and modified {counts:?}, not {wanted:?}"));
    }
    Verdict::Right
}

#[test]
fn updates_answer_as_mongodb_did() {
    let text = match std::env::var_os("CS_GOLDEN_UPDATES") {
        Some(path) => std::fs::read_to_string(path).unwrap(),
        None => include_str!("cases.ndjson").to_owned(),
    };
    let (mut right, mut same, mut skipped, mut wrong) = (0, 0, 0, Vec::new());
    for line in text.lines() {
        let document = json::parse(line).unwrap();
        match judge(&Case(&document)) {
            Verdict::Right => right += 1,
            Verdict::SameBytes => same += 1,
            Verdict::Skipped => skipped += 1,
            Verdict::Wrong(what) => wrong.push(format!("{what}\n    {line}")),
        }
    }
    eprintln!(
        "{right} right, {same} not modified but for the count, {skipped} skipped, {} wrong",
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(right > skipped, "most cases should say something");
    assert!(same * 100 <= right, "these are rare");
}
