//! The steps of a salvage, in order.

use std::collections::{BTreeMap, BTreeSet};

use cs_base::{Lsn, TreeId};
use cs_kv::{Effect, TreeRoot, system};

use crate::error::Result;
use crate::owners::{Owners, name_of_key, tree_of_entry};
use crate::parts::{Parts, for_each_effect};
use crate::progress::Progress;
use crate::roots;
use crate::walk::Range;

use super::gather::{From, Gathered, Roots, gather};
use super::log::Log;
use super::names;
use super::report::{Certainty, Salvaged, TreeReport};
use super::source::Source;
use super::target::Target;

/// Entries between two looks at the clock of the progress bar.
const STEP: u64 = 1024;

/// What is known of one tree.
#[derive(Default)]
pub(super) struct Tree {
    /// By the directory of the state; `None`: found by its pages.
    root: Option<TreeRoot>,
    gathered: Gathered,
    counts: [u64; 4],
    repairs: u64,
    changes: u64,
    /// Entries when the log behind the state had not been applied.
    at_checkpoint: u64,
    /// They are what the root says.
    is_proven: bool,
    /// Made by the log, behind the state.
    is_new: bool,
}

/// See the module's text.
pub(super) struct Rescue<'a> {
    source: &'a Source,
    log: &'a Log,
    pub(super) target: Target,
    progress: &'a Progress,
    pub(super) trees: BTreeMap<u32, Tree>,
    dropped: BTreeSet<u32>,
    directory: Gathered,
    /// Names of the catalog, as far as it was found, by tree.
    named: BTreeMap<u32, String>,
    pub(super) salvaged: Salvaged,
}

impl<'a> Rescue<'a> {
    pub(super) fn new(
        source: &'a Source,
        log: &'a Log,
        target: Target,
        progress: &'a Progress,
    ) -> Self {
        Self {
            source,
            log,
            target,
            progress,
            trees: BTreeMap::new(),
            dropped: BTreeSet::new(),
            directory: Gathered::default(),
            named: BTreeMap::new(),
            salvaged: Salvaged::default(),
        }
    }

    /// All steps; what came of them.
    pub(super) fn run(mut self) -> Result<Salvaged> {
        self.salvaged.has_map = self.source.has_map;
        self.salvaged.gaps.clone_from(&self.log.gaps);
        self.salvaged.notes.extend(self.log.broken.iter().cloned());
        self.salvaged.notes.extend(
            self.source
                .file
                .metas
                .findings()
                .into_iter()
                .map(|one| one.text),
        );
        // 2.
        let roots = self.find_trees()?;
        self.progress.begin(
            "entries",
            roots
                .values()
                .filter_map(|roots| roots.newest)
                .map(|root| root.stats.count)
                .sum(),
        );
        for (tree, roots) in roots {
            self.gather(TreeId(tree), roots)?;
        }
        // 3.
        self.apply_log(true)?;
        self.prove()?;
        // 4.
        self.apply_log(false)?;
        // 5.
        names::mend(&mut self)?;
        self.put_strays()?;
        self.report()?;
        let Self {
            target, salvaged, ..
        } = self;
        target.finish()?;
        Ok(salvaged)
    }

    /// The catalog was damaged, so that names may be missing.
    pub(super) fn has_lost_names(&self) -> bool {
        let catalog = self.trees.get(&system::CATALOG.0);
        catalog.is_none_or(|tree| !tree.gathered.broken.is_empty() && !tree.is_proven)
            || !self.log.gaps.is_empty()
            || self.source.root.is_none()
    }

    /// The state before the newest, where the log leads on from there.
    fn older(&self) -> Option<Owners> {
        let older = self.source.older?;
        let leads = self.log.has_log && self.log.whole_from <= older.lsn;
        leads.then(|| Owners::read(&self.source.file, &older))
    }

