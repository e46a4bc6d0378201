//! Background work on files: preparing the next segment, giving old ones back.
//!
//! Invariants
//! * Nothing at or above the durable LSN, the given LSN or a pin goes away,
//!   and never the active segment.
//! * Files are made, renamed and removed outside the appender's lock.

use std::sync::atomic::Ordering;

use cs_base::Lsn;

use crate::append::Closed;
use crate::error::{Context, LogError, Result};
use crate::log::Log;
use crate::names::spare_name;
use crate::segment::{SegmentInfo, SegmentState, Spare, make_spare};

impl Log {
    /// Gives back every segment that lies wholly below `lsn`, the pins and
    /// the durable LSN: as a spare, or removed. Durable when it returns.
    ///
    /// # Errors
    /// An I/O error, after which the log is poisoned.
    pub fn recycle_below(&self, lsn: Lsn) -> Result<()> {
        self.check()?;
        let _one = self.maintenance.lock();
        let pinned = self.pins.lock().enforce(self.appended_lsn());
        let limit = lsn.min(pinned).min(self.durable_lsn());
        let mut old = Vec::new();
        {
            let mut appender = self.appender.lock();
            while appender
                .closed
                .front()
                .is_some_and(|closed| closed.end <= limit)
            {
                old.extend(appender.closed.pop_front());
            }
        }
        if old.is_empty() {
            return Ok(());
        }
        let spares = self
            .give_back(&old)
            .inspect_err(|error| self.poison(&error.to_string()))?;
        self.appender.lock().spares.extend(spares);
        let removes = || self.remove_superfluous();
        while removes().inspect_err(|error| self.poison(&error.to_string()))? {}
        Ok(())
    }

    /// Removes the smallest spare, if there are more than are kept.
    fn remove_superfluous(&self) -> Result<bool> {
        let superfluous = {
            let mut appender = self.appender.lock();
            let spares = appender.spares.iter().enumerate();
            let smallest = spares.min_by_key(|(_, spare)| spare.capacity);
            let over = appender.spares.len() > self.options.spare_segments.max(1);
            let smallest = smallest.map(|(position, _)| position).filter(|_| over);
            smallest.map(|position| appender.spares.remove(position))
        };
        let Some(spare) = superfluous else {
            return Ok(false);
        };
        self.disk
            .remove(&spare.name)
            .context(|| format!("remove {}", spare.name))?;
        Ok(true)
    }

    /// Renames what is worth keeping, removes the rest, and makes both durable.
    fn give_back(&self, old: &[Closed]) -> Result<Vec<Spare>> {
        let ready: Vec<u64> = {
            let appender = self.appender.lock();
            appender.spares.iter().map(|spare| spare.capacity).collect()
        };
        let mut spares = Vec::new();
        // The newest first: they are the largest.
        for closed in old.iter().rev() {
            let (name, capacity) = (closed.segment.name(), closed.segment.header.capacity);
            // Smaller ones from when the log was young do not count: they would
            // be in the way for good. They are removed instead.
            let kept = spares.len() + ready.iter().filter(|&&ready| ready >= capacity).count();
            if kept < self.options.spare_segments && capacity <= self.options.segment_bytes_max {
                let spare = spare_name(self.next_file());
                self.disk
                    .rename(&name, &spare)
                    .context(|| format!("rename {name} to {spare}"))?;
                spares.push(Spare {
                    name: spare,
                    capacity,
                    file: closed.segment.file.clone(),
                });
                self.counters.recycled.fetch_add(1, Ordering::Relaxed);
            } else {
                self.disk
                    .remove(&name)
                    .context(|| format!("remove {name}"))?;
            }
        }
        // Before any of them is written anew: else a crash could bring back
        // the old name with the new header.
        self.disk
            .sync_directory()
            .context(|| "sync the directory after recycling".to_owned())?;
        Ok(spares)
    }

    /// One piece of background work: prepares the next segment when the
    /// active one is more than an eighth full, or removes a superfluous spare.
    /// Returns whether it did something. Want of space harms nobody yet, and
    /// is no error: a smaller segment is made, or none.
    ///
    /// # Errors
    /// [`LogError::Poisoned`], or an I/O error.
    pub fn step(&self) -> Result<bool> {
        self.check()?;
        let _one = self.maintenance.lock();
        let prepare = {
            let appender = self.appender.lock();
            self.wants_step.store(false, Ordering::Relaxed);
            appender.lacks_spare(self)
        };
        match prepare {
            Some(capacity) => self.prepare(capacity),
            None => self.remove_superfluous(),
        }
    }

    /// Makes a spare: of that capacity, or, where the disk has no room and there
    /// is none of the smallest size either, of that.
    fn prepare(&self, capacity: u64) -> Result<bool> {
        let make = |capacity| make_spare(self.disk.as_ref(), self.next_file(), capacity);
        let smallest = self.options.segment_bytes_min;
        let has_any = || {
            let appender = self.appender.lock();
            appender
                .spares
                .iter()
                .any(|spare| spare.capacity >= smallest)
        };
        let made = match make(capacity) {
            Err(LogError::NoSpace { .. }) if smallest < capacity && !has_any() => make(smallest),
            made => made,
        };
        match made {
            Ok(spare) => {
                self.counters.made_ahead.fetch_add(1, Ordering::Relaxed);
                self.appender.lock().spares.push(spare);
            }
            Err(LogError::NoSpace { .. }) => return Ok(false),
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Bytes of log from the oldest position kept to the end.
    #[must_use]
    pub fn bytes_retained(&self) -> u64 {
        let appender = self.appender.lock();
        appender
            .end
            .0
            .saturating_sub(appender.oldest().header.base.0)
    }

    /// Every segment, oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        let appender = self.appender.lock();
        let closed = appender.closed.iter();
        let mut list: Vec<_> = closed
            .map(|closed| closed.segment.info(closed.end, SegmentState::Closed))
            .collect();
        list.push(appender.active.info(appender.end, SegmentState::Active));
        list
    }
}

#[cfg(test)]
mod tests;
