//! Listeners and change streams: told of each commit, in order, once it cannot be taken
//! back.
//!
//! ```text
//! cargo run --release -p collection-store --example listeners
//! ```

use std::sync::mpsc::channel;

use bson::doc;
use collection_store::{ChangeOperation, Database, ResumeToken, WatchOptions};

type Outcome = Result<(), Box<dyn std::error::Error>>;

pub(crate) fn main() -> Outcome {
    let database = Database::open_in_memory()?;
    let orders = database.collection("orders");

    // A listener is called by a thread of the database; it never slows a commit.
    let (sender, heard) = channel();
    let options = WatchOptions::new().with_before();
    let subscription = database.listen(options, move |event| {
        let _ = sender.send(event.cloned());
    })?;
    // A stream is a place in the history: whoever asks is told what comes next.
    let mut stream = orders.watch()?;
    let before_all: ResumeToken = stream.token();

    orders.insert_one(doc! { "_id": 1, "n": 1, "state": "new" })?;
    orders.update_one(
        doc! { "_id": 1 },
        doc! { "$set": { "state": "paid" }, "$inc": { "n": 1 } },
    )?;
    database.with_transaction(|transaction| {
        let orders = transaction.collection("orders");
        orders.insert_one(doc! { "_id": 2, "state": "new" })?;
        orders.delete_one(doc! { "_id": 1 })?;
        Ok(())
    })?;
    // What is rolled back is never told.
    let transaction = database.begin()?;
    transaction.collection("orders").delete_many(doc! {})?;
    transaction.rollback()?;

    let mut operations = Vec::new();
    while operations.len() < 5 {
        let event = heard.recv()??;
        println!("{:?} {:?}", event.operation, event.document_key);
        if let Some(update) = &event.update {
            println!("  set {:?}", update.updated_fields);
        }
        if event.operation == ChangeOperation::Update {
            let before = event.before.as_ref().map(|it| it.get_str("state"));
            assert_eq!(before.transpose()?, Some("new"));
        }
        operations.push(event.operation);
    }
    use ChangeOperation::{Create, Delete, Insert, Update};
    assert_eq!(operations[..3], [Create, Insert, Update]);
    // Of one commit in the order of keys.
    assert_eq!(operations[3..], [Delete, Insert]);
    drop(subscription);

    let mut told = Vec::new();
    while let Some(event) = stream.next()? {
        told.push(event);
    }
    assert_eq!(told.len(), 5);
    // Again from any place, which may be kept as text, over a restart too.
    let text = told
        .first()
        .map_or(before_all, |event| event.token)
        .to_string();
    let options = WatchOptions::new().resume_after(text.parse()?);
    let mut again = orders.watch_with(options)?;
    let next = again.next()?.map(|event| event.operation);
    assert_eq!(next, Some(ChangeOperation::Insert));
    Ok(())
}
