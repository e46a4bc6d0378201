//! One read of a page that goes on while its caller does other things.
//!
//! The memory belongs to the ring's table until the kernel has answered, as for
//! writes. Whatever comes back but the whole of it (short, refused, never run)
//! is read once more by system call, which knows what to do about each of these.

use std::io;
use std::sync::Arc;

use super::Shared;
use super::ring::{Completion, ReadRequest, Request, Ring};
use crate::sys::{Part, SysFile};
use crate::{File, PageBuf, PendingRead, PendingReadIo};

#[derive(Debug)]
pub(super) struct ReadOperation {
    file: Arc<SysFile>,
    offset: u64,
    page: Arc<PageBuf>,
    flight: Flight,
}

/// Its ring must not go while the kernel still has work of ours: dropping waits.
#[derive(Debug)]
struct Flight {
    ring: Arc<Ring>,
    completion: Arc<Completion>,
}

impl ReadOperation {
    /// Submits the read; without a ring that is free it is done at once.
    pub(super) fn start(
        shared: &Shared,
        file: &Arc<SysFile>,
        page: PageBuf,
        offset: u64,
    ) -> PendingRead {
        let direct = file.direct_for(Part {
            bytes: &page,
            offset,
        });
        let direct = direct.is_some();
        let page = Arc::new(page);
        let request = Request {
            file: Arc::clone(file),
            read: Some(ReadRequest {
                into: Arc::clone(&page),
                offset,
                direct,
            }),
            write: None,
            sync: None,
        };
        match shared.pool.start(request) {
            Ok((ring, completion)) => PendingRead::InFlight(Box::new(Self {
                file: Arc::clone(file),
                offset,
                page,
                flight: Flight { ring, completion },
            })),
            Err(back) => {
                drop(back);
                PendingRead::Ready(read_now(file, own(page), offset))
            }
        }
    }
}

/// The memory itself. Only a ring that broke down keeps it: then another piece does.
fn own(page: Arc<PageBuf>) -> PageBuf {
    Arc::try_unwrap(page).unwrap_or_else(|kept| kept.sibling())
}

fn read_now(file: &SysFile, mut page: PageBuf, offset: u64) -> io::Result<(PageBuf, usize)> {
    let count = file.read_at(&mut page, offset)?;
    Ok((page, count))
}

impl PendingReadIo for ReadOperation {
    fn is_finished(&mut self) -> bool {
        self.flight.ring.poll(&self.flight.completion)
    }

    fn wait(self: Box<Self>) -> io::Result<(PageBuf, usize)> {
        let answer = self.flight.ring.wait(&self.flight.completion);
        let page = own(self.page);
        let count = answer.ok().and_then(|outcome| outcome.write);
        if count == i32::try_from(page.size()).ok() {
            let size = page.size();
            return Ok((page, size));
        }
        read_now(&self.file, page, self.offset)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let _ = self.ring.wait(&self.completion);
    }
}

#[cfg(test)]
mod tests;
