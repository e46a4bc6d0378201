#![allow(clippy::unwrap_used, reason = "a test may panic, helpers included")]

use bson::{Bson, RawDocumentBuf, bson, rawdoc};

use super::*;
use crate::values::Elements;

/// What an expression, the field `e` of a document, comes to.
pub(super) fn evaluate(
    expression: &RawDocumentBuf,
    document: &RawDocumentBuf,
) -> Result<Option<Bson>> {
    let operand = Elements::new(expression.as_bytes())
        .find_name(b"e")
        .unwrap();
    let expression = Expression::parse(operand, &Scope::new())?;
    let value = expression.evaluate(&mut Environment::new(document.as_bytes()))?;
    value.map(|value| value.to_bson()).transpose()
}

#[track_caller]
fn gives(expression: RawDocumentBuf, expected: Bson) {
    let document = rawdoc! { "a": 1, "b": { "c": [{ "d": 1 }, { "d": 2 }, 3, {}] }, "n": null };
    assert_eq!(evaluate(&expression, &document).unwrap(), Some(expected));
}

#[track_caller]
fn fails(expression: RawDocumentBuf, code: i32) {
    let error = evaluate(&expression, &rawdoc! { "a": 1 }).unwrap_err();
    assert_eq!(error.code(), Some(code), "{error}");
}

#[test]
fn paths_go_through_documents_and_arrays() {
    gives(rawdoc! { "e": "$a" }, bson!(1));
    gives(rawdoc! { "e": "$b.c.d" }, bson!([1, 2]));
    gives(rawdoc! { "e": "$$ROOT.b.c.d" }, bson!([1, 2]));
    assert_eq!(
        evaluate(&rawdoc! { "e": "$x.y" }, &rawdoc! {}).unwrap(),
        None
    );
}

#[test]
fn documents_leave_out_what_is_missing_and_arrays_do_not() {
    gives(rawdoc! { "e": { "x": "$x", "y": "$a" } }, bson!({ "y": 1 }));
    gives(rawdoc! { "e": ["$x", "$a"] }, bson!([null, 1]));
}

#[test]
fn variables_hide_those_of_outside() {
    gives(
        rawdoc! { "e": { "$let": { "vars": { "x": "$a" }, "in": {
            "$let": { "vars": { "x": 5, "y": "$$x" }, "in": ["$$x", "$$y"] }
        } } } },
        bson!([5, 1]),
    );
    fails(rawdoc! { "e": "$$x" }, 17276);
}

#[test]
fn a_constant_part_that_fails_refuses_the_expression() {
    fails(
        rawdoc! { "e": { "$cond": [true, 1, { "$switch": { "branches": [{ "case": false, "then": 1 }] } }] } },
        40066,
    );
}

#[test]
fn conjunctions_stop_at_what_decides() {
    gives(rawdoc! { "e": { "$and": ["$a", "$n"] } }, bson!(false));
    gives(rawdoc! { "e": { "$or": ["$n", "$a"] } }, bson!(true));
    gives(rawdoc! { "e": { "$and": [] } }, bson!(true));
    gives(rawdoc! { "e": { "$not": ["$n"] } }, bson!(true));
}
