//! redb: one table of bytes. Durability Immediate or None, one-phase commit.
//!
//! Settling is a durable empty commit, which is when it writes down which pages
//! the last commits have freed; its `compact` wants the database for itself and
//! is no part of ordinary service.

use std::path::Path;

use redb::{
    Database, Durability, ReadOnlyTable, ReadableDatabase, TableDefinition, WriteTransaction,
};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, Reader, Settings, Sync, View, refused};

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("bench");

pub(super) fn open(
    directory: &Path,
    settings: &Settings,
    quick_repair: bool,
) -> Result<Box<dyn Engine>, BenchError> {
    let cache = usize::try_from(settings.cache_bytes).unwrap_or(usize::MAX);
    let database = Database::builder()
        .set_cache_size(cache)
        .create(directory.join("bench.redb"))
        .map_err(refused("open redb"))?;
    let redb = Redb {
        database,
        quick_repair,
    };
    // So that the first reader finds a table.
    let is_new = match redb.table() {
        Ok(_) => false,
        Err(redb::TableError::TableDoesNotExist(_)) => true,
        Err(error) => return Err(refused("open a table of redb")(error)),
    };
    if is_new {
        redb.put(&[], Sync::Durable)?;
    }
    Ok(Box::new(redb))
}

struct Redb {
    database: Database,
    quick_repair: bool,
}

type Table = ReadOnlyTable<&'static [u8], &'static [u8]>;

impl Redb {
    fn begin(&self, sync: Sync) -> Result<WriteTransaction, BenchError> {
        let begun = self.database.begin_write();
        let mut txn = begun.map_err(refused("begin a transaction of redb"))?;
        txn.set_durability(match sync {
            Sync::Durable => Durability::Immediate,
            Sync::Later => Durability::None,
        })
        .map_err(refused("choose the durability of redb"))?;
        txn.set_quick_repair(self.quick_repair);
        Ok(txn)
    }

    fn table(&self) -> Result<Table, redb::TableError> {
        let txn = self.database.begin_read().map_err(|error| match error {
            redb::TransactionError::Storage(error) => redb::TableError::Storage(error),
            other => redb::TableError::Storage(redb::StorageError::Corrupted(other.to_string())),
        })?;
        txn.open_table(TABLE)
    }
}

fn insert(txn: &WriteTransaction, pairs: &[Pair]) -> Result<(), BenchError> {
    let mut table = txn.open_table(TABLE).map_err(refused("open a table"))?;
    for pair in pairs {
        table
            .insert(pair.key.as_slice(), pair.value.as_slice())
            .map_err(refused("insert into redb"))?;
    }
    Ok(())
}

fn commit(txn: WriteTransaction) -> Result<(), BenchError> {
    txn.commit().map_err(refused("commit to redb"))
}

impl Engine for Redb {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        let txn = self.begin(sync)?;
        insert(&txn, pairs)?;
        commit(txn)
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        let txn = self.begin(sync)?;
        let mut table = txn.open_table(TABLE).map_err(refused("open a table"))?;
        for key in keys {
            table
                .remove(key.as_slice())
                .map_err(refused("delete from redb"))?;
        }
        drop(table);
        commit(txn)
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        let txn = self.begin(Sync::Durable)?;
        while let Some(pairs) = next() {
            insert(&txn, &pairs)?;
        }
        commit(txn)
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        match view {
            View::Held => work(&mut Held(
                self.table().map_err(refused("open a table of redb"))?,
            )),
            View::Fresh => work(&mut Fresh(self)),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        commit(self.begin(Sync::Durable)?)
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        drop(self);
        Ok(())
    }
}

struct Held(Table);

impl Reader for Held {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self.0.get(key).map_err(refused("get from redb"))?;
        Ok(found.map(|value| see(value.value())).is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        let entries = self.0.range::<&[u8]>(from..);
        let mut entries = entries.map_err(refused("range over redb"))?;
        let mut seen = 0;
        while seen < most {
            let Some(entry) = entries.next() else { break };
            let (key, value) = entry.map_err(refused("step over redb"))?;
            see(key.value(), value.value());
            seen += 1;
        }
        Ok(seen)
    }
}

struct Fresh<'a>(&'a Redb);

impl Fresh<'_> {
    fn held(&self) -> Result<Held, BenchError> {
        self.0
            .table()
            .map(Held)
            .map_err(refused("open a table of redb"))
    }
}

impl Reader for Fresh<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        self.held()?.get(key, see)
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        self.held()?.range(from, most, see)
    }
}
