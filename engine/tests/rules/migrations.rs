//! Schema versions and migrations.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use bson::{Document, doc, rawdoc};
use collection_store::{
    Collection, Database, ErrorKind, IndexModel, MigrationReport, Schema, SchemaField,
};

use crate::{all, is_refused};

/// Names of version 0 are split in 1, and counted in 2.
fn register(database: &Database) {
    database.register_migration("c", 0, |mut user| {
        let name = user.remove("name").ok_or("it has no name")?;
        let name = name.as_str().ok_or("its name is no text")?.to_owned();
        let parts: Vec<_> = name.split(' ').collect();
        user.insert("parts", parts);
        Ok(user)
    });
    database.register_migration("c", 1, |mut user| {
        let count = user
            .get_array("parts")
            .map_err(|error| error.to_string())?
            .len();
        user.insert("count", i32::try_from(count).unwrap());
        Ok(user)
    });
}

fn go_on(_: &MigrationReport) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn users(database: &Database, count: i32) -> Collection {
    let users = database.collection("c");
    let documents = (0..count).map(|id| doc! { "_id": id, "name": format!("A{id} B") });
    users.insert_many(documents).unwrap();
    users
}

fn new(id: i32) -> bson::RawDocumentBuf {
    rawdoc! { "_id": id, "parts": [format!("A{id}"), "B"], "count": 2 }
}

#[test]
fn documents_are_read_and_written_in_the_new_version() {
    let database = Database::open_in_memory().unwrap();
    register(&database);
    let users = users(&database, 5);
    users
        .create_index(IndexModel::new(doc! { "count": 1 }))
        .unwrap();
    users
        .create_index(IndexModel::new(doc! { "name": 1 }))
        .unwrap();
    users.set_schema_version(2).unwrap();
    let version = users.schema_version().unwrap();
    assert_eq!(
        (version.current, version.base, version.known),
        (2, 0, Some(2))
    );
    // Wherever they are read from.
    assert_eq!(all(&users), (0..5).map(new).collect::<Vec<_>>());
    assert_eq!(users.find_by_id(3).unwrap(), Some(new(3)));
    assert_eq!(users.count(doc! { "count": 2 }).unwrap(), 5);
    assert_eq!(
        users.count(doc! { "name": { "$exists": true } }).unwrap(),
        0
    );
    assert_eq!(users.distinct("parts", doc! { "_id": 1 }).unwrap().len(), 2);
    let within = database.begin().unwrap();
    assert_eq!(
        within.collection("c").find_one(doc! { "_id": 1 }).unwrap(),
        Some(new(1))
    );
    drop(within);
    assert!(users.check_indexes().unwrap().findings.is_empty());
    // Whatever is written has the new version, and so have its index entries.
    users
        .update_one(doc! { "_id": 0 }, doc! { "$inc": { "count": 1 } })
        .unwrap();
    users
        .update_many(doc! { "_id": 1 }, doc! { "$set": { "count": 7 } })
        .unwrap();
    users
        .replace_one(doc! { "_id": 2 }, doc! { "parts": [], "count": 0 })
        .unwrap();
    users.delete_one(doc! { "_id": 3 }).unwrap();
    users
        .insert_one(doc! { "_id": 9, "parts": ["x"], "count": 1 })
        .unwrap();
    users
        .insert_many([doc! { "_id": 10, "parts": ["y"], "count": 1 }])
        .unwrap();
    let transaction = database.begin().unwrap();
    transaction
        .collection("c")
        .insert_one(doc! { "_id": 11, "parts": [], "count": 0 })
        .unwrap();
    transaction.commit().unwrap();
    let counts: Vec<_> = all(&users)
        .iter()
        .map(|it| it.get_i32("count").unwrap())
        .collect();
    assert_eq!(counts, [3, 7, 0, 2, 1, 1, 0]);
    assert!(users.check_indexes().unwrap().findings.is_empty());
    let report = users.migrate(go_on).unwrap();
    assert_eq!(
        (report.documents, report.migrated, report.is_done),
        (7, 1, true)
    );
    let version = users.schema_version().unwrap();
    assert_eq!((version.current, version.base), (2, 2));
    let again: Vec<_> = all(&users)
        .iter()
        .map(|it| it.get_i32("count").unwrap())
        .collect();
    assert_eq!(counts, again);
    assert!(users.check_indexes().unwrap().findings.is_empty());
    assert_eq!(
        users
            .find(doc! { "count": 7 })
            .hint("count_1")
            .count()
            .unwrap(),
        1
    );
}

