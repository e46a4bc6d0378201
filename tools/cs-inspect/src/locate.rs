//! The way from the root to a page.

use std::cell::RefCell;
use std::convert::Infallible;

use cs_base::{PageId, TreeId};
use cs_kv::TreeRoot;
use cs_kv::node::{Branch, Leaf, OverflowRef, ValueRef};
use cs_pager::{PageKind, PageRef};

use crate::owners::Owners;
use crate::pages::{PageFile, Verdict, judge};
use crate::runs;
use crate::walk::{Go, Place, Range, Visit, walk};
use cs_pager::PageHeader;

/// Where a page is in its tree.
#[derive(Clone, Debug)]
pub(crate) struct Located {
    /// The tree.
    pub(crate) tree: TreeId,
    /// The keys that it stands for.
    pub(crate) range: Range,
    /// The pages above it, the root first.
    pub(crate) path: Vec<PageRef>,
    /// What an overflow page is a part of.
    pub(crate) run: Option<Run>,
}

/// The run that an overflow page is a part of.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    /// Of the entry, as far as it can be read.
    pub(crate) key: Vec<u8>,
    /// It holds the key, not the value.
    pub(crate) is_key: bool,
    /// The run.
    pub(crate) run: OverflowRef,
}

/// Looks for a page in all trees of a state, its own first by its own word.
/// `None`: no tree reaches it.
pub(crate) fn locate(file: &PageFile, owners: &Owners, page: PageId) -> Option<Located> {
    let bytes = file.read(page).ok()?;
    let header = PageHeader::of(&bytes);
    let hint = match judge(&bytes, file.meta.file, page) {
        Verdict::Sound(kind) => Some((header.tree.get(), kind, header.level)),
        _ => None,
    };
    let trees = owners.roots.iter().chain(&owners.dropped);
    let mut trees: Vec<(u32, TreeRoot)> = trees.map(|(tree, root)| (*tree, *root)).collect();
    if let Some((tree, ..)) = hint {
        // A sound page is in its own tree or in none.
        trees.retain(|(id, _)| *id == tree);
    }
    let floor = match hint {
        Some((_, PageKind::Leaf | PageKind::Branch, level)) => Some(level),
        _ => None,
    };
    trees
        .into_iter()
        .find_map(|(tree, root)| within(file, TreeId(tree), &root, page, floor))
}

/// Looks in one tree; `floor` is the level of a node whose level is known.
fn within(
    file: &PageFile,
    tree: TreeId,
    root: &TreeRoot,
    page: PageId,
    floor: Option<u8>,
) -> Option<Located> {
    let found: RefCell<Option<Located>> = RefCell::new(None);
    let note = |place: &Place<'_>, run: Option<Run>| {
        let mut path: Vec<PageRef> = place.path.iter().map(|(at, _)| *at).collect();
        if run.is_some() {
            path.push(place.at);
        }
        *found.borrow_mut() = Some(Located {
            tree,
            range: place.range.clone(),
            path,
            run,
        });
    };
    let wanted = |place: &Place<'_>| {
        if found.borrow().is_some() {
            return false;
        }
        if place.at.page == page {
            note(place, None);
            return false;
        }
        floor.is_none_or(|floor| place.level > floor)
    };
    let mut visit = |visit: Visit<'_>| {
        if let (Visit::Node(place, bytes), None) = (&visit, floor)
            && let Some(run) = run_with(file, tree, place.level, bytes, page)
        {
            note(place, Some(run));
            return Ok::<_, Infallible>(Go::Stop);
        }
        Ok(Go::Down)
    };
    let Ok(()) = walk(file, tree, root, &wanted, &mut visit);
    found.into_inner()
}

/// The run in this node that the page is a part of.
fn run_with(file: &PageFile, tree: TreeId, level: u8, bytes: &[u8], page: PageId) -> Option<Run> {
    let covers = |run: &OverflowRef| {
        let end = run.first.0.saturating_add(u64::from(run.pages));
        (run.first.0..end).contains(&page.0)
    };
    let whole = |mut key: Vec<u8>, run: Option<OverflowRef>| {
        if let Some(run) = run
            && let Ok(whole) = runs::read_key(file, tree, &run)
        {
            key = whole;
        }
        key
    };
    let mut key = Vec::new();
    if level > 0 {
        let branch = Branch::new(bytes);
        let child = (0..branch.len())
            .find(|&child| branch.key_overflow(child).is_some_and(|run| covers(&run)))?;
        branch.key(child, &mut key);
        let run = branch.key_overflow(child)?;
        return Some(Run {
            key: whole(key, Some(run)),
            is_key: true,
            run,
        });
    }
    let leaf = Leaf::new(bytes);
    for slot in 0..leaf.len() {
        let key_run = leaf.key_overflow(slot);
        let value_run = match leaf.value(slot) {
            ValueRef::Overflow(run) => Some(run),
            ValueRef::Inline(_) => None,
        };
        for (run, is_key) in [(key_run, true), (value_run, false)] {
            if let Some(run) = run.filter(|run| covers(run)) {
                leaf.key(slot, &mut key);
                return Some(Run {
                    key: whole(key, key_run),
                    is_key,
                    run,
                });
            }
        }
    }
    None
}
