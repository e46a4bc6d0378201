//! Where every byte of the files went.
//!
//! [`account`] walks all pages of the newest state and puts each byte under one
//! heading; [`space`] asks those who keep count, and reads nothing.
//!
//! Invariant: the headings of an [`Account`] sum to the sizes of data file and
//! log, as they were when it began.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::{TreeId, Version};
use cs_pager::format::first_page;
use cs_pager::{PAGE_HEADER, PageRef, Retained, RetainedPages, SpaceStats};
use cs_wal::LogFiles;

use crate::check::roots_in;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::node::{Branch, Leaf, OverflowRef, ValueRef};
use crate::root::is_system;
use crate::snapshot::Snapshot;
use crate::tree::{DIGEST, Walker};
use crate::tree_root::{TreeRoot, system};

/// Every byte of data file and log under one heading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Keys as they are stored: without the prefixes that pages share.
    pub keys: u64,
    /// Values as they are stored, compressed where they are.
    pub values: u64,
    /// Headers of the pages of trees.
    pub page_headers: u64,
    /// Node headers, shared prefixes, slots, lengths, references, digests, and
    /// the keys in branches.
    pub structure: u64,
    /// Free in leaves and branches.
    pub free_in_pages: u64,
    /// Unused at the end of the runs of large keys and values.
    pub overflow_slack: u64,
    /// Pages of the directory and the other trees that are the store's own.
    pub system_trees: u64,
    /// Pages of dropped trees that are still to be freed.
    pub dropped_trees: u64,
    /// Pages of the allocation map.
    pub allocation_map: u64,
    /// Pages that are free.
    pub free_pages: u64,
    /// Freed pages that the oldest snapshot still sees.
    pub oldest_snapshot: u64,
    /// Freed pages that younger snapshots still see.
    pub other_snapshots: u64,
    /// Freed pages that a meta on disk, or a checkpoint under way, still reaches.
    pub checkpoints: u64,
    /// Freed pages that wait for a commit to become visible or a write to end.
    pub passing: u64,
    /// The metas, and what the first page begins behind.
    pub metas: u64,
    /// Room in the data file that no page was ever put into.
    pub preallocated: u64,
    /// Used pages that no tree reaches: 0 in a sound database.
    pub unexplained: u64,
    /// Headers and records of the log.
    pub log_live: u64,
    /// Room in segments of the log that are in use.
    pub log_room: u64,
    /// Files that wait to become segments of the log.
    pub log_spare: u64,
    /// Not part of the sum: keys and values as they were handed in.
    pub payload: u64,
}

impl Account {
    /// Each heading with its bytes, in the order of the fields.
    #[must_use]
    pub fn rows(&self) -> [(&'static str, u64); 20] {
        [
            ("keys", self.keys),
            ("values", self.values),
            ("page headers", self.page_headers),
            ("structure of pages", self.structure),
            ("free in pages", self.free_in_pages),
            ("slack of large values", self.overflow_slack),
            ("trees of the store", self.system_trees),
            ("dropped trees", self.dropped_trees),
            ("allocation map", self.allocation_map),
            ("free pages", self.free_pages),
            ("kept by the oldest snapshot", self.oldest_snapshot),
            ("kept by other snapshots", self.other_snapshots),
            ("kept by checkpoints", self.checkpoints),
            ("about to be free", self.passing),
            ("metas", self.metas),
            ("preallocated", self.preallocated),
            ("unexplained", self.unexplained),
            ("log, live", self.log_live),
            ("log, room", self.log_room),
            ("log, spare files", self.log_spare),
        ]
    }

    /// The sum: the sizes of data file and log.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows().iter().map(|(_, bytes)| bytes).sum()
    }

    fn log(&mut self, files: LogFiles) {
        self.log_live = files.live;
        self.log_room = files.room;
        self.log_spare = files.spare;
    }
}

