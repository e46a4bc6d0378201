use bson::{Bson, DateTime, Document, RawDocumentBuf, Timestamp, bson, doc};

use super::{Applied, Update, UpdateContext, UpdateOptions};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::values::validate_document;

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn context() -> UpdateContext {
    UpdateContext {
        position: None,
        now: DateTime::from_millis(86_400_000),
        timestamp: Timestamp {
            time: 7,
            increment: 3,
        },
        is_upsert_insert: false,
    }
}

fn parse(update: &Document) -> Update {
    Update::parse_or_replacement(&raw(update), &UpdateOptions::default()).unwrap()
}

fn try_apply(update: &Document, document: &Document) -> Result<Option<Document>> {
    match parse(update).apply(&raw(document), &context())? {
        Applied::Unchanged => Ok(None),
        Applied::Changed(bytes) => {
            validate_document(&bytes).unwrap();
            let new = RawDocumentBuf::from_bytes(bytes).unwrap();
            Ok(Some(Document::try_from(&new).unwrap()))
        }
    }
}

#[track_caller]
fn becomes(update: Document, old: Document, new: Document) {
    assert_eq!(
        try_apply(&update, &old).unwrap(),
        Some(new),
        "{update} on {old}"
    );
}

#[track_caller]
fn stays(update: Document, document: Document) {
    let new = try_apply(&update, &document).unwrap();
    assert_eq!(new, None, "{update} on {document}");
}

#[track_caller]
fn fails(code: i32, update: Document, document: Document) -> Error {
    let error = try_apply(&update, &document).unwrap_err();
    assert_eq!(error.code(), Some(code), "{update} on {document}: {error}");
    error
}

#[test]
fn new_fields_come_by_name_and_numbers_by_value() {
    becomes(
        doc! { "$set": { "b": 1, "a.10": 1, "a.9": 1 }, "$inc": { "B": 1 } },
        doc! { "z": 1 },
        doc! { "z": 1, "B": 1, "a": { "9": 1, "10": 1 }, "b": 1 },
    );
}

#[test]
fn missing_parents_are_documents_and_missing_positions_null() {
    becomes(
        doc! { "$set": { "a.b.0": 1 } },
        doc! {},
        doc! { "a": { "b": { "0": 1 } } },
    );
    becomes(
        doc! { "$set": { "a.2": 1 } },
        doc! { "a": [0] },
        doc! { "a": [0, null, 1] },
    );
    becomes(
        doc! { "$push": { "a.1.b": 1 } },
        doc! { "a": [] },
        doc! { "a": [null, { "b": [1] }] },
    );
}

#[test]
fn a_scalar_in_the_way_is_an_error_that_names_it() {
    let error = fails(
        28,
        doc! { "$set": { "a.b.c": 1 } },
        doc! { "a": { "b": 5 } },
    );
    let expected = "cannot create field 'c' in element 'a.b' of type int";
    assert_eq!(error.message(), expected);
    fails(28, doc! { "$set": { "a.b": 1 } }, doc! { "a": [1] });
    fails(28, doc! { "$pop": { "a.b": 1 } }, doc! { "a": 1 });
    stays(doc! { "$unset": { "a.b": 1 } }, doc! { "a": 1 });
    stays(doc! { "$setOnInsert": { "a.b": 1 } }, doc! { "a": 1 });
}

#[test]
fn an_error_of_one_operator_leaves_the_document_as_it_was() {
    fails(
        14,
        doc! { "$set": { "a": 1 }, "$inc": { "b": 1 } },
        doc! { "b": "x" },
    );
}

#[test]
fn what_changes_nothing_is_no_change() {
    let old = doc! { "_id": 1, "a": 1, "b": [1, 2], "c": { "d": null } };
    stays(
        doc! { "$set": { "a": 1, "c.d": null, "_id": 1 } },
        old.clone(),
    );
    stays(
        doc! { "$inc": { "a": 0 }, "$max": { "b.0": 1 }, "$unset": { "x.y": 1 } },
        old.clone(),
    );
    stays(
        doc! { "$addToSet": { "b": 1.0 }, "$pull": { "x": 1 } },
        old.clone(),
    );
    // As in MongoDB: what is pushed is a change, even if it is sliced away again.
    becomes(
        doc! { "$push": { "b": { "$each": [3], "$slice": 2 } } },
        old.clone(),
        old.clone(),
    );
    stays(
        doc! { "$bit": { "a": { "and": 1 } }, "$rename": { "x": "y" } },
        old.clone(),
    );
    becomes(
        doc! { "$set": { "a": 1_i64 } },
        doc! { "a": 1 },
        doc! { "a": 1_i64 },
    );
}

