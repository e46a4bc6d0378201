//! Reading records one after the other, believing nothing.
//!
//! After a record the next one lies right behind it; or, if the rest of that
//! block is zero, at the next block boundary (a group ended); or at the base
//! of the next segment, if that says it continues this very record.
//!
//! Invariants
//! * Memory is one window of 1 MiB, or of the longest record that passed the
//!   cheap checks; no length is believed beyond the segment's end.
//! * A record is returned only if position, incarnation, chain, checksum,
//!   reserved bytes and index are all as expected.

use std::fmt;

use cs_base::mutants::{Mutant, planted};
use cs_base::{BLOCK_SIZE, FileId, HybridTime, Index, Lsn, Term, round_up};
use zerocopy::FromBytes;

use crate::error::{LogError, Result};
use crate::format::{
    HardState, MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES, RawRecordHeader, RecordHead, RecordKind,
    checksum_seed, padded_len, record_bytes,
};
use crate::inventory::Inventory;
use crate::segment::Segment;
use crate::window::{WINDOW_BYTES, Window};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// A record that counts; the payload is borrowed until the next one is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its first byte.
    pub lsn: Lsn,
    /// Just after its last, padding included.
    pub end: Lsn,
    /// Its checksum.
    pub chain: u32,
    /// What the owner said about it.
    pub head: RecordHead,
    /// How far the log was durable when it was appended.
    pub durable: Lsn,
    /// What the owner put in.
    pub payload: &'a [u8],
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RecordRef({} {:?} {} bytes)",
            self.lsn,
            self.head,
            self.payload.len()
        )
    }
}

/// Where a cursor stands: behind a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Position of the segment in the list.
    pub(crate) segment: usize,
    /// End of the last record; before the segment's base, where none of it was read.
    pub(crate) end: Lsn,
    /// Checksum of the last record.
    pub(crate) chain: u32,
    pub(crate) last_index: Index,
    pub(crate) last_time: HybridTime,
}

/// A record that was found to count; its bytes are in the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) lsn: Lsn,
    pub(crate) end: Lsn,
    pub(crate) chain: u32,
    pub(crate) head: RecordHead,
    pub(crate) durable: Lsn,
    payload_len: usize,
}

/// Why there is no record where one might be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bad {
    pub(crate) lsn: Lsn,
    pub(crate) expected: String,
    pub(crate) found: String,
    /// It carries this very position and incarnation: a record was being
    /// written here, not one of an earlier life of the file.
    pub(crate) current: bool,
}

/// What one step of a cursor came to.
#[derive(Debug)]
pub(crate) enum Step {
    Record(Found),
    End(Bad),
}

/// Reads live segments in order.
#[derive(Debug)]
pub(crate) struct Cursor {
    segments: Vec<Segment>,
    seed: u32,
    pub(crate) at: Place,
    window: Window,
}

impl Cursor {
    /// At the base of segment `first`.
    pub(crate) fn at_segment(segments: &[Segment], file_id: FileId, first: usize) -> Self {
        let header = &segments[first].header;
        let place = Place {
            segment: first,
            end: header.last_end,
            chain: header.chain,
            last_index: Index(header.first_index.0 - 1),
            last_time: header.last_time,
        };
        Self::at_place(segments, file_id, place)
    }

    /// Where another cursor once stood.
    pub(crate) fn at_place(segments: &[Segment], file_id: FileId, place: Place) -> Self {
        Self {
            segments: segments.to_vec(),
            seed: checksum_seed(file_id),
            at: place,
            window: Window::default(),
        }
    }

    /// The segment in which the cursor stands.
    pub(crate) fn segment(&self) -> &Segment {
        &self.segments[self.at.segment]
    }

    /// Stands again where it once stood.
    pub(crate) fn go_back(&mut self, place: Place) {
        self.at = place;
        self.window = Window::default();
    }

    /// Reads the next record and steps behind it, or says why there is none.
    ///
    /// # Errors
    /// I/O, or a sound record of a kind this version does not know.
    pub(crate) fn step(&mut self) -> Result<Step> {
        let lsn = self.next_position()?;
        let parsed = match self.parse(lsn)? {
            Ok(found) => self.check_sequence(found)?,
            Err(bad) => Err(bad),
        };
        Ok(match parsed {
            Ok(found) => {
                self.at.end = found.end;
                self.at.chain = found.chain;
                self.at.last_time = self.at.last_time.max(found.head.time);
                if found.head.kind.takes_index() {
                    self.at.last_index = found.head.index;
                }
                Step::Record(found)
            }
            Err(bad) => Step::End(bad),
        })
    }

