//! The writer's plan: what a record will touch is read and kept at hand. It may
//! fail, and changes nothing.

use cs_base::TreeId;
use cs_pager::{PageRef, Pager, ReadGuard};

use super::Writer;
use crate::error::{Error, Result};
use crate::node::ValueRef;
use crate::tree::{find, find_leaf};
use crate::tree_root::{directory_key, system};

impl Writer {
    /// Forgets what an earlier plan found.
    pub(crate) fn begin_plan(&mut self) {
        self.leaves.clear();
    }

    /// The next effect of the record has no key, or its leaf is not known.
    pub(crate) fn plan_unknown(&mut self) {
        self.leaves.push(None);
    }

    /// Reads what changing `key` will touch and keeps it at hand, for the next
    /// effect of the record. Says whether the key is there.
    pub(crate) fn plan_key(&mut self, pager: &Pager, tree: TreeId, key: &[u8]) -> Result<bool> {
        let (found, leaf) = self.plan_path(pager, tree, key)?;
        self.leaves.push(leaf);
        Ok(found)
    }

    /// Starts to read the leaves of keys that will be planned next, side by side
    /// where one by one each would wait for the disk. That costs a second way down
    /// the branches, so only where pages had to be read for the keys before.
    pub(crate) fn plan_ahead<'k>(
        &mut self,
        pager: &Pager,
        keys: impl Iterator<Item = (TreeId, &'k [u8])>,
    ) -> Result<()> {
        /// So many pages read since the last look say that data is not in memory.
        const MISSES: u64 = 4;
        let reads = pager.pages_read();
        let before = std::mem::replace(&mut self.reads, reads);
        if reads - before < MISSES || !pager.reads_ahead() {
            return Ok(());
        }
        let mut cold = std::mem::take(&mut self.to_read);
        cold.clear();
        let guard = ReadGuard::enter();
        for (tree, key) in keys {
            let Some(root) = self.tree(pager, tree)? else {
                continue;
            };
            let found = find_leaf(&self.source(pager), &guard, tree, &root, key, |_| {})?;
            cold.extend(found.filter(|&leaf| self.shadow.is_cold(pager, &guard, leaf)));
        }
        drop(guard);
        cold.dedup();
        pager.prefetch(&cold);
        self.to_read = cold;
        Ok(())
    }

    /// [`plan_key`](Self::plan_key) for a change that no effect of the record
    /// speaks of. Also says in which leaf the key belongs.
    pub(crate) fn plan_path(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        key: &[u8],
    ) -> Result<(bool, Option<PageRef>)> {
        let Some(root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        let mut to_read = std::mem::take(&mut self.to_read);
        to_read.clear();
        let mut found = false;
        let mut leaf = None;
        {
            let source = self.source(pager);
            let open = self.shadow.version();
            let guard = ReadGuard::enter();
            let visit = |at: PageRef| {
                if at.version != open {
                    to_read.push(at);
                }
            };
            let position = find(&source, &guard, tree, &root, key, visit)?;
            if let Some(position) = position {
                leaf = Some(position.at);
                if let Ok(slot) = position.slot {
                    found = true;
                    // The first page of a run holds the digest that goes with it.
                    if let ValueRef::Overflow(run) = position.leaf.value(slot) {
                        to_read.push(PageRef {
                            page: run.first,
                            version: run.version,
                        });
                    }
                }
            }
        }
        for &at in &to_read {
            self.shadow.plan(pager, at)?;
        }
        self.to_read = to_read;
        Ok((found, leaf))
    }

    /// Reads the directory's path to a tree that is about to change, and keeps
    /// it at hand until the version is sealed, which will change it.
    pub(crate) fn plan_root(&mut self, pager: &Pager, tree: TreeId) -> Result<()> {
        let known = self.trees.get(&tree).copied().flatten();
        if known.is_some_and(|open| open.changed) {
            return Ok(());
        }
        let mut path: Vec<PageRef> = Vec::new();
        {
            let (source, guard) = (self.source(pager), ReadGuard::enter());
            let (directory, key) = (&self.directory, directory_key(tree));
            let visit = |at| path.push(at);
            find(&source, &guard, system::DIRECTORY, directory, &key, visit)?;
        }
        for at in path {
            self.shadow.keep(pager, at)?;
        }
        Ok(())
    }
}