    /// Which trees there are, and where they begin.
    fn find_trees(&mut self) -> Result<BTreeMap<u32, Roots>> {
        let older = self.older();
        let older_root = |tree: u32| {
            older
                .as_ref()
                .and_then(|older| older.roots.get(&tree).copied())
        };
        let newest = match &self.source.root {
            Some(root) => {
                let version = root.version;
                self.salvaged.state = format!(
                    "of the newest valid meta, version {version}, lsn {}",
                    root.lsn
                );
                roots::directory(root).ok()
            }
            None => {
                let found = self.source.find_directory();
                self.salvaged.state = match &found {
                    Some(found) => format!(
                        "neither meta is valid; the newest directory found, page {}, version {}",
                        found.page.page, found.page.version
                    ),
                    None => "neither meta is valid, and no directory was found".to_owned(),
                };
                self.salvaged.is_doubtful = true;
                found
            }
        };
        let directory_roots = Roots {
            newest,
            older: older_root(system::DIRECTORY.0),
            is_stale: false,
        };
        let mut found: BTreeMap<u32, Roots> = BTreeMap::new();
        let has_map = self.source.has_map;
        let mut sink = |from: From, key: Vec<u8>, value: Vec<u8>| {
            if let Some(tree) = roots::tree_of_key(&key)
                && let Ok(root) = roots::decode(tree, &value)
            {
                let older = older_root(tree.0);
                // An older root would do, but pages in use are newer.
                let newest = Some(root).filter(|_| from != From::Older || !has_map);
                let is_stale = from != From::Tree && !has_map;
                let roots = Roots {
                    newest,
                    older,
                    is_stale,
                };
                found.insert(tree.0, roots);
            }
            Ok(())
        };
        self.directory = gather(self.source, system::DIRECTORY, directory_roots, &mut sink)?;
        let dropped_is_broken = self.find_dropped(found.remove(&system::DROPPED.0))?;
        let catalog = found.get(&system::CATALOG.0).copied();
        let catalog = catalog.or_else(|| self.is_missing(system::CATALOG.0).then_some(NOWHERE));
        if let Some(roots) = catalog {
            found.insert(system::CATALOG.0, roots);
        }
        let catalog_is_broken = self.read_names(catalog)?;
        for tree in self.source.trees().collect::<Vec<_>>() {
            let is_own = tree == system::DIRECTORY.0 || tree == system::DROPPED.0;
            if is_own || found.contains_key(&tree) || self.dropped.contains(&tree) {
                continue;
            }
            let is_known =
                tree < system::FIRST_USER || self.named.contains_key(&tree) || catalog_is_broken;
            let is_missing = self.is_missing(tree);
            let counts = match has_map {
                // In use, and in no list: what the directory lacks, unless it
                // may be one of the trees that were dropped.
                true => is_missing || !dropped_is_broken,
                // It may have been dropped long ago.
                false => is_missing && is_known,
            };
            if counts {
                found.insert(tree, NOWHERE);
            }
        }
        Ok(found)
    }

    /// Whether the directory lacks the place where the tree would be.
    fn is_missing(&self, tree: u32) -> bool {
        let key = tree.to_be_bytes();
        self.directory
            .broken
            .iter()
            .any(|range| range.contains(&key))
    }

    /// Which trees were dropped and still have pages; whether some are missing.
    fn find_dropped(&mut self, roots: Option<Roots>) -> Result<bool> {
        let missing = self.is_missing(system::DROPPED.0).then_some(NOWHERE);
        let Some(roots) = roots.or(missing) else {
            return Ok(false);
        };
        let dropped = &mut self.dropped;
        let gathered = gather(self.source, system::DROPPED, roots, &mut |_, key, _| {
            dropped.extend(roots::tree_of_key(&key).map(|tree| tree.0));
            Ok(())
        })?;
        Ok(!gathered.broken.is_empty())
    }

    /// The names of trees; whether some are missing.
    fn read_names(&mut self, catalog: Option<Roots>) -> Result<bool> {
        let Some(roots) = catalog else {
            return Ok(false);
        };
        let named = &mut self.named;
        let gathered = gather(self.source, system::CATALOG, roots, &mut |_, key, value| {
            if let (Some(name), Some(tree)) = (name_of_key(&key), tree_of_entry(&value)) {
                named.insert(tree, name);
            }
            Ok(())
        })?;
        Ok(!gathered.broken.is_empty() || roots.newest.is_none() || roots.is_stale)
    }

