//! One thread, one durable write at a time, through io_uring: the very code
//! with which the database writes, told which form to use.

use std::io;
use std::sync::Arc;

use cs_io::sys::DirectIo;
use cs_io::uring::{DurableForm, LoneWrite, UringDisk, UringOptions};
use cs_io::{AlignedBuf, Disk, OpenMode, StableBytes};

use crate::error::BenchError;

use super::Measurement;
use super::sample::{BLOCK, FILE_BYTES, Measured, Outcome, Scratch, round_offset, unless_refused};

pub(super) fn measurements() -> Vec<Measurement> {
    vec![
        Measurement {
            name: "ring_linked_fsync",
            title: "io_uring, linked write -> fsync",
            run: |scratch| ring(scratch, DirectIo::Off, DurableForm::Linked),
        },
        Measurement {
            name: "ring_dsync",
            title: "io_uring, RWF_DSYNC",
            run: |scratch| ring(scratch, DirectIo::Off, DurableForm::Dsync),
        },
        Measurement {
            name: "ring_direct_dsync",
            title: "io_uring, O_DIRECT, RWF_DSYNC",
            run: |scratch| ring(scratch, DirectIo::Auto, DurableForm::Dsync),
        },
        Measurement {
            name: "ring_direct_linked",
            title: "io_uring, O_DIRECT, linked write -> fsync",
            run: |scratch| ring(scratch, DirectIo::Auto, DurableForm::Linked),
        },
    ]
}

fn ring(scratch: &Scratch, direct: DirectIo, form: DurableForm) -> Result<Outcome, BenchError> {
    unless_refused("write through io_uring", measure(scratch, direct, form))
}

fn measure(scratch: &Scratch, direct: DirectIo, form: DurableForm) -> io::Result<Measured> {
    let name = "ring";
    let options = UringOptions {
        create: false,
        direct,
        form,
        lone: LoneWrite::Ring,
    };
    let disk = UringDisk::open(&scratch.directory, options)?;
    let file = disk.open(name, OpenMode::Create)?;
    let zeroes = AlignedBuf::zeroed(1 << 20);
    for at in (0..FILE_BYTES).step_by(zeroes.len()) {
        file.write_at(&zeroes, at)?;
    }
    file.sync()?;

    let bytes: Arc<dyn StableBytes> = Arc::new(AlignedBuf::zeroed(BLOCK));
    let mut writes = 0;
    let before = disk.report();
    let measured = scratch.sample(u64::MAX, |number| {
        writes += 1;
        file.write_durable(Arc::clone(&bytes), round_offset(number))
    })?;
    let after = disk.report();
    disk.remove(name)?;

    // The disk falls back by itself where it is refused something. A figure of
    // the fallback under the name of the form would be a lie.
    let through_ring = after.ring_writes - before.ring_writes >= writes;
    let as_asked = after.direct_io == (direct == DirectIo::Auto);
    if through_ring && as_asked && after.fallbacks.is_empty() {
        return Ok(measured);
    }
    let reason = match after.fallbacks.join("; ") {
        none if none.is_empty() => "fell back to another form".to_owned(),
        reasons => reasons,
    };
    Err(io::Error::new(io::ErrorKind::Unsupported, reason))
}
