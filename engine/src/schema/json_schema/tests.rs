use bson::{Bson, Document, RawDocumentBuf, bson, doc};

use super::JsonSchema;
use crate::error::Error;
use crate::values::OwnedValue;

fn schema(source: &Document) -> Result<JsonSchema, Error> {
    let operand = OwnedValue::try_from(&Bson::Document(source.clone())).unwrap();
    JsonSchema::parse(operand.as_raw())
}

#[track_caller]
fn check(source: &Document, yes: &[Document], no: &[Document]) {
    let schema = schema(source).unwrap();
    for (documents, expected) in [(yes, true), (no, false)] {
        for document in documents {
            let raw = RawDocumentBuf::try_from(document).unwrap();
            assert_eq!(
                schema.matches(raw.as_bytes()),
                expected,
                "{source} on {document}"
            );
        }
    }
}

/// A schema of the field `a`.
fn of_a(rules: Document) -> Document {
    doc! { "properties": { "a": rules } }
}

fn code(source: &Document) -> i32 {
    schema(source).unwrap_err().code().unwrap()
}

#[test]
fn a_rule_is_about_values_of_one_type_and_missing_fields_break_none() {
    check(
        &of_a(doc! { "minimum": 5, "maxLength": 2 }),
        &[
            doc! {},
            doc! { "a": 5.0 },
            doc! { "a": "ab" },
            doc! { "a": [] },
            doc! { "a": null },
        ],
        &[doc! { "a": 4 }, doc! { "a": "abc" }],
    );
    check(
        &doc! { "required": ["a", "b.c"], "minProperties": 2 },
        &[doc! { "a": null, "b": { "c": 1 } }],
        &[doc! { "a": 1 }, doc! { "a": 1, "b": 2 }],
    );
}

#[test]
fn types_are_named_as_json_or_as_bson_names_them() {
    check(
        &of_a(doc! { "bsonType": ["int", "decimal"] }),
        &[doc! { "a": 1 }],
        &[doc! { "a": 1_i64 }, doc! { "a": "1" }],
    );
    check(
        &of_a(doc! { "type": "number" }),
        &[doc! { "a": 1.5 }],
        &[doc! { "a": true }],
    );
    assert_eq!(code(&doc! { "type": "int" }), 2);
    assert_eq!(code(&doc! { "type": "integer" }), 9);
    assert_eq!(code(&doc! { "bsonType": ["int", "int"] }), 9);
    assert_eq!(code(&doc! { "bsonType": "int", "type": "number" }), 9);
}

#[test]
fn bounds_may_be_exclusive_and_multiples_are_exact() {
    check(
        &of_a(doc! { "minimum": 1, "exclusiveMinimum": true, "maximum": 3 }),
        &[doc! { "a": 1.5 }, doc! { "a": 3 }],
        &[doc! { "a": 1 }, doc! { "a": 3.1 }, doc! { "a": f64::NAN }],
    );
    let tenth: Bson = "0.1".parse::<bson::Decimal128>().unwrap().into();
    check(
        &of_a(doc! { "multipleOf": tenth }),
        &[
            doc! { "a": 0.3 },
            doc! { "a": 7 },
            doc! { "a": 0 },
            doc! { "a": -1.2 },
        ],
        &[doc! { "a": 0.35 }, doc! { "a": f64::INFINITY }],
    );
    check(
        &of_a(doc! { "multipleOf": 3 }),
        &[doc! { "a": 9.0 }],
        &[doc! { "a": 10 }],
    );
    assert_eq!(code(&of_a(doc! { "multipleOf": 0 })), 9);
    assert_eq!(code(&of_a(doc! { "exclusiveMinimum": true })), 9);
    assert_eq!(code(&of_a(doc! { "minimum": "1" })), 14);
}

#[test]
fn strings_have_a_length_in_characters_and_a_pattern() {
    check(
        &of_a(doc! { "minLength": 2, "maxLength": 3, "pattern": "^é" }),
        &[doc! { "a": "éa" }, doc! { "a": "é日本" }],
        &[doc! { "a": "é" }, doc! { "a": "aé" }, doc! { "a": "éabc" }],
    );
    assert_eq!(code(&of_a(doc! { "minLength": -1 })), 9);
    assert_eq!(code(&of_a(doc! { "pattern": 1 })), 14);
}

