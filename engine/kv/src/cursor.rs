//! Cursors: walking the keys of a snapshot in order, both ways.
//!
//! A cursor stands in a gap between two entries. [`next`](Cursor::next) steps
//! over the entry behind the gap, [`prev`](Cursor::prev) over the one before
//! it, so the two undo each other. Before the first step the cursor stands at
//! the near end of its range: the lower one for `next`, the upper for `prev`.
//!
//! A cursor that turns page after page one way asks the pager ahead of time for
//! the leaves that come next under the same parent: two at first, then twice as
//! many each time, up to [`MOST_AHEAD`].
//!
//! ## Invariants
//! * The cursor keeps its snapshot alive, and in memory the leaf it stands on.
//! * After an error it yields nothing more: no entry is ever skipped in silence.

use std::ops::Bound;
use std::sync::Arc;

use cs_base::TreeId;
use cs_pager::{Frame, PageRef, Pager, ReadGuard};

use crate::error::Result;
use crate::key_range::KeyRange;
use crate::node::{Branch, Leaf, OverflowRef, ValueRef};
use crate::snapshot::Snapshot;
use crate::tree::{expect_node, load_key, read_key, read_value};
use crate::tree_root::TreeRoot;

/// Pages turned the same way in a row after which a cursor reads ahead: the
/// first turn may be the only one.
const TURNS_BEFORE_AHEAD: u32 = 2;
/// Most leaves that one cursor asks for ahead: enough to keep a device busy,
/// half of what the pager keeps for all.
const MOST_AHEAD: usize = 32;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Reads a page once from front to end. Entries lie in it as they came, so a
/// scan would wait for memory at each of them; in order the processor fetches
/// ahead, and the whole page costs less than half as much.
fn warm(page: &[u8]) {
    let lines = page.iter().step_by(LINE);
    std::hint::black_box(lines.fold(0_u8, |sum, &byte| sum.wrapping_add(byte)));
}

/// Where a cursor stands in a branch. The page is looked up again when the
/// cursor turns to another leaf: mostly it never does.
#[derive(Clone, Copy, Debug)]
struct BranchStep {
    at: PageRef,
    /// The child it is in.
    child: usize,
}

/// Where a cursor stands in a leaf.
#[derive(Debug)]
struct LeafStep {
    frame: Arc<Frame>,
    /// The entry behind the gap.
    slot: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fresh,
    Standing,
    Fused,
}

/// See the module's text.
#[derive(Debug)]
pub struct Cursor {
    snapshot: Snapshot,
    tree: TreeId,
    root: TreeRoot,
    range: KeyRange,
    /// Root first, down to the parent of the leaf.
    branches: Vec<BranchStep>,
    /// None in an empty tree.
    leaf: Option<LeafStep>,
    state: State,
    ahead: ReadAhead,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// How a cursor has been moving, and what it has asked for.
#[derive(Clone, Copy, Debug, Default)]
struct ReadAhead {
    way: Option<Way>,
    turns: u32,
    /// The farthest child of the present parent that was asked for, in steps
    /// from the one in which the cursor stands.
    asked: usize,
    /// How many are asked for at once.
    window: usize,
}

/// Where the value of an entry is.
#[derive(Clone, Debug)]
enum Found {
    /// In the page that the cursor stands in, at these bytes.
    Inline(std::ops::Range<usize>),
    /// In a run.
    Overflow(OverflowRef),
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Next,
    Prev,
}

impl Cursor {
    pub(crate) fn new(snapshot: Snapshot, tree: TreeId, root: TreeRoot, range: KeyRange) -> Self {
        Self {
            snapshot,
            tree,
            root,
            range,
            branches: Vec::new(),
            leaf: None,
            state: State::Fresh,
            ahead: ReadAhead::default(),
            key: Vec::new(),
            value: Vec::new(),
        }
    }

