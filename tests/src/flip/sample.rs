//! The databases to be damaged, and what is in them.
//!
//! ## Invariants
//! * One seed makes the same databases, but for the clock values in the
//!   sealed one's last records.
//! * `states` holds the contents after every commit that damage may leave as
//!   the last one; the newest is what an undamaged database shows.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode, RealRuntime, Runtime, SimRuntime};
use cs_kv::{
    BackupOptions, Batch, CommitOptions, Compression, CompressionOptions, Expect, Store,
    StoreOptions,
};
use cs_wal::{LogReader, RecordKind};
use oorandom::Rand64;

use super::mutation::Mutation;

/// Contents of all trees.
pub(super) type Model = BTreeMap<TreeId, BTreeMap<Vec<u8>, Vec<u8>>>;
/// File names and bytes.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

type Made<T> = Result<T, Box<dyn Error>>;

/// Commits before the tail.
const COMMITS: u64 = 48;
/// A checkpoint, and an older image of every file, after each so many.
const CHECKPOINT_EVERY: u64 = 8;
/// The file of a backup, beside the database that it is of.
pub(super) const BACKUP: &str = "backup.csb";
/// How long the background thread may take to seal an idle log.
const SEAL_LIMIT: Duration = Duration::from_secs(20);

/// A database as its last user left it.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) name: &'static str,
    /// Never written to: cases lay their changes over it.
    pub(super) disk: Arc<MemoryDisk>,
    pub(super) files: Files,
    /// The files at earlier times, oldest first.
    pub(super) older: Vec<Files>,
    /// Contents by commit index.
    pub(super) states: BTreeMap<u64, Model>,
    /// The key/value tree that cases write to.
    pub(super) tree: TreeId,
}

/// How the last user left the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Stopped behind a commit.
    Unsealed,
    /// Stopped when the log had fallen idle.
    Sealed,
    /// Closed.
    Closed,
    /// As unsealed, all of it compressed; with a backup beside it.
    Packed,
}

/// The options of every sample: small files with all kinds of pages.
pub(super) fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 512 * 1024;
    // Checkpoints only where the sample asks for one.
    options.checkpoint_log_bytes = 16 * 1024 * 1024;
    options.log.segment_bytes_min = 32 * 1024;
    options.log.segment_bytes_max = 64 * 1024;
    options.log.group_bytes_max = 64 * 1024;
    options
}

/// The four samples.
pub(super) fn all(seed: u64) -> Made<Vec<Arc<Sample>>> {
    let endings = [
        (Ending::Unsealed, "unsealed"),
        (Ending::Sealed, "sealed"),
        (Ending::Closed, "closed"),
        (Ending::Packed, "packed"),
    ];
    endings
        .into_iter()
        .map(|(ending, name)| make(seed, ending, name).map(Arc::new))
        .collect()
}

fn make(seed: u64, ending: Ending, name: &'static str) -> Made<Sample> {
    let disk = MemoryDisk::new();
    let mut maker = Maker {
        disk: Arc::clone(&disk),
        packs: ending == Ending::Packed,
        rng: Rand64::new(u128::from(seed)),
        model: Model::new(),
        trees: [TreeId(0); 2],
        older: Vec::new(),
    };
    let runtime = SimRuntime::new(seed);
    let mut store = maker.open(runtime.clone())?;
    maker.create_trees(&store)?;
    for number in 1..=COMMITS {
        maker.commit(&store, number)?;
        if number % CHECKPOINT_EVERY == 0 {
            store.checkpoint()?;
            maker.older.push(read_all(&disk)?);
        }
        if number == COMMITS / 2 {
            // A second incarnation of the log.
            drop(store);
            store = maker.open(runtime.clone())?;
        }
    }
    if ending == Ending::Sealed {
        drop(store);
        store = maker.open(RealRuntime::new())?;
    }
    // The tail: some groups of one commit, the last of two.
    for number in 1..=3 {
        maker.commit(&store, COMMITS + number)?;
    }
    let mut states = BTreeMap::from([(store.snapshot()?.index().0, maker.model.clone())]);
    let mut tickets = Vec::new();
    for number in 4..=5 {
        let ticket = store.write(&maker.batch(COMMITS + number), &CommitOptions::default())?;
        states.insert(ticket.index().0, maker.model.clone());
        tickets.push(ticket);
    }
    for ticket in tickets {
        ticket.wait()?;
    }
    match ending {
        Ending::Unsealed => {}
        Ending::Packed => {
            let packed = store.stats().compression;
            if packed.log.lz4 == 0 || packed.values.gzip == 0 {
                return Err(format!("nothing is packed: {packed:?}").into());
            }
            backup(&store, &disk)?;
        }
        Ending::Sealed => wait_for_seal(&disk)?,
        Ending::Closed => store.close()?,
    }
    drop(store);
    if !matches!(ending, Ending::Unsealed | Ending::Packed) {
        // Whatever was acknowledged is known to be durable: nothing may be lost.
        states = states.into_iter().next_back().into_iter().collect();
    }
    let files = read_all(&disk)?;
    Ok(Sample {
        name,
        disk,
        files,
        older: maker.older,
        states,
        tree: maker.trees[0],
    })
}

struct Maker {
    disk: Arc<MemoryDisk>,
    /// Compresses what can be, by both codecs.
    packs: bool,
    rng: Rand64,
    model: Model,
    trees: [TreeId; 2],
    older: Vec<Files>,
}

