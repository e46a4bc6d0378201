//! Which files of the log there are, and which of them still count.
//!
//! Each segment names the one it continues. The newest readable segment and
//! all that it reaches in this way are *live*; any other is dead: cut off by a
//! later opening, or left from a recycling that a crash undid.
//!
//! Invariants
//! * Looking changes nothing.
//! * Live segments follow each other without a gap in position, and their
//!   incarnations do not fall.

use std::collections::BTreeMap;

use cs_base::{FileId, Lsn};
use cs_io::{Disk, OpenMode};

use crate::error::{Context, LogError, Result};
use crate::names::{FileName, parse, segment_name};
use crate::options::StartPoint;
use crate::segment::{Segment, check_identity, open};

/// The files of one log.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Oldest first.
    pub(crate) live: Vec<Segment>,
    /// Segments that nothing reaches.
    pub(crate) dead: Vec<String>,
    pub(crate) spares: Vec<String>,
    pub(crate) temporaries: Vec<String>,
    /// The newest file, where its header cannot be read.
    pub(crate) unreadable_newest: Option<(String, LogError)>,
    /// Why the live ones do not begin earlier, where that is a bad header.
    pub(crate) broken: Option<LogError>,
    pub(crate) newest_sequence: u64,
    /// A number above all in names of spares and temporary files.
    pub(crate) next_file: u64,
}

impl Inventory {
    /// Lists and opens.
    ///
    /// # Errors
    /// I/O, another database's files, an unknown format, or live segments that
    /// contradict each other.
    pub(crate) fn take(disk: &dyn Disk, file_id: FileId, mode: OpenMode) -> Result<Self> {
        let mut inventory = Self {
            next_file: 1,
            ..Self::default()
        };
        let mut sequences = BTreeMap::new();
        for name in disk.list().context(|| "list the directory".to_owned())? {
            match parse(&name) {
                Some(FileName::Segment(sequence)) => {
                    sequences.insert(sequence, name);
                }
                Some(FileName::Spare(number)) => {
                    inventory.next_file = inventory.next_file.max(number.saturating_add(1));
                    inventory.spares.push(name);
                }
                Some(FileName::Temporary) => inventory.temporaries.push(name),
                None => {}
            }
        }
        inventory.newest_sequence = sequences.keys().next_back().copied().unwrap_or(0);
        inventory.follow(disk, file_id, mode, &mut sequences)?;
        inventory.dead = sequences.into_values().collect();
        inventory.check_order()?;
        Ok(inventory)
    }

    /// Follows the chain of segments from the newest back, taking them out of
    /// `sequences`.
    fn follow(
        &mut self,
        disk: &dyn Disk,
        file_id: FileId,
        mode: OpenMode,
        sequences: &mut BTreeMap<u64, String>,
    ) -> Result<()> {
        let mut wanted = self.newest_sequence;
        while let Some(name) = sequences.remove(&wanted) {
            let opened = open(disk, &name, mode).and_then(|segment| {
                check_identity(&segment, &name, wanted, file_id).map(|()| segment)
            });
            match opened {
                Ok(segment) => {
                    wanted = segment.header.previous;
                    self.live.push(segment);
                }
                Err(error)
                    if error.is_corruption()
                        && self.live.is_empty()
                        && self.unreadable_newest.is_none() =>
                {
                    self.unreadable_newest = Some((name, error));
                    wanted = sequences.keys().next_back().copied().unwrap_or(0);
                }
                Err(error) if error.is_corruption() => {
                    self.broken = Some(error);
                    // What lies before it is out of reach, but not ours to remove.
                    sequences.retain(|&sequence, _| sequence > wanted);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        self.live.reverse();
        Ok(())
    }

    fn check_order(&self) -> Result<()> {
        for pair in self.live.windows(2) {
            let (before, after) = (&pair[0].header, &pair[1].header);
            let follows = before.base <= after.base && after.base <= before.limit();
            if !follows || before.incarnation > after.incarnation {
                return Err(LogError::CorruptSegment {
                    name: pair[1].name(),
                    expected: format!(
                        "base from {} to {}, incarnation from {}",
                        before.base,
                        before.limit(),
                        before.incarnation
                    ),
                    found: format!("base {}, incarnation {}", after.base, after.incarnation),
                });
            }
        }
        Ok(())
    }

    /// First position after the live part of segment `position`: its own end,
    /// or where the next one begins.
    pub(crate) fn extent_end(segments: &[Segment], position: usize) -> Lsn {
        let limit = segments[position].header.limit();
        segments
            .get(position + 1)
            .map_or(limit, |next| limit.min(next.header.base))
    }

    /// Position among the live ones of the segment in which reading from
    /// `start` begins.
    ///
    /// # Errors
    /// [`LogError::Unreachable`], or the bad header that cuts the log short.
    pub(crate) fn locate(&self, start: &StartPoint) -> Result<usize> {
        // A segment that begins right behind the start needs no other.
        let behind = |segment: &Segment| {
            segment.header.last_end == start.lsn && segment.header.chain == start.chain
        };
        if let Some(position) = self.live.iter().rposition(behind) {
            return Ok(position);
        }
        if let Some(position) = self
            .live
            .iter()
            .rposition(|segment| segment.header.base <= start.lsn)
        {
            return Ok(position);
        }
        if let Some(error) = &self.broken {
            return Err(error.clone());
        }
        if let (None, Some((_, error))) = (self.live.first(), &self.unreadable_newest) {
            return Err(error.clone());
        }
        let first = self.live.first().map(|segment| segment.header.base);
        Err(LogError::Unreachable {
            wanted: start.lsn,
            first,
        })
    }

    /// Name that the next segment gets, and its number.
    pub(crate) fn next_sequence(&self) -> u64 {
        debug_assert!(parse(&segment_name(self.newest_sequence)).is_some());
        self.newest_sequence + 1
    }
}

#[cfg(test)]
mod tests;