#[test]
fn a_migration_is_gone_on_with_after_an_interruption_and_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    {
        let database = Database::open(directory.path()).unwrap();
        register(&database);
        let users = users(&database, 2500);
        users.set_schema_version(1).unwrap();
        let error = users.migrate(|_| ControlFlow::Break(())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
    {
        // Without the steps nothing is read, nor written.
        let database = Database::open(directory.path()).unwrap();
        let users = database.collection("c");
        for error in [
            users.find_by_id(1).unwrap_err(),
            users.find_one(doc! {}).unwrap_err(),
            users.insert_one(doc! {}).unwrap_err(),
            users
                .update_one(doc! {}, doc! { "$set": { "a": 1 } })
                .unwrap_err(),
            users
                .update_one(doc! { "_id": 1 }, doc! { "$set": { "a": 1 } })
                .unwrap_err(),
            users.delete_one(doc! { "_id": 1 }).unwrap_err(),
            users.migrate(go_on).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotRegistered, "{error}");
        }
    }
    let database = Database::open(directory.path()).unwrap();
    register(&database);
    let users = database.collection("c");
    // A newer version while one is under way.
    users.set_schema_version(2).unwrap();
    assert_eq!(users.find_by_id(2499).unwrap(), Some(new(2499)));
    assert_eq!(users.find_by_id(1).unwrap(), Some(new(1)));
    let report = users.migrate(go_on).unwrap();
    assert_eq!(
        (report.documents, report.migrated, report.is_done),
        (2500, 2500, true)
    );
    assert_eq!(users.count(doc! { "count": 2 }).unwrap(), 2500);
    assert_eq!(users.migrate(go_on).unwrap().migrated, 0);
}

#[test]
fn errors_name_document_and_version() {
    let database = Database::open_in_memory().unwrap();
    register(&database);
    let users = users(&database, 3);
    users.insert_one(doc! { "_id": "odd" }).unwrap();
    users.set_schema_version(2).unwrap();
    for error in [
        users.migrate(go_on).unwrap_err(),
        users.find_by_id("odd").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::MigrationFailed);
        assert_eq!(
            error.message(),
            "document \"odd\" of 'main.c' cannot go from schema version 0 to 1: it has no name"
        );
    }
    // Its step learns to take it; the rest goes on.
    database.register_migration("c", 0, |mut user| {
        user.remove("name");
        user.insert("parts", Vec::<String>::new());
        Ok(user)
    });
    assert!(users.migrate(go_on).unwrap().is_done);
    assert_eq!(users.count(doc! { "count": 0 }).unwrap(), 4);
}

#[test]
fn a_step_keeps_the_id_and_makes_a_document() {
    let database = Database::open_in_memory().unwrap();
    let users = users(&database, 1);
    database.register_migration("c", 0, |mut user| {
        user.insert("_id", 77);
        Ok(user)
    });
    users.set_schema_version(1).unwrap();
    assert_eq!(
        users.find_by_id(0).unwrap_err().kind(),
        ErrorKind::MigrationFailed
    );
    database.register_migration("c", 0, |mut user| {
        user.insert("text", "x".repeat(17 << 20));
        Ok(user)
    });
    assert_eq!(
        users.find_by_id(0).unwrap_err().kind(),
        ErrorKind::MigrationFailed
    );
    database.register_migration("c", 0, |mut user| {
        user.remove("_id");
        user.insert("v", 1);
        Ok(user)
    });
    let kept = rawdoc! { "_id": 0, "name": "A0 B", "v": 1 };
    assert_eq!(users.find_by_id(0).unwrap(), Some(kept));
}

