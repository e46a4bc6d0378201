//! The damaged database: which pages are sound, and which states can be seen.

use std::collections::{BTreeMap, BTreeSet};

use cs_base::{PageId, TreeId, Version};
use cs_kv::node::{Branch, Leaf, ValueRef};
use cs_kv::{TreeRoot, TreeStats, system};
use cs_pager::{PageKind, PageRef, RootRecord};

use crate::census::{Census, Content, Fact, State};
use crate::error::{InspectError, Result};
use crate::pages::PageFile;
use crate::progress::Progress;
use crate::roots;
use crate::runs;
use crate::walk::{Go, Place, Visit, walk};

/// States that are tried where neither meta is valid.
const MAX_CANDIDATES: usize = 8;

/// See the module's text.
pub(super) struct Source {
    pub(super) file: PageFile,
    pub(super) census: Census,
    /// The newest state that a meta names.
    pub(super) root: Option<RootRecord>,
    /// The one before it.
    pub(super) older: Option<RootRecord>,
    /// The allocation map of the newest state can be read.
    pub(super) has_map: bool,
    /// Sound nodes by the tree that they name, those that may count.
    nodes: BTreeMap<u32, Vec<u64>>,
}

/// An entry of a leaf, or what is wrong with it.
pub(super) enum Entry {
    Whole(Vec<u8>, Vec<u8>),
    /// Its key, as far as it can be read, and why.
    Lost(Vec<u8>, String),
}

impl Source {
    /// Judges all pages.
    pub(super) fn read(file: PageFile, progress: &Progress) -> Result<Self> {
        let root = file.metas.newest().ok().map(|meta| meta.root);
        let older = file.metas.older().map(|meta| meta.root);
        let census = match root {
            // A map that tells of more pages than there are is no map.
            Some(root) if root.page_count <= file.pages() => {
                Census::take(&file, progress, &mut |_, _, _| {})?
            }
            _ => Census::of_all(&file, progress, &mut |_, _, _| {})?,
        };
        let has_map = census.facts.iter().any(|fact| fact.state == State::Free)
            || census.facts.iter().all(|fact| fact.state != State::Unknown);
        let mut nodes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (page, fact) in census.facts.iter().enumerate() {
            let counts = match fact.state {
                State::Used => true,
                // A page that was written after the newest state may be of one
                // that never came to be.
                State::Unknown => root.is_none_or(|root| fact.version <= root.version.0),
                _ => false,
            };
            if counts && fact.is_node() {
                nodes.entry(fact.tree).or_default().push(page as u64);
            }
        }
        Ok(Self {
            file,
            census,
            root,
            older,
            has_map: has_map && root.is_some(),
            nodes,
        })
    }

    pub(super) fn fact(&self, page: u64) -> &Fact {
        &self.census.facts[page as usize]
    }

    /// Every tree that a node which may count names.
    pub(super) fn trees(&self) -> impl Iterator<Item = u32> {
        self.nodes.keys().copied()
    }

    /// Sound leaves of a tree that were not met, the newest first.
    pub(super) fn leaves(&self, tree: TreeId, met: &BTreeSet<u64>) -> Vec<u64> {
        let nodes = self.nodes.get(&tree.0).map_or(&[][..], Vec::as_slice);
        let is_leaf = |page: &u64| self.fact(*page).content == Content::Sound(PageKind::Leaf);
        let mut leaves: Vec<u64> = nodes
            .iter()
            .copied()
            .filter(|page| is_leaf(page) && !met.contains(page))
            .collect();
        leaves.sort_by_key(|&page| (std::cmp::Reverse(self.fact(page).version), page));
        leaves
    }

    /// The root of a tree whose own root is not known, by what pages say.
    pub(super) fn guess_root(&self, tree: TreeId) -> Option<TreeRoot> {
        let nodes = self.nodes.get(&tree.0)?;
        if self.has_map {
            // All of them are of the newest state, so its root is on top, alone.
            let top = nodes.iter().map(|&page| self.fact(page).level).max()?;
            let mut highest = nodes.iter().filter(|&&page| self.fact(page).level == top);
            let page = *highest.next()?;
            return highest.next().is_none().then(|| self.root_at(page));
        }
        // A root is written whenever anything below it is.
        let key = |page: &u64| (self.fact(*page).version, self.fact(*page).level);
        nodes
            .iter()
            .copied()
            .max_by_key(key)
            .map(|page| self.root_at(page))
    }

