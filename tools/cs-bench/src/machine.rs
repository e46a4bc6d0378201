//! What the system says about itself and about us. Linux only: the rest of the
//! world has no `/proc`, and gets `None`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

pub(crate) mod cgroup;
pub(crate) mod quiet;
pub(crate) mod watch;
pub(crate) mod written;

/// The most memory this process ever had resident, in bytes.
pub(crate) fn peak_rss_bytes() -> Option<u64> {
    peak_rss_in(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Memory of this process that no file stands behind, in bytes.
pub(crate) fn anonymous_bytes() -> Option<u64> {
    status_bytes(&fs::read_to_string("/proc/self/status").ok()?, "RssAnon:")
}

/// `VmHWM` in the text of `/proc/self/status`, in bytes.
fn peak_rss_in(status: &str) -> Option<u64> {
    status_bytes(status, "VmHWM:")
}

fn status_bytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Processor time that this process has used, its own and the system's for it, in ticks
/// of a hundredth of a second.
pub(crate) fn cpu_time() -> Option<Duration> {
    cpu_time_in(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn cpu_time_in(stat: &str) -> Option<Duration> {
    // The name may have blanks; after its bracket utime and stime are the 12th and 13th.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Release of the running kernel.
pub(crate) fn kernel() -> Option<String> {
    Some(
        fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()?
            .trim()
            .to_owned(),
    )
}

/// Kind of the file system that `directory` lies on, such as `ext4` or `tmpfs`.
pub(crate) fn file_system(directory: &Path) -> Option<String> {
    let directory = directory.canonicalize().ok()?;
    file_system_in(
        &fs::read_to_string("/proc/self/mountinfo").ok()?,
        &directory,
    )
}

/// The kind of the last mounted among the longest mount points that hold
/// `directory`: a later mount hides an earlier one at the same place.
fn file_system_in(mountinfo: &str, directory: &Path) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mountinfo.lines() {
        // "… … … … MOUNT-POINT options… - KIND source …"
        let (place, kind) = line.split_once(" - ")?;
        let (Some(point), Some(kind)) = (place.split(' ').nth(4), kind.split(' ').next()) else {
            continue;
        };
        // Blanks in names are written as octal escapes.
        let point = point.replace("\\040", " ");
        if directory.starts_with(&point) && best.is_none_or(|(len, _)| len <= point.len()) {
            best = Some((point.len(), kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

/// Sum of the sizes of all files below `directory`, in bytes.
pub(crate) fn directory_bytes(directory: &Path) -> io::Result<u64> {
    sum_of_files(directory, &fs::Metadata::len)
}

/// Bytes of disk that all files below `directory` take: a file may have holes,
/// or blocks past its end.
pub(crate) fn allocated_bytes(directory: &Path) -> io::Result<u64> {
    // POSIX counts in units of 512 bytes, whatever the file system's block.
    sum_of_files(directory, &|file| file.blocks() * 512)
}

fn sum_of_files(directory: &Path, of: &dyn Fn(&fs::Metadata) -> u64) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // The engine may be at work, and remove a file in the meantime.
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        sum += if metadata.is_dir() {
            sum_of_files(&entry.path(), of)?
        } else {
            of(&metadata)
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
