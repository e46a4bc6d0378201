//! Statements of a session: sent again, they happen once and answer the same.

use std::time::Duration;

use bson::{Bson, doc};
use collection_store::{
    Collection, Database, ErrorKind, IndexModel, InsertManyOptions, OperationContext,
    SessionStatement, TransactionOptions, UpdateOptions, UpdateResult,
};

use crate::{all, numbered};

const SESSION: [u8; 16] = [3; 16];

pub(crate) fn statement(number: u64) -> OperationContext {
    OperationContext::new().statement(SESSION, number)
}

fn increment(collection: &Collection, number: u64, filter: bson::Document) -> UpdateResult {
    let update = doc! { "$inc": { "n": 1 } };
    let options = UpdateOptions::default();
    collection
        .update_one_with(&statement(number), filter, update, &options)
        .unwrap()
}

#[test]
fn each_write_that_is_sent_again_happens_once_and_answers_what_it_did() {
    let (database, numbers) = numbered(20);
    let many = InsertManyOptions::default();
    let upsert = UpdateOptions::upsert();
    let writes: Vec<Box<dyn Fn(u64) -> String>> = vec![
        Box::new(|n| {
            format!(
                "{:?}",
                numbers.insert_one_with(&statement(n), doc! { "n": 7 })
            )
        }),
        Box::new(|n| {
            let documents = [doc! { "a": 1 }, doc! { "_id": "x" }];
            format!(
                "{:?}",
                numbers.insert_many_with(&statement(n), documents, many)
            )
        }),
        Box::new(|n| format!("{:?}", increment(&numbers, n, doc! { "_id": 1 }))),
        Box::new(|n| format!("{:?}", increment(&numbers, n, doc! { "_id": 99 }))),
        Box::new(|n| format!("{:?}", increment(&numbers, n, doc! { "n": 0 }))),
        Box::new(|n| {
            let update = doc! { "$set": { "m": 1 } };
            let (filter, options) = (doc! { "n": 5 }, &upsert);
            format!(
                "{:?}",
                numbers.update_one_with(&statement(n), filter, update, options)
            )
        }),
        Box::new(|n| {
            let (filter, update) = (doc! { "_id": { "$gt": 10 } }, doc! { "$inc": { "n": 1 } });
            let options = UpdateOptions::default();
            format!(
                "{:?}",
                numbers.update_many_with(&statement(n), filter, update, &options)
            )
        }),
        Box::new(|n| {
            let new = doc! { "k": n as i64 };
            format!(
                "{:?}",
                numbers.replace_one_with(&statement(n), doc! { "_id": 2 }, new)
            )
        }),
        Box::new(|n| {
            format!(
                "{:?}",
                numbers.delete_one_with(&statement(n), doc! { "n": 1 })
            )
        }),
        Box::new(|n| {
            let filter = doc! { "_id": { "$lt": 6 } };
            format!("{:?}", numbers.delete_many_with(&statement(n), filter))
        }),
    ];
    for (number, write) in (1..).zip(&writes) {
        let before = all(&numbers);
        let first = write(number);
        let after = all(&numbers);
        assert!(
            first.starts_with("Ok") || first.starts_with("UpdateResult"),
            "{first}"
        );
        let changes = !first.contains("matched: 0") || first.contains("upserted_id: Some");
        assert_eq!(before != after, changes, "{first}");
        for _ in 0..2 {
            assert_eq!(write(number), first);
        }
        assert_eq!(all(&numbers), after, "statement {number}");
    }
    // One that came before the last is refused by number, and one as something else.
    let late = numbers.insert_one_with(&statement(3), doc! {}).unwrap_err();
    assert_eq!(
        (late.kind(), late.code()),
        (ErrorKind::AlreadyApplied, Some(225))
    );
    assert!(
        late.message().contains("statement 3") && late.message().contains("10"),
        "{late}"
    );
    let other = numbers
        .insert_one_with(&statement(10), doc! {})
        .unwrap_err();
    assert_eq!(other.kind(), ErrorKind::AlreadyApplied);
    assert!(
        other.message().contains("a deletion, and is now an insert"),
        "{other}"
    );
    // Sessions know nothing of each other, and of transactions only the name.
    let context = OperationContext::new().statement([4; 16], 1);
    numbers
        .insert_one_with(&context, doc! { "_id": "y" })
        .unwrap();
    let named = SessionStatement {
        session: [4; 16],
        number: 2,
        results: Vec::new(),
    };
    let options = TransactionOptions::new().statement(named);
    database
        .with_transaction_with(&options, |t| {
            t.collection("c").insert_one(doc! {}).map(drop)
        })
        .unwrap();
    let context = OperationContext::new().statement([4; 16], 2);
    let error = numbers.insert_one_with(&context, doc! {}).unwrap_err();
    assert!(error.message().contains("a transaction"), "{error}");
}

