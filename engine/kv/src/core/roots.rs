//! From the appended root to the visible one: sealing, publishing, waiting.
//!
//! Invariant: what is published was sealed, and is pinned before the root that it
//! follows is let go.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::mutants::{Mutant, planted};
use cs_base::{Index, Lsn};
use cs_wal::{LogError, LogOwner};

use super::Core;
use crate::error::{Error, Result};
use crate::pinned::Pinned;
use crate::recorder::Event;
use crate::root::Root;
use crate::visibility::Visibility;
use crate::writer::Writer;

impl Core {
    /// Seals what was appended; the caller holds the writer's lock.
    ///
    /// Also after a failed write, so that readers see what was acknowledged;
    /// but never a state that was left half changed.
    pub(crate) fn seal(&self, writer: &mut Writer) -> Result<Arc<Root>> {
        if writer.broken {
            return Err(Error::Poisoned(self.poison_reason().unwrap_or_default()));
        }
        let sealed = writer.seal(&self.pager);
        writer.broken = sealed.is_err();
        let root = self.must(sealed)?;
        let (version, index) = (root.record.version, root.record.index);
        self.note(Event::Sealed { version, index });
        self.visibility.lock().sealed(Arc::clone(&root));
        // What is visible already frees what only older states reached.
        self.advance(Lsn::ZERO);
        writer.shadow.reclaim(&self.pager);
        writer.trim();
        Ok(root)
    }

    /// The log is durable up to here: moves the visible root.
    pub(crate) fn advance(&self, durable: Lsn) {
        let mut visibility = self.visibility.lock();
        let newest = visibility.advance(durable);
        self.publish(&visibility, newest);
        self.advanced.fetch_max(durable.0, Ordering::AcqRel);
        drop(visibility);
        self.feeds.notify();
    }

    pub(crate) fn publish(&self, visibility: &Visibility, newest: Option<Arc<Root>>) {
        if let Some(root) = newest {
            // Pinned before the one before it is not any more.
            let version = root.record.version;
            let newest = Pinned::new(&self.pager, &self.live_roots, root);
            let before = self.published.swap(newest);
            before.supersede(self.runtime.monotonic());
            self.pager.set_visible(version);
            drop(before);
        }
        self.target.store(visibility.target().0, Ordering::Release);
    }

    /// The visible root, pinned for as long as it is held.
    #[inline]
    pub(crate) fn pin_visible(&self) -> Result<Arc<Pinned>> {
        self.check_process()?;
        self.demand.ask();
        loop {
            let target = self.target.load(Ordering::Acquire);
            let published = self.published.load_full();
            if published.root().record.index.0 >= target || planted(Mutant::StaleSnapshot) {
                return Ok(published);
            }
            // Visible already, but not sealed: whoever asks first seals it.
            self.seal_visible(&mut self.lock_writer())?;
        }
    }

    /// The newest state that was sealed for readers: the visible one, or one before it.
    pub(crate) fn published(&self) -> Arc<Pinned> {
        self.published.load_full()
    }

    /// Seals the visible state and publishes it, also where the open version is
    /// ahead of it: what is in flight is taken back, and done again in the next
    /// version, or never if it failed.
    fn seal_visible(&self, writer: &mut Writer) -> Result<()> {
        let visible = self.visible_index();
        if writer.position.index <= visible {
            self.seal(writer)?;
            self.advance(Lsn::ZERO);
            return Ok(());
        }
        if writer.broken {
            return Err(Error::Poisoned(self.poison_reason().unwrap_or_default()));
        }
        let newest = writer.position;
        let planned = writer.plan_undo(&self.pager, visible);
        let undone = planned.and_then(|()| {
            let undone = writer.undo(&self.pager);
            writer.broken = undone.is_err();
            self.must(undone)
        });
        writer.shadow.end_plan();
        let undone = undone?;
        let commits = undone.len() as u64;
        self.note(Event::TakenBack { commits });
        let sealed = writer.seal(&self.pager);
        writer.broken = sealed.is_err();
        let root = self.must(sealed)?;
        {
            let mut visibility = self.visibility.lock();
            visibility.overtaken();
            let published = self.published.load().root().record.index;
            let is_newer = root.record.index > published;
            self.publish(&visibility, is_newer.then_some(root));
        }
        writer.shadow.reclaim(&self.pager);
        if self.check_sound().is_ok() {
            let redone = writer.redo(&self.pager, undone, newest);
            writer.broken = redone.is_err();
            self.must(redone)?;
        }
        Ok(())
    }

    /// The index up to which everything is visible.
    pub(crate) fn visible_index(&self) -> Index {
        Index(self.target.load(Ordering::Acquire))
    }

    /// Waits until the log is durable up to `lsn` (zero: not at all), and so
    /// everything appended up to there is visible.
    pub(crate) fn wait_durable(&self, lsn: Lsn) -> Result<()> {
        let Some(log) = self.log.as_ref().filter(|_| lsn > Lsn::ZERO) else {
            return Ok(());
        };
        if log.durable_lsn() < lsn {
            log.wait_durable(self, lsn).map_err(|error| match error {
                LogError::WaitInCallback => Error::Refused(
                    "a callback must not wait for the log: hand the work to another thread",
                ),
                error => Error::OutcomeUnknown(error.to_string()),
            })?;
        }
        // The log's durable LSN moves a moment before we are told of it, and
        // nobody may be told that a commit is done before readers see it.
        if self.advanced.load(Ordering::Acquire) < lsn.0 {
            self.advance(log.durable_lsn());
        }
        Ok(())
    }

    /// A group leaves: what it holds is sealed if anybody reads.
    fn seal_for_group(&self, writer: &mut Writer, cut: &mut dyn FnMut()) {
        // After a failure nothing may leave: the newest record may be one whose
        // effects could not be carried out.
        if self.check_sound().is_err() {
            return;
        }
        if !self.demand.take() || self.seal(writer).is_ok() {
            cut();
        }
    }

    /// Waits while so much is appended and not durable that more would fill the
    /// memory; a callback cannot, and goes over the bound by its own record.
    pub(crate) fn wait_for_room(&self) -> Result<()> {
        let Some(log) = &self.log else { return Ok(()) };
        match log.wait_for_room(self) {
            Ok(()) | Err(LogError::WaitInCallback) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl LogOwner for Core {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        self.seal_for_group(&mut self.lock_writer(), cut);
    }

    fn try_seal_and_cut(&self, cut: &mut dyn FnMut()) -> bool {
        let Some(mut writer) = self.try_lock_writer() else {
            return false;
        };
        self.seal_for_group(&mut writer, cut);
        true
    }

    fn durable_advanced(&self, durable: Lsn) {
        self.advance(durable);
    }

    fn log_failed(&self, error: &LogError) {
        let reason = error.to_string();
        if self.poisoned.set(reason.clone()).is_ok() {
            self.note(Event::Poisoned(reason));
        }
    }
}
