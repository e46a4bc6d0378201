//! Making a tree smaller without changing what it holds: neighbouring leaves
//! that fit into fewer pages are written anew, and pages with high numbers
//! move to low ones, by copy-on-write along their path.
//!
//! The unit of work is a *window*: a few neighbouring leaves of one parent,
//! named by a key. Looking at one changes nothing and works on any state; so a
//! sealed state can be searched without a lock for windows that are worth it,
//! and each is looked at again in the open version before it is changed.
//!
//! ## Invariants
//! * Keys, values, count, bytes and hash sum stay as they are.
//! * Nothing moves to a higher number.
//! * Whatever could fail is read before the first page changes.

use cs_base::{PageId, TreeId};
use cs_pager::{PAGE_HEADER, PageRef, Pager, ReadGuard, Shadow};

use super::change::{Step, TreeEdit};
use super::overflow::{free_run, start};
use super::read::{PageSource, expect_node, find, load_key, read_whole_key};
use crate::error::Result;
use crate::node::{
    Branch, BranchMut, KeyRef, Leaf, LeafBuilder, LeafMut, OverflowRef, ValueRef, usable_bytes,
};
use crate::tree_root::TreeRoot;

/// Leaves of a window: enough that leaves filled by random inserts (about 69 %)
/// give up one in eight at least, few enough to change at once.
pub(crate) const WINDOW: usize = 8;

/// What compaction is after.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Pages from here on are to move down.
    pub(crate) limit: PageId,
    /// How full leaves are made, in percent.
    pub(crate) fill_percent: usize,
}

/// What is to be done about a window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its leaves fit into fewer pages.
    pub(crate) packs: bool,
    /// A page of it, or on the path to it, has a high number.
    pub(crate) moves: bool,
    /// All pages concerned: of the path, the leaves, and the runs that are to move.
    pub(crate) pages: Vec<PageRef>,
    /// Leaves in it.
    pub(crate) leaves: usize,
    /// The key with which the next window begins, if there is one.
    pub(crate) next: Option<Vec<u8>>,
}

impl Window {
    /// Whether there is anything to do.
    pub(crate) fn is_work(&self) -> bool {
        self.packs || self.moves
    }

    /// An upper bound of the numbers that the work takes.
    pub(crate) fn needs(&self) -> u64 {
        self.pages.len() as u64 + 2
    }
}

fn is_high(run: &OverflowRef, goal: &Goal) -> bool {
    run.first.0 + u64::from(run.pages) > goal.limit.0
}

fn list_run(run: &OverflowRef, pages: &mut Vec<PageRef>) {
    let first = start(run);
    pages.extend((0..u64::from(run.pages)).map(|offset| PageRef {
        page: PageId(first.page.0 + offset),
        ..first
    }));
}

/// Looks at the window that begins with the leaf in whose range `key` is.
pub(crate) fn look(
    source: &impl PageSource,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
    goal: &Goal,
) -> Result<Window> {
    let mut window = Window::default();
    if root.height == 0 {
        return Ok(window);
    }
    let guard = ReadGuard::enter();
    let mut path: Vec<PageRef> = Vec::new();
    find(source, &guard, tree, root, key, |at| path.push(at))?;
    let branches = &path[..path.len() - 1];
    let mut leaves = vec![path[path.len() - 1]];
    for (above, &at) in branches.iter().rev().enumerate() {
        let branch = Branch::new(source.page(&guard, at)?);
        for child in 1..branch.len() {
            if let Some(run) = branch.key_overflow(child).filter(|run| is_high(run, goal)) {
                window.moves = true;
                list_run(&run, &mut window.pages);
            }
        }
        // Which child the path goes on to: by its page, for no page has two parents.
        let below = path[path.len() - 1 - above];
        let position = (0..branch.len()).find(|&child| PageRef::from(branch.child(child)) == below);
        let Some(position) = position else { break };
        let mut next = position + 1;
        if above == 0 {
            let end = branch.len().min(position + WINDOW);
            leaves.extend((next..end).map(|child| PageRef::from(branch.child(child))));
            next = end;
        }
        if window.next.is_none() && next < branch.len() {
            window.next = Some(read_whole_key(source, tree, &branch, next)?);
        }
    }
    window.moves |= path.iter().chain(&leaves).any(|at| at.page >= goal.limit);
    window.pages.extend_from_slice(branches);
    window.leaves = leaves.len();
    let (mut used, page_size) = (0, source.page_size());
    for &at in &leaves {
        let bytes = source.page(&guard, at)?;
        expect_node(bytes, at, tree, 0)?;
        window.pages.push(at);
        let leaf = Leaf::new(bytes);
        used += leaf.used_bytes();
        for run in runs_of(leaf).filter(|run| is_high(run, goal)) {
            window.moves = true;
            list_run(&run, &mut window.pages);
        }
    }
    let share = usable_bytes(page_size) * goal.fill_percent / 100;
    window.packs = leaves.len() > 1 && used <= share * (leaves.len() - 1);
    Ok(window)
}

