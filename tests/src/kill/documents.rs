//! The process that writes documents, and what is found of them.
//!
//! ## Invariants
//! * One operation is one commit: also where several documents come or go
//!   together, none of them is there without the others.
//! * There is no counter, so a process is told how far its predecessors came.

use std::fs::File;
use std::ops::ControlFlow;
use std::process::exit;
use std::sync::Arc;

use bson::{Binary, doc, spec::BinarySubtype};
use collection_store::{Collection, Database, DatabaseOptions, Durability, OperationContext};
use cs_io::{Disk, RealRuntime};

use super::child::{Made, Orders};
use super::disks::open_disk;
use super::frames::Frame;
use super::oracle::Contents;
use super::plan::{Changes, Kind, TREES, WRITERS, changes, compacts, level, options};

/// Names of the collections, by position.
const COLLECTIONS: [&str; TREES] = ["first", "second"];
/// Writer 0 asks for a checkpoint, writer 1 for a flush, each so many operations.
const CHECKPOINT_EVERY: u64 = 24;
const FLUSH_EVERY: u64 = 17;

/// Opens the database with the sizes of the plan.
pub(super) fn open(disk: Arc<dyn Disk>, cycle: u64) -> collection_store::Result<Database> {
    let store = options(Kind::Documents, cycle);
    DatabaseOptions::default()
        .page_size(store.page_size)
        .cache_bytes(store.cache_bytes)
        .checkpoint_log_bytes(store.checkpoint_log_bytes)
        .read_path(store.read_path)
        .compression(store.compression)
        .open_on(disk, RealRuntime::new())
}

/// See the module's text.
pub(super) fn write_for_ever(orders: &Orders<'_>, pipe: &File) -> Made<()> {
    let database = open(open_disk(orders.directory, orders.cycle)?, orders.cycle)?;
    for name in COLLECTIONS {
        if !database.collection(name).exists_now()? {
            database.collection(name).create()?;
        }
    }
    Frame::Ready.send(pipe)?;
    std::thread::scope(|scope| {
        for id in 0..WRITERS {
            let writer = Writer {
                seed: orders.seed,
                id,
                first: orders.reached.get(usize::from(id)).copied().unwrap_or(0) + 1,
                database: &database,
                pipe,
            };
            scope.spawn(move || {
                // One that fails ends the process: the others would go on for ever.
                if let Err(error) = writer.run() {
                    let _ = Frame::Broken(format!("writer {id}: {error}")).send(pipe);
                }
                exit(3)
            });
        }
    });
    Ok(())
}

struct Writer<'a> {
    seed: u64,
    id: u8,
    first: u64,
    database: &'a Database,
    pipe: &'a File,
}

impl Writer<'_> {
    fn run(&self) -> Made<()> {
        let writer = self.id;
        for number in self.first.. {
            let level = level(Kind::Documents, number);
            let changes = changes(Kind::Documents, self.seed, writer, number);
            let is_commit = self.carry_out(changes, level)?;
            let checkpoints = writer == 0 && number.is_multiple_of(CHECKPOINT_EVERY);
            let flushes = writer == 1 && number.is_multiple_of(FLUSH_EVERY);
            if checkpoints {
                self.database.checkpoint()?;
            } else if flushes {
                self.database.flush()?;
            }
            if let Some(options) = compacts(writer, number) {
                self.database
                    .compact(&options, |_| ControlFlow::Continue(()))?;
            }
            let is_durable = checkpoints || flushes || (is_commit && level == Durability::Sync);
            let frame = if is_durable {
                Frame::Done { writer, number }
            } else {
                Frame::Seen { writer, number }
            };
            frame.send(self.pipe)?;
        }
        Ok(())
    }

    /// One operation; whether there was anything to change.
    fn carry_out(&self, changes: Changes, level: Durability) -> Made<bool> {
        let context = OperationContext::new().durability(level);
        let together = changes.len() > 1;
        let (mut come, mut go) = (Vec::new(), Vec::new());
        let mut place = 0;
        for ((position, key), value) in changes {
            place = position;
            let id = String::from_utf8(key)?;
            match value {
                Some(value) => come.push((id, value)),
                None => go.push(id),
            }
        }
        let collection = self.database.collection(COLLECTIONS[place]);
        if together && !come.is_empty() {
            let documents = come.iter().map(|(id, value)| document(id, value));
            let inserted = Default::default();
            collection.insert_many_with(&context, documents, inserted)?;
            return Ok(true);
        }
        if let Some((id, value)) = come.pop() {
            put(&collection, &context, &id, &value)?;
            return Ok(true);
        }
        match go.as_slice() {
            [first, .., last] => {
                let range = doc! { "$gte": first.as_str(), "$lte": last.as_str() };
                let deleted = collection.delete_many_with(&context, doc! { "_id": range })?;
                Ok(deleted > 0)
            }
            [id] => Ok(collection.delete_one_with(&context, doc! { "_id": id.as_str() })?),
            [] => Ok(false),
        }
    }
}

fn put(
    collection: &Collection,
    context: &OperationContext,
    id: &str,
    value: &[u8],
) -> collection_store::Result<()> {
    let replaced = collection.replace_one_with(context, doc! { "_id": id }, document(id, value))?;
    if replaced.matched == 0 {
        collection.insert_one_with(context, document(id, value))?;
    }
    Ok(())
}

fn document(id: &str, value: &[u8]) -> bson::Document {
    let body = Binary {
        subtype: BinarySubtype::Generic,
        bytes: value.to_vec(),
    };
    doc! { "_id": id, "len": value.len() as i64, "body": body }
}

/// What the collections hold; `None` while not all of them are there.
pub(super) fn contents(database: &Database) -> Made<Option<Contents>> {
    let mut found = Contents::new();
    for (position, name) in COLLECTIONS.into_iter().enumerate() {
        let collection = database.collection(name);
        if !collection.exists_now()? {
            return Ok(None);
        }
        let mut cursor = collection.find(doc! {}).run()?;
        while let Some(found_one) = cursor.advance()? {
            let id = found_one.get_str("_id")?.as_bytes().to_vec();
            let body = found_one.get_binary("body")?.bytes.to_vec();
            let len = found_one.get_i64("len")?;
            if usize::try_from(len)? != body.len() {
                return Err(format!("a document of {len} bytes has {}", body.len()).into());
            }
            found.insert((position, id), body);
        }
    }
    Ok(Some(found))
}
