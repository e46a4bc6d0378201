//! Seeded changes: keys and values of every size, over a few trees.

use cs_base::TreeId;
use cs_io::sim::Rng;
use cs_kv::Durability;

use crate::model::{Bytes, Change, State};

/// Short keys per tree: few, so that each is changed and deleted often.
const KEYS: u64 = 90;
/// Clients that may send a commit again.
const SESSIONS: u64 = 3;
/// Trees at most.
const TREES: usize = 4;

/// What the changes of one run are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste {
    /// Chance in percent of a value of several pages.
    large_percent: u8,
    /// Chance in percent of a delete.
    delete_percent: u8,
    /// Operations of a commit, at most.
    most_operations: u64,
    /// Chance in percent of a commit that is not waited for.
    lazy_percent: u8,
}

impl Taste {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        Self {
            large_percent: [0, 3, 8][rng.below(3) as usize],
            delete_percent: [20, 35, 50][rng.below(3) as usize],
            most_operations: [3, 8, 16][rng.below(3) as usize],
            lazy_percent: [20, 20, 20, 80][rng.below(4) as usize],
        }
    }

    /// What a commit asks for: mostly to be on disk, and the others lie between
    /// and behind.
    pub(super) fn level(self, rng: &mut Rng) -> Durability {
        if !rng.percent(self.lazy_percent) {
            Durability::Sync
        } else if rng.percent(50) {
            Durability::Async
        } else {
            Durability::Memory
        }
    }
}

/// Puts and deletes for one commit, over up to three trees of `state`.
pub(super) fn changes(rng: &mut Rng, taste: Taste, state: &State) -> Vec<Change> {
    let trees: Vec<TreeId> = state.trees.keys().copied().collect();
    if trees.is_empty() {
        return Vec::new();
    }
    let several = 1 + rng.below(3);
    let chosen: Vec<TreeId> = (0..several)
        .map(|_| trees[rng.below(trees.len() as u64) as usize])
        .collect();
    let count = 1 + rng.below(taste.most_operations);
    (0..count)
        .map(|_| {
            let tree = chosen[rng.below(several) as usize];
            let key = key(rng);
            if rng.percent(taste.delete_percent) {
                Change::Delete(tree, key)
            } else {
                Change::Put(tree, key, value(rng, taste))
            }
        })
        .collect()
}

/// Whether a tree more or one less would be welcome.
pub(super) fn wants_tree(rng: &mut Rng, state: &State) -> bool {
    state.trees.len() < 2 || (state.trees.len() < TREES && rng.percent(4))
}

/// Once in a while the commit is the next statement of a session.
pub(super) fn statement(rng: &mut Rng, state: &State) -> Option<Change> {
    if !rng.percent(15) {
        return None;
    }
    let session = rng.below(SESSIONS) as u8;
    let newest = state.sessions.get(&session).copied().unwrap_or(0);
    Some(Change::Statement(session, newest + 1 + rng.below(3)))
}

/// A tree to drop, sometimes.
pub(super) fn tree_to_drop(rng: &mut Rng, state: &State) -> Option<TreeId> {
    if state.trees.len() < 3 || !rng.percent(4) {
        return None;
    }
    let nth = rng.below(state.trees.len() as u64) as usize;
    let tree = state.trees.keys().nth(nth).copied();
    tree.filter(|&tree| !state.is_locked(tree))
}

pub(super) fn key(rng: &mut Rng) -> Bytes {
    let number = rng.below(KEYS);
    let mut key = format!("key-{number:03}").into_bytes();
    match rng.below(50) {
        // Long, and beyond a quarter page: the rest goes to overflow pages.
        0 => key.resize(300 + (number as usize % 4) * 200, b'k'),
        1 if number < 10 => key.resize(2_500, b'k'),
        _ => {}
    }
    key.into()
}

pub(super) fn value(rng: &mut Rng, taste: Taste) -> Bytes {
    let len = if rng.percent(taste.large_percent) {
        2_000 + rng.below(14_000)
    } else if rng.percent(20) {
        200 + rng.below(900)
    } else {
        rng.below(200)
    };
    // No two alike, so that a stale one is seen; all, half or nothing of it is noise.
    let word = rng.draw().to_le_bytes();
    let noise = len * rng.below(3) / 2;
    let mut bytes: Vec<u8> = word.iter().copied().cycle().take(len as usize).collect();
    for word in bytes[..noise as usize].chunks_mut(8) {
        word.copy_from_slice(&rng.draw().to_le_bytes()[..word.len()]);
    }
    bytes.into()
}
