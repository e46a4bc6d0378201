use std::time::Duration;

use bson::doc;
use collection_store::{Database, ErrorKind, ResumeToken, WatchOptions};

use crate::{all, open, put, shown, told};

/// Options that go on behind a token that went through its text.
fn after(token: &ResumeToken) -> WatchOptions {
    let text = token.to_string();
    let again: ResumeToken = text.parse().unwrap();
    assert_eq!(again, *token);
    WatchOptions::new().resume_after(again)
}

#[test]
fn resuming_behind_any_event_shows_the_rest_exactly_also_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = open(&path);
    let mut stream = database.watch().unwrap();
    let begin = stream.token();
    let items = database.collection("items");
    items
        .insert_many((0..5).map(|id| doc! { "_id": id, "n": 0 }))
        .unwrap();
    database
        .with_transaction(|transaction| {
            put(&transaction.collection("items"), 1, 1);
            put(&transaction.collection("made"), 1, 1);
            transaction
                .collection("items")
                .delete_one(doc! { "_id": 2 })?;
            Ok(())
        })
        .unwrap();
    items.rename("renamed", false).unwrap();
    put(&database.collection("renamed"), 3, 3);
    put(&items, 1, 1);
    database.collection("made").drop_collection().unwrap();
    put(&database.collection("made"), 9, 9);
    let events = all(&mut stream);
    assert_eq!(
        events.len(),
        17,
        "{:?}",
        events.iter().map(told).collect::<Vec<_>>()
    );
    drop(stream);
    let judge = |database: &Database| {
        let mut from_begin = database.watch_with(after(&begin)).unwrap();
        assert_eq!(all(&mut from_begin), events);
        for (place, event) in events.iter().enumerate() {
            let mut stream = database.watch_with(after(&event.token)).unwrap();
            assert_eq!(stream.token(), event.token);
            let rest = all(&mut stream);
            assert_eq!(rest, events[place + 1..], "behind {}", told(event));
        }
    };
    judge(&database);
    drop((items, database));
    // Not closed: what is kept is what a recovery reads.
    let database = open(&path);
    judge(&database);
    put(&database.collection("renamed"), 4, 4);
    let mut stream = database.watch_with(after(&events[16].token)).unwrap();
    assert_eq!(shown(&mut stream), ["Replace renamed 4 n=4"]);
}

#[test]
fn names_are_those_of_the_moment_when_a_collection_was_dropped_renamed_and_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let mut stream = database.watch().unwrap();
    let begin = stream.token();
    let a = database.collection("a");
    put(&a, 1, 1);
    put(&database.collection("b"), 1, 2);
    a.rename("b", true).unwrap();
    put(&database.collection("b"), 1, 3);
    put(&a, 1, 4);
    database.collection("b").drop_collection().unwrap();
    a.rename("b", false).unwrap();
    put(&database.collection("b"), 1, 5);
    put(&a, 1, 6);
    database.drop_database().unwrap();
    put(&a, 1, 7);
    let expected = [
        "Create a",
        "Insert a 1 n=1",
        "Create b",
        "Insert b 1 n=2",
        "Rename a b",
        "Replace b 1 n=3",
        "Create a",
        "Insert a 1 n=4",
        "Drop b",
        "Rename a b",
        "Replace b 1 n=5",
        "Create a",
        "Insert a 1 n=6",
        "Drop a",
        "Drop b",
        "DropDatabase",
        "Invalidate",
    ];
    assert_eq!(shown(&mut stream), expected);
    assert!(stream.has_ended());
    let mut everything = database
        .watch_with(after(&begin).whole_directory())
        .unwrap();
    let events = all(&mut everything);
    let text: Vec<_> = events.iter().map(told).collect();
    assert_eq!(text[..16], expected[..16]);
    assert_eq!(text[16..], ["Create a", "Insert a 1 n=7"]);
    for (place, event) in events.iter().enumerate() {
        let options = after(&event.token).whole_directory();
        let mut stream = database.watch_with(options).unwrap();
        assert_eq!(all(&mut stream), events[place + 1..]);
    }
}

#[test]
fn a_token_of_nothing_of_another_database_or_too_old_is_refused_by_name() {
    let error = "nonsense".parse::<ResumeToken>().unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::BadValue, Some(260))
    );
    let directory = tempfile::tempdir().unwrap();
    let database = open(&directory.path().join("db"));
    let other = open(&directory.path().join("other"));
    let foreign = other.watch().unwrap().token();
    let error = database.watch_with(after(&foreign)).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::ChangesLost, Some(286))
    );
    // Nothing keeps the log.
    let token = database.watch().unwrap().token();
    let large = "x".repeat(1 << 20);
    for id in 0..20 {
        database
            .collection("items")
            .insert_one(doc! { "_id": id, "large": &large })
            .unwrap();
        database.checkpoint().unwrap();
    }
    let error = database.watch_with(after(&token)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ChangesLost, "{error}");
}

#[test]
fn changes_are_kept_for_whoever_comes_back_if_the_options_say_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let options = || Database::options().keep_changes(256 << 20, Duration::from_secs(3600));
    let database = options().open(&path).unwrap();
    let token = database.watch().unwrap().token();
    let large = "x".repeat(1 << 20);
    for id in 0..20 {
        database
            .collection("items")
            .insert_one(doc! { "_id": id, "large": &large })
            .unwrap();
        database.checkpoint().unwrap();
    }
    let mut stream = database.watch_with(after(&token)).unwrap();
    assert_eq!(all(&mut stream).len(), 21);
    drop(stream);
    database.close().unwrap();
    drop(database);
    let database = options().open(&path).unwrap();
    let mut stream = database.watch_with(after(&token)).unwrap();
    assert_eq!(all(&mut stream).len(), 21);
}