fn runs_of<'a>(leaf: Leaf<'a>) -> impl Iterator<Item = OverflowRef> + 'a {
    (0..leaf.len()).flat_map(move |slot| {
        let value = match leaf.value(slot) {
            ValueRef::Overflow(run) => Some(run),
            ValueRef::Inline(_) => None,
        };
        leaf.key_overflow(slot).into_iter().chain(value)
    })
}

/// Leaves written anew, not in the tree yet.
struct Packed {
    pages: Vec<Vec<u8>>,
    /// The first whole key of each page but the first, and the last of the page before it.
    bounds: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TreeEdit<'_> {
    /// Does what [`look`] found worth doing about the window at `key`, whose
    /// pages were planned. Returns how many pages it touched.
    pub(crate) fn compact(&mut self, key: &[u8], window: &Window, goal: &Goal) -> Result<usize> {
        let (path, first) = self.descend(key)?;
        let mut touched = path.len() + 1;
        if window.packs {
            touched += self.pack(&path, first, key, window.leaves, goal)?;
        }
        if window.moves {
            let (path, _) = self.descend(key)?;
            for step in &path {
                touched += self.move_branch_keys(step.at, goal)?;
            }
            touched += self.move_leaves(&path, window.leaves, goal)?;
        }
        Ok(touched)
    }

    // ---- packing ----

    /// Writes the leaves of a window into fewer pages, if they fit.
    fn pack(
        &mut self,
        path: &[Step],
        first: PageRef,
        key: &[u8],
        leaves: usize,
        goal: &Goal,
    ) -> Result<usize> {
        let Some(parent) = path.last().copied() else {
            return Ok(0);
        };
        let branch = Branch::new(self.shadow.page_mut(parent.at));
        let children: Vec<PageRef> = (parent.child..branch.len().min(parent.child + leaves))
            .map(|child| branch.child(child).into())
            .collect();
        let packed = build(self.pager, self.shadow, self.tree, &children, goal)?;
        if packed.pages.len() >= children.len() {
            return Ok(0);
        }
        // From here on nothing fails but for want of memory.
        for child in (parent.child + 1..parent.child + children.len()).rev() {
            let run = BranchMut::new(self.shadow.page_mut(parent.at)).remove(child);
            if let Some(run) = run {
                free_run(self.pager, self.shadow, &run);
            }
        }
        for &old in &children[1..] {
            self.shadow.free(self.pager, old);
        }
        let mut pages = packed.pages.iter();
        let mut below = key.to_vec();
        if let Some(page) = pages.next() {
            self.shadow.page_mut(first)[PAGE_HEADER..].copy_from_slice(&page[PAGE_HEADER..]);
        }
        for (page, (last, next)) in pages.zip(&packed.bounds) {
            let leaf = self.allocate(0);
            self.shadow.page_mut(leaf)[PAGE_HEADER..].copy_from_slice(&page[PAGE_HEADER..]);
            let separator = self.separator_between(last, next);
            // Anew each time: a branch may have split.
            let (path, left) = self.descend(&below)?;
            self.insert_child(&path, left, separator, leaf)?;
            below.clone_from(next);
        }
        let (mut path, _) = self.descend(key)?;
        if let Some(parent) = path.pop() {
            self.mend(path, parent.at, 1)?;
        }
        Ok(children.len())
    }

    // ---- moving ----

    fn move_leaves(&mut self, path: &[Step], leaves: usize, goal: &Goal) -> Result<usize> {
        let mut at = vec![(None, self.root.page)];
        if let Some(parent) = path.last() {
            let branch = Branch::new(self.shadow.page_mut(parent.at));
            let end = branch.len().min(parent.child + leaves);
            at = (parent.child..end)
                .map(|child| (Some((parent.at, child)), branch.child(child).into()))
                .collect();
        }
        let mut touched = 0;
        for (parent, old) in at {
            let high_runs: Vec<usize> = {
                let guard = ReadGuard::enter();
                let leaf = Leaf::new(self.shadow.view(self.pager, &guard, old)?);
                let is_high = |run: &OverflowRef| is_high(run, goal);
                (0..leaf.len())
                    .filter(|&slot| {
                        let value = match leaf.value(slot) {
                            ValueRef::Overflow(run) => is_high(&run),
                            ValueRef::Inline(_) => false,
                        };
                        value || leaf.key_overflow(slot).as_ref().is_some_and(is_high)
                    })
                    .collect()
            };
            let has_lower = self
                .shadow
                .lowest_free()
                .is_some_and(|free| free < old.page);
            if high_runs.is_empty() && (old.page < goal.limit || !has_lower) {
                continue;
            }
            let new = self.shadow.shadow(self.pager, old)?;
            touched += 1;
            match parent {
                Some((parent, child)) if new != old => {
                    BranchMut::new(self.shadow.page_mut(parent)).set_child(child, new.into());
                }
                Some(_) => {}
                None => self.root.page = new,
            }
            for slot in high_runs {
                touched += self.move_leaf_runs(new, slot, goal)?;
            }
        }
        Ok(touched)
    }

