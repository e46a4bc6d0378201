#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::rawdoc;

use super::*;

fn code_of<T>(result: Result<T>) -> i32 {
    result.err().unwrap().code
}

#[test]
fn a_field_that_nobody_knows_or_that_is_there_twice_is_refused_by_name() {
    let document = rawdoc! { "find": "c", "nonsense": 1 };
    let error = Fields::within("find", &document, &["find"]).unwrap_err();
    assert_eq!(error.code, code::UNKNOWN_FIELD);
    assert_eq!(
        error.message,
        "BSON field 'find.nonsense' is an unknown field."
    );
    let document = rawdoc! { "find": "c", "find": "d" };
    assert_eq!(code_of(Fields::within("find", &document, &["find"])), 40413);
}

#[test]
fn a_null_counts_as_missing() {
    let document = rawdoc! { "a": null };
    let fields = Fields::within("x", &document, &["a"]).unwrap();
    assert!(fields.get("a").is_none() && fields.has("a"));
    assert_eq!(code_of(fields.required("a")), code::FAILED_FIELD_MISSING);
}

#[test]
fn numbers_are_taken_in_any_type_and_refused_with_a_fraction() {
    let document = rawdoc! { "i": 3, "l": 3_i64, "d": 3.0, "f": 3.5, "s": "3", "n": -3 };
    let fields = Fields::read("x", &document, |_| true).unwrap();
    for name in ["i", "l", "d"] {
        assert_eq!(fields.natural(name).unwrap(), Some(3));
    }
    for name in ["f", "s"] {
        assert_eq!(code_of(fields.integer(name)), code::TYPE_MISMATCH);
    }
    assert_eq!(code_of(fields.natural("n")), 51024);
    assert_eq!(fields.natural("missing").unwrap(), None);
}

#[test]
fn an_option_that_is_not_honoured_is_refused_unless_it_asks_for_nothing() {
    let document = rawdoc! {
        "collation": { "locale": "simple" }, "tailable": false, "max": {}, "min": { "a": 1 },
    };
    let fields = Fields::read("find", &document, |_| true).unwrap();
    fields.refuse(&["collation", "tailable", "max"]).unwrap();
    let error = fields.refuse(&["min"]).unwrap_err();
    assert_eq!(error.code, code::INVALID_OPTIONS);
    assert_eq!(error.message, "option 'min' of 'find' is not supported");
}

#[test]
fn documents_come_in_the_body_or_beside_it_but_not_both() {
    let (document, one) = (rawdoc! { "documents": [{ "a": 1 }] }, rawdoc! { "a": 2 });
    let fields = Fields::read("insert", &document, |_| true).unwrap();
    let sequences = [Sequence {
        name: "documents",
        documents: vec![&one, &one],
    }];
    assert_eq!(documents_of(&fields, &[], "documents").unwrap().len(), 1);
    assert_eq!(
        code_of(documents_of(&fields, &sequences, "documents")),
        40413
    );
    let none = rawdoc! {};
    let fields = Fields::read("insert", &none, |_| true).unwrap();
    assert_eq!(
        documents_of(&fields, &sequences, "documents")
            .unwrap()
            .len(),
        2
    );
    assert_eq!(code_of(documents_of(&fields, &[], "documents")), 40414);
}
