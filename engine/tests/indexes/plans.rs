//! Which index a query uses, and what it says about that.

use bson::{Document, doc};
use collection_store::{Collection, Database, IndexModel};

fn filled(indexes: &[Document]) -> Collection {
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    c.insert_many((0..1000).map(|n| {
        doc! { "_id": n, "a": n % 10, "b": n % 100, "c": n, "t": [n % 4, n % 6], "s": format!("s{}", n % 50) }
    }))
    .unwrap();
    for key in indexes {
        c.create_index(IndexModel::new(key.clone())).unwrap();
    }
    c
}

fn used(c: &Collection, filter: Document, sort: Document) -> (Vec<Option<String>>, bool) {
    let explain = c.find(filter).sort(sort).explain().unwrap();
    let used = explain
        .steps
        .iter()
        .map(|step| step.index.clone())
        .collect();
    (used, explain.sorted)
}

fn one(name: &str) -> Vec<Option<String>> {
    vec![Some(name.to_owned())]
}

#[test]
fn equality_then_sort_then_range() {
    let c = filled(&[
        doc! { "a": 1, "b": 1 },
        doc! { "a": 1, "c": -1 },
        doc! { "b": 1 },
    ]);
    let query = doc! { "a": 3, "b": { "$gt": 90 } };
    assert_eq!(used(&c, query.clone(), doc! {}), (one("a_1_b_1"), false));
    let bounds = &c.find(query).explain().unwrap().steps[0].bounds;
    assert_eq!(bounds[0].1, ["[3, 3]"]);
    assert_eq!(bounds[1].1[0].split(',').next(), Some("(90"));
    assert_eq!(
        used(&c, doc! { "a": 3 }, doc! { "c": -1 }),
        (one("a_1_c_-1"), false)
    );
    assert!(!used(&c, doc! { "a": 3 }, doc! { "c": 1, "_id": -1 }).1);
    assert_eq!(
        used(&c, doc! {}, doc! { "a": -1, "c": 1 }),
        (one("a_1_c_-1"), false)
    );
    assert!(used(&c, doc! {}, doc! { "a": 1, "c": 1 }).1);
    assert_eq!(used(&c, doc! { "b": 5 }, doc! {}), (one("b_1"), false));
    assert_eq!(used(&c, doc! { "c": 5 }, doc! {}), (vec![None], false));
}

#[test]
fn the_index_with_fewer_entries_for_the_query_is_chosen() {
    let c = filled(&[doc! { "a": 1 }, doc! { "b": 1 }, doc! { "c": 1 }]);
    let query = doc! { "a": 3, "b": 13, "c": { "$gte": 990 } };
    let explain = c.find(query).explain().unwrap();
    assert!(explain.keys_examined <= 10, "{explain}");
}

#[test]
fn an_or_is_a_union_of_indexes_without_repetitions() {
    let c = filled(&[doc! { "a": 1 }, doc! { "b": 1 }]);
    let query = doc! { "$or": [{ "a": 3 }, { "b": 13 }, { "_id": 7 }] };
    let explain = c.find(query.clone()).explain().unwrap();
    assert_eq!(explain.steps.len(), 3);
    assert_eq!(
        explain.returned,
        c.find(query).hint(doc! { "$natural": 1 }).count().unwrap()
    );
    let (used, _) = used(&c, doc! { "$or": [{ "a": 3 }, { "c": 13 }] }, doc! {});
    assert_eq!(used, [None], "a branch without an index");
}

#[test]
fn a_multikey_index_gives_no_order_and_no_document_twice() {
    let c = filled(&[doc! { "t": 1 }]);
    let explain = c.find(doc! { "t": { "$gte": 0 } }).explain().unwrap();
    assert!(explain.steps[0].multikey);
    assert_eq!(explain.returned, 1000);
    assert!(explain.keys_examined > 1000);
    assert!(used(&c, doc! { "t": 1 }, doc! { "t": 1 }).1);
    // Both conditions may be true of different elements.
    let both = doc! { "t": { "$gt": 2, "$lt": 1 } };
    let expected = c
        .find(both.clone())
        .hint(doc! { "$natural": 1 })
        .count()
        .unwrap();
    assert!(expected > 0);
    assert_eq!(c.find(both).hint("t_1").count().unwrap(), expected);
}