    fn gather(&mut self, tree: TreeId, roots: Roots) -> Result<()> {
        let mut counts = [0; 4];
        let (target, progress) = (&mut self.target, self.progress);
        target.ensure(tree);
        let mut done = 0_u64;
        let gathered = gather(self.source, tree, roots, &mut |from, key, value| {
            counts[from as usize] += 1;
            done += 1;
            if done.is_multiple_of(STEP) {
                progress.add(STEP);
            }
            target.put(tree, key, value)
        })?;
        let mut known = Tree {
            root: roots.newest.filter(|_| !roots.is_stale),
            gathered,
            counts,
            ..Tree::default()
        };
        if known.root.is_none() {
            // Whatever the log has of it is of use.
            known.gathered.broken = vec![Range::default()];
        }
        self.trees.insert(tree.0, known);
        Ok(())
    }

    /// Steps 3 and 4: what the log says, before the state or behind it.
    fn apply_log(&mut self, is_repair: bool) -> Result<()> {
        let (from, to) = if is_repair {
            (self.log.whole_from, self.log.news_from)
        } else {
            (self.log.news_from, Lsn::MAX)
        };
        let mut parts = Parts::default();
        for record in self
            .log
            .records
            .iter()
            .filter(|record| record.lsn >= from && record.lsn < to)
        {
            let payload = record.payload()?;
            let payload = match parts.push(&record.head, &payload) {
                Some(Ok(payload)) => payload,
                Some(Err(error)) if is_repair => {
                    // Its parts may lie before what is whole.
                    let _ = error;
                    continue;
                }
                Some(Err(error)) => {
                    self.doubt(format!("record at lsn {}: {error}", record.lsn));
                    continue;
                }
                None => continue,
            };
            if !is_repair {
                self.salvaged.records += 1;
            }
            let mut failed = None;
            let read = for_each_effect(&payload, |effect| {
                if failed.is_none() {
                    failed = self.apply(&effect, is_repair).err();
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
            if let Err(error) = read {
                self.doubt(format!("record at lsn {}: {error}", record.lsn));
            }
        }
        self.target.flush()
    }

    fn doubt(&mut self, note: String) {
        self.salvaged.notes.push(note);
        self.salvaged.is_doubtful = true;
    }

    fn apply(&mut self, effect: &Effect<'_>, is_repair: bool) -> Result<()> {
        let tree = effect.tree();
        if is_repair {
            let key = match effect {
                Effect::Put { key, .. }
                | Effect::PutPacked { key, .. }
                | Effect::Delete { key, .. } => *key,
                Effect::CreateTree { .. } | Effect::DropTree { .. } => return Ok(()),
            };
            let Some(known) = self.trees.get_mut(&tree.0) else {
                return Ok(());
            };
            if !known
                .gathered
                .broken
                .iter()
                .any(|range| range.contains(key))
            {
                return Ok(());
            }
            known.repairs += 1;
        }
        match *effect {
            Effect::Put { key, value, .. } => {
                self.note_change(tree, is_repair);
                self.target.put(tree, key.to_vec(), value.to_vec())
            }
            Effect::PutPacked { key, block, .. } => {
                self.note_change(tree, is_repair);
                match cs_base::codec::decode(block, cs_kv::limits::MAX_VALUE) {
                    Ok(value) => self.target.put(tree, key.to_vec(), value.into_owned()),
                    Err(error) => {
                        self.doubt(format!("a value of tree {tree} in the log: {error}"));
                        Ok(())
                    }
                }
            }
            Effect::Delete { key, .. } => {
                self.note_change(tree, is_repair);
                self.target.delete(tree, key.to_vec())
            }
            Effect::CreateTree { tree } => {
                self.target.ensure(tree);
                self.trees.entry(tree.0).or_insert_with(|| Tree {
                    is_new: true,
                    is_proven: true,
                    ..Tree::default()
                });
                Ok(())
            }
            Effect::DropTree { tree } => {
                self.trees.remove(&tree.0);
                self.dropped.insert(tree.0);
                self.target.drop_tree(tree)
            }
        }
    }

    fn note_change(&mut self, tree: TreeId, is_repair: bool) {
        if !is_repair {
            self.trees.entry(tree.0).or_default().changes += 1;
        }
    }

    /// Compares each tree with what its root says of it.
    fn prove(&mut self) -> Result<()> {
        for (tree, known) in &mut self.trees {
            let tree = TreeId(*tree);
            if tree == system::SESSIONS {
                // Kept apart until the end, so they cannot be summed up here.
                known.is_proven = known.gathered.broken.is_empty() && known.root.is_some();
                known.at_checkpoint = known.counts.iter().sum();
                continue;
            }
            let stats = self.target.stats(tree)?;
            known.at_checkpoint = stats.count;
            known.is_proven = known.root.is_some_and(|root| root.stats == stats);
        }
        Ok(())
    }

    /// Entries of leaves that are in use and that no tree lacks: to trees of
    /// their own.
    fn put_strays(&mut self) -> Result<()> {
        let strays: Vec<(u32, Vec<u64>)> = self
            .trees
            .iter()
            .filter(|(_, known)| known.root.is_some() && !known.gathered.strays.is_empty())
            .map(|(tree, known)| (*tree, known.gathered.strays.clone()))
            .collect();
        for (next, (tree, pages)) in (self.next_tree()..).zip(strays) {
            let home = TreeId(next);
            self.target.ensure(home);
            let mut known = Tree::default();
            for page in pages.into_iter().rev() {
                let bytes = self.source.read_page(page)?;
                for entry in self.source.entries(TreeId(tree), &bytes) {
                    if let super::source::Entry::Whole(key, value) = entry {
                        known.counts[From::Stray as usize] += 1;
                        self.target.put(home, key, value)?;
                    }
                }
            }
            self.trees.insert(home.0, known);
            self.doubt(format!(
                "leaves in use that tree {tree} does not lack were set aside as tree {home}"
            ));
            names::name_stray(self, home, tree)?;
        }
        Ok(())
    }

    /// A number that no tree has or had.
    pub(super) fn next_tree(&self) -> u32 {
        let next = self.source.root.map_or(0, |root| {
            let mut raw = [0; 4];
            raw.copy_from_slice(&root.payload[roots::ROOT_BYTES..roots::ROOT_BYTES + 4]);
            u32::from_le_bytes(raw)
        });
        let known = self.trees.keys().chain(&self.dropped).max();
        let known = known.map_or(system::FIRST_USER, |tree| tree.saturating_add(1));
        known.max(next).max(system::FIRST_USER)
    }

    fn report(&mut self) -> Result<()> {
        let names = names::all(&mut self.target)?;
        for loss in std::mem::take(&mut self.directory.losses) {
            self.salvaged.notes.push(format!("directory: {}", loss.why));
        }
        let log_is_whole = self.log.gaps.is_empty();
        for (tree, known) in std::mem::take(&mut self.trees) {
            let id = TreeId(tree);
            let stats = self.target.stats(id)?;
            let sessions = id == system::SESSIONS;
            let is_cut = !known.gathered.broken.is_empty() || !known.gathered.losses.is_empty();
            let certainty = match known.is_proven {
                true if log_is_whole => Certainty::Whole,
                true => Certainty::Unproven,
                false if known.root.is_none() && known.gathered.losses.is_empty() => {
                    Certainty::Unproven
                }
                false if is_cut || known.root.is_some() => Certainty::Lossy,
                false => Certainty::Unproven,
            };
            let name = names.get(&tree).cloned();
            self.salvaged.trees.push(TreeReport {
                tree,
                name: name.unwrap_or_else(|| Owners::default().name(tree)),
                certainty,
                expected: known
                    .root
                    .map(|root| root.stats.count)
                    .or(known.is_new.then_some(0)),
                at_checkpoint: known.at_checkpoint,
                from_tree: known.counts[From::Tree as usize],
                from_older: known.counts[From::Older as usize],
                from_leaves: known.counts[From::Leaf as usize] + known.counts[From::Stray as usize],
                log_repairs: known.repairs,
                log_changes: known.changes,
                entries: if sessions {
                    known.at_checkpoint
                } else {
                    stats.count
                },
                losses: known.gathered.losses,
            });
        }
        Ok(())
    }
}

/// A tree whose root nobody knows.
const NOWHERE: Roots = Roots {
    newest: None,
    older: None,
    is_stale: false,
};
