//! What can be done to a file, one thing at a time, and the list of cases.
//!
//! In `--all` each byte has its turn, but for blocks that nobody reads: one
//! that may be wrong in every bit without anybody noticing (and is no meta, of
//! which there are two) is free space, and of it one byte in
//! [`UNREAD_STEP`] stands for the others.
//!
//! ## Invariants
//! * Applying a mutation changes at least one byte or the length, or the case
//!   is one that changes nothing (a zero block zeroed): harmless by nature.

use std::fmt;
use std::io;
use std::sync::Arc;

use cs_base::BLOCK_SIZE;
use cs_io::{Disk, OpenMode};
use oorandom::Rand64;

use super::sample::{BACKUP, Sample};

/// In `--all`, lengths to cut to are this far apart (and one off each block's edge).
const CUT_STEP: usize = 256;
/// In `--all`, bytes of blocks that nobody reads are flipped so far apart.
const UNREAD_STEP: usize = 128;
/// Blocks that hold the metas, at the head of the data file.
const META_BLOCKS: usize = cs_pager::format::META_BYTES as usize / BLOCK_SIZE;

/// The kind of bytes that are damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// The metas of the data file.
    Meta,
    /// The pages of the data file.
    Pages,
    /// The header of a segment of the log.
    LogHeader,
    /// The records of a segment, and what lies behind them.
    LogRecords,
    /// A file that waits to become a segment.
    Spare,
    /// A backup.
    Backup,
}

impl Region {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Meta,
        Self::Pages,
        Self::LogHeader,
        Self::LogRecords,
        Self::Spare,
        Self::Backup,
    ];

    /// Of 100 samples, how many go here.
    const fn weight(self) -> u64 {
        match self {
            Self::Meta => 12,
            Self::Pages => 34,
            Self::LogHeader => 16,
            Self::LogRecords => 28,
            Self::Spare => 4,
            Self::Backup => 6,
        }
    }

    fn of(file: &str, block: usize) -> Self {
        if file == BACKUP {
            Self::Backup
        } else if file.starts_with("spare") {
            Self::Spare
        } else if file.starts_with("wal") {
            if block == 0 {
                Self::LogHeader
            } else {
                Self::LogRecords
            }
        } else if block < META_BLOCKS {
            Self::Meta
        } else {
            Self::Pages
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meta => "metas",
            Self::Pages => "pages",
            Self::LogHeader => "log headers",
            Self::LogRecords => "log records",
            Self::Spare => "spare files",
            Self::Backup => "backups",
        })
    }
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Flip {
        offset: usize,
        bit: u8,
    },
    Cut {
        len: usize,
    },
    Zero {
        block: usize,
    },
    /// Every bit of the block is flipped.
    Invert {
        block: usize,
    },
    /// The block becomes a copy of another one of the same file.
    Swap {
        block: usize,
        with: usize,
    },
    /// The block becomes what it was at an earlier time.
    Stale {
        block: usize,
        image: usize,
    },
}

/// What is done to which file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mutation {
    pub(super) file: String,
    pub(super) region: Region,
    pub(super) damage: Damage,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        match self.damage {
            Damage::Flip { offset, bit } => write!(f, "{file}: bit {bit} of byte {offset} flipped"),
            Damage::Cut { len } => write!(f, "{file}: cut to {len} bytes"),
            Damage::Zero { block } => write!(f, "{file}: block {block} zeroed"),
            Damage::Invert { block } => write!(f, "{file}: block {block} inverted"),
            Damage::Swap { block, with } => write!(f, "{file}: block {block} replaced by {with}"),
            Damage::Stale { block, image } => {
                write!(
                    f,
                    "{file}: block {block} as it was at checkpoint {}",
                    image + 1
                )
            }
        }
    }
}

fn block_of(bytes: &[u8], block: usize) -> Option<&[u8]> {
    bytes.get(block * BLOCK_SIZE..(block + 1) * BLOCK_SIZE)
}

