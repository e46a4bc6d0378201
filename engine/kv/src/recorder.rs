//! The flight recorder: what the engine did last, for whoever has to find out
//! why a store failed.
//!
//! The newest [`EVENTS`] events are kept in memory. When the store poisons
//! itself they are written beside the database, as text, one line each; the file
//! of the failure before is replaced. Nothing that is stored is in them.
//!
//! ## Invariants
//! * Recording takes no lock but its own, for a moment, and never fails.
//! * The file is written once, with no lock held; that it cannot be written
//!   changes nothing.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cs_base::{Index, Lsn, Version};
use cs_io::{Disk, OpenMode, Runtime};
use parking_lot::Mutex;

/// The file that the events are written to.
pub const RECORDER_FILE: &str = "recorder.txt";
/// First line of it.
pub const RECORDER_HEAD: &str = "collection-store flight recorder 1";
/// How many events are kept: seconds of a busy store, hours of an idle one.
pub const EVENTS: usize = 4096;

/// Something that the engine did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The store was opened, and so many records of the log were applied.
    Opened {
        /// How many.
        records: u64,
    },
    /// A commit was appended and applied.
    Committed {
        /// Which.
        index: Index,
        /// Bytes of its effects.
        bytes: u64,
        /// Whether it waits for a sync.
        waits: bool,
    },
    /// A commit was refused; why.
    Refused(String),
    /// A version was sealed.
    Sealed {
        /// Which.
        version: Version,
        /// The newest commit in it.
        index: Index,
    },
    /// A reader came: so many commits in flight were taken back and done again.
    TakenBack {
        /// How many.
        commits: u64,
    },
    /// The log is durable up to there.
    Durable(Lsn),
    /// A checkpoint began.
    CheckpointBegan {
        /// Of this version.
        version: Version,
        /// The log is needed from here on when it ends.
        lsn: Lsn,
    },
    /// A checkpoint ended.
    CheckpointEnded,
    /// A snapshot was ended because it kept too much for too long.
    SnapshotEvicted {
        /// The last commit that it saw.
        index: Index,
    },
    /// There was no space for a commit.
    NoSpace,
    /// The store was poisoned; why.
    Poisoned(String),
}

impl Event {
    /// One word for it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "opened",
            Self::Committed { .. } => "committed",
            Self::Refused(_) => "refused",
            Self::Sealed { .. } => "sealed",
            Self::TakenBack { .. } => "taken-back",
            Self::Durable(_) => "durable",
            Self::CheckpointBegan { .. } => "checkpoint-began",
            Self::CheckpointEnded => "checkpoint-ended",
            Self::SnapshotEvicted { .. } => "snapshot-evicted",
            Self::NoSpace => "no-space",
            Self::Poisoned(_) => "poisoned",
        }
    }

    /// The rest of its line.
    fn details(&self) -> String {
        match self {
            Self::Opened { records } => format!("records={records}"),
            Self::Committed {
                index,
                bytes,
                waits,
            } => format!("index={index} bytes={bytes} waits={waits}"),
            Self::Refused(why) | Self::Poisoned(why) => format!("why={why:?}"),
            Self::Sealed { version, index } => format!("version={version} index={index}"),
            Self::TakenBack { commits } => format!("commits={commits}"),
            Self::Durable(lsn) => format!("lsn={lsn}"),
            Self::CheckpointBegan { version, lsn } => format!("version={version} lsn={lsn}"),
            Self::SnapshotEvicted { index } => format!("index={index}"),
            Self::CheckpointEnded | Self::NoSpace => String::new(),
        }
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    events: Mutex<VecDeque<(Duration, Event)>>,
    written: AtomicBool,
}

impl Recorder {
    pub(crate) fn record(&self, runtime: &dyn Runtime, event: Event) {
        let at = runtime.monotonic();
        let mut events = self.events.lock();
        if events.len() == EVENTS {
            events.pop_front();
        }
        events.push_back((at, event));
    }

    /// The lines of the file: microseconds since the store was opened, the name
    /// of the event, what goes with it.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{RECORDER_HEAD}\n");
        for (at, event) in &*self.events.lock() {
            let (micros, name) = (at.as_micros(), event.name());
            let line = format!("{micros} {name} {}", event.details());
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    /// Writes the file, once; an error is nobody's concern any more.
    pub(crate) fn write(&self, disk: &dyn Disk) {
        if self.written.swap(true, Ordering::AcqRel) {
            return;
        }
        let text = self.text();
        let _ = (|| {
            if disk.list()?.iter().any(|name| name == RECORDER_FILE) {
                disk.remove(RECORDER_FILE)?;
            }
            let file = disk.open(RECORDER_FILE, OpenMode::Create)?;
            file.write_at(text.as_bytes(), 0)?;
            file.sync()
        })();
    }
}

#[cfg(test)]
mod tests {
    use cs_io::SimRuntime;

    use super::*;

    #[test]
    fn the_newest_events_are_kept_and_told_one_a_line() {
        let (recorder, runtime) = (Recorder::default(), SimRuntime::new(1));
        for number in 0..EVENTS as u64 + 10 {
            recorder.record(&*runtime, Event::Durable(Lsn(number)));
        }
        recorder.record(&*runtime, Event::Poisoned("a\nline".into()));
        let text = recorder.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], RECORDER_HEAD);
        assert_eq!(lines.len(), EVENTS + 1);
        assert_eq!(lines[1], "0 durable lsn=11");
        assert_eq!(lines[EVENTS], r#"0 poisoned why="a\nline""#);
    }
}
