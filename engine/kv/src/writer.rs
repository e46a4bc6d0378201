//! The writer: the appended root, and the one place where effects change trees.
//!
//! ## Invariants
//! * [`apply`](Writer::apply) is the only way in which a tree changes, for a
//!   commit and for recovery alike.
//! * Between two records the open version is a state that may be sealed.
//! * `trees` has the newest root of each tree that was looked at; those that
//!   changed reach the directory when the version is sealed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use cs_base::{Index, TreeId, Version};
use cs_pager::{PageRef, Pager, ReadGuard, RootRecord, Shadow};

use crate::effects::{Effect, Effects};
use crate::error::{Error, Result};
use crate::in_flight::{InFlight, InFlightRecord, Undo, UndoStep};
use crate::node::ValueRef;
use crate::options::FILL_PERCENT;
use crate::prepared::Locks;
use crate::root::{LogPosition, Root, is_system};
use crate::tree::{NewValue, OpenSource, SealedSource, TreeEdit, all_entries, find, load_value};
use crate::tree_root::{TreeRoot, directory_key, system};

/// A tree as the open version has it.
#[derive(Clone, Copy, Debug)]
struct OpenTree {
    root: TreeRoot,
    changed: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) shadow: Shadow,
    /// Where the newest applied record stands.
    pub(crate) position: LogPosition,
    directory: TreeRoot,
    next_tree: u32,
    trees: HashMap<TreeId, Option<OpenTree>>,
    /// Where the plan found the keys of the record, effect by effect.
    leaves: Vec<Option<PageRef>>,
    /// Memory for `plan_path`.
    to_read: Vec<PageRef>,
    /// The newest sealed state, and whether anything came after it.
    sealed: Arc<Root>,
    dirty: bool,
    /// What prepared transactions have locked; made anew when they change.
    locks: Option<Arc<Locks>>,
    /// What is applied and not visible yet.
    pub(crate) in_flight: InFlight,
    /// A change failed half way: what is open now is no state of the database.
    pub(crate) broken: bool,
    /// How full leaves are made that are built from ascending entries.
    pub(crate) fill_percent: usize,
}

impl Writer {
    pub(crate) fn new(shadow: Shadow, root: &Arc<Root>) -> Self {
        Self {
            shadow,
            position: LogPosition::of(&root.record),
            directory: root.directory,
            next_tree: root.next_tree,
            trees: HashMap::new(),
            leaves: Vec::new(),
            to_read: Vec::new(),
            sealed: Arc::clone(root),
            dirty: false,
            locks: None,
            in_flight: InFlight::default(),
            broken: false,
            fill_percent: FILL_PERCENT,
        }
    }

    pub(crate) fn source<'a>(&'a self, pager: &'a Pager) -> OpenSource<'a> {
        OpenSource {
            pager,
            shadow: &self.shadow,
        }
    }

    /// The newest root of a tree, or `None` if there is no such tree.
    pub(crate) fn tree(&mut self, pager: &Pager, tree: TreeId) -> Result<Option<TreeRoot>> {
        if tree == system::DIRECTORY {
            return Ok(Some(self.directory));
        }
        if let Some(known) = self.trees.get(&tree) {
            return Ok(known.map(|open| open.root));
        }
        let found = {
            let source = self.source(pager);
            lookup_tree(&source, &self.directory, tree)?
        };
        let open = found.map(|root| OpenTree {
            root,
            changed: false,
        });
        self.trees.insert(tree, open);
        Ok(found)
    }