impl Maker {
    fn open(&self, runtime: Arc<dyn Runtime>) -> Made<Store> {
        let mut options = options();
        if self.packs {
            options.compression = CompressionOptions::of(Compression::Lz4);
            options.compression.values = Compression::Gzip(6);
            options.compression.threshold_bytes = 64;
        }
        Ok(Store::open(
            Arc::clone(&self.disk) as Arc<dyn Disk>,
            runtime,
            options,
        )?)
    }

    fn create_trees(&mut self, store: &Store) -> Made<()> {
        let mut batch = Batch::new();
        for tree in &mut self.trees {
            *tree = store.new_tree_id();
            batch.create_tree(*tree);
            self.model.insert(*tree, BTreeMap::new());
        }
        Ok(store.write(&batch, &CommitOptions::default())?.wait()?)
    }

    fn commit(&mut self, store: &Store, number: u64) -> Made<()> {
        Ok(store
            .write(&self.batch(number), &CommitOptions::default())?
            .wait()?)
    }

    /// Small entries, a large one now and then, and some deletes.
    fn batch(&mut self, number: u64) -> Batch {
        let mut batch = Batch::new();
        let [small, large] = self.trees;
        for _ in 0..10 {
            let key = format!("key-{:04}", self.rng.rand_range(0..400)).into_bytes();
            let len = self.rng.rand_range(0..120) as usize;
            self.put(&mut batch, small, key, len);
        }
        for _ in 0..2 {
            let key = format!("key-{:04}", self.rng.rand_range(0..400)).into_bytes();
            self.delete(&mut batch, small, key);
        }
        if number % 4 == 1 {
            let mut key = vec![b'L'; if number % 8 == 1 { 1_800 } else { 20 }];
            key.extend_from_slice(&self.rng.rand_range(0..6).to_be_bytes());
            let len = 2_000 + self.rng.rand_range(0..12_000) as usize;
            self.put(&mut batch, large, key, len);
        }
        batch
    }

    fn put(&mut self, batch: &mut Batch, tree: TreeId, key: Vec<u8>, len: usize) {
        // Half of what is to be packed is noise, so that it still takes pages.
        let word = self.rng.rand_u64() as u8;
        let value: Vec<u8> = (0..len)
            .map(|at| match self.packs && at % 64 < 32 {
                true => word,
                false => self.rng.rand_u64() as u8,
            })
            .collect();
        batch.put(tree, key.clone(), value.clone(), Expect::Any);
        self.model.entry(tree).or_default().insert(key, value);
    }

    fn delete(&mut self, batch: &mut Batch, tree: TreeId, key: Vec<u8>) {
        self.model.entry(tree).or_default().remove(&key);
        batch.delete(tree, key, Expect::Any);
    }
}

/// Puts a backup beside the database, in chunks of a few KiB.
fn backup(store: &Store, disk: &Arc<MemoryDisk>) -> Made<()> {
    let mut options = BackupOptions::default();
    options.chunk_bytes = 4096;
    let mut backup = store.backup(Vec::new(), &options)?;
    backup.run(&mut |_| ControlFlow::Continue(()))?;
    let file = disk.open(BACKUP, OpenMode::Create)?;
    file.write_at(&backup.into_sink(), 0)?;
    Ok(())
}

/// Waits until the last record of the log is a seal and is durable.
fn wait_for_seal(disk: &Arc<MemoryDisk>) -> Made<()> {
    let deadline = Instant::now() + SEAL_LIMIT;
    loop {
        let reader = LogReader::discover(Arc::clone(disk) as Arc<dyn Disk>)?;
        let mut last = None;
        reader.for_each_record(|report| {
            if let Some(record) = &report.record {
                last = Some(record.head.kind);
            }
            true
        })?;
        if last == Some(RecordKind::Seal) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("an idle log was not sealed in {SEAL_LIMIT:?}").into());
        }
        std::thread::yield_now();
    }
}

/// The bytes of all files of a disk.
pub(super) fn read_all(disk: &Arc<MemoryDisk>) -> Made<Files> {
    let mut files = Files::new();
    for name in disk.list()? {
        let file = disk.open(&name, OpenMode::ReadOnly)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(&mut bytes, 0)?;
        files.insert(name, bytes);
    }
    Ok(files)
}

impl Sample {
    /// What an undamaged database shows, and its index.
    pub(super) fn newest(&self) -> (u64, &Model) {
        let newest = self.states.last_key_value();
        newest
            .map(|(&index, model)| (index, model))
            .expect("a sample has a state")
    }

    /// Bytes of all files together.
    pub(super) fn bytes(&self) -> u64 {
        self.files.values().map(|bytes| bytes.len() as u64).sum()
    }

    /// Writes the files into a directory named after the sample, to be looked
    /// at with other tools.
    pub(super) fn write_to(&self, parent: &Path, damage: Option<&Mutation>) -> Made<()> {
        let directory = parent.join(self.name);
        fs::create_dir_all(&directory)?;
        for (name, bytes) in &self.files {
            let mut bytes = bytes.clone();
            if let Some(damage) = damage.filter(|damage| damage.file == *name) {
                damage.apply_to(&mut bytes, self);
            }
            fs::write(directory.join(name), bytes)?;
        }
        Ok(())
    }
}
