//! Reserving: the half of an append that may fail.
//!
//! Invariants
//! * A reservation has its space: in the active segment, or in files that are
//!   ready and belong to it. Only a failed write can come between, and that
//!   poisons the log.
//! * A refused reservation has changed nothing but, at most, made a spare file.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use cs_base::{BLOCK_SIZE, Lsn, round_up};

use crate::append::{Appender, Closed};
use crate::error::{LogError, Result};
use crate::format::{MAX_RECORD_PAYLOAD, SegmentHeader, padded_len};
use crate::log::Log;
use crate::segment::{Spare, begin, make_spare};

/// Space for one record, or for a run of them that will be appended together.
#[derive(Debug)]
#[must_use = "space that nobody appends to"]
pub struct Reservation {
    first: Option<Planned>,
    rest: VecDeque<Planned>,
}

#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) payload_len: usize,
    /// The record opens this file as the next segment.
    pub(crate) opens: Option<Spare>,
}

impl Reservation {
    /// Takes the next record's place.
    pub(crate) fn next(&mut self) -> Option<Planned> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    /// How many records are still to be appended.
    #[must_use]
    pub fn remaining(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }
}

impl Appender {
    /// Where a record would start at the latest, should its group begin with it.
    fn latest_start(&self) -> u64 {
        round_up(self.end.0, BLOCK_SIZE as u64).max(self.active.header.base.0)
    }

    /// Capacity that the next segment should have.
    pub(crate) fn next_capacity(&self, log: &Log) -> u64 {
        let (min, max) = (log.options.segment_bytes_min, log.options.segment_bytes_max);
        (self.active.header.capacity * 2).clamp(min, max)
    }

    /// An eighth of the active segment is used: the next is made while the rest
    /// fills. Early, since filling a file of twice the size with zeroes takes a
    /// while, and a crowd writes a small segment in a few milliseconds.
    pub(crate) fn is_begun(&self) -> bool {
        let header = &self.active.header;
        self.end.0.saturating_sub(header.base.0) > header.capacity / 8
    }

    /// Capacity of the spare that should be made now, if one should.
    pub(crate) fn lacks_spare(&self, log: &Log) -> Option<u64> {
        let wanted = self.next_capacity(log);
        let ready = || self.spares.iter().any(|spare| spare.capacity >= wanted);
        (self.is_begun() && !ready()).then_some(wanted)
    }

    /// Takes the best spare with at least `needed` bytes: the smallest of the
    /// wanted size, else the largest.
    fn take_spare(&mut self, wanted: u64, needed: u64) -> Option<Spare> {
        let fitting = || {
            self.spares
                .iter()
                .enumerate()
                .filter(|(_, spare)| spare.capacity >= needed)
        };
        let best = fitting()
            .filter(|(_, spare)| spare.capacity >= wanted)
            .min_by_key(|(_, spare)| spare.capacity)
            .or_else(|| fitting().max_by_key(|(_, spare)| spare.capacity))
            .map(|(position, _)| position)?;
        Some(self.spares.remove(best))
    }

    /// Closes the active segment and opens `spare` behind it.
    pub(crate) fn roll(&mut self, log: &Log, spare: &Spare) -> Result<()> {
        let last = &self.active.header;
        let header = SegmentHeader {
            file_id: log.file_id,
            sequence: last.sequence + 1,
            previous: last.sequence,
            base: Lsn(self.latest_start()),
            capacity: spare.capacity,
            incarnation: last.incarnation,
            first_index: self.last_index.next(),
            durable: log.durable_lsn(),
            last_time: self.last_time,
            last_end: self.end,
            chain: self.chain,
            hard_state: self.hard_state.clone(),
            read_only_compatible: 0,
        };
        let segment = begin(log.disk.as_ref(), spare, header)?;
        let closed = std::mem::replace(&mut self.active, segment);
        self.closed.push_back(Closed {
            segment: closed,
            end: self.end,
        });
        Ok(())
    }
}

