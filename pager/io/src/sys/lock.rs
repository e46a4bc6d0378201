//! The lock file: who has the directory, and since when.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use super::calls;
use crate::names::LOCK_NAME;
use crate::{LockError, LockGuard};

/// Longest lock file that is read for the message: three short lines.
const TEXT_BYTES_MAX: u64 = 512;

/// Holds the lock until it is dropped, or the process ends. The file stays: to
/// remove it would let a second process lock a new file of the same name.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    file: File,
    /// Who took it: a forked child has a copy, and gives nothing back.
    process: u32,
}

impl LockGuard for DirectoryLock {}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread forks off just
        // now has a copy of the descriptor until it becomes another program.
        if self.process == std::process::id() {
            // There is nobody to tell; closing will do for all other cases.
            let _ = calls::unlock(&self.file);
        }
    }
}

impl DirectoryLock {
    pub(super) fn take(directory: &OwnedFd) -> Result<Box<dyn LockGuard>, LockError> {
        Ok(Box::new(Self::take_own(directory)?))
    }

    fn take_own(directory: &OwnedFd) -> Result<Self, LockError> {
        let mut file = calls::open_at(directory, LOCK_NAME, libc::O_RDWR | libc::O_CREAT)
            .map_err(LockError::Io)?;
        if !calls::try_lock(&file).map_err(LockError::Io)? {
            return Err(LockError::Held(describe_holder(&mut file)));
        }
        write_holder(&mut file).map_err(LockError::Io)?;
        let process = std::process::id();
        Ok(Self { file, process })
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |past| past.as_millis());
    let text = format!(
        "pid {}\nhost {}\nstarted {started}\n",
        std::process::id(),
        calls::host_name()
    );
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())
}

fn describe_holder(file: &mut File) -> String {
    let mut text = String::new();
    // The holder may be writing it just now: what cannot be read stays unknown.
    let _ = file.take(TEXT_BYTES_MAX).read_to_string(&mut text);
    holder(&text)
}

/// The sentence made of the file's lines.
fn holder(text: &str) -> String {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
            .unwrap_or("unknown")
    };
    let since = value("started")
        .parse()
        .map_or_else(|_| "unknown".to_owned(), utc);
    format!(
        "held by pid {} on host {} since {since}",
        value("pid"),
        value("host")
    )
}

/// `unix_ms` as `2026-01-31T23:59:59Z`.
fn utc(unix_ms: u64) -> String {
    let seconds = unix_ms / 1000;
    // Days to date after Hinnant, "chrono-Compatible Low-Level Date Algorithms":
    // years begin in March, so that the leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests;
