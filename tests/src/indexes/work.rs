//! What is done to an indexed collection: anything that changes documents or indexes.

use std::ops::ControlFlow;

use bson::{Bson, Document, doc};
use collection_store::{
    BulkOptions, Collection, Database, Error, ErrorKind, IndexModel, OperationContext,
    UpdateOptions,
};
use oorandom::Rand64;

use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Ids of documents are below.
const IDS: u64 = 90;

/// A number below `end`.
pub(super) fn below(rng: &mut Rand64, end: u64) -> u64 {
    rng.rand_range(0..end)
}

fn scalar(rng: &mut Rand64) -> Bson {
    match below(rng, 6) {
        0 => Bson::Null,
        1 => Bson::String("x".repeat(below(rng, 3) as usize)),
        2 => Bson::Double(below(rng, 8) as f64),
        _ => Bson::Int32(below(rng, 8) as i32),
    }
}

fn value(rng: &mut Rand64) -> Bson {
    match below(rng, 6) {
        0 => Bson::Array((0..below(rng, 4)).map(|_| scalar(rng)).collect()),
        1 => Bson::Document(doc! { "x": scalar(rng) }),
        2 => Bson::Array(vec![
            Bson::Document(doc! { "x": scalar(rng) }),
            Bson::Document(doc! { "x": scalar(rng) }),
        ]),
        _ => scalar(rng),
    }
}

fn document(rng: &mut Rand64, id: u64) -> Document {
    let mut document = doc! { "_id": id as i64, "a": below(rng, 10) as i32 };
    if below(rng, 4) > 0 {
        document.insert("b", value(rng));
    }
    if below(rng, 3) > 0 {
        document.insert("d", value(rng));
    }
    if below(rng, 2) > 0 {
        document.insert("u", below(rng, 3 * IDS) as i32);
    }
    document
}

fn model(rng: &mut Rand64) -> IndexModel {
    match below(rng, 7) {
        0 => IndexModel::new(doc! { "a": 1 }),
        1 => IndexModel::new(doc! { "b": 1, "a": -1 }),
        2 => IndexModel::new(doc! { "u": 1 }).unique(true).sparse(true),
        3 => IndexModel::new(doc! { "d.x": -1 }),
        4 => IndexModel::new(doc! { "d": 1, "a": 1 }).sparse(true),
        5 => IndexModel::new(doc! { "b": -1 }).partial_filter(doc! { "a": { "$gt": 4 } }),
        _ => IndexModel::new(doc! { "a": 1, "u": 1 })
            .unique(true)
            .sparse(true),
    }
}

/// Refusals that anybody may meet; all others are failures.
pub(super) fn allow<T>(result: Result<T, Error>) -> Verdict {
    match result {
        Ok(_) => Ok(()),
        Err(error) if is_allowed(&error) => Ok(()),
        Err(error) => Err(Failure(format!("{error:?}"))),
    }
}

fn is_allowed(error: &Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        ErrorKind::DuplicateKey
            | ErrorKind::CannotIndex
            | ErrorKind::Conflict
            | ErrorKind::IndexConflict
            | ErrorKind::IndexNotFound
            | ErrorKind::NamespaceNotFound
            | ErrorKind::Interrupted
    ) || (kind == ErrorKind::BulkWrite
        && error
            .write_errors()
            .iter()
            .all(|one| is_allowed(&one.error)))
}

