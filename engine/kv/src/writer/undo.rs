//! The way back: what is in flight is taken back, and done again.
//!
//! Invariant: taking back what [`plan_undo`](Writer::plan_undo) has found at
//! hand cannot fail for want of a page.

use std::collections::VecDeque;

use cs_base::Index;
use cs_pager::Pager;

use super::Writer;
use crate::effects::Effects;
use crate::error::Result;
use crate::in_flight::{InFlightRecord, Undo, UndoStep};
use crate::root::LogPosition;
use crate::tree::NewValue;
use crate::tree_root::{directory_key, system};

impl Writer {
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
                self.set_root(tree, root);
                Ok(())
            }
        }
    }
}
