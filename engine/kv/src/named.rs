//! Named snapshots: states that are kept until they are dropped, over restarts.
//!
//! Making one makes the newest state durable as a checkpoint, so that its root is
//! whole on disk, and then writes that root down under its name. While the
//! database is open, its pages are pinned like those of any snapshot. When it is
//! opened again, what the named states have and the newest has not is found by
//! comparing their trees, which reads as much as has changed since; those pages are
//! taken out of the free ones before anything is written.
//!
//! ## Invariants
//! * A name is written down only after the state is durable, and is gone durably
//!   before its pages may be reused.
//! * The state that a name stands for is one that a meta named when it was made.
//!   Where opening had to fall back to a meta from before that, the name is there
//!   and its state is not: an error that says so.
//! * A meta may still tell of a name whose drop is in the log alone, and whose pages
//!   have been reused: a state of which not every page is what its pointer says is
//!   not kept, and harms nobody who opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::{HybridTime, Index, Term, TreeId, Version};
use cs_pager::{PageRef, Pager, RootRecord};
use parking_lot::Mutex;

use crate::batch::{Batch, Expect};
use crate::commit::{Commit, Stage, too_large};
use crate::core::Core;
use crate::difference::{Side, only_in_first};
use crate::error::{Error, Result};
use crate::feed::ChangePosition;
use crate::key_range::KeyRange;
use crate::options::{CommitOptions, Durability};
use crate::pinned::Pinned;
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::tree::{SealedSource, all_entries};
use crate::tree_root::{TreeRoot, directory_key, system};
use crate::writer::{Writer, get_value, lookup_tree};

/// Longest name of a snapshot, in bytes.
pub const MAX_SNAPSHOT_NAME: usize = 255;

/// Format of an entry.
const VERSION: u8 = 1;
/// Bytes of an entry before the root's payload.
const HEAD: usize = 49;

/// A snapshot that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NamedSnapshot {
    /// Its name.
    pub name: String,
    /// Index of the last commit that it sees.
    pub index: Index,
    /// Time of that commit.
    pub time: HybridTime,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
    /// The place in the history behind its last commit: from there on
    /// [`changes_after`](Store::changes_after) tells what has changed since.
    pub position: ChangePosition,
}

/// The named states that are pinned.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pinned: Mutex<BTreeMap<Vec<u8>, Arc<Pinned>>>,
    /// One is made or dropped at a time.
    changing: Mutex<()>,
}

/// What is written down of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    record: RootRecord,
    created_ms: u64,
}

impl Entry {
    fn encode(&self) -> Vec<u8> {
        let record = &self.record;
        let mut bytes = vec![VERSION];
        for number in [
            record.version.0,
            record.index.0,
            record.term.0,
            record.time.0,
            record.page_count,
            self.created_ms,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&record.payload);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self> {
        let damaged = |what: String| Error::Damaged(format!("a named snapshot: {what}"));
        let mut record = RootRecord::empty();
        if bytes.first() != Some(&VERSION) {
            let found = bytes.first();
            return Err(damaged(format!(
                "expected version {VERSION}, found {found:?}"
            )));
        }
        let expected = HEAD + record.payload.len();
        if bytes.len() != expected {
            let found = bytes.len();
            return Err(damaged(format!("expected {expected} bytes, found {found}")));
        }
        let number = |place: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[1 + 8 * place..9 + 8 * place]);
            u64::from_le_bytes(raw)
        };
        record.version = Version(number(0));
        record.index = Index(number(1));
        record.term = Term(number(2));
        record.time = HybridTime(number(3));
        record.page_count = number(4);
        record.payload.copy_from_slice(&bytes[HEAD..]);
        Ok(Self {
            record,
            created_ms: number(5),
        })
    }
}

fn check_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return Err(Error::Refused("the name of a snapshot is empty"));
    }
    if name.len() > MAX_SNAPSHOT_NAME {
        let (found, limit) = (name.len() as u64, MAX_SNAPSHOT_NAME as u64);
        return Err(too_large("name of a snapshot", found, limit));
    }
    Ok(())
}