/// What the files take, by those who keep count: nothing is read for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpaceReport {
    /// Bytes of the data file.
    pub data_bytes: u64,
    /// Part of it that the newest state reaches.
    pub used_bytes: u64,
    /// Part of it that is free.
    pub free_bytes: u64,
    /// Part of it that was freed, and is needed by a snapshot, a meta or a write.
    pub pending_bytes: u64,
    /// Part of it that no page was ever put into.
    pub preallocated_bytes: u64,
    /// Bytes of the log's files.
    pub log_bytes: u64,
    /// Part of them in files that wait to be used.
    pub log_spare_bytes: u64,
    /// The oldest version that a snapshot or a meta keeps.
    pub oldest_pinned: Option<Version>,
}

/// See [`SpaceReport`].
pub(crate) fn space(core: &Core) -> Result<SpaceReport> {
    let space = core.lock_writer().shadow.space();
    let bytes = |pages: u64| pages * core.pager.page_size() as u64;
    let files = log_files(core);
    let data_bytes = core.pager.file_bytes()?;
    Ok(SpaceReport {
        data_bytes,
        used_bytes: bytes(space.used),
        free_bytes: bytes(space.free),
        pending_bytes: bytes(space.pending),
        preallocated_bytes: data_bytes.saturating_sub(bytes(space.page_count)),
        log_bytes: files.total(),
        log_spare_bytes: files.spare,
        oldest_pinned: core.pager.pinned().0,
    })
}

fn log_files(core: &Core) -> LogFiles {
    core.log.as_ref().map(|log| log.files()).unwrap_or_default()
}

/// What was true at one moment.
struct Moment {
    snapshot: Snapshot,
    map_pages: u64,
    space: SpaceStats,
    retained: Vec<RetainedPages>,
    /// Versions of the metas and of the checkpoint under way.
    of_checkpoints: BTreeSet<Version>,
    data_bytes: u64,
    log: LogFiles,
}

fn moment(core: &Arc<Core>) -> Result<Moment> {
    let maintenance = core.maintenance.lock();
    let metas = [Some(maintenance.metas.newest()), maintenance.metas.older()];
    let metas = metas.into_iter().flatten().map(|meta| meta.root.version);
    let run = maintenance.run.as_ref().map(|run| run.meta().root.version);
    let of_checkpoints = metas.chain(run).collect();
    let mut writer = core.lock_writer();
    let snapshot = Snapshot::of(core, core.seal(&mut writer)?);
    Ok(Moment {
        snapshot,
        map_pages: writer.shadow.map_pages().count() as u64,
        space: writer.shadow.space(),
        retained: writer.shadow.retained(),
        of_checkpoints,
        data_bytes: core.pager.file_bytes()?,
        log: log_files(core),
    })
}

/// See the module's text. Told of pages seen, and all; ends when it says so.
pub(crate) fn account(
    core: &Arc<Core>,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<Account> {
    let moment = moment(core)?;
    let page_size = core.pager.page_size() as u64;
    let mut account = Account::default();
    let mut walk = Walk {
        account: &mut account,
        page_size,
        snapshot: &moment.snapshot,
        pages: 0,
        total: moment.space.used,
        progress,
    };
    walk.all_trees()?;
    let reached = walk.pages + moment.map_pages;
    account.allocation_map = moment.map_pages * page_size;
    account.unexplained = moment.space.used.saturating_sub(reached) * page_size;
    account.free_pages = moment.space.free * page_size;
    account.retained(&moment, page_size);
    account.metas = first_page(page_size as u32).0 * page_size;
    let pages = moment.space.page_count * page_size;
    account.preallocated = moment.data_bytes.saturating_sub(pages);
    account.log(moment.log);
    Ok(account)
}

impl Account {
    fn retained(&mut self, moment: &Moment, page_size: u64) {
        let mut oldest = None;
        for one in &moment.retained {
            let bytes = one.pages * page_size;
            match one.by {
                Retained::Passing => self.passing += bytes,
                Retained::Version(version) if moment.of_checkpoints.contains(&version) => {
                    self.checkpoints += bytes;
                }
                // They come in order of version.
                Retained::Version(version) if *oldest.get_or_insert(version) == version => {
                    self.oldest_snapshot += bytes;
                }
                Retained::Version(_) => self.other_snapshots += bytes,
            }
        }
    }
}

struct Walk<'a> {
    account: &'a mut Account,
    page_size: u64,
    snapshot: &'a Snapshot,
    pages: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
}

