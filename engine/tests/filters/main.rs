//! Golden cases: documents, a filter, and which of them a real MongoDB found.
//!
//! The corpus is not part of the repository: `CS_GOLDEN_DIR` names its folder.
//! Without it nothing is run.

use std::path::Path;

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use collection_store::filter::{Filter, FilterMode};
use collection_store::values::{Elements, RawValue, compare};
use collection_store::{Error, json};

fn documents(case: &RawDocument, name: &str) -> Vec<RawDocumentBuf> {
    let Ok(Some(RawBsonRef::Array(all))) = case.get(name) else {
        return Vec::new();
    };
    all.into_iter()
        .map(|one| one.unwrap().as_document().unwrap().to_owned())
        .collect()
}

fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawValue<'a>> {
    Elements::new(document.as_bytes()).find_name(name.as_bytes())
}

fn number(case: &RawDocument, name: &str) -> usize {
    case.get_i32(name).unwrap_or(0).unsigned_abs() as usize
}

/// What the filter answers for each document.
fn answers(case: &RawDocument, name: &str) -> Result<Vec<bool>, Error> {
    let source = case.get_document(name).unwrap();
    let all = documents(case, "docs");
    let [compiled, interpreted] = [FilterMode::Compiled, FilterMode::Interpreted].map(|mode| {
        let filter = Filter::compile_with(source, mode)?;
        let answers = all.iter().map(|document| filter.matches(document));
        answers.collect::<Result<Vec<bool>, Error>>()
    });
    if let (Ok(left), Ok(right)) = (&compiled, &interpreted) {
        assert_eq!(left, right, "{source:?}");
    }
    compiled
}

/// `None` if it is as it should be.
fn judge(kind: &str, case: &RawDocument) -> Option<String> {
    let is_validator = kind == "validator";
    let code = case
        .get_document("error")
        .ok()
        .map(|error| error.get_i32("code").unwrap());
    let found = answers(case, if is_validator { "validator" } else { "filter" });
    let found = match (found, code) {
        (Err(error), Some(code)) if error.code() == Some(code) => return None,
        (Err(error), code) => return Some(format!("{error:?}, expected {code:?}")),
        // Projection, sort or key may be at fault.
        (Ok(_), Some(_)) if matches!(kind, "projection" | "sort" | "distinct") => return None,
        (Ok(_), Some(code)) => return Some(format!("no error, expected {code}")),
        (Ok(found), None) => found,
    };
    let matching = found.iter().filter(|matches| **matches).count();
    let (skip, limit) = (number(case, "skip"), number(case, "limit"));
    let limit = if limit == 0 { usize::MAX } else { limit };
    let many = matching.saturating_sub(skip).min(limit);
    if kind == "validator" {
        let Ok(Some(RawBsonRef::Array(expected))) = case.get("accepted") else {
            return None;
        };
        let expected: Vec<bool> = expected
            .into_iter()
            .map(|one| one.unwrap().as_bool().unwrap())
            .collect();
        return (found != expected).then(|| format!("accepted {found:?}"));
    }
    if kind == "distinct" {
        return None;
    }
    if kind == "count" {
        return (many != number(case, "result")).then(|| format!("counted {many}"));
    }
    let Ok(Some(RawBsonRef::Array(expected))) = case.get("result") else {
        return Some("no result".to_owned());
    };
    if kind != "find" || field(case, "projection").is_some() {
        let expected = expected.into_iter().count();
        return (many != expected).then(|| format!("found {many}"));
    }
    let all = documents(case, "docs");
    let ids = all.iter().zip(&found).filter(|(_, matches)| **matches);
    let ids: Vec<_> = ids
        .map(|(document, _)| field(document, "_id").unwrap())
        .collect();
    if field(case, "sort").is_some() {
        return (many != expected.into_iter().count()).then(|| format!("found {many}"));
    }
    let expected = field(case, "result").unwrap();
    let expected: Vec<_> = expected.elements().unwrap().map(|one| one.value).collect();
    let ids: Vec<_> = ids.into_iter().skip(skip).take(limit).collect();
    let same = ids.len() == expected.len()
        && ids
            .iter()
            .zip(&expected)
            .all(|(left, right)| compare(*left, *right).is_eq());
    (!same).then(|| format!("found {ids:?}"))
}

#[test]
fn filters_answer_as_mongodb_did() {
    let Some(folder) = std::env::var_os("CS_GOLDEN_DIR") else {
        return;
    };
    let mut wrong = Vec::new();
    for kind in [
        "find",
        "count",
        "distinct",
        "sort",
        "projection",
        "validator",
    ] {
        let text =
            std::fs::read_to_string(Path::new(&folder).join(format!("{kind}.ndjson"))).unwrap();
        let mut right = 0;
        for line in text.lines() {
            let case = json::parse(line).unwrap();
            match judge(kind, &case) {
                None => right += 1,
                Some(what) => wrong.push(format!("{what}\n    {line}")),
            }
        }
        eprintln!("{kind}: {right} right");
    }
    let short: Vec<_> = wrong
        .iter()
        .map(|one| one.chars().take(6000).collect::<String>())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        short.join("\n")
    );
}