#[test]
fn versions_that_cannot_be_are_refused() {
    let database = Database::open_in_memory().unwrap();
    let users = users(&database, 1);
    assert_eq!(
        users.set_schema_version(1).unwrap_err().kind(),
        ErrorKind::NotRegistered
    );
    register(&database);
    assert_eq!(
        users.set_schema_version(3).unwrap_err().kind(),
        ErrorKind::Unsupported
    );
    users.set_schema_version(2).unwrap();
    users.set_schema_version(2).unwrap();
    assert_eq!(
        users.set_schema_version(1).unwrap_err().kind(),
        ErrorKind::BadValue
    );
    let none = database.collection("none");
    let error = none.set_schema_version(1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NamespaceNotFound);
}

#[test]
fn a_version_newer_than_the_program_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    {
        let database = Database::open(directory.path()).unwrap();
        register(&database);
        let users = users(&database, 1);
        users.set_schema_version(2).unwrap();
        users.migrate(go_on).unwrap();
    }
    let database = Database::open(directory.path()).unwrap();
    database.register_migration("c", 0, Ok::<Document, String>);
    let users = database.collection("c");
    for error in [
        users.find_one(doc! {}).unwrap_err(),
        users.insert_one(doc! {}).unwrap_err(),
        users
            .update_one(doc! { "_id": 0 }, doc! { "$set": { "a": 1 } })
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("version 2"), "{error}");
    }
}

#[test]
fn a_migration_goes_on_beside_writers() {
    let database = Database::open_in_memory().unwrap();
    register(&database);
    let users = users(&database, 3000);
    users
        .create_index(IndexModel::new(doc! { "count": 1 }))
        .unwrap();
    users.set_schema_version(2).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let (users, stop) = (&users, &stop);
            scope.spawn(move || {
                let mut turn = 0;
                while !stop.load(Ordering::Relaxed) {
                    turn += 7;
                    let id = (turn + worker) % 3000;
                    let set = doc! { "$set": { "count": 50 } };
                    users.update_one(doc! { "_id": id }, set).unwrap();
                    let fresh =
                        doc! { "_id": 10_000 + turn * 2 + worker, "parts": [], "count": 50 };
                    users.insert_one(fresh).unwrap();
                    users
                        .delete_one(doc! { "_id": (turn + worker + 1) % 3000 })
                        .unwrap();
                }
            });
        }
        let report = users.migrate(go_on).unwrap();
        assert!(report.is_done);
        stop.store(true, Ordering::Relaxed);
    });
    let broken = users
        .count(doc! { "$or": [{ "name": { "$exists": true } }, { "count": { "$nin": [2, 50] } }] });
    assert_eq!(broken.unwrap(), 0);
    assert!(users.check_indexes().unwrap().findings.is_empty());
}

#[test]
fn what_a_migration_writes_obeys_the_schema() {
    let database = Database::open_in_memory().unwrap();
    register(&database);
    let users = users(&database, 2);
    users.set_schema_version(2).unwrap();
    users
        .set_schema(Schema::new().field("count", SchemaField::int().max(1)))
        .unwrap();
    let error = is_refused(users.migrate(go_on));
    assert!(
        error.message().contains("document 0 of 'main.c'"),
        "{error}"
    );
    users
        .set_schema(Schema::new().field("count", SchemaField::int().max(2)))
        .unwrap();
    assert!(users.migrate(go_on).unwrap().is_done);
}

#[test]
fn what_out_writes_has_the_version_of_its_target() {
    let database = Database::open_in_memory().unwrap();
    register(&database);
    let users = users(&database, 2);
    users.set_schema_version(2).unwrap();
    users.aggregate([doc! { "$out": "c" }]).unwrap();
    let version = users.schema_version().unwrap();
    assert_eq!((version.current, version.base), (2, 2));
    assert_eq!(all(&users), [new(0), new(1)]);
}