    /// Moves a run to lower numbers, if it is high and there are such.
    fn move_run(&mut self, run: &OverflowRef, goal: &Goal) -> Result<Option<OverflowRef>> {
        if !is_high(run, goal) {
            return Ok(None);
        }
        let moved = self
            .shadow
            .move_run(self.pager, start(run), run.pages, run.first)?;
        Ok(moved.map(|new| OverflowRef {
            first: new.page,
            version: new.version,
            ..*run
        }))
    }

    fn move_leaf_runs(&mut self, at: PageRef, slot: usize, goal: &Goal) -> Result<usize> {
        let mut touched = 0;
        let leaf = Leaf::new(self.shadow.page_mut(at));
        let (value_run, key_run) = (leaf.value(slot), leaf.key_overflow(slot));
        if let ValueRef::Overflow(run) = value_run
            && let Some(new) = self.move_run(&run, goal)?
        {
            touched += run.pages as usize;
            let mut leaf = LeafMut::new(self.shadow.page_mut(at));
            same_size(leaf.replace_value(slot, ValueRef::Overflow(new)))?;
        }
        if let Some(run) = key_run
            && let Some(new) = self.move_run(&run, goal)?
        {
            touched += run.pages as usize;
            let page = self.shadow.page_mut(at);
            let (mut inline, value) = (Vec::new(), owned_value(Leaf::new(page).value(slot)));
            Leaf::new(page).key(slot, &mut inline);
            let mut leaf = LeafMut::new(page);
            leaf.remove(slot);
            let key = KeyRef {
                inline: &inline,
                overflow: Some(new),
            };
            same_size(leaf.insert(slot, key, value.as_ref()))?;
        }
        Ok(touched)
    }

    fn move_branch_keys(&mut self, at: PageRef, goal: &Goal) -> Result<usize> {
        let mut touched = 0;
        let branch = Branch::new(self.shadow.page_mut(at));
        let runs: Vec<_> = (1..branch.len())
            .filter_map(|child| branch.key_overflow(child).map(|run| (child, run)))
            .collect();
        for (child, run) in runs {
            let Some(new) = self.move_run(&run, goal)? else {
                continue;
            };
            touched += run.pages as usize;
            let mut branch = BranchMut::new(self.shadow.page_mut(at));
            let (mut inline, below) = (Vec::new(), branch.as_branch().child(child));
            branch.as_branch().key(child, &mut inline);
            let _ = branch.remove(child);
            let key = KeyRef {
                inline: &inline,
                overflow: Some(new),
            };
            same_size(branch.insert(child, key, below))?;
        }
        Ok(touched)
    }
}

/// A value that outlives its page.
enum OwnedValue {
    Inline(Vec<u8>),
    Overflow(OverflowRef),
}

fn owned_value(value: ValueRef<'_>) -> OwnedValue {
    match value {
        ValueRef::Inline(bytes) => OwnedValue::Inline(bytes.to_vec()),
        ValueRef::Overflow(run) => OwnedValue::Overflow(run),
    }
}

impl OwnedValue {
    fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Inline(bytes) => ValueRef::Inline(bytes),
            Self::Overflow(run) => ValueRef::Overflow(*run),
        }
    }
}

fn same_size(done: Result<(), crate::node::Full>) -> Result<()> {
    done.map_err(|_| crate::Error::Damaged("a cell has no room where it was before".into()))
}

/// Writes the entries of leaves into as few pages as they need.
fn build(
    pager: &Pager,
    shadow: &Shadow,
    tree: TreeId,
    leaves: &[PageRef],
    goal: &Goal,
) -> Result<Packed> {
    let source = super::OpenSource { pager, shadow };
    let page_size = pager.page_size();
    let mut builder = LeafBuilder::new(page_size, goal.fill_percent);
    let (mut pages, mut bounds) = (Vec::new(), Vec::new());
    let mut finish = |builder: &mut LeafBuilder| {
        let mut page = vec![0; page_size];
        builder.finish(&mut page);
        pages.push(page);
    };
    let mut before: Option<(Leaf<'_>, usize)> = None;
    let guard = ReadGuard::enter();
    for &at in leaves {
        let leaf = Leaf::new(source.page(&guard, at)?);
        for slot in 0..leaf.len() {
            let mut inline = Vec::new();
            leaf.key(slot, &mut inline);
            let key = KeyRef {
                inline: &inline,
                overflow: leaf.key_overflow(slot),
            };
            if builder.push(key, leaf.value(slot)).is_err() {
                finish(&mut builder);
                let (mut last, mut next) = (Vec::new(), Vec::new());
                if let Some((leaf, slot)) = before {
                    load_key(&source, tree, leaf, slot, &mut last)?;
                }
                load_key(&source, tree, leaf, slot, &mut next)?;
                bounds.push((last, next));
                same_size(builder.push(key, leaf.value(slot)))?;
            }
            before = Some((leaf, slot));
        }
    }
    if !builder.is_empty() {
        finish(&mut builder);
    }
    Ok(Packed { pages, bounds })
}
