//! Segment files: how one is made, begun, and given back.
//!
//! A file goes through three names. It is made under a temporary one and
//! filled with zeroes by real writes, since unwritten extents double the cost
//! of a durable write; then it is a spare; then its header is written and it
//! is a segment. Recycling turns a segment into a spare again, with its old
//! records in it: chain, LSN and incarnation tell them from new ones.
//!
//! Invariants
//! * A file under a segment's name has a durable header and its full size.
//! * A name is durable before the file is used under it; a recycled file is
//!   durably a spare before its header is written anew.

use std::fmt;
use std::sync::Arc;

use cs_base::{BLOCK_SIZE, FileId, Incarnation, Lsn};
use cs_io::{AlignedBuf, Disk, File, OpenMode, WriteMode, is_no_space};

use crate::error::{Context, LogError, Result};
use crate::format::{SEGMENT_HEADER_BYTES, SegmentHeader};
use crate::names::{segment_name, spare_name, temporary_name};

/// Bytes that one write fills: large enough that calls do not count, small
/// enough not to matter as memory.
const FILL_BYTES: u64 = 256 << 10;

/// A file that can become a segment.
#[derive(Debug)]
pub(crate) struct Spare {
    pub(crate) name: String,
    pub(crate) capacity: u64,
    pub(crate) file: Arc<dyn File>,
}

/// A segment in use.
#[derive(Clone)]
pub(crate) struct Segment {
    pub(crate) header: Arc<SegmentHeader>,
    pub(crate) file: Arc<dyn File>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

/// What a segment is to its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentState {
    /// The newest: records are appended to it.
    Active,
    /// Full or cut; kept for recovery or a pin.
    Closed,
}

/// One segment as [`Log::segments`](crate::Log::segments) lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// File name.
    pub name: String,
    /// Its number.
    pub sequence: u64,
    /// LSN of its first byte after the header.
    pub base: Lsn,
    /// End of its last record; the next segment's base where that is not known.
    pub end: Lsn,
    /// Bytes after the header.
    pub capacity: u64,
    /// Incarnation of its records.
    pub incarnation: Incarnation,
    /// What it is to the log.
    pub state: SegmentState,
}

impl Segment {
    pub(crate) fn name(&self) -> String {
        segment_name(self.header.sequence)
    }

    pub(crate) fn info(&self, end: Lsn, state: SegmentState) -> SegmentInfo {
        SegmentInfo {
            name: self.name(),
            sequence: self.header.sequence,
            base: self.header.base,
            end,
            capacity: self.header.capacity,
            incarnation: self.header.incarnation,
            state,
        }
    }
}

/// Makes a zero-filled spare of `capacity` bytes, durable but for its name.
///
/// # Errors
/// [`LogError::NoSpace`], after which nothing is left behind, or an I/O error.
pub(crate) fn make_spare(disk: &dyn Disk, number: u64, capacity: u64) -> Result<Spare> {
    let mut making = Making::begin(disk, number, capacity)?;
    loop {
        if let Some(spare) = making.piece(disk)? {
            return Ok(spare);
        }
    }
}

/// A spare that is being made, piece by piece, so that the disk is never busy
/// with it for long.
pub(crate) struct Making {
    number: u64,
    capacity: u64,
    file: Arc<dyn File>,
    zeroes: AlignedBuf,
    filled: u64,
}

impl Making {
    /// Makes the file, with its full size.
    ///
    /// # Errors
    /// As [`make_spare`].
    pub(crate) fn begin(disk: &dyn Disk, number: u64, capacity: u64) -> Result<Self> {
        let size = SEGMENT_HEADER_BYTES + capacity;
        let begun = allocated(disk, &temporary_name(number), size).map(|file| Self {
            number,
            capacity,
            file,
            zeroes: AlignedBuf::zeroed(size.min(FILL_BYTES) as usize),
            filled: 0,
        });
        begun.map_err(|error| given_up(disk, number, capacity, error))
    }

    /// Bytes filled, and of how many.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.filled, SEGMENT_HEADER_BYTES + self.capacity)
    }

    /// Fills one piece more, or gives the file its name when there is none left.
    ///
    /// # Errors
    /// As [`make_spare`]; it must not be used any more.
    pub(crate) fn piece(&mut self, disk: &dyn Disk) -> Result<Option<Spare>> {
        let done = self.try_piece(disk);
        done.map_err(|error| given_up(disk, self.number, self.capacity, error))
    }

    fn try_piece(&mut self, disk: &dyn Disk) -> std::io::Result<Option<Spare>> {
        let (filled, size) = self.progress();
        if filled < size {
            let len = (size - filled).min(self.zeroes.len() as u64);
            self.file.write_at(&self.zeroes[..len as usize], filled)?;
            self.filled += len;
        }
        if self.filled < size {
            return Ok(None);
        }
        self.file.sync()?;
        let name = spare_name(self.number);
        disk.rename(&temporary_name(self.number), &name)?;
        Ok(Some(Spare {
            name,
            capacity: self.capacity,
            file: Arc::clone(&self.file),
        }))
    }

    /// Removes what was made. Best effort: the next open removes it else.
    pub(crate) fn abandon(self, disk: &dyn Disk) {
        let _ = disk.remove(&temporary_name(self.number));
    }
}

