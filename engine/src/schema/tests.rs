use bson::{Bson, Document, RawDocumentBuf, doc};
use cs_kv::io::sim::Rng;

use super::{Plan, of};
use crate::functions::Draw;
use crate::values::validate_document;

fn plan(schema: Document) -> Plan {
    let options = RawDocumentBuf::try_from(&doc! { "schema": schema }).unwrap();
    of(&options).unwrap().unwrap()
}

fn shape(plan: &Plan, document: &Document) -> Document {
    let bytes = RawDocumentBuf::try_from(document).unwrap();
    match plan.shape(bytes.as_bytes(), &Draw::nothing()).unwrap() {
        Some(shaped) => Document::from_reader(shaped.as_slice()).unwrap(),
        None => document.clone(),
    }
}

fn value(rng: &mut Rng, depth: u32) -> Bson {
    const TEXTS: [&str; 8] = [
        "25",
        "x",
        "true",
        "1970-01-01T00:00:00Z",
        "2.5",
        "",
        "0",
        "aé",
    ];
    match rng.below(if depth == 0 { 8 } else { 10 }) {
        0 => Bson::Null,
        1 => Bson::Int32(rng.below(40) as i32 - 20),
        2 => Bson::Int64(rng.draw() as i64),
        3 => Bson::Double(rng.below(9) as f64 / 2.0),
        4 => Bson::Boolean(rng.below(2) == 0),
        5 => Bson::DateTime(bson::DateTime::from_millis(rng.below(99) as i64)),
        6 | 7 => TEXTS[rng.below(8) as usize].into(),
        8 => Bson::Array((0..rng.below(4)).map(|_| value(rng, depth - 1)).collect()),
        _ => Bson::Document(document(rng, depth - 1)),
    }
}

fn document(rng: &mut Rng, depth: u32) -> Document {
    const NAMES: [&str; 6] = ["_id", "a", "b", "c", "d", "e"];
    let names = (0..rng.below(6)).map(|_| NAMES[rng.below(6) as usize].to_owned());
    let names: Vec<String> = names.collect();
    names
        .into_iter()
        .map(|name| (name, value(rng, depth)))
        .collect()
}

/// Each of these shapes in another way.
fn schemas() -> Vec<Document> {
    let int = || doc! { "type": "int", "coerce": true, "min": 0, "max": 20 };
    vec![
        doc! { "fields": { "a": int(), "b.c": int(), "d": { "default": 7 } } },
        doc! { "mode": "strict", "fields": {
            "a": { "type": ["bool", "date"], "coerce": true, "required": true },
            "b": { "type": "array", "items": int() },
        } },
        doc! { "mode": "strict", "unknown": "remove", "fields": {
            "c": { "type": "object", "fields": { "a": { "type": "string", "coerce": true }, "e.d": { "default": [] } } },
            "d": { "type": ["double", "null"], "coerce": true, "enum": [1, 2.5, Bson::Null] },
            "e.a": { "pattern": "^[a-z]", "default": "x" },
        } },
    ]
}

#[test]
fn shaping_what_was_shaped_changes_nothing_and_leaves_a_valid_document() {
    let seed = 0x5EED;
    println!("seed {seed}");
    let mut rng = Rng::new(seed);
    let plans: Vec<Plan> = schemas().into_iter().map(plan).collect();
    for turn in 0..6000 {
        let plan = &plans[turn % plans.len()];
        let document = document(&mut rng, 3);
        let shaped = shape(plan, &document);
        assert_eq!(shape(plan, &shaped), shaped, "{document}");
        let bytes = RawDocumentBuf::try_from(&shaped).unwrap();
        validate_document(bytes.as_bytes()).unwrap();
        for fault in plan.check(bytes.as_bytes(), &Draw::nothing()).unwrap() {
            assert!(!fault.rule.is_empty() && !fault.expected.is_empty());
            // Defaults are never missing.
            assert!(fault.rule != "required" || !matches!(&*fault.path, "d" | "e.a"));
        }
    }
}

#[test]
fn nothing_is_lost_by_coercion() {
    let plan = plan(doc! { "fields": {
        "a": { "type": "int", "coerce": true },
        "b": { "type": "double", "coerce": true },
        "c": { "type": "bool", "coerce": true },
    } });
    for kept in [
        doc! { "a": 2.5 },
        doc! { "a": 1_i64 << 40 },
        doc! { "a": "2.5" },
        doc! { "b": i64::MAX },
        doc! { "c": "no" },
        doc! { "c": 2 },
        doc! { "a": [1_i64] },
    ] {
        assert_eq!(shape(&plan, &kept), kept);
    }
    let shaped = shape(&plan, &doc! { "a": "-7", "b": 1_i64 << 53, "c": 1.0 });
    assert_eq!(
        shaped,
        doc! { "a": -7, "b": 9_007_199_254_740_992.0, "c": true }
    );
}

#[test]
fn filters_are_rewritten_where_a_field_is_coerced_and_nowhere_else() {
    let plan = plan(doc! { "fields": {
        "n": { "type": "int", "coerce": true },
        "list": { "type": "array", "items": { "type": "object", "fields": { "n": { "type": "int", "coerce": true } } } },
        "s": { "type": "string" },
    } });
    let rewritten = |filter: Document| {
        let bytes = RawDocumentBuf::try_from(&filter).unwrap();
        let new = plan.filter(bytes.as_bytes()).unwrap();
        new.map(|new| Document::from_reader(new.as_slice()).unwrap())
    };
    for (filter, expected) in [
        (doc! { "n": "5" }, doc! { "n": 5 }),
        (
            doc! { "n": { "$gt": "1", "$exists": true } },
            doc! { "n": { "$gt": 1, "$exists": true } },
        ),
        (
            doc! { "list.n": { "$in": ["1", 2] } },
            doc! { "list.n": { "$in": [1, 2] } },
        ),
        (doc! { "list.3.n": "1" }, doc! { "list.3.n": 1 }),
        (
            doc! { "$nor": [{ "n": "1" }] },
            doc! { "$nor": [{ "n": 1 }] },
        ),
    ] {
        assert_eq!(rewritten(filter), Some(expected));
    }
    for same in [
        doc! { "s": 5 },
        doc! { "n": 5, "m": "5" },
        doc! { "n": { "$gt": 2.5 } },
        doc! { "n": Bson::Null },
        doc! { "n": { "$type": "string" } },
        doc! { "$expr": { "$eq": ["$n", "5"] } },
    ] {
        assert_eq!(rewritten(same), None);
    }
    let bad = RawDocumentBuf::try_from(&doc! { "n": { "$lt": "many" } }).unwrap();
    let error = plan.filter(bad.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the operand of 'n' is of type string, and cannot be turned into int"
    );
}

#[test]
fn paths_and_nested_fields_may_be_mixed_but_none_may_come_twice() {
    let mixed = doc! { "fields": {
        "a.b": { "type": "int" },
        "a": { "type": "object", "fields": { "c": { "type": "int" } } },
    } };
    let plan = plan(mixed);
    let bytes = bson::rawdoc! { "a": { "b": "x", "c": "y" } };
    let faults = plan.check(bytes.as_bytes(), &Draw::nothing()).unwrap();
    let paths: Vec<_> = faults.iter().map(|fault| &*fault.path).collect();
    assert_eq!(paths, ["a.b", "a.c"]);
    let options = bson::rawdoc! { "schema": { "fields": { "a": {}, "a": {} } } };
    assert_eq!(of(&options).unwrap_err().code(), Some(2));
}
