//! One thread, one durable write at a time.

use std::os::unix::fs::FileExt;

use cs_io::AlignedBuf;
use cs_io::sys::{DirectIo, SysDisk, SysOptions};
use cs_io::{Disk, OpenMode};

use crate::error::BenchError;

use super::Measurement;
use super::sample::{Access, BLOCK, MOST_GROWTH, Outcome, Scratch, round_offset, unless_refused};

/// A stretch that is reserved at once; as long as a large log segment.
const RESERVED: u64 = 64 << 20;

pub(super) fn measurements() -> Vec<Measurement> {
    vec![
        Measurement {
            name: "append_fdatasync",
            title: "4 KiB pwrite + fdatasync",
            run: append_fdatasync,
        },
        Measurement {
            name: "append_odsync",
            title: "4 KiB pwrite, O_DIRECT + O_DSYNC",
            run: append_odsync,
        },
        Measurement {
            name: "append_fallocated",
            title: "4 KiB pwrite + fdatasync, reserved but never written",
            run: append_fallocated,
        },
        Measurement {
            name: "append_growing",
            title: "4 KiB pwrite + fdatasync, growing file",
            run: append_growing,
        },
        Measurement {
            name: "flush",
            title: "fdatasync of a clean file (bare flush)",
            run: flush,
        },
    ]
}

fn append_fdatasync(scratch: &Scratch) -> Result<Outcome, BenchError> {
    let name = "append-fdatasync";
    let bytes = AlignedBuf::zeroed(BLOCK);
    let result = scratch.prewritten(name, Access::Buffered).and_then(|file| {
        let measured = scratch.sample(u64::MAX, |number| {
            file.write_all_at(&bytes, round_offset(number))?;
            file.sync_data()
        })?;
        scratch.remove(name)?;
        Ok(measured)
    });
    unless_refused("pwrite and fdatasync", result)
}

fn append_odsync(scratch: &Scratch) -> Result<Outcome, BenchError> {
    let name = "append-odsync";
    let bytes = AlignedBuf::zeroed(BLOCK);
    let result = scratch
        .prewritten(name, Access::DirectDurable)
        .and_then(|file| {
            let measured = scratch.sample(u64::MAX, |number| {
                file.write_all_at(&bytes, round_offset(number))
            })?;
            scratch.remove(name)?;
            Ok(measured)
        });
    unless_refused("write with O_DIRECT and O_DSYNC", result)
}

/// Blocks that are reserved (fallocate) and never written: each write has to
/// turn its extent into a written one, in the journal.
fn append_fallocated(scratch: &Scratch) -> Result<Outcome, BenchError> {
    let name = "append-fallocated";
    let bytes = AlignedBuf::zeroed(BLOCK);
    let options = SysOptions {
        create: false,
        direct: DirectIo::Off,
    };
    let result = SysDisk::open(&scratch.directory, options).and_then(|disk| {
        let file = disk.open(name, OpenMode::Create)?;
        let measured = scratch.sample(MOST_GROWTH / BLOCK as u64, |number| {
            let offset = number * BLOCK as u64;
            if offset.is_multiple_of(RESERVED) {
                file.allocate(offset, RESERVED)?;
                file.sync()?;
            }
            file.write_at(&bytes, offset)?;
            file.sync()
        })?;
        disk.remove(name)?;
        Ok(measured)
    });
    unless_refused("reserve space and write it", result)
}

fn append_growing(scratch: &Scratch) -> Result<Outcome, BenchError> {
    let name = "append-growing";
    let bytes = AlignedBuf::zeroed(BLOCK);
    let result = scratch.empty(name).and_then(|file| {
        let measured = scratch.sample(MOST_GROWTH / BLOCK as u64, |number| {
            file.write_all_at(&bytes, number * BLOCK as u64)?;
            file.sync_data()
        })?;
        scratch.remove(name)?;
        Ok(measured)
    });
    unless_refused("write to a growing file", result)
}

fn flush(scratch: &Scratch) -> Result<Outcome, BenchError> {
    let name = "flush";
    let result = scratch.prewritten(name, Access::Buffered).and_then(|file| {
        let measured = scratch.sample(u64::MAX, |_| file.sync_data())?;
        scratch.remove(name)?;
        Ok(measured)
    });
    unless_refused("fdatasync", result)
}
