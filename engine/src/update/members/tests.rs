use bson::{Bson, bson};

use super::Matcher;
use crate::values::OwnedValue;

fn pulls(operand: &Bson, element: &Bson) -> bool {
    let operand = OwnedValue::try_from(operand).unwrap();
    let element = OwnedValue::try_from(element).unwrap();
    Matcher::parse(operand.as_raw())
        .unwrap()
        .matches(element.as_raw())
        .unwrap()
}

#[test]
fn a_plain_value_pulls_what_equals_it() {
    assert!(pulls(&bson!(1), &bson!(1.0)));
    assert!(!pulls(&bson!(1), &bson!([1])));
    assert!(pulls(&bson!([1]), &bson!([1])));
    assert!(!pulls(&bson!(null), &bson!({})));
}

#[test]
fn a_document_is_a_filter_over_documents() {
    assert!(pulls(&bson!({ "a": 1 }), &bson!({ "a": 1, "b": 2 })));
    assert!(pulls(
        &bson!({ "a": { "$gt": 1 } }),
        &bson!({ "a": [0, 5] })
    ));
    assert!(pulls(
        &bson!({ "$or": [{ "a": 1 }, { "b": 1 }] }),
        &bson!({ "b": 1 })
    ));
    assert!(pulls(&bson!({}), &bson!({ "a": 1 })));
    assert!(!pulls(&bson!({}), &bson!(1)));
    assert!(!pulls(&bson!({ "a": null }), &bson!(1)));
}

#[test]
fn operators_ask_about_the_element_itself() {
    assert!(pulls(&bson!({ "$gte": 3 }), &bson!(3)));
    assert!(!pulls(&bson!({ "$gte": 3 }), &bson!("3")));
    assert!(pulls(&bson!({ "$in": [1, "a"] }), &bson!("a")));
    assert!(pulls(
        &bson!({ "$elemMatch": { "$gt": 1 } }),
        &bson!([0, 2])
    ));
    assert!(pulls(&bson!({ "$type": "string" }), &bson!("")));
}