#[test]
fn a_statement_that_failed_leaves_nothing_and_may_be_sent_again() {
    let (_database, numbers) = numbered(3);
    let documents = || [doc! { "_id": 7 }, doc! { "_id": 1 }, doc! { "_id": 8 }];
    for options in [InsertManyOptions::default(), InsertManyOptions::unordered()] {
        let failed = numbers
            .insert_many_with(&statement(1), documents(), options)
            .unwrap_err();
        assert_eq!((failed.kind(), failed.written()), (ErrorKind::BulkWrite, 0));
        assert_eq!(failed.write_errors().len(), 1);
        assert_eq!(failed.code(), Some(11000));
        assert_eq!(all(&numbers).len(), 3);
    }
    let twice = numbers
        .insert_one_with(&statement(1), doc! { "_id": 1 })
        .unwrap_err();
    assert_eq!(twice.kind(), ErrorKind::DuplicateKey);
    numbers.delete_one(doc! { "_id": 1 }).unwrap();
    let options = InsertManyOptions::default();
    numbers
        .insert_many_with(&statement(1), documents(), options)
        .unwrap();
    assert_eq!(all(&numbers).len(), 5);
    let wrong = doc! { "$inc": { "_id": 1 } };
    let options = UpdateOptions::default();
    for filter in [doc! { "_id": 1 }, doc! { "_id": { "$gt": 0 } }] {
        let failed = numbers.update_one_with(&statement(2), filter, wrong.clone(), &options);
        assert_eq!(failed.unwrap_err().code(), Some(66));
    }
    increment(&numbers, 2, doc! { "_id": 0 });
}

