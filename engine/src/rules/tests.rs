use bson::{RawDocument, rawdoc};

use super::{Rules, Verdict, check_options};
use crate::surroundings::Surroundings;

fn judge(options: &RawDocument, old: Option<&RawDocument>, new: &RawDocument) -> Option<Verdict> {
    let rules = Rules::of(options).unwrap().unwrap();
    let old = old.map(RawDocument::as_bytes);
    rules.judge(&Surroundings::at(0), old, new.as_bytes()).ok()
}

#[test]
fn levels_and_actions_decide_what_becomes_of_a_document_at_fault() {
    let (good, bad) = (rawdoc! { "a": 1 }, rawdoc! { "a": 0 });
    let strict = rawdoc! { "validator": { "a": 1 } };
    assert_eq!(judge(&strict, None, &good), Some(Verdict::Right));
    assert_eq!(judge(&strict, None, &bad), None);
    assert_eq!(judge(&strict, Some(&bad), &bad), None);
    let moderate = rawdoc! { "validator": { "a": 1 }, "validationLevel": "moderate" };
    assert_eq!(judge(&moderate, None, &bad), None);
    assert_eq!(judge(&moderate, Some(&good), &bad), None);
    assert_eq!(judge(&moderate, Some(&bad), &bad), Some(Verdict::Right));
    let off = rawdoc! { "validator": { "a": 1 }, "validationLevel": "off" };
    assert_eq!(judge(&off, None, &bad), Some(Verdict::Right));
    let warn = rawdoc! { "validator": { "a": 1 }, "validationAction": "warn" };
    assert_eq!(judge(&warn, None, &bad), Some(Verdict::Warned));
    assert_eq!(judge(&warn, None, &good), Some(Verdict::Right));
}

#[test]
fn what_cannot_be_evaluated_is_not_accepted() {
    let options = rawdoc! { "validator": { "$expr": { "$gt": [{ "$add": ["$a", 1] }, 0] } } };
    assert_eq!(
        judge(&options, None, &rawdoc! { "a": 1 }),
        Some(Verdict::Right)
    );
    assert_eq!(judge(&options, None, &rawdoc! { "a": "text" }), None);
}

#[test]
fn options_that_make_no_sense_are_refused_with_mongodbs_codes() {
    for (options, code) in [
        (rawdoc! { "validator": 5 }, 14),
        (rawdoc! { "validator": { "a": { "$bad": 1 } } }, 2),
        (
            rawdoc! { "validator": { "$jsonSchema": { "bogus": 1 } } },
            9,
        ),
        (rawdoc! { "validator": {}, "validationLevel": 1 }, 14),
        (rawdoc! { "validationLevel": "lenient" }, 2),
        (rawdoc! { "validationAction": "shout" }, 2),
        (rawdoc! { "capped": true, "size": 100 }, 72),
        (rawdoc! { "viewOn": "x" }, 72),
    ] {
        assert_eq!(
            check_options(&options).unwrap_err().code(),
            Some(code),
            "{options:?}"
        );
    }
    check_options(&rawdoc! { "capped": false, "note": 1 }).unwrap();
    assert!(Rules::of(&rawdoc! { "validator": {} }).unwrap().is_none());
}

fn details(validator: &RawDocument, document: &RawDocument) -> bson::Document {
    let rules = Rules::of(&rawdoc! { "validator": validator.to_owned() })
        .unwrap()
        .unwrap();
    let error = rules
        .judge(&Surroundings::at(0), None, document.as_bytes())
        .unwrap_err();
    assert_eq!(error.code(), Some(121));
    let details = error.details().unwrap();
    crate::values::validate_document(details.as_bytes()).unwrap();
    bson::Document::try_from(&**details).unwrap()
}

#[test]
fn the_details_name_field_and_rule() {
    use bson::doc;
    let schema = rawdoc! { "$jsonSchema": {
        "required": ["name", "year"],
        "properties": { "year": { "bsonType": "int", "minimum": 2000, "description": "too old" } },
    } };
    assert_eq!(
        details(&schema, &rawdoc! { "_id": 7, "year": 1967 }),
        doc! { "failingDocumentId": 7, "details": {
            "operatorName": "$jsonSchema",
            "schemaRulesNotSatisfied": [
                {
                    "operatorName": "required",
                    "specifiedAs": { "required": ["name", "year"] },
                    "missingProperties": ["name"],
                },
                {
                    "operatorName": "properties",
                    "propertiesNotSatisfied": [{
                        "propertyName": "year",
                        "description": "too old",
                        "details": [{
                            "operatorName": "minimum",
                            "specifiedAs": { "minimum": 2000 },
                            "reason": "comparison failed",
                            "consideredValue": 1967,
                        }],
                    }],
                },
            ],
        } }
    );
    assert_eq!(
        details(
            &rawdoc! { "a": { "$gte": 5, "$lt": 9 }, "b": "x" },
            &rawdoc! { "_id": 1, "a": 3 }
        ),
        doc! { "failingDocumentId": 1, "details": {
            "operatorName": "$and",
            "clausesNotSatisfied": [
                { "index": 0, "details": {
                    "operatorName": "$and",
                    "clausesNotSatisfied": [{ "index": 0, "details": {
                        "operatorName": "$gte",
                        "specifiedAs": { "a": { "$gte": 5 } },
                        "reason": "comparison failed",
                        "consideredValue": 3,
                    } }],
                } },
                { "index": 1, "details": {
                    "operatorName": "$eq",
                    "specifiedAs": { "b": "x" },
                    "reason": "field was missing",
                } },
            ],
        } }
    );
}

#[test]
fn every_kind_of_rule_is_explained() {
    let document = rawdoc! { "_id": 1, "a": [1, 1], "s": "abc", "o": { "x": 1 } };
    for (validator, word) in [
        (rawdoc! { "$or": [{ "a": 5 }, { "s": "z" }] }, "$or"),
        (rawdoc! { "$nor": [{ "s": "abc" }] }, "$nor"),
        (rawdoc! { "$expr": { "$eq": ["$s", "z"] } }, "$expr"),
        (
            rawdoc! { "s": { "$regex": "Z", "$options": "i" } },
            "$regex",
        ),
        (rawdoc! { "s": { "$not": { "$eq": "abc" } } }, "$not"),
        (rawdoc! { "t": { "$exists": true } }, "does not exist"),
        (
            rawdoc! { "$jsonSchema": { "properties": { "a": { "uniqueItems": true } } } },
            "uniqueItems",
        ),
        (
            rawdoc! { "$jsonSchema": { "properties": { "a": { "items": { "maximum": 0 } } } } },
            "itemIndex",
        ),
        (
            rawdoc! { "$jsonSchema": { "properties": { "s": {} }, "additionalProperties": false } },
            "additionalProperties",
        ),
        (
            rawdoc! { "$jsonSchema": { "anyOf": [{ "required": ["q"] }] } },
            "schemasNotSatisfied",
        ),
        (
            rawdoc! { "$jsonSchema": { "not": { "required": ["s"] } } },
            "child expression matched",
        ),
        (
            rawdoc! { "$jsonSchema": { "properties": { "s": { "enum": ["x"] } } } },
            "enum",
        ),
    ] {
        let found = details(&validator, &document).to_string();
        assert!(found.contains(word), "{validator:?}: {found}");
    }
}
