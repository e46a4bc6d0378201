//! Which file names a disk accepts.

use std::io;

/// The lock file: the disk's own, hidden from [`Disk::list`](crate::Disk::list)
/// and refused as a name everywhere else.
pub(crate) const LOCK_NAME: &str = "lock";

/// Longest name in bytes: `NAME_MAX` of every file system we know.
const NAME_BYTES_MAX: usize = 255;

/// Refuses whatever could leave the directory, hide in it, or need quoting:
/// names are 1 to 255 ASCII letters, digits, `.`, `-` or `_`, do not begin with
/// `.`, and are not `lock`. Every disk begins with this.
///
/// ```
/// assert!(cs_io::check_name("wal-0000000001.log").is_ok());
/// assert!(cs_io::check_name("../elsewhere").is_err());
/// ```
///
/// # Errors
/// `InvalidInput`, with the name.
pub fn check_name(name: &str) -> io::Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let good = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name != LOCK_NAME
        && name.bytes().all(plain);
    if good {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "file name {name:?}: expected 1 to {NAME_BYTES_MAX} ASCII letters, digits, \
                 '.', '-' or '_', not beginning with '.', and not {LOCK_NAME:?}"
            ),
        ))
    }
}

/// `error` with the same kind, saying what was being done.
pub(crate) fn context(error: &io::Error, doing: &str) -> io::Error {
    io::Error::new(error.kind(), format!("{doing}: {error}"))
}

/// The error of a change through a handle or disk that must not change anything.
pub(crate) fn read_only_error(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("{name} was opened read-only"),
    )
}

pub(crate) fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))
}

pub(crate) fn already_exists(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        format!("file {name} exists already"),
    )
}

pub(crate) fn storage_full(name: &str, wanted: u64, capacity: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::StorageFull,
        format!("{name}: no space for {wanted} more bytes on a disk of {capacity} bytes"),
    )
}

/// `offset + len` where both fit into the kernel's signed file offsets.
pub(crate) fn range_end(name: &str, offset: u64, len: u64) -> io::Result<u64> {
    match offset.checked_add(len) {
        Some(end) if i64::try_from(end).is_ok() => Ok(end),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{name}: {len} bytes at offset {offset} end beyond the largest file"),
        )),
    }
}