    /// The value of a key in the open version.
    pub(crate) fn get(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        let Some(root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        get_value(&self.source(pager), tree, &root, key)
    }

    /// What prepared transactions have locked in the open version.
    pub(crate) fn locks(&mut self, pager: &Pager) -> Result<Arc<Locks>> {
        if let Some(locks) = &self.locks {
            return Ok(Arc::clone(locks));
        }
        let root = self.tree(pager, system::PREPARED)?.unwrap_or_default();
        let source = self.source(pager);
        let entries = all_entries(&source, system::PREPARED, &root)?;
        let locks = Arc::new(Locks::build(entries)?);
        self.locks = Some(Arc::clone(&locks));
        Ok(locks)
    }

    // ---- the plan: may fail, changes nothing ----

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

    /// The same for a change that no effect of the record speaks of. Also says
    /// in which leaf the key belongs.
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

    // ---- the do: must not fail ----

    /// Carries out the effects of one record.
    ///
    /// An error here leaves the open version half changed: who calls this
    /// poisons the database or gives up opening it.
    pub(crate) fn apply(
        &mut self,
        pager: &Pager,
        payload: &[u8],
        mut undo: Option<&mut Undo>,
    ) -> Result<()> {
        self.dirty = true;
        let mut effects = Effects::of(payload)?;
        let leaves = std::mem::take(&mut self.leaves);
        let count = effects.left();
        let mut looked_at = 0;
        loop {
            let undo_runs = undo.as_deref_mut();
            looked_at = self.apply_runs(pager, &mut effects, looked_at, undo_runs)?;
            let leaf = leaves.get(count - effects.left()).copied().flatten();
            let Some(effect) = effects.next() else { break };
            let undo = undo.as_deref_mut();
            match effect? {
                Effect::Put { tree, key, value } => {
                    let value = NewValue::plain(key, value);
                    self.edit(pager, tree, undo, |edit| edit.put_value(key, &value, leaf))?;
                }
                Effect::PutPacked {
                    tree,
                    key,
                    digest,
                    block,
                } => {
                    let value = NewValue::packed(block, digest)?;
                    self.edit(pager, tree, undo, |edit| edit.put_value(key, &value, None))?;
                }
                Effect::Delete { tree, key } => {
                    self.edit(pager, tree, undo, |edit| edit.delete(key, leaf).map(drop))?;
                }
                Effect::Before { .. } => {}
                Effect::CreateTree { tree } => {
                    self.create_tree(pager, tree)?;
                    if let Some(undo) = undo {
                        undo.push(UndoStep::Uncreate { tree });
                    }
                }
                Effect::DropTree { tree } => self.drop_tree(pager, tree, undo)?,
            }
        }
        self.leaves = leaves;
        self.leaves.clear();
        Ok(())
    }

    /// Reads what taking back the records after `visible` will touch, and keeps
    /// it at hand: this may fail, and changes nothing.
    pub(crate) fn plan_undo(&mut self, pager: &Pager, visible: Index) -> Result<()> {
        self.in_flight.settle(visible);
        let records = self.in_flight.take();
        let steps = records.iter().flat_map(|record| record.undo.steps());
        let planned = steps.into_iter().try_for_each(|step| {
            self.plan_root(pager, step.tree())?;
            if self.tree(pager, step.tree())?.is_none() && !matches!(step, UndoStep::Undrop { .. })
            {
                // Dropped since, in flight: it comes back as it was.
                return Ok(());
            }
            match step {
                UndoStep::Restore { tree, key, .. }
                | UndoStep::RestorePacked { tree, key, .. }
                | UndoStep::Remove { tree, key } => self.plan_path(pager, tree, key).map(drop),
                UndoStep::Uncreate { tree } | UndoStep::Undrop { tree, .. } => {
                    self.plan_root(pager, system::DROPPED)?;
                    let key = directory_key(tree);
                    self.plan_path(pager, system::DROPPED, &key).map(drop)
                }
            }
        });
        self.in_flight.put_back(records);
        planned
    }

    /// Takes back all that is in flight, newest first, as
    /// [`plan_undo`](Self::plan_undo) has found it. Returns it, oldest first, to
    /// be done again.
    pub(crate) fn undo(&mut self, pager: &Pager) -> Result<VecDeque<InFlightRecord>> {
        let records = self.in_flight.take();
        self.dirty |= !records.is_empty();
        for record in records.iter().rev() {
            for step in record.undo.steps() {
                self.undo_step(pager, step)?;
            }
            self.position = record.before;
        }
        Ok(records)
    }

    /// Does again what [`undo`](Self::undo) took back.
    pub(crate) fn redo(
        &mut self,
        pager: &Pager,
        records: VecDeque<InFlightRecord>,
        newest: LogPosition,
    ) -> Result<()> {
        for record in records {
            self.begin_plan();
            for effect in Effects::of(&record.payload)? {
                self.plan_root(pager, effect?.tree())?;
            }
            let mut undo = Undo::default();
            self.apply(pager, &record.payload, Some(&mut undo))?;
            self.in_flight.push(InFlightRecord { undo, ..record });
        }
        self.position = newest;
        Ok(())
    }

    fn undo_step(&mut self, pager: &Pager, step: UndoStep<'_>) -> Result<()> {
        match step {
            UndoStep::Restore { tree, key, value } => {
                self.edit(pager, tree, None, |edit| edit.put(key, value))
            }
            UndoStep::RestorePacked {
                tree,
                key,
                digest,
                block,
            } => {
                let value = NewValue::packed(block, digest)?;
                self.edit(pager, tree, None, |edit| edit.put_value(key, &value, None))
            }
            UndoStep::Remove { tree, key } => {
                self.edit(pager, tree, None, |edit| edit.delete(key, None).map(drop))
            }
            // Its keys were removed before, so nothing of it is left.
            UndoStep::Uncreate { tree } => self.drop_tree(pager, tree, None),
            UndoStep::Undrop { tree, root } => {
                let key = directory_key(tree);
                self.edit(pager, system::DROPPED, None, |edit| {
                    edit.delete(&key, None).map(drop)
                })?;
                let changed = true;
                self.trees.insert(tree, Some(OpenTree { root, changed }));
                Ok(())
            }
        }
    }

    pub(crate) fn edit(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        undo: Option<&mut Undo>,
        change: impl FnOnce(&mut TreeEdit<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(mut root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        if tree == system::PREPARED {
            self.locks = None;
        }
        let shadow = &mut self.shadow;
        let result = change(&mut TreeEdit {
            pager,
            shadow,
            tree,
            root: &mut root,
            undo,
        });
        self.trees.insert(
            tree,
            Some(OpenTree {
                root,
                changed: true,
            }),
        );
        result
    }

    fn create_tree(&mut self, pager: &Pager, tree: TreeId) -> Result<()> {
        if is_system(tree) || self.tree(pager, tree)?.is_some() {
            return Err(Error::Damaged(format!("tree {tree} is created twice")));
        }
        self.trees.insert(
            tree,
            Some(OpenTree {
                root: TreeRoot::default(),
                changed: true,
            }),
        );
        self.next_tree = self.next_tree.max(tree.0 + 1);
        Ok(())
    }

    /// The tree leaves the directory at once; its pages are freed later, by
    /// [`reclaim_dropped`](Self::reclaim_dropped), so that the work here is bounded.
    fn drop_tree(&mut self, pager: &Pager, tree: TreeId, undo: Option<&mut Undo>) -> Result<()> {
        let Some(root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        if let Some(undo) = undo {
            undo.push(UndoStep::Undrop { tree, root });
        }
        let key = directory_key(tree);
        if root.height > 0 {
            self.edit(pager, system::DROPPED, None, |edit| {
                edit.put(&key, &root.encode())
            })?;
        }
        self.edit_directory(pager, |edit| edit.delete(&key, None).map(drop))?;
        self.trees.insert(tree, None);
        Ok(())
    }

    pub(crate) fn edit_directory(
        &mut self,
        pager: &Pager,
        change: impl FnOnce(&mut TreeEdit<'_>) -> Result<()>,
    ) -> Result<()> {
        let shadow = &mut self.shadow;
        let root = &mut self.directory;
        change(&mut TreeEdit {
            pager,
            shadow,
            tree: system::DIRECTORY,
            root,
            undo: None,
        })
    }

    /// The trees that were dropped and still have pages.
    pub(crate) fn dropped(&mut self, pager: &Pager) -> Result<Option<(TreeId, TreeRoot)>> {
        let Some(root) = self.tree(pager, system::DROPPED)? else {
            return Ok(None);
        };
        let source = self.source(pager);
        let guard = ReadGuard::enter();
        let Some(first) = find(&source, &guard, system::DROPPED, &root, &[], |_| {})? else {
            return Ok(None);
        };
        if first.leaf.is_empty() {
            return Ok(None);
        }
        let mut key = Vec::new();
        first.leaf.key(0, &mut key);
        let Ok(raw) = <[u8; 4]>::try_from(key.as_slice()) else {
            return Err(Error::Damaged("key of a dropped tree".into()));
        };
        let tree = TreeId(u32::from_be_bytes(raw));
        let value = load_value(&source, system::DROPPED, first.leaf.value(0))?;
        Ok(Some((tree, TreeRoot::decode(tree, &value)?)))
    }

    /// Frees the pages of a dropped tree, which the caller has listed, and forgets it.
    pub(crate) fn reclaim_dropped(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        pages: &[PageRef],
    ) -> Result<()> {
        self.dirty = true;
        for &at in pages {
            self.shadow.free(pager, at);
        }
        self.edit(pager, system::DROPPED, None, |edit| {
            edit.delete(&directory_key(tree), None).map(drop)
        })
    }

    // ---- sealing ----

    /// The newest sealed state; seals what came after it, if anything did.
    pub(crate) fn seal(&mut self, pager: &Pager) -> Result<Arc<Root>> {
        if self.dirty {
            self.flush_directory(pager)?;
            self.seal_version(pager);
        } else if self.position != LogPosition::of(&self.sealed.record) {
            // Only the log went on (a seal, a hard state): same pages, same version.
            let mut record = self.sealed.record;
            self.position.write(&mut record);
            self.sealed = Root::seal(record, self.directory, self.next_tree);
        }
        self.shadow.finish_seal(pager);
        Ok(Arc::clone(&self.sealed))
    }

    /// Begins to seal a state whose allocation map on disk will be right: what
    /// a checkpoint may name. Nobody may read it before
    /// [`adopt_some`](Self::adopt_some) says so.
    pub(crate) fn seal_for_checkpoint(&mut self, pager: &Pager) -> Result<Arc<Root>> {
        self.flush_directory(pager)?;
        self.shadow.write_map(pager)?;
        self.seal_version(pager);
        Ok(Arc::clone(&self.sealed))
    }

    /// Ends the version without a root, so that its pages can be written early:
    /// nobody will ever see or name it.
    pub(crate) fn seal_partly(&mut self, pager: &Pager) -> Version {
        self.shadow.seal(pager)
    }

    /// The same bit by bit: [`adopt_some`](Self::adopt_some) goes on with it.
    ///
    /// # Errors
    /// The open version is left half changed: who calls this poisons the database.
    pub(crate) fn begin_seal_partly(&mut self, pager: &Pager) -> Result<()> {
        // Its pages are at hand now, and may not be later.
        self.flush_directory(pager)?;
        self.shadow.begin_seal(pager);
        Ok(())
    }

    /// Goes on with sealing, for a bounded piece; true when there is nothing
    /// left to do.
    pub(crate) fn adopt_some(&mut self, pager: &Pager) -> bool {
        /// Some ten microseconds: a fraction of what a sync takes.
        const PAGES: usize = 128;
        self.shadow.adopt_some(pager, PAGES)
    }

    /// Whether this is the newest sealed state.
    pub(crate) fn is_newest(&self, root: &Arc<Root>) -> bool {
        Arc::ptr_eq(&self.sealed, root)
    }

    fn flush_directory(&mut self, pager: &Pager) -> Result<()> {
        let mut changed: Vec<_> = self
            .trees
            .iter()
            .filter_map(|(&tree, open)| open.filter(|open| open.changed).map(|open| (tree, open)))
            .collect();
        changed.sort_unstable_by_key(|&(tree, _)| tree);
        for (tree, mut open) in changed {
            self.edit_directory(pager, |edit| {
                edit.put(&directory_key(tree), &open.root.encode())
            })?;
            open.changed = false;
            self.trees.insert(tree, Some(open));
        }
        Ok(())
    }

    fn seal_version(&mut self, pager: &Pager) {
        let mut record = RootRecord::empty();
        self.shadow.describe(&mut record);
        self.position.write(&mut record);
        self.sealed = Root::seal(record, self.directory, self.next_tree);
        self.shadow.begin_seal(pager);
        self.dirty = false;
    }

    /// There is something to seal, whatever the trees say.
    pub(crate) fn touch(&mut self) {
        self.dirty = true;
    }

    /// Whether the open version has something that no sealed one has.
    pub(crate) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Forgets tree roots that can be looked up again, when there are many.
    pub(crate) fn trim(&mut self) {
        /// Enough for the working set of any one burst; about 100 bytes each.
        const KEPT: usize = 4096;
        if self.trees.len() > KEPT {
            self.trees
                .retain(|_, open| open.is_some_and(|open| open.changed));
        }
    }

    /// The next tree id that was never given.
    pub(crate) fn next_tree(&self) -> u32 {
        self.next_tree
    }
}

/// The root of a tree in a state, or `None` if there is no such tree. System
/// trees are always there, empty until first used.
pub(crate) fn lookup_tree(
    source: &impl crate::tree::PageSource,
    directory: &TreeRoot,
    tree: TreeId,
) -> Result<Option<TreeRoot>> {
    if tree == system::DIRECTORY {
        return Ok(Some(*directory));
    }
    let guard = ReadGuard::enter();
    let key = directory_key(tree);
    let found = find(source, &guard, system::DIRECTORY, directory, &key, |_| {})?;
    if let Some(position) = found
        && let Ok(slot) = position.slot
    {
        let value = load_value(source, system::DIRECTORY, position.leaf.value(slot))?;
        return TreeRoot::decode(tree, &value).map(Some);
    }
    Ok(is_system(tree).then(TreeRoot::default))
}

/// The value of a key in a tree.
pub(crate) fn get_value(
    source: &impl crate::tree::PageSource,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
) -> Result<Option<Vec<u8>>> {
    let guard = ReadGuard::enter();
    let Some(position) = find(source, &guard, tree, root, key, |_| {})? else {
        return Ok(None);
    };
    let Ok(slot) = position.slot else {
        return Ok(None);
    };
    Ok(Some(
        load_value(source, tree, position.leaf.value(slot))?.into_owned(),
    ))
}

/// The same in a sealed state.
pub(crate) fn get_sealed(
    pager: &Pager,
    root: &Root,
    tree: TreeId,
    key: &[u8],
) -> Result<Option<Vec<u8>>> {
    let source = SealedSource(pager);
    match lookup_tree(&source, &root.directory, tree)? {
        Some(found) => get_value(&source, tree, &found, key),
        None => Ok(None),
    }
}
