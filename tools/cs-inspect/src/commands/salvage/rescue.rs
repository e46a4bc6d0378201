//! The steps of a salvage, in order.

mod find;

use std::collections::{BTreeMap, BTreeSet};

use cs_base::{Lsn, TreeId};
use cs_kv::{Effect, TreeRoot, system};

use crate::error::Result;
use crate::owners::Owners;
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
        if matches!(effect, Effect::Before { .. }) {
            return Ok(());
        }
        if is_repair {
            let key = match effect {
                Effect::Put { key, .. }
                | Effect::PutPacked { key, .. }
                | Effect::Delete { key, .. } => *key,
                Effect::Before { .. } | Effect::CreateTree { .. } | Effect::DropTree { .. } => {
                    return Ok(());
                }
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
            Effect::Before { .. } => Ok(()),
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
