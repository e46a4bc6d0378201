use bson::{Document, doc};

use super::{MAX_BYTES, UpdateDescription, describe};

fn bytes(document: &Document) -> Vec<u8> {
    let mut bytes = Vec::new();
    document.to_writer(&mut bytes).unwrap();
    bytes
}

fn difference(before: &Document, after: &Document) -> Option<UpdateDescription> {
    describe(&bytes(before), &bytes(after)).unwrap()
}

/// The updated fields, then the removed ones, then the arrays that were cut.
#[track_caller]
fn check(before: Document, after: Document, updated: Document, rest: &str) {
    let told = difference(&before, &after).unwrap();
    let fields = Document::try_from(&*told.updated_fields).unwrap();
    assert_eq!(fields, updated);
    let arrays = told.truncated_arrays.iter();
    let arrays = arrays.map(|array| format!("{}:{}", array.field, array.new_size));
    let all: Vec<_> = told.removed_fields.iter().cloned().chain(arrays).collect();
    assert_eq!(all.join(" "), rest);
}

#[test]
fn fields_that_changed_came_and_went_are_told_by_their_paths() {
    check(
        doc! { "_id": 1, "a": 1, "b": { "c": 1, "d": 2, "e": 3 }, "f": 4 },
        doc! { "_id": 1, "a": 1, "b": { "c": 5, "e": 3, "g": {} }, "h": [1] },
        doc! { "b.c": 5, "b.g": {}, "h": [1] },
        "b.d f",
    );
    check(
        doc! { "a": 1 },
        doc! { "a": 1_i64 },
        doc! { "a": 1_i64 },
        "",
    );
    check(doc! { "a": {} }, doc! { "a": [] }, doc! { "a": [] }, "");
    check(doc! { "a": 1 }, doc! { "a": 1 }, doc! {}, "");
}

#[test]
fn arrays_are_compared_place_by_place_and_may_be_cut() {
    check(
        doc! { "a": [1, 2, 3, { "x": 1, "y": 2 }] },
        doc! { "a": [1, 7, 3, { "x": 1 }, 5] },
        doc! { "a.1": 7, "a.4": 5 },
        "a.3.y",
    );
    check(
        doc! { "a": { "b": [1, 2, 3, 4] }, "c": [1] },
        doc! { "a": { "b": [9, 2] }, "c": [] },
        doc! { "a.b.0": 9 },
        "a.b:2 c:0",
    );
    check(
        doc! { "a": [[1, 2], 3] },
        doc! { "a": [[1], 3] },
        doc! {},
        "a.0:1",
    );
}

#[test]
fn a_field_that_moved_is_set_and_not_removed() {
    check(
        doc! { "_id": 1, "a": 1, "b": 2, "c": 3 },
        doc! { "_id": 1, "b": 2, "c": 3, "a": 1 },
        doc! { "a": 1 },
        "",
    );
    check(
        doc! { "_id": 1, "a": 1, "b": 2 },
        doc! { "_id": 1, "c": 0, "b": 2 },
        doc! { "c": 0, "b": 2 },
        "a",
    );
}

#[test]
fn a_difference_that_takes_too_much_is_not_told() {
    let name = "n".repeat(1 << 20);
    let small = |value: i32| {
        let fields = (0..20).map(|field| (field.to_string(), value.into()));
        doc! { &name: fields.collect::<Document>() }
    };
    assert_eq!(difference(&small(1), &small(2)), None);
    let text = "x".repeat(MAX_BYTES / 2);
    assert!(difference(&doc! {}, &doc! { "a": text }).is_some());
}
