//! Following an open log: what is durable of it, record by record, while others
//! append.
//!
//! Invariants
//! * Nothing beyond the durable LSN is read: what is behind it may still change.
//! * A pin of the tail's own keeps the segment in which it stands. Once the pin
//!   is lost nothing more is returned: the files may be in use for something else.

use std::sync::Arc;

use cs_base::{Index, Lsn};

use crate::error::{LogError, Result};
use crate::log::Log;
use crate::scan::{Cursor, Place, RecordRef, Step};
use crate::segment::Segment;

/// See the module's text.
#[derive(Debug)]
pub struct Tail {
    log: Arc<Log>,
    /// Name of its pin.
    pin: String,
    max_bytes: Option<u64>,
    cursor: Cursor,
    /// How far the log was durable when the cursor's memory was filled.
    durable: Lsn,
    /// There is nothing more up to there.
    is_exhausted: bool,
    /// Records up to here were asked not to be shown.
    after: Index,
}

impl Log {
    /// Follows the log from the first record behind index `after` on. `name` is
    /// that of the pin which keeps what has not been read yet, up to `max_bytes`.
    ///
    /// # Errors
    /// [`LogError::Unreachable`]: that record is not kept any more.
    pub fn tail(
        self: &Arc<Self>,
        name: &str,
        after: Index,
        max_bytes: Option<u64>,
    ) -> Result<Tail> {
        self.check()?;
        // Whoever gives segments back waits until the pin holds.
        let _one = self.maintenance.lock();
        let segments = self.chain();
        let wanted = after.next();
        let from = segments
            .iter()
            .rposition(|segment| segment.header.first_index <= wanted);
        let Some(from) = from else {
            let first = segments.first().map(|segment| segment.header.base);
            let wanted = Lsn::ZERO;
            return Err(LogError::Unreachable { wanted, first });
        };
        // Segments of one index hold nothing that takes one: the oldest of them.
        let first_index = segments[from].header.first_index;
        let same = |segment: &Segment| segment.header.first_index == first_index;
        let from = segments.iter().position(same).unwrap_or(from);
        self.pin(name, segments[from].header.base, max_bytes);
        Ok(Tail {
            cursor: Cursor::at_segment(&segments, self.file_id, from),
            log: Arc::clone(self),
            pin: name.to_owned(),
            max_bytes,
            durable: self.durable_lsn(),
            is_exhausted: false,
            after,
        })
    }

    /// All segments in use, oldest first.
    fn chain(&self) -> Vec<Segment> {
        let appender = self.appender.lock();
        let closed = appender.closed.iter().map(|closed| closed.segment.clone());
        closed.chain([appender.active.clone()]).collect()
    }
}

impl Tail {
    /// What `read` makes of the next durable record that takes an index; `None`
    /// where the log is durable no further.
    ///
    /// # Errors
    /// [`LogError::Unreachable`]: the tail fell behind by more than its bytes,
    /// and what comes next is not kept any more. Damage; I/O.
    pub fn next<R>(&mut self, read: impl FnOnce(RecordRef<'_>) -> R) -> Result<Option<R>> {
        loop {
            if self.is_exhausted && !self.refresh()? {
                return Ok(None);
            }
            let before = self.cursor.at;
            if before.end >= self.durable {
                self.is_exhausted = true;
                continue;
            }
            let step = self.cursor.step();
            // What was read may be of another life of the file.
            self.check_kept()?;
            let found = match step? {
                Step::Record(found) if found.lsn < self.durable => found,
                Step::End(bad) if bad.lsn < self.durable => {
                    return Err(LogError::Corrupt {
                        lsn: bad.lsn,
                        expected: bad.expected,
                        found: bad.found,
                    });
                }
                // Only padding was left: what is behind it is not durable yet.
                Step::Record(_) | Step::End(_) => {
                    self.cursor.go_back(before);
                    self.is_exhausted = true;
                    continue;
                }
            };
            if !found.head.kind.takes_index() || found.head.index <= self.after {
                continue;
            }
            let record = self.cursor.view(&found)?;
            return Ok(Some(read(record)));
        }
    }

    /// Looks whether the log has become durable further, and lets go of what was read.
    fn refresh(&mut self) -> Result<bool> {
        let durable = self.log.durable_lsn();
        if durable == self.durable {
            return Ok(false);
        }
        self.check_kept()?;
        self.durable = durable;
        self.is_exhausted = false;
        self.log.pin(&self.pin, self.cursor.at.end, self.max_bytes);
        let sequence = self.cursor.segment().header.sequence;
        let segments = self.log.chain();
        let same = |segment: &Segment| segment.header.sequence == sequence;
        if let Some(segment) = segments.iter().position(same) {
            let at = Place {
                segment,
                ..self.cursor.at
            };
            self.cursor = Cursor::at_place(&segments, self.log.file_id, at);
        }
        Ok(true)
    }

    fn check_kept(&self) -> Result<()> {
        let pins = self.log.pins();
        let own = pins.iter().find(|pin| pin.name == self.pin);
        if own.is_some_and(|pin| !pin.lost) {
            return Ok(());
        }
        let first = self.log.chain().first().map(|segment| segment.header.base);
        Err(LogError::Unreachable {
            wanted: self.cursor.at.end,
            first,
        })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.log.unpin(&self.pin);
    }
}

#[cfg(test)]
mod tests;
