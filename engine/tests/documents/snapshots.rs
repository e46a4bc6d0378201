//! Named snapshots through the public surface.

use std::ops::ControlFlow;
use std::time::Duration;

use bson::{Document, doc};
use collection_store::{
    BulkOptions, ChangeOperation, Database, DatabaseSnapshot, ErrorKind, IndexModel,
    OperationContext, WatchOptions,
};

use crate::{ids, on_memory_and_file};

fn shop(database: &Database) -> collection_store::Collection {
    let orders = database.collection("orders");
    orders
        .insert_many((0..2000).map(|id| doc! { "_id": id, "n": id % 7 }))
        .unwrap();
    orders
}

fn names(snapshot: &DatabaseSnapshot) -> Vec<String> {
    let list = snapshot.list_collections().unwrap();
    list.into_iter().map(|info| info.name).collect()
}

#[test]
fn a_named_snapshot_is_read_as_it_was_whatever_happens_later() {
    on_memory_and_file(|database| {
        let orders = shop(database);
        let other = database.database("other");
        other.collection("c").insert_one(doc! { "_id": 1 }).unwrap();
        let before: Vec<_> = ids(&orders, doc! { "n": 3 });
        let made = database.create_snapshot("then").unwrap();

        orders
            .update_many(doc! {}, doc! { "$set": { "n": 9 } })
            .unwrap();
        orders.delete_many(doc! { "_id": { "$gt": 100 } }).unwrap();
        orders.rename("moved", false).unwrap();
        database.collection("new").insert_one(doc! {}).unwrap();
        other.drop_database().unwrap();

        let then = database.open_snapshot("then").unwrap();
        assert_eq!(
            (then.name(), then.transaction()),
            ("then", made.transaction)
        );
        assert_eq!(then.time(), made.time);
        let old = then.collection("orders");
        assert_eq!(ids(&old, doc! { "n": 3 }), before);
        assert_eq!(old.count(doc! {}).unwrap(), 2000);
        assert_eq!(old.stats().unwrap().documents, 2000);
        assert_eq!(old.distinct("n", doc! {}).unwrap().len(), 7);
        assert!(old.find_by_id(150).unwrap().is_some());
        assert!(!then.collection("moved").exists_now().unwrap());
        assert_eq!(names(&then), ["orders"]);
        assert_eq!(names(&then.database("other")), ["c"]);
        assert_eq!(then.list_databases().unwrap(), ["main", "other"]);
        assert_eq!(database.list_databases().unwrap(), ["main"]);

        // Whoever reads it may go on when it is dropped.
        assert!(database.drop_snapshot("then").unwrap());
        assert!(!database.drop_snapshot("then").unwrap());
        assert_eq!(ids(&old, doc! { "n": 3 }), before);
        let gone = database.open_snapshot("then").unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NamespaceNotFound);
    });
}

#[test]
fn every_write_to_a_named_snapshot_is_refused_by_its_name() {
    let database = Database::open_in_memory().unwrap();
    shop(&database);
    database.create_snapshot("then").unwrap();
    let then = database.open_snapshot("then").unwrap();
    let (old, none) = (then.collection("orders"), then.collection("none"));
    let context = OperationContext::new();
    let mut refusals = Vec::new();
    for c in [&old, &none] {
        let loaded = c.bulk_load([doc! {}], &BulkOptions::default(), |_| {
            ControlFlow::Continue(())
        });
        refusals.extend([
            c.insert_one(doc! { "_id": 9000 }).unwrap_err(),
            c.insert_many([doc! {}]).unwrap_err(),
            c.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } })
                .unwrap_err(),
            c.update_one(doc! { "n": 1 }, doc! { "$inc": { "n": 1 } })
                .unwrap_err(),
            c.update_many(doc! {}, doc! { "$inc": { "n": 1 } })
                .unwrap_err(),
            c.replace_one(doc! { "_id": 1 }, doc! {}).unwrap_err(),
            c.delete_one(doc! { "_id": 1 }).unwrap_err(),
            c.delete_one(doc! { "n": 1 }).unwrap_err(),
            c.delete_many(doc! {}).unwrap_err(),
            c.drop_collection().unwrap_err(),
            c.rename("other", false).unwrap_err(),
            c.create_with(&context, doc! {}).unwrap_err(),
            loaded.unwrap_err(),
            c.watch().unwrap_err(),
        ]);
    }
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        assert!(error.message().contains("the snapshot 'then'"), "{error}");
    }
    assert_eq!(database.collection("orders").count(doc! {}).unwrap(), 2000);
    assert_eq!(database.list_collections().unwrap().len(), 1);
}

