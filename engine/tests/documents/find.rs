//! Queries and cursors.

use std::time::Duration;

use bson::{Bson, doc};
use collection_store::{CancelFlag, Cursor, ErrorKind, OperationContext};

use crate::{ids, on_memory_and_file};

#[test]
fn documents_come_in_order_of_id_across_types() {
    on_memory_and_file(|database| {
        let mixed = database.collection("mixed");
        let values = [
            Bson::from("text"),
            Bson::from(2.5),
            Bson::from(10_i64),
            Bson::Null,
            Bson::from(-3),
            Bson::from(true),
            Bson::MinKey,
            Bson::from(doc! { "a": 1 }),
            Bson::DateTime(bson::DateTime::from_millis(0)),
        ];
        for value in &values {
            mixed.insert_one(doc! { "_id": value.clone() }).unwrap();
        }
        let found: Vec<Bson> = mixed
            .find(doc! {})
            .run()
            .unwrap()
            .map(|document| {
                bson::Document::try_from(&document.unwrap())
                    .unwrap()
                    .remove("_id")
                    .unwrap()
            })
            .collect();
        let order = [6, 3, 4, 1, 2, 0, 7, 5, 8];
        assert_eq!(found, order.map(|at: usize| values[at].clone()));
    });
}

#[test]
fn an_id_is_found_whatever_numeric_type_asks_for_it() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers
            .insert_one(doc! { "_id": 1_i64, "x": "one" })
            .unwrap();
        assert!(numbers.find_by_id(1).unwrap().is_some());
        assert!(numbers.find_by_id(1.0).unwrap().is_some());
        assert!(numbers.find_by_id(1.5).unwrap().is_none());
        assert!(numbers.find_one(doc! { "_id": 1.0 }).unwrap().is_some());
        let stored = numbers.find_by_id(1).unwrap().unwrap();
        assert_eq!(stored.get_i64("_id").unwrap(), 1, "its own type stays");
    });
}

#[test]
fn equality_ranges_and_sets_of_ids_look_at_no_other_document() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers
            .insert_many((0..500).map(|n| doc! { "_id": n, "odd": n % 2 == 1 }))
            .unwrap();
        for (filter, count, examined) in [
            (doc! { "_id": 7 }, 1, 1),
            (doc! { "_id": 1000 }, 0, 0),
            (doc! { "_id": 7, "odd": false }, 0, 1),
            (doc! { "_id": { "$in": [3, 5, 5.0, "x", 1000] } }, 2, 2),
            (doc! { "_id": { "$gte": 10, "$lt": 20 } }, 10, 10),
            (
                doc! { "_id": { "$gt": 10, "$lte": 20 }, "odd": true },
                5,
                11,
            ),
            (doc! { "_id": { "$gt": 20, "$lt": 10 } }, 0, 0),
            (doc! { "_id": { "$gt": "a" } }, 0, 0),
            (doc! { "odd": true }, 250, 500),
        ] {
            let before = database.stats().unwrap().operations.examined;
            assert_eq!(numbers.count(filter.clone()).unwrap(), count, "{filter}");
            let after = database.stats().unwrap().operations.examined;
            assert_eq!(after - before, examined, "{filter}");
        }
    });
}

#[test]
fn skip_and_limit_cut_the_result() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers
            .insert_many((0..20).map(|n| doc! { "_id": n }))
            .unwrap();
        let found = |skip, limit| -> Vec<i32> {
            let cursor = numbers
                .find(doc! { "_id": { "$gte": 5 } })
                .skip(skip)
                .limit(limit)
                .run();
            cursor
                .unwrap()
                .map(|d| d.unwrap().get_i32("_id").unwrap())
                .collect()
        };
        assert_eq!(found(0, 2), [5, 6]);
        assert_eq!(found(3, 2), [8, 9]);
        assert_eq!(found(13, 0), [18, 19]);
        assert_eq!(found(100, 5), [0; 0]);
    });
}

#[test]
fn a_cursor_keeps_the_state_in_which_it_began() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers
            .insert_many((0..300).map(|n| doc! { "_id": n }))
            .unwrap();
        let mut cursor = numbers.find(doc! {}).run().unwrap();
        assert_eq!(
            cursor.advance().unwrap().unwrap().get_i32("_id").unwrap(),
            0
        );
        numbers.delete_many(doc! { "_id": { "$lt": 299 } }).unwrap();
        numbers.insert_one(doc! { "_id": 1000 }).unwrap();
        numbers.drop_collection().unwrap();
        assert_eq!(cursor.count(), 299);
        assert_eq!(numbers.count(doc! {}).unwrap(), 0);
    });
}

