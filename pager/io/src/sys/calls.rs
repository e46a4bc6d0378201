//! The few system calls that the standard library does not offer, each as a
//! safe function.
#![allow(unsafe_code, reason = "system calls without a form in std")]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::NonNull;

/// -1 means that the reason is in `errno`.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Again while a signal interrupts the call.
fn uninterrupted(mut call: impl FnMut() -> libc::c_int) -> io::Result<libc::c_int> {
    loop {
        match check(call()) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn c_string(name: &str) -> io::Result<CString> {
    Ok(CString::new(name)?)
}

/// Opens `name` in `directory`, never through a symbolic link, never inherited
/// by a program we start.
pub(crate) fn open_at(directory: &OwnedFd, name: &str, flags: libc::c_int) -> io::Result<File> {
    let name = c_string(name)?;
    let flags = flags | libc::O_CLOEXEC | libc::O_NOFOLLOW;
    let owner_only: libc::mode_t = 0o600;
    // SAFETY: the name is NUL-terminated and outlives the call.
    let fd = uninterrupted(|| unsafe {
        libc::openat(
            directory.as_raw_fd(),
            name.as_ptr(),
            flags,
            libc::c_uint::from(owner_only),
        )
    })?;
    // SAFETY: the call returned a new descriptor that nobody else owns.
    Ok(unsafe { File::from_raw_fd(fd) })
}

pub(crate) fn unlink_at(directory: &OwnedFd, name: &str) -> io::Result<()> {
    let name = c_string(name)?;
    // SAFETY: the name is NUL-terminated and outlives the call.
    check(unsafe { libc::unlinkat(directory.as_raw_fd(), name.as_ptr(), 0) }).map(drop)
}

pub(crate) fn rename_at(directory: &OwnedFd, from: &str, to: &str) -> io::Result<()> {
    let (from, to) = (c_string(from)?, c_string(to)?);
    let fd = directory.as_raw_fd();
    // SAFETY: both names are NUL-terminated and outlive the call.
    check(unsafe { libc::renameat(fd, from.as_ptr(), fd, to.as_ptr()) }).map(drop)
}

/// `pwritev2` with `RWF_DSYNC`: the bytes, and what metadata it takes to find
/// them again, are on the device when it returns. May write less than all.
pub(crate) fn write_dsync(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    let Ok(offset) = libc::off64_t::try_from(offset) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: the one vector covers `bytes`, which the kernel only reads.
    let written = unsafe {
        libc::pwritev2(
            file.as_raw_fd(),
            &raw const part,
            1,
            offset,
            libc::RWF_DSYNC,
        )
    };
    usize::try_from(written).map_err(|_| io::Error::last_os_error())
}

/// `fallocate` in mode 0: reserves and extends.
pub(crate) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let (Ok(offset), Ok(len)) = (
        libc::off64_t::try_from(offset),
        libc::off64_t::try_from(len),
    ) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: plain numbers and a descriptor that is open.
    uninterrupted(|| unsafe { libc::fallocate64(file.as_raw_fd(), 0, offset, len) }).map(drop)
}

/// Tries to take the exclusive open-file-description lock; `false` if it is taken.
/// Unlike a classic record lock it also conflicts within the process, and it
/// ends only with the last descriptor of *this* opening.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    let result = set_lock(file, libc::F_WRLCK);
    match result {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Gives the lock of this opening back, whoever else has a descriptor of it.
pub(crate) fn unlock(file: &File) -> io::Result<()> {
    set_lock(file, libc::F_UNLCK)
}

fn set_lock(file: &File, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid `flock`; zero length means the whole file
    // and `l_pid` must be zero here.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the request lives on our stack for the duration of the call.
    uninterrupted(|| unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) })
        .map(drop)
}

/// The name of this machine, or `unknown`.
pub(crate) fn host_name() -> String {
    // One more than Linux's longest (HOST_NAME_MAX, 64), so that a NUL always fits.
    let mut name = [0u8; 65];
    // SAFETY: the pointer and length describe `name`, less its last, zero byte.
    let result = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) };
    match CStr::from_bytes_until_nul(&name) {
        Ok(text) if result == 0 && !text.is_empty() => text.to_string_lossy().into_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Who we are to the file system.
pub(crate) fn effective_uid() -> u32 {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// An open directory stream, closed on drop.
struct Stream(NonNull<libc::DIR>);

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the stream came from `fdopendir` and is closed once.
        unsafe { libc::closedir(self.0.as_ptr()) };
    }
}

/// Names of the regular files in `directory`, in no order.
pub(crate) fn file_names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    // A descriptor of its own: the stream moves a position and closes it.
    let own: OwnedFd = open_at(directory, ".", libc::O_RDONLY | libc::O_DIRECTORY)?.into();
    // SAFETY: `own` is an open directory.
    let stream = unsafe { libc::fdopendir(own.as_raw_fd()) };
    let Some(stream) = NonNull::new(stream).map(Stream) else {
        return Err(io::Error::last_os_error());
    };
    // The stream owns the descriptor from here on.
    std::mem::forget(own);

    let mut names = Vec::new();
    loop {
        // SAFETY: errno is this thread's own; it tells the end from an error below.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: the stream is open, and used by this thread alone.
        let entry = unsafe { libc::readdir64(stream.0.as_ptr()) };
        let Some(entry) = NonNull::new(entry) else {
            let error = io::Error::last_os_error();
            return if error.raw_os_error() == Some(0) {
                Ok(names)
            } else {
                Err(error)
            };
        };
        // SAFETY: the entry is valid until the next call on the stream. Only its
        // fields are touched: the record may be shorter than the whole struct.
        let (kind, name) = unsafe {
            let entry = entry.as_ptr();
            (
                (*entry).d_type,
                CStr::from_ptr((&raw const (*entry).d_name).cast()),
            )
        };
        // File systems that do not say the type are believed: all names are ours.
        if matches!(kind, libc::DT_REG | libc::DT_UNKNOWN)
            && let Ok(name) = name.to_str()
        {
            names.push(name.to_owned());
        }
    }
}
