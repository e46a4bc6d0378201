//! Who has the database open, without touching its lock.
//!
//! The file `lock` says who took it last, and stays when he ends. Whether the
//! lock is held is the kernel's to say: to try it would be to take it for a
//! moment, and to make an honest open fail. So the kernel's list is read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::output::utc;

/// Name of the lock file.
const LOCK_FILE: &str = "lock";
/// The kernel's list of locks.
const KERNEL_LOCKS: &str = "/proc/locks";
/// Longest lock file that is believed: three short lines.
const TEXT_BYTES_MAX: usize = 512;

/// What is known about the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Whether somebody holds it; `None` where the kernel does not say.
    pub(crate) held: Option<bool>,
    pid: Option<u64>,
    host: Option<String>,
    started_ms: Option<u64>,
}

impl Holder {
    /// Looks at the lock of the database in `directory`.
    pub(crate) fn look(directory: &Path) -> Self {
        let path = directory.join(LOCK_FILE);
        let Ok(metadata) = fs::metadata(&path) else {
            return Self {
                held: Some(false),
                ..Self::default()
            };
        };
        let text = fs::read(&path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]).into_owned();
        let locks = fs::read_to_string(KERNEL_LOCKS).ok();
        let held = locks.map(|locks| is_listed(&locks, metadata.dev(), metadata.ino()));
        Self {
            held,
            ..Self::parse(&text)
        }
    }

    fn parse(text: &str) -> Self {
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
        Self {
            held: None,
            pid: value("pid ").and_then(|pid| pid.parse().ok()),
            host: value("host ").map(ToOwned::to_owned),
            started_ms: value("started ").and_then(|started| started.parse().ok()),
        }
    }

    /// Whether somebody may be writing.
    pub(crate) fn may_be_live(&self) -> bool {
        self.held != Some(false)
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        let shown = self.may_be_live();
        json!({
            "held": self.held,
            "pid": self.pid.filter(|_| shown),
            "host": self.host.as_ref().filter(|_| shown),
            "since": self.started_ms.filter(|_| shown).map(utc),
        })
    }

    /// As a sentence.
    pub(crate) fn line(&self) -> String {
        let unknown = || "unknown".to_owned();
        let whom = format!(
            "pid {} on host {} since {}",
            self.pid.map_or_else(unknown, |pid| pid.to_string()),
            self.host.clone().unwrap_or_else(unknown),
            self.started_ms.map_or_else(unknown, utc),
        );
        match self.held {
            Some(true) => format!("open by {whom}"),
            Some(false) => "not open".to_owned(),
            None => format!("unknown; last opened by {whom}"),
        }
    }
}

/// Whether the kernel lists a lock of our kind on this inode. A line is
/// `1: OFDLCK ADVISORY WRITE -1 fe:00:5349487 0 EOF`.
fn is_listed(locks: &str, device: u64, inode: u64) -> bool {
    // The halves of a device number as user space gets it.
    let major = (device >> 8 & 0xfff) | (device >> 32 & !0xfff);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    locks.lines().any(|line| {
        let mut words = line.split_whitespace();
        if words.nth(1) != Some("OFDLCK") {
            return false;
        }
        let mut place = words.nth(3).unwrap_or_default().split(':');
        let mut hex = || {
            place
                .next()
                .and_then(|part| u64::from_str_radix(part, 16).ok())
        };
        let (listed_major, listed_minor) = (hex(), hex());
        let listed_inode = place.next().and_then(|part| part.parse().ok());
        // File systems without a device of their own (btrfs, overlay) show
        // user space another number than the kernel lists.
        let same_device = listed_major == Some(major) && listed_minor == Some(minor);
        listed_inode == Some(inode) && (same_device || major == 0)
    })
}

#[cfg(test)]
mod tests;
