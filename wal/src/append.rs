//! Appending: the half that cannot fail.
//!
//! Invariants
//! * One appender at a time: between a reservation and its last append the
//!   caller holds the lock under which it appends, and so does whoever cuts.
//! * Records are laid out in the order of appending, chained by checksum.
//! * After a failure a record goes nowhere, and the log is poisoned.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use cs_base::{HybridTime, Index, Lsn};
use parking_lot::MutexGuard;
use zerocopy::IntoBytes;

use crate::error::Result;
use crate::format::{
    HardState, RECORD_HEADER_BYTES, RawRecordHeader, RecordHead, RecordKind, padded_len,
};
use crate::gather::Gather;
use crate::log::{Appended, Log};
use crate::options::StartPoint;
use crate::reserve::Reservation;
use crate::segment::{Segment, Spare};

/// A segment that is no longer appended to.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) segment: Segment,
    /// End of its last record, or the base of the next where that is not known.
    pub(crate) end: Lsn,
}

/// Everything that appending changes.
#[derive(Debug)]
pub(crate) struct Appender {
    pub(crate) active: Segment,
    /// Oldest first.
    pub(crate) closed: VecDeque<Closed>,
    pub(crate) spares: Vec<Spare>,
    /// End of the last record.
    pub(crate) end: Lsn,
    /// Checksum of the last record.
    pub(crate) chain: u32,
    pub(crate) last_index: Index,
    pub(crate) last_time: HybridTime,
    /// Whether the last thing written names everything before it as durable.
    pub(crate) sealed: bool,
    pub(crate) hard_state: HardState,
    pub(crate) gather: Gather,
}

/// The log, locked for appending: several records for one lock. Nobody else
/// appends, and no group leaves, until it is dropped; so not for long, and
/// without calling anything of the log's that locks it.
#[derive(Debug)]
pub struct AppendGuard<'a> {
    log: &'a Log,
    appender: MutexGuard<'a, Appender>,
}

impl AppendGuard<'_> {
    /// As [`Log::reserve`].
    ///
    /// # Errors
    /// As there.
    pub fn reserve(&mut self, payload_len: usize) -> Result<Reservation> {
        self.reserve_run(&[payload_len])
    }

    /// As [`Log::reserve_run`].
    ///
    /// # Errors
    /// As there.
    pub fn reserve_run(&mut self, payload_lens: &[usize]) -> Result<Reservation> {
        self.log.reserve_locked(&mut self.appender, payload_lens)
    }

    /// As [`Log::append_next`].
    ///
    /// # Panics
    /// As there.
    pub fn append_next(
        &mut self,
        reservation: &mut Reservation,
        head: RecordHead,
        payload: &[&[u8]],
    ) -> Appended {
        let appender = &mut *self.appender;
        assert!(
            head.kind.takes_index(),
            "{:?} records are the log's own",
            head.kind
        );
        let next = appender.last_index.next();
        assert!(
            head.index > Index::ZERO
                && (head.index <= next || head.kind == RecordKind::SnapshotMark),
            "record of index {} after {}",
            head.index,
            appender.last_index
        );
        self.log.append_locked(appender, reservation, head, payload)
    }

    /// The place behind the last record: see [`Log::last_appended`].
    #[must_use]
    pub fn last_appended(&self) -> StartPoint {
        self.appender.start_point()
    }
}

impl Appender {
    /// The oldest segment that is kept.
    pub(crate) fn oldest(&self) -> &Segment {
        let oldest = self.closed.front().map(|closed| &closed.segment);
        oldest.unwrap_or(&self.active)
    }

    pub(crate) fn start_point(&self) -> StartPoint {
        StartPoint {
            lsn: self.end,
            chain: self.chain,
            index: self.last_index,
            incarnation: self.active.header.incarnation,
        }
    }
}