#[test]
fn arrays_that_nothing_touches_keep_their_names() {
    // The names of an array need not be its positions; such bytes are kept.
    let mut bytes = raw(&doc! { "a": [1, 2], "b": 1 }).into_bytes();
    let at = bytes
        .windows(3)
        .position(|part| part == b"\x101\0")
        .unwrap();
    bytes[at + 1] = b'7';
    let odd = RawDocumentBuf::from_bytes(bytes.clone()).unwrap();
    let applied = parse(&doc! { "$inc": { "b": 1, "a.5.x": 0 } });
    let Applied::Changed(_) = applied.apply(&odd, &context()).unwrap() else {
        panic!("the array grows");
    };
    let only_b = parse(&doc! { "$inc": { "b": 1 }, "$pop": { "a.9": 1 } });
    let Applied::Changed(new) = only_b.apply(&odd, &context()).unwrap() else {
        panic!("b changes");
    };
    assert!(new.windows(3).any(|part| part == b"\x107\0"));
}

#[test]
fn the_id_stays_what_it_is() {
    let old = doc! { "_id": 1, "a": 1 };
    for update in [
        doc! { "$set": { "_id": 2 } },
        doc! { "$unset": { "_id": 1 } },
        doc! { "$rename": { "_id": "b" } },
        doc! { "$rename": { "a": "_id" }, "$set": { "b": 1 } },
        doc! { "$inc": { "_id": 1 } },
        doc! { "_id": 2, "a": 1 },
    ] {
        let error = try_apply(&update, &old).map(drop).err();
        let code = error.as_ref().and_then(Error::code);
        // A rename of an equal value is none: both are 1.
        if update.contains_key("$rename") && update.contains_key("$set") {
            assert_eq!(code, None, "{update}");
        } else {
            assert_eq!(code, Some(66), "{update}");
        }
    }
    fails(
        66,
        doc! { "$set": { "_id.a": 1.0 } },
        doc! { "_id": { "a": 1 } },
    );
    becomes(
        doc! { "$set": { "_id": 1.0 } },
        doc! { "_id": 1 },
        doc! { "_id": 1.0 },
    );
    fails(
        66,
        doc! { "$set": { "_id.a": 2 } },
        doc! { "_id": { "a": 1 } },
    );
    becomes(doc! { "b": 1 }, old, doc! { "_id": 1, "b": 1 });
}

#[test]
fn stored_documents_get_no_names_with_a_dollar_at_the_top() {
    fails(52, doc! { "$set": { "$a": 1 } }, doc! { "b": 1 });
    fails(52, doc! { "$rename": { "b": "$a" } }, doc! { "b": 1 });
    becomes(
        doc! { "$unset": { "$a": 1 } },
        doc! { "$a": 1, "$b": 1 },
        doc! { "$b": 1 },
    );
    becomes(
        doc! { "$set": { "a.$b": 1 } },
        doc! {},
        doc! { "a": { "$b": 1 } },
    );
}

#[test]
fn the_positional_operator_needs_a_match() {
    let update = parse(&doc! { "$set": { "a.$.b": 1 } });
    assert!(update.needs_position());
    let document = raw(&doc! { "a": [{ "b": 0 }, { "b": 5 }] });
    let error = update.apply(&document, &context()).unwrap_err();
    assert_eq!(error.code(), Some(2), "{error}");
    let filter = Filter::compile(&raw(&doc! { "a.b": 5 })).unwrap();
    let mut context = context();
    context.position = filter.matched_position(&document).unwrap();
    let applied = update.apply(&document, &context).unwrap();
    let expected = raw(&doc! { "a": [{ "b": 0 }, { "b": 1 }] });
    assert_eq!(applied, Applied::Changed(expected.into_bytes()));
}

#[test]
fn paths_that_meet_at_one_element_conflict_there() {
    let update = parse(&doc! { "$set": { "a.$": 1, "a.0": 2 } });
    let document = raw(&doc! { "a": [0, 0] });
    let mut context = context();
    context.position = Some(0);
    let error = update.apply(&document, &context).unwrap_err();
    assert_eq!(error.code(), Some(40), "{error}");
    context.position = Some(1);
    let expected = raw(&doc! { "a": [2, 1] }).into_bytes();
    let applied = update.apply(&document, &context).unwrap();
    assert_eq!(applied, Applied::Changed(expected));
}

