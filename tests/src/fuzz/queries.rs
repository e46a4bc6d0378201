//! Filters over documents, updates of documents, keys of values.

use std::cmp::Ordering;

use bson::{DateTime, RawBson, RawDocument, RawDocumentBuf, Timestamp, rawdoc};
use collection_store::filter::{Filter, FilterMode};
use collection_store::key;
use collection_store::values::{Elements, RawValue, compare, validate_document};
use collection_store::{Applied, Update, UpdateContext, UpdateOptions};

/// Values whose keys are compared with each other, at most.
const MAX_VALUES: usize = 24;

/// The documents that follow one another in an input; the last is the rest of
/// it, sound or not.
fn parts<const N: usize>(input: &[u8]) -> Option<[&[u8]; N]> {
    let mut rest = input;
    let mut found = [&[][..]; N];
    let last = N - 1;
    for place in &mut found[..last] {
        let len = usize::try_from(i32::from_le_bytes(*rest.first_chunk()?)).ok()?;
        (*place, rest) = rest.split_at_checked(len)?;
    }
    found[last] = rest;
    Some(found)
}

fn sound(bytes: &[u8]) -> Option<&RawDocument> {
    validate_document(bytes).ok()?;
    RawDocument::from_bytes(bytes).ok()
}

fn joined(documents: &[&RawDocumentBuf]) -> Vec<u8> {
    documents
        .iter()
        .flat_map(|one| one.as_bytes())
        .copied()
        .collect()
}

/// A filter and a document: both forms answer alike; over bytes that are no
/// document they end.
pub(super) fn query(input: &[u8]) {
    let Some([source, document]) = parts(input) else {
        return;
    };
    let Some(source) = sound(source) else {
        return;
    };
    let Ok(compiled) = Filter::compile(source) else {
        assert!(Filter::compile_with(source, FilterMode::Interpreted).is_err());
        return;
    };
    let interpreted = match Filter::compile_with(source, FilterMode::Interpreted) {
        Ok(interpreted) => interpreted,
        Err(error) => panic!("refused in one form only: {error}"),
    };
    if let Some(document) = sound(document) {
        let answer = compiled.matches(document).map_err(|error| error.code());
        let expected = interpreted.matches(document).map_err(|error| error.code());
        assert_eq!(answer, expected, "the forms differ");
        let position = interpreted.matched_position(document);
        assert!(
            !matches!(position, Ok(Some(_))) || answer == Ok(true),
            "a position without a match"
        );
    } else if let Ok(document) = RawDocument::from_bytes(document) {
        let _ = compiled.matches(document);
        let _ = interpreted.matches(document);
    }
}

pub(super) fn query_seeds() -> Vec<Vec<u8>> {
    let document = rawdoc! {
        "_id": 1, "a": [1, { "b": "ab\n", "c": [2.5, null] }], "b": { "c": 7_i64, "d": "x" },
    };
    let filters = [
        rawdoc! { "a": 1, "b.c": { "$gt": 5, "$lte": 9.5 }, "b.d": { "$ne": "y" } },
        rawdoc! { "$or": [{ "a.b": { "$regex": "^A(b|c)+$", "$options": "im" } }, { "$nor": [{ "b": null }] }] },
        rawdoc! { "a": { "$elemMatch": { "b": { "$in": ["ab", 1] }, "c": { "$size": 2 } } } },
        rawdoc! { "a": { "$all": [1], "$not": { "$type": ["string", 16] } }, "b.c": { "$mod": [4, 3] } },
        rawdoc! { "b.c": { "$bitsAllSet": 7, "$bitsAnyClear": [3, 70] }, "a.0": { "$exists": true } },
        rawdoc! { "$expr": { "$eq": ["$b.c", { "$literal": 7 }] }, "$comment": "why" },
        rawdoc! { "$jsonSchema": {
            "required": ["a"], "properties": { "b": { "bsonType": "object", "maxProperties": 3 } },
            "patternProperties": { "^_": {} }, "additionalProperties": { "type": ["array", "object"] },
        } },
    ];
    filters
        .iter()
        .map(|filter| joined(&[filter, &document]))
        .collect()
}