#[test]
fn a_cursor_may_live_in_another_thread_and_outlive_its_handles() {
    fn assert_send<T: Send + 'static>(_: &T) {}
    on_memory_and_file(|database| {
        let cursor: Cursor = {
            let numbers = database.collection("numbers");
            numbers
                .insert_many((0..10).map(|n| doc! { "_id": n }))
                .unwrap();
            numbers.find(doc! {}).run().unwrap()
        };
        assert_send(&cursor);
        assert_eq!(
            std::thread::spawn(move || cursor.count()).join().unwrap(),
            10
        );
    });
}

#[test]
fn a_cursor_ends_for_good_at_its_end() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers.insert_one(doc! { "_id": 1 }).unwrap();
        let mut cursor = numbers.find(doc! {}).run().unwrap();
        assert!(cursor.next().is_some());
        assert!(cursor.next().is_none());
        numbers.insert_one(doc! { "_id": 2 }).unwrap();
        assert!(cursor.next().is_none());
        assert!(cursor.advance().unwrap().is_none());
    });
}

#[test]
fn golden_filters_over_stored_documents() {
    on_memory_and_file(|database| {
        let things = database.collection("things");
        things
            .insert_many([
                doc! { "_id": "a", "n": 1, "tags": ["x", "y"], "sub": [{ "k": 1 }, { "k": 9 }] },
                doc! { "_id": "b", "n": 2.5, "tags": "x", "sub": { "k": 5 } },
                doc! { "_id": "c", "n": "3", "tags": [], "sub": [[{ "k": 5 }]] },
                doc! { "_id": "d", "n": null },
                doc! { "_id": "e", "tags": [["x"]], "sub": [7] },
            ])
            .unwrap();
        for (filter, expected) in [
            (doc! { "tags": "x" }, &["a", "b"][..]),
            (doc! { "tags": ["x"] }, &["e"]),
            (doc! { "tags": { "$size": 0 } }, &["c"]),
            (doc! { "n": { "$gt": 0 } }, &["a", "b"]),
            (doc! { "n": null }, &["d", "e"]),
            (doc! { "n": { "$exists": false } }, &["e"]),
            (doc! { "sub.k": { "$gt": 4, "$lt": 6 } }, &["a", "b"]),
            (
                doc! { "sub": { "$elemMatch": { "k": { "$gt": 4, "$lt": 6 } } } },
                &[],
            ),
            (doc! { "sub.0.k": 1 }, &["a"]),
            (doc! { "sub.0.0.k": 5 }, &["c"]),
            (doc! { "sub.k": null }, &["d"]),
            (doc! { "n": { "$ne": 1 } }, &["b", "c", "d", "e"]),
            (doc! { "n": { "$type": "number" } }, &["a", "b"]),
            (
                doc! { "$or": [{ "n": 1 }, { "_id": { "$gte": "e" } }] },
                &["a", "e"],
            ),
            (
                doc! { "n": { "$not": { "$gte": 2 } } },
                &["a", "c", "d", "e"],
            ),
            (doc! { "tags": { "$all": ["x", "y"] } }, &["a"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|id| format!("\"{id}\"")).collect();
            assert_eq!(ids(&things, filter.clone()), expected, "{filter}");
        }
    });
}

#[test]
fn an_operation_ends_when_its_time_is_up_or_it_is_cancelled() {
    on_memory_and_file(|database| {
        let numbers = database.collection("numbers");
        numbers
            .insert_many((0..100).map(|n| doc! { "_id": n }))
            .unwrap();
        let late = OperationContext::new().timeout(Duration::ZERO);
        assert_eq!(
            numbers
                .count_with(&late, doc! { "a": 1 })
                .unwrap_err()
                .code(),
            Some(50)
        );
        assert_eq!(
            numbers.insert_one_with(&late, doc! {}).unwrap_err().code(),
            Some(50)
        );
        assert_eq!(
            numbers.delete_many_with(&late, doc! {}).unwrap_err().code(),
            Some(50)
        );

        let stop = CancelFlag::new();
        let context = OperationContext::new().cancel_flag(stop.clone());
        let mut cursor = numbers
            .find(doc! {})
            .context(context.clone())
            .run()
            .unwrap();
        assert!(cursor.next().unwrap().is_ok());
        stop.cancel();
        assert_eq!(cursor.next().unwrap().unwrap_err().code(), Some(11601));
        assert!(cursor.next().is_none(), "after an error nothing more");
        let error = numbers.find_by_id_with(&context, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert_eq!(numbers.count(doc! {}).unwrap(), 100);
    });
}

#[test]
fn filters_that_make_no_sense_are_refused_when_run() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let error = c.find(doc! { "a": { "$nope": 1 } }).run().unwrap_err();
        assert_eq!(error.to_string(), "unknown operator: $nope at path 'a'");
        assert_eq!(c.count(doc! { "$nope": 1 }).unwrap_err().code(), Some(2));
    });
}