#[test]
fn sparse_partial_and_hidden_indexes_serve_only_queries_that_imply_them() {
    let c = filled(&[]);
    let sparse = IndexModel::new(doc! { "x": 1 }).sparse(true);
    let partial = IndexModel::new(doc! { "c": 1 }).partial_filter(doc! { "a": { "$gt": 5 } });
    let hidden = IndexModel::new(doc! { "b": 1 }).hidden(true);
    c.create_indexes([sparse, partial, hidden]).unwrap();
    c.insert_one(doc! { "_id": 5000, "x": 1 }).unwrap();
    let index = |filter: Document| used(&c, filter, doc! {}).0[0].clone();
    assert_eq!(index(doc! { "x": 1 }).as_deref(), Some("x_1"));
    assert_eq!(index(doc! { "x": { "$ne": null } }).as_deref(), Some("x_1"));
    assert_eq!(index(doc! { "x": null }), None);
    assert_eq!(index(doc! { "x": { "$exists": false } }), None);
    assert_eq!(index(doc! { "c": 7, "a": 7 }).as_deref(), Some("c_1"));
    assert_eq!(
        index(doc! { "c": 7, "a": { "$gte": 6 } }).as_deref(),
        Some("c_1")
    );
    assert_eq!(
        index(doc! { "c": 7, "a": { "$in": [6, 9] } }).as_deref(),
        Some("c_1")
    );
    assert_eq!(index(doc! { "c": 7, "a": { "$gte": 5 } }), None);
    assert_eq!(index(doc! { "c": 7 }), None);
    assert_eq!(index(doc! { "b": 7 }), None);
    assert_eq!(
        c.find(doc! { "b": 7 })
            .hint("b_1")
            .run()
            .unwrap_err()
            .code(),
        Some(2)
    );
    // A hint is followed all the same.
    assert_eq!(c.find(doc! {}).hint("x_1").count().unwrap(), 1);
}

#[test]
fn a_hint_is_a_name_or_fields_or_the_natural_order() {
    let c = filled(&[doc! { "a": 1, "b": -1 }]);
    for hint in [doc! { "a": 1, "b": -1 }, doc! { "a": 1.0, "b": -2 }] {
        let explain = c.find(doc! {}).hint(hint).explain().unwrap();
        assert_eq!(explain.steps[0].index.as_deref(), Some("a_1_b_-1"));
    }
    for hint in [doc! { "a": 1 }, doc! { "b": -1, "a": 1 }, doc! {}] {
        let error = c.find(doc! {}).hint(hint).run().unwrap_err();
        assert_eq!(error.code(), Some(2));
    }
    assert_eq!(
        c.find(doc! {}).hint("a_1").run().unwrap_err().code(),
        Some(2)
    );
    let mut last = c.find(doc! {}).hint(doc! { "$natural": -1 }).run().unwrap();
    assert_eq!(last.next().unwrap().unwrap().get_i32("_id").unwrap(), 999);
    assert_eq!(c.find(doc! { "_id": 3 }).hint("_id_").count().unwrap(), 1);
}

#[test]
fn documents_are_found_by_the_front_of_a_composite_index() {
    let c = filled(&[doc! { "a": 1, "b": -1, "c": 1 }]);
    let found = |prefix: Vec<bson::Bson>| -> Vec<i32> {
        c.find_by_composite("a_1_b_-1_c_1", prefix)
            .unwrap()
            .map(|one| one.unwrap().get_i32("_id").unwrap())
            .collect()
    };
    assert_eq!(
        found(vec![3.into(), 13.into()]),
        [13, 113, 213, 313, 413, 513, 613, 713, 813, 913]
    );
    assert_eq!(found(vec![3.into()])[..2], [93, 193]);
    assert_eq!(found(vec![]).len(), 1000);
    assert!(
        c.find_by_composite("a_1_b_-1_c_1", vec![bson::Bson::Null; 4])
            .is_err()
    );
    assert_eq!(
        c.find_by_composite("x", vec![]).unwrap_err().code(),
        Some(27)
    );
}

#[test]
fn an_index_that_has_all_that_is_asked_for_answers_alone() {
    let c = filled(&[doc! { "a": 1, "c": -1 }, doc! { "t": 1 }]);
    c.insert_many([
        doc! { "_id": 2000, "a": 3.0, "c": 1_i64 },
        doc! { "_id": 2001, "a": 3_i64 },
        doc! { "_id": 2002, "a": 3, "c": bson::Bson::Null },
        doc! { "_id": 2003, "a": 3, "c": { "x": 1.0 } },
    ])
    .unwrap();
    let query = |hint: Document| {
        let find = c.find(doc! { "a": 3, "c": { "$not": { "$gt": 500 } } });
        find.projection(doc! { "a": 1, "c": 1, "_id": 0 })
            .hint(hint)
    };
    let explain = query(doc! { "a": 1, "c": -1 }).explain().unwrap();
    assert!(explain.covered);
    assert_eq!((explain.documents_examined, explain.returned), (0, 54));
    let all = |hint: Document| {
        let found = query(hint).run().unwrap();
        let mut found: Vec<String> = found
            .map(|one| Document::try_from(&*one.unwrap()).unwrap().to_string())
            .collect();
        found.sort();
        found
    };
    assert_eq!(all(doc! { "a": 1, "c": -1 }), all(doc! { "$natural": 1 }));
    let covered = |projection: Document| {
        let find = c.find(doc! { "a": 3 }).projection(projection);
        find.explain().unwrap().covered
    };
    assert!(covered(doc! { "c": 1, "_id": 0 }));
    assert!(!covered(doc! { "c": 1 }), "the _id is asked for");
    assert!(!covered(doc! { "b": 1, "_id": 0 }));
    assert!(!covered(doc! { "c.x": 1, "_id": 0 }));
    let multikey = c
        .find(doc! { "t": 3 })
        .projection(doc! { "t": 1, "_id": 0 });
    assert!(!multikey.explain().unwrap().covered);
    assert_eq!(c.count(doc! { "a": 3 }).unwrap(), 104);
}
