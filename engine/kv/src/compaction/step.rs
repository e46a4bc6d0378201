//! One step of the walk: look without a lock, then change a few pages with it.

use std::ops::Bound;
use std::sync::Arc;

use cs_base::TreeId;
use cs_pager::{Pager, RESERVE_PAGES};

use super::Compactor;
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::snapshot::Snapshot;
use crate::tree::{Goal, Window, look};
use crate::tree_root::{TreeRoot, directory_key, system};
use crate::writer::Writer;

/// Pages looked at for each page that a step may change: where there is little
/// to do a step ends all the same.
const LOOK_AHEAD: usize = 16;

/// Windows that are worth it, and where to go on.
struct Found {
    windows: Vec<(TreeId, Vec<u8>)>,
    next: Option<(u32, Vec<u8>)>,
}

impl Compactor {
    pub(super) fn walk(&mut self, core: &Arc<Core>) -> Result<()> {
        // It makes dirty pages like any writer.
        core.relieve()?;
        let snapshot = {
            let mut writer = core.lock_writer();
            core.check_sound()?;
            let root = core.seal(&mut writer)?;
            Snapshot::of(core, root)
        };
        let found = self.search(&snapshot)?;
        // What is moved is free the sooner.
        drop(snapshot);
        let mut writer = core.lock_writer();
        core.check_writable()?;
        let mut pages = 0;
        for (tree, key) in found.windows {
            let room = writer.compact_window(core, tree, &key, &self.goal, &mut pages);
            writer.shadow.end_plan();
            if !room? {
                drop(writer);
                (self.tree, self.key) = (tree.0, key);
                self.count(pages);
                self.exhausted();
                return Ok(());
            }
        }
        self.count(pages);
        if pages > 0 {
            self.fruitless = false;
        }
        match found.next {
            Some((tree, key)) => (self.tree, self.key) = (tree, key),
            None => {
                let moved = writer.shadow.move_map_pages(self.goal.limit);
                self.count(moved);
                drop(writer);
                self.release(super::Then::Cut);
            }
        }
        Ok(())
    }

    fn count(&mut self, pages: usize) {
        self.report.pages += pages as u64;
        self.pages_in_pass += pages as u64;
    }

    /// Looks for windows from the present place on, for a bounded piece.
    fn search(&mut self, snapshot: &Snapshot) -> Result<Found> {
        let source = snapshot.source();
        let mut windows = Vec::new();
        let (mut seen, mut work) = (0, 0);
        let (mut id, mut key) = (self.tree, self.key.clone());
        loop {
            let Some((tree, root)) = tree_from(snapshot, id)? else {
                let next = None;
                return Ok(Found { windows, next });
            };
            if tree.0 != id {
                (id, key) = (tree.0, Vec::new());
            }
            let window = look(&source, tree, &root, &key, &self.goal)?;
            seen += 1 + window.pages.len();
            if window.is_work() {
                work += window.pages.len();
                windows.push((tree, key.clone()));
            }
            match window.next {
                Some(next) => key = next,
                None => {
                    self.trees += 1;
                    let Some(next) = id.checked_add(1) else {
                        let next = None;
                        return Ok(Found { windows, next });
                    };
                    (id, key) = (next, Vec::new());
                }
            }
            let budget = self.options.pages_per_step;
            if work >= budget || seen >= LOOK_AHEAD * budget {
                let next = Some((id, key));
                return Ok(Found { windows, next });
            }
        }
    }
}

/// The first tree from this id on that has pages.
fn tree_from(snapshot: &Snapshot, id: u32) -> Result<Option<(TreeId, TreeRoot)>> {
    if id == system::DIRECTORY.0 {
        return Ok(Some((system::DIRECTORY, snapshot.root().directory)));
    }
    let range = KeyRange {
        lower: Bound::Included(directory_key(TreeId(id)).to_vec()),
        upper: Bound::Unbounded,
    };
    let mut cursor = snapshot.cursor(system::DIRECTORY, range)?;
    while let Some((key, value)) = cursor.next()? {
        let Ok(raw) = <[u8; 4]>::try_from(key) else {
            return Err(Error::Damaged("key of the directory".into()));
        };
        let tree = TreeId(u32::from_be_bytes(raw));
        let root = TreeRoot::decode(tree, value)?;
        if root.height > 0 {
            return Ok(Some((tree, root)));
        }
    }
    Ok(None)
}

impl Writer {
    /// Compacts one window, if it is still worth it. False if there are not
    /// enough free numbers below the limit.
    fn compact_window(
        &mut self,
        core: &Core,
        tree: TreeId,
        key: &[u8],
        goal: &Goal,
        pages: &mut usize,
    ) -> Result<bool> {
        let pager = &core.pager;
        // It may have been dropped since.
        let Some(root) = self.tree(pager, tree)? else {
            return Ok(true);
        };
        let window = look(&self.source(pager), tree, &root, key, goal)?;
        if !window.is_work() {
            return Ok(true);
        }
        // What sealing takes beside, and what deletes need on a full disk, stays.
        let has_low = self
            .shadow
            .lowest_free()
            .is_some_and(|free| free < goal.limit);
        if !has_low || self.shadow.free_pages() < window.needs() + RESERVE_PAGES {
            return Ok(false);
        }
        if tree != system::DIRECTORY {
            self.plan_root(pager, tree)?;
        }
        for &at in &window.pages {
            self.shadow.plan(pager, at)?;
        }
        self.touch();
        let done = self.change_window(pager, tree, key, &window, goal);
        self.broken |= done.is_err();
        *pages += core.must(done)?;
        Ok(true)
    }

    fn change_window(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        key: &[u8],
        window: &Window,
        goal: &Goal,
    ) -> Result<usize> {
        let mut touched = 0;
        let change = |edit: &mut crate::tree::TreeEdit<'_>| {
            touched = edit.compact(key, window, goal)?;
            Ok(())
        };
        if tree == system::DIRECTORY {
            self.edit_directory(pager, change)?;
        } else {
            self.edit(pager, tree, None, change)?;
        }
        Ok(touched)
    }
}
