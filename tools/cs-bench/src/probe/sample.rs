//! The parts that every measurement is made of: a prewritten file, a timed
//! loop, and a way to say that the system does not want to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cs_io::AlignedBuf;

use crate::error::BenchError;
use crate::latency::{Latencies, Summary};

/// One write: a block.
pub(crate) const BLOCK: usize = 4096;
/// Length of a prewritten file. Writers go round in it.
pub(crate) const FILE_BYTES: u64 = 32 << 20;
/// Steps that are done before the clock starts.
const WARM_UP: u64 = 16;
/// A file that grows does not grow beyond this: the row ends early instead.
pub(super) const MOST_GROWTH: u64 = 1 << 30;

/// Where to measure, and for how long.
#[derive(Debug)]
pub(super) struct Scratch {
    /// A directory of ours.
    pub(super) directory: PathBuf,
    /// Time for each row.
    pub(super) time: Duration,
}

/// How the writes of a file become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Through the page cache, synced by a call.
    Buffered,
    /// O_DIRECT and O_DSYNC: past the page cache, durable when the write returns.
    DirectDurable,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) outcome: Outcome,
}

/// How a measurement ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With figures.
    Measured(Measured),
    /// This system does not do that; the reason.
    Unsupported(String),
}

/// The figures of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// Operations (or records) for each second.
    pub(super) per_s: f64,
    /// Time of each.
    pub(super) latency: Summary,
    /// Records for each durable write, where several share one.
    pub(super) records_per_sync: Option<f64>,
}

/// Turns a refusal of the system into a row that says so; other errors stay.
pub(super) fn unless_refused(
    what: &'static str,
    result: io::Result<Measured>,
) -> Result<Outcome, BenchError> {
    match result {
        Ok(measured) => Ok(Outcome::Measured(measured)),
        Err(error) if is_refusal(&error) => Ok(Outcome::Unsupported(error.to_string())),
        Err(source) => Err(BenchError::Io {
            what: what.to_owned(),
            source,
        }),
    }
}

/// Whether the system says "not here" rather than "it went wrong".
fn is_refusal(error: &io::Error) -> bool {
    let not_supported = error.raw_os_error() == Some(libc::EOPNOTSUPP);
    // EINVAL is how O_DIRECT is refused, EPERM how io_uring is.
    let kind = matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
    );
    not_supported || kind
}

impl Scratch {
    /// A new file of [`FILE_BYTES`] zero bytes that are on disk.
    pub(super) fn prewritten(&self, name: &str, access: Access) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        if access == Access::DirectDurable {
            // Without O_DSYNC, which would make the zeroes take long.
            options.custom_flags(libc::O_DIRECT);
        }
        let path = self.directory.join(name);
        let file = options.open(&path)?;
        let zeroes = AlignedBuf::zeroed(1 << 20);
        for at in (0..FILE_BYTES).step_by(zeroes.len()) {
            file.write_all_at(&zeroes, at)?;
        }
        file.sync_all()?;
        match access {
            Access::Buffered => Ok(file),
            Access::DirectDurable => OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
                .open(&path),
        }
    }

    /// A new, empty file.
    pub(super) fn empty(&self, name: &str) -> io::Result<File> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.directory.join(name))
    }

    /// Removes a file, so that the next row has its space.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.directory.join(name))
    }

    /// Calls `step` with 0, 1, 2, … until the time is over, or `most` times.
    pub(super) fn sample(
        &self,
        most: u64,
        mut step: impl FnMut(u64) -> io::Result<()>,
    ) -> io::Result<Measured> {
        for number in 0..WARM_UP {
            step(number)?;
        }
        let mut latencies = Latencies::new();
        let start = Instant::now();
        let mut before = start;
        for number in WARM_UP..most {
            step(number)?;
            let now = Instant::now();
            latencies.record(now - before);
            before = now;
            if now - start >= self.time {
                break;
            }
        }
        let seconds = (before - start).as_secs_f64();
        Ok(Measured {
            per_s: latencies.count() as f64 / seconds,
            latency: latencies.summary(),
            records_per_sync: None,
        })
    }
}

/// Offset of block `number` in a file that is written round and round.
pub(super) fn round_offset(number: u64) -> u64 {
    number * BLOCK as u64 % FILE_BYTES
}
