//! Listeners and change streams, through the public surface.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod before;
mod catalog;
mod crash;
mod listeners;
mod resume;
mod streams;
mod updates;

use std::path::Path;

use bson::doc;
use collection_store::{ChangeEvent, ChangeStream, Collection, Database};

#[test]
fn what_was_seen_before_a_crash_is_a_prefix_of_what_is_seen_after_it() {
    for seed in 0..40 {
        crash::life(seed);
    }
}

/// A database on disk.
fn open(path: &Path) -> Database {
    Database::options().auto_compact(None).open(path).unwrap()
}

/// All events that there are now.
fn all(stream: &mut ChangeStream) -> Vec<ChangeEvent> {
    let mut events = Vec::new();
    while let Some(event) = stream.next().unwrap() {
        assert_eq!(stream.token(), event.token);
        events.push(event);
    }
    events
}

/// An event in short.
fn told(event: &ChangeEvent) -> String {
    let mut text = format!("{:?}", event.operation);
    let names = event.collection.iter().chain(&event.to);
    for name in names {
        text += &format!(" {name}");
    }
    if let Some(key) = &event.document_key {
        text += &format!(" {key}");
    }
    if let Some(document) = &event.document
        && let Ok(number) = document.get_i32("n")
    {
        text += &format!(" n={number}");
    }
    if let Some(before) = &event.before {
        text += &format!(" was n={}", before.get_i32("n").unwrap());
    }
    text
}

fn shown(stream: &mut ChangeStream) -> Vec<String> {
    all(stream).iter().map(told).collect()
}

fn put(collection: &Collection, id: i32, n: i32) {
    let replaced = collection.replace_one(doc! { "_id": id }, doc! { "n": n });
    if replaced.unwrap().matched == 0 {
        collection.insert_one(doc! { "_id": id, "n": n }).unwrap();
    }
}
