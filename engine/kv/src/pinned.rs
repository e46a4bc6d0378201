//! Roots whose pages are kept from being reused, and when that ends.
//!
//! ## Invariants
//! * The pages of a root are pinned from its making until it is dropped or
//!   evicted, whichever comes first.
//! * A root is evicted before its pages are handed out for something else:
//!   whoever reads it then finds pages of other versions, which is an error, or
//!   what was there; never anything else.
//! * The newest root, and those of slow work of our own, are not evicted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use cs_base::{Index, TreeId, Version};
use cs_pager::{Pager, Retained};
use parking_lot::Mutex;

use crate::core::Core;
use crate::error::Result;
use crate::recorder::Event;
use crate::root::Root;
use crate::tree::SealedSource;
use crate::tree_root::TreeRoot;
use crate::writer::{Writer, lookup_tree};

/// A root whose pages are kept from being reused. The visible one is shared by
/// all who read it, so that taking a snapshot is two reference counts.
#[derive(Debug)]
pub(crate) struct Pinned {
    pager: Arc<Pager>,
    root: Arc<Root>,
    /// Roots of trees looked up before, each in the place that its id says. Made by
    /// the first look: two KiB that an idle snapshot does without.
    trees: OnceLock<Box<KnownTrees>>,
    live: Arc<LiveRoots>,
    serial: u64,
    /// When it ceased to be the newest; zero while it is.
    superseded_ms: AtomicU64,
    /// It belongs to work of our own, or has a name.
    is_exempt: bool,
    evicted: AtomicBool,
}

/// Trees whose roots a snapshot remembers: the working set of a query.
const KNOWN_TREES: usize = 16;

type KnownTrees = [OnceLock<(TreeId, Option<TreeRoot>)>; KNOWN_TREES];

/// All roots that somebody reads.
#[derive(Debug, Default)]
pub(crate) struct LiveRoots {
    roots: Mutex<BTreeMap<(Version, u64), Weak<Pinned>>>,
    next: AtomicU64,
}

/// When snapshots are ended that keep old versions for too long. What a
/// transaction, a cursor or a backup reads is a snapshot too. The newest state
/// is never ended, nor one that has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotLimits {
    /// Time since its state ceased to be the newest.
    pub max_age: Option<Duration>,
    /// Bytes of pages that all snapshots together may keep from being reused:
    /// beyond it the oldest goes first.
    pub max_retained_bytes: Option<u64>,
}

/// What snapshots keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotStats {
    /// States that are not the newest, and that somebody reads or has named.
    pub states: u64,
    /// Index of the last commit that the oldest of them sees.
    pub oldest_index: Option<Index>,
    /// How long ago the oldest ceased to be the newest.
    pub oldest_age: Duration,
    /// Bytes of pages that would be free without it.
    pub oldest_retained_bytes: u64,
    /// Bytes of pages that would be free without all of them: the history against
    /// which conflicts are judged is in these.
    pub retained_bytes: u64,
    /// States that were ended because of [`SnapshotLimits`].
    pub evicted: u64,
}

impl Pinned {
    /// Of the state that is now the newest.
    pub(crate) fn new(pager: &Arc<Pager>, live: &Arc<LiveRoots>, root: Arc<Root>) -> Arc<Self> {
        Self::make(pager, live, root, false)
    }

    /// Of a state that no limit ends.
    pub(crate) fn exempt(pager: &Arc<Pager>, live: &Arc<LiveRoots>, root: Arc<Root>) -> Arc<Self> {
        Self::make(pager, live, root, true)
    }

    fn make(
        pager: &Arc<Pager>,
        live: &Arc<LiveRoots>,
        root: Arc<Root>,
        is_exempt: bool,
    ) -> Arc<Self> {
        pager.pin_version(root.record.version);
        let pinned = Arc::new(Self {
            pager: Arc::clone(pager),
            root,
            trees: OnceLock::new(),
            live: Arc::clone(live),
            serial: live.next.fetch_add(1, Ordering::Relaxed),
            superseded_ms: AtomicU64::new(0),
            is_exempt,
            evicted: AtomicBool::new(false),
        });
        live.roots
            .lock()
            .insert(pinned.key(), Arc::downgrade(&pinned));
        pinned
    }

    fn key(&self) -> (Version, u64) {
        (self.root.record.version, self.serial)
    }

    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    pub(crate) fn pager(&self) -> &Pager {
        &self.pager
    }

