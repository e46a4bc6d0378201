//! Inserting, replacing, deleting.

use bson::{Bson, RawDocumentBuf, doc, rawdoc};
use collection_store::{
    Durability, ErrorKind, InsertManyOptions, MAX_BATCH_DOCUMENTS, OperationContext,
};

use crate::{ids, on_memory_and_file};

#[test]
fn a_document_comes_back_byte_for_byte() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let mut document = rawdoc! { "_id": 1, "nested": { "a": [1, { "b": null }] }, "s": "x\0y" };
        document.append(bson::raw::cstr!("twice"), 1);
        document.append(bson::raw::cstr!("twice"), 2);
        c.insert_one(&document).unwrap();
        assert_eq!(
            c.find_by_id(1).unwrap().unwrap().as_bytes(),
            document.as_bytes()
        );
    });
}

#[test]
fn an_id_is_generated_or_moved_to_the_front() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let id = c.insert_one(doc! { "a": 1 }).unwrap();
        assert!(matches!(id, Bson::ObjectId(_)));
        assert_eq!(c.find_by_id(id).unwrap().unwrap().get_i32("a").unwrap(), 1);
        assert_eq!(
            c.insert_one(doc! { "a": 2, "_id": "x" }).unwrap(),
            Bson::from("x")
        );
        assert_eq!(
            c.find_by_id("x").unwrap().unwrap(),
            rawdoc! { "_id": "x", "a": 2 }
        );
    });
}

#[test]
fn a_duplicate_is_refused_with_mongodbs_code_and_key() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_one(doc! { "_id": 1 }).unwrap();
        let error = c
            .insert_one(doc! { "_id": 1.0, "other": true })
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::DuplicateKey, Some(11000))
        );
        let duplicate = error.duplicate_key().unwrap();
        assert_eq!(duplicate.key_pattern, rawdoc! { "_id": 1 });
        assert_eq!(duplicate.key_value, rawdoc! { "_id": 1.0 });
        assert!(
            error
                .to_string()
                .starts_with("E11000 duplicate key error collection: main.c")
        );
        assert_eq!(c.count(doc! {}).unwrap(), 1);
    });
}

#[test]
fn documents_that_are_not_valid_are_refused() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        assert_eq!(
            c.insert_one(doc! { "_id": [1] }).unwrap_err().code(),
            Some(53)
        );
        assert_eq!(
            c.insert_one(doc! { "_id": Bson::Undefined })
                .unwrap_err()
                .code(),
            Some(53)
        );
        assert_eq!(
            c.insert_one(doc! { "_id": { "$a": 1 } })
                .unwrap_err()
                .code(),
            Some(52)
        );
        let mut bytes = rawdoc! { "_id": 1, "a": true }.into_bytes();
        let at = bytes.len() - 2;
        bytes[at] = 9;
        let broken = RawDocumentBuf::from_bytes(bytes).unwrap();
        let error = c.insert_one(broken).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidDocument);
        assert!(error.to_string().contains("path 'a'"), "{error}");
        let long = doc! { "_id": "x".repeat(70_000) };
        assert_eq!(c.insert_one(long).unwrap_err().code(), Some(17280));
        let large = doc! { "a": "x".repeat(17 << 20) };
        assert_eq!(c.insert_one(large).unwrap_err().code(), Some(10334));
        assert!(!c.exists_now().unwrap(), "a refused insert creates nothing");
    });
}

#[test]
fn large_documents_and_long_ids_are_kept() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let document = doc! { "_id": "k".repeat(60_000), "a": "x".repeat(15 << 20) };
        c.insert_one(&document).unwrap();
        let found = c.find_by_id("k".repeat(60_000)).unwrap().unwrap();
        assert_eq!(bson::Document::try_from(&found).unwrap(), document);
    });
}

#[test]
fn many_are_inserted_over_several_batches() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let count = 2 * MAX_BATCH_DOCUMENTS + 17;
        let result = c
            .insert_many((0..count as i64).map(|n| doc! { "_id": n }))
            .unwrap();
        assert_eq!(result.ids.len(), count);
        assert_eq!(result.ids[5], Bson::Int64(5));
        assert_eq!(c.count(doc! {}).unwrap(), count as u64);
    });
}

#[test]
fn ordered_insertion_stops_at_the_first_error() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_one(doc! { "_id": 3 }).unwrap();
        let error = c
            .insert_many((0..6).map(|n| doc! { "_id": n }))
            .unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::BulkWrite, Some(11000))
        );
        assert_eq!(error.written(), 3);
        let errors = error.write_errors();
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].index, errors[0].error.code()), (3, Some(11000)));
        assert_eq!(ids(&c, doc! {}), ["0", "1", "2", "3"]);

        // A document that is not valid counts like any other error.
        let error = c
            .insert_many([doc! { "_id": 10 }, doc! { "_id": [1] }, doc! { "_id": 11 }])
            .unwrap_err();
        assert_eq!((error.written(), error.write_errors()[0].index), (1, 1));
        assert_eq!(ids(&c, doc! { "_id": { "$gte": 10 } }), ["10"]);
    });
}

#[test]
fn unordered_insertion_inserts_all_that_can_be() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_many((0..50).map(|n| doc! { "_id": n * 3 }))
            .unwrap();
        let documents = (0..150).map(|n| {
            if n == 100 {
                doc! { "_id": [n] }
            } else {
                doc! { "_id": n }
            }
        });
        let error = c
            .insert_many_with(
                &OperationContext::new(),
                documents,
                InsertManyOptions::unordered(),
            )
            .unwrap_err();
        assert_eq!(error.written(), 99);
        let indexes: Vec<u64> = error
            .write_errors()
            .iter()
            .map(|error| error.index)
            .collect();
        assert_eq!(indexes.len(), 51);
        assert!(indexes.is_sorted());
        assert!(indexes.contains(&100) && indexes.contains(&147));
        assert_eq!(c.count(doc! {}).unwrap(), 149);
    });
}