#[test]
fn array_filters_choose_elements() {
    let options = UpdateOptions {
        array_filters: vec![
            raw(&doc! { "low": { "$lt": 2 } }),
            raw(&doc! { "high": { "$gt": 2 } }),
        ],
        ..UpdateOptions::default()
    };
    let update = doc! { "$inc": { "a.$[low]": 10, "a.$[high]": 100 } };
    let update = Update::parse(&raw(&update), &options).unwrap();
    let applied = update.apply(&raw(&doc! { "a": [1, 2, 3] }), &context());
    let expected = raw(&doc! { "a": [11, 2, 103] }).into_bytes();
    assert_eq!(applied.unwrap(), Applied::Changed(expected));
    fails(2, doc! { "$set": { "a.$[]": 1 } }, doc! { "a": 1 });
    fails(2, doc! { "$set": { "a.$[]": 1 } }, doc! {});
    becomes(
        doc! { "$inc": { "a.$[].$[]": 1 } },
        doc! { "a": [[1, 2], []] },
        doc! { "a": [[2, 3], []] },
    );
    becomes(
        doc! { "$unset": { "a.$[]": 1 } },
        doc! { "a": [1] },
        doc! { "a": [null] },
    );
}

#[test]
fn a_rename_overwrites_in_place_or_appends() {
    becomes(
        doc! { "$rename": { "a": "c" } },
        doc! { "a": 1, "c": 2, "d": 3 },
        doc! { "c": 1, "d": 3 },
    );
    becomes(
        doc! { "$rename": { "a.b": "x.y" } },
        doc! { "a": { "b": { "c": 1 } } },
        doc! { "a": {}, "x": { "y": { "c": 1 } } },
    );
    fails(2, doc! { "$rename": { "a.0": "b" } }, doc! { "a": [1] });
    fails(
        2,
        doc! { "$rename": { "b": "a.0" } },
        doc! { "a": [1], "b": 1 },
    );
    fails(28, doc! { "$rename": { "a.b": "c" } }, doc! { "a": 1 });
    becomes(
        doc! { "$rename": { "a": "b" } },
        doc! { "a": [1] },
        doc! { "b": [1] },
    );
}

#[test]
fn the_time_is_the_callers() {
    becomes(
        doc! { "$currentDate": { "a": true, "b": { "$type": "timestamp" }, "c.d": false } },
        doc! { "a": 1 },
        doc! {
            "a": DateTime::from_millis(86_400_000),
            "b": Timestamp { time: 7, increment: 3 },
            "c": { "d": DateTime::from_millis(86_400_000) },
        },
    );
}

#[test]
fn numbers_overflow_with_an_error() {
    let error = fails(2, doc! { "$inc": { "a": 1 } }, doc! { "a": i64::MAX });
    assert!(error.message().contains("$inc"), "{error}");
    becomes(
        doc! { "$mul": { "a": 2 } },
        doc! { "a": i32::MAX },
        doc! { "a": 4_294_967_294_i64 },
    );
    becomes(doc! { "$mul": { "a": 2.5 } }, doc! {}, doc! { "a": 0.0 });
    fails(14, doc! { "$mul": { "a": 2 } }, doc! { "a": "2" });
}