    /// Another state is the newest now.
    pub(crate) fn supersede(&self, now: Duration) {
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        self.superseded_ms.store(now.max(1), Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    /// Lets its pages go. The caller holds the writer's lock, so that no commit
    /// is being judged by it.
    fn evict(&self) {
        if !self.evicted.swap(true, Ordering::AcqRel) {
            self.pager.unpin(self.root.record.version);
        }
    }

    /// How long ago it ceased to be the newest, if it did.
    fn age(&self, now: Duration) -> Option<Duration> {
        match self.superseded_ms.load(Ordering::Relaxed) {
            0 => None,
            then => Some(now.saturating_sub(Duration::from_millis(then))),
        }
    }

    #[inline]
    pub(crate) fn tree_root(&self, tree: TreeId) -> Result<Option<TreeRoot>> {
        let trees = self.trees.get_or_init(Box::default);
        let known = &trees[tree.0 as usize % KNOWN_TREES];
        if let Some((of, root)) = known.get()
            && *of == tree
        {
            return Ok(*root);
        }
        let root = lookup_tree(&SealedSource(&self.pager), &self.root.directory, tree)?;
        // Taken by another tree already: that one stays.
        let _ = known.set((tree, root));
        Ok(root)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.live.roots.lock().remove(&self.key());
        if !self.is_evicted() {
            self.pager.unpin(self.root.record.version);
        }
    }
}

impl LiveRoots {
    /// Those that are not the newest and not evicted, oldest first.
    fn old(&self, now: Duration) -> Vec<(Arc<Pinned>, Duration)> {
        let roots: Vec<Weak<Pinned>> = self.roots.lock().values().cloned().collect();
        let live = roots.iter().filter_map(Weak::upgrade);
        let old = live.filter_map(|pinned| pinned.age(now).map(|age| (pinned, age)));
        old.filter(|(pinned, _)| !pinned.is_evicted()).collect()
    }
}

impl Core {
    /// What snapshots keep.
    pub(crate) fn snapshot_stats(&self, writer: &Writer) -> SnapshotStats {
        let old = self.live_roots.old(self.runtime.monotonic());
        let retained = self.retained_by_snapshots(writer, &old);
        let evicted = self.counters.evicted.load(Ordering::Relaxed);
        let Some((oldest, age)) = old.first() else {
            return SnapshotStats {
                evicted,
                ..SnapshotStats::default()
            };
        };
        let version = oldest.root.record.version;
        SnapshotStats {
            states: old.len() as u64,
            oldest_index: Some(oldest.root.record.index),
            oldest_age: *age,
            oldest_retained_bytes: retained.get(&version).copied().unwrap_or_default(),
            retained_bytes: retained.values().sum(),
            evicted,
        }
    }

    /// Bytes of pages that each of these versions alone, or the newest of several
    /// of them, keeps from being reused.
    fn retained_by_snapshots(
        &self,
        writer: &Writer,
        old: &[(Arc<Pinned>, Duration)],
    ) -> BTreeMap<Version, u64> {
        let page_size = self.pager.page_size() as u64;
        let retained = writer.shadow.retained().into_iter();
        let by_snapshots = retained.filter_map(|one| match one.by {
            Retained::Version(version)
                if old
                    .iter()
                    .any(|(pinned, _)| pinned.root.record.version == version) =>
            {
                Some((version, one.pages * page_size))
            }
            _ => None,
        });
        by_snapshots.collect()
    }

    /// Ends snapshots that are over the limits, the oldest first.
    pub(crate) fn enforce_snapshot_limits(&self) {
        let limits = self.options.snapshot_limits;
        if limits == SnapshotLimits::default() {
            return;
        }
        let now = self.runtime.monotonic();
        loop {
            let mut writer = self.lock_writer();
            // What was freed lately is put down to who keeps it.
            writer.shadow.reclaim(&self.pager);
            let mut old = self.live_roots.old(now);
            old.retain(|(pinned, _)| !pinned.is_exempt);
            let Some((oldest, age)) = old.first() else {
                return;
            };
            let is_old = limits.max_age.is_some_and(|most| *age > most);
            let retained: u64 = self.retained_by_snapshots(&writer, &old).values().sum();
            if !is_old
                && limits
                    .max_retained_bytes
                    .is_none_or(|most| retained <= most)
            {
                return;
            }
            oldest.evict();
            drop(writer);
            self.counters.evicted.fetch_add(1, Ordering::Relaxed);
            self.note(Event::SnapshotEvicted {
                index: oldest.root.record.index,
            });
        }
    }
}

#[cfg(test)]
mod tests;
