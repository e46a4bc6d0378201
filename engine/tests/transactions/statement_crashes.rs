//! Statements of a session are sent until they are answered, through crashes.

use std::sync::Arc;

use bson::doc;
use collection_store::io::SimRuntime;
use collection_store::io::sim::{CrashKind, Replay, Rng, SimDisk, SimOptions};
use collection_store::{Database, ErrorKind, UpdateOptions};

use crate::all;
use crate::statements::statement;

fn open(disk: Arc<SimDisk>, seed: u64) -> Database {
    Database::options()
        .checkpoint_log_bytes(64 << 10)
        .auto_compact(None)
        .open_on(disk, SimRuntime::new(seed))
        .unwrap()
}

/// What the client of a life sends as statement `number`; what it came to.
fn send(database: &Database, number: u64) -> String {
    let items = database.collection("items");
    let (context, n) = (statement(number), number as i64);
    match number % 5 {
        0 => format!(
            "{:?}",
            items
                .insert_one_with(&context, doc! { "_id": n, "by": n })
                .unwrap()
        ),
        1 | 2 => {
            let filter = if number % 5 == 1 {
                doc! { "_id": 0 }
            } else {
                doc! { "m": 0 }
            };
            let update = doc! { "$inc": { "n": 1 }, "$push": { "by": n } };
            let options = UpdateOptions::default();
            format!(
                "{:?}",
                items
                    .update_one_with(&context, filter, update, &options)
                    .unwrap()
            )
        }
        3 => {
            let documents = (0..3).map(|i| doc! { "_id": format!("{n}.{i}") });
            let inserted = items.insert_many_with(&context, documents, Default::default());
            format!("{:?}", inserted.unwrap())
        }
        _ => {
            let filter =
                doc! { "_id": { "$in": [format!("{}.0", n - 1), format!("{}.2", n - 1)] } };
            format!("{:?}", items.delete_many_with(&context, filter).unwrap())
        }
    }
}

/// Statements, each sent until it is answered, through crashes at any write or sync.
fn life(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut disk = SimDisk::new(seed, SimOptions::default());
    let database = open(disk.clone(), seed);
    database
        .collection("items")
        .insert_one(doc! { "_id": 0, "m": 0, "n": 0 })
        .unwrap();
    drop(database);
    let (mut number, mut answer) = (1, None);
    for round in 0..8 {
        let database = open(disk.clone(), seed ^ round);
        // The last one that was answered, once more: nobody knows whether it was heard.
        if let Some(answer) = &answer {
            assert_eq!(&send(&database, number - 1), answer, "seed {seed}");
        }
        for _ in 0..rng.below(12) {
            answer = Some(send(&database, number));
            number += 1;
            if rng.below(6) == 0 {
                database.store().step().unwrap();
            }
        }
        // One that may or may not have got anywhere when the machine goes down.
        let context = statement(number).durability(collection_store::Durability::Async);
        let lost = rng.below(2) == 0 && number % 5 == 0;
        if lost {
            let items = database.collection("items");
            items
                .insert_one_with(&context, doc! { "_id": number as i64, "by": number as i64 })
                .unwrap();
        }
        let kinds = [CrashKind::Machine, CrashKind::Process];
        let image = disk.crash(&mut rng, kinds[(seed % 2) as usize]);
        drop(database);
        disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        if lost {
            let database = open(disk.clone(), seed ^ round ^ 1000);
            answer = Some(send(&database, number));
            number += 1;
            drop(database);
        }
    }
    let database = open(disk, seed);
    let items = database.collection("items");
    for sent in 1..number {
        let n = sent as i64;
        let found = match sent % 5 {
            0..=2 => items.count(doc! { "by": n }).unwrap(),
            3 => items.count(doc! { "_id": format!("{n}.1") }).unwrap(),
            _ => 1 - items.count(doc! { "_id": format!("{}.0", n - 1) }).unwrap(),
        };
        assert_eq!(found, 1, "seed {seed}, statement {sent}");
    }
    let updates = (1..number).filter(|sent| matches!(sent % 5, 1 | 2)).count();
    assert_eq!(
        items.count(doc! { "n": updates as i64 }).unwrap(),
        1,
        "seed {seed}"
    );
    assert!(database.store().check().unwrap().findings.is_empty());
}

#[test]
fn statements_that_are_sent_until_they_are_answered_happen_once_through_crashes() {
    for seed in 0..60 {
        life(seed);
    }
}

/// A crash of the machine at each operation on the disk: the statement that was
/// answered last answers the same, and all that follow come to what they came to.
#[test]
fn a_crash_at_any_operation_on_the_disk_loses_no_statement_and_repeats_none() {
    const SENT: u64 = 12;
    let disk = SimDisk::new(1, SimOptions::default());
    let database = open(disk.clone(), 1);
    database
        .collection("items")
        .insert_one(doc! { "_id": 0, "m": 0, "n": 0 })
        .unwrap();
    let begin = disk.event_count();
    disk.mark(0);
    let mut answers = vec![String::new()];
    for number in 1..=SENT {
        answers.push(send(&database, number));
        disk.mark(number);
        if number == SENT / 2 {
            database.checkpoint().unwrap();
        }
    }
    let expected = all(&database.collection("items"));
    let journal = disk.journal();
    drop(database);

    let mut replay = Replay::new(&journal);
    let mut rng = Rng::new(5);
    for event in begin + 1..=journal.len() {
        replay.advance_to(event);
        let answered = replay.last_mark().unwrap();
        let image = replay.crash(&mut rng, CrashKind::Machine);
        let disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        let database = open(disk, event as u64);
        // The last one that was answered is known, or the next was carried out since.
        let context = statement(answered);
        let again = database
            .collection("items")
            .insert_one_with(&context, doc! { "_id": 0 });
        match again {
            Ok(id) => assert_eq!(id.to_string(), answered.to_string(), "event {event}"),
            Err(error) if answered > 0 => assert_eq!(error.kind(), ErrorKind::AlreadyApplied),
            Err(error) => assert_ne!(error.kind(), ErrorKind::Corruption),
        }
        for number in answered + 1..=SENT {
            let answer = send(&database, number);
            assert_eq!(
                answer, answers[number as usize],
                "event {event}, statement {number}"
            );
        }
        assert_eq!(
            all(&database.collection("items")),
            expected,
            "event {event}"
        );
    }
}
