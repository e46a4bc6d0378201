//! Golden cases: a document, an expression, and what MongoDB made of them.
//!
//! The corpus is run through the public API elsewhere; here the same cases ask the
//! module alone, which is quicker to work with: `CS_GOLDEN_DIR` names the folder of
//! `expr.ndjson`.

use bson::raw::RawBsonRef;
use bson::{RawDocument, RawDocumentBuf};
use collection_store::expression::{Environment, Expression, Scope};
use collection_store::values::{Elements, Kind, RawValue};
use collection_store::{Error, json};

/// How far a result may be off where a mathematics library made it.
const TOLERANCE: f64 = 1e-13;

fn run(document: &RawDocument, expression: RawValue<'_>) -> Result<Option<Vec<u8>>, Error> {
    let expression = Expression::parse(expression, &Scope::new())?;
    let value = expression.evaluate(&mut Environment::new(document.as_bytes()))?;
    let Some(value) = value else { return Ok(None) };
    let mut builder = collection_store::values::DocumentBuilder::new();
    value.append_to(b"r", &mut builder)?;
    let bytes = builder.finish();
    collection_store::values::validate_document(&bytes)?;
    Ok(Some(bytes))
}

/// Whether two values are the same, but for the last digits of what is approximate.
fn is_same(found: RawValue<'_>, expected: RawValue<'_>, is_approximate: bool) -> bool {
    if found.kind() != expected.kind() {
        return false;
    }
    if found.bytes() == expected.bytes() {
        return true;
    }
    if let (Some(a), Some(b)) = (found.double(), expected.double()) {
        return is_approximate && (a - b).abs() <= TOLERANCE * b.abs();
    }
    if let (Some(a), Some(b)) = (found.decimal(), expected.decimal()) {
        let (a, b) = (a.to_f64(), b.to_f64());
        return is_approximate && (a - b).abs() <= TOLERANCE * b.abs();
    }
    if !matches!(found.kind(), Kind::Document | Kind::Array) {
        return false;
    }
    let (mut a, mut b) = (found.elements().unwrap(), expected.elements().unwrap());
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.name == b.name && is_same(a.value, b.value, is_approximate) => {
            }
            _ => return false,
        }
    }
}

fn judge(case: &RawDocument) -> Result<(), String> {
    let document = case.get_document("doc").unwrap();
    let raw = |bytes| Elements::new(bytes);
    let expression = raw(case.as_bytes()).find_name(b"expr").unwrap();
    let expected_code = case
        .get_document("error")
        .ok()
        .map(|error| error.get_i32("code").unwrap());
    let is_approximate = matches!(case.get("approx"), Ok(Some(RawBsonRef::Boolean(true))));
    match (run(document, expression), expected_code) {
        (Err(error), Some(code)) if error.code() == Some(code) => Ok(()),
        (Err(error), code) => Err(format!("{error:?}, expected code {code:?}")),
        (Ok(found), Some(code)) => Err(format!("{}, expected code {code}", show(found))),
        (Ok(found), None) => {
            let expected = raw(case.as_bytes()).find_name(b"result");
            let is_right = match (&found, expected) {
                (None, None) => true,
                (Some(bytes), Some(expected)) => is_same(
                    raw(bytes).find_name(b"r").unwrap(),
                    expected,
                    is_approximate,
                ),
                _ => false,
            };
            if is_right { Ok(()) } else { Err(show(found)) }
        }
    }
}

fn show(found: Option<Vec<u8>>) -> String {
    match found {
        None => "missing".to_owned(),
        Some(bytes) => {
            let document = RawDocumentBuf::from_bytes(bytes).unwrap();
            json::to_string(&document, json::Form::Canonical).unwrap()
        }
    }
}

#[test]
fn expressions_answer_as_mongodb_did() {
    let Some(folder) = std::env::var_os("CS_GOLDEN_DIR") else {
        return;
    };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("expr.ndjson")).unwrap();
    let mut wrong = Vec::new();
    let mut right = 0;
    for line in text.lines() {
        let case = json::parse(line).unwrap();
        match judge(&case) {
            Ok(()) => right += 1,
            Err(what) => wrong.push(format!("{what}\n    {line}")),
        }
    }
    eprintln!("{right} right, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
