//! How much was written: by this process, and to the device.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that this process has made the system write, or will have: the system
/// counts a page of a file when it is made dirty.
pub(crate) fn by_this_process() -> Option<u64> {
    by_process_in(&fs::read_to_string("/proc/self/io").ok()?)
}

fn by_process_in(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes:"))?;
    line.trim().parse().ok()
}

/// Bytes written to the device below `directory` by anybody, the journal of
/// its file system included.
pub(crate) fn to_device_of(directory: &Path) -> Option<u64> {
    let device = fs::metadata(directory).ok()?.dev();
    // As the C library takes them apart.
    let major = ((device >> 8) & 0xfff) | ((device >> 32) & !0xfff);
    let minor = (device & 0xff) | ((device >> 12) & !0xff);
    to_device_in(
        &fs::read_to_string("/proc/diskstats").ok()?,
        major,
        minor & 0xffff_ffff,
    )
}

fn to_device_in(text: &str, major: u64, minor: u64) -> Option<u64> {
    let fields = text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = fields.first()?.parse() == Ok(major) && fields.get(1)?.parse() == Ok(minor);
        is_it.then_some(fields)
    })?;
    // major minor name, then reads merges sectors ms, writes merges sectors: of 512 bytes.
    let sectors: u64 = fields.get(9)?.parse().ok()?;
    sectors.checked_mul(512)
}

#[cfg(test)]
mod tests;
