//! Documents and text.

use bson::{RawDocument, rawdoc};
use collection_store::filter::Filter;
use collection_store::json::{Form, parse_slice, to_string};
use collection_store::key;
use collection_store::values::{Elements, RawValue, compare, validate_document};

pub(super) fn bson(input: &[u8]) {
    if validate_document(input).is_err() {
        return;
    }
    let document = match RawDocument::from_bytes(input) {
        Ok(document) => document,
        Err(error) => panic!("valid for us, not for the crate bson: {error}"),
    };
    scan(Elements::new(input));
    round_trip(document);
    let _ = to_string(document, Form::Relaxed);
    // As a filter too, over itself.
    if let Ok(filter) = Filter::compile(document) {
        let _ = filter.matches(document);
    }
}

fn scan(elements: Elements<'_>) {
    let mut before: Option<RawValue<'_>> = None;
    for element in elements {
        let value = element.value;
        let _ = (
            value.text(),
            value.number(),
            value.integer(),
            value.double(),
        );
        let _ = (
            value.decimal(),
            value.binary(),
            value.regex(),
            value.boolean(),
        );
        let _ = (value.date_ms(), value.timestamp(), value.is_truthy());
        let _ = (value.code_with_scope(), value.is_nan());
        if let (Ok(one), Some(other)) = (key::encode(value), before)
            && let Ok(other_key) = key::encode(other)
        {
            assert_eq!(
                one.cmp(&other_key),
                compare(value, other),
                "keys order as values do"
            );
        }
        if let Some(inner) = value.elements() {
            scan(inner);
        }
        before = Some(value);
    }
}

/// What can be written can be read, but for text deeper than reading goes, and
/// says the same. Text has no names for the items of an array, and the options
/// of a regular expression come back in order: both are lost the first time, and
/// nothing the second.
fn round_trip(document: &RawDocument) {
    let written = |document: &RawDocument| {
        to_string(document, Form::Canonical)
            .unwrap_or_else(|error| panic!("a valid document cannot be written: {error}"))
    };
    let text = written(document);
    let Ok(back) = parse_slice(text.as_bytes()) else {
        return;
    };
    let again = written(&back);
    if !text.contains("$regularExpression") {
        assert_eq!(again, text);
    }
    match parse_slice(again.as_bytes()) {
        Ok(same) => assert_eq!(same.as_bytes(), back.as_bytes(), "{again}"),
        Err(error) => panic!("text of what was read cannot be read: {error}: {again}"),
    }
}

pub(super) fn bson_seeds() -> Vec<Vec<u8>> {
    let documents = [
        rawdoc! {},
        rawdoc! { "_id": 1, "name": "Ada", "born": 1815_i64, "tags": ["a", 2.5, null, true] },
        rawdoc! { "a": { "$gt": 1, "$lte": 9 }, "$or": [{ "b": 1 }, { "c": { "$in": [1, "x"] } }] },
        rawdoc! {
            "when": bson::DateTime::from_millis(7),
            "stamp": bson::Timestamp { time: 1, increment: 2 },
            "bytes": bson::Binary { subtype: bson::spec::BinarySubtype::Uuid, bytes: vec![1; 16] },
            "pattern": bson::Regex {
                pattern: bson::raw::cstr!("^a").to_owned(),
                options: bson::raw::cstr!("i").to_owned(),
            },
            "id": bson::oid::ObjectId::from_bytes([3; 12]),
            "deep": { "er": { "still": [[], [{}]] } },
        },
    ];
    let bytes = documents.map(|document| document.into_bytes());
    bytes.into()
}

pub(super) fn json(input: &[u8]) {
    let Ok(document) = parse_slice(input) else {
        return;
    };
    if let Err(error) = validate_document(document.as_bytes()) {
        panic!("what was parsed is not valid: {error}");
    }
    round_trip(&document);
}

pub(super) fn json_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        br#"{"_id": {"$numberLong": "7"}, "a": [1, 2.5, -0.0, 1e300], "b": {"$oid": "0102030405060708090a0b0c"}}"#
            .to_vec(),
        br#"{"d": {"$date": "1970-01-01T00:00:00.123Z"}, "n": {"$numberDecimal": "1.5E-3"}, "m": {"$minKey": 1}}"#
            .to_vec(),
        br#"{"x": {"$binary": {"base64": "AQID", "subType": "00"}}, "t": {"$timestamp": {"t": 1, "i": 2}}}"#
            .to_vec(),
        br#"{"c": {"$code": "f()", "$scope": {"a": {"$numberInt": "1"}}}, "r": {"$regularExpression": {"pattern": "^a", "options": "i"}}}"#
            .to_vec(),
    ];
    for bytes in bson_seeds() {
        let document = RawDocument::from_bytes(&bytes);
        let text = document.map(|document| to_string(document, Form::Canonical));
        if let Ok(Ok(text)) = text {
            seeds.push(text.into_bytes());
        }
    }
    seeds
}
