//! LMDB through heed: one unnamed tree, default flags, no WRITEMAP. Unsynced
//! writes switch `MDB_NOSYNC` on. It has no cache of its own to give memory to:
//! it reads the system's pages through its map.

use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use heed::types::Bytes;
use heed::{
    CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, FlagSetMode, RoTxn, RwTxn, WithTls,
};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, Reader, Settings, Sync, View, refused};

/// Address space for the file: ample for a million pairs.
const MAP_BYTES: u64 = 16 << 30;
/// Batches of a load in one transaction where memory is limited: each pair changes
/// a page of its own, so together they take about a quarter of the cache.
const BATCHES_AT_ONCE: usize = 8;
/// How many times its payload a file may need, churn included.
const MOST_TIMES_PAYLOAD: u64 = 8;

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>, BenchError> {
    let most = settings.payload_bytes.saturating_mul(MOST_TIMES_PAYLOAD);
    let map = usize::try_from(MAP_BYTES.max(most).next_multiple_of(1 << 20));
    let map = map.map_err(refused("choose the size of the map"))?;
    let mut options = EnvOpenOptions::new();
    options.map_size(map);
    #[expect(unsafe_code, reason = "LMDB maps a file; nobody else touches this one")]
    // SAFETY: the directory belongs to this run, and no other process or environment opens the
    // file in it while this one is open.
    let env = unsafe { options.open(directory) }.map_err(refused("open LMDB"))?;
    let txn = env.write_txn().map_err(refused("begin"))?;
    let entries = env
        .create_databases_and_commit(txn, |opener, txn| {
            let entries = opener.create_database::<Bytes, Bytes>(txn, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(entries))
        })
        .map_err(refused("make a tree of LMDB"))?
        .unwrap_commit();
    Ok(Box::new(Lmdb {
        env,
        entries,
        syncs: Mutex::new(true),
        in_little_memory: settings.memory_limit.is_some(),
    }))
}

struct Lmdb {
    env: Env,
    entries: Database<'static, Bytes, Bytes>,
    /// Whether commits sync at present. Held by the one writer, so that the
    /// flag never changes under another's commit.
    syncs: Mutex<bool>,
    in_little_memory: bool,
}

impl Lmdb {
    fn write(
        &self,
        sync: Sync,
        change: impl FnOnce(&mut RwTxn<'_>) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let mut syncs = self.syncs.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = sync == Sync::Durable;
        if *syncs != wanted {
            let mode = if wanted {
                FlagSetMode::Disable
            } else {
                FlagSetMode::Enable
            };
            #[expect(unsafe_code, reason = "MDB_NOSYNC is what an unsynced write means")]
            // SAFETY: the lock above is held, so no other thread changes flags or writes; what a
            // crash of the machine does to the file is of no interest here.
            unsafe { self.env.set_flags(EnvFlags::NO_SYNC, mode) }
                .map_err(refused("switch the sync of LMDB"))?;
            *syncs = wanted;
        }
        let mut txn = self.env.write_txn().map_err(refused("begin"))?;
        change(&mut txn)?;
        txn.commit().map_err(refused("commit to LMDB"))
    }

    fn insert(&self, txn: &mut RwTxn<'_>, pairs: &[Pair]) -> Result<(), BenchError> {
        pairs.iter().try_for_each(|pair| {
            self.entries
                .put(txn, &pair.key, &pair.value)
                .map_err(refused("put into LMDB"))
        })
    }

    fn begin_read(&self) -> Result<RoTxn<'_, WithTls>, BenchError> {
        self.env.read_txn().map_err(refused("begin to read LMDB"))
    }
}

impl Engine for Lmdb {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        self.write(sync, |txn| self.insert(txn, pairs))
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        self.write(sync, |txn| {
            keys.iter().try_for_each(|key| {
                let deleted = self.entries.delete(txn, key);
                deleted.map(drop).map_err(refused("delete from LMDB"))
            })
        })
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        if self.in_little_memory {
            // A transaction keeps half a GiB of changed pages to itself before it
            // writes any.
            let mut is_more = true;
            while is_more {
                self.write(Sync::Later, |txn| {
                    for _ in 0..BATCHES_AT_ONCE {
                        let Some(pairs) = next() else {
                            is_more = false;
                            break;
                        };
                        self.insert(txn, &pairs)?;
                    }
                    Ok(())
                })?;
            }
            return self.settle();
        }
        self.write(Sync::Durable, |txn| {
            while let Some(pairs) = next() {
                self.insert(txn, &pairs)?;
            }
            Ok(())
        })
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        match view {
            View::Held => work(&mut Held {
                txn: self.begin_read()?,
                lmdb: self,
            }),
            View::Fresh => work(&mut Fresh(self)),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        self.env.force_sync().map_err(refused("sync LMDB"))
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        // Waited for: the same process may open the file again.
        let Self { env, .. } = *self;
        env.prepare_for_closing().wait();
        Ok(())
    }
}

struct Held<'a> {
    txn: RoTxn<'a, WithTls>,
    lmdb: &'a Lmdb,
}

impl Reader for Held<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self.lmdb.entries.get(&self.txn, key);
        Ok(found.map_err(refused("get from LMDB"))?.map(see).is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        let bounds = (Bound::Included(from), Bound::Unbounded);
        let entries = self.lmdb.entries.range(&self.txn, &bounds);
        let mut entries = entries.map_err(refused("range over LMDB"))?;
        let mut seen = 0;
        while seen < most {
            let Some(entry) = entries.next() else { break };
            let (key, value) = entry.map_err(refused("step over LMDB"))?;
            see(key, value);
            seen += 1;
        }
        Ok(seen)
    }
}

struct Fresh<'a>(&'a Lmdb);

impl Fresh<'_> {
    fn held(&self) -> Result<Held<'_>, BenchError> {
        Ok(Held {
            txn: self.0.begin_read()?,
            lmdb: self.0,
        })
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
