//! SQLite: one `WITHOUT ROWID` table, write-ahead log, synchronous FULL (OFF
//! for unsynced writes), 4 KiB pages (8 KiB for values above 512 bytes), mapped
//! reads. One connection writes, behind a mutex; each reader has its own.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Statement, params};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, Reader, Settings, Sync, View, refused};

/// Bytes of the file that are read through a map.
const MAP_BYTES: u64 = 2 << 30;
/// Pages of log after which it moves them into the file; its own default.
const AUTOCHECKPOINT_PAGES: u64 = 1000;
/// Values above this get the larger page.
const LARGE_VALUE: u64 = 512;
/// How long a connection waits for another.
const PATIENCE: Duration = Duration::from_secs(30);

const PUT: &str = "INSERT OR REPLACE INTO bench (k, v) VALUES (?1, ?2)";
const DELETE: &str = "DELETE FROM bench WHERE k = ?1";
const GET: &str = "SELECT v FROM bench WHERE k = ?1";
const RANGE: &str = "SELECT k, v FROM bench WHERE k >= ?1 ORDER BY k LIMIT ?2";

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>, BenchError> {
    let path = directory.join("bench.sqlite");
    let writer = connect(&path, settings)?;
    writer
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS bench (k BLOB PRIMARY KEY, v BLOB NOT NULL) WITHOUT ROWID",
        )
        .map_err(refused("make the table of SQLite"))?;
    let writer = Writer {
        connection: writer,
        syncs: true,
    };
    Ok(Box::new(Sqlite {
        path,
        settings: *settings,
        writer: Mutex::new(writer),
    }))
}

fn connect(path: &Path, settings: &Settings) -> Result<Connection, BenchError> {
    let connection = Connection::open(path).map_err(refused("open SQLite"))?;
    connection
        .busy_timeout(PATIENCE)
        .map_err(refused("set up SQLite"))?;
    let page = if settings.value_bytes > LARGE_VALUE {
        8192
    } else {
        4096
    };
    let autocheckpoint = if settings.long_log {
        0
    } else {
        AUTOCHECKPOINT_PAGES
    };
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page};
             PRAGMA journal_mode = WAL;
             PRAGMA synchronous = FULL;
             PRAGMA cache_size = -{};
             PRAGMA mmap_size = {MAP_BYTES};
             PRAGMA wal_autocheckpoint = {autocheckpoint};",
            settings.cache_bytes / 1024
        ))
        .map_err(refused("set up SQLite"))?;
    Ok(connection)
}

struct Sqlite {
    path: PathBuf,
    settings: Settings,
    writer: Mutex<Writer>,
}

struct Writer {
    connection: Connection,
    /// Whether commits sync at present.
    syncs: bool,
}

impl Sqlite {
    fn write(
        &self,
        sync: Sync,
        change: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), BenchError> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = sync == Sync::Durable;
        if writer.syncs != wanted {
            let level = if wanted { "FULL" } else { "OFF" };
            let pragma = format!("PRAGMA synchronous = {level}");
            writer
                .connection
                .execute_batch(&pragma)
                .map_err(refused("switch the sync of SQLite"))?;
            writer.syncs = wanted;
        }
        change(&writer.connection).map_err(refused("write to SQLite"))
    }
}

fn in_transaction(
    connection: &Connection,
    change: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<()> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    change()?;
    connection.prepare_cached("COMMIT")?.execute([])?;
    Ok(())
}

fn insert(statement: &mut Statement<'_>, pairs: &[Pair]) -> rusqlite::Result<()> {
    for pair in pairs {
        statement.execute(params![pair.key.as_slice(), pair.value.as_slice()])?;
    }
    Ok(())
}

impl Engine for Sqlite {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        self.write(sync, |connection| {
            let mut statement = connection.prepare_cached(PUT)?;
            if pairs.len() == 1 {
                return insert(&mut statement, pairs);
            }
            in_transaction(connection, || insert(&mut statement, pairs))
        })
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        self.write(sync, |connection| {
            let mut statement = connection.prepare_cached(DELETE)?;
            in_transaction(connection, || {
                for key in keys {
                    statement.execute([key.as_slice()])?;
                }
                Ok(())
            })
        })
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        self.write(Sync::Durable, |connection| {
            let mut statement = connection.prepare_cached(PUT)?;
            in_transaction(connection, || {
                while let Some(pairs) = next() {
                    insert(&mut statement, &pairs)?;
                }
                Ok(())
            })
        })
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let connection = connect(&self.path, &self.settings)?;
        let mut reader = Statements {
            get: connection.prepare(GET).map_err(refused("prepare"))?,
            range: connection.prepare(RANGE).map_err(refused("prepare"))?,
        };
        match view {
            View::Held => {
                let begin = |sql| connection.execute_batch(sql);
                begin("BEGIN").map_err(refused("begin to read SQLite"))?;
                let result = work(&mut reader);
                begin("COMMIT").map_err(refused("end reading SQLite"))?;
                result
            }
            // Without a transaction each statement sees the newest state.
            View::Fresh => work(&mut reader),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        self.write(Sync::Durable, |connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        })
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        let writer = self.writer.into_inner();
        let writer = writer.unwrap_or_else(PoisonError::into_inner);
        writer
            .connection
            .close()
            .map_err(|(_, error)| refused("close SQLite")(error))
    }
}

struct Statements<'a> {
    get: Statement<'a>,
    range: Statement<'a>,
}

impl Statements<'_> {
    fn try_get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> rusqlite::Result<bool> {
        let mut found = self.get.query([key])?;
        let Some(entry) = found.next()? else {
            return Ok(false);
        };
        see(entry.get_ref(0)?.as_blob()?);
        Ok(true)
    }

    fn try_range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> rusqlite::Result<u64> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let mut found = self.range.query(params![from, most])?;
        let mut seen = 0;
        while let Some(entry) = found.next()? {
            see(entry.get_ref(0)?.as_blob()?, entry.get_ref(1)?.as_blob()?);
            seen += 1;
        }
        Ok(seen)
    }
}

impl Reader for Statements<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        self.try_get(key, see).map_err(refused("get from SQLite"))
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        self.try_range(from, most, see)
            .map_err(refused("range over SQLite"))
    }
}
