//! The structural check: every page is reachable once, or free; every tree is
//! in order and holds what its root says.

use std::collections::HashMap;
use std::sync::Arc;

use cs_base::{PageId, TreeId};
use cs_pager::format::first_page;
use cs_pager::{PageRef, Shadow};

use crate::core::Core;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::node::Leaf;
use crate::root::is_system;
use crate::snapshot::Snapshot;
use crate::tree::{Visited, Walker};
use crate::tree_root::{TreeRoot, TreeStats, digest, directory_key, system};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A stable name: `unreadable`, `reached-twice`, `reached-but-free`,
    /// `leaked`, `out-of-order`, `wrong-stats`.
    pub code: &'static str,
    /// The tree concerned, if one is.
    pub tree: Option<TreeId>,
    /// The page concerned, if one is.
    pub page: Option<PageId>,
    /// What was expected and what was found.
    pub text: String,
}

/// What a tree looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TreeShape {
    /// Levels.
    pub height: u8,
    /// Pages with entries.
    pub leaves: u64,
    /// Pages with children.
    pub branches: u64,
    /// Pages of large keys and values.
    pub overflow: u64,
    /// Part of the leaves in use, from 0 to 1.
    pub leaf_fill: f64,
    /// What its root says.
    pub stats: TreeStats,
}

/// What a check looked at and found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CheckReport {
    /// What is wrong; empty if the database is sound.
    pub findings: Vec<Finding>,
    /// Pages reached.
    pub pages: u64,
    /// Each tree, the system's included.
    pub trees: Vec<(TreeId, TreeShape)>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Findings listed at most; a broken file has more than anybody reads.
const MAX_FINDINGS: usize = 1000;

struct Check<'a> {
    snapshot: Snapshot,
    report: CheckReport,
    /// Who reaches each page.
    reached: HashMap<PageId, TreeId>,
    progress: &'a mut dyn FnMut(u64, u64),
    total: u64,
}

