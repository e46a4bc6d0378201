//! Reading a log back: what counts, what is torn, what is corruption.
//!
//! 1. Find the segment in which the checkpoint's position lies, and read from
//!    its base: hard state may lie before the position.
//! 2. Follow the chain to its end. A record supersedes every earlier one of
//!    the same or a higher index.
//! 3. Look beyond that end for records that name a durable LSN. If it lies
//!    beyond the end, what is missing had been acknowledged: corruption. Else
//!    the rest is a torn tail.
//!
//! Nothing of this writes. [`Recovered::finish`] does (module `finish`).

use std::fmt;
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{FileId, HybridTime, Index, Lsn};
use cs_io::{Disk, OpenMode, Runtime};
use zerocopy::FromBytes;

use crate::error::{LogError, Result};
use crate::format::{
    HardState, MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES, RawRecordHeader, RecordKind,
    SEGMENT_HEADER_BYTES, SegmentHeader, checksum_seed, record_bytes,
};
use crate::inventory::Inventory;
use crate::log::Log;
use crate::options::{LogOptions, StartPoint};
use crate::scan::{Bad, Cursor, Place, RecordRef, Step};
use crate::superseding::Superseding;
use crate::window::Window;

/// The end of a log whose last records did not reach the disk whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// End of the last record that counts.
    pub lsn: Lsn,
    /// Bytes from there that show traces of records, as far as can be told.
    pub bytes: u64,
}

/// A log that was read and judged, and not changed.
pub struct Recovered {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) file_id: FileId,
    pub(crate) options: LogOptions,
    pub(crate) inventory: Inventory,
    start: StartPoint,
    /// Where the records from `start` on begin.
    resume: Place,
    /// Behind the last record that counts.
    pub(crate) last: Place,
    pub(crate) hard_state: HardState,
    /// D: everything below was durable when something else was written.
    pub(crate) durable: Lsn,
    torn: Option<TornTail>,
    superseding: Superseding,
}

impl fmt::Debug for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recovered")
            .field("start", &self.start)
            .field("last", &self.last)
            .field("durable", &self.durable)
            .field("torn", &self.torn)
            .finish_non_exhaustive()
    }
}

impl Log {
    /// Reads the log from `start` on. Changes nothing.
    ///
    /// # Errors
    /// [`LogError::Unreachable`] if the log does not reach back to `start`;
    /// [`LogError::Corrupt`] if bytes that were durable are not what was
    /// written; [`LogError::Unsupported`] for unknown formats; I/O.
    pub fn recover(
        disk: Arc<dyn Disk>,
        runtime: Arc<dyn Runtime>,
        file_id: FileId,
        options: LogOptions,
        start: StartPoint,
    ) -> Result<Recovered> {
        let inventory = Inventory::take(disk.as_ref(), file_id, OpenMode::ReadWrite)?;
        let first = match inventory.locate(&start) {
            // The planted bug reads on from whatever is left.
            Err(LogError::Unreachable { first: Some(_), .. })
                if planted(Mutant::FallbackOverRecycledLog) =>
            {
                0
            }
            other => other?,
        };
        let cursor = Cursor::at_segment(&inventory.live, file_id, first);
        let mut recovered = Recovered {
            disk,
            runtime,
            file_id,
            options: options.normalised(),
            start,
            resume: cursor.at,
            last: cursor.at,
            hard_state: inventory.live[first].header.hard_state.clone(),
            durable: Lsn::ZERO,
            torn: None,
            superseding: Superseding::default(),
            inventory,
        };
        recovered.read(cursor)?;
        Ok(recovered)
    }
}

