//! Numbers, migrations and rules through crashes of process and machine.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use bson::doc;
use collection_store::io::SimRuntime;
use collection_store::io::sim::{CrashKind, Replay, Rng, SimDisk, SimOptions};
use collection_store::{Database, IndexModel, OperationContext};

use crate::is_refused;

fn open(disk: Arc<SimDisk>, seed: u64) -> Database {
    let database = Database::options()
        .checkpoint_log_bytes(64 << 10)
        .auto_compact(None)
        .expire_interval(None)
        .open_on(disk, SimRuntime::new(seed))
        .unwrap();
    database.register_migration("old", 0, |mut document| {
        let n = document.remove("n").ok_or("it has no n")?;
        document.insert("m", n);
        Ok(document)
    });
    database
}

fn make(database: &Database) {
    let options = doc! {
        "idGeneration": "autoIncrement",
        "validator": { "bad": { "$exists": false } },
    };
    let numbered = database.collection("numbered");
    numbered
        .create_with(&OperationContext::new(), options)
        .unwrap();
    let old = database.collection("old");
    old.create_indexes([
        IndexModel::new(doc! { "n": 1 }),
        IndexModel::new(doc! { "m": 1 }),
    ])
    .unwrap();
    old.insert_many((0..60).map(|id| doc! { "_id": id, "n": id }))
        .unwrap();
}

/// All documents are seen in the collection's version, and indexes agree.
fn check(database: &Database, place: &str) {
    let old = database.collection("old");
    let version = old.schema_version().unwrap().current;
    let field = if version == 0 { "n" } else { "m" };
    let found = old.find(doc! { field: { "$gte": 0 } }).run().unwrap();
    let sum: i32 = found.map(|it| it.unwrap().get_i32(field).unwrap()).sum();
    assert_eq!(sum, (0..60).sum::<i32>(), "{place}");
    let check = old.check_indexes().unwrap();
    assert!(check.findings.is_empty(), "{place}: {check:?}");
    is_refused(
        database
            .collection("numbered")
            .insert_one(doc! { "bad": 1 }),
    );
}

#[test]
fn numbers_are_given_once_and_migrations_go_on_through_crashes() {
    for seed in 0..30 {
        let mut rng = Rng::new(seed);
        let mut disk = SimDisk::new(seed, SimOptions::default());
        make(&open(disk.clone(), seed));
        let mut given = BTreeSet::new();
        for round in 0..8 {
            let place = format!("seed {seed}, round {round}");
            let database = open(disk.clone(), seed ^ round);
            check(&database, &place);
            let numbered = database.collection("numbered");
            for _ in 0..rng.below(9) {
                let number = numbered.insert_one(doc! { "round": round as i64 }).unwrap();
                assert!(
                    given.insert(number.as_i64().unwrap()),
                    "{place}: {number} twice"
                );
            }
            if round > 1 {
                let old = database.collection("old");
                old.set_schema_version(1).unwrap();
                let id = rng.below(60) as i32;
                old.update_one(doc! { "_id": id }, doc! { "$set": { "touched": true } })
                    .unwrap();
                if rng.below(3) == 0 {
                    assert!(old.migrate(|_| ControlFlow::Continue(())).unwrap().is_done);
                }
            }
            if rng.below(4) == 0 {
                database.checkpoint().unwrap();
            }
            let kinds = [CrashKind::Machine, CrashKind::Process];
            let image = disk.crash(&mut rng, kinds[(seed % 2) as usize]);
            drop(database);
            disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        }
        let database = open(disk, seed);
        let count = database.collection("numbered").count(doc! {}).unwrap();
        assert_eq!(
            count,
            given.len() as u64,
            "seed {seed}: what was acknowledged is there"
        );
        assert!(database.store().check().unwrap().findings.is_empty());
    }
}

#[test]
fn a_migration_survives_a_crash_at_any_operation_on_the_disk() {
    let disk = SimDisk::new(3, SimOptions::default());
    let database = open(disk.clone(), 3);
    make(&database);
    let begin = disk.event_count();
    let old = database.collection("old");
    old.set_schema_version(1).unwrap();
    old.update_one(doc! { "_id": 7 }, doc! { "$set": { "touched": true } })
        .unwrap();
    old.migrate(|_| ControlFlow::Continue(())).unwrap();
    let numbered = database.collection("numbered");
    for _ in 0..5 {
        numbered.insert_one(doc! {}).unwrap();
    }
    let journal = disk.journal();
    drop((old, numbered, database));
    let mut replay = Replay::new(&journal);
    let mut rng = Rng::new(9);
    for event in begin + 1..=journal.len() {
        replay.advance_to(event);
        let image = replay.crash(&mut rng, CrashKind::Machine);
        let disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
        let database = open(disk, event as u64);
        check(&database, &format!("event {event}"));
        let old = database.collection("old");
        old.set_schema_version(1).unwrap();
        assert!(old.migrate(|_| ControlFlow::Continue(())).unwrap().is_done);
        check(&database, &format!("event {event}, migrated"));
        let numbered = database.collection("numbered");
        let before: Vec<_> = crate::all(&numbered)
            .iter()
            .map(|it| it.get_i64("_id").unwrap())
            .collect();
        let next = numbered.insert_one(doc! {}).unwrap().as_i64().unwrap();
        assert!(!before.contains(&next));
    }
}
