//! The commit of a run behind the end of its tree: one look at the right edge
//! is the whole plan, however many keys come.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::TreeId;

use crate::batch::Batch;
use crate::commit::{Commit, Planned};
use crate::core::Core;
use crate::error::Result;
use crate::limits::MAX_PART;
use crate::options::CommitOptions;
use crate::packing::{Packer, Payload};
use crate::ticket::Ticket;

impl Core {
    /// Commits puts in ascending order to one tree, if the first of them, and so
    /// each, lies behind its last key. `None`, and nothing has changed, if not.
    /// What prepared transactions have locked is heeded unless told otherwise.
    pub(crate) fn append_run(
        self: &Arc<Self>,
        tree: TreeId,
        first: &[u8],
        effects: &mut Vec<u8>,
        options: &CommitOptions,
        heeds_locks: bool,
    ) -> Result<Option<Ticket>> {
        self.check_writable()?;
        let (compression, packing) = (&self.options.compression, &self.counters.packing);
        let packer = Packer::new(compression, packing, self.pager.page_size());
        let mut payload = packer.finish(std::mem::take(effects), self.log.is_some());
        self.start_background()?;
        self.relieve()?;
        let outcome = match self.plan_and_append(tree, first, &mut payload, options, heeds_locks) {
            Err(error) if error.is_no_space() => {
                // Two checkpoints free what only the metas still need.
                self.checkpoint_now()?;
                self.checkpoint_now()?;
                self.plan_and_append(tree, first, &mut payload, options, heeds_locks)
            }
            other => other,
        };
        let ticket = outcome?;
        if ticket.is_some() {
            self.counters.commits.fetch_add(1, Ordering::Relaxed);
            self.after_append();
        } else {
            *effects = payload.effects;
        }
        Ok(ticket)
    }

    fn plan_and_append(
        self: &Arc<Self>,
        tree: TreeId,
        first: &[u8],
        payload: &mut Payload,
        options: &CommitOptions,
        heeds_locks: bool,
    ) -> Result<Option<Ticket>> {
        let mut writer = self.lock_writer();
        self.check_writable()?;
        if heeds_locks {
            writer.locks(&self.pager)?.check_tree(tree, None)?;
        }
        writer.begin_plan();
        let is_behind = writer.plan_append(&self.pager, tree, first);
        if !matches!(is_behind, Ok(true)) {
            writer.shadow.end_plan();
            return is_behind.map(|_| None);
        }
        let planned = writer.shadow.planned_pages();
        let needed = writer.pages_needed(&self.pager, &payload.effects, Some(planned));
        let reserved = needed.and_then(|(pages, run)| {
            writer.shadow.reserve(&self.pager, pages, run, false)?;
            let Some(log) = &self.log else {
                return Ok(None);
            };
            let parts: Vec<usize> = payload.logged().chunks(MAX_PART).map(<[u8]>::len).collect();
            self.reserve_log(log, &parts).map(Some)
        });
        let result = reserved.and_then(|reservation| {
            let nothing = Batch::new();
            let commit = Commit::of(&nothing, options);
            let planned = Planned { reservation };
            let done = self.execute(&mut writer, &commit, payload, planned);
            writer.broken |= done.is_err();
            self.must(done)
        });
        writer.shadow.end_plan();
        if result.is_ok() && writer.shadow.open_bytes(&self.pager) > self.options.cache_bytes / 4 {
            let sealed = self.seal(&mut writer);
            self.must(sealed)?;
        }
        drop(writer);
        if result.is_err() {
            self.fail_waiters();
        }
        result.map(Some)
    }
}
