//! What the kernel may answer, and what becomes of it.

use super::*;
use crate::AlignedBuf;
use crate::refuse::Refusal;
use crate::refuse::tests::within;
use crate::sys::{DirectIo, SysDisk, SysOptions};
use crate::{BackendReport, Disk};

mod answers;
mod opening;

/// A disk with an empty file `a` on it.
struct Place {
    disk: Arc<SysDisk>,
    file: Arc<SysFile>,
    scratch: tempfile::TempDir,
}

fn place(direct: DirectIo) -> Place {
    let scratch = tempfile::tempdir().unwrap();
    let create = false;
    let disk = SysDisk::open(scratch.path(), SysOptions { create, direct }).unwrap();
    let file = disk.open_file("a", OpenMode::Create).unwrap();
    Place {
        disk,
        file,
        scratch,
    }
}

impl Place {
    /// `None` where the file system of this test has no direct I/O.
    fn direct_descriptor(&self) -> Option<u32> {
        let block = block();
        let part = Part {
            bytes: &block,
            offset: 0,
        };
        let direct = self.file.direct_for(part)?;
        Some(direct.as_raw_fd() as u32)
    }

    fn report(&self) -> BackendReport {
        self.disk.report()
    }
}

fn block() -> AlignedBuf {
    let mut block = AlignedBuf::zeroed(BLOCK_SIZE);
    block.fill(7);
    block
}

fn text<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => "no error".to_owned(),
        Err(error) => error.to_string(),
    }
}