impl Store {
    /// Keeps the newest state under a name, until [`drop_snapshot`](Self::drop_snapshot):
    /// also over restarts. Writes a checkpoint.
    ///
    /// ```
    /// use cs_io::{RealRuntime, memory::MemoryDisk};
    /// use cs_kv::{CommitOptions, Store, StoreOptions};
    ///
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let mut txn = store.begin()?;
    /// let tree = txn.create_tree();
    /// txn.put(tree, b"k".to_vec(), b"old".to_vec())?;
    /// txn.commit(&CommitOptions::default())?.wait()?;
    /// store.create_snapshot("before the change")?;
    /// let mut txn = store.begin()?;
    /// txn.put(tree, b"k".to_vec(), b"new".to_vec())?;
    /// txn.commit(&CommitOptions::default())?.wait()?;
    /// let before = store.open_snapshot("before the change")?;
    /// assert_eq!(before.get(tree, b"k")?.as_deref(), Some(&b"old"[..]));
    /// # Ok::<(), cs_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::SnapshotExists`]; the checkpoint or the commit failed.
    pub fn create_snapshot(&self, name: &str) -> Result<NamedSnapshot> {
        check_name(name)?;
        let core = self.core();
        core.check_writable()?;
        let _one = core.named.changing.lock();
        if core.named.pinned.lock().contains_key(name.as_bytes()) {
            return Err(Error::SnapshotExists(name.into()));
        }
        core.checkpoint_now()?;
        let pinned = {
            // No checkpoint ends while the newest is being pinned.
            let maintenance = core.maintenance.lock();
            let root = Arc::new(Root::decode(&maintenance.metas.newest().root)?);
            Pinned::exempt(&core.pager, &core.live_roots, root)
        };
        let entry = Entry {
            record: pinned.root().record,
            created_ms: core.runtime.unix_ms(),
        };
        let mut batch = Batch::new();
        let key = name.as_bytes().to_vec();
        batch.put(
            system::SNAPSHOTS,
            key.clone(),
            entry.encode(),
            Expect::Absent,
        );
        match commit(core, &batch) {
            Ok(()) => {}
            // Its state was lost: see the module's text. The name is taken all the same.
            Err(Error::Expectation { .. }) => return Err(Error::SnapshotExists(name.into())),
            Err(error) => return Err(error),
        }
        pinned.supersede(core.runtime.monotonic());
        core.named.pinned.lock().insert(key, pinned);
        Ok(entry.info(core, name))
    }

    /// The state that is kept under a name.
    ///
    /// # Errors
    /// [`Error::NoSuchSnapshot`]; [`Error::Damaged`]: its state was lost when a page
    /// of it, or the newest meta, was damaged.
    pub fn open_snapshot(&self, name: &str) -> Result<Snapshot> {
        let core = self.core();
        let pinned = core.named.pinned.lock().get(name.as_bytes()).cloned();
        if let Some(pinned) = pinned {
            return Ok(Snapshot::of_pinned(core, pinned));
        }
        let there = self.snapshot()?.get(system::SNAPSHOTS, name.as_bytes())?;
        Err(match there {
            None => Error::NoSuchSnapshot(name.into()),
            Some(_) => Error::Damaged(format!(
                "the state of the snapshot '{name}' was lost when a page of it or the newest meta was damaged"
            )),
        })
    }

    /// All named snapshots, in order of name.
    ///
    /// # Errors
    /// The tree that holds them could not be read.
    pub fn list_snapshots(&self) -> Result<Vec<NamedSnapshot>> {
        let mut list = Vec::new();
        for (key, entry) in entries(&self.snapshot()?)? {
            list.push(entry.info(self.core(), &String::from_utf8_lossy(&key)));
        }
        Ok(list)
    }