impl Mutation {
    /// Lays the damage over the sample's files.
    ///
    /// # Errors
    /// None that the disk in memory gives.
    pub(super) fn apply(&self, disk: &dyn Disk, sample: &Sample) -> io::Result<()> {
        let file = disk.open(&self.file, OpenMode::ReadWrite)?;
        let whole = &sample.files[&self.file];
        match self.damage {
            Damage::Flip { offset, bit } => {
                file.write_at(&[whole[offset] ^ (1 << bit)], offset as u64)
            }
            Damage::Cut { len } => file.set_len(len as u64),
            Damage::Zero { block }
            | Damage::Invert { block }
            | Damage::Swap { block, .. }
            | Damage::Stale { block, .. } => {
                file.write_at(&self.replacement(sample), (block * BLOCK_SIZE) as u64)
            }
        }
    }

    /// The same to bytes.
    pub(super) fn apply_to(&self, bytes: &mut Vec<u8>, sample: &Sample) {
        match self.damage {
            Damage::Flip { offset, bit } => bytes[offset] ^= 1 << bit,
            Damage::Cut { len } => bytes.truncate(len),
            Damage::Zero { block }
            | Damage::Invert { block }
            | Damage::Swap { block, .. }
            | Damage::Stale { block, .. } => {
                let at = block * BLOCK_SIZE;
                bytes[at..at + BLOCK_SIZE].copy_from_slice(&self.replacement(sample));
            }
        }
    }

    fn replacement(&self, sample: &Sample) -> Vec<u8> {
        if let Damage::Invert { block } = self.damage {
            let before = block_of(&sample.files[&self.file], block).unwrap_or_default();
            return before.iter().map(|byte| !byte).collect();
        }
        let found = match self.damage {
            Damage::Swap { with, .. } => block_of(&sample.files[&self.file], with),
            Damage::Stale { block, image } => sample.older[image]
                .get(&self.file)
                .and_then(|bytes| block_of(bytes, block)),
            _ => None,
        };
        // The file was shorter then, or not there.
        found.map_or_else(|| vec![0; BLOCK_SIZE], <[u8]>::to_vec)
    }
}

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) number: u64,
    pub(super) sample: Arc<Sample>,
    pub(super) mutation: Mutation,
}

/// The cases of a run, by number.
#[derive(Debug)]
pub(super) struct Cases {
    samples: Vec<Arc<Sample>>,
    seed: u64,
    /// Every case, or none where they are drawn.
    listed: Vec<(usize, Mutation)>,
    drawn: u64,
}

impl Cases {
    /// Drawn at random, each from its own number.
    pub(super) fn sampled(samples: Vec<Arc<Sample>>, seed: u64, count: u64) -> Self {
        Self {
            samples,
            seed,
            listed: Vec::new(),
            drawn: count,
        }
    }

    /// All there are. `is_harmless` tries one and says whether nobody noticed.
    pub(super) fn every(
        samples: Vec<Arc<Sample>>,
        seed: u64,
        is_harmless: impl Fn(&Case) -> bool,
    ) -> Self {
        let mut listed = Vec::new();
        let mut rng = Rand64::new(u128::from(seed));
        for (position, sample) in samples.iter().enumerate() {
            for (file, bytes) in &sample.files {
                let is_read = |block: usize| {
                    let mutation = mutation(file, Damage::Invert { block });
                    let sample = Arc::clone(sample);
                    let is_meta = mutation.region == Region::Meta;
                    is_meta
                        || !is_harmless(&Case {
                            number: 0,
                            sample,
                            mutation,
                        })
                };
                let damages = every_damage(bytes.len(), sample.older.len(), is_read, &mut rng);
                let mutated = |damage| (position, mutation(file, damage));
                listed.extend(damages.into_iter().map(mutated));
            }
        }
        Self {
            samples,
            seed,
            listed,
            drawn: 0,
        }
    }

    pub(super) fn len(&self) -> u64 {
        if self.listed.is_empty() {
            self.drawn
        } else {
            self.listed.len() as u64
        }
    }

    pub(super) fn get(&self, number: u64) -> Case {
        let (position, mutation) = match self.listed.get(number as usize) {
            Some((position, mutation)) => (*position, mutation.clone()),
            None => self.draw(number),
        };
        Case {
            number,
            sample: Arc::clone(&self.samples[position]),
            mutation,
        }
    }