/// What the pages of one tree hold.
#[derive(Default)]
struct Held {
    keys: u64,
    values: u64,
    free: u64,
    slack: u64,
}

impl Held {
    fn run(&mut self, run: &OverflowRef, page_size: u64) {
        let room = u64::from(run.pages) * (page_size - PAGE_HEADER as u64);
        self.slack += room.saturating_sub(run.total_len);
    }

    fn leaf(&mut self, leaf: Leaf<'_>, page_size: u64) {
        self.free += leaf.free_bytes() as u64;
        for slot in 0..leaf.len() {
            match leaf.key_overflow(slot) {
                // The run has the whole key; what the page has of it is there to search.
                Some(run) => {
                    self.keys += run.total_len;
                    self.run(&run, page_size);
                }
                None => self.keys += leaf.key_parts(slot).1.len() as u64,
            }
            match leaf.value(slot) {
                ValueRef::Inline(bytes) => self.values += bytes.len() as u64,
                ValueRef::Overflow(run) => {
                    self.values += run.total_len.saturating_sub(DIGEST as u64);
                    self.run(&run, page_size);
                }
            }
        }
    }

    fn branch(&mut self, branch: Branch<'_>, page_size: u64) {
        self.free += branch.free_bytes() as u64;
        for run in (1..branch.len()).filter_map(|child| branch.key_overflow(child)) {
            self.run(&run, page_size);
        }
    }
}

impl Walk<'_> {
    fn all_trees(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        let directory = snapshot.root().directory;
        self.account.system_trees += self.tree(system::DIRECTORY, &directory)?.1;
        for (tree, root) in roots_in(snapshot, system::DROPPED)? {
            self.account.dropped_trees += self.tree(tree, &root)?.1;
        }
        for (tree, root) in roots_in(snapshot, system::DIRECTORY)? {
            let (held, bytes) = self.tree(tree, &root)?;
            if is_system(tree) {
                self.account.system_trees += bytes;
                continue;
            }
            let headers = bytes / self.page_size * PAGE_HEADER as u64;
            let account = &mut *self.account;
            account.payload += root.stats.bytes;
            account.keys += held.keys;
            account.values += held.values;
            account.page_headers += headers;
            account.free_in_pages += held.free;
            account.overflow_slack += held.slack;
            let named = held.keys + held.values + held.free + held.slack + headers;
            account.structure += bytes.saturating_sub(named);
        }
        Ok(())
    }

    /// What a tree holds, and the bytes of its pages.
    fn tree(&mut self, tree: TreeId, root: &TreeRoot) -> Result<(Held, u64)> {
        let (page_size, before) = (self.page_size, self.pages);
        let mut held = Held::default();
        let source = self.snapshot.source();
        let mut walker = Walker::new(&source, tree, root);
        let mut pages = Vec::new();
        loop {
            pages.clear();
            let more = walker.step(&mut pages, &mut |_: PageRef, level, bytes: &[u8]| {
                if level == 0 {
                    held.leaf(Leaf::new(bytes), page_size);
                } else {
                    held.branch(Branch::new(bytes), page_size);
                }
                Ok(())
            })?;
            self.pages += pages.len() as u64;
            if !more {
                break;
            }
            if (self.progress)(self.pages, self.total).is_break() {
                return Err(Error::Cancelled);
            }
        }
        Ok((held, (self.pages - before) * page_size))
    }
}
