//! What is written: each transaction a function of seed, writer and number.
//!
//! ## Invariants
//! * Each writer has keys of its own and commits in the order of its numbers,
//!   so its part of the database is a function of how far it came.
//! * Each transaction changes both trees: the writer's counter is in each.
//! * Every fourth also adds one to a number that all writers share, by
//!   reading it first.
//! * Of five commits one is `Async` and the next one `Memory`: they promise
//!   nothing but order, until a sync, a flush or a checkpoint covers them.
//! * Compaction changes nothing of what is there, and promises nothing.
//! * Documents are changed by one operation each, so without counters; some
//!   operations change several at once.

use std::collections::BTreeMap;

use clap::ValueEnum;
use cs_kv::{CompactOptions, Compression, CompressionOptions, Durability, ReadPath, StoreOptions};
use oorandom::Rand64;

/// What a process writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Keys and values.
    #[default]
    Pairs,
    /// Keys and values, into a store without a log: a checkpoint alone saves them.
    WithoutLog,
    /// Documents in collections, through the public API.
    Documents,
}

impl Kind {
    /// As the command line has it.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Trees of the database.
pub(super) const TREES: usize = 2;
/// Writers, each a thread.
pub(crate) const WRITERS: u8 = 4;
/// Keys of one writer in one tree, its counter not counted.
const KEYS: u64 = 48;
/// The number that all writers add to, in the first tree.
pub(super) const SHARED_KEY: &[u8] = b"shared";
/// Each so many transactions of a writer add to it.
pub(super) const SHARED_EVERY: u64 = 4;

/// Writer 2 compacts each so many transactions, in steps of so many pages,
/// beside the others.
const COMPACT_EVERY: u64 = 19;
const COMPACT_PAGES: usize = 16;

/// Numbers of documents that come and go together.
const BATCH: u64 = 3;
/// Each so many numbers such a batch comes; half as many later it goes.
const BATCH_EVERY: u64 = 6;

/// Tree or collection (by position) and key, to the new value or none.
pub(super) type Changes = BTreeMap<(usize, Vec<u8>), Option<Vec<u8>>>;

/// How to compact after commit `number` of a writer, if it is its turn.
pub(super) fn compacts(writer: u8, number: u64) -> Option<CompactOptions> {
    let mut options = CompactOptions::default();
    options.pages_per_step = COMPACT_PAGES;
    (writer == 2 && number.is_multiple_of(COMPACT_EVERY)).then_some(options)
}

/// The counter of a writer: the number of its last transaction, big-endian.
pub(super) fn counter_key(writer: u8) -> Vec<u8> {
    format!("writer-{writer}/count").into_bytes()
}

/// How many transactions a writer has under way at most.
pub(super) fn depth(writer: u8) -> u64 {
    1 + u64::from(writer % 3)
}

/// What commit `number` asks to survive.
pub(super) fn level(kind: Kind, number: u64) -> Durability {
    match number % 5 {
        _ if kind == Kind::WithoutLog => Durability::Memory,
        2 => Durability::Async,
        3 => Durability::Memory,
        _ => Durability::Sync,
    }
}

/// The highest number that a writer of pairs may have reached if `least` is the last
/// one that it is bound to: what promises nothing is acknowledged unseen, and
/// then come those under way.
pub(super) fn most(kind: Kind, writer: u8, least: u64) -> u64 {
    if kind == Kind::WithoutLog {
        // Every checkpoint of another writer saves this one's commits too.
        return least + 1_000_000;
    }
    let mut passed = least;
    while level(kind, passed + 1) != Durability::Sync {
        passed += 1;
    }
    passed + depth(writer)
}

/// What commit `number` (from 1) of a writer changes.
pub(super) fn changes(kind: Kind, seed: u64, writer: u8, number: u64) -> Changes {
    match kind {
        Kind::Documents => documents(seed, writer, number),
        Kind::Pairs | Kind::WithoutLog => pairs(seed, writer, number),
    }
}

fn documents(seed: u64, writer: u8, number: u64) -> Changes {
    let batch = |number: u64, comes: bool| {
        (0..BATCH).map(move |nth| {
            let key = format!("writer-{writer}/batch-{number}/{nth}").into_bytes();
            let value = comes.then(|| number.to_be_bytes().repeat(1 + nth as usize * 40));
            ((0, key), value)
        })
    };
    match number % BATCH_EVERY {
        0 => batch(number, true).collect(),
        rest if rest == BATCH_EVERY / 2 && number > rest => batch(number - rest, false).collect(),
        _ => {
            let is_counter = |key: &[u8]| key == counter_key(writer);
            pairs(seed, writer, number)
                .into_iter()
                .filter(|((_, key), _)| !is_counter(key))
                .take(1)
                .collect()
        }
    }
}

fn pairs(seed: u64, writer: u8, number: u64) -> Changes {
    let state = u128::from(seed) << 64 | u128::from(number) << 8 | u128::from(writer);
    let mut rng = Rand64::new(state);
    let mut changes = Changes::new();
    for _ in 0..=rng.rand_range(0..6) {
        let tree = rng.rand_range(0..TREES as u64) as usize;
        let key = format!("writer-{writer}/{:03}", rng.rand_range(0..KEYS)).into_bytes();
        let len = match rng.rand_range(0..100) {
            0..20 => None,
            20..85 => Some(rng.rand_range(0..400)),
            85..97 => Some(rng.rand_range(400..3_000)),
            _ => Some(rng.rand_range(5_000..20_000)),
        };
        changes.insert((tree, key), len.map(|len| value(&mut rng, len as usize)));
    }
    for tree in 0..TREES {
        changes.insert(
            (tree, counter_key(writer)),
            Some(number.to_be_bytes().to_vec()),
        );
    }
    changes
}

fn value(rng: &mut Rand64, len: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(len + 16);
    // Every other word is new: half of it can be compressed away.
    let word = rng.rand_u64().to_le_bytes();
    while value.len() < len {
        value.extend_from_slice(&rng.rand_u64().to_le_bytes());
        value.extend_from_slice(&word);
    }
    value.truncate(len);
    value
}

/// Small sizes, so that a few dozen commits see checkpoints, recycling,
/// eviction and early writes. The read path and what is compressed take turns:
/// each cycle reads what others wrote in another manner.
pub(super) fn options(kind: Kind, cycle: u64) -> StoreOptions {
    let mut options = StoreOptions::default();
    if kind == Kind::WithoutLog {
        options.durability = Some(Durability::Memory);
    }
    options.page_size = 4096;
    options.cache_bytes = 256 * 1024;
    options.checkpoint_log_bytes = 128 * 1024;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options.log.segment_bytes_min = 32 * 1024;
    options.log.segment_bytes_max = 256 * 1024;
    options.log.groups_in_flight = 3;
    // Kinds come again after six cycles: the turns shift with each such round.
    let turn = cycle + cycle / 6;
    if turn.is_multiple_of(2) {
        options.read_path = ReadPath::Map;
    }
    options.compression = CompressionOptions::of(match turn % 3 {
        0 => Compression::None,
        1 => Compression::Lz4,
        _ => Compression::Gzip(1),
    });
    options.compression.threshold_bytes = 128;
    options
}