impl Log {
    /// Locks the log for appending. For whoever appends for others: one lock
    /// for all their records. The lock under which the caller appends anyway is
    /// held as for [`append`](Self::append).
    #[must_use]
    pub fn appender(&self) -> AppendGuard<'_> {
        AppendGuard {
            log: self,
            appender: self.appender.lock(),
        }
    }

    /// Appends the reserved record: copies it into the gather buffer.
    ///
    /// # Panics
    /// If the payload is longer than reserved, the kind is the log's own, or
    /// the index leaves a gap: defects of the caller.
    pub fn append(
        &self,
        mut reservation: Reservation,
        head: RecordHead,
        payload: &[&[u8]],
    ) -> Appended {
        self.append_next(&mut reservation, head, payload)
    }

    /// Appends the next record of a reserved run.
    ///
    /// # Panics
    /// As [`append`](Self::append); also if the run is at its end.
    pub fn append_next(
        &self,
        reservation: &mut Reservation,
        head: RecordHead,
        payload: &[&[u8]],
    ) -> Appended {
        self.appender().append_next(reservation, head, payload)
    }

    fn append_locked(
        &self,
        appender: &mut Appender,
        reservation: &mut Reservation,
        head: RecordHead,
        payload: &[&[u8]],
    ) -> Appended {
        // The record goes nowhere; the poison tells everybody who waits for it.
        let nowhere = Appended {
            lsn: appender.end,
            end: Lsn::MAX,
            chain: 0,
        };
        if self.is_poisoned() {
            return nowhere;
        }
        let planned = reservation.next();
        let planned = planned.expect("no record of the reservation is left");
        let payload_len: usize = payload.iter().map(|part| part.len()).sum();
        assert!(
            payload_len <= planned.payload_len,
            "payload of {payload_len}, {} reserved",
            planned.payload_len
        );
        if let Some(spare) = planned.opens
            && let Err(error) = appender.roll(self, &spare)
        {
            self.poison(&error.to_string());
            return nowhere;
        }
        let was_begun = appender.is_begun();
        let appended = self.write_record(appender, head, payload, payload_len);
        appender.end = appended.end;
        if !was_begun && appender.lacks_spare(self).is_some() {
            self.wants_step.store(true, Ordering::Relaxed);
        }
        appender.chain = appended.chain;
        appender.last_time = appender.last_time.max(head.time);
        appender.sealed = head.kind == RecordKind::Seal;
        if head.kind.takes_index() {
            appender.last_index = head.index;
        }
        appender.gather.records += 1;
        self.flights
            .gathered
            .store(appender.gather.records, Ordering::Relaxed);
        self.appended.store(appended.end.0, Ordering::Release);
        appended
    }

    /// Header, payload and padding into the gather buffer.
    fn write_record(
        &self,
        appender: &mut Appender,
        head: RecordHead,
        payload: &[&[u8]],
        payload_len: usize,
    ) -> Appended {
        let padded = padded_len(payload_len);
        let (end, chain) = (appender.end, appender.chain);
        let chunk = appender
            .gather
            .room(&self.pool, &appender.active, end, padded);
        let lsn = chunk.end();
        let header = &chunk.segment.header;
        assert!(
            lsn >= end && lsn.advance(padded) <= header.limit(),
            "record at {lsn} + {padded} outside its segment {}",
            header.sequence
        );
        let mut raw = RawRecordHeader {
            checksum: 0.into(),
            kind: head.kind as u8,
            flags: head.flags,
            reserved: 0.into(),
            payload_len: (payload_len as u32).into(),
            previous: chain.into(),
            lsn: lsn.0.into(),
            incarnation: header.incarnation.0.into(),
            term: head.term.0.into(),
            index: head.index.0.into(),
            durable_lsn: self.durable_lsn().0.into(),
            time: head.time.0.into(),
        };
        let chain = raw.sum(self.seed, payload.iter().copied());
        raw.checksum = chain.into();
        let bytes = chunk.take(padded);
        bytes[..RECORD_HEADER_BYTES].copy_from_slice(raw.as_bytes());
        let mut at = RECORD_HEADER_BYTES;
        for part in payload {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        bytes[at..].fill(0);
        Appended {
            lsn,
            end: lsn.advance(padded),
            chain,
        }
    }

    /// Where everything appended is durable and nothing says so yet, appends
    /// one sealing record that does. Nobody waits for it, but somebody must
    /// still drive the log. Same lock as for appending.
    ///
    /// Returns whether a record was appended.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve).
    pub fn seal_if_idle(&self) -> Result<bool> {
        let head = {
            let appender = self.appender.lock();
            if appender.sealed || self.durable_lsn() < appender.end {
                return Ok(false);
            }
            own_head(&appender, RecordKind::Seal)
        };
        let mut reservation = self.reserve(0)?;
        self.append_locked(&mut self.appender.lock(), &mut reservation, head, &[]);
        Ok(true)
    }

    /// Appends the hard state; it may be relied on once the record is
    /// durable. Same lock as for appending.
    ///
    /// # Errors
    /// As [`reserve`](Self::reserve), or [`LogError::MembershipTooLarge`](crate::LogError::MembershipTooLarge).
    pub fn save_hard_state(&self, state: &HardState) -> Result<Appended> {
        state.check()?;
        let payload = state.encode();
        let mut reservation = self.reserve(payload.len())?;
        let mut appender = self.appender.lock();
        let head = RecordHead {
            term: state.term,
            ..own_head(&appender, RecordKind::Vote)
        };
        let appended = self.append_locked(&mut appender, &mut reservation, head, &[&payload]);
        appender.hard_state = state.clone();
        Ok(appended)
    }
}

/// Head of a record that takes no index: index and time are the last ones.
fn own_head(appender: &Appender, kind: RecordKind) -> RecordHead {
    RecordHead {
        kind,
        flags: 0,
        term: appender.hard_state.term,
        index: appender.last_index,
        time: appender.last_time,
    }
}

#[cfg(test)]
mod tests;