    /// Bytes of pages, by name, that each named snapshot reaches and the newest
    /// state does not. What several of them reach counts for each. Compares the
    /// states' trees, which reads as much as has changed since. One whose state was
    /// lost is left out.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn snapshot_bytes(&self) -> Result<BTreeMap<String, u64>> {
        let newest = self.snapshot()?;
        let page_size = self.core().pager.page_size() as u64;
        let named = self.core().named_pages(newest.root()).into_iter();
        let bytes = named.map(|(name, pages)| Ok((name, pages?.len() as u64 * page_size)));
        bytes.collect()
    }

    /// Gives up a named snapshot; says whether there was one. Its pages are free
    /// when nobody reads it any more.
    ///
    /// # Errors
    /// The commit failed: it is still there.
    pub fn drop_snapshot(&self, name: &str) -> Result<bool> {
        let core = self.core();
        let _one = core.named.changing.lock();
        let mut batch = Batch::new();
        let key = name.as_bytes().to_vec();
        batch.delete(system::SNAPSHOTS, key, Expect::Present);
        match commit(core, &batch) {
            Ok(()) => {}
            Err(Error::Expectation { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        core.named.pinned.lock().remove(name.as_bytes());
        Ok(true)
    }
}

impl Entry {
    fn info(&self, core: &Core, name: &str) -> NamedSnapshot {
        NamedSnapshot {
            position: ChangePosition {
                database: core.database_id(),
                term: self.record.term,
                index: self.record.index,
                ordinal: 0,
            },
            name: name.into(),
            index: self.record.index,
            time: self.record.time,
            created_ms: self.created_ms,
        }
    }
}

/// Commits to the store's own tree, durably; in a store without a log, by the
/// next checkpoint.
pub(crate) fn commit(core: &Arc<Core>, batch: &Batch) -> Result<()> {
    let options = CommitOptions::with_durability(Durability::Sync);
    let ticket = core.commit(&Commit {
        stage: Stage::Own,
        ..Commit::of(batch, &options)
    })?;
    ticket.wait()?;
    if core.log.is_none() {
        core.checkpoint_now()?;
    }
    Ok(())
}

fn entries(snapshot: &Snapshot) -> Result<Vec<(Vec<u8>, Entry)>> {
    let mut cursor = snapshot.cursor(system::SNAPSHOTS, KeyRange::all())?;
    let mut list = Vec::new();
    while let Some((key, value)) = cursor.next()? {
        list.push((key.to_vec(), Entry::decode(value)?));
    }
    Ok(list)
}

// ---- opening ----

/// Pins that hold until the states themselves are pinned.
#[derive(Debug, Default)]
pub(crate) struct KeptStates {
    versions: Vec<Version>,
}

/// Takes what named states reach, and the newest durable one does not, out of
/// the free pages: before anything is written.
///
/// # Errors
/// A page could not be read.
pub(crate) fn keep(pager: &Pager, writer: &mut Writer, newest: &Root) -> Result<KeptStates> {
    let source = SealedSource(pager);
    let tree = lookup_tree(&source, &newest.directory, system::SNAPSHOTS)?.unwrap_or_default();
    let mut states = Vec::new();
    for (_, value) in all_entries(&source, system::SNAPSHOTS, &tree)? {
        states.push(Root::decode(&Entry::decode(&value)?.record)?);
    }
    // The newest first: what several of them reach is kept by it.
    states.sort_by_key(|state| std::cmp::Reverse(state.record.version));
    let mut kept = KeptStates::default();
    for state in states {
        let version = state.record.version;
        pager.pin_version(version);
        kept.versions.push(version);
        match pages_only_in(pager, &state, newest) {
            Ok(pages) => writer.shadow.keep_for(version, pages),
            // Its pages have served others since: the log has the drop that freed
            // them, or it was made after a meta that was lost.
            Err(error) if error.is_corruption() || error.is_overtaken() => {
                kept.versions.pop();
                pager.unpin(version);
                writer.shadow.forget_free(pager, state.record.page_count);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(kept)
}

/// The pages of one state that another has not.
fn pages_only_in(pager: &Pager, state: &Root, other: &Root) -> Result<Vec<PageRef>> {
    let source = SealedSource(pager);
    let between = |tree, one, other: Option<TreeRoot>| {
        let other = other.unwrap_or_default();
        let side = |root| Side {
            source: &source,
            root,
        };
        only_in_first(tree, &side(one), &side(other))
    };
    let (own, others) = (state.directory, Some(other.directory));
    let mut pages = between(system::DIRECTORY, own, others)?;
    for (key, value) in all_entries(&source, system::DIRECTORY, &own)? {
        let raw = <[u8; 4]>::try_from(key.as_slice());
        let raw = raw.map_err(|_| Error::Damaged("key of the directory".into()))?;
        let tree = TreeId(u32::from_be_bytes(raw));
        let root = TreeRoot::decode(tree, &value)?;
        pages.extend(between(tree, root, tree_or_dropped(&source, other, tree)?)?);
    }
    Ok(pages)
}

/// A tree that was dropped has its pages until they are freed.
fn tree_or_dropped(
    source: &SealedSource<'_>,
    root: &Root,
    tree: TreeId,
) -> Result<Option<TreeRoot>> {
    if let Some(found) = lookup_tree(source, &root.directory, tree)? {
        return Ok(Some(found));
    }
    let dropped = lookup_tree(source, &root.directory, system::DROPPED)?.unwrap_or_default();
    let found = get_value(source, system::DROPPED, &dropped, &directory_key(tree))?;
    found
        .map(|value| TreeRoot::decode(tree, &value))
        .transpose()
}

impl Core {
    /// Pins the named states of a database that was opened at the meta of `base`.
    ///
    /// # Errors
    /// The tree that holds them could not be read.
    pub(crate) fn adopt_named(self: &Arc<Self>, kept: &KeptStates, base: Version) -> Result<()> {
        let snapshot = Snapshot::visible(self)?;
        for (key, entry) in entries(&snapshot)? {
            let version = entry.record.version;
            // Made after the meta that was opened, and before the one that was lost.
            if version != base && !kept.versions.contains(&version) {
                continue;
            }
            let root = Arc::new(Root::decode(&entry.record)?);
            let pinned = Pinned::exempt(&self.pager, &self.live_roots, root);
            pinned.supersede(self.runtime.monotonic());
            self.named.pinned.lock().insert(key, pinned);
        }
        for &version in &kept.versions {
            self.pager.unpin(version);
        }
        Ok(())
    }

    /// The pages that named states reach and `newest` does not, by name.
    ///
    /// # Errors
    /// As a text for each state: it could not be read.
    pub(crate) fn named_pages(&self, newest: &Root) -> Vec<(String, Result<Vec<PageRef>>)> {
        let named = self.named.pinned.lock().clone();
        let pages = named.into_iter().map(|(key, pinned)| {
            let pages = pages_only_in(&self.pager, pinned.root(), newest);
            (String::from_utf8_lossy(&key).into_owned(), pages)
        });
        pages.collect()
    }
}

#[cfg(test)]
mod tests;
