//! Collection Store: one tree of the ordered store below the documents.

use std::ops::{Bound, ControlFlow};
use std::path::Path;
use std::time::Duration;

use cs_kv::base::TreeId;
use cs_kv::io::RealRuntime;
use cs_kv::io::sys::DirectIo;
use cs_kv::io::uring::{IoChoice, open_best};
use cs_kv::{
    Batch, BulkOptions, BulkProgress, CommitOptions, CompactOptions, CompactProgress, Durability,
    Error, Expect, KeyRange, Snapshot, Store, StoreOptions, TreeReader,
};

use crate::error::BenchError;

use super::{Engine, KEY_BYTES, Pair, ReadPath, Reader, Settings, Sync, View, refused};

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(1 << 30);

fn options(settings: &Settings) -> StoreOptions {
    let mut options = StoreOptions::default();
    options.cache_bytes = settings.cache_bytes;
    options.read_path = match settings.read_path {
        ReadPath::Pool => cs_kv::ReadPath::Pool,
        ReadPath::Map => cs_kv::ReadPath::Map,
    };
    if settings.long_log {
        options.checkpoint_log_bytes = u64::MAX / 8;
        options.checkpoint_log_bytes_max = u64::MAX / 8;
        options.checkpoint_interval = NEVER;
    }
    options
}

pub(super) fn open(directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>, BenchError> {
    let disk = open_best(directory, true, IoChoice::default(), DirectIo::Auto)
        .map_err(refused("open the directory"))?;
    let store = Store::open(disk, RealRuntime::new(), options(settings))
        .map_err(refused("open the store"))?;
    let trees = store.snapshot().and_then(|snapshot| snapshot.trees());
    let tree = match trees.map_err(refused("list trees"))?.first() {
        Some((tree, _)) => *tree,
        None => make_tree(&store).map_err(refused("make a tree"))?,
    };
    Ok(Box::new(Cs { store, tree }))
}

fn make_tree(store: &Store) -> Result<TreeId, Error> {
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    store.write(&batch, &CommitOptions::default())?.wait()?;
    Ok(tree)
}

struct Cs {
    store: Store,
    tree: TreeId,
}

impl Cs {
    fn write(&self, batch: Batch, sync: Sync) -> Result<(), BenchError> {
        let options = CommitOptions::with_durability(match sync {
            Sync::Durable => Durability::Sync,
            Sync::Later => Durability::Async,
        });
        let committed = self.store.write_and_wait(batch, &options);
        committed.map(drop).map_err(refused("commit"))
    }

    fn snapshot(&self) -> Result<Snapshot, BenchError> {
        self.store.snapshot().map_err(refused("take a snapshot"))
    }
}

impl Engine for Cs {
    fn put(&self, pairs: &[Pair], sync: Sync) -> Result<(), BenchError> {
        let mut batch = Batch::new();
        for pair in pairs {
            let (key, value) = (pair.key.to_vec(), pair.value.clone());
            batch.put(self.tree, key, value, Expect::Any);
        }
        self.write(batch, sync)
    }

    fn delete(&self, keys: &[[u8; KEY_BYTES]], sync: Sync) -> Result<(), BenchError> {
        let mut batch = Batch::new();
        for key in keys {
            batch.delete(self.tree, key.to_vec(), Expect::Any);
        }
        self.write(batch, sync)
    }

    fn load(&self, next: &mut dyn FnMut() -> Option<Vec<Pair>>) -> Result<(), BenchError> {
        let pairs = std::iter::from_fn(next).flatten();
        let entries = pairs.map(|pair| Ok::<_, Error>((pair.key, pair.value)));
        let mut progress = |_: &BulkProgress| ControlFlow::Continue(());
        let options = BulkOptions::default();
        let loaded = self
            .store
            .bulk_load(self.tree, entries, &options, &mut progress);
        loaded.map(drop).map_err(refused("load in bulk"))
    }

    fn read(
        &self,
        view: View,
        work: &mut dyn FnMut(&mut dyn Reader) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        match view {
            View::Held => {
                let reader = self.snapshot()?.tree(self.tree);
                work(&mut Held(reader.map_err(refused("find the tree"))?))
            }
            View::Fresh => work(&mut Fresh(self)),
        }
    }

    fn settle(&self) -> Result<(), BenchError> {
        // What the store does by itself when it has been idle for a second.
        let mut progress = |_: &CompactProgress| ControlFlow::Continue(());
        let compacted = self
            .store
            .compact(&CompactOptions::default(), &mut progress);
        compacted.map(drop).map_err(refused("compact"))
    }

    fn close(self: Box<Self>) -> Result<(), BenchError> {
        self.store.close().map_err(refused("close the store"))
    }
}

struct Held(TreeReader);

impl Reader for Held {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self.0.with_value(key, see);
        Ok(found.map_err(refused("get"))?.is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        let mut cursor = self.0.cursor(KeyRange {
            lower: Bound::Included(from.to_vec()),
            upper: Bound::Unbounded,
        });
        let mut seen = 0;
        while seen < most {
            let Some((key, value)) = cursor.next().map_err(refused("step a cursor"))? else {
                break;
            };
            see(key, value);
            seen += 1;
        }
        Ok(seen)
    }
}

struct Fresh<'a>(&'a Cs);

impl Reader for Fresh<'_> {
    fn get(&mut self, key: &[u8], see: &mut dyn FnMut(&[u8])) -> Result<bool, BenchError> {
        let found = self.0.snapshot()?.with_value(self.0.tree, key, see);
        Ok(found.map_err(refused("get"))?.is_some())
    }

    fn range(
        &mut self,
        from: &[u8],
        most: u64,
        see: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<u64, BenchError> {
        let reader = self.0.snapshot()?.tree(self.0.tree);
        Held(reader.map_err(refused("find the tree"))?).range(from, most, see)
    }
}