impl Recovered {
    /// The whole of reading: follow, judge, look beyond.
    fn read(&mut self, mut cursor: Cursor) -> Result<()> {
        let first = self.last.segment;
        let newest = &self.inventory.live[self.inventory.live.len() - 1].header;
        if self.start.incarnation > newest.incarnation {
            return Err(LogError::Corrupt {
                lsn: self.start.lsn,
                expected: format!("a log of incarnation {} or later", self.start.incarnation),
                found: format!("incarnation {}", newest.incarnation),
            });
        }
        let bad = self.follow(&mut cursor)?;
        self.last = cursor.at;
        self.superseding.seal();
        for segment in &self.inventory.live[first..] {
            self.durable = self.durable.max(segment.header.durable);
        }
        let mut traces = bad
            .current
            .then(|| cursor.at.end.advance(RECORD_HEADER_BYTES as u64));
        cursor.evidence_beyond(|found| {
            self.durable = self.durable.max(found.durable);
            traces = traces.max(Some(found.end));
        })?;
        if self.durable > self.last.end {
            return Err(LogError::Corrupt {
                lsn: bad.lsn,
                expected: format!(
                    "{}, since the log was durable to {}",
                    bad.expected, self.durable
                ),
                found: bad.found,
            });
        }
        self.judge_unreadable_newest()?;
        self.torn = traces.map(|end| TornTail {
            lsn: self.last.end,
            bytes: end.0 - self.last.end.0,
        });
        Ok(())
    }

    /// Follows the chain to its end, which is returned.
    fn follow(&mut self, cursor: &mut Cursor) -> Result<Bad> {
        let mut crossed = false;
        let mut segment = cursor.at.segment;
        loop {
            let before = cursor.at;
            let step = cursor.step()?;
            if cursor.at.segment != segment {
                segment = cursor.at.segment;
                self.hard_state = cursor.segment().header.hard_state.clone();
            }
            let next = match &step {
                Step::Record(found) => found.lsn,
                Step::End(_) => Lsn::MAX,
            };
            if !crossed && next >= self.start.lsn {
                crossed = true;
                self.resume = Place { segment, ..before };
                self.check_start(&before, next)?;
            }
            let found = match step {
                Step::Record(found) => found,
                Step::End(bad) => return Ok(bad),
            };
            self.durable = self.durable.max(found.durable);
            self.superseding.note(&found, before.last_index);
            if found.head.kind == RecordKind::Vote {
                let payload = cursor.view(&found)?.payload;
                self.hard_state = HardState::decode(payload).map_err(|what| LogError::Corrupt {
                    lsn: found.lsn,
                    expected: "a hard state".to_owned(),
                    found: what,
                })?;
            }
        }
    }

    /// The checkpoint and the log must agree on what lies before its position;
    /// that was durable, since a checkpoint names nothing else.
    fn check_start(&mut self, before: &Place, next: Lsn) -> Result<()> {
        // Inside a record is no place.
        let agree = before.end <= self.start.lsn
            && before.chain == self.start.chain
            && before.last_index == self.start.index;
        if agree {
            self.durable = self.durable.max(self.start.lsn.min(before.end));
            return Ok(());
        }
        let ended = next == Lsn::MAX && before.end < self.start.lsn;
        if ended {
            // The log ends too early: its durable end will say so.
            self.durable = self.durable.max(self.start.lsn);
            return Ok(());
        }
        if planted(Mutant::FallbackOverRecycledLog) || planted(Mutant::AcceptStaleRecord) {
            return Ok(());
        }
        Err(LogError::Corrupt {
            lsn: self.start.lsn,
            expected: format!(
                "record {} with checksum {:#010x} before it",
                self.start.index, self.start.chain
            ),
            found: format!("record {} with {:#010x}", before.last_index, before.chain),
        })
    }

