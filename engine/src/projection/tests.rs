use bson::{RawDocumentBuf, rawdoc};

use super::*;

fn applied(projection: &RawDocument, document: &RawDocument) -> RawDocumentBuf {
    let projection = Projection::parse_find(projection).unwrap();
    projection.apply(document, None).unwrap()
}

fn code(projection: &RawDocument) -> Option<i32> {
    Projection::parse_find(projection).unwrap_err().code()
}

#[test]
fn an_inclusion_keeps_the_order_of_the_document_and_leaves_out_scalars_on_the_way() {
    let document = rawdoc! { "_id": 1, "b": [1, { "x": 2, "y": 3 }, [{ "x": 4 }]], "a": 5, "c": 6 };
    assert_eq!(
        applied(&rawdoc! { "a": 1, "b.x": 1 }, &document),
        rawdoc! { "_id": 1, "b": [{ "x": 2 }, [{ "x": 4 }]], "a": 5 }
    );
}

#[test]
fn an_exclusion_keeps_scalars_on_the_way() {
    let document = rawdoc! { "_id": 1, "b": [1, { "x": 2, "y": 3 }], "a": 5 };
    assert_eq!(
        applied(&rawdoc! { "_id": 0, "b.x": 0 }, &document),
        rawdoc! { "b": [1, { "y": 3 }], "a": 5 }
    );
}

#[test]
fn computed_fields_come_last_and_are_made_where_there_was_nothing() {
    let document = rawdoc! { "_id": 1, "a": 5, "b": 7 };
    assert_eq!(
        applied(&rawdoc! { "n.m": "$b", "gone": "$zz", "a": 1 }, &document),
        rawdoc! { "_id": 1, "a": 5, "n": { "m": 7 } }
    );
}

#[test]
fn added_fields_replace_in_place_through_arrays() {
    let spec = rawdoc! { "a.n": "$b", "c": { "d": 1 } };
    let projection = Projection::parse_add_fields(&spec, &Scope::new()).unwrap();
    let document = rawdoc! { "_id": 1, "a": [1, { "n": 0, "m": 2 }], "b": 7 };
    assert_eq!(
        projection.apply(&document, None).unwrap(),
        rawdoc! { "_id": 1, "a": [{ "n": 7 }, { "n": 7, "m": 2 }], "b": 7, "c": { "d": 1 } }
    );
}

#[test]
fn slices_and_element_matches_look_into_arrays() {
    let document = rawdoc! { "_id": 1, "a": [1, 5, 9], "b": { "c": [1, 2, 3] } };
    assert_eq!(
        applied(
            &rawdoc! { "a": { "$slice": [-2, 1] }, "b.c": { "$slice": 1 } },
            &document
        ),
        rawdoc! { "_id": 1, "a": [5], "b": { "c": [1] } }
    );
    assert_eq!(
        applied(&rawdoc! { "a": { "$elemMatch": { "$gt": 3 } } }, &document),
        rawdoc! { "_id": 1, "a": [5] }
    );
}

#[test]
fn the_positional_projection_takes_the_element_that_matched() {
    let projection = Projection::parse_find(&rawdoc! { "a.$": 1 }).unwrap();
    let document = rawdoc! { "_id": 1, "a": [1, 5, 9] };
    assert_eq!(
        projection.apply(&document, Some(1)).unwrap(),
        rawdoc! { "_id": 1, "a": [5] }
    );
    let refused = |position| projection.apply(&document, position).unwrap_err().code();
    assert_eq!(refused(None), Some(51246));
    assert_eq!(refused(Some(3)), Some(51247));
}

#[test]
fn malformed_projections_are_refused_with_mongodb_codes() {
    assert_eq!(code(&rawdoc! { "a": 1, "b": 0 }), Some(31254));
    assert_eq!(code(&rawdoc! { "a": 0, "b": 1 }), Some(31253));
    assert_eq!(code(&rawdoc! { "a": 1, "a.b": 1 }), Some(31249));
    assert_eq!(code(&rawdoc! { "a.b": 1, "a": 1 }), Some(31250));
    assert_eq!(code(&rawdoc! { "a.$": 1, "b.$": 1 }), Some(31276));
    assert_eq!(code(&rawdoc! { "a.$": 0 }), Some(31395));
    assert_eq!(code(&rawdoc! { "a": { "$elemMatch": 1 } }), Some(31274));
    assert_eq!(code(&rawdoc! { "a.b": { "$elemMatch": {} } }), Some(31275));
    assert_eq!(code(&rawdoc! { "a": 0, "b": "$c" }), Some(31310));
    assert_eq!(code(&rawdoc! { "a": {} }), Some(51270));
}