    /// Steps over the entry behind the gap; `None` at the end of the range.
    ///
    /// # Errors
    /// A page could not be read; the cursor is at its end then.
    #[expect(
        clippy::should_implement_trait,
        reason = "it lends, which `Iterator` cannot"
    )]
    pub fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(Way::Next)
    }

    /// Steps back over the entry before the gap; `None` at the beginning of the range.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn prev(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(Way::Prev)
    }

    /// Like [`next`](Self::next), without the key: what a scan that only looks
    /// at values pays for.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub fn next_value(&mut self) -> Result<Option<&[u8]>> {
        let entry = self.step_with(Way::Next, false)?;
        Ok(entry.map(|(_, value)| value))
    }

    fn step(&mut self, way: Way) -> Result<Option<(&[u8], &[u8])>> {
        self.step_with(way, true)
    }

    #[inline]
    fn step_with(&mut self, way: Way, with_key: bool) -> Result<Option<(&[u8], &[u8])>> {
        let found = self.snapshot.check();
        let found = found.and_then(|()| self.try_step(way, with_key));
        let found = found.and_then(|found| match found {
            Some(Found::Overflow(run)) => {
                self.value = read_value(&self.snapshot.source(), self.tree, &run)?;
                Ok(found)
            }
            other => Ok(other),
        });
        match found {
            Ok(Some(Found::Inline(range))) => {
                let page = self
                    .leaf
                    .as_ref()
                    .map_or(&[][..], |leaf| leaf.frame.bytes());
                Ok(Some((&self.key, &page[range])))
            }
            Ok(Some(Found::Overflow(_))) => Ok(Some((&self.key, &self.value))),
            Ok(None) => Ok(None),
            Err(error) => {
                self.fuse();
                Err(self.snapshot.explain(error))
            }
        }
    }

    fn fuse(&mut self) {
        self.state = State::Fused;
        self.leave();
    }

    /// Moves the gap over one entry, loads its key if that is wanted or the
    /// range has an end, and says where its value is.
    #[inline]
    fn try_step(&mut self, way: Way, with_key: bool) -> Result<Option<Found>> {
        match self.state {
            State::Fused => return Ok(None),
            State::Fresh => {
                self.seek_end(way)?;
                self.state = State::Standing;
            }
            State::Standing => {}
        }
        loop {
            let Some(leaf) = &mut self.leaf else {
                return Ok(None);
            };
            let node = Leaf::new(leaf.frame.bytes());
            let slot = match way {
                Way::Next if leaf.slot < node.len() => leaf.slot,
                Way::Prev if leaf.slot > 0 => leaf.slot - 1,
                _ => {
                    if self.turn_page(way)? {
                        continue;
                    }
                    return Ok(None);
                }
            };
            let end = match way {
                Way::Next => &self.range.upper,
                Way::Prev => &self.range.lower,
            };
            let has_end = !matches!(end, Bound::Unbounded);
            if with_key || has_end {
                let source = self.snapshot.source();
                load_key(&source, self.tree, node, slot, &mut self.key)?;
            }
            let outside = match way {
                Way::Next => self.range.is_above(&self.key),
                Way::Prev => self.range.is_below(&self.key),
            };
            if has_end && outside {
                return Ok(None);
            }
            leaf.slot = match way {
                Way::Next => slot + 1,
                Way::Prev => slot,
            };
            return Ok(Some(match node.value(slot) {
                ValueRef::Overflow(run) => Found::Overflow(run),
                ValueRef::Inline(value) => {
                    let start = value.as_ptr().addr() - leaf.frame.bytes().as_ptr().addr();
                    Found::Inline(start..start + value.len())
                }
            }));
        }
    }

    // ---- moving ----

    /// Goes to the end of the range from which `way` leads inside.
    fn seek_end(&mut self, way: Way) -> Result<()> {
        self.leave();
        if self.root.height == 0 {
            return Ok(());
        }
        let bound = match way {
            Way::Next => &mut self.range.lower,
            Way::Prev => &mut self.range.upper,
        };
        // Taken out meanwhile, since going down changes the cursor.
        let bound = std::mem::replace(bound, Bound::Unbounded);
        let gap = match (&bound, way) {
            (Bound::Unbounded, Way::Next) => Gap::First,
            (Bound::Unbounded, Way::Prev) => Gap::Last,
            (Bound::Included(key), Way::Next) | (Bound::Excluded(key), Way::Prev) => {
                Gap::Before(key)
            }
            (Bound::Excluded(key), Way::Next) | (Bound::Included(key), Way::Prev) => {
                Gap::Behind(key)
            }
        };
        let sought = self.descend(self.root.page, self.root.height - 1, gap);
        *match way {
            Way::Next => &mut self.range.lower,
            Way::Prev => &mut self.range.upper,
        } = bound;
        sought
    }

    /// Goes on to the neighbouring leaf; false, and stays, if there is none.
    fn turn_page(&mut self, way: Way) -> Result<bool> {
        for depth in (0..self.branches.len()).rev() {
            let BranchStep { at, child } = self.branches[depth];
            let guard = ReadGuard::enter();
            let pager = self.snapshot.pager();
            let branch = Branch::new(pager.get(&guard, at)?.bytes());
            let child = match way {
                Way::Next => Some(child + 1).filter(|&child| child < branch.len()),
                Way::Prev => child.checked_sub(1),
            };
            if let Some(child) = child {
                let page = branch.child(child).into();
                self.branches[depth].child = child;
                read_ahead(pager, &mut self.ahead, &self.branches, branch, way, depth);
                drop(guard);
                let level = self.branches.len() - depth - 1;
                self.branches.truncate(depth + 1);
                let gap = match way {
                    Way::Next => Gap::First,
                    Way::Prev => Gap::Last,
                };
                self.descend(page, level as u8, gap)?;
                if let Some(leaf) = &self.leaf {
                    warm(leaf.frame.bytes());
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Forgets where it stands.
    fn leave(&mut self) {
        self.branches.clear();
        self.leaf = None;
    }

    /// Goes down from a page of `level` to the leaf with the gap.
    fn descend(&mut self, from: PageRef, level: u8, gap: Gap<'_>) -> Result<()> {
        let Self {
            snapshot,
            tree,
            branches,
            leaf,
            ..
        } = self;
        let (pager, source, tree) = (snapshot.pager(), snapshot.source(), *tree);
        let load = &mut |run: &OverflowRef| read_key(&source, tree, run);
        let mut at = from;
        {
            let guard = ReadGuard::enter();
            for level in (1..=level).rev() {
                let bytes = pager.get(&guard, at)?.bytes();
                expect_node(bytes, at, tree, level)?;
                let branch = Branch::new(bytes);
                let child = match gap {
                    Gap::First => 0,
                    Gap::Last => branch.len() - 1,
                    Gap::Before(key) | Gap::Behind(key) => branch.find_child_with(key, load)?,
                };
                branches.push(BranchStep { at, child });
                at = branch.child(child).into();
            }
        }
        let frame = pager.pin(at)?;
        expect_node(frame.bytes(), at, tree, 0)?;
        let node = Leaf::new(frame.bytes());
        let slot = match gap {
            Gap::First => 0,
            Gap::Last => node.len(),
            Gap::Before(key) => node.search_with(key, load)?.unwrap_or_else(|slot| slot),
            Gap::Behind(key) => node
                .search_with(key, load)?
                .map_or_else(|slot| slot, |slot| slot + 1),
        };
        *leaf = Some(LeafStep { frame, slot });
        Ok(())
    }
}

/// The cursor has turned from one child of the branch at `depth` to the next:
/// asks for those that come after it, if it seems to go on like this.
fn read_ahead(
    pager: &Pager,
    ahead: &mut ReadAhead,
    branches: &[BranchStep],
    branch: Branch<'_>,
    way: Way,
    depth: usize,
) {
    if ahead.way.replace(way) != Some(way) {
        *ahead = ReadAhead {
            way: Some(way),
            ..ReadAhead::default()
        };
    }
    ahead.turns = ahead.turns.saturating_add(1);
    let is_parent = depth + 1 == branches.len();
    ahead.asked = if is_parent {
        ahead.asked.saturating_sub(1)
    } else {
        0
    };
    let is_due = ahead.turns >= TURNS_BEFORE_AHEAD && ahead.asked <= ahead.window / 2;
    if !is_parent || !is_due || !pager.reads_ahead() {
        return;
    }
    ahead.window = (2 * ahead.window).clamp(2, MOST_AHEAD);
    let child = branches[depth].child;
    let pages = (ahead.asked + 1..=ahead.window).map_while(|distance| {
        let child = match way {
            Way::Next => child.checked_add(distance),
            Way::Prev => child.checked_sub(distance),
        };
        let child = child.filter(|&child| child < branch.len())?;
        Some(branch.child(child).into())
    });
    let pages: Vec<PageRef> = pages.collect();
    pager.prefetch(&pages);
    ahead.asked = ahead.window;
}

/// A place between two entries.
#[derive(Clone, Copy)]
enum Gap<'k> {
    /// Before all.
    First,
    /// Behind all.
    Last,
    /// Before this key, or where it would be.
    Before(&'k [u8]),
    /// Behind this key, or where it would be.
    Behind(&'k [u8]),
}