    fn root_at(&self, page: u64) -> TreeRoot {
        let fact = self.fact(page);
        TreeRoot {
            page: PageRef {
                page: PageId(page),
                version: Version(fact.version),
            },
            height: fact.level + 1,
            stats: TreeStats::default(),
        }
    }

    /// The directory of the newest state that is whole, or nearest to it, where
    /// no meta names one.
    pub(super) fn find_directory(&self) -> Option<TreeRoot> {
        let mut nodes = self.nodes.get(&system::DIRECTORY.0)?.clone();
        nodes.sort_by_key(|&page| {
            let fact = self.fact(page);
            std::cmp::Reverse((fact.version, fact.level))
        });
        let candidates = nodes
            .iter()
            .take(MAX_CANDIDATES)
            .map(|&page| self.root_at(page));
        let judged = candidates.map(|root| (self.holes(&root), root));
        let mut best: Option<(u64, TreeRoot)> = None;
        for (holes, root) in judged {
            if best.is_none_or(|(least, _)| holes < least) {
                best = Some((holes, root));
            }
            if holes == 0 {
                break;
            }
        }
        best.map(|(_, root)| root)
    }

    /// Pointers of a state that lead to no sound page of their version.
    fn holes(&self, directory: &TreeRoot) -> u64 {
        let mut holes = 0;
        let mut roots = Vec::new();
        let mut visit = |visit: Visit<'_>| {
            match visit {
                Visit::Broken(..) => holes += 1,
                Visit::Node(place, bytes) if place.level == 0 => {
                    for entry in self.entries(system::DIRECTORY, bytes) {
                        if let Entry::Whole(key, value) = entry
                            && let Some(tree) = roots::tree_of_key(&key)
                            && let Ok(root) = roots::decode(tree, &value)
                        {
                            roots.push((tree, root));
                        }
                    }
                }
                Visit::Node(..) => {}
            }
            Ok::<_, std::convert::Infallible>(Go::Down)
        };
        let Ok(()) = walk(
            &self.file,
            system::DIRECTORY,
            directory,
            &|_| true,
            &mut visit,
        );
        for (tree, root) in roots {
            if root.height > 0 && !self.leads(tree, root.page, root.height - 1) {
                holes += 1;
                continue;
            }
            let is_branch = |place: &Place<'_>| place.level > 0;
            let mut visit = |visit: Visit<'_>| {
                match visit {
                    Visit::Broken(..) => holes += 1,
                    Visit::Node(place, bytes) => {
                        let branch = Branch::new(bytes);
                        let children = (0..branch.len()).map(|child| branch.child(child));
                        let lost = children
                            .filter(|child| !self.leads(tree, (*child).into(), place.level - 1));
                        holes += lost.count() as u64;
                    }
                }
                Ok::<_, std::convert::Infallible>(Go::Down)
            };
            let Ok(()) = walk(&self.file, tree, &root, &is_branch, &mut visit);
        }
        holes
    }

    /// Whether a pointer leads to a sound node of the tree, at this height.
    fn leads(&self, tree: TreeId, at: PageRef, level: u8) -> bool {
        self.census
            .facts
            .get(at.page.0 as usize)
            .is_some_and(|fact| {
                fact.is_node()
                    && fact.version == at.version.0
                    && fact.level == level
                    && fact.tree == tree.0
            })
    }

    /// The entries of a sound leaf, with their runs.
    pub(super) fn entries(&self, tree: TreeId, bytes: &[u8]) -> Vec<Entry> {
        let leaf = Leaf::new(bytes);
        (0..leaf.len())
            .map(|slot| self.entry(tree, leaf, slot))
            .collect()
    }

    fn entry(&self, tree: TreeId, leaf: Leaf<'_>, slot: usize) -> Entry {
        let mut key = Vec::new();
        leaf.key(slot, &mut key);
        if let Some(run) = leaf.key_overflow(slot) {
            match runs::read_key(&self.file, tree, &run) {
                Ok(whole) => key = whole,
                Err(error) => return Entry::Lost(key, error.to_string()),
            }
        }
        match leaf.value(slot) {
            ValueRef::Inline(value) => Entry::Whole(key, value.to_vec()),
            ValueRef::Overflow(run) => match runs::read_value(&self.file, tree, &run) {
                Ok(value) => Entry::Whole(key, value),
                Err(error) => Entry::Lost(key, error.to_string()),
            },
        }
    }

    /// All bytes of a page that the census found sound.
    pub(super) fn read_page(&self, page: u64) -> Result<Vec<u8>> {
        self.file.read(PageId(page)).map_err(|error| {
            InspectError::Unreadable(format!("page {page} was sound and is no more: {error}"))
        })
    }
}
