//! Reserving and appending: the half that may fail, and the half that may not.
//!
//! Invariants
//! * One appender at a time: between a reservation and its last append the
//!   caller holds the lock under which it appends, and so does whoever cuts.
//! * A reservation has its space: in the active segment, or in files that are
//!   ready and belong to it. Only a failed write can come between, and that
//!   poisons the log.
//! * Records are laid out in the order of appending, chained by checksum.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;

use cs_base::{BLOCK_SIZE, HybridTime, Index, Lsn, round_up};
use zerocopy::IntoBytes;

use crate::error::{LogError, Result};
use crate::format::{
    HardState, MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES, RawRecordHeader, RecordHead, RecordKind, SegmentHeader,
    padded_len,
};
use crate::gather::Gather;
use crate::log::{Appended, Log};
use crate::segment::{Segment, Spare, begin, make_spare};

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

/// Space for one record, or for a run of them that will be appended together.
#[derive(Debug)]
#[must_use = "space that nobody appends to"]
pub struct Reservation {
    first: Option<Planned>,
    rest: VecDeque<Planned>,
}

#[derive(Debug)]
struct Planned {
    payload_len: usize,
    /// The record opens this file as the next segment.
    opens: Option<Spare>,
}

impl Reservation {
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

    /// Takes the best spare with at least `needed` bytes: the smallest of the
    /// wanted size, else the largest.
    fn take_spare(&mut self, wanted: u64, needed: u64) -> Option<Spare> {
        let fitting = || self.spares.iter().enumerate().filter(|(_, spare)| spare.capacity >= needed);
        let best = fitting()
            .filter(|(_, spare)| spare.capacity >= wanted)
            .min_by_key(|(_, spare)| spare.capacity)
            .or_else(|| fitting().max_by_key(|(_, spare)| spare.capacity))
            .map(|(position, _)| position)?;
        Some(self.spares.remove(best))
    }

    /// Closes the active segment and opens `spare` behind it.
    fn roll(&mut self, log: &Log, spare: &Spare) -> Result<()> {
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
            chain: self.chain,
            hard_state: self.hard_state.clone(),
            read_only_compatible: 0,
        };
        let segment = begin(log.disk.as_ref(), spare, header)?;
        let closed = std::mem::replace(&mut self.active, segment);
        self.closed.push_back(Closed { segment: closed, end: self.end });
        Ok(())
    }
}

impl Log {
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
        self.check()?;
        let mut appender = self.appender.lock();
        let mut planned = VecDeque::new();
        if let Err(error) = self.plan(&mut appender, payload_lens, &mut planned) {
            // Files made for a run that will not be stay as spares.
            appender.spares.extend(planned.into_iter().filter_map(|record| record.opens));
            return Err(error);
        }
        let mut first = planned.pop_front();
        // Opened here and not while appending, so that one record never fails later.
        if let Some(spare) = first.as_mut().and_then(|record| record.opens.take()) {
            appender.roll(self, &spare).inspect_err(|error| self.poison(&error.to_string()))?;
        }
        Ok(Reservation { first, rest: planned })
    }

    /// Lays the run out as if each record began a group, and takes or makes
    /// the files that it needs beyond the active segment.
    fn plan(&self, appender: &mut Appender, lens: &[usize], planned: &mut VecDeque<Planned>) -> Result<()> {
        let mut room = appender.active.header.limit().0.saturating_sub(appender.latest_start());
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
                    None => make_spare(self.disk.as_ref(), self.next_file(), wanted.max(needed))?,
                };
                room = spare.capacity;
                wanted = (spare.capacity * 2).clamp(wanted, self.options.segment_bytes_max.max(wanted));
                opens = Some(spare);
            }
            room -= needed;
            planned.push_back(Planned { payload_len, opens });
        }
        Ok(())
    }

    /// A number that no file of the log carries in its temporary or spare name.
    pub(crate) fn next_file(&self) -> u64 {
        self.next_file.fetch_add(1, Ordering::Relaxed)
    }

    /// Appends the reserved record: copies it into the gather buffer.
    ///
    /// # Panics
    /// If the payload is longer than reserved, the kind is the log's own, or
    /// the index leaves a gap: defects of the caller.
    pub fn append(&self, mut reservation: Reservation, head: RecordHead, payload: &[&[u8]]) -> Appended {
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
        assert!(head.kind.takes_index(), "{:?} records are the log's own", head.kind);
        let mut appender = self.appender.lock();
        let next = appender.last_index.next();
        assert!(
            head.index > Index::ZERO && (head.index <= next || head.kind == RecordKind::SnapshotMark),
            "record of index {} after {}",
            head.index,
            appender.last_index
        );
        self.append_locked(&mut appender, reservation, head, payload)
    }

    fn append_locked(
        &self,
        appender: &mut Appender,
        reservation: &mut Reservation,
        head: RecordHead,
        payload: &[&[u8]],
    ) -> Appended {
        let planned = reservation.first.take().or_else(|| reservation.rest.pop_front());
        let planned = planned.expect("no record of the reservation is left");
        let payload_len: usize = payload.iter().map(|part| part.len()).sum();
        assert!(payload_len <= planned.payload_len, "payload of {payload_len}, {} reserved", planned.payload_len);
        if let Some(spare) = planned.opens
            && let Err(error) = appender.roll(self, &spare)
        {
            // The record goes nowhere; the poison tells everybody who waits for it.
            self.poison(&error.to_string());
            return Appended { lsn: appender.end, end: Lsn::MAX, chain: 0 };
        }
        let appended = self.write_record(appender, head, payload, payload_len);
        appender.end = appended.end;
        appender.chain = appended.chain;
        appender.last_time = appender.last_time.max(head.time);
        appender.sealed = head.kind == RecordKind::Seal;
        if head.kind.takes_index() {
            appender.last_index = head.index;
        }
        appender.gather.records += 1;
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
        let chunk = appender.gather.room(&self.pool, &appender.active, end, padded);
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
        Appended { lsn, end: lsn.advance(padded), chain }
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
    /// As [`reserve`](Self::reserve), or [`LogError::MembershipTooLarge`].
    pub fn save_hard_state(&self, state: &HardState) -> Result<Appended> {
        state.check()?;
        let payload = state.encode();
        let mut reservation = self.reserve(payload.len())?;
        let mut appender = self.appender.lock();
        let head = RecordHead { term: state.term, ..own_head(&appender, RecordKind::Vote) };
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
