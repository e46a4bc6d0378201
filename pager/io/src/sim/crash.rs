//! What a crash makes of unsynced state.

use std::collections::BTreeMap;
use std::ops::Range;

use super::content::Content;
use super::image::{Directory, Names, SimImage};
use super::journal::FileNumber;
use super::replay::Flying;
use super::rng::Rng;
use super::unsynced::{Change, FileState, Unsynced, Written};

/// The unit that a disk writes wholly or not at all.
const SECTOR: u64 = 512;

/// Who crashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CrashKind {
    /// The process (kill, abort): the kernel goes on. Nothing that had ended
    /// is lost, and nothing became durable by it.
    Process,
    /// The machine (power cut): what was not durable is a matter of luck.
    Machine,
}

/// How a crash treats unsynced changes. Independent luck for each would never
/// show the ends, "all of it" and "none of it", when there are many.
#[derive(Clone, Copy, Debug)]
struct Mood {
    /// Chance in percent that a write survives at all.
    keep: u8,
    /// Chance in percent that a surviving one is torn.
    tear: u8,
    /// Chance in percent that metadata changes are all kept; as much that all are lost.
    settle: u8,
}

impl Mood {
    fn draw(rng: &mut Rng) -> Self {
        let keep = [0, 100, 50, 90, 10, 50][rng.below(6) as usize];
        let tear = [0, 20, 80][rng.below(3) as usize];
        Self {
            keep,
            tear,
            settle: 30,
        }
    }

    /// How many of `count` ordered changes survive.
    fn prefix(self, rng: &mut Rng, count: usize) -> usize {
        let luck = rng.below(100) as u8;
        if luck < self.settle {
            count
        } else if luck < 2 * self.settle {
            0
        } else {
            rng.below(count as u64 + 1) as usize
        }
    }
}

/// The image after a crash of the whole machine: everything in it is durable.
pub(super) fn machine(
    files: &BTreeMap<FileNumber, FileState>,
    flying: &[(FileNumber, Flying)],
    directory: &Directory,
    next_file: u32,
    rng: &mut Rng,
) -> SimImage {
    let mood = Mood::draw(rng);
    let names = surviving_names(directory, mood, rng);
    let mut survivors = BTreeMap::new();
    for file in names.values() {
        let mut content = FileState::default();
        if let Some(state) = files.get(file) {
            let in_flight = flying
                .iter()
                .filter(|(of, _)| of == file)
                .map(|(_, flying)| flying);
            content = FileState::settled(surviving_content(state, in_flight, mood, rng));
        }
        survivors.insert(*file, content);
    }
    let directory = Directory {
        durable: names,
        ..Directory::default()
    };
    SimImage {
        files: survivors,
        directory,
        next_file,
    }
}

/// The image after a crash of the process: all that ended, some of what was
/// in flight, and all of it as unsynced as it was.
pub(super) fn process(
    files: &BTreeMap<FileNumber, FileState>,
    flying: &[(FileNumber, Flying)],
    directory: &Directory,
    next_file: u32,
    rng: &mut Rng,
) -> SimImage {
    let mood = Mood::draw(rng);
    let reachable = directory.reachable();
    let mut files: BTreeMap<_, _> = files
        .iter()
        .filter(|(file, _)| reachable.contains(file))
        .map(|(file, state)| (*file, state.clone()))
        .collect();
    for (file, flying) in flying {
        if let Some(state) = files.get_mut(file) {
            for piece in surviving_pieces(&flying.written, mood, rng) {
                state.write(piece, 0);
            }
        }
    }
    files.values_mut().for_each(FileState::forget_times);
    SimImage {
        files,
        directory: directory.clone(),
        next_file,
    }
}

fn surviving_names(directory: &Directory, mood: Mood, rng: &mut Rng) -> Names {
    let mut names = directory.durable.clone();
    let changes = &directory.unsynced;
    if changes.is_empty() {
        return names;
    }
    // File systems with an ordered journal keep a beginning; others anything.
    if rng.percent(50) {
        let kept = mood.prefix(rng, changes.len());
        changes[..kept]
            .iter()
            .for_each(|change| change.apply(&mut names));
    } else {
        for change in changes {
            if rng.percent(50) {
                change.apply(&mut names);
            }
        }
    }
    names
}

fn surviving_content<'a>(
    state: &FileState,
    in_flight: impl Iterator<Item = &'a Flying>,
    mood: Mood,
    rng: &mut Rng,
) -> Content {
    let mut content = state.durable.clone();
    let mut flying_entries = Vec::new();
    for flying in in_flight {
        let end = flying.written.end();
        flying_entries.push(Unsynced {
            change: Change::Extend(end),
            ended_at: 0,
        });
        let change = Change::Write {
            written: flying.written.clone(),
            abandoned: false,
        };
        flying_entries.push(Unsynced {
            change,
            ended_at: 0,
        });
    }
    let all = || {
        state
            .unsynced
            .iter()
            .chain(&flying_entries)
            .map(|entry| &entry.change)
    };
    let is_metadata = |change: &&Change| !matches!(change, Change::Write { .. });
    let metadata_count = all().filter(is_metadata).count();
    let mut metadata_left = mood.prefix(rng, metadata_count);
    for change in all() {
        match change {
            Change::Write { written, .. } => {
                for piece in surviving_pieces(written, mood, rng) {
                    // Bytes beyond a size that did not survive are not there.
                    if let Some(visible) = piece.between(0, content.len()) {
                        content.write(visible.bytes(), visible.offset);
                    }
                }
            }
            metadata => {
                if metadata_left > 0 {
                    metadata_left -= 1;
                    metadata.apply(&mut content);
                }
            }
        }
    }
    content
}

/// The parts of a write that arrive: all, none, or some of its sectors.
fn surviving_pieces(written: &Written, mood: Mood, rng: &mut Rng) -> Vec<Written> {
    if !rng.percent(mood.keep) {
        return Vec::new();
    }
    if !rng.percent(mood.tear) {
        return vec![written.clone()];
    }
    let first = written.offset / SECTOR;
    let sectors = written.end().div_ceil(SECTOR) - first;
    let cut = rng.below(sectors + 1);
    let runs: Vec<Range<u64>> = match rng.below(4) {
        0 => std::iter::once(0..cut).collect(),
        1 => std::iter::once(cut..sectors).collect(),
        // All but one.
        2 => vec![0..cut, cut + 1..sectors],
        _ => (0..sectors)
            .filter(|_| rng.percent(50))
            .map(|sector| sector..sector + 1)
            .collect(),
    };
    let at = |sector: u64| (first + sector) * SECTOR;
    runs.into_iter()
        .filter_map(|run| written.between(at(run.start), at(run.end)))
        .collect()
}
