//! Bulk load, compaction and accounts through the public face.

use std::ops::ControlFlow;

use bson::doc;
use collection_store::{
    BulkOptions, CancelFlag, CompactOptions, Database, Duplicates, ErrorKind, OperationContext,
};

use crate::on_memory_and_file;

fn go_on<T>(_: &T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_bulk_load_makes_the_collection_and_fills_it_in_any_order() {
    on_memory_and_file(|database| {
        let collection = database.collection("numbers");
        let documents = (0..5000).map(|number| doc! { "_id": number * 7919 % 5003, "n": number });
        let options = BulkOptions::default();
        let report = collection.bulk_load(documents, &options, go_on).unwrap();
        assert_eq!(report.entries, 5000);
        assert_eq!(collection.count(doc! {}).unwrap(), 5000);
        let found = collection
            .find_one(doc! { "_id": 7919 % 5003 })
            .unwrap()
            .unwrap();
        assert_eq!(found.get_i32("n").unwrap(), 1);
        // Generated ids ascend, and go behind what is there.
        let more = (0..100).map(|number| doc! { "more": number });
        let report = collection.bulk_load(more, &options, go_on).unwrap();
        assert_eq!((report.entries, report.appended), (100, 1));
        assert_eq!(database.stats().unwrap().operations.inserted, 5100);
    });
}

#[test]
fn a_bulk_load_says_which_document_is_at_fault() {
    on_memory_and_file(|database| {
        let collection = database.collection("c");
        let documents = || [1, 2, 3, 2].map(|id| doc! { "_id": id });
        let mut options = BulkOptions::default();
        let error = collection
            .bulk_load(documents(), &options, go_on)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateKey);
        assert!(error.message().contains("entry 3"), "{error}");
        options.duplicates = Duplicates::Replace;
        collection.bulk_load(documents(), &options, go_on).unwrap();
        assert_eq!(collection.count(doc! {}).unwrap(), 3);
        let bad = [doc! { "_id": [1] }];
        let error = collection.bulk_load(bad, &options, go_on).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidId);
        let cancel = CancelFlag::new();
        cancel.cancel();
        let context = OperationContext::new().cancel_flag(cancel);
        let loaded = collection.bulk_load_with(&context, documents(), &options, go_on);
        assert_eq!(loaded.unwrap_err().kind(), ErrorKind::Interrupted);
        let stopped = collection.bulk_load(documents(), &options, |_| ControlFlow::Break(()));
        assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Interrupted);
    });
}

#[test]
fn compaction_gives_back_what_was_deleted_and_the_account_says_the_files_sizes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("db");
    let database = Database::options().auto_compact(None).open(&path).unwrap();
    let collection = database.collection("c");
    let text = "x".repeat(300);
    let documents = (0..20_000).map(|id| doc! { "_id": id, "text": &text });
    collection
        .bulk_load(documents, &BulkOptions::default(), go_on)
        .unwrap();
    collection
        .delete_many(doc! { "_id": { "$gte": 1000 } })
        .unwrap();
    let options = CompactOptions::default();
    let report = database.compact(&options, go_on).unwrap();
    assert!(report.bytes_after * 2 < report.bytes_before, "{report:?}");
    let account = database.account(|_, _| ControlFlow::Continue(())).unwrap();
    let files: u64 = std::fs::read_dir(&path)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "lock")
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert_eq!(account.total(), files, "{account:#?}");
    let space = database.space().unwrap();
    assert_eq!(space.data_bytes + space.log_bytes, files);
    assert_eq!(collection.count(doc! {}).unwrap(), 1000);
    let cancelled = database.compact(&options, |_| ControlFlow::Break(()));
    assert_eq!(cancelled.unwrap_err().kind(), ErrorKind::Interrupted);
    database.close().unwrap();
    let database = Database::open_read_only(&path).unwrap();
    let refused = database.compact(&options, go_on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ReadOnly);
}