    /// A newest file without a readable header is the torn making of a
    /// segment, unless it holds records that can only have come after ours.
    fn judge_unreadable_newest(&self) -> Result<()> {
        let Some((name, error)) = &self.inventory.unreadable_newest else {
            return Ok(());
        };
        let file = self
            .disk
            .open(name, OpenMode::ReadOnly)
            .map_err(|source| LogError::io(format!("open {name}"), source))?;
        let size = file
            .len()
            .map_err(|source| LogError::io(format!("measure {name}"), source))?;
        let incarnation = self.inventory.live[self.last.segment].header.incarnation.0;
        let seed = checksum_seed(self.file_id);
        let mut window = Window::default();
        // A file gets this name when it is whole and its header durable, so no
        // torn making is too short for a header, or has a sound one that does
        // not fit the file: that file was cut or replaced.
        let block = window.get_of(
            file.as_ref(),
            &|| name.clone(),
            0,
            SEGMENT_HEADER_BYTES as usize,
        )?;
        if size < SEGMENT_HEADER_BYTES || SegmentHeader::decode(name, block).is_ok() {
            return Err(error.clone());
        }
        let mut offset = SEGMENT_HEADER_BYTES;
        while offset < size {
            let mut get = |len| {
                window
                    .get_of(file.as_ref(), &|| name.clone(), offset, len)
                    .map(<[u8]>::to_vec)
            };
            if let Ok(raw) = RawRecordHeader::read_from_bytes(&get(RECORD_HEADER_BYTES)?) {
                let len = raw.payload_len.get() as usize;
                let later =
                    raw.lsn.get() >= self.last.end.0 && raw.incarnation.get() >= incarnation;
                if later && len <= MAX_RECORD_PAYLOAD && record_bytes(len) <= size - offset {
                    let record = get(record_bytes(len) as usize)?;
                    if raw.sum(seed, record.get(RECORD_HEADER_BYTES..)) == raw.checksum.get() {
                        return Err(error.clone());
                    }
                }
            }
            offset += SEGMENT_HEADER_BYTES;
        }
        Ok(())
    }

    /// Hands every surviving record from the start point on to `each`, in
    /// order. Seal and vote records are not among them: the log keeps those to
    /// itself.
    ///
    /// # Errors
    /// What `each` returned; I/O; corruption that appeared meanwhile.
    pub fn for_each<E: From<LogError>>(
        &self,
        mut each: impl FnMut(&RecordRef<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut records = self.records();
        while let Some(record) = records.next()? {
            each(&record)?;
        }
        Ok(())
    }

    /// The surviving records from the start point on, one at a time.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        let cursor = Cursor::at_place(&self.inventory.live, self.file_id, self.resume);
        Records {
            recovered: self,
            cursor,
        }
    }

    /// End of the last record that counts.
    #[must_use]
    pub const fn end(&self) -> Lsn {
        self.last.end
    }

    /// Checksum of the last record that counts.
    #[must_use]
    pub const fn chain(&self) -> u32 {
        self.last.chain
    }

    /// Index of the last record that took one.
    #[must_use]
    pub const fn last_index(&self) -> Index {
        self.last.last_index
    }

    /// Highest time of any record.
    #[must_use]
    pub const fn last_time(&self) -> HybridTime {
        self.last.last_time
    }

    /// The newest hard state.
    #[must_use]
    pub const fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// The tail that will be cut, if there are traces of one.
    #[must_use]
    pub const fn torn(&self) -> Option<TornTail> {
        self.torn
    }

    /// D: everything below was durable before something else was written.
    #[must_use]
    pub const fn durable(&self) -> Lsn {
        self.durable
    }
}

/// The surviving records of a [`Recovered`] log, borrowed one at a time.
#[derive(Debug)]
pub struct Records<'a> {
    recovered: &'a Recovered,
    cursor: Cursor,
}

impl Records<'_> {
    /// The next surviving record; `None` at the end of the log.
    ///
    /// # Errors
    /// I/O, or a record that counted a moment ago and does not any more.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it returns is borrowed from itself"
    )]
    pub fn next(&mut self) -> Result<Option<RecordRef<'_>>> {
        let found = loop {
            if self.cursor.at.end >= self.recovered.last.end {
                return Ok(None);
            }
            let found = match self.cursor.step()? {
                Step::Record(found) => found,
                Step::End(bad) => {
                    return Err(LogError::Corrupt {
                        lsn: bad.lsn,
                        expected: bad.expected,
                        found: bad.found,
                    });
                }
            };
            let wanted = found.lsn >= self.recovered.start.lsn && found.head.kind.takes_index();
            if wanted && self.recovered.superseding.survives(&found) {
                break found;
            }
        };
        self.cursor.view(&found).map(Some)
    }
}

#[cfg(test)]
mod tests;