/// See the module's text. The allocation is compared only while nobody writes:
/// the writer's lock is held for that moment.
pub(crate) fn check(core: &Arc<Core>, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport> {
    // Damage is to be found in what is on disk, so nothing may be on its way.
    core.flush()?;
    // The newest state, and the allocation that belongs to it, in one go.
    let (snapshot, map, used, page_count) = {
        let mut writer = core.lock_writer();
        let snapshot = Snapshot::of(core, core.seal(&mut writer)?);
        let page_count = writer.shadow.space().page_count;
        let used = used_pages(&writer.shadow, page_count, core.pager.page_size());
        let map: Vec<PageRef> = writer.shadow.map_pages().collect();
        (snapshot, map, used, page_count)
    };
    let mut check = Check {
        snapshot,
        report: CheckReport::default(),
        reached: HashMap::new(),
        progress,
        total: page_count,
    };
    for at in map {
        check.reach(system::DIRECTORY, at.page);
    }
    check.all_trees();
    check.allocation(&used);
    check.named(core, &used);
    Ok(check.report)
}

fn used_pages(shadow: &Shadow, page_count: u64, page_size: usize) -> Vec<PageId> {
    let first = first_page(page_size as u32).0;
    (first..page_count)
        .map(PageId)
        .filter(|&page| shadow.is_used(page))
        .collect()
}

impl Check<'_> {
    fn find(
        &mut self,
        code: &'static str,
        tree: Option<TreeId>,
        page: Option<PageId>,
        text: String,
    ) {
        if self.report.findings.len() < MAX_FINDINGS {
            self.report.findings.push(Finding {
                code,
                tree,
                page,
                text,
            });
        }
    }

    /// A page or tree that cannot be read; once, though the walk over the pages
    /// and the cursor over the entries both come upon it.
    fn unreadable(&mut self, tree: TreeId, error: &Error) {
        let text = error.to_string();
        if !self
            .report
            .findings
            .iter()
            .any(|finding| finding.text == text)
        {
            self.find("unreadable", Some(tree), error.page(), text);
        }
    }

    fn reach(&mut self, tree: TreeId, page: PageId) {
        self.report.pages += 1;
        if self.report.pages.is_multiple_of(1024) {
            (self.progress)(self.report.pages, self.total);
        }
        if let Some(other) = self.reached.insert(page, tree) {
            let text = format!("expected one owner, found trees {other} and {tree}");
            self.find("reached-twice", Some(tree), Some(page), text);
        }
    }

    fn all_trees(&mut self) {
        let snapshot = self.snapshot.clone();
        let directory = snapshot.root().directory;
        self.tree(system::DIRECTORY, system::DIRECTORY, &directory);
        for holder in [system::DIRECTORY, system::DROPPED] {
            match roots_in(&snapshot, holder) {
                Ok(roots) => {
                    for (tree, root) in roots {
                        self.tree(holder, tree, &root);
                    }
                }
                Err(error) => self.unreadable(holder, &error),
            }
        }
    }

    /// What only named snapshots reach must be readable, and nobody else's.
    fn named(&mut self, core: &Core, used: &[PageId]) {
        for (name, pages) in core.named_pages(self.snapshot.root()) {
            match pages {
                Err(error) => {
                    let text = format!("snapshot '{name}': {error}");
                    self.find("unreadable", None, error.page(), text);
                }
                Ok(pages) => {
                    self.report.pages += pages.len() as u64;
                    for at in pages {
                        if used.binary_search(&at.page).is_ok() {
                            let text = format!("the newest state uses a page of snapshot '{name}'");
                            self.find("reached-twice", None, Some(at.page), text);
                        }
                    }
                }
            }
        }
    }

    fn tree(&mut self, holder: TreeId, tree: TreeId, root: &TreeRoot) {
        let snapshot = self.snapshot.clone();
        let source = snapshot.source();
        let mut shape = TreeShape {
            height: root.height,
            stats: root.stats,
            ..TreeShape::default()
        };
        let mut fill = 0.0;
        let mut walker = Walker::new(&source, tree, root);
        let mut pages: Vec<Visited> = Vec::new();
        loop {
            pages.clear();
            let stepped = walker.step(&mut pages, &mut |_, level, bytes| {
                if level == 0 {
                    fill += Leaf::new(bytes).fill();
                }
                Ok(())
            });
            for &visited in &pages {
                match visited.level {
                    Some(0) => shape.leaves += 1,
                    Some(_) => shape.branches += 1,
                    None => shape.overflow += 1,
                }
                self.reach(tree, visited.at.page);
            }
            match stepped {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // The walk stands on a stack of pages to come, so it goes on
                    // with the neighbours of the one that cannot be read.
                    self.unreadable(tree, &error);
                }
            }
        }
        if shape.leaves > 0 {
            shape.leaf_fill = fill / shape.leaves as f64;
        }
        // What was dropped only waits to be freed: nobody reads it any more.
        if holder == system::DIRECTORY && tree != system::DIRECTORY {
            self.entries(tree, root);
        }
        self.report.trees.push((tree, shape));
    }

    fn entries(&mut self, tree: TreeId, root: &TreeRoot) {
        let mut stats = TreeStats::default();
        let mut last: Option<Vec<u8>> = None;
        let reader = match self.snapshot.tree(tree) {
            Ok(reader) => reader,
            Err(error) => return self.unreadable(tree, &error),
        };
        let mut cursor = reader.cursor(KeyRange::all());
        loop {
            match cursor.next() {
                Ok(None) => break,
                Ok(Some((key, value))) => {
                    stats.add(key, value.len() as u64, digest(key, value));
                    let in_order = last.as_deref().is_none_or(|last| last < key);
                    last = Some(key.to_vec());
                    // A wrong separator leaves the order as it is, but sends
                    // whoever looks for the key to another leaf.
                    if matches!(reader.with_value(key, |_| ()), Ok(None)) {
                        let text = format!("key {} is there, but a search misses it", hex(key));
                        self.find("out-of-order", Some(tree), None, text);
                    }
                    if !in_order {
                        let text = format!("key {} does not follow the one before it", hex(key));
                        self.find("out-of-order", Some(tree), None, text);
                    }
                }
                Err(error) => {
                    self.unreadable(tree, &error);
                    return;
                }
            }
        }
        if stats != root.stats {
            let text = format!("expected {:?}, found {stats:?}", root.stats);
            self.find("wrong-stats", Some(tree), None, text);
        }
    }

    fn allocation(&mut self, used: &[PageId]) {
        let used: std::collections::HashSet<PageId> = used.iter().copied().collect();
        let mut wrong: Vec<_> = self
            .reached
            .iter()
            .filter(|(page, _)| !used.contains(page))
            .collect();
        wrong.sort_unstable();
        let wrong: Vec<_> = wrong
            .into_iter()
            .map(|(&page, &tree)| (page, tree))
            .collect();
        for (page, tree) in wrong {
            let text = "a tree reaches it, the allocation map has it as free".into();
            self.find("reached-but-free", Some(tree), Some(page), text);
        }
        // Pages below one that cannot be read look leaked, so say nothing then.
        if self
            .report
            .findings
            .iter()
            .any(|finding| finding.code == "unreadable")
        {
            return;
        }
        let mut leaked: Vec<_> = used
            .iter()
            .filter(|page| !self.reached.contains_key(page))
            .copied()
            .collect();
        leaked.sort_unstable();
        for page in leaked {
            let text = "the allocation map has it as used, nothing reaches it".into();
            self.find("leaked", None, Some(page), text);
        }
    }
}

/// The trees whose roots `holder` keeps.
pub(crate) fn roots_in(snapshot: &Snapshot, holder: TreeId) -> Result<Vec<(TreeId, TreeRoot)>> {
    let mut roots = Vec::new();
    let mut cursor = snapshot.cursor(holder, KeyRange::all())?;
    while let Some((key, value)) = cursor.next()? {
        let mut raw = [0; 4];
        if key.len() != raw.len() {
            return Err(crate::Error::Damaged(format!(
                "key of tree {holder}: {}",
                hex(key)
            )));
        }
        raw.copy_from_slice(key);
        let tree = TreeId(u32::from_be_bytes(raw));
        debug_assert_eq!(directory_key(tree).as_slice(), key);
        roots.push((tree, TreeRoot::decode(tree, value)?));
    }
    debug_assert!(holder != system::DROPPED || roots.iter().all(|(tree, _)| !is_system(*tree)));
    Ok(roots)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .take(32)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
