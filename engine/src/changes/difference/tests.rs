use bson::{Bson, Document, doc};
use cs_kv::io::sim::Rng;

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

/// Few names, so that fields go, come and change their type.
fn random(rng: &mut Rng, depth: u64) -> Bson {
    match rng.below(if depth == 0 { 4 } else { 9 }) {
        0 => Bson::Int32(rng.below(3) as i32),
        1 => Bson::Int64(rng.below(3) as i64),
        2 => Bson::String("x".repeat(rng.below(3) as usize)),
        3 => Bson::Null,
        4..=6 => Bson::Document(random_document(rng, depth - 1)),
        _ => (0..rng.below(4)).map(|_| random(rng, depth - 1)).collect(),
    }
}

fn random_document(rng: &mut Rng, depth: u64) -> Document {
    let mut document = Document::new();
    for _ in 0..rng.below(5) {
        let name = ["a", "b", "c", "d", "e"][rng.below(5) as usize];
        document.insert(name, random(rng, depth));
    }
    document
}

/// The same with some places changed.
fn changed(rng: &mut Rng, value: &Bson) -> Bson {
    if rng.percent(15) {
        return random(rng, 2);
    }
    match value {
        Bson::Document(document) => {
            let mut new = Document::new();
            for (name, value) in document {
                if !rng.percent(20) {
                    new.insert(name, changed(rng, value));
                }
            }
            new.extend(random_document(rng, 1).into_iter().take(1));
            Bson::Document(new)
        }
        Bson::Array(array) => {
            let len = rng.below(array.len() as u64 + 2) as usize;
            let kept = array.iter().take(len).map(|value| changed(rng, value));
            let mut new: Vec<Bson> = kept.collect();
            new.resize(len, Bson::Null);
            Bson::Array(new)
        }
        other => other.clone(),
    }
}

/// What is at a path; the last part need not be there.
fn at<'a>(value: &'a mut Bson, path: &str) -> &'a mut Bson {
    path.split('.').fold(value, |value, part| match value {
        Bson::Document(document) => document.entry(part.to_owned()).or_insert(Bson::Null),
        Bson::Array(array) => {
            let place: usize = part.parse().unwrap();
            if place == array.len() {
                array.push(Bson::Null);
            }
            &mut array[place]
        }
        other => panic!("{path}: {other}"),
    })
}

fn apply(before: &Document, told: &UpdateDescription) -> Bson {
    let mut value = Bson::Document(before.clone());
    for path in &told.removed_fields {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        let parent = match parent {
            "" => &mut value,
            parent => at(&mut value, parent),
        };
        parent.as_document_mut().unwrap().remove(name).unwrap();
    }
    for (path, new) in &Document::try_from(&*told.updated_fields).unwrap() {
        *at(&mut value, path) = new.clone();
    }
    for cut in &told.truncated_arrays {
        let array = at(&mut value, &cut.field).as_array_mut().unwrap();
        assert!(array.len() as u64 > cut.new_size);
        array.truncate(cut.new_size as usize);
    }
    value
}

/// Without the order of fields, which a description does not tell.
fn unordered(value: &Bson) -> Bson {
    match value {
        Bson::Document(document) => {
            let mut fields: Vec<_> = document.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name.clone(), unordered(value)));
            Bson::Document(fields.collect())
        }
        Bson::Array(array) => array.iter().map(unordered).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_is_told_makes_the_new_document_of_the_old_one() {
    for seed in 0..20_000 {
        let mut rng = Rng::new(seed);
        let before = random_document(&mut rng, 3);
        let after = match changed(&mut rng, &Bson::Document(before.clone())) {
            Bson::Document(after) => after,
            _ => random_document(&mut rng, 3),
        };
        let told = difference(&before, &after).unwrap();
        let made = unordered(&apply(&before, &told));
        let expected = unordered(&Bson::Document(after.clone()));
        assert_eq!(made, expected, "seed {seed}: {before} to {after}: {told:?}");
    }
}
