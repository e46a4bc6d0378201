//! A store of which publishing, pinning and evicting are real: a version is one page, which is
//! handed out for something else when the next version is visible and nobody pins it.
//!
//! Follows `engine/kv/src/core/roots.rs` (`pin_visible`), `pinned.rs`, `snapshot.rs` (`check`,
//! `explain`) and `pager/src/shadow/space.rs` (`reclaim`). The swap of the root is a lock here:
//! arc-swap promises no less.

use std::sync::Arc;

use cs_base::{Index, Version};
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use register::Register;

use crate::locks::Mutex;
use crate::plant::{Plant, planted};

/// `pager/src/register.rs`.
#[allow(dead_code, unreachable_pub, reason = "the text of another crate")]
mod register {
    include!(concat!(env!("OUT_DIR"), "/register.rs"));
}

include!(concat!(env!("OUT_DIR"), "/publish.rs"));
include!(concat!(env!("OUT_DIR"), "/pinned.rs"));

/// What is in a page that was handed out for something else.
const OTHER: u64 = u64::MAX;
/// Versions that a model makes at most.
const VERSIONS: usize = 4;

#[derive(Debug)]
struct Record {
    version: Version,
}

#[derive(Debug)]
struct Root {
    record: Record,
}

#[derive(Debug, Default)]
struct Pager {
    register: Mutex<Register>,
    /// The page of each version: what is in it.
    pages: [AtomicU64; VERSIONS],
}

impl Pager {
    fn pin_version(&self, version: Version) {
        self.register.lock().pin(version);
    }

    fn unpin(&self, version: Version) {
        self.register.lock().unpin(version);
    }

    fn set_visible(&self, version: Version) {
        self.register.lock().set_visible(version);
    }

    /// `Shadow::reclaim`: the page of version v is born there and freed by the next one.
    fn reclaim(&self) {
        let register = self.register.lock();
        for (version, page) in self.pages.iter().enumerate() {
            let born = Version(version as u64);
            let freed = Version(born.0 + 1);
            if freed <= register.visible() && register.keeper(born, freed).is_none() {
                page.store(OTHER, Ordering::Release);
            }
        }
    }
}

#[derive(Debug, Default)]
struct LiveRoots;

#[derive(Debug)]
struct Pinned {
    pager: Arc<Pager>,
    root: Arc<Root>,
    evicted: AtomicBool,
}

impl Pinned {
    fn new(pager: &Arc<Pager>, _: &LiveRoots, root: Arc<Root>) -> Arc<Self> {
        if !planted(Plant::PinAfterLoad) {
            pager.pin_version(root.record.version);
        }
        Arc::new(Self {
            pager: Arc::clone(pager),
            root,
            evicted: AtomicBool::new(false),
        })
    }

    fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Acquire)
    }

    fn supersede(&self, _: std::time::Duration) {}
}

/// The visible root.
#[derive(Debug)]
struct Published(Mutex<Arc<Pinned>>);

impl Published {
    fn load_full(&self) -> Arc<Pinned> {
        Arc::clone(&self.0.lock())
    }

    fn swap(&self, newest: Arc<Pinned>) -> Arc<Pinned> {
        std::mem::replace(&mut *self.0.lock(), newest)
    }
}

#[derive(Debug)]
struct Visibility(u64);

impl Visibility {
    fn target(&self) -> Index {
        Index(self.0)
    }
}

#[derive(Debug)]
struct Runtime;

impl Runtime {
    fn monotonic(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
}

/// The store.
#[derive(Debug)]
pub struct Core {
    pager: Arc<Pager>,
    live_roots: LiveRoots,
    published: Published,
    visibility: Mutex<Visibility>,
    target: AtomicU64,
    runtime: Runtime,
}

/// What a reader holds.
#[derive(Debug)]
pub struct Snapshot {
    pinned: Arc<Pinned>,
    /// Where the root was not pinned when it was loaded.
    pins_itself: bool,
}

impl Core {
    /// A store with version 0.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let pager = Arc::new(Pager::default());
        let root = Arc::new(Root {
            record: Record {
                version: Version(0),
            },
        });
        let first = Pinned::new(&pager, &LiveRoots, root);
        Arc::new(Self {
            pager,
            live_roots: LiveRoots,
            published: Published(Mutex::new(first)),
            visibility: Mutex::new(Visibility(0)),
            target: AtomicU64::new(0),
            runtime: Runtime,
        })
    }

    /// A commit, its seal and its publication; what it frees is reused.
    pub fn commit(&self, version: u64) {
        self.pager.pages[version as usize].store(version, Ordering::Release);
        let record = Record {
            version: Version(version),
        };
        let mut visibility = self.visibility.lock();
        visibility.0 = version;
        self.publish(&visibility, Some(Arc::new(Root { record })));
        drop(visibility);
        self.reclaim();
    }

    /// What the allocator does at its next chance.
    pub fn reclaim(&self) {
        self.pager.reclaim();
    }

    fn unpin_early(&self) {
        let before = self.published.load_full();
        self.pager.unpin(before.root.record.version);
    }

    /// `pin_visible`.
    pub fn snapshot(&self) -> Snapshot {
        let target = self.target.load(Ordering::Acquire);
        let pinned = self.published.load_full();
        assert!(pinned.root.record.version.0 >= target, "a stale snapshot");
        let pins_itself = planted(Plant::PinAfterLoad);
        if pins_itself {
            // Its owner lets it go, the pager does not know of us yet.
            self.pager.pin_version(pinned.root.record.version);
        }
        Snapshot {
            pinned,
            pins_itself,
        }
    }
}

impl Snapshot {
    /// Reads its page: what is there, or that the snapshot was ended.
    pub fn read(&self) {
        let version = self.pinned.root.record.version.0;
        if self.pinned.is_evicted() {
            return;
        }
        let found = self.pinned.pager.pages[version as usize].load(Ordering::Acquire);
        // `explain`: pages of another version are damage, unless it was ended.
        assert!(
            found == version || self.pinned.is_evicted(),
            "page of version {version} has {found}"
        );
    }

    /// Ends it, as the limits of snapshots do, and reuses what it kept.
    pub fn end(&self) {
        self.pinned.evict();
        self.pinned.pager.reclaim();
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.pins_itself {
            self.pinned.pager.unpin(self.pinned.root.record.version);
        }
    }
}
