//! What the server does and holds, told and steered: `serverStatus`, `dbStats`, `collStats`,
//! `currentOp`, `killOp`.

use bson::{DateTime, Document, RawDocumentBuf, doc};
use collection_store::DatabaseStats;

use super::{ANY_FIELD, CommandSpec, Context, Handler, Privilege};
use crate::MONGODB_VERSION;
use crate::cursor::CursorFigures;
use crate::error::{CommandError, Result, code};
use crate::observe::{Operation, process_memory};
use crate::reply::Reply;

const fn spec(
    name: &'static str,
    role: Privilege,
    waits: bool,
    fields: &'static [&'static str],
    run: Handler,
) -> CommandSpec {
    CommandSpec {
        waits,
        ..CommandSpec::new(name, role, fields, run)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    // Drivers and agents switch sections on and off by their names.
    spec(
        "serverStatus",
        Privilege::Monitor,
        true,
        ANY_FIELD,
        server_status,
    ),
    spec(
        "dbStats",
        Privilege::Inspect,
        true,
        &["scale", "freeStorage"],
        db_stats,
    ),
    spec(
        "collStats",
        Privilege::Inspect,
        true,
        &["scale"],
        coll_stats,
    ),
    spec(
        "currentOp",
        Privilege::Monitor,
        false,
        &["$all", "$ownOps"],
        current_op,
    ),
    spec("killOp", Privilege::ClusterAdmin, false, &["op"], kill_op),
];

fn reply(document: &Document) -> Result<Reply> {
    Ok(RawDocumentBuf::try_from(document)?.into())
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn size(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn server_status(context: &mut Context<'_>) -> Result<Reply> {
    let server = context.server;
    let stats = server.database.stats()?;
    let observer = &server.observer;
    let connections = &server.connections;
    let memory = process_memory();
    let mebibytes = |bytes: Option<u64>| whole(bytes.unwrap_or(0) >> 20);
    let uptime = server.started.elapsed();
    let [major, minor, patch, _] = MONGODB_VERSION;
    let count = |name: &str| whole(observer.count(name));
    let (bytes_in, bytes_out) = connections.bytes();
    let known = ["insert", "find", "update", "delete", "getMore"];
    let others = observer.total() - known.iter().map(|name| observer.count(name)).sum::<u64>();
    reply(&doc! {
        "host": &server.advertised,
        "version": format!("{major}.{minor}.{patch}"),
        "process": "cs-server",
        "pid": i64::from(std::process::id()),
        "uptime": uptime.as_secs_f64(),
        "uptimeMillis": i64::try_from(uptime.as_millis()).unwrap_or(i64::MAX),
        "uptimeEstimate": whole(uptime.as_secs()),
        "localTime": DateTime::now(),
        "connections": {
            "current": size(connections.current()),
            "available": size(connections.available()),
            "totalCreated": i64::from(connections.created()),
            "active": size(server.operations.running()),
            "unauthenticated": size(connections.unknown()),
        },
        "network": {
            "bytesIn": whole(bytes_in),
            "bytesOut": whole(bytes_out),
            "numRequests": whole(observer.total()),
        },
        "opcounters": {
            "insert": count("insert"),
            "query": count("find"),
            "update": count("update"),
            "delete": count("delete"),
            "getmore": count("getMore"),
            "command": whole(others),
        },
        "mem": {
            "bits": 64,
            "resident": mebibytes(memory.map(|memory| memory.resident)),
            "virtual": mebibytes(memory.map(|memory| memory.mapped)),
            "supported": memory.is_some(),
        },
        "metrics": metrics(&stats, server.cursors.figures()),
        "repl": {
            "setName": &server.config.replica_set,
            "isWritablePrimary": true,
            "secondary": false,
            "hosts": [&server.advertised],
            "primary": &server.advertised,
            "me": &server.advertised,
        },
        "storageEngine": {
            "name": "collection-store",
            "supportsCommittedReads": true,
            "persistent": server.config.data_dir.is_some(),
            "readOnly": server.database.is_read_only(),
        },
        "collectionStore": engine(&stats),
    })
}

fn metrics(stats: &DatabaseStats, cursors: CursorFigures) -> Document {
    let operations = &stats.operations;
    doc! {
        "cursor": {
            "open": { "total": whole(cursors.open) },
            "timedOut": whole(cursors.timed_out),
            "totalOpened": whole(cursors.total),
        },
        "document": {
            "inserted": whole(operations.inserted),
            "updated": whole(operations.updated + operations.replaced),
            "deleted": whole(operations.deleted),
            "returned": whole(operations.returned),
        },
        "queryExecutor": { "scannedObjects": whole(operations.examined) },
        "operation": { "writeConflicts": whole(stats.store.conflicts) },
        "ttl": {
            "deletedDocuments": whole(stats.expiry.deleted),
            "passes": whole(stats.expiry.passes),
        },
    }
}

/// What no other database has under these names.
fn engine(stats: &DatabaseStats) -> Document {
    let (store, pool) = (&stats.store, &stats.store.pool);
    doc! {
        "commits": whole(store.commits),
        "checkpoints": whole(store.checkpoints),
        "logBytes": whole(store.log_bytes),
        "poisoned": store.poisoned.clone(),
        "cache": {
            "residentBytes": whole(pool.resident_bytes),
            "dirtyBytes": whole(pool.dirty_bytes),
            "budgetBytes": whole(pool.budget_bytes),
            "pagesRead": whole(pool.pages_read),
            "pagesWritten": whole(pool.pages_written),
            "pagesEvicted": whole(pool.pages_evicted),
        },
        "snapshots": {
            "states": whole(store.snapshots.states),
            "retainedBytes": whole(store.snapshots.retained_bytes),
        },
    }
}

/// What sizes are divided by.
fn scale(context: &Context<'_>) -> Result<i64> {
    match context.fields.integer("scale")? {
        None => Ok(1),
        Some(scale) if scale >= 1 => Ok(scale),
        Some(scale) => Err(CommandError::bad_value(format!(
            "scale has to be a number > 0, found {scale}"
        ))),
    }
}

/// Figures of one collection or several.
#[derive(Default)]
struct Sizes {
    documents: u64,
    bytes: u64,
    indexes: u64,
    index_bytes: u64,
    by_index: Document,
}

impl Sizes {
    fn add(&mut self, collection: &collection_store::Collection, scale: i64) -> Result<()> {
        let stats = collection.stats()?;
        self.documents += stats.documents;
        self.bytes += stats.bytes;
        // The documents themselves are the index of `_id`: it takes nothing beside them.
        self.indexes += 1;
        self.by_index.insert("_id_", 0_i64);
        for (name, bytes) in collection.index_sizes()? {
            self.indexes += 1;
            self.index_bytes += bytes;
            self.by_index.insert(name, whole(bytes) / scale);
        }
        Ok(())
    }

    #[allow(clippy::cast_precision_loss, reason = "an average of sizes")]
    fn average(&self) -> f64 {
        match self.documents {
            0 => 0.0,
            documents => self.bytes as f64 / documents as f64,
        }
    }
}

fn coll_stats(context: &mut Context<'_>) -> Result<Reply> {
    let (namespace, scale) = (context.namespace()?, scale(context)?);
    let collection = context.collection(&namespace)?;
    let mut sizes = Sizes::default();
    let is_there = collection.exists_now()?;
    if is_there {
        sizes.add(&collection, scale)?;
    }
    let mut document = doc! {
        "ns": namespace.to_string(),
        "size": whole(sizes.bytes) / scale,
        "count": whole(sizes.documents),
    };
    if sizes.documents > 0 {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "a document has 16 MiB at most"
        )]
        document.insert("avgObjSize", sizes.average() as i32);
    }
    let all = whole(sizes.bytes + sizes.index_bytes) / scale;
    document.extend(doc! {
        "numOrphanDocs": 0,
        "storageSize": whole(sizes.bytes) / scale,
        "totalIndexSize": whole(sizes.index_bytes) / scale,
        "totalSize": all,
        "nindexes": i32::try_from(sizes.indexes).unwrap_or(i32::MAX),
        "indexSizes": sizes.by_index,
        "capped": false,
        "scaleFactor": scale,
    });
    reply(&document)
}

fn db_stats(context: &mut Context<'_>) -> Result<Reply> {
    let scale = scale(context)?;
    let server = context.server;
    let database = server.database.database(context.database);
    let (mut sizes, mut collections) = (Sizes::default(), 0_i64);
    for collection in database.list_collections()? {
        collections += 1;
        sizes.add(&database.collection(&collection.name), 1)?;
    }
    #[allow(clippy::cast_precision_loss, reason = "MongoDB tells sizes so")]
    let scaled = |bytes: u64| (bytes as f64 / scale as f64).floor();
    let mut document = doc! {
        "db": context.database,
        "collections": collections,
        "views": 0_i64,
        "objects": whole(sizes.documents),
        "avgObjSize": sizes.average(),
        "dataSize": scaled(sizes.bytes),
        "storageSize": scaled(sizes.bytes),
        "indexes": whole(sizes.indexes),
        "indexSize": scaled(sizes.index_bytes),
        "totalSize": scaled(sizes.bytes + sizes.index_bytes),
        "scaleFactor": scale,
    };
    // All databases are in the same files: these are theirs together.
    let space = server.database.space()?;
    document.insert("fsUsedSize", scaled(space.data_bytes + space.log_bytes));
    if context.fields.boolean("freeStorage")? == Some(true) {
        document.insert("freeStorageSize", scaled(space.free_bytes));
    }
    reply(&document)
}

fn current_op(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let own = context.fields.boolean("$ownOps")? == Some(true);
    let user = context.connection.user.as_ref().map(|(user, _)| user.id());
    let running = context.server.operations.list();
    let wanted = running
        .iter()
        .filter(|operation| !own || operation.user == user);
    let shown: Vec<Document> = wanted
        .map(|operation| {
            describe(
                operation,
                context.server.connections.peer(operation.connection),
            )
        })
        .collect();
    reply(&doc! { "inprog": shown })
}

/// An operation, without what it holds of documents.
pub(crate) fn describe(operation: &Operation, peer: Option<String>) -> Document {
    let time = operation.begun.elapsed();
    let kind = match operation.command {
        "find" => "query",
        "insert" => "insert",
        "update" => "update",
        "delete" => "remove",
        "getMore" => "getmore",
        _ => "command",
    };
    let mut command = Document::new();
    match &operation.collection {
        Some(collection) => command.insert(operation.command, collection),
        None => command.insert(operation.command, 1),
    };
    command.insert("$db", &operation.database);
    let mut document = doc! {
        "type": "op",
        "opid": operation.id,
        "desc": format!("conn{}", operation.connection),
        "connectionId": operation.connection,
        "active": true,
        "killPending": operation.cancel.is_cancelled(),
        "secs_running": whole(time.as_secs()),
        "microsecs_running": i64::try_from(time.as_micros()).unwrap_or(i64::MAX),
        "op": kind,
        "ns": operation.namespace(),
        "command": command,
    };
    if let Some(peer) = peer {
        document.insert("client", peer);
    }
    if let Some(user) = &operation.user {
        document.insert("effectiveUsers", vec![user.as_str()]);
    }
    document
}

/// As in MongoDB, an operation that has ended by itself is none to complain of.
fn kill_op(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let fields = &context.fields;
    let wanted = fields.required("op")?;
    let id = fields
        .integer("op")?
        .ok_or_else(|| fields.mismatch("op", wanted, "number"))?;
    let id = i32::try_from(id)
        .map_err(|_| CommandError::new(code::BAD_VALUE, format!("invalid op : {id}")))?;
    context.server.operations.kill(id);
    reply(&doc! { "info": "attempting to kill op" })
}

#[cfg(test)]
mod tests;
