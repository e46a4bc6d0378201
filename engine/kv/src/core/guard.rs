//! The writer's lock, and what happens when it is given back.

use std::ops::{Deref, DerefMut};

use parking_lot::MutexGuard;

use super::Core;
use crate::error::Error;
use crate::writer::Writer;

/// The writer, locked. A panic while it is held has left a change half done:
/// it poisons the database before anybody else gets the lock.
pub(crate) struct WriterGuard<'a> {
    core: &'a Core,
    // In this order: the queue is looked into when the lock is free again.
    writer: MutexGuard<'a, Writer>,
    after: AfterUnlock<'a>,
}

/// Looks after those who left something while the lock was taken.
struct AfterUnlock<'a> {
    core: &'a Core,
    is_leader: bool,
}

impl Drop for AfterUnlock<'_> {
    fn drop(&mut self) {
        if !self.is_leader && !self.core.queue.is_empty() {
            self.core.queue.wake_one();
        }
    }
}

impl<'a> WriterGuard<'a> {
    pub(super) fn new(core: &'a Core, writer: MutexGuard<'a, Writer>) -> Self {
        let is_leader = false;
        Self {
            core,
            writer,
            after: AfterUnlock { core, is_leader },
        }
    }

    /// Whoever holds it looks into the queue of commits himself, afterwards.
    pub(crate) fn lead(&mut self) {
        self.after.is_leader = true;
    }
}

impl Deref for WriterGuard<'_> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        &self.writer
    }
}

impl DerefMut for WriterGuard<'_> {
    fn deref_mut(&mut self) -> &mut Writer {
        &mut self.writer
    }
}

impl Drop for WriterGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.writer.broken = true;
            let what = "a panic came in the middle of a change";
            self.core.poison(&Error::Damaged(what.into()));
        }
    }
}