/// One change to documents, alone or in a transaction.
pub(super) fn write(rng: &mut Rand64, c: &Collection, in_transaction: bool) -> Verdict {
    let id = below(rng, IDS);
    let by_id = doc! { "_id": id as i64 };
    let by_field = doc! { "a": below(rng, 10) as i32 };
    let update = match below(rng, 5) {
        0 => doc! { "$inc": { "a": 1 } },
        1 => doc! { "$set": { "b": value(rng) } },
        2 => doc! { "$unset": { "d": "" } },
        3 => doc! { "$set": { "u": below(rng, 3 * IDS) as i32, "d": value(rng) } },
        _ => doc! { "$push": { "b": scalar(rng) } },
    };
    let result = match below(rng, if in_transaction { 9 } else { 10 }) {
        0 | 1 => c.insert_one(document(rng, id)).map(drop),
        2 => {
            let documents: Vec<_> = (0..6).map(|n| document(rng, (id + n) % IDS)).collect();
            c.insert_many(documents).map(drop)
        }
        3 => c.update_one(by_id, update).map(drop),
        4 => c.update_many(by_field, update).map(drop),
        5 => c.delete_one(by_id).map(drop),
        6 => c
            .delete_many(doc! { "a": id as i32 % 10, "_id": { "$lt": 30 } })
            .map(drop),
        7 => {
            let mut new = document(rng, id);
            new.remove("_id");
            c.replace_one(by_id, new).map(drop)
        }
        8 => {
            let options = UpdateOptions {
                upsert: true,
                ..UpdateOptions::default()
            };
            let context = OperationContext::new();
            c.update_one_with(&context, doc! { "u": id as i32 }, update, &options)
                .map(drop)
        }
        _ => {
            let documents: Vec<_> = (0..20).map(|n| document(rng, 1000 + id * 20 + n)).collect();
            c.bulk_load(documents, &BulkOptions::default(), |_| {
                ControlFlow::Continue(())
            })
            .map(drop)
        }
    };
    match result {
        // An update that makes no sense for this document.
        Err(error) if error.kind() == ErrorKind::BadValue => Ok(()),
        other => allow(other),
    }
}

/// A transaction of several changes, of which an index may be begun in the middle.
pub(super) fn transact(rng: &mut Rand64, database: &Database, c: &Collection) -> Verdict {
    let transaction = database.begin()?;
    let within = transaction.collection(c.name());
    for _ in 0..1 + below(rng, 4) {
        write(rng, &within, true)?;
    }
    agree_in(&within)?;
    match below(rng, 6) {
        0 => allow(c.create_index(model(rng)))?,
        1 => write(rng, c, false)?,
        2 => return Ok(transaction.rollback()?),
        _ => {}
    }
    allow(transaction.commit())
}

/// Makes an index while others write, and maybe only a part of it.
pub(super) fn make(rng: &mut Rand64, c: &Collection) -> Verdict {
    let mut verdict = Ok(());
    let model = model(rng);
    let patience = below(rng, 6);
    let mut asked = 0;
    let made = c.create_index_with(&OperationContext::new(), model, |_| {
        asked += 1;
        verdict = write(rng, c, false);
        if verdict.is_err() || asked > patience {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    verdict?;
    allow(made)
}

/// Goes on with what was interrupted.
pub(super) fn resume(c: &Collection) -> Verdict {
    let go_on = |_: &_| ControlFlow::Continue(());
    allow(c.resume_index_builds(&OperationContext::new(), go_on))
}

/// Takes an index away.
pub(super) fn unmake(rng: &mut Rand64, c: &Collection) -> Verdict {
    let indexes = c.list_indexes()?;
    match indexes.get(1 + below(rng, 5) as usize) {
        Some(index) => allow(c.drop_index(&index.name)),
        None => Ok(()),
    }
}

/// Indexes and documents agree, both ways.
pub(super) fn agree(c: &Collection) -> Verdict {
    let check = c.check_indexes()?;
    ensure(check.findings.is_empty(), || {
        let more = check.findings.len() - 1;
        format!("{} and {more} more findings", check.findings[0])
    })
}

/// What is found by each index that has all documents is what there is: in a
/// transaction, its own writes included.
pub(super) fn agree_in(c: &Collection) -> Verdict {
    let filter = doc! { "a": { "$gte": 3, "$lt": 7 } };
    let all = c
        .find(filter.clone())
        .hint(doc! { "$natural": 1 })
        .count()?;
    for index in c.list_indexes()?.into_iter().skip(1) {
        if !index.is_ready || index.sparse || index.partial_filter.is_some() {
            continue;
        }
        let name = index.name;
        let found = match c.find(filter.clone()).hint(name.clone()).count() {
            Ok(found) => found,
            // Dropped since it was listed.
            Err(error) if error.code() == Some(2) => continue,
            Err(error) => return Err(error.into()),
        };
        ensure(found == all, || {
            format!("index {name} finds {found} of {all} documents")
        })?;
    }
    Ok(())
}
