//! Every way to a directory, in turn: they must agree.

use std::io;
use std::path::Path;
use std::sync::Arc;

use cs_io::Disk;
use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};

/// The ways.
const WAYS: [(IoChoice, DirectIo); 6] = [
    (IoChoice::Auto, DirectIo::Auto),
    (IoChoice::Uring, DirectIo::Off),
    (IoChoice::Syscalls, DirectIo::Auto),
    (IoChoice::Auto, DirectIo::Off),
    (IoChoice::Uring, DirectIo::Auto),
    (IoChoice::Syscalls, DirectIo::Off),
];

/// Opens a directory in the way whose turn it is; the turns shift, so that
/// whatever comes every so many cycles meets every way.
pub(super) fn open_disk(directory: &Path, cycle: u64) -> io::Result<Arc<dyn Disk>> {
    let turn = cycle + cycle / WAYS.len() as u64;
    let (choice, direct) = WAYS[(turn % WAYS.len() as u64) as usize];
    open_best(directory, true, choice, direct).or_else(|error| match choice {
        // Where the system refuses it, the others are left.
        IoChoice::Uring => open_best(directory, true, IoChoice::Auto, direct),
        _ => Err(error),
    })
}
