//! The end of recovery: what was read becomes durable, the rest is cut.
//!
//! 1. Write the blocks from the durable LSN to the end again, and sync their
//!    files: after a crash of the process the page cache shows
//!    bytes that the disk does not have.
//! 2. Begin a new segment behind the end, in a new incarnation, naming that
//!    end as durable. Whatever lay beyond is dead from then on, since the new
//!    segment says what it continues and where.
//! 3. Only then remove dead files.
//!
//! A crash at any point leaves a log that recovers to the same records.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_base::mutants::{Mutant, planted};
use cs_base::{BLOCK_SIZE, FileId, HybridTime, Incarnation, Index, Lsn, round_up};
use cs_io::{AlignedBuf, Disk, File, OpenMode, Pending, Runtime, WriteMode};
use zerocopy::FromBytes;

use crate::append::{Appender, Closed};
use crate::error::{Context, LogError, Result};
use crate::format::{HardState, RawRecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::gather::Gather;
use crate::inventory::Inventory;
use crate::log::{Log, Parts};
use crate::names::{FileName, parse};
use crate::options::LogOptions;
use crate::recover::Recovered;
use crate::segment::{Spare, begin, make_spare, open, open_spare};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// Bytes that one write of step 1 carries …
const COPY_BYTES: u64 = 256 << 10;
/// … and how many are in flight.
const COPY_DEPTH: usize = 4;

/// Smallest segment that is made when there is no room for a proper one: the
/// database must open on a full disk, or nothing can ever be deleted.
const LAST_RESORT_BYTES: u64 = 4 * BLOCK;

impl Recovered {
    /// Makes durable what was read, cuts the rest off, and returns the log
    /// ready for appending.
    ///
    /// # Errors
    /// I/O or [`LogError::NoSpace`]: nothing that was read is lost by it, and
    /// recovery may be tried again.
    pub fn finish(mut self) -> Result<Log> {
        for segment in &self.inventory.live {
            segment.header.check_writable(&segment.name())?;
        }
        if !planted(Mutant::RecoveryWithoutSync) {
            self.make_durable()?;
        }
        let disk = self.disk.clone();
        remove_all(disk.as_ref(), &self.inventory.temporaries)?;

        let newest = self
            .inventory
            .live
            .iter()
            .map(|segment| segment.header.incarnation)
            .max();
        let newest = newest.unwrap_or(Incarnation::ZERO);
        let closed = self.take_closed();
        let mut spares = self.open_spares()?;
        let next_file = self.inventory.next_file;
        let spare = take_first(disk.as_ref(), &mut spares, next_file, &self.options)?;
        let header = SegmentHeader {
            file_id: self.file_id,
            sequence: self.inventory.next_sequence(),
            previous: closed.back().map_or(0, |last| last.segment.header.sequence),
            base: Lsn(round_up(self.last.end.0, BLOCK)),
            capacity: spare.capacity,
            incarnation: newest.next(),
            first_index: self.last.last_index.next(),
            durable: self.last.end,
            last_time: self.last.last_time,
            last_end: self.last.end,
            chain: self.last.chain,
            hard_state: self.hard_state.clone(),
            read_only_compatible: 0,
        };
        let active = begin(disk.as_ref(), &spare, header)?;
        remove_all(disk.as_ref(), &self.inventory.dead)?;
        Ok(Log::assemble(Parts {
            disk,
            runtime: self.runtime,
            file_id: self.file_id,
            options: self.options,
            appender: Appender {
                active,
                closed,
                spares,
                end: self.last.end,
                chain: self.last.chain,
                last_index: self.last.last_index,
                last_time: self.last.last_time,
                sealed: true,
                hard_state: self.hard_state,
                gather: Gather::default(),
            },
            next_file: next_file + 1,
        }))
    }

    /// Step 1.
    fn make_durable(&self) -> Result<()> {
        let live = &self.inventory.live;
        let from = Lsn(self.durable.0 / BLOCK * BLOCK);
        let to = Lsn(round_up(self.last.end.0, BLOCK));
        for (position, segment) in live.iter().enumerate() {
            let begin = from.max(segment.header.base);
            let end = to.min(Inventory::extent_end(live, position));
            if begin >= end || self.durable >= self.last.end {
                continue;
            }
            let (offset, len) = (segment.header.offset(begin), end.0 - begin.0);
            write_again(segment.file.as_ref(), offset, len)
                .and_then(|()| segment.file.sync())
                .context(|| format!("make {} durable", segment.name()))?;
        }
        Ok(())
    }

    /// The segments that stay, and all others among the dead: those beyond the
    /// end, and those at the end that hold no record.
    fn take_closed(&mut self) -> VecDeque<Closed> {
        let live = std::mem::take(&mut self.inventory.live);
        let ends: Vec<_> = (0..live.len())
            .map(|at| Inventory::extent_end(&live, at))
            .collect();
        let mut closed = VecDeque::new();
        for (position, (segment, end)) in live.into_iter().zip(ends).enumerate() {
            if position > self.last.segment || segment.header.base >= self.last.end {
                self.inventory.dead.push(segment.name());
            } else {
                closed.push_back(Closed {
                    segment,
                    end: end.min(self.last.end),
                });
            }
        }
        if let Some((name, _)) = self.inventory.unreadable_newest.take() {
            self.inventory.dead.push(name);
        }
        closed
    }

    /// Opens what waits for reuse; what is not usable, or too much, goes.
    fn open_spares(&self) -> Result<Vec<Spare>> {
        let mut spares = Vec::new();
        for name in &self.inventory.spares {
            let spare = open_spare(self.disk.as_ref(), name)?
                .filter(|spare| spare.capacity <= self.options.segment_bytes_max);
            match spare {
                Some(spare) if spares.len() < self.options.spare_segments.max(1) => {
                    spares.push(spare);
                }
                _ => remove_all(self.disk.as_ref(), std::slice::from_ref(name))?,
            }
        }
        Ok(spares)
    }
}

impl Log {
    /// Begins the log of a new database. Left-overs of a creation that was cut
    /// short are removed.
    ///
    /// # Errors
    /// [`LogError::AlreadyExists`] if there is a segment with records;
    /// [`LogError::NoSpace`]; I/O.
    pub fn create(
        disk: Arc<dyn Disk>,
        runtime: Arc<dyn Runtime>,
        file_id: FileId,
        options: LogOptions,
    ) -> Result<Self> {
        let options = options.normalised();
        let mut newest = 0;
        let mut left_over = Vec::new();
        for name in disk.list().context(|| "list the directory".to_owned())? {
            match parse(&name) {
                Some(FileName::Segment(sequence)) => {
                    if holds_records(disk.as_ref(), &name)? {
                        return Err(LogError::AlreadyExists { name });
                    }
                    newest = newest.max(sequence);
                    left_over.push(name);
                }
                Some(_) => left_over.push(name),
                None => {}
            }
        }
        remove_all(disk.as_ref(), &left_over)?;
        let spare = make_spare(disk.as_ref(), 0, options.segment_bytes_min)?;
        let header = SegmentHeader {
            file_id,
            sequence: newest + 1,
            previous: 0,
            base: Lsn::ZERO,
            capacity: spare.capacity,
            incarnation: Incarnation(1),
            first_index: Index(1),
            durable: Lsn::ZERO,
            last_time: HybridTime::ZERO,
            last_end: Lsn::ZERO,
            chain: 0,
            hard_state: HardState::default(),
            read_only_compatible: 0,
        };
        let active = begin(disk.as_ref(), &spare, header)?;
        let appender = Appender {
            active,
            closed: VecDeque::new(),
            spares: Vec::new(),
            end: Lsn::ZERO,
            chain: 0,
            last_index: Index::ZERO,
            last_time: HybridTime::ZERO,
            sealed: true,
            hard_state: HardState::default(),
            gather: Gather::default(),
        };
        Ok(Self::assemble(Parts {
            disk,
            runtime,
            file_id,
            options,
            appender,
            next_file: 1,
        }))
    }
}

/// Reads and writes the same bytes, whole blocks; several writes are in flight,
/// and durable once the caller has synced the file.
fn write_again(file: &dyn File, mut offset: u64, mut len: u64) -> std::io::Result<()> {
    let mut in_flight: VecDeque<Pending> = VecDeque::new();
    while len > 0 {
        let now = len.min(COPY_BYTES);
        let mut bytes = AlignedBuf::zeroed(now as usize);
        let read = file.read_at(&mut bytes, offset)?;
        if (read as u64) < now {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if in_flight.len() == COPY_DEPTH
            && let Some(first) = in_flight.pop_front()
        {
            first.wait()?;
        }
        in_flight.push_back(file.start_write(Arc::new(bytes), offset, WriteMode::Plain));
        offset += now;
        len -= now;
    }
    in_flight.into_iter().try_for_each(Pending::wait)
}

/// The largest spare, or a new file of the smallest size.
fn take_first(
    disk: &dyn Disk,
    spares: &mut Vec<Spare>,
    number: u64,
    options: &LogOptions,
) -> Result<Spare> {
    let largest = spares
        .iter()
        .enumerate()
        .max_by_key(|(_, spare)| spare.capacity);
    if let Some(position) = largest.map(|(position, _)| position) {
        return Ok(spares.remove(position));
    }
    match make_spare(disk, number, options.segment_bytes_min) {
        Err(LogError::NoSpace { .. }) => make_spare(disk, number, LAST_RESORT_BYTES),
        other => other,
    }
}

fn remove_all(disk: &dyn Disk, names: &[String]) -> Result<()> {
    names
        .iter()
        .try_for_each(|name| disk.remove(name).context(|| format!("remove {name}")))
}

/// Whether the segment begins with a record that its header expects. The
/// checksum is not asked: where in doubt, nothing is removed.
fn holds_records(disk: &dyn Disk, name: &str) -> Result<bool> {
    let segment = match open(disk, name, OpenMode::ReadOnly) {
        Ok(segment) => segment,
        Err(error) if error.is_corruption() => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
    segment
        .file
        .read_at(&mut block, SEGMENT_HEADER_BYTES)
        .context(|| format!("read {name}"))?;
    let Ok((raw, _)) = RawRecordHeader::read_from_prefix(&block) else {
        return Ok(false);
    };
    let ours = raw.lsn.get() == segment.header.base.0
        && raw.incarnation.get() == segment.header.incarnation.0
        && raw.previous.get() == segment.header.chain;
    Ok(ours)
}

#[cfg(test)]
mod tests;