/// An update, an array filter and a document: what comes out is valid, and
/// where nothing changed nothing is said to have.
pub(super) fn update(input: &[u8]) {
    let Some([source, filter, document]) = parts(input) else {
        return;
    };
    let (Some(source), Some(filter), Some(document)) =
        (sound(source), sound(filter), sound(document))
    else {
        return;
    };
    let options = UpdateOptions {
        array_filters: vec![filter.to_owned()],
        ..UpdateOptions::default()
    };
    // Not every update has a use for an array filter.
    let parsed = [options, UpdateOptions::default()]
        .iter()
        .find_map(|options| Update::parse_or_replacement(source, options).ok());
    let Some(update) = parsed else {
        return;
    };
    let context = UpdateContext {
        position: Some(0),
        now: DateTime::from_millis(1),
        timestamp: Timestamp {
            time: 1,
            increment: 1,
        },
        is_upsert_insert: false,
    };
    if let Ok(Applied::Changed(new)) = update.apply(document, &context) {
        if let Err(error) = validate_document(&new) {
            panic!("an update made a document that is not valid: {error}");
        }
        let id = |bytes| Elements::new(bytes).find_name(b"_id");
        if let (Some(before), Some(after)) = (id(document.as_bytes()), id(&new)) {
            assert!(compare(before, after).is_eq(), "an update changed the _id");
        }
    }
}

pub(super) fn update_seeds() -> Vec<Vec<u8>> {
    let document = rawdoc! {
        "_id": 1, "a": [1, 2, { "b": 3 }], "n": 5, "d": { "e": 1.5, "f": "x" }, "s": [3, 1],
    };
    let none = rawdoc! { "x": { "$gte": 2 } };
    let updates = [
        rawdoc! { "$set": { "a.2.b": 4, "d.g": [] }, "$inc": { "n": 1 }, "$unset": { "d.f": "" } },
        rawdoc! { "$push": { "s": { "$each": [9, 7], "$sort": 1, "$slice": -3 } }, "$mul": { "n": 2.5 } },
        rawdoc! { "$set": { "a.$[x]": 0 }, "$max": { "n": 9_i64 }, "$rename": { "d.e": "moved" } },
        rawdoc! { "$addToSet": { "a": { "$each": [1, 8] } }, "$pop": { "s": 1 } },
        rawdoc! { "$pull": { "a": { "b": { "$gt": 1 } } }, "$pullAll": { "s": [1] }, "$bit": { "n": { "xor": 3 } } },
        rawdoc! { "$currentDate": { "now": true }, "$min": { "n": 1 }, "$setOnInsert": { "z": 1 } },
        rawdoc! { "_id": 1, "whole": "new" },
    ];
    updates
        .iter()
        .map(|update| joined(&[update, &none, &document]))
        .collect()
}

/// Values: their keys are in their order, alone, the other way round, and one
/// behind the other.
pub(super) fn keys(input: &[u8]) {
    if validate_document(input).is_err() {
        return;
    }
    let values: Vec<(RawValue<'_>, Vec<u8>)> = Elements::new(input)
        .filter_map(|element| Some((element.value, key::encode(element.value).ok()?)))
        .take(MAX_VALUES)
        .collect();
    for (left, left_key) in &values {
        for (right, right_key) in &values {
            let order = compare(*left, *right);
            assert_eq!(left_key.cmp(right_key), order, "keys order as values do");
            let down = |key: &Vec<u8>, next: &Vec<u8>| {
                let mut both = key.clone();
                key::descend(&mut both);
                both.extend_from_slice(next);
                both
            };
            let expected = order.reverse();
            // Whatever follows, the first decides; among equal ones the second.
            for (a, b) in [(left_key, right_key), (right_key, left_key)] {
                let second = if expected.is_eq() {
                    a.cmp(b)
                } else {
                    Ordering::Equal
                };
                assert_eq!(
                    down(left_key, a).cmp(&down(right_key, b)),
                    expected.then(second),
                    "descending and compound keys order as their parts do"
                );
            }
        }
    }
}

pub(super) fn keys_seeds() -> Vec<Vec<u8>> {
    let decimal = |text: &str| {
        let parsed = text.parse::<bson::Decimal128>();
        parsed.map_or(RawBson::Null, RawBson::Decimal128)
    };
    let mut seeds = Vec::new();
    let numbers = rawdoc! {
        "a": 1, "b": 1.0, "c": 9_007_199_254_740_993_i64, "d": -0.5, "e": i64::MIN, "f": 1e300,
        "g": decimal("1.00"), "h": decimal("-1E+400"), "i": f64::NAN,
    };
    let others = rawdoc! {
        "a": "", "b": "a\0b", "c": "a", "d": { "x": 1 }, "e": { "x": 1, "y": null }, "f": [], "g": [[1], "a"],
        "h": true, "i": bson::DateTime::from_millis(-1), "j": bson::oid::ObjectId::from_bytes([0; 12]),
        "k": bson::Timestamp { time: 1, increment: 2 },
        "l": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![0, 255] },
    };
    for document in [numbers, others] {
        seeds.push(document.into_bytes());
    }
    seeds
}
