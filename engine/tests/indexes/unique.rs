//! Unique indexes: two documents never have the same key, whoever writes them.

use std::sync::Barrier;

use bson::{doc, rawdoc};
use collection_store::{
    Collection, Database, ErrorKind, IndexModel, InsertManyOptions, OperationContext, UpdateOptions,
};

use crate::agrees;

fn unique(database: &Database) -> Collection {
    let collection = database.collection("c");
    let model = IndexModel::new(doc! { "k": 1 }).unique(true);
    collection.create_index(model).unwrap();
    collection
}

#[test]
fn every_way_of_writing_meets_a_unique_key() {
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    c.insert_one(doc! { "_id": 1, "k": 1 }).unwrap();
    c.insert_one(doc! { "_id": 2, "k": 2 }).unwrap();
    let taken = [
        c.insert_one(doc! { "_id": 3, "k": 1.0 }).map(drop),
        c.replace_one(doc! { "_id": 2 }, doc! { "k": 1 }).map(drop),
        c.replace_one(doc! { "k": 2 }, doc! { "k": 1 }).map(drop),
        c.update_one(doc! { "_id": 2 }, doc! { "$set": { "k": 1 } })
            .map(drop),
        c.update_one(doc! { "k": 2 }, doc! { "$inc": { "k": -1 } })
            .map(drop),
        c.update_many(doc! {}, doc! { "$set": { "k": 7 } })
            .map(drop),
        c.insert_many([doc! { "_id": 9, "k": 2 }]).map(drop),
    ];
    for (way, result) in taken.into_iter().enumerate() {
        let error = result.expect_err(&format!("way {way}"));
        assert_eq!(error.code(), Some(11000), "way {way}: {error}");
        let inner = error.write_errors().first().map(|inner| &inner.error);
        let duplicate = inner.unwrap_or(&error).duplicate_key().unwrap();
        assert_eq!(duplicate.key_pattern, rawdoc! { "k": 1 });
    }
    assert_eq!(c.count(doc! {}).unwrap(), 2);
    // What is given up may be taken.
    c.update_one(doc! { "_id": 1 }, doc! { "$set": { "k": 5 } })
        .unwrap();
    c.insert_one(doc! { "_id": 3, "k": 1 }).unwrap();
    c.delete_one(doc! { "k": 1 }).unwrap();
    c.replace_one(doc! { "_id": 2 }, doc! { "k": 1 }).unwrap();
    agrees(&c);
}

#[test]
fn a_batch_with_the_same_key_twice_inserts_what_it_can() {
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    let documents = || (0..10).map(|n| doc! { "_id": n, "k": n % 6 });
    let error = c.insert_many(documents()).unwrap_err();
    assert_eq!((error.kind(), error.written()), (ErrorKind::BulkWrite, 6));
    c.delete_many(doc! {}).unwrap();
    let unordered = InsertManyOptions::unordered();
    let error = c
        .insert_many_with(&OperationContext::new(), documents(), unordered)
        .unwrap_err();
    let failed: Vec<u64> = error.write_errors().iter().map(|one| one.index).collect();
    assert_eq!((failed, error.written()), (vec![6, 7, 8, 9], 6));
    agrees(&c);
}

#[test]
fn a_transaction_sees_its_own_keys_and_loses_to_another_that_was_first() {
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    let transaction = database.begin().unwrap();
    let within = transaction.collection("c");
    within.insert_one(doc! { "_id": 1, "k": 1 }).unwrap();
    let error = within.insert_one(doc! { "_id": 2, "k": 1 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateKey);
    assert_eq!(within.find(doc! { "k": 1 }).count().unwrap(), 1);
    let explain = within.find(doc! { "k": 1 }).explain().unwrap();
    assert_eq!(explain.steps[0].index.as_deref(), Some("k_1"));
    c.insert_one(doc! { "_id": 3, "k": 1 }).unwrap();
    assert!(transaction.commit().unwrap_err().is_retryable());
    agrees(&c);
}

#[test]
fn a_prepared_transaction_keeps_its_unique_keys() {
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    let transaction = database.begin().unwrap();
    let within = transaction.collection("c");
    within.insert_one(doc! { "_id": 1, "k": 1 }).unwrap();
    transaction.prepare("one").unwrap();
    let error = c.insert_one(doc! { "_id": 2, "k": 1 }).unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(c.drop_index("k_1").is_err(), "its entries are in the index");
    database.commit_prepared("one").unwrap();
    let error = c.insert_one(doc! { "_id": 2, "k": 1 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DuplicateKey);
    agrees(&c);
}

#[test]
fn of_many_who_want_the_same_key_one_gets_it() {
    const CLIENTS: i32 = 4;
    const KEYS: i32 = 30;
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    let barrier = Barrier::new(CLIENTS as usize);
    let won = std::thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            let (c, barrier) = (c.clone(), &barrier);
            scope.spawn(move || {
                let mut won = 0;
                for key in 0..KEYS {
                    barrier.wait();
                    match c.insert_one(doc! { "_id": 1000 * client + key, "k": key }) {
                        Ok(_) => won += 1,
                        Err(error) => assert_eq!(error.code(), Some(11000), "{error}"),
                    }
                }
                won
            })
        });
        let clients: Vec<_> = clients.collect();
        clients
            .into_iter()
            .map(|one| one.join().unwrap())
            .sum::<i32>()
    });
    assert_eq!(won, KEYS);
    assert_eq!(c.count(doc! {}).unwrap(), KEYS as u64);
    agrees(&c);
}

#[test]
fn of_many_upserts_on_a_unique_key_one_inserts_and_the_others_update() {
    const CLIENTS: usize = 4;
    const ROUNDS: i32 = 30;
    let database = Database::open_in_memory().unwrap();
    let c = unique(&database);
    let barrier = Barrier::new(CLIENTS);
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let (c, barrier) = (c.clone(), &barrier);
            scope.spawn(move || {
                let options = UpdateOptions {
                    upsert: true,
                    ..UpdateOptions::default()
                };
                for key in 0..ROUNDS {
                    barrier.wait();
                    let context = OperationContext::new();
                    let update = doc! { "$inc": { "n": 1 } };
                    c.update_one_with(&context, doc! { "k": key }, update, &options)
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(
        c.count(doc! { "n": CLIENTS as i32 }).unwrap(),
        ROUNDS as u64
    );
    agrees(&c);
}

#[test]
fn clients_that_update_one_hot_document_keep_its_index_entries() {
    const CLIENTS: i32 = 4;
    const ROUNDS: i32 = 50;
    let database = Database::open_in_memory().unwrap();
    let c = database.collection("c");
    for key in [doc! { "n": 1 }, doc! { "tags": 1, "n": -1 }] {
        c.create_index(IndexModel::new(key)).unwrap();
    }
    c.insert_one(doc! { "_id": 1, "n": 0 }).unwrap();
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let c = c.clone();
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let update = doc! {
                        "$inc": { "n": 1 },
                        "$push": { "tags": { "$each": [client * ROUNDS + round], "$slice": -3 } },
                    };
                    c.update_one(doc! { "_id": 1 }, update).unwrap();
                }
            });
        }
    });
    let total = CLIENTS * ROUNDS;
    assert_eq!(c.find(doc! { "n": total }).hint("n_1").count().unwrap(), 1);
    agrees(&c);
}
