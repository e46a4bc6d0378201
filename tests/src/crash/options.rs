//! The options of a run: small sizes, so that everything happens often.

use std::time::Duration;

use cs_io::sim::Rng;
use cs_kv::{AutoCompact, Compression, Durability, KeepChanges, SnapshotLimits, StoreOptions};

/// Of so many runs one is that of a store without a log.
const WITHOUT_LOG_EVERY: u64 = 8;

/// Small sizes, so that everything happens often.
pub(super) fn draw(rng: &mut Rng) -> StoreOptions {
    let mut pick = |choices: [u64; 3]| choices[rng.below(3) as usize];
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = pick([64, 128, 256]) << 10;
    options.checkpoint_log_bytes = pick([16, 32, 64]) << 10;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
    options.log.segment_bytes_min = pick([16, 16, 32]) << 10;
    options.log.segment_bytes_max = pick([16, 32, 64]) << 10;
    options.log.groups_in_flight = pick([2, 3, 3]) as usize;
    options.log.group_bytes_max = 16 << 10;
    options.log.spare_segments = pick([1, 2, 3]) as usize;
    let threshold = pick([16, 128, 1024]) as u32;
    options.auto_compact = match pick([0, 1, 2]) {
        0 => None,
        1 => auto_compact(10, 16 << 10),
        _ => auto_compact(30, 96 << 10),
    };
    if rng.below(WITHOUT_LOG_EVERY) == 0 {
        options.durability = Some(Durability::Memory);
    }
    options.compression.log = compression(rng);
    options.compression.values = compression(rng);
    options.compression.threshold_bytes = threshold;
    options.keep_changes = keep_changes(rng);
    options.snapshot_limits = snapshot_limits(rng);
    options
}

/// Crowded with dirty pages between two checkpoints, and not so full that commits
/// wait for their writes.
pub(super) fn crowd(options: &mut StoreOptions) {
    options.cache_bytes = 96 << 10;
    options.checkpoint_log_bytes = 32 << 10;
    options.checkpoint_log_bytes_max = options.checkpoint_log_bytes;
}

fn auto_compact(waste_percent: u8, waste_bytes: u64) -> Option<AutoCompact> {
    Some(AutoCompact {
        waste_percent,
        waste_bytes,
    })
}

fn compression(rng: &mut Rng) -> Compression {
    match rng.below(6) {
        0 | 1 => Compression::None,
        2 => Compression::Gzip(1 + rng.below(9) as u8),
        3 => Compression::Auto,
        _ => Compression::Lz4,
    }
}

/// Mostly what checkpoints leave of the log is enough: more of it would never be
/// recycled.
fn keep_changes(rng: &mut Rng) -> Option<KeepChanges> {
    rng.percent(15).then_some(KeepChanges {
        max_bytes: 64 << 20,
        max_age: Duration::from_secs(24 * 3600),
    })
}

fn snapshot_limits(rng: &mut Rng) -> SnapshotLimits {
    match rng.below(8) {
        0 => SnapshotLimits {
            max_age: None,
            max_retained_bytes: Some(32 << 10),
        },
        1 => SnapshotLimits {
            max_age: Some(Duration::from_millis(500)),
            max_retained_bytes: None,
        },
        _ => SnapshotLimits::default(),
    }
}
