//! After a delete: empty pages go, underfull ones merge with a neighbour.
//!
//! A merge is a matter of tidiness, not of truth: where the neighbour cannot be
//! read the page stays as it is, so a delete never fails for a page that its
//! plan did not read.

use cs_pager::{PageRef, ReadGuard};

use super::change::{Step, TreeEdit};
use super::overflow::free_run;
use super::read::expect_node;
use crate::error::Result;
use crate::node::{Branch, BranchMut, Leaf, OwnedKey, merge_branch, merge_leaf, usable_bytes};
use crate::tree_root::TreeRoot;

impl TreeEdit<'_> {
    /// Mends the path above a leaf that lost an entry.
    pub(super) fn shrink(&mut self, path: Vec<Step>, leaf: PageRef) -> Result<()> {
        self.mend(path, leaf, 0)
    }

    /// Mends the path above a page of this level that lost a cell.
    pub(super) fn mend(
        &mut self,
        mut path: Vec<Step>,
        mut at: PageRef,
        mut level: u8,
    ) -> Result<()> {
        loop {
            let empty = level == 0 && Leaf::new(self.shadow.page_mut(at)).is_empty();
            let Some(parent) = path.pop() else {
                if empty {
                    self.shadow.free(self.pager, at);
                    let stats = self.root.stats;
                    *self.root = TreeRoot {
                        stats,
                        ..TreeRoot::default()
                    };
                } else if level > 0 {
                    self.lower_root();
                }
                return Ok(());
            };
            if empty {
                self.remove_child(parent, at);
            } else if !self.is_underfull(at, level) || !self.merge(parent, at, level)? {
                return Ok(());
            }
            at = parent.at;
            level += 1;
            if self.root.height == 0 {
                return Ok(());
            }
        }
    }

    fn is_underfull(&mut self, at: PageRef, level: u8) -> bool {
        let bytes = self.shadow.page_mut(at);
        if level == 0 {
            Leaf::new(bytes).is_underfull()
        } else {
            Branch::new(bytes).is_underfull()
        }
    }

    /// Takes an empty leaf out of its parent. A parent that has no other child
    /// gives it up in exchange: the leaf stays, empty, and is found empty.
    fn remove_child(&mut self, parent: Step, at: PageRef) {
        let mut branch = BranchMut::new(self.shadow.page_mut(parent.at));
        if branch.as_branch().len() == 1 {
            return;
        }
        if let Some(run) = branch.remove(parent.child) {
            free_run(self.pager, self.shadow, &run);
        }
        self.shadow.free(self.pager, at);
    }

    /// Merges a page with its right or else left neighbour, if both fit into
    /// one page; says whether.
    fn merge(&mut self, parent: Step, at: PageRef, level: u8) -> Result<bool> {
        let branch = Branch::new(self.shadow.page_mut(parent.at));
        let (len, child) = (branch.len(), parent.child);
        let neighbours = [(child + 1 < len).then_some(child + 1), child.checked_sub(1)];
        let neighbours = neighbours.map(|slot| slot.map(|slot| (slot, branch.child(slot).into())));
        for (slot, other) in neighbours.into_iter().flatten() {
            if !self.fits_together(at, other, level) {
                continue;
            }
            // It was read just now, but may have been evicted since.
            let Ok(other) = self.shadow.shadow(self.pager, other) else {
                continue;
            };
            let (left, right, right_slot) = if slot > child {
                (at, other, slot)
            } else {
                (other, at, child)
            };
            let mut branch = BranchMut::new(self.shadow.page_mut(parent.at));
            branch.set_child(slot, other.into());
            let mut separator = OwnedKey {
                inline: Vec::new(),
                overflow: None,
            };
            branch.as_branch().key(right_slot, &mut separator.inline);
            separator.overflow = branch.as_branch().key_overflow(right_slot);
            let (left_page, right_page) = self.shadow.two_pages_mut(left, right);
            let merged = if level == 0 {
                merge_leaf(left_page, right_page)
            } else {
                merge_branch(left_page, separator.as_key(), right_page)
            };
            if merged {
                let run = BranchMut::new(self.shadow.page_mut(parent.at)).remove(right_slot);
                // Between branches the separator, with its run, has moved down.
                if let Some(run) = run.filter(|_| level == 0) {
                    free_run(self.pager, self.shadow, &run);
                }
                self.shadow.free(self.pager, right);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a merge is likely to fit; false if the neighbour cannot be read.
    fn fits_together(&self, at: PageRef, other: PageRef, level: u8) -> bool {
        let guard = ReadGuard::enter();
        let used = |at: PageRef| -> Option<usize> {
            let bytes = self.shadow.view(self.pager, &guard, at).ok()?;
            expect_node(bytes, at, self.tree, level).ok()?;
            Some(if level == 0 {
                Leaf::new(bytes).used_bytes()
            } else {
                Branch::new(bytes).used_bytes()
            })
        };
        let limit = usable_bytes(self.pager.page_size());
        used(at)
            .zip(used(other))
            .is_some_and(|(one, two)| one + two <= limit)
    }

    /// A root with a single child gives way to it.
    fn lower_root(&mut self) {
        while self.root.height > 1 {
            let bytes = self.shadow.page_mut(self.root.page);
            let branch = Branch::new(bytes);
            if branch.len() > 1 {
                return;
            }
            let child: PageRef = branch.child(0).into();
            self.shadow.free(self.pager, self.root.page);
            self.root.page = child;
            self.root.height -= 1;
            if child.version != self.shadow.version() {
                return;
            }
        }
    }
}
