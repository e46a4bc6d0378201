//! Events seen before a crash of the machine are the beginning of what is there
//! to be seen after it.

use std::sync::Arc;

use bson::doc;
use collection_store::io::SimRuntime;
use collection_store::io::sim::{CrashKind, Rng, SimDisk, SimOptions};
use collection_store::{
    ChangeEvent, Database, Durability, ErrorKind, OperationContext, ResumeToken, UpdateOptions,
    WatchOptions,
};

use crate::all;

fn open(disk: Arc<SimDisk>, seed: u64) -> Database {
    Database::options()
        .checkpoint_log_bytes(64 << 10)
        .auto_compact(None)
        .keep_changes(64 << 20, std::time::Duration::from_secs(86_400))
        .open_on(disk, SimRuntime::new(seed))
        .unwrap()
}

fn whole_after(token: ResumeToken) -> WatchOptions {
    WatchOptions::new()
        .whole_directory()
        .resume_after(token)
        .with_before()
}

/// Something of every kind.
fn change(database: &Database, rng: &mut Rng) {
    let name = |rng: &mut Rng| ["a", "b", "c"][rng.below(3) as usize];
    let collection = database.collection(name(rng));
    let id = rng.below(20) as i32;
    let levels = [Durability::Sync, Durability::Async, Durability::Memory];
    let context = OperationContext::new().durability(levels[rng.below(3) as usize]);
    let options = UpdateOptions::default();
    let outcome = match rng.below(14) {
        0..=3 => collection
            .insert_one_with(&context, doc! { "_id": id, "n": 0 })
            .map(drop),
        4..=5 => collection
            .replace_one_with(&context, doc! { "_id": id }, doc! { "n": id })
            .map(drop),
        6 => collection
            .delete_one_with(&context, doc! { "_id": id })
            .map(drop),
        7..=8 => {
            let (one, two) = (name(rng), name(rng));
            database.with_transaction(|transaction| {
                let n = id;
                transaction.collection(one).delete_one(doc! { "_id": 3 })?;
                let found = transaction
                    .collection(two)
                    .replace_one(doc! { "_id": n }, doc! { "n": n })?;
                if found.matched == 0 {
                    transaction
                        .collection(two)
                        .insert_one(doc! { "_id": n, "n": n })?;
                }
                Ok(())
            })
        }
        12 => collection
            .update_one_with(
                &context,
                doc! { "_id": id },
                doc! { "$inc": { "n": 1 } },
                &options,
            )
            .map(drop),
        13 => collection
            .update_many_with(
                &context,
                doc! { "n": 0 },
                doc! { "$set": { "m": id } },
                &options,
            )
            .map(drop),
        9 => collection.drop_collection_with(&context).map(drop),
        10 => collection.rename(name(rng), true).map(drop),
        _ => database.checkpoint(),
    };
    if let Err(error) = outcome {
        let expected = [
            ErrorKind::DuplicateKey,
            ErrorKind::NamespaceNotFound,
            ErrorKind::BadValue,
        ];
        assert!(expected.contains(&error.kind()), "{error}");
    }
}

/// Four rounds of changes that are followed, each ended by a crash.
///
/// # Panics
/// What was seen is not the beginning of what is seen then.
pub(crate) fn life(seed: u64) {
    let mut rng = Rng::new(seed);
    let mut disk = SimDisk::new(seed, SimOptions::default());
    let mut seen: Vec<ChangeEvent> = Vec::new();
    let mut begin = None;
    for round in 0..4 {
        let database = open(disk.clone(), seed ^ round);
        let begin = *begin.get_or_insert_with(|| {
            let options = WatchOptions::new().whole_directory();
            database.watch_with(options).unwrap().token()
        });
        // All of history once more: what was seen is its beginning.
        let mut from_begin = database.watch_with(whole_after(begin)).unwrap();
        let history = all(&mut from_begin);
        // What was told before was wanted from the first round on.
        let count = seen.len();
        assert!(count <= history.len(), "seed {seed}: what was seen is gone");
        for (place, (before, now)) in seen.iter().zip(&history).enumerate() {
            assert_eq!(before, now, "seed {seed}, event {place}");
        }
        // And on from a place in it, anywhere.
        let place = rng.below(count as u64 + 1) as usize;
        let token = place.checked_sub(1).map_or(begin, |last| seen[last].token);
        let mut stream = database.watch_with(whole_after(token)).unwrap();
        seen.truncate(place);
        for _ in 0..60 {
            change(&database, &mut rng);
            if rng.below(4) == 0 {
                database.store().step().unwrap();
            }
            // Not always to the end of what there is.
            for _ in 0..rng.below(6) {
                seen.extend(stream.next().unwrap());
            }
        }
        drop((stream, from_begin));
        let kinds = [CrashKind::Machine, CrashKind::Process];
        let image = disk.crash(&mut rng, kinds[(seed % 2) as usize]);
        drop(database);
        disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
    }
}
