//! Indexes: proven against the documents both ways, and left out of what is salvaged.

use bson::doc;
use collection_store::IndexModel;
use cs_kv::{Batch, CommitOptions, Expect, KeyRange};

use crate::support::{Scratch, all_text, code, inspect, json};

fn with_index() -> Scratch {
    let scratch = Scratch::closed(300);
    let database = scratch.open();
    let people = database.collection("people");
    people
        .update_many(doc! {}, doc! { "$set": { "tags": ["a", "b"], "n": 1 } })
        .unwrap();
    people
        .create_index(IndexModel::new(doc! { "tags": 1, "n": -1 }))
        .unwrap();
    database.close().unwrap();
    scratch
}

#[test]
fn check_proves_indexes_and_finds_an_entry_too_few_or_too_many() {
    for (removes, expected) in [(true, "missing"), (false, "of no document")] {
        let scratch = with_index();
        let checked = json(&["check", &scratch.text()]);
        assert_eq!(
            (&checked["sound"], &checked["indexes"]),
            (&true.into(), &1.into())
        );
        let database = scratch.open();
        let store = database.store();
        let snapshot = store.snapshot().unwrap();
        let trees = snapshot.trees().unwrap();
        let (tree, _) = trees.iter().max_by_key(|(tree, _)| tree.0).unwrap();
        let mut cursor = snapshot.cursor(*tree, KeyRange::all()).unwrap();
        let (key, value) = loop {
            let (key, value) = cursor.next().unwrap().unwrap();
            if key[0] != 0 {
                break (key.to_vec(), value.to_vec());
            }
        };
        let mut batch = Batch::new();
        match removes {
            true => batch.delete(*tree, key, Expect::Present),
            false => batch.put(*tree, [&*key, &[1]].concat(), value, Expect::Absent),
        }
        store
            .write(&batch, &CommitOptions::default())
            .unwrap()
            .wait()
            .unwrap();
        drop((cursor, snapshot));
        database.close().unwrap();
        drop(database);
        let output = inspect(&["check", &scratch.text()]);
        let text = all_text(&output);
        assert_eq!(code(&output), 1, "{text}");
        assert!(
            text.contains("tags_1_n_-1") && text.contains(expected),
            "{text}"
        );
    }
}

#[test]
fn a_salvage_leaves_indexes_out_and_says_so() {
    let scratch = with_index();
    let target = scratch.directory.path().join("salvaged");
    let arguments = [
        "salvage",
        &scratch.text(),
        "--output",
        target.to_str().unwrap(),
    ];
    let output = inspect(&arguments);
    let text = all_text(&output);
    assert!(text.contains("tags_1_n_-1"), "{text}");
    let database = collection_store::Database::open(&target).unwrap();
    let people = database.collection("people");
    assert_eq!(people.count(doc! { "tags": "b" }).unwrap(), 300);
    people
        .create_index(IndexModel::new(doc! { "tags": 1, "n": -1 }))
        .unwrap();
    assert_eq!(
        people.check_indexes().unwrap().findings,
        Vec::<String>::new()
    );
}