    fn draw(&self, number: u64) -> (usize, Mutation) {
        let mut rng = Rand64::new(u128::from(self.seed) << 64 | u128::from(number));
        let position = rng.rand_range(0..self.samples.len() as u64) as usize;
        let sample = &self.samples[position];
        loop {
            let region = draw_region(&mut rng);
            let blocks: Vec<(&String, usize)> = sample
                .files
                .iter()
                .flat_map(|(file, bytes)| (0..bytes.len() / BLOCK_SIZE).map(move |at| (file, at)))
                .filter(|(file, block)| Region::of(file, *block) == region)
                .collect();
            // Not every sample has a spare file or a backup.
            if blocks.is_empty() {
                continue;
            }
            let (file, block) = blocks[rng.rand_range(0..blocks.len() as u64) as usize];
            let damage = draw_damage(sample, file, block, &mut rng);
            return (
                position,
                Mutation {
                    file: file.clone(),
                    region,
                    damage,
                },
            );
        }
    }
}

fn draw_region(rng: &mut Rand64) -> Region {
    let mut at = rng.rand_range(0..100);
    for region in Region::ALL {
        if at < region.weight() {
            return region;
        }
        at -= region.weight();
    }
    Region::Pages
}

fn draw_damage(sample: &Sample, file: &str, block: usize, rng: &mut Rand64) -> Damage {
    let inside = |rng: &mut Rand64| block * BLOCK_SIZE + rng.rand_range(0..4096) as usize;
    match rng.rand_range(0..100) {
        0..70 => {
            // Half of them near the head of the block, where the headers are.
            let offset = if rng.rand_range(0..2) == 0 {
                block * BLOCK_SIZE + rng.rand_range(0..320) as usize
            } else {
                inside(rng)
            };
            Damage::Flip {
                offset,
                bit: rng.rand_range(0..8) as u8,
            }
        }
        70..80 => Damage::Cut { len: inside(rng) },
        80..84 => Damage::Zero { block },
        84..86 => Damage::Invert { block },
        86..92 => {
            let blocks = (sample.files[file].len() / BLOCK_SIZE) as u64;
            Damage::Swap {
                block,
                with: rng.rand_range(0..blocks) as usize,
            }
        }
        _ => {
            let image = rng.rand_range(0..sample.older.len() as u64) as usize;
            Damage::Stale { block, image }
        }
    }
}

fn mutation(file: &str, damage: Damage) -> Mutation {
    let block = match damage {
        Damage::Flip { offset, .. } => offset / BLOCK_SIZE,
        Damage::Cut { len } => len / BLOCK_SIZE,
        Damage::Zero { block }
        | Damage::Invert { block }
        | Damage::Swap { block, .. }
        | Damage::Stale { block, .. } => block,
    };
    Mutation {
        file: file.to_owned(),
        region: Region::of(file, block),
        damage,
    }
}

/// A bit of every byte that counts, lengths in steps, and each block in five ways.
fn every_damage(
    len: usize,
    images: usize,
    is_read: impl Fn(usize) -> bool,
    rng: &mut Rand64,
) -> Vec<Damage> {
    let blocks = len / BLOCK_SIZE;
    let mut damages = Vec::new();
    for block in 0..len.div_ceil(BLOCK_SIZE) {
        let whole = block < blocks;
        let step = if whole && !is_read(block) {
            UNREAD_STEP
        } else {
            1
        };
        let bytes = block * BLOCK_SIZE..len.min((block + 1) * BLOCK_SIZE);
        damages.extend(bytes.step_by(step).map(|offset| Damage::Flip {
            offset,
            bit: rng.rand_range(0..8) as u8,
        }));
    }
    damages.extend((0..len).step_by(CUT_STEP).map(|len| Damage::Cut { len }));
    damages.extend((1..=blocks).map(|block| Damage::Cut {
        len: block * BLOCK_SIZE - 1,
    }));
    for block in 0..blocks {
        damages.extend([Damage::Zero { block }, Damage::Invert { block }]);
        let other = rng.rand_range(0..blocks as u64) as usize;
        let next = (block + 1) % blocks;
        damages.extend([other, next].map(|with| Damage::Swap { block, with }));
        damages.extend((0..images).map(|image| Damage::Stale { block, image }));
    }
    damages
}
