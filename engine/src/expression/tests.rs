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
pub(super) fn gives(expression: RawDocumentBuf, expected: Bson) {
    let document = rawdoc! { "a": 1, "b": { "c": [{ "d": 1 }, { "d": 2 }, 3, {}] }, "n": null };
    assert_eq!(evaluate(&expression, &document).unwrap(), Some(expected));
}

#[track_caller]
pub(super) fn fails(expression: RawDocumentBuf, code: i32) {
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
        rawdoc! { "e": { "$cond": ["$a", 1, { "$divide": [1, 0] }] } },
        2,
    );
    fails(
        rawdoc! { "e": { "$switch": { "branches": [{ "case": false, "then": 1 }] } } },
        40069,
    );
}

#[test]
fn a_variable_that_nothing_reads_is_not_worked_out() {
    gives(
        rawdoc! { "e": { "$let": { "vars": { "x": { "$size": "$a" } }, "in": "$a" } } },
        bson!(1),
    );
}

#[test]
fn what_has_a_constant_value_or_is_a_path_says_so() {
    let parse = |source: &RawDocumentBuf| {
        let operand = Elements::new(source.as_bytes()).find_name(b"e").unwrap();
        Expression::parse(operand, &Scope::new()).unwrap()
    };
    let sum = parse(&rawdoc! { "e": { "$add": [1, 2] } });
    let constant = sum.as_constant().unwrap().unwrap();
    assert_eq!(constant.to_bson().unwrap(), bson!(3));
    assert!(
        parse(&rawdoc! { "e": "$$REMOVE" })
            .as_constant()
            .unwrap()
            .is_none()
    );
    let path = parse(&rawdoc! { "e": "$a.b" });
    assert_eq!(path.as_field_path().as_deref(), Some("a.b"));
    assert!(path.as_constant().is_none());
}

#[test]
fn values_that_share_their_parts_are_bounded_as_if_they_did_not() {
    // Forty levels of two are a terabyte once they are written.
    let range = rawdoc! { "e": { "$reduce": {
        "input": { "$range": [0, 40] },
        "initialValue": [],
        "in": ["$$value", "$$value"]
    } } };
    fails(range, 146);
    let text = rawdoc! { "e": { "$reduce": {
        "input": { "$range": [0, 40] },
        "initialValue": "a",
        "in": { "$concat": ["$$value", "$$value"] }
    } } };
    fails(text, 10334);
    let deep = rawdoc! { "e": { "$reduce": {
        "input": { "$range": [0, 1000] },
        "initialValue": {},
        "in": { "a": "$$value" }
    } } };
    fails(deep, 15);
}

#[test]
fn a_part_of_a_deep_value_is_not_deep() {
    gives(
        rawdoc! { "e": { "$reduce": {
            "input": { "$range": [0, 1000] },
            "initialValue": { "a": 1 },
            "in": { "a": "$$value.a" }
        } } },
        bson!({ "a": 1 }),
    );
}

#[test]
fn conjunctions_stop_at_what_decides() {
    gives(rawdoc! { "e": { "$and": ["$a", "$n"] } }, bson!(false));
    gives(rawdoc! { "e": { "$or": ["$n", "$a"] } }, bson!(true));
    gives(rawdoc! { "e": { "$and": [] } }, bson!(true));
    gives(rawdoc! { "e": { "$not": ["$n"] } }, bson!(true));
}

mod families;
