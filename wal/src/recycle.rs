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
use crate::segment::{Making, SegmentInfo, SegmentState, Spare};

/// What a [piece](Log::piece) of background work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// There was nothing to do.
    Nothing,
    /// A spare is being made, and not done yet.
    Part,
    /// A spare was made, or a superfluous one removed.
    Done,
}

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

    /// Keeps so many bytes of spares, where recycling leaves as many, and be they more
    /// than [`spare_segments`](crate::LogOptions::spare_segments): a log that grows by as
    /// much until it is recycled again makes no file meanwhile, nor removes one.
    /// [`trim_spares`](Self::trim_spares) gives them back.
    pub fn keep_spares(&self, bytes: u64) {
        self.spare_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Removes the smallest spare, if there are more than are kept.
    fn remove_superfluous(&self) -> Result<bool> {
        let superfluous = {
            let mut appender = self.appender.lock();
            let spares = appender.spares.iter().enumerate();
            let smallest = spares.min_by_key(|(_, spare)| spare.capacity);
            let bytes: u64 = appender.spares.iter().map(|spare| spare.capacity).sum();
            let over = appender.spares.len() > self.options.spare_segments.max(1)
                && bytes > self.spare_bytes.load(Ordering::Relaxed);
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
        let mut spares: Vec<Spare> = Vec::new();
        let wanted = self.spare_bytes.load(Ordering::Relaxed);
        let mut bytes: u64 = ready.iter().sum();
        // The newest first: they are the largest.
        for closed in old.iter().rev() {
            let (name, capacity) = (closed.segment.name(), closed.segment.header.capacity);
            // Smaller ones from when the log was young do not count: they would
            // be in the way for good. They are removed instead.
            let kept = spares.len() + ready.iter().filter(|&&ready| ready >= capacity).count();
            let is_wanted = kept < self.options.spare_segments || bytes + capacity <= wanted;
            if is_wanted && capacity <= self.options.segment_bytes_max {
                bytes += capacity;
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

    /// Background work: prepares the next segment when the active one is more
    /// than an eighth full, or removes a superfluous spare. Returns whether it
    /// did something. Want of space harms nobody yet, and is no error: a smaller
    /// segment is made, or none.
    ///
    /// # Errors
    /// [`LogError::Poisoned`], or an I/O error.
    pub fn step(&self) -> Result<bool> {
        loop {
            match self.piece()? {
                Piece::Nothing => return Ok(false),
                Piece::Done => return Ok(true),
                Piece::Part => {}
            }
        }
    }

    /// A small piece of [`step`](Self::step): no disk is busy with it for long.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn piece(&self) -> Result<Piece> {
        self.check()?;
        let mut making = self.maintenance.lock();
        if making.is_some() {
            return self.make_on(&mut making);
        }
        let prepare = {
            let appender = self.appender.lock();
            self.wants_step.store(false, Ordering::Relaxed);
            appender.lacks_spare(self)
        };
        match prepare {
            Some(capacity) => self.begin_making(&mut making, capacity),
            None if self.remove_superfluous()? => Ok(Piece::Done),
            None => Ok(Piece::Nothing),
        }
    }

    /// Whether the making of a spare is further than the filling of the active
    /// segment demands; `None` if none is being made.
    #[must_use]
    pub fn making_is_ahead(&self) -> Option<bool> {
        let (made, size) = self.maintenance.lock().as_ref()?.progress();
        let appender = self.appender.lock();
        let header = &appender.active.header;
        let used = appender.end.0.saturating_sub(header.base.0);
        // Done when the active one is half full.
        Some(
            u128::from(made) * u128::from(header.capacity)
                > 2 * u128::from(used) * u128::from(size),
        )
    }

    /// Begins a spare; want of space harms nobody yet.
    fn begin_making(&self, making: &mut Option<Making>, capacity: u64) -> Result<Piece> {
        match Making::begin(self.disk.as_ref(), self.next_file(), capacity) {
            Ok(begun) => {
                *making = Some(begun);
                self.make_on(making)
            }
            Err(LogError::NoSpace { .. }) => self.make_smallest(making, capacity),
            Err(error) => Err(error),
        }
    }

    fn make_on(&self, making: &mut Option<Making>) -> Result<Piece> {
        let Some(mut begun) = making.take() else {
            return Ok(Piece::Nothing);
        };
        match begun.piece(self.disk.as_ref()) {
            Ok(None) => {
                *making = Some(begun);
                Ok(Piece::Part)
            }
            Ok(Some(spare)) => {
                self.counters.made_ahead.fetch_add(1, Ordering::Relaxed);
                self.appender.lock().spares.push(spare);
                Ok(Piece::Done)
            }
            Err(LogError::NoSpace { wanted, .. }) => self.make_smallest(making, wanted),
            Err(error) => Err(error),
        }
    }

    /// The disk has no room for a spare of that capacity: the smallest will do,
    /// unless there is one.
    fn make_smallest(&self, making: &mut Option<Making>, refused: u64) -> Result<Piece> {
        let smallest = self.options.segment_bytes_min;
        let has_any = || {
            let appender = self.appender.lock();
            appender
                .spares
                .iter()
                .any(|spare| spare.capacity >= smallest)
        };
        if smallest >= refused || has_any() {
            return Ok(Piece::Nothing);
        }
        self.begin_making(making, smallest)
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
