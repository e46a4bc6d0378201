//! Sessions that end by themselves: by an index with `expireAfterSeconds`, and by seconds
//! of their own.
//!
//! ```text
//! cargo run --release -p collection-store --example sessions
//! ```

use std::time::{Duration, SystemTime};

use bson::{DateTime, doc};
use collection_store::{Database, IndexModel, OperationContext};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn seconds_ago(seconds: u64) -> DateTime {
    DateTime::from_system_time(SystemTime::now() - Duration::from_secs(seconds))
}

pub(crate) fn main() -> Outcome {
    // A database looks for what has expired every minute unless told. What has not been
    // looked at can still be seen.
    let every = Some(Duration::from_secs(10));
    let database = Database::options()
        .expire_interval(every)
        .open_in_memory()?;

    // All sessions end half an hour after their last use.
    let sessions = database.collection("sessions");
    let half_an_hour = IndexModel::new(doc! { "used": 1 }).expire_after_seconds(1800);
    sessions.create_index(half_an_hour)?;
    sessions.insert_many([
        doc! { "_id": "a", "user": 1, "used": seconds_ago(1900) },
        doc! { "_id": "b", "user": 2, "used": seconds_ago(1700) },
        doc! { "_id": "c", "user": 3, "used": seconds_ago(1900) },
    ])?;
    // Used just in time.
    sessions.update_one(
        doc! { "_id": "c" },
        doc! { "$currentDate": { "used": true } },
    )?;
    assert_eq!(database.expire_now()?, 1);
    assert_eq!(sessions.count(doc! {})?, 2);

    // Other seconds, from now on.
    sessions.modify(doc! { "index": { "name": "used_1", "expireAfterSeconds": 600 } })?;
    assert_eq!(database.expire_now()?, 1);

    // Each token has seconds of its own, from the date in `made`; or none, and lasts.
    let tokens = database.collection("tokens");
    let options = doc! { "ttlField": "seconds", "ttlFrom": "made" };
    tokens.create_with(&OperationContext::new(), options)?;
    tokens.insert_many([
        doc! { "_id": "short", "seconds": 60, "made": seconds_ago(61) },
        doc! { "_id": "long", "seconds": 3600, "made": seconds_ago(61) },
        doc! { "_id": "for ever", "made": seconds_ago(61) },
    ])?;
    assert_eq!(database.expire_now()?, 1);
    assert_eq!(tokens.count(doc! { "_id": "short" })?, 0);

    println!("{:?}", database.stats()?.expiry);
    Ok(())
}
