//! What the log takes on the disk, and giving back what it needs no more.

use crate::error::{Context, Result};
use crate::format::SEGMENT_HEADER_BYTES;
use crate::log::Log;
use crate::segment::Spare;

/// Bytes of the files of a log; the sum is their sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFiles {
    /// Segment headers, and records from the oldest segment that is kept to the end.
    pub live: u64,
    /// Room in segments that have records: ahead of the end, or never used.
    pub room: u64,
    /// Files that wait to become segments.
    pub spare: u64,
}

impl LogFiles {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.live + self.room + self.spare
    }
}

impl Log {
    /// What the log takes on the disk now.
    #[must_use]
    pub fn files(&self) -> LogFiles {
        let mut files = LogFiles::default();
        let appender = self.appender.lock();
        let active = (&appender.active, appender.end);
        let closed = appender.closed.iter().map(|one| (&one.segment, one.end));
        for (segment, end) in closed.chain([active]) {
            let header = &segment.header;
            let used = end.0.saturating_sub(header.base.0).min(header.capacity);
            files.live += SEGMENT_HEADER_BYTES + used;
            files.room += header.capacity - used;
        }
        let spares = appender.spares.iter();
        files.spare = spares
            .map(|spare| SEGMENT_HEADER_BYTES + spare.capacity)
            .sum();
        files
    }

    /// Removes the spares that a burst has left, but for those of the smallest
    /// size. Returns the bytes given back.
    ///
    /// # Errors
    /// An I/O error, after which the log is poisoned.
    pub fn trim_spares(&self) -> Result<u64> {
        let smallest = self.options.segment_bytes_min;
        self.remove_spares(|spares| spares.partition_point(|spare| spare.capacity <= smallest))
    }

    /// Removes all spares but the smallest: what is left to do where the disk
    /// is full. That one stays for a recovery, which must not want for space.
    /// Returns the bytes given back.
    ///
    /// # Errors
    /// As [`trim_spares`](Self::trim_spares).
    pub fn drop_spares(&self) -> Result<u64> {
        self.remove_spares(|_| 1)
    }

    /// Removes the spares behind the first so many, smallest first.
    fn remove_spares(&self, keep: impl FnOnce(&[Spare]) -> usize) -> Result<u64> {
        self.check()?;
        let mut one = self.maintenance.lock();
        if let Some(making) = one.take() {
            making.abandon(self.disk.as_ref());
        }
        let removed: Vec<_> = {
            let mut appender = self.appender.lock();
            appender.spares.sort_by_key(|spare| spare.capacity);
            let keep = keep(&appender.spares).min(appender.spares.len());
            appender.spares.split_off(keep)
        };
        let mut bytes = 0;
        for spare in &removed {
            self.disk
                .remove(&spare.name)
                .context(|| format!("remove {}", spare.name))
                .inspect_err(|error| self.poison(&error.to_string()))?;
            bytes += SEGMENT_HEADER_BYTES + spare.capacity;
        }
        Ok(bytes)
    }
}