#[test]
fn the_same_id_twice_in_one_call_is_a_duplicate() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let documents = || [1, 2, 1, 3].map(|n| doc! { "_id": n });
        let error = c.insert_many(documents()).unwrap_err();
        assert_eq!((error.written(), error.write_errors()[0].index), (2, 2));
        c.drop_collection().unwrap();
        let context = OperationContext::new();
        let error = c
            .insert_many_with(&context, documents(), InsertManyOptions::unordered())
            .unwrap_err();
        assert_eq!((error.written(), error.write_errors()[0].index), (3, 2));
    });
}

#[test]
fn a_batch_is_bounded_by_the_operations_memory() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let context = OperationContext::new().memory_limit(10_000);
        let documents = (0..20).map(|n| doc! { "_id": n, "a": "x".repeat(1000) });
        let error = c
            .insert_many_with(&context, documents, InsertManyOptions::default())
            .unwrap_err();
        assert_eq!(error.code(), Some(146));
    });
}

#[test]
fn replacing_keeps_the_id_and_changes_only_what_differs() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_many([doc! { "_id": 1, "a": 1 }, doc! { "_id": 2, "a": 1 }])
            .unwrap();
        let result = c.replace_one(doc! { "a": 1 }, doc! { "b": 2 }).unwrap();
        assert_eq!((result.matched, result.modified), (1, 1));
        assert_eq!(
            c.find_by_id(1).unwrap().unwrap(),
            rawdoc! { "_id": 1, "b": 2 }
        );
        let same = doc! { "_id": 1, "b": 2 };
        let result = c.replace_one(doc! { "_id": 1 }, same).unwrap();
        assert_eq!((result.matched, result.modified), (1, 0));
        let result = c.replace_one(doc! { "_id": 1 }, doc! { "b": 2 }).unwrap();
        assert_eq!(
            (result.matched, result.modified),
            (1, 1),
            "as MongoDB has it"
        );
        let result = c
            .replace_one(doc! { "_id": 1 }, doc! { "_id": 1.0, "b": 3 })
            .unwrap();
        assert_eq!((result.matched, result.modified), (1, 1));
        assert_eq!(
            c.find_by_id(1).unwrap().unwrap(),
            rawdoc! { "_id": 1, "b": 3 }
        );
        let result = c.replace_one(doc! { "_id": 9 }, doc! {}).unwrap();
        assert_eq!((result.matched, result.modified), (0, 0));
        assert_eq!(
            database
                .collection("none")
                .replace_one(doc! {}, doc! {})
                .unwrap()
                .matched,
            0
        );
    });
}

#[test]
fn a_replacement_with_operators_or_another_id_is_refused() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_one(doc! { "_id": 1 }).unwrap();
        let error = c
            .replace_one(doc! { "_id": 1 }, doc! { "_id": 2 })
            .unwrap_err();
        assert_eq!(error.code(), Some(66));
        let error = c
            .replace_one(doc! {}, doc! { "$set": { "a": 1 } })
            .unwrap_err();
        assert_eq!(error.code(), Some(9));
        assert_eq!(c.find_by_id(1).unwrap().unwrap(), rawdoc! { "_id": 1 });
    });
}

#[test]
fn deleting_one_takes_the_first_and_deleting_many_takes_all() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_many((0..10).map(|n| doc! { "_id": n, "even": n % 2 == 0 }))
            .unwrap();
        assert!(c.delete_one(doc! { "even": true }).unwrap());
        assert!(c.delete_one(doc! { "_id": 5 }).unwrap());
        assert!(!c.delete_one(doc! { "_id": 5 }).unwrap());
        assert!(!c.delete_one(doc! { "even": "no" }).unwrap());
        assert_eq!(ids(&c, doc! {}), ["1", "2", "3", "4", "6", "7", "8", "9"]);
        assert_eq!(c.delete_many(doc! { "even": true }).unwrap(), 4);
        assert_eq!(
            c.delete_many(doc! { "_id": { "$in": [1, 3, 1000] } })
                .unwrap(),
            2
        );
        assert_eq!(ids(&c, doc! {}), ["7", "9"]);
        assert_eq!(c.delete_many(doc! {}).unwrap(), 2);
        assert_eq!(c.count(doc! {}).unwrap(), 0);
        assert!(c.exists_now().unwrap());
    });
}

#[test]
fn deleting_many_goes_over_several_batches() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let count = 3 * MAX_BATCH_DOCUMENTS as i64 + 5;
        c.insert_many((0..count).map(|n| doc! { "_id": n, "keep": n % 3 == 0 }))
            .unwrap();
        let deleted = c.delete_many(doc! { "keep": false }).unwrap();
        let kept = c.count(doc! {}).unwrap();
        assert_eq!(deleted + kept, count as u64);
        assert_eq!(kept, c.count(doc! { "keep": true }).unwrap());
    });
}

#[test]
fn each_operation_may_ask_for_its_own_durability() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        for (n, durability) in (0..).zip([Durability::Sync, Durability::Async, Durability::Memory])
        {
            let context = OperationContext::new().durability(durability);
            c.insert_one_with(&context, doc! { "_id": n }).unwrap();
            assert!(
                c.find_by_id(n).unwrap().is_some(),
                "acknowledged means visible"
            );
        }
        database.flush().unwrap();
    });
}
