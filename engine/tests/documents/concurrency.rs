//! Many clients at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use bson::doc;
use collection_store::ErrorKind;

use crate::on_memory_and_file;

#[test]
fn of_many_inserts_of_one_id_exactly_one_succeeds() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        let won = AtomicU64::new(0);
        thread::scope(|scope| {
            for worker in 0..4 {
                let (c, won) = (&c, &won);
                scope.spawn(move || {
                    for n in 0..50 {
                        match c.insert_one(doc! { "_id": n, "worker": worker }) {
                            Ok(_) => {
                                won.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(error) => assert_eq!(error.kind(), ErrorKind::DuplicateKey),
                        }
                    }
                });
            }
        });
        assert_eq!(won.into_inner(), 50);
        assert_eq!(c.count(doc! {}).unwrap(), 50);
        assert_eq!(database.list_collections().unwrap().len(), 1);
    });
}

#[test]
fn conditional_replacements_of_one_document_lose_no_step() {
    on_memory_and_file(|database| {
        let c = database.collection("c");
        c.insert_one(doc! { "_id": 1, "n": 0 }).unwrap();
        let steps = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                let (c, steps) = (&c, &steps);
                scope.spawn(move || {
                    // Compare and swap: n becomes n + 1 only where it still is n.
                    while steps.load(Ordering::Relaxed) < 100 {
                        let n = c.find_by_id(1).unwrap().unwrap().get_i32("n").unwrap();
                        let filter = doc! { "_id": 1, "n": n };
                        let result = c.replace_one(filter, doc! { "n": n + 1 }).unwrap();
                        steps.fetch_add(result.modified, Ordering::Relaxed);
                    }
                });
            }
        });
        let n = c.find_by_id(1).unwrap().unwrap().get_i32("n").unwrap();
        assert_eq!(u64::try_from(n).unwrap(), steps.into_inner());
    });
}

#[test]
fn inserts_go_on_while_the_collection_is_dropped_and_renamed() {
    on_memory_and_file(|database| {
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for worker in 0..2 {
                let (c, stop) = (database.collection("c"), &stop);
                scope.spawn(move || {
                    let mut n = 0;
                    while !stop.load(Ordering::Relaxed) {
                        c.insert_one(doc! { "worker": worker, "n": n }).unwrap();
                        c.find_one(doc! { "worker": worker }).unwrap();
                        n += 1;
                    }
                });
            }
            let c = database.collection("c");
            for round in 0..40 {
                if round % 2 == 0 {
                    c.drop_collection().unwrap();
                } else if let Err(error) = c.rename("d", true) {
                    assert_eq!(error.kind(), ErrorKind::NamespaceNotFound);
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        let names: Vec<String> = database
            .list_collections()
            .unwrap()
            .into_iter()
            .map(|info| info.name)
            .collect();
        assert!(
            names.iter().all(|name| name == "c" || name == "d"),
            "{names:?}"
        );
    });
}

#[test]
fn an_insert_after_a_rename_was_acknowledged_never_lands_in_the_renamed_one() {
    on_memory_and_file(|database| {
        let a = database.collection("a");
        for round in 0..30 {
            a.insert_one(doc! { "_id": 0, "round": round }).unwrap();
            let b = a.rename("b", true).unwrap();
            a.insert_one(doc! { "_id": 1 }).unwrap();
            assert_eq!(b.count(doc! {}).unwrap(), 1);
            assert_eq!(a.count(doc! {}).unwrap(), 1);
            a.drop_collection().unwrap();
        }
    });
}