    /// Payload of the record that [`step`](Self::step) has just returned.
    pub(crate) fn view(&mut self, found: &Found) -> Result<RecordRef<'_>> {
        let segment = &self.segments[self.at.segment];
        let offset = segment.header.offset(found.lsn) + RECORD_HEADER_BYTES as u64;
        let payload = self.window.get(segment, offset, found.payload_len)?;
        Ok(RecordRef {
            lsn: found.lsn,
            end: found.end,
            chain: found.chain,
            head: found.head,
            durable: found.durable,
            payload,
        })
    }

    /// Where the record after the present place would begin; moves to the next
    /// segment where that continues here.
    fn next_position(&mut self) -> Result<Lsn> {
        let end = self.at.end;
        let boundary = Lsn(round_up(end.0, BLOCK));
        // Several in a row, where one was begun and never appended to.
        while let Some(next) = self.segments.get(self.at.segment + 1)
            && next.header.base == boundary
            && (next.header.chain == self.at.chain || planted(Mutant::AcceptStaleRecord))
        {
            self.at.segment += 1;
            self.window.forget();
        }
        let base = self.segments[self.at.segment].header.base;
        if end <= base {
            return Ok(base);
        }
        if end == boundary || boundary > Inventory::extent_end(&self.segments, self.at.segment) {
            return Ok(end);
        }
        let segment = &self.segments[self.at.segment];
        let rest = self.window.get(
            segment,
            segment.header.offset(end),
            (boundary.0 - end.0) as usize,
        )?;
        Ok(if rest.iter().all(|&byte| byte == 0) {
            boundary
        } else {
            end
        })
    }

    /// The checks that need what came before.
    fn check_sequence(&mut self, found: Found) -> Result<std::result::Result<Found, Bad>> {
        let (index, last) = (found.head.index, self.at.last_index);
        let jumps = found.head.kind == RecordKind::SnapshotMark;
        let in_order = match found.head.kind.takes_index() {
            true => index > Index::ZERO && (index <= last.next() || jumps),
            false => index == last,
        };
        if !in_order
            && !planted(Mutant::AcceptStaleRecord)
            && !planted(Mutant::FallbackOverRecycledLog)
        {
            return Ok(Err(Bad {
                lsn: found.lsn,
                expected: format!("an index that continues {last}"),
                found: format!("{:?} record of index {index}", found.head.kind),
                current: true,
            }));
        }
        if found.head.kind == RecordKind::Vote
            && let Err(what) = HardState::decode(self.view(&found)?.payload)
        {
            let expected = "a hard state".to_owned();
            return Ok(Err(Bad {
                lsn: found.lsn,
                expected,
                found: what,
                current: true,
            }));
        }
        Ok(Ok(found))
    }

    /// The record at `lsn` in the present segment, continuing the chain.
    fn parse(&mut self, lsn: Lsn) -> Result<std::result::Result<Found, Bad>> {
        let chain = Some(self.at.chain).filter(|_| !planted(Mutant::AcceptStaleRecord));
        self.parse_chained(self.at.segment, lsn, chain)
    }

    /// The record at `lsn`, whose predecessor's checksum is `chain` if given.
    fn parse_chained(
        &mut self,
        position: usize,
        lsn: Lsn,
        chain: Option<u32>,
    ) -> Result<std::result::Result<Found, Bad>> {
        let segment = &self.segments[position];
        let room = Inventory::extent_end(&self.segments, position)
            .0
            .saturating_sub(lsn.0);
        let incarnation = segment.header.incarnation;
        let mut current = false;
        macro_rules! bad {
            ($expected:expr, $found:expr) => {
                return Ok(Err(Bad {
                    lsn,
                    expected: $expected,
                    found: $found,
                    current,
                }))
            };
        }
        if room < RECORD_HEADER_BYTES as u64 {
            bad!("a record".to_owned(), "the end of the segment".to_owned());
        }
        let offset = segment.header.offset(lsn);
        let head = self.window.get(segment, offset, RECORD_HEADER_BYTES)?;
        if head.iter().all(|&byte| byte == 0) {
            bad!("a record".to_owned(), "zeroes".to_owned());
        }
        let Ok(raw) = RawRecordHeader::read_from_bytes(head) else {
            bad!("a record".to_owned(), "the end of the file".to_owned());
        };
        current = raw.lsn.get() == lsn.0 && raw.incarnation.get() == incarnation.0;
        if !current && !planted(Mutant::AcceptStaleRecord) {
            let expected = format!("lsn {lsn} of incarnation {incarnation}");
            bad!(
                expected,
                format!("lsn {} of incarnation {}", raw.lsn, raw.incarnation)
            );
        }
        if let Some(chain) = chain.filter(|&chain| chain != raw.previous.get()) {
            bad!(
                format!("chain {chain:#010x}"),
                format!("{:#010x}", raw.previous.get())
            );
        }
        let payload_len = raw.payload_len.get() as usize;
        if payload_len > MAX_RECORD_PAYLOAD || padded_len(payload_len) > room {
            bad!(
                format!("a payload that fits into {room} bytes"),
                format!("{payload_len} bytes")
            );
        }
        let bytes = self
            .window
            .get(segment, offset, padded_len(payload_len) as usize)?;
        let (record, padding) =
            bytes.split_at((record_bytes(payload_len) as usize).min(bytes.len()));
        let sum = raw.sum(self.seed, record.get(RECORD_HEADER_BYTES..));
        if sum != raw.checksum.get() && !planted(Mutant::IgnoreChecksum) {
            bad!(
                format!("checksum {sum:#010x}"),
                format!("{:#010x}", raw.checksum.get())
            );
        }
        if raw.reserved.get() != 0 || padding.iter().any(|&byte| byte != 0) {
            bad!(
                "zero reserved bytes and padding".to_owned(),
                "others".to_owned()
            );
        }
        let Some(kind) = RecordKind::from_number(raw.kind) else {
            return Err(LogError::Unsupported {
                what: format!("the record at lsn {lsn}"),
                found: format!("kind {}", raw.kind),
                known: "kinds 1 to 10".to_owned(),
            });
        };
        let head = RecordHead {
            kind,
            flags: raw.flags,
            term: Term(raw.term.get()),
            index: Index(raw.index.get()),
            time: HybridTime(raw.time.get()),
        };
        let end = lsn.advance(padded_len(payload_len));
        let durable = Lsn(raw.durable_lsn.get());
        Ok(Ok(Found {
            lsn,
            end,
            chain: raw.checksum.get(),
            head,
            durable,
            payload_len,
        }))
    }

    /// Every sound record of the present incarnations beyond the place where
    /// the chain broke, whatever it continues: evidence of what was durable.
    /// Looks at every multiple of eight, since whole blocks may be missing.
    ///
    /// # Errors
    /// I/O.
    pub(crate) fn evidence_beyond(&mut self, mut seen: impl FnMut(&Found)) -> Result<()> {
        let mut from = Lsn(round_up(self.at.end.0, 8));
        for position in self.at.segment..self.segments.len() {
            let end = Inventory::extent_end(&self.segments, position);
            let mut at = from.max(self.segments[position].header.base);
            while let Some(lsn) = self.next_candidate(position, at, end)? {
                at = match self.parse_chained(position, lsn, None) {
                    Ok(Ok(found)) => {
                        seen(&found);
                        found.end
                    }
                    // An unknown kind beyond a broken chain is no evidence either.
                    Ok(Err(_)) | Err(LogError::Unsupported { .. }) => lsn.advance(8),
                    Err(error) => return Err(error),
                };
            }
            self.window.forget();
            from = Lsn::ZERO;
        }
        Ok(())
    }

    /// First place from `at` whose header names its own position and the
    /// segment's incarnation.
    fn next_candidate(&mut self, position: usize, mut at: Lsn, end: Lsn) -> Result<Option<Lsn>> {
        let header_bytes = RECORD_HEADER_BYTES as u64;
        let segment = &self.segments[position];
        let incarnation = segment.header.incarnation.0.to_le_bytes();
        while at.advance(header_bytes) <= end {
            // From the block in which it begins on this is one window, read once.
            let len = (end.0 - at.0).min((WINDOW_BYTES - BLOCK_SIZE) as u64) as usize;
            let bytes = self.window.get(segment, segment.header.offset(at), len)?;
            if bytes.len() < RECORD_HEADER_BYTES {
                return Ok(None);
            }
            let places = bytes.len() - RECORD_HEADER_BYTES;
            for step in (0..=places).step_by(8) {
                let here = (at.0 + step as u64).to_le_bytes();
                if bytes[step + 16..step + 24] == here && bytes[step + 24..step + 32] == incarnation
                {
                    return Ok(Some(at.advance(step as u64)));
                }
            }
            at = at.advance((places / 8 * 8 + 8) as u64);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
