//! RocksDB: the default column family, LZ4, bloom filters of 10 bits a key,
//! write buffers of 64 MiB, two background jobs. A durable write syncs its log.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DBRawIterator, Options, Snapshot, WriteBatch,
    WriteOptions,
};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, Reader, Settings, Sync, View, refused};

const WRITE_BUFFER_BYTES: usize = 64 << 20;
/// So that nothing is flushed before the end.
const LONG_LOG_BUFFER_BYTES: usize = 1 << 30;
/// How long to wait until it has settled.
const PATIENCE: Duration = Duration::from_secs(600);
/// What it tells about work in progress or called for.
const WORK: [&str; 4] = [
    "rocksdb.num-running-flushes",
    "rocksdb.mem-table-flush-pending",
    "rocksdb.num-running-compactions",
    "rocksdb.compaction-pending",
];

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>, BenchError> {
    let (buffer, cache_bytes) = settings.with_write_buffer(WRITE_BUFFER_BYTES as u64);
    let cache_bytes = usize::try_from(cache_bytes).unwrap_or(usize::MAX);
    let cache = Cache::new_lru_cache(cache_bytes).map_err(refused("make a cache of RocksDB"))?;
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(&cache);
    blocks.set_bloom_filter(10.0, false);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_block_based_table_factory(&blocks);
    options.set_max_background_jobs(2);
    options.set_write_buffer_size(if settings.long_log {
        LONG_LOG_BUFFER_BYTES
    } else {
        buffer as usize
    });
    let database = DB::open(&options, directory).map_err(refused("open RocksDB"))?;
    Ok(Box::new(Rocksdb { database }))
}

struct Rocksdb {
    database: DB,
}

impl Rocksdb {
    fn write(&self, batch: WriteBatch, sync: Sync) -> Result<(), BenchError> {
        let mut options = WriteOptions::default();
        options.set_sync(sync == Sync::Durable);
        self.database
            .write_opt(batch, &options)
            .map_err(refused("write to RocksDB"))
    }

    fn is_busy(&self) -> Result<bool, BenchError> {
        for property in WORK {
            let value = self.database.property_int_value(property);
            if value.map_err(refused("ask RocksDB"))?.unwrap_or(0) > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Engine for Rocksdb {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        let mut batch = WriteBatch::default();
        for pair in pairs {
            batch.put(pair.key, &pair.value);
        }
        self.write(batch, sync)
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        let mut batch = WriteBatch::default();
        for key in keys {
            batch.delete(key);
        }
        self.write(batch, sync)
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        while let Some(pairs) = next() {
            self.put(&pairs, Sync::Later)?;
        }
        self.database
            .flush_wal(true)
            .map_err(refused("sync RocksDB"))
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        match view {
            View::Held => work(&mut Held(self.database.snapshot())),
            View::Fresh => work(&mut Fresh(&self.database)),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        self.database.flush().map_err(refused("flush RocksDB"))?;
        let start = Instant::now();
        while self.is_busy()? {
            if start.elapsed() > PATIENCE {
                return Err(refused("settle RocksDB")(
                    "still compacting after 10 minutes",
                ));
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

fn walk(
    mut entries: DBRawIterator<'_>,
    from: &[u8],
    most: u64,
    see: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<u64, BenchError> {
    entries.seek(from);
    let mut seen = 0;
    while seen < most {
        let Some((key, value)) = entries.item() else {
            break;
        };
        see(key, value);
        seen += 1;
        entries.next();
    }
    entries.status().map_err(refused("step over RocksDB"))?;
    Ok(seen)
}

struct Held<'a>(Snapshot<'a>);

impl Reader for Held<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self
            .0
            .get_pinned(key)
            .map_err(refused("get from RocksDB"))?;
        Ok(found.map(|value| see(&value)).is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        walk(self.0.raw_iterator(), from, most, see)
    }
}

struct Fresh<'a>(&'a DB);

impl Reader for Fresh<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self
            .0
            .get_pinned(key)
            .map_err(refused("get from RocksDB"))?;
        Ok(found.map(|value| see(&value)).is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        walk(self.0.raw_iterator(), from, most, see)
    }
}
