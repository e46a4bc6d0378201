use bson::{Bson, Document, RawDocumentBuf, doc};

use super::{Derived, derive};
use crate::error::Result;
use crate::index::entry::{entry, parse_entry};
use crate::index::{Definition, IndexModel};

pub(crate) fn definition(model: IndexModel) -> Definition {
    Definition::new(model).unwrap().unwrap()
}

fn of(index: &Definition, document: Document) -> Result<Derived> {
    let raw = RawDocumentBuf::try_from(&document).unwrap();
    derive(index, raw.as_bytes())
}

/// The keys as values, `None` for missing.
fn keys(key: Document, document: Document) -> Vec<Vec<Option<Bson>>> {
    let index = definition(IndexModel::new(key));
    let derived = of(&index, document).unwrap();
    let shown = derived.keys.into_iter().map(|key| {
        let (key, value) = entry(&index, key, &[0x58]).unwrap();
        let parsed = parse_entry(&index, &key, &value).unwrap().unwrap();
        assert_eq!(parsed.primary, [0x58]);
        parsed.values(&index).unwrap()
    });
    shown.collect()
}

fn one(values: Vec<Vec<Option<Bson>>>) -> Vec<Option<Bson>> {
    values.into_iter().map(|mut key| key.remove(0)).collect()
}

fn int(number: i32) -> Option<Bson> {
    Some(Bson::Int32(number))
}

#[test]
fn a_path_has_a_key_for_each_value_that_it_reaches() {
    let a = || doc! { "a": 1 };
    assert_eq!(one(keys(a(), doc! { "a": 5 })), [int(5)]);
    assert_eq!(one(keys(a(), doc! {})), [None]);
    assert_eq!(
        one(keys(a(), doc! { "a": [3, 1, 3, 1.0] })),
        [int(1), int(3)]
    );
    assert_eq!(one(keys(a(), doc! { "a": [] })), [Some(Bson::Undefined)]);
    assert_eq!(
        one(keys(a(), doc! { "a": [[1, 2], 3] })),
        [int(3), Some(vec![1, 2].into())]
    );
    let below = || doc! { "a.b": 1 };
    assert_eq!(
        one(keys(below(), doc! { "a": { "b": [2, 1] } })),
        [int(1), int(2)]
    );
    assert_eq!(
        one(keys(below(), doc! { "a": [{ "b": 1 }, 7, {}] })),
        [None, int(1)]
    );
    assert_eq!(
        one(keys(below(), doc! { "a": [{ "b": [1, 2] }, { "b": 0 }] })),
        [int(0), int(1), int(2)]
    );
    assert_eq!(one(keys(below(), doc! { "a": 5 })), [None]);
    assert_eq!(one(keys(below(), doc! { "a": [[{ "b": 1 }]] })), [None]);
    assert_eq!(one(keys(below(), doc! { "a": [] })), [None]);
}

#[test]
fn digits_are_a_position_where_there_is_an_array() {
    let at = || doc! { "a.0": 1 };
    assert_eq!(one(keys(at(), doc! { "a": [5, 6] })), [int(5)]);
    assert_eq!(
        one(keys(at(), doc! { "a": [[5, 6]] })),
        [Some(vec![5, 6].into())]
    );
    assert_eq!(one(keys(at(), doc! { "a": { "0": 5 } })), [int(5)]);
    assert_eq!(one(keys(doc! { "a.1": 1 }, doc! { "a": [5] })), [None]);
    assert_eq!(
        one(keys(doc! { "a.1": 1 }, doc! { "a": [{ "1": 7 }] })),
        [int(7)]
    );
    assert_eq!(
        one(keys(
            doc! { "a.0.b": 1 },
            doc! { "a": [{ "b": 1 }, { "b": 2 }] }
        )),
        [int(1)]
    );
    let index = definition(IndexModel::new(at()));
    let error = of(&index, doc! { "a": [{ "0": 1 }] }).unwrap_err();
    assert_eq!(error.code(), Some(16746));
}

#[test]
fn one_array_may_be_met_by_several_paths_and_two_by_none() {
    let both = || doc! { "a.b": 1, "a.c": -1 };
    let found = keys(
        both(),
        doc! { "a": [{ "b": 1, "c": 2 }, { "b": 1, "c": 3 }] },
    );
    assert_eq!(found, [[int(1), int(3)], [int(1), int(2)]]);
    let beside = keys(doc! { "a": 1, "b": 1 }, doc! { "a": [2, 1], "b": "x" });
    let x = || Some(Bson::from("x"));
    assert_eq!(beside, [[int(1), x()], [int(2), x()]]);
    let index = definition(IndexModel::new(doc! { "a": 1, "b": 1 }));
    assert_eq!(
        of(&index, doc! { "a": [1], "b": [] }).unwrap_err().code(),
        Some(171)
    );
    assert_eq!(
        of(&index, doc! { "a": [1], "b": 2 }).unwrap().multikey,
        0b01
    );
    let index = definition(IndexModel::new(both()));
    assert_eq!(of(&index, doc! { "a": [{}] }).unwrap().multikey, 0b11);
    let error = of(&index, doc! { "a": [{ "b": [1], "c": [1] }] }).unwrap_err();
    assert_eq!(error.code(), Some(171));
}

#[test]
fn sparse_and_partial_indexes_leave_documents_out() {
    let sparse = definition(IndexModel::new(doc! { "a": 1, "b": 1 }).sparse(true));
    assert!(of(&sparse, doc! { "c": 1 }).unwrap().keys.is_empty());
    assert_eq!(of(&sparse, doc! { "b": null }).unwrap().keys.len(), 1);
    let partial = IndexModel::new(doc! { "a": 1 }).partial_filter(doc! { "b": { "$gt": 5 } });
    let partial = definition(partial);
    assert!(
        of(&partial, doc! { "a": 1, "b": 5 })
            .unwrap()
            .keys
            .is_empty()
    );
    assert_eq!(of(&partial, doc! { "a": 1, "b": 6 }).unwrap().keys.len(), 1);
}
