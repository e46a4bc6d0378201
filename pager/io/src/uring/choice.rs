//! Which disk to use for a directory.

use std::env;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::pool::{Pool, SetUp};
use super::{LoneWrite, UringDisk, UringOptions, ring};
use crate::Disk;
use crate::sys::{DirectIo, SysDisk, SysOptions};

/// How operations reach the system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IoChoice {
    /// io_uring where the system allows it, else system calls; a lone durable
    /// write by system call, which is faster.
    #[default]
    Auto,
    /// io_uring for everything it can do; an error where it is refused.
    Uring,
    /// System calls only.
    Syscalls,
}

/// Opens a directory with the best way to it that the system allows. What was
/// refused is in [`BackendReport::fallbacks`](crate::BackendReport::fallbacks).
///
/// Two environment variables override the arguments, so that a whole test
/// suite can be run either way: `CS_IO` = `auto`, `uring` or `syscalls`, and
/// `CS_DIRECT_IO` = `auto` or `off`.
///
/// # Errors
/// As [`SysDisk::open`]; an environment variable has another value; or
/// [`IoChoice::Uring`] and io_uring is refused.
pub fn open_best(
    path: &Path,
    create: bool,
    choice: IoChoice,
    direct: DirectIo,
) -> io::Result<Arc<dyn Disk>> {
    let io = env::var("CS_IO").ok();
    let direct_io = env::var("CS_DIRECT_IO").ok();
    let choice = override_choice(io.as_deref(), choice)?;
    let direct = override_direct(direct_io.as_deref(), direct)?;
    open_with(path, create, choice, direct, ring::set_up)
}

pub(super) fn open_with(
    path: &Path,
    create: bool,
    choice: IoChoice,
    direct: DirectIo,
    set_up: SetUp,
) -> io::Result<Arc<dyn Disk>> {
    let sys = SysDisk::open(path, SysOptions { create, direct })?;
    let lone = match choice {
        IoChoice::Syscalls => return Ok(sys),
        IoChoice::Auto => LoneWrite::Syscall,
        IoChoice::Uring => LoneWrite::Ring,
    };
    match Pool::new(set_up) {
        Ok(pool) => {
            let options = UringOptions {
                create,
                direct,
                lone,
                ..UringOptions::default()
            };
            Ok(UringDisk::with(sys, pool, options))
        }
        Err(error) if choice == IoChoice::Auto => {
            sys.shared()
                .add_fallback(format!("io_uring refused: {error}"));
            Ok(sys)
        }
        Err(error) => Err(crate::names::context(&error, "setting up io_uring")),
    }
}

pub(super) fn override_choice(value: Option<&str>, choice: IoChoice) -> io::Result<IoChoice> {
    match value {
        None | Some("") => Ok(choice),
        Some("auto") => Ok(IoChoice::Auto),
        Some("uring") => Ok(IoChoice::Uring),
        Some("syscalls") => Ok(IoChoice::Syscalls),
        Some(other) => Err(bad_value("CS_IO", "auto, uring or syscalls", other)),
    }
}

pub(super) fn override_direct(value: Option<&str>, direct: DirectIo) -> io::Result<DirectIo> {
    match value {
        None | Some("") => Ok(direct),
        Some("auto") => Ok(DirectIo::Auto),
        Some("off") => Ok(DirectIo::Off),
        Some(other) => Err(bad_value("CS_DIRECT_IO", "auto or off", other)),
    }
}

fn bad_value(variable: &str, expected: &str, found: &str) -> io::Error {
    let text = format!("environment variable {variable}: expected {expected}, found {found:?}");
    io::Error::new(io::ErrorKind::InvalidInput, text)
}
