//! fjall: one keyspace with its defaults (LZ4, memtables of 64 MiB). A durable
//! write is a batch that persists the journal's data; an unsynced one leaves
//! the journal to the system.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable, Snapshot};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, Reader, Settings, Sync, View, refused};

/// How long it must have been idle to count as settled: workers pick up what a
/// finished flush calls for a little later.
const IDLE: Duration = Duration::from_millis(100);
/// Its own default.
const MEMTABLE_BYTES: u64 = 64 << 20;
/// How long to wait for that.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>, BenchError> {
    let (memtable, cache) = settings.with_write_buffer(MEMTABLE_BYTES);
    let database = Database::builder(directory.join("fjall"))
        .cache_size(cache)
        .open()
        .map_err(refused("open fjall"))?;
    let keyspace = database
        .keyspace("bench", || {
            KeyspaceCreateOptions::default().max_memtable_size(memtable)
        })
        .map_err(refused("open a keyspace of fjall"))?;
    Ok(Box::new(Fjall { database, keyspace }))
}

struct Fjall {
    database: Database,
    keyspace: Keyspace,
}

fn mode(sync: Sync) -> Option<PersistMode> {
    (sync == Sync::Durable).then_some(PersistMode::SyncData)
}

impl Engine for Fjall {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        let mut batch = self.database.batch().durability(mode(sync));
        for pair in pairs {
            batch.insert(&self.keyspace, pair.key.as_slice(), pair.value.as_slice());
        }
        batch.commit().map_err(refused("commit to fjall"))
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        let mut batch = self.database.batch().durability(mode(sync));
        for key in keys {
            batch.remove(&self.keyspace, key.as_slice());
        }
        batch.commit().map_err(refused("commit to fjall"))
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        while let Some(pairs) = next() {
            self.put(&pairs, Sync::Later)?;
        }
        self.database
            .persist(PersistMode::SyncData)
            .map_err(refused("sync fjall"))
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        match view {
            View::Held => work(&mut Held {
                snapshot: self.database.snapshot(),
                keyspace: &self.keyspace,
            }),
            View::Fresh => work(&mut Fresh(&self.keyspace)),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        self.keyspace
            .rotate_memtable_and_wait()
            .map_err(refused("flush fjall"))?;
        let start = Instant::now();
        let mut idle_since = start;
        while idle_since.elapsed() < IDLE {
            if self.database.outstanding_flushes() > 0 || self.database.active_compactions() > 0 {
                idle_since = Instant::now();
            }
            if start.elapsed() > PATIENCE {
                return Err(refused("settle fjall")("still compacting after 10 minutes"));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        drop(self);
        Ok(())
    }
}

fn look(
    found: Result<Option<fjall::UserValue>, fjall::Error>,
    see: &mut dyn FnMut(&[u8]),
) -> Result<bool, BenchError> {
    let found = found.map_err(refused("get from fjall"))?;
    Ok(found.map(|value| see(&value)).is_some())
}

fn walk(
    entries: fjall::Iter,
    most: u64,
    see: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<u64, BenchError> {
    let mut entries = entries;
    let mut seen = 0;
    while seen < most {
        let Some(entry) = entries.next() else { break };
        let (key, value) = entry.into_inner().map_err(refused("step over fjall"))?;
        see(&key, &value);
        seen += 1;
    }
    Ok(seen)
}

struct Held<'a> {
    snapshot: Snapshot,
    keyspace: &'a Keyspace,
}

impl Reader for Held<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        look(self.snapshot.get(self.keyspace, key), see)
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        walk(self.snapshot.range(self.keyspace, from..), most, see)
    }
}

struct Fresh<'a>(&'a Keyspace);

impl Reader for Fresh<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        look(self.0.get(key), see)
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        walk(self.0.range(from..), most, see)
    }
}
