//! What can be an index, in MongoDB's words and codes.

use bson::{Document, doc, rawdoc};
use collection_store::{Database, IndexModel};

fn code(spec: Document) -> Option<i32> {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    let error = c.create_index(IndexModel::from_spec(spec)).err()?;
    assert!(c.list_indexes().unwrap().len() <= 1);
    error.code()
}

#[test]
fn indexes_that_make_no_sense_are_refused_by_code() {
    let named = |key: Document| doc! { "key": key, "name": "n" };
    for (key, expected) in [
        (doc! {}, 67),
        (doc! { "a": 0 }, 67),
        (doc! { "a": "text" }, 67),
        (doc! { "a": "hashed" }, 67),
        (doc! { "a": "2dsphere" }, 67),
        (doc! { "$**": 1 }, 67),
        (doc! { "a.$**": 1 }, 67),
        (doc! { "a": true }, 67),
        (doc! { "": 1 }, 67),
        (doc! { "a..b": 1 }, 67),
        (doc! { "$a": 1 }, 67),
        (doc! { "_id": -1 }, 2),
    ] {
        assert_eq!(code(named(key.clone())), Some(expected), "{key}");
    }
    for (option, value, expected) in [
        ("unique", bson::Bson::from("yes"), 14),
        ("expireAfterSeconds", bson::Bson::from("1"), 14),
        ("expireAfterSeconds", bson::Bson::from(-1), 67),
        ("partialFilterExpression", bson::Bson::from(1), 14),
        (
            "partialFilterExpression",
            doc! { "a": { "$ne": 1 } }.into(),
            67,
        ),
        (
            "partialFilterExpression",
            doc! { "a": { "$exists": false } }.into(),
            67,
        ),
        ("collation", doc! { "locale": "de" }.into(), 67),
        ("weights", doc! { "a": 1 }.into(), 67),
        ("bogus", bson::Bson::from(1), 197),
    ] {
        let mut spec = named(doc! { "a": 1 });
        spec.insert(option, value);
        assert_eq!(code(spec), Some(expected), "{option}");
    }
    assert_eq!(code(doc! { "key": { "a": 1 } }), Some(9));
    assert_eq!(code(doc! { "name": "n" }), Some(9));
    let ttl = doc! { "key": { "a": 1, "b": 1 }, "name": "n", "expireAfterSeconds": 1 };
    assert_eq!(code(ttl), Some(67));
    let both = doc! { "key": { "a": 1 }, "name": "n", "sparse": true,
    "partialFilterExpression": { "a": 1 } };
    assert_eq!(code(both), Some(67));
}

#[test]
fn the_same_index_is_made_once_and_one_beside_it_under_another_name() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    let model = || IndexModel::new(doc! { "a": 1, "b.c": -1 });
    assert_eq!(c.create_index(model()).unwrap(), "a_1_b.c_-1");
    assert_eq!(c.create_index(model()).unwrap(), "a_1_b.c_-1");
    let code = |model: IndexModel| c.create_index(model).unwrap_err().code();
    assert_eq!(code(model().name("other")), Some(85));
    assert_eq!(code(model().unique(true)), Some(86));
    assert_eq!(
        code(IndexModel::new(doc! { "x": 1 }).name("a_1_b.c_-1")),
        Some(86)
    );
    c.create_index(model().unique(true).name("unique")).unwrap();
    assert_eq!(
        c.create_index(IndexModel::new(doc! { "_id": 1 })).unwrap(),
        "_id_"
    );
    assert_eq!(c.list_indexes().unwrap().len(), 3);
    assert_eq!(c.drop_index("nothing").unwrap_err().code(), Some(27));
    assert_eq!(c.drop_index("_id_").unwrap_err().code(), Some(72));
    assert_eq!(c.drop_indexes().unwrap(), 2);
}

#[test]
fn indexes_are_there_after_a_restart_as_they_were_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let before = {
        let database = Database::open(&path).unwrap();
        let c = database.collection("c");
        c.create_indexes([
            IndexModel::new(doc! { "a": 1 }).unique(true).hidden(true),
            IndexModel::new(doc! { "at": -1 }).expire_after_seconds(60),
            IndexModel::new(doc! { "b": 1 }).partial_filter(doc! { "b": { "$gt": 5 } }),
        ])
        .unwrap();
        c.insert_one(doc! { "_id": 1, "a": 1, "b": 7 }).unwrap();
        c.list_indexes().unwrap()
    };
    let database = Database::open(&path).unwrap();
    let c = database.collection("c");
    assert_eq!(c.list_indexes().unwrap(), before);
    assert_eq!(
        before[2].to_document(),
        rawdoc! { "v": 2, "key": { "at": -1 }, "name": "at_-1", "expireAfterSeconds": 60 }
    );
    assert_eq!(
        c.insert_one(doc! { "_id": 2, "a": 1 }).unwrap_err().code(),
        Some(11000)
    );
    assert_eq!(c.find(doc! { "b": 7 }).hint("b_1").count().unwrap(), 1);
    crate::agrees(&c);
}

#[test]
fn documents_that_cannot_be_in_an_index_are_refused() {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.create_index(IndexModel::new(doc! { "a": 1, "b": 1 }))
        .unwrap();
    c.create_index(IndexModel::new(doc! { "p.0": 1 })).unwrap();
    let code = |document: Document| c.insert_one(document).unwrap_err().code();
    assert_eq!(code(doc! { "a": [1], "b": [2] }), Some(171));
    assert_eq!(code(doc! { "p": [{ "0": 1 }] }), Some(16746));
    assert_eq!(code(doc! { "a": "x".repeat(70_000) }), Some(17280));
    c.insert_one(doc! { "_id": 1, "a": [1, 2, 2], "b": 1 })
        .unwrap();
    let error = c.update_one(doc! { "_id": 1 }, doc! { "$set": { "b": [1] } });
    assert_eq!(error.unwrap_err().code(), Some(171));
    assert_eq!(c.count(doc! {}).unwrap(), 1);
    crate::agrees(&c);
}
