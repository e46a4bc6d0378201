use bson::{Bson, Document, RawDocumentBuf, bson, doc};

use crate::update::{Applied, Update, UpdateContext, UpdateOptions};

fn push(array: Bson, operand: Bson) -> Bson {
    let raw = |document: &Document| RawDocumentBuf::try_from(document).unwrap();
    let update = raw(&doc! { "$push": { "a": operand } });
    let update = Update::parse(&update, &UpdateOptions::default()).unwrap();
    let context = UpdateContext {
        position: None,
        now: bson::DateTime::from_millis(0),
        timestamp: bson::Timestamp {
            time: 0,
            increment: 0,
        },
        is_upsert_insert: false,
    };
    let old = raw(&doc! { "a": array });
    let new = match update.apply(&old, &context).unwrap() {
        Applied::Unchanged => old,
        Applied::Changed(bytes) => RawDocumentBuf::from_bytes(bytes).unwrap(),
    };
    Document::try_from(&new).unwrap().remove("a").unwrap()
}

#[test]
fn a_document_without_each_is_a_value() {
    assert_eq!(
        push(bson!([1]), bson!({ "$slice": 1 })),
        bson!([1, { "$slice": 1 }])
    );
    assert_eq!(push(bson!([1]), bson!([2, 3])), bson!([1, [2, 3]]));
}

#[test]
fn positions_count_from_either_end_and_stop_there() {
    let at = |position: i64| {
        push(
            bson!([1, 2]),
            bson!({ "$each": [9], "$position": position }),
        )
    };
    assert_eq!(at(0), bson!([9, 1, 2]));
    assert_eq!(at(1), bson!([1, 9, 2]));
    assert_eq!(at(7), bson!([1, 2, 9]));
    assert_eq!(at(-1), bson!([1, 9, 2]));
    assert_eq!(at(-7), bson!([9, 1, 2]));
    assert_eq!(at(i64::MIN), bson!([9, 1, 2]));
    assert_eq!(at(i64::MAX), bson!([1, 2, 9]));
}

#[test]
fn slices_keep_the_front_or_the_end() {
    let slice = |keep: i64| push(bson!([1, 2]), bson!({ "$each": [3], "$slice": keep }));
    assert_eq!(slice(2), bson!([1, 2]));
    assert_eq!(slice(-2), bson!([2, 3]));
    assert_eq!(slice(0), bson!([]));
    assert_eq!(slice(i64::MIN), bson!([1, 2, 3]));
}

#[test]
fn sorting_is_by_value_or_by_fields_and_comes_before_slicing() {
    let operand = bson!({ "$each": [2, "x", null], "$sort": 1, "$slice": 3 });
    assert_eq!(push(bson!([3, 1.5]), operand), bson!([null, 1.5, 2]));
    let operand = bson!({ "$each": [], "$sort": { "b.0": -1, "c": 1 } });
    let array = bson!([{ "b": [1], "c": 2 }, { "b": [1], "c": 1 }, 5, { "b": { "0": 3 } }]);
    let sorted = bson!([{ "b": { "0": 3 } }, { "b": [1], "c": 1 }, { "b": [1], "c": 2 }, 5]);
    assert_eq!(push(array, operand), sorted);
}

#[test]
fn what_sorts_alike_keeps_its_order() {
    let operand = bson!({ "$each": [{ "b": 1.0, "n": 3 }], "$sort": { "b": 1 } });
    let array = bson!([{ "b": 1, "n": 1 }, { "b": 1_i64, "n": 2 }]);
    let sorted = bson!([{ "b": 1, "n": 1 }, { "b": 1_i64, "n": 2 }, { "b": 1.0, "n": 3 }]);
    assert_eq!(push(array, operand), sorted);
}
