//! A look at the log for tools: lists, judges, never writes.
//!
//! Unlike recovery it does not stop at the first thing that is wrong, and it
//! shows dead segments and spares too.

use std::sync::Arc;

use cs_base::{FileId, Incarnation, Index, Lsn};
use cs_io::{Disk, OpenMode};

use crate::error::{Context, LogError, Result};
use crate::format::HardState;
use crate::inventory::Inventory;
use crate::names::{FileName, parse};
use crate::scan::{Cursor, RecordRef, Step};
use crate::segment::{Segment, open};

/// What a file is to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentRole {
    /// Counts.
    Live,
    /// A later segment does not reach it.
    Dead,
    /// Waits for reuse; what it holds is old.
    Spare,
    /// Its making was cut short.
    Temporary,
}

/// One file of the log.
#[derive(Clone, Debug)]
pub struct SegmentReport {
    /// File name.
    pub name: String,
    /// What it is to the log.
    pub role: SegmentRole,
    /// Size in bytes.
    pub file_bytes: u64,
    /// Its header, or why it cannot be read. Spares and temporary files have
    /// none that counts.
    pub header: std::result::Result<HeaderReport, LogError>,
}

/// What a segment's header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderReport {
    /// Which database.
    pub file_id: FileId,
    /// Its number.
    pub sequence: u64,
    /// The one it continues, 0 for none.
    pub previous: u64,
    /// LSN of the first byte after the header.
    pub base: Lsn,
    /// Bytes after the header.
    pub capacity: u64,
    /// Incarnation of its records.
    pub incarnation: Incarnation,
    /// Index that its first record is expected to take.
    pub first_index: Index,
    /// How far the log was durable when it was begun.
    pub durable: Lsn,
    /// Checksum of the record before its base.
    pub chain: u32,
    /// Hard state when it was begun.
    pub hard_state: HardState,
}

/// Whether what lies at a position counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A sound record that continues the one before.
    Good,
    /// A sound record of this place and incarnation, behind a break of the chain.
    Detached,
    /// No record where one might be: the end, or damage.
    End {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
}

/// One record, or the lack of one.
#[derive(Clone, Debug)]
pub struct RecordReport<'a> {
    /// Where.
    pub lsn: Lsn,
    /// Whether it counts.
    pub verdict: Verdict,
    /// The record, but for [`Verdict::End`].
    pub record: Option<RecordRef<'a>>,
}

/// Read-only view of the log in a directory.
#[derive(Debug)]
pub struct LogReader {
    disk: Arc<dyn Disk>,
    file_id: FileId,
}

impl LogReader {
    /// A view of the log of the database `file_id`.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, file_id: FileId) -> Self {
        Self { disk, file_id }
    }

    /// A view of whatever log is there: the newest readable segment says whose.
    ///
    /// # Errors
    /// I/O; [`LogError::Unreachable`] if no segment can be read.
    pub fn discover(disk: Arc<dyn Disk>) -> Result<Self> {
        let names = disk.list().context(|| "list the directory".to_owned())?;
        let segments = names
            .iter()
            .rev()
            .filter(|name| matches!(parse(name), Some(FileName::Segment(_))));
        let mut readable =
            segments.filter_map(|name| open(disk.as_ref(), name, OpenMode::ReadOnly).ok());
        let first = readable.next().ok_or(LogError::Unreachable {
            wanted: Lsn::ZERO,
            first: None,
        })?;
        let file_id = first.header.file_id;
        drop(readable);
        Ok(Self { disk, file_id })
    }

    /// Whose log it is.
    #[must_use]
    pub const fn file_id(&self) -> FileId {
        self.file_id
    }

    /// Every file of the log, by name.
    ///
    /// # Errors
    /// I/O, or live segments that contradict each other.
    pub fn segments(&self) -> Result<Vec<SegmentReport>> {
        let live: Vec<String> = self.live()?.iter().map(Segment::name).collect();
        let mut reports = Vec::new();
        for name in self
            .disk
            .list()
            .context(|| "list the directory".to_owned())?
        {
            let role = match parse(&name) {
                Some(FileName::Segment(_)) if live.contains(&name) => SegmentRole::Live,
                Some(FileName::Segment(_)) => SegmentRole::Dead,
                Some(FileName::Spare(_)) => SegmentRole::Spare,
                Some(FileName::Temporary) => SegmentRole::Temporary,
                None => continue,
            };
            let file = self
                .disk
                .open(&name, OpenMode::ReadOnly)
                .context(|| format!("open {name}"))?;
            let file_bytes = file.len().context(|| format!("measure {name}"))?;
            let header =
                open(self.disk.as_ref(), &name, OpenMode::ReadOnly).map(|segment| report(&segment));
            reports.push(SegmentReport {
                name,
                role,
                file_bytes,
                header,
            });
        }
        Ok(reports)
    }

    /// Hands every record of the live segments to `each`, from the oldest; at
    /// a break says so, and goes on with what is sound behind it. `each`
    /// returns whether to go on.
    ///
    /// # Errors
    /// I/O, or a sound record of an unknown kind.
    pub fn for_each_record(&self, mut each: impl FnMut(&RecordReport<'_>) -> bool) -> Result<()> {
        let live = self.live()?;
        if live.is_empty() {
            return Ok(());
        }
        let mut cursor = Cursor::at_segment(&live, self.file_id, 0);
        loop {
            match cursor.step()? {
                Step::Record(found) => {
                    let record = cursor.view(&found)?;
                    let report = RecordReport {
                        lsn: record.lsn,
                        verdict: Verdict::Good,
                        record: Some(record),
                    };
                    if !each(&report) {
                        return Ok(());
                    }
                }
                Step::End(bad) => {
                    let verdict = Verdict::End {
                        expected: bad.expected,
                        found: bad.found,
                    };
                    if !each(&RecordReport {
                        lsn: bad.lsn,
                        verdict,
                        record: None,
                    }) {
                        return Ok(());
                    }
                    break;
                }
            }
        }
        self.detached(&live, &mut cursor, &mut each)
    }

    /// What is sound behind the break.
    fn detached(
        &self,
        live: &[Segment],
        cursor: &mut Cursor,
        each: &mut impl FnMut(&RecordReport<'_>) -> bool,
    ) -> Result<()> {
        let mut list = Vec::new();
        cursor.evidence_beyond(|found| list.push(*found))?;
        for found in list {
            // The cursor must stand in the record's segment to show its payload.
            let position = live
                .iter()
                .rposition(|segment| segment.header.base <= found.lsn);
            let mut there = Cursor::at_segment(live, self.file_id, position.unwrap_or(0));
            let record = there.view(&found)?;
            let report = RecordReport {
                lsn: found.lsn,
                verdict: Verdict::Detached,
                record: Some(record),
            };
            if !each(&report) {
                break;
            }
        }
        Ok(())
    }

    fn live(&self) -> Result<Vec<Segment>> {
        Ok(Inventory::take(self.disk.as_ref(), self.file_id, OpenMode::ReadOnly)?.live)
    }
}

fn report(segment: &Segment) -> HeaderReport {
    let header = &segment.header;
    HeaderReport {
        file_id: header.file_id,
        sequence: header.sequence,
        previous: header.previous,
        base: header.base,
        capacity: header.capacity,
        incarnation: header.incarnation,
        first_index: header.first_index,
        durable: header.durable,
        chain: header.chain,
        hard_state: header.hard_state.clone(),
    }
}

#[cfg(test)]
mod tests;