#[test]
fn what_cannot_be_a_statement_says_so() {
    let (database, numbers) = numbered(3);
    let context = statement(1);
    let refused = [
        numbers.find_one_with(&context, doc! {}).unwrap_err(),
        numbers.count_with(&context, doc! { "n": 1 }).unwrap_err(),
        numbers.create_with(&context, doc! {}).unwrap_err(),
        numbers.drop_collection_with(&context).unwrap_err(),
        numbers.rename_with(&context, "other", false).unwrap_err(),
    ];
    for error in refused {
        assert_eq!(error.code(), Some(50768), "{error}");
    }
    let transaction = database.begin().unwrap();
    let within = transaction.collection("numbers");
    let error = within.insert_one_with(&context, doc! {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInTransaction);
    let many = (0..5000).map(|_| doc! {});
    let error = numbers
        .insert_many_with(&context, many, InsertManyOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains("the limit is 65536"), "{error}");
    assert_eq!(all(&numbers).len(), 3);
}

#[test]
fn a_hot_document_takes_statements_of_many_sessions_and_counts_each_once() {
    let (_database, numbers) = numbered(1);
    std::thread::scope(|scope| {
        for client in 0..16_u8 {
            let numbers = &numbers;
            scope.spawn(move || {
                for number in 1..=10 {
                    let context = OperationContext::new().statement([client; 16], number);
                    for _ in 0..2 {
                        let (filter, update) = (doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
                        let options = UpdateOptions::default();
                        let updated = numbers
                            .update_one_with(&context, filter, update, &options)
                            .unwrap();
                        assert_eq!((updated.matched, updated.modified), (1, 1));
                    }
                }
            });
        }
    });
    assert_eq!(all(&numbers), [doc! { "_id": 0, "n": 160 }]);
}

#[test]
fn one_statement_from_many_threads_at_once_happens_once() {
    let (_database, numbers) = numbered(4);
    let ids: Vec<Bson> = std::thread::scope(|scope| {
        let numbers = &numbers;
        let send = || {
            numbers
                .insert_one_with(&statement(1), doc! { "n": 1 })
                .unwrap()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(all(&numbers).len(), 5);
    let counted = std::thread::scope(|scope| {
        let send = || increment(&numbers, 2, doc! { "n": 0 });
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().modified)
            .sum::<u64>()
    });
    assert_eq!(counted, 8, "each hears of the one");
    assert_eq!(numbers.count(doc! { "n": 0 }).unwrap(), 3);
}

#[test]
fn a_deadline_ends_a_statement() {
    let (_database, numbers) = numbered(1);
    let context = statement(1).timeout(Duration::ZERO);
    let error = numbers.insert_one_with(&context, doc! {}).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(all(&numbers).len(), 1);
}

#[test]
fn a_session_that_is_forgotten_begins_anew_and_a_backup_keeps_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("db")).unwrap();
    let items = database.collection("items");
    let other = OperationContext::new().statement([8; 16], 5);
    let id = items.insert_one_with(&other, doc! { "n": 1 }).unwrap();
    items
        .insert_one_with(&statement(9), doc! { "n": 2 })
        .unwrap();
    assert!(database.forget_session(&SESSION).unwrap());
    assert!(!database.forget_session(&SESSION).unwrap());
    items
        .insert_one_with(&statement(1), doc! { "n": 3 })
        .unwrap();
    let file = directory.path().join("backup.csb");
    let go_on = |_: &_| std::ops::ControlFlow::Continue(());
    database
        .backup_to(&file, &Default::default(), go_on)
        .unwrap();
    Database::restore(&file, directory.path().join("copy")).unwrap();
    let copy = Database::open(directory.path().join("copy")).unwrap();
    let items = copy.collection("items");
    assert_eq!(items.insert_one_with(&other, doc! { "n": 1 }).unwrap(), id);
    assert_eq!(items.count(doc! {}).unwrap(), 3);
}

#[test]
fn statements_keep_indexes_and_one_whose_key_is_taken_fails_alone() {
    let database = Database::open_in_memory().unwrap();
    let items = database.collection("items");
    items
        .insert_many((0..8).map(|id| doc! { "_id": id, "u": id }))
        .unwrap();
    let unique = IndexModel::new(doc! { "u": 1 }).unique(true);
    items.create_index(unique).unwrap();
    let options = UpdateOptions::default();
    let set = |id: i32, u: i32, context: &OperationContext| {
        let update = doc! { "$set": { "u": u } };
        items.update_one_with(context, doc! { "_id": id }, update, &options)
    };
    let taken = set(1, 2, &statement(1)).unwrap_err();
    assert_eq!(taken.code(), Some(11000), "{taken}");
    for _ in 0..2 {
        assert_eq!(set(1, 20, &statement(1)).unwrap().modified, 1);
    }
    // Of many that want one key one has it, and hears so however often it asks.
    let had: u64 = std::thread::scope(|scope| {
        let claim = |client: u8| {
            let context = OperationContext::new().statement([100 + client; 16], 1);
            let ask = || set(i32::from(client), 99, &context);
            let (first, second) = (ask(), ask());
            match first {
                Ok(first) => {
                    assert_eq!(second.unwrap(), first);
                    first.modified
                }
                Err(error) => {
                    assert_eq!(error.code(), Some(11000), "{error}");
                    assert_eq!(second.unwrap_err().code(), Some(11000));
                    0
                }
            }
        };
        let threads: Vec<_> = (0..8)
            .map(|client| scope.spawn(move || claim(client)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(had, 1);
    assert_eq!(items.count(doc! { "u": 99 }).unwrap(), 1);
    let again = items
        .insert_one_with(&statement(2), doc! { "_id": 50, "u": 99 })
        .unwrap_err();
    assert_eq!(again.code(), Some(11000));
    items
        .delete_one_with(&statement(2), doc! { "u": 99 })
        .unwrap();
    items
        .insert_one_with(&statement(3), doc! { "_id": 50, "u": 99 })
        .unwrap();
}

#[test]
fn a_statement_in_the_way_of_a_prepared_transaction_says_so_and_may_be_sent_again() {
    use collection_store::io::SimRuntime;
    use collection_store::io::sim::{SimDisk, SimOptions};

    let disk = SimDisk::new(3, SimOptions::default());
    let database = Database::options()
        .open_on(disk, SimRuntime::new(3))
        .unwrap();
    let numbers = database.collection("numbers");
    numbers.insert_one(doc! { "_id": 1, "n": 0 }).unwrap();
    let transaction = database.begin().unwrap();
    let update = doc! { "$inc": { "n": 10 } };
    transaction
        .collection("numbers")
        .update_one(doc! { "_id": 1 }, update.clone())
        .unwrap();
    transaction.prepare("gid").unwrap();
    let options = UpdateOptions::default();
    let again = doc! { "n": 0 };
    let error = numbers
        .update_one_with(&statement(1), again, update.clone(), &options)
        .unwrap_err();
    assert!(
        error.is_retryable() && error.message().contains("gid"),
        "{error}"
    );
    database.commit_prepared("gid").unwrap();
    for _ in 0..2 {
        let filter = doc! { "n": { "$gt": 0 } };
        numbers
            .update_one_with(&statement(1), filter, update.clone(), &options)
            .unwrap();
    }
    assert_eq!(all(&numbers), [doc! { "_id": 1, "n": 20 }]);
}