#[test]
fn values_of_an_enum_and_unique_items_are_compared_whatever_the_order_of_fields() {
    check(
        &of_a(doc! { "enum": [1, { "x": 1, "y": 2 }] }),
        &[doc! { "a": 1.0 }, doc! { "a": { "y": 2, "x": 1 } }],
        &[doc! { "a": 2 }, doc! { "a": { "x": 1 } }, doc! { "a": [1] }],
    );
    check(
        &of_a(doc! { "uniqueItems": true }),
        &[doc! { "a": [1, "1", [1]] }, doc! { "a": 1 }],
        &[
            doc! { "a": [1, 2, 1.0] },
            doc! { "a": [{ "x": 1, "y": 2 }, { "y": 2, "x": 1 }] },
        ],
    );
    assert_eq!(code(&of_a(doc! { "enum": [] })), 9);
    assert_eq!(code(&of_a(doc! { "enum": [1, 1.0] })), 9);
}

#[test]
fn items_are_one_schema_or_one_for_each() {
    check(
        &of_a(doc! { "items": { "type": "number" }, "minItems": 1, "maxItems": 2 }),
        &[doc! { "a": [1] }, doc! { "a": "x" }],
        &[
            doc! { "a": [] },
            doc! { "a": ["x"] },
            doc! { "a": [1, 2, 3] },
        ],
    );
    let tuple = doc! { "items": [{ "type": "number" }, {}], "additionalItems": false };
    check(
        &of_a(tuple),
        &[doc! { "a": [1, "x"] }, doc! { "a": [] }],
        &[doc! { "a": ["x"] }, doc! { "a": [1, 2, 3] }],
    );
}

#[test]
fn fields_that_nothing_names_may_be_refused() {
    check(
        &doc! {
            "properties": { "a": {} },
            "patternProperties": { "^s": { "type": "string" } },
            "additionalProperties": false,
        },
        &[doc! { "a": 1, "s1": "x" }, doc! {}],
        &[doc! { "b": 1 }, doc! { "s1": 1 }],
    );
    check(
        &doc! { "additionalProperties": { "minimum": 2 } },
        &[doc! { "a": 2 }],
        &[doc! { "a": 1 }],
    );
}

#[test]
fn dependencies_ask_for_fields_or_for_a_schema() {
    check(
        &doc! { "dependencies": { "a": ["b"], "c": { "properties": { "d": { "minimum": 1 } } } } },
        &[doc! { "b": 1 }, doc! { "a": 1, "b": 1 }, doc! { "d": 0 }],
        &[doc! { "a": 1 }, doc! { "c": 1, "d": 0 }],
    );
    assert_eq!(code(&doc! { "dependencies": { "a": 1 } }), 14);
}

#[test]
fn schemas_combine() {
    let (small, even) = (doc! { "maximum": 5 }, doc! { "multipleOf": 2 });
    let both = bson!([small, even]);
    let documents = |values: &[i32]| values.iter().map(|n| doc! { "a": n }).collect::<Vec<_>>();
    for (keyword, yes, no) in [
        ("allOf", vec![2, 4], vec![1, 6, 7]),
        ("anyOf", vec![1, 2, 6], vec![7]),
        ("oneOf", vec![1, 6], vec![2, 7]),
    ] {
        let source = of_a(doc! { keyword: both.clone() });
        check(&source, &documents(&yes), &documents(&no));
        assert_eq!(code(&doc! { keyword: [] }), 2);
    }
    check(
        &of_a(doc! { "not": { "enum": [1] } }),
        &documents(&[2]),
        &documents(&[1]),
    );
}

#[test]
fn what_is_not_known_is_refused_and_titles_are_texts() {
    for keyword in ["bogus", "format", "default", "$ref", "id"] {
        assert_eq!(code(&doc! { keyword: "x" }), 9, "{keyword}");
    }
    assert_eq!(code(&doc! { "title": 1 }), 14);
    check(&doc! { "title": "t", "description": "d" }, &[doc! {}], &[]);
}
