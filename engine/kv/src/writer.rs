//! The writer: the appended root, and the one place where effects change trees.
//!
//! ## Invariants
//! * [`apply`](Writer::apply) is the only way in which a tree changes, for a
//!   commit and for recovery alike.
//! * Between two records the open version is a state that may be sealed.
//! * `trees` has the newest root of each tree that was looked at; those that
//!   changed, which `changed` lists, reach the directory when the version is
//!   sealed.
//!
//! | part | what |
//! |---|---|
//! | `plan` | what a record will touch is brought to hand |
//! | `undo` | taking back what is in flight, and doing it again |
//! | `trees` | trees that come and go |
//! | `seal` | the open version becomes a root |
//! | `lookup` | trees and values by name, in any state |

use std::collections::HashMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_pager::{PageRef, Pager, Shadow};

use crate::effects::{Effect, Effects};
use crate::error::{Error, Result};
use crate::in_flight::{InFlight, Undo, UndoStep};
use crate::options::FILL_PERCENT;
use crate::prepared::Locks;
use crate::room::Room;
use crate::root::{LogPosition, Root};
use crate::tree::{NewValue, OpenSource, TreeEdit, all_entries};
use crate::tree_root::{TreeRoot, system};

mod lookup;
mod plan;
mod seal;
mod trees;
mod undo;

pub(crate) use lookup::{get_sealed, get_value, lookup_tree};

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
    /// The trees whose roots the directory does not have yet, each once.
    changed: Vec<TreeId>,
    /// The leaf of the last change: the next key may belong there too.
    near: Option<PageRef>,
    /// Where the plan found the keys of the record, effect by effect.
    leaves: Vec<Option<PageRef>>,
    /// For what is changed, however much it is.
    room: Room,
    /// Memory for `plan_path` and `plan_ahead`.
    to_read: Vec<PageRef>,
    /// Pages that had been read when a plan last looked ahead.
    reads: u64,
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
            changed: Vec::new(),
            near: None,
            room: Room::default(),
            leaves: Vec::new(),
            to_read: Vec::new(),
            reads: 0,
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
        let mut edit = TreeEdit {
            pager,
            shadow,
            tree,
            root: &mut root,
            undo,
            near: self.near,
        };
        let result = change(&mut edit);
        self.near = edit.near;
        self.set_root(tree, root);
        result?;
        self.room.keep(&mut self.shadow, pager)
    }

    /// The tree has another root than the directory says.
    fn set_root(&mut self, tree: TreeId, root: TreeRoot) {
        let changed = true;
        let before = self.trees.insert(tree, Some(OpenTree { root, changed }));
        if !before.flatten().is_some_and(|open| open.changed) {
            self.changed.push(tree);
        }
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
            near: None,
        })
    }
}