/// Removes what is left of a spare that could not be made, and says why.
fn given_up(disk: &dyn Disk, number: u64, capacity: u64, error: std::io::Error) -> LogError {
    let temporary = temporary_name(number);
    // Best effort: the next open removes what is left under this name.
    let _ = disk.remove(&temporary);
    if is_no_space(&error) {
        LogError::NoSpace {
            wanted: capacity,
            detail: error.to_string(),
        }
    } else {
        LogError::io(format!("make {temporary}"), error)
    }
}

fn allocated(disk: &dyn Disk, name: &str, size: u64) -> std::io::Result<Arc<dyn File>> {
    let file = match disk.open(name, OpenMode::Create) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            disk.remove(name)?;
            disk.open(name, OpenMode::Create)?
        }
        other => other?,
    };
    file.allocate(0, size)?;
    Ok(file)
}

/// Turns a spare into the segment of `header`: header, name, directory, each
/// durable before the next.
///
/// # Errors
/// An I/O error, after which the outcome is unknown.
pub(crate) fn begin(disk: &dyn Disk, spare: &Spare, mut header: SegmentHeader) -> Result<Segment> {
    debug_assert!(header.base.0.is_multiple_of(BLOCK_SIZE as u64));
    header.capacity = spare.capacity;
    let name = segment_name(header.sequence);
    let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
    block.copy_from_slice(&header.encode());
    spare
        .file
        .start_write(Arc::new(block), 0, WriteMode::Durable)
        .wait()
        .context(|| format!("write the header of {name}"))?;
    disk.rename(&spare.name, &name)
        .context(|| format!("rename {} to {name}", spare.name))?;
    disk.sync_directory()
        .context(|| format!("sync the directory for {name}"))?;
    Ok(Segment {
        header: Arc::new(header),
        file: spare.file.clone(),
    })
}

/// Reads and checks the header of the file `name`, and that the file is as
/// long as the header says.
pub(crate) fn open(disk: &dyn Disk, name: &str, mode: OpenMode) -> Result<Segment> {
    let file = disk.open(name, mode).context(|| format!("open {name}"))?;
    let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
    let len = file
        .read_at(&mut block, 0)
        .context(|| format!("read the header of {name}"))?;
    let header = SegmentHeader::decode(name, &block[..len])?;
    let expected = SEGMENT_HEADER_BYTES + header.capacity;
    let found = file.len().context(|| format!("measure {name}"))?;
    if found != expected {
        return Err(LogError::CorruptSegment {
            name: name.to_owned(),
            expected: format!("{expected} bytes"),
            found: format!("{found} bytes"),
        });
    }
    Ok(Segment {
        header: Arc::new(header),
        file,
    })
}

/// Opens a spare, if it has a usable size.
pub(crate) fn open_spare(disk: &dyn Disk, name: &str) -> Result<Option<Spare>> {
    let file = disk
        .open(name, OpenMode::ReadWrite)
        .context(|| format!("open {name}"))?;
    let len = file.len().context(|| format!("measure {name}"))?;
    let capacity = len.saturating_sub(SEGMENT_HEADER_BYTES);
    let usable = capacity > 0 && capacity.is_multiple_of(BLOCK_SIZE as u64);
    Ok(usable.then(|| Spare {
        name: name.to_owned(),
        capacity,
        file,
    }))
}

/// Refuses a segment of another database, or one whose header names another
/// sequence than its file name.
pub(crate) fn check_identity(
    segment: &Segment,
    name: &str,
    sequence: u64,
    file_id: FileId,
) -> Result<()> {
    let header = &segment.header;
    if header.file_id == file_id && header.sequence == sequence {
        return Ok(());
    }
    Err(LogError::CorruptSegment {
        name: name.to_owned(),
        expected: format!("file id {:#018x}, sequence {sequence}", file_id.0),
        found: format!(
            "file id {:#018x}, sequence {}",
            header.file_id.0, header.sequence
        ),
    })
}

#[cfg(test)]
mod tests;