#[test]
fn results_keep_the_limits_of_documents() {
    let large = "x".repeat(9 * 1024 * 1024);
    let error = fails(
        17419,
        doc! { "$set": { "b": &large } },
        doc! { "a": &large },
    );
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let each = doc! { "$set": { "a.$[].b": &large } };
    fails(17419, each, doc! { "a": vec![bson!({}); 100_000] });

    let mut deep = bson!(1);
    for _ in 0..60 {
        deep = bson!({ "a": deep });
    }
    // Exactly at the limit, and one level below it, by each way to get there.
    let nested = |levels: usize| (1..levels).fold(bson!({}), |inner, _| bson!({ "a": inner }));
    becomes(
        doc! { "$set": { "b.c": nested(98) } },
        doc! {},
        doc! { "b": { "c": nested(98) } },
    );
    fails(15, doc! { "$set": { "b.c.d": nested(98) } }, doc! {});
    fails(
        15,
        doc! { "$push": { "b": nested(97), "c.d": nested(98) } },
        doc! {},
    );
    becomes(
        doc! { "$rename": { "b": "c" } },
        doc! { "b": nested(99) },
        doc! { "c": nested(99) },
    );
    fails(
        15,
        doc! { "$rename": { "b": "c.d" } },
        doc! { "b": nested(99) },
    );
    let path = ["a"; 60].join(".");
    let error = fails(15, doc! { "$set": { path: deep } }, doc! {});
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

#[test]
fn work_and_memory_are_bounded() {
    fails(34, doc! { "$set": { "a.1500002": 1 } }, doc! { "a": [1] });
    becomes(
        doc! { "$set": { "a.9": 1 }, "$push": { "b": 1 } },
        doc! { "a": [] },
        doc! { "a": [null, null, null, null, null, null, null, null, null, 1], "b": [1] },
    );
    let many = vec![bson!(1); 100_000];
    let update = doc! { "$push": { "a.$[].b": { "$each": many, "$slice": 1 } } };
    fails(17419, update, doc! { "a": vec![bson!({}); 1000] });
    // Quadratic, these would take minutes.
    let wide: Document = (0..200_000)
        .map(|at| (format!("f{at}"), bson!(1)))
        .collect();
    let odd = wide
        .iter()
        .step_by(2)
        .map(|(name, _)| (name.clone(), bson!(1)));
    let even = wide
        .iter()
        .skip(1)
        .step_by(2)
        .map(|(name, _)| (name.clone(), bson!(2)));
    let update = doc! {
        "$unset": odd.collect::<Document>(),
        "$set": even.collect::<Document>(),
        "$inc": { "f": 1 },
    };
    let new = try_apply(&update, &wide).unwrap().unwrap();
    assert_eq!(new.len(), 100_001);
    assert_eq!(new.iter().next(), Some((&"f1".to_owned(), &bson!(2))));
    assert_eq!(new.get_i32("f").unwrap(), 1);
    let values: Vec<Bson> = (0..200_000).map(Bson::Int32).collect();
    let more: Vec<Bson> = (100_000..300_000).map(Bson::Int32).collect();
    let new = try_apply(
        &doc! { "$addToSet": { "a": { "$each": more } }, "$pullAll": { "b": values.clone() } },
        &doc! { "a": values.clone(), "b": values },
    );
    let new = new.unwrap().unwrap();
    assert_eq!(new.get_array("a").unwrap().len(), 300_000);
    assert!(new.get_array("b").unwrap().is_empty());
}

fn base(update: &Document, filter: &Document) -> Result<Document> {
    let filter = Filter::compile(&raw(filter)).unwrap();
    let base = parse(update).upsert_base(&filter)?;
    Ok(Document::try_from(&base).unwrap())
}

#[test]
fn an_upsert_starts_from_what_the_filter_says_for_certain() {
    let update = doc! { "$set": { "x": 1 } };
    let filter = doc! {
        "a": 1, "b": { "$eq": [1] }, "c": { "$gt": 1 }, "d.e": 2, "$and": [{ "d.f": 3 }],
        "g": { "$in": [4] }, "h": { "$in": [4, 5] }, "i": { "$all": [6] }, "$or": [{ "j": 7 }],
        "k": { "$ne": 8 }, "$nor": [{ "l": 9 }], "_id": 0,
    };
    let expected = doc! {
        "_id": 0, "a": 1, "b": [1], "d": { "e": 2, "f": 3 }, "g": 4, "i": 6, "j": 7,
    };
    assert_eq!(base(&update, &filter).unwrap(), expected);
    assert_eq!(base(&doc! { "x": 1 }, &filter).unwrap(), doc! { "_id": 0 });
    assert_eq!(base(&update, &doc! {}).unwrap(), doc! {});
}

#[test]
fn a_filter_that_says_two_things_of_one_path_starts_no_upsert() {
    let update = doc! { "$set": { "x": 1 } };
    let code = |update: &Document, filter: &Document| base(update, filter).unwrap_err().code();
    assert_eq!(
        code(&update, &doc! { "$and": [{ "a": 1 }, { "a": 1 }] }),
        Some(54)
    );
    assert_eq!(code(&update, &doc! { "a.b": 1, "a": { "c": 1 } }), Some(54));
    assert_eq!(code(&doc! { "x": 1 }, &doc! { "_id.a": 1 }), Some(111));
    assert_eq!(code(&update, &doc! { "a..b": 1 }), Some(56));
}

#[test]
fn an_upsert_may_choose_its_id_unless_the_filter_did() {
    let update = parse(&doc! { "$setOnInsert": { "_id": 5, "a": 1 }, "$set": { "b": 2 } });
    assert!(update.touches_id());
    let mut context = context();
    context.is_upsert_insert = true;
    let applied = update.apply(&raw(&doc! { "c": 3 }), &context).unwrap();
    let expected = raw(&doc! { "c": 3, "_id": 5, "a": 1, "b": 2 });
    assert_eq!(applied, Applied::Changed(expected.into_bytes()));
    let error = update
        .apply(&raw(&doc! { "_id": 4 }), &context)
        .unwrap_err();
    assert_eq!(error.code(), Some(66), "{error}");
    let array = parse(&doc! { "$set": { "_id": [1] } });
    assert!(array.apply(&raw(&doc! {}), &context).is_err());
}