impl Log {
    /// Closes the active segment and begins one of the smallest size, so that
    /// whoever opens the log next has little to read. Everything appended must
    /// be durable. Same lock as for appending.
    ///
    /// # Errors
    /// [`LogError::NoSpace`]: nothing has changed. I/O: the log is at its end.
    pub fn roll_over(&self) -> Result<()> {
        self.check()?;
        let mut appender = self.appender.lock();
        let header = &appender.active.header;
        let is_small = header.capacity <= self.options.segment_bytes_min;
        let is_empty = appender.end <= header.base;
        if is_empty || is_small || self.durable_lsn() < appender.end {
            return Ok(());
        }
        let capacity = self.options.segment_bytes_min;
        let spare = make_spare(self.disk.as_ref(), self.next_file(), capacity)?;
        let rolled = appender.roll(self, &spare);
        rolled.inspect_err(|error| self.poison(&error.to_string()))?;
        // The new header names everything as durable.
        appender.sealed = true;
        Ok(())
    }

    /// Makes sure that a record with a payload of at most `payload_len` bytes
    /// can be appended; may make a segment. The caller holds the lock under
    /// which it appends, until it has.
    ///
    /// # Errors
    /// [`LogError::NoSpace`] or [`LogError::RecordTooLarge`]: nothing has
    /// changed. [`LogError::Poisoned`] or an I/O error: the log is at its end.
    pub fn reserve(&self, payload_len: usize) -> Result<Reservation> {
        self.reserve_run(&[payload_len])
    }

    /// [`reserve`](Self::reserve) for several records in a row.
    ///
    /// # Errors
    /// As there.
    pub fn reserve_run(&self, payload_lens: &[usize]) -> Result<Reservation> {
        self.appender().reserve_run(payload_lens)
    }

    pub(crate) fn reserve_locked(
        &self,
        appender: &mut Appender,
        payload_lens: &[usize],
    ) -> Result<Reservation> {
        self.check()?;
        let mut planned = VecDeque::new();
        if let Err(error) = self.plan(appender, payload_lens, &mut planned) {
            // Files made for a run that will not be stay as spares.
            appender
                .spares
                .extend(planned.into_iter().filter_map(|record| record.opens));
            return Err(error);
        }
        let mut first = planned.pop_front();
        // Opened here and not while appending, so that one record never fails later.
        if let Some(spare) = first.as_mut().and_then(|record| record.opens.take()) {
            appender
                .roll(self, &spare)
                .inspect_err(|error| self.poison(&error.to_string()))?;
        }
        Ok(Reservation {
            first,
            rest: planned,
        })
    }

    /// Lays the run out as if each record began a group, and takes or makes
    /// the files that it needs beyond the active segment.
    fn plan(
        &self,
        appender: &mut Appender,
        lens: &[usize],
        planned: &mut VecDeque<Planned>,
    ) -> Result<()> {
        let mut room = appender
            .active
            .header
            .limit()
            .0
            .saturating_sub(appender.latest_start());
        let mut wanted = appender.next_capacity(self);
        for &payload_len in lens {
            if payload_len > MAX_RECORD_PAYLOAD {
                return Err(LogError::RecordTooLarge {
                    found: payload_len as u64,
                    limit: MAX_RECORD_PAYLOAD as u64,
                });
            }
            let needed = round_up(padded_len(payload_len), BLOCK_SIZE as u64);
            let mut opens = None;
            if needed > room {
                let spare = match appender.take_spare(wanted, needed) {
                    Some(spare) => spare,
                    None => self.make_next(&mut wanted, needed)?,
                };
                room = spare.capacity;
                wanted =
                    (spare.capacity * 2).clamp(wanted, self.options.segment_bytes_max.max(wanted));
                opens = Some(spare);
            }
            room -= needed;
            planned.push_back(Planned { payload_len, opens });
        }
        Ok(())
    }

    /// Makes a file of the wanted size or, where the disk has no room for that,
    /// of the smallest size that holds `needed` bytes; that is then wanted for
    /// the rest of the run.
    fn make_next(&self, wanted: &mut u64, needed: u64) -> Result<Spare> {
        let make = |capacity| make_spare(self.disk.as_ref(), self.next_file(), capacity);
        self.counters.made_in_commit.fetch_add(1, Ordering::Relaxed);
        let smallest = needed.max(self.options.segment_bytes_min);
        let capacity = needed.max(*wanted);
        match make(capacity) {
            Err(LogError::NoSpace { .. }) if smallest < capacity => {
                *wanted = smallest;
                make(smallest)
            }
            made => made,
        }
    }

    /// A number that no file of the log carries in its temporary or spare name.
    pub(crate) fn next_file(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }
}