#[test]
fn named_snapshots_survive_a_restart_and_say_what_they_keep() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    {
        let database = Database::open(&path).unwrap();
        let orders = shop(&database);
        database.create_snapshot("one").unwrap();
        orders
            .update_many(doc! {}, doc! { "$set": { "n": -1 } })
            .unwrap();
        database.create_snapshot("two").unwrap();
        let again = database.create_snapshot("two").unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NamespaceExists);
        assert_eq!(
            database.create_snapshot(" ").unwrap_err().kind(),
            ErrorKind::BadValue
        );
        database.close().unwrap();
        assert_eq!(
            database.list_snapshots().unwrap_err().kind(),
            ErrorKind::Closed
        );
    }
    let database = Database::open(&path).unwrap();
    let list = database.list_snapshots().unwrap();
    let found: Vec<_> = list.iter().map(|info| info.name.as_str()).collect();
    assert_eq!(found, ["one", "two"]);
    assert!(list[0].retained_bytes > list[1].retained_bytes, "{list:?}");
    assert!(list[0].transaction < list[1].transaction && list[0].time < list[1].time);
    let stats = database.stats().unwrap();
    assert_eq!(stats.named_snapshots.len(), 2);
    assert_eq!(stats.named_snapshots[0].name, "one");
    let one = database.open_snapshot("one").unwrap();
    assert_eq!(one.collection("orders").count(doc! { "n": -1 }).unwrap(), 0);
    assert_eq!(one.collection("orders").count(doc! {}).unwrap(), 2000);
    assert!(database.store().check().unwrap().findings.is_empty());

    database.close().unwrap();
    let closed = one.collection("orders").count(doc! {}).unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::Closed);
}

#[test]
fn a_stream_that_resumes_after_a_snapshot_tells_what_changed_since() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::options()
        .keep_changes(64 << 20, Duration::from_secs(3600))
        .open(directory.path().join("db"))
        .unwrap();
    let orders = shop(&database);
    let made = database.create_snapshot("then").unwrap();
    orders.delete_one(doc! { "_id": 5 }).unwrap();
    let options = WatchOptions::new().resume_after(made.token);
    let mut stream = orders.watch_with(options).unwrap();
    let event = stream.next().unwrap().unwrap();
    assert_eq!(event.operation, ChangeOperation::Delete);
    assert_eq!(event.document_key, Some(5.into()));
    assert!(stream.next().unwrap().is_none());
}

#[test]
fn a_backup_has_one_state_the_newest_or_a_named_one() {
    let directory = tempfile::tempdir().unwrap();
    let database = Database::open(directory.path().join("db")).unwrap();
    let orders = shop(&database);
    database.create_snapshot("then").unwrap();
    orders.delete_many(doc! { "n": 3 }).unwrap();
    let file = directory.path().join("shop.csb");
    let go_on = |_: &_| ControlFlow::Continue(());
    database
        .backup_to(&file, &Default::default(), go_on)
        .unwrap();
    Database::restore(&file, directory.path().join("copy")).unwrap();
    let copy = Database::open(directory.path().join("copy")).unwrap();
    let documents = |database: &Database| -> Vec<Document> {
        let found = database.collection("orders").find(doc! {}).run().unwrap();
        found
            .map(|one| Document::try_from(&*one.unwrap()).unwrap())
            .collect()
    };
    assert_eq!(documents(&copy), documents(&database));
    assert!(copy.list_snapshots().unwrap().is_empty());

    // After a restart too, when the name's own record is all that is known of it.
    database.close().unwrap();
    drop((orders, database));
    let database = Database::open(directory.path().join("db")).unwrap();
    let then = database.open_snapshot("then").unwrap();
    let file = directory.path().join("then.csb");
    let report = then.backup_to(&file, &Default::default(), go_on).unwrap();
    let position = report.summary.position;
    assert_eq!(position.index.get(), then.transaction());
    assert!(position.incarnation.get() > 0);
    let found = Database::verify_backup(&file, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(found, report.summary);
    Database::restore(&file, directory.path().join("old")).unwrap();
    let old = Database::open(directory.path().join("old")).unwrap();
    assert_eq!(old.collection("orders").count(doc! {}).unwrap(), 2000);
    assert_ne!(documents(&old), documents(&database));
}

#[test]
fn a_named_snapshot_has_the_indexes_of_its_time() {
    let database = Database::open_in_memory().unwrap();
    let orders = shop(&database);
    orders
        .create_index(IndexModel::new(doc! { "n": 1 }))
        .unwrap();
    database.create_snapshot("then").unwrap();
    orders
        .update_many(doc! { "n": 3 }, doc! { "$set": { "n": 30 } })
        .unwrap();
    orders.drop_index("n_1").unwrap();
    orders
        .create_index(IndexModel::new(doc! { "m": 1 }))
        .unwrap();
    let then = database.open_snapshot("then").unwrap();
    let old = then.collection("orders");
    assert_eq!(old.count(doc! { "n": 3 }).unwrap(), 286);
    assert_eq!(old.count(doc! { "n": 30 }).unwrap(), 0);
    let names: Vec<_> = old
        .list_indexes()
        .unwrap()
        .iter()
        .map(|i| format!("{i:?}"))
        .collect();
    let all = names.join(" ");
    assert!(all.contains("n_1") && !all.contains("m_1"), "{all}");
    let refused = old
        .create_index(IndexModel::new(doc! { "k": 1 }))
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
    assert_eq!(
        old.drop_index("n_1").unwrap_err().kind(),
        ErrorKind::ReadOnly
    );
    assert!(database.store().check().unwrap().findings.is_empty());
}
