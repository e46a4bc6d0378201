use bson::{Document, RawDocumentBuf, doc};
use cs_kv::base::TreeId;

use crate::index::catalog::{BuildState, Index, Indexes};
use crate::index::{Definition, IndexModel};

fn indexes(keys: &[Document]) -> Indexes {
    let made = keys.iter().enumerate().map(|(at, key)| Index {
        tree: TreeId(100 + at as u32),
        state: BuildState::Ready,
        definition: Definition::new(IndexModel::new(key.clone()))
            .unwrap()
            .unwrap(),
    });
    Indexes::default().with(made)
}

/// How many puts and deletes each index sees.
fn counts(indexes: &Indexes, old: Document, new: Document) -> Vec<(u32, usize, usize)> {
    let raw = |document: Document| RawDocumentBuf::try_from(&document).unwrap();
    let (old, new) = (raw(old), raw(new));
    let changes = indexes.changes(b"\x58", Some(old.as_bytes()), Some(new.as_bytes()));
    let count = |change: crate::index::IndexChange<'_>| {
        let puts = change
            .writes
            .iter()
            .filter(|write| write.value.is_some())
            .count();
        (change.index.tree.get(), puts, change.writes.len() - puts)
    };
    changes.unwrap().into_iter().map(count).collect()
}

#[test]
fn only_keys_that_differ_are_written() {
    let indexes = indexes(&[doc! { "a": 1 }, doc! { "t": 1 }, doc! { "a": 1, "b": 1 }]);
    let old = || doc! { "a": 1, "b": 2, "t": [1, 2, 3] };
    assert!(
        counts(
            &indexes,
            old(),
            doc! { "a": 1, "b": 2, "t": [1, 2, 3], "x": 1 }
        )
        .is_empty()
    );
    let pushed = doc! { "a": 1, "b": 2, "t": [1, 2, 3, 4] };
    assert_eq!(counts(&indexes, old(), pushed), [(101, 1, 0)]);
    let changed = doc! { "a": 1, "b": 3, "t": [2, 3] };
    assert_eq!(counts(&indexes, old(), changed), [(101, 0, 1), (102, 1, 1)]);
    // The key is the same, what it tells is not.
    assert_eq!(
        counts(&indexes, old(), doc! { "a": 1.0, "b": 2, "t": [1, 2, 3] }),
        [(100, 1, 0), (102, 1, 0)]
    );
    // An array is marked though its key is the same.
    assert_eq!(
        counts(&indexes, doc! { "t": 1 }, doc! { "t": [1] }),
        [(101, 0, 0)]
    );
}

#[test]
fn indexes_are_read_as_they_were_written_and_one_of_another_derivation_is_refused() {
    let indexes = indexes(&[doc! { "a": 1 }, doc! { "b.c": -1 }]);
    let array = indexes.ready(TreeId(100)).encode();
    let read = Indexes::decode(&array).unwrap();
    assert_eq!(read.len(), 2);
    assert!(read.named("b.c_-1").is_some() && read.of_tree(TreeId(100)).is_some());
    let document = bson::rawdoc! { "tree": 5_i64, "derivation": 2, "state": "ready",
    "spec": { "v": 2, "key": { "a": 1 }, "name": "a_1" } };
    let mut array = bson::RawArrayBuf::new();
    array.push(document);
    let error = Indexes::decode(&array).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Unsupported);
    assert!(error.to_string().contains("'a_1'"), "{error}");
}
