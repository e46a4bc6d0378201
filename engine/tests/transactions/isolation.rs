use bson::doc;
use collection_store::{ErrorKind, Isolation, TransactionOptions};

use crate::{all, numbered};

#[test]
fn the_first_committer_wins_and_the_other_is_told_to_try_again() {
    let (database, numbers) = numbered(2);
    let one = database.begin().unwrap();
    let other = database.begin().unwrap();
    one.collection("numbers")
        .replace_one(doc! { "_id": 0 }, doc! { "n": 1 })
        .unwrap();
    other
        .collection("numbers")
        .delete_one(doc! { "_id": 0 })
        .unwrap();
    other
        .collection("numbers")
        .insert_one(doc! { "_id": 7 })
        .unwrap();
    one.commit().unwrap();
    let lost = other.commit().unwrap_err();
    assert_eq!((lost.kind(), lost.code()), (ErrorKind::Conflict, Some(112)));
    assert!(lost.is_retryable());
    assert_eq!(numbers.count(doc! {}).unwrap(), 2, "nothing of it happened");
}

#[test]
fn a_transaction_reads_the_state_in_which_it_began() {
    let (database, numbers) = numbered(2);
    let transaction = database.begin().unwrap();
    let inside = transaction.collection("numbers");
    numbers.insert_one(doc! { "_id": 5 }).unwrap();
    numbers.delete_one(doc! { "_id": 0 }).unwrap();
    assert_eq!(inside.count(doc! {}).unwrap(), 2);
    assert!(inside.find_by_id(0).unwrap().is_some());
    numbers.drop_collection().unwrap();
    assert_eq!(all(&inside).len(), 2);
    inside.insert_one(doc! { "_id": 9 }).unwrap();
    assert!(
        transaction.commit().unwrap_err().is_retryable(),
        "the collection went away"
    );
}

#[test]
fn two_that_create_the_same_collection_conflict() {
    let (database, _) = numbered(0);
    let one = database.begin().unwrap();
    let other = database.begin().unwrap();
    one.collection("made")
        .insert_one(doc! { "_id": 1 })
        .unwrap();
    other
        .collection("made")
        .insert_one(doc! { "_id": 2 })
        .unwrap();
    one.commit().unwrap();
    assert!(other.commit().unwrap_err().is_retryable());
    assert_eq!(database.collection("made").count(doc! {}).unwrap(), 1);
}

/// Two doctors are on call, each goes off duty if the other is there.
fn doctors_go_home(isolation: Isolation) -> bool {
    let (database, doctors) = numbered(2);
    let options = TransactionOptions::new().isolation(isolation);
    let one = database.begin_with(&options).unwrap();
    let other = database.begin_with(&options).unwrap();
    for (transaction, id) in [(&one, 0), (&other, 1)] {
        let inside = transaction.collection("numbers");
        assert_eq!(inside.count(doc! { "n": 0 }).unwrap(), 2);
        inside
            .replace_one(doc! { "_id": id }, doc! { "n": 1 })
            .unwrap();
    }
    one.commit().unwrap();
    let both = other.commit().is_ok();
    assert_eq!(doctors.count(doc! { "n": 0 }).unwrap(), u64::from(!both));
    both
}

#[test]
fn write_skew_is_there_under_snapshot_and_not_under_serializable() {
    assert!(doctors_go_home(Isolation::Snapshot));
    assert!(!doctors_go_home(Isolation::Serializable));
}

#[test]
fn a_phantom_is_a_conflict_under_serializable() {
    for (isolation, passes) in [
        (Isolation::Snapshot, true),
        (Isolation::Serializable, false),
    ] {
        let (database, numbers) = numbered(3);
        let options = TransactionOptions::new().isolation(isolation);
        let transaction = database.begin_with(&options).unwrap();
        let inside = transaction.collection("numbers");
        let count = inside
            .count(doc! { "_id": { "$gte": 1, "$lt": 10 } })
            .unwrap();
        transaction
            .collection("counts")
            .insert_one(doc! { "count": count as i64 })
            .unwrap();
        numbers.insert_one(doc! { "_id": 5 }).unwrap();
        assert_eq!(transaction.commit().is_ok(), passes, "{isolation:?}");
    }
}

#[test]
fn what_lies_outside_of_a_range_that_was_read_is_no_conflict() {
    let (database, numbers) = numbered(3);
    let options = TransactionOptions::new().isolation(Isolation::Serializable);
    let transaction = database.begin_with(&options).unwrap();
    let inside = transaction.collection("numbers");
    assert_eq!(
        inside
            .count(doc! { "_id": { "$gte": 1, "$lt": 10 } })
            .unwrap(),
        2
    );
    inside.insert_one(doc! { "_id": 100 }).unwrap();
    numbers.insert_one(doc! { "_id": 50 }).unwrap();
    numbers
        .replace_one(doc! { "_id": 0 }, doc! { "n": 1 })
        .unwrap();
    transaction.commit().unwrap();
}
