//! Databases that somebody else is writing meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bson::doc;
use collection_store::{Database, Durability};

use crate::support::{Scratch, all_text, code, inspect, inspect_with_input, json};

/// How long the writer is watched.
const WATCH: Duration = Duration::from_secs(6);

#[test]
fn a_database_in_use_never_looks_damaged() {
    let scratch = Scratch::closed(300);
    // Checkpoints all the time: pages and segments are reused under the readers.
    let options = Database::options()
        .durability(Durability::Async)
        .checkpoint_log_bytes(1 << 20);
    let database = options.open(scratch.path()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| write(&database, &stop));
        let watched = std::panic::catch_unwind(|| watch(&scratch));
        stop.store(true, Ordering::Relaxed);
        watched.unwrap();
    });
    database.close().unwrap();
    let output = inspect(&["check", &scratch.text()]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
}

/// Inserts, replaces and deletes until told to stop.
fn write(database: &Database, stop: &AtomicBool) {
    let people = database.collection("people");
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        for id in 1000..1200 {
            let size = (id * 7 + round * 31) % 9000;
            let document = doc! { "_id": id, "round": round, "text": "z".repeat(size as usize) };
            people.delete_one(doc! { "_id": id }).unwrap();
            people.insert_one(document).unwrap();
        }
        database
            .collection("passing")
            .insert_one(doc! { "_id": round })
            .unwrap();
        if round % 3 == 0 {
            database.collection("passing").drop_collection().unwrap();
        }
    }
}

fn watch(scratch: &Scratch) {
    let db = scratch.text();
    let start = Instant::now();
    let (mut sound, mut overtaken) = (0, 0);
    while start.elapsed() < WATCH {
        for command in [
            vec!["info", &db],
            vec!["check", &db],
            vec!["dump", &db, "people"],
            vec!["tree", &db, "people"],
            vec!["wal", "dump", &db],
            vec!["wal", "list", &db],
            vec!["page", &db, "7"],
            vec!["pages", &db, "--summary"],
            vec!["free", &db],
            vec!["stats", &db],
            vec!["account", &db, "7"],
        ] {
            let output = inspect(&command);
            match code(&output) {
                0 => sound += 1,
                4 => overtaken += 1,
                _ => panic!("{command:?}: {}", all_text(&output)),
            }
            if code(&output) == 0 && command[0] == "dump" {
                let lines = output.stdout.iter().filter(|&&byte| byte == b'\n').count();
                // One document at most is deleted and not yet inserted again.
                assert!(lines >= 300, "{lines} documents");
            }
        }
    }
    println!("{sound} sound, {overtaken} overtaken");
    assert!(sound > 4, "{sound} sound, {overtaken} overtaken");
}

#[test]
fn who_has_the_database_is_named_and_load_gives_up_in_time() {
    let scratch = Scratch::closed(10);
    let database = scratch.open();
    let me = std::process::id();
    let info = json(&["info", &scratch.text()]);
    if !info["lock"]["held"].is_null() {
        assert_eq!(
            (&info["lock"]["held"], &info["lock"]["pid"]),
            (&true.into(), &me.into())
        );
    }
    let start = Instant::now();
    let arguments = ["--timeout", "0.3", "load", &scratch.text(), "new", "-"];
    let output = inspect_with_input(&arguments, b"{}\n");
    assert_eq!(code(&output), 4, "{}", all_text(&output));
    assert!(
        all_text(&output).contains(&format!("pid {me}")),
        "{}",
        all_text(&output)
    );
    assert!(start.elapsed() < Duration::from_secs(3));
    database.close().unwrap();
    drop(database);
    let output = inspect_with_input(&["load", &scratch.text(), "new", "-"], b"{}\n");
    assert_eq!(code(&output), 0, "{}", all_text(&output));
}
