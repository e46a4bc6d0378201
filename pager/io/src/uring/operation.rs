//! One write or sync, from its submission to its result.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cs_base::mutants::{Mutant, planted};

use super::ring::{Completion, Outcome, Request, Ring, SyncKind, WriteRequest};
use super::{DurableForm, Shared};
use crate::sys::{Part, SysFile, is_refusal};
use crate::{File, Pending, PendingIo, StableBytes, WriteMode};

/// Submissions of one operation before system calls do the rest. Short writes
/// and interruptions are rare; ten in a row are not chance.
const ATTEMPTS: u32 = 10;

/// Largest single submission: the kernel's own limit for one write, a page
/// short of 2 GiB, and a multiple of the block.
const WRITE_BYTES_MAX: usize = 0x7fff_f000;

#[derive(Debug)]
pub(super) struct Operation {
    shared: Arc<Shared>,
    file: Arc<SysFile>,
    /// `None`: a sync.
    write: Option<Write>,
    /// Bytes have arrived (or a sync was asked for) that no sync has covered.
    unsynced: bool,
    attempts: u32,
    in_flight: Option<InFlight>,
    result: Option<io::Result<()>>,
}

#[derive(Debug)]
struct Write {
    bytes: Arc<dyn StableBytes>,
    offset: u64,
    mode: WriteMode,
    done: usize,
}

#[derive(Debug)]
struct InFlight {
    ring: Arc<Ring>,
    completion: Arc<Completion>,
    shape: Shape,
}

/// What was submitted, as far as it takes to understand the answer.
#[derive(Clone, Copy, Debug)]
struct Shape {
    len: usize,
    direct: bool,
    dsync: bool,
    sync: Option<SyncKind>,
}

impl Operation {
    pub(super) fn write(
        shared: &Arc<Shared>,
        file: &Arc<SysFile>,
        bytes: Arc<dyn StableBytes>,
        offset: u64,
        mode: WriteMode,
    ) -> Self {
        let write = Write {
            bytes,
            offset,
            mode: mode.unless_planted(),
            done: 0,
        };
        Self::new(shared, file, Some(write))
    }

    pub(super) fn sync(shared: &Arc<Shared>, file: &Arc<SysFile>) -> Self {
        Self::new(shared, file, None)
    }

    fn new(shared: &Arc<Shared>, file: &Arc<SysFile>, write: Option<Write>) -> Self {
        Self {
            shared: Arc::clone(shared),
            file: Arc::clone(file),
            unsynced: write.is_none() && !planted(Mutant::SkipSync),
            write,
            attempts: ATTEMPTS,
            in_flight: None,
            result: None,
        }
    }

    /// Submits the first part.
    pub(super) fn start(mut self) -> Pending {
        self.launch();
        match self.result.take() {
            Some(result) => Pending::Ready(result),
            None => Pending::InFlight(Box::new(self)),
        }
    }

    /// Runs to the end, each submission one system call.
    pub(super) fn run_alone(mut self) -> io::Result<()> {
        loop {
            if let Some(result) = self.result.take() {
                return result;
            }
            let Some((request, shape)) = self.next_request() else {
                continue;
            };
            match self.shared.pool.run_alone(request) {
                Ok(Ok(outcome)) => self.absorb(shape, outcome),
                Ok(Err(error)) => self.result = Some(Err(self.describe(&error))),
                Err(_) => self.finish_by_syscalls(),
            }
        }
    }

    /// Submits what is left, unless nothing is.
    fn launch(&mut self) {
        let Some((request, shape)) = self.next_request() else {
            return;
        };
        match self.shared.pool.start(request) {
            Ok((ring, completion)) => {
                self.in_flight = Some(InFlight {
                    ring,
                    completion,
                    shape,
                });
            }
            Err(_) => self.finish_by_syscalls(),
        }
    }

    /// What is left to submit. If there is nothing, or no attempt, the result is there.
    fn next_request(&mut self) -> Option<(Request, Shape)> {
        let Some(write) = self
            .write
            .as_ref()
            .filter(|w| w.done < w.bytes.stable_bytes().len())
        else {
            return self.sync_request();
        };
        if self.attempts == 0 {
            self.finish_by_syscalls();
            return None;
        }
        self.attempts -= 1;
        let bytes = write.bytes.stable_bytes();
        let part = write.done..bytes.len().min(write.done + WRITE_BYTES_MAX);
        let offset = write.offset + write.done as u64;
        let rest = Part {
            bytes: &bytes[part.clone()],
            offset,
        };
        let direct = self.file.direct_for(rest).is_some();
        let durable = write.mode == WriteMode::Durable;
        let dsync = durable && self.file.shared().dsync_allowed() && self.wants_dsync(direct);
        let sync = (durable && !dsync).then(|| self.sync_kind(offset + part.len() as u64));
        let shape = Shape {
            len: part.len(),
            direct,
            dsync,
            sync,
        };
        let bytes = Arc::clone(&write.bytes);
        let write = Some(WriteRequest {
            bytes,
            part,
            offset,
            direct,
            dsync,
        });
        Some((
            Request {
                file: Arc::clone(&self.file),
                read: None,
                write,
                sync,
            },
            shape,
        ))
    }

    fn sync_request(&mut self) -> Option<(Request, Shape)> {
        if !self.unsynced {
            self.succeed();
            return None;
        }
        if self.attempts == 0 {
            self.finish_by_syscalls();
            return None;
        }
        self.attempts -= 1;
        let sync = Some(self.sync_kind(0));
        let shape = Shape {
            len: 0,
            direct: false,
            dsync: false,
            sync,
        };
        Some((
            Request {
                file: Arc::clone(&self.file),
                read: None,
                write: None,
                sync,
            },
            shape,
        ))
    }

    fn wants_dsync(&self, direct: bool) -> bool {
        match self.shared.options.form {
            DurableForm::Auto => direct,
            DurableForm::Dsync => true,
            DurableForm::Linked => false,
        }
    }

    /// How to sync a file that will be at least `end` bytes long by then.
    fn sync_kind(&self, end: u64) -> SyncKind {
        match self.file.synced_len_differs_from(end) {
            Ok(Some(len)) => SyncKind::Full(len),
            // Where the length cannot be asked for, the sync itself will tell.
            Ok(None) | Err(_) => SyncKind::Data,
        }
    }

    /// Takes in what the kernel answered; leaves a result or something to launch.
    fn absorb(&mut self, shape: Shape, outcome: Outcome) {
        if let Some(answer) = outcome.write
            && !self.absorb_write(shape, answer)
        {
            // Incomplete: a sync that was linked to it is void.
            return;
        }
        match (shape.sync, outcome.sync) {
            (Some(kind), Some(0)) if !outcome.parted => {
                self.unsynced = false;
                if let SyncKind::Full(len) = kind {
                    self.file.len_synced(len);
                }
            }
            // It ran beside its write, or not at all: another one is due.
            (Some(_), Some(answer)) if outcome.parted || never_ran(answer) => {}
            (Some(_), Some(answer)) => {
                let error = self.file.sync_error(&system_error(answer));
                self.result = Some(Err(error));
                return;
            }
            _ => {}
        }
        let complete = self
            .write
            .as_ref()
            .is_none_or(|w| w.done == w.bytes.stable_bytes().len());
        if complete && !self.unsynced {
            self.succeed();
        }
    }

    /// Whether the write that was submitted is complete.
    fn absorb_write(&mut self, shape: Shape, answer: i32) -> bool {
        let Some(write) = &mut self.write else {
            return true;
        };
        match usize::try_from(answer) {
            Ok(count) if count > 0 => {
                write.done += count;
                self.unsynced |= write.mode == WriteMode::Durable && !shape.dsync;
                if shape.direct {
                    self.file.shared().direct_worked();
                }
                count == shape.len
            }
            Ok(_) => {
                let error = self.describe(&io::ErrorKind::WriteZero.into());
                self.result = Some(Err(error));
                false
            }
            Err(_) if never_ran(answer) => false,
            Err(_) => {
                let error = system_error(answer);
                if (shape.direct || shape.dsync) && is_refusal(&error) {
                    self.file.refused(shape.dsync, shape.direct, &error);
                } else {
                    self.result = Some(Err(self.describe(&error)));
                }
                false
            }
        }
    }

    fn succeed(&mut self) {
        if self
            .write
            .as_ref()
            .is_some_and(|write| write.mode == WriteMode::Durable)
        {
            self.shared.ring_writes.fetch_add(1, Ordering::Relaxed);
        }
        self.result = Some(Ok(()));
    }

    /// No ring, or no attempt left.
    fn finish_by_syscalls(&mut self) {
        let rest = self.write.as_ref().map(|write| {
            let bytes = &write.bytes.stable_bytes()[write.done..];
            self.file
                .write_all(bytes, write.offset + write.done as u64, write.mode)
        });
        let synced = if self.unsynced {
            self.file.start_sync().wait()
        } else {
            Ok(())
        };
        self.result = Some(rest.unwrap_or(Ok(())).and(synced));
    }

    fn describe(&self, error: &io::Error) -> io::Error {
        match &self.write {
            None => self.file.sync_error(error),
            Some(write) => {
                let bytes = &write.bytes.stable_bytes()[write.done..];
                let offset = write.offset + write.done as u64;
                self.file.write_error(error, Part { bytes, offset })
            }
        }
    }
}

impl PendingIo for Operation {
    fn is_finished(&mut self) -> bool {
        loop {
            if self.result.is_some() {
                return true;
            }
            let Some(flight) = self.in_flight.take() else {
                self.launch();
                continue;
            };
            if !flight.ring.poll(&flight.completion) {
                self.in_flight = Some(flight);
                return false;
            }
            if let Some(outcome) = flight.completion.outcome() {
                self.absorb(flight.shape, outcome);
            }
        }
    }

    fn wait(mut self: Box<Self>) -> io::Result<()> {
        loop {
            if let Some(result) = self.result.take() {
                return result;
            }
            let Some(flight) = self.in_flight.take() else {
                self.launch();
                continue;
            };
            match flight.ring.wait(&flight.completion) {
                Ok(outcome) => self.absorb(flight.shape, outcome),
                Err(error) => self.result = Some(Err(self.describe(&error))),
            }
        }
    }
}

impl Drop for Operation {
    /// What is in flight ends before its owner goes on: it could reuse the range.
    fn drop(&mut self) {
        if let Some(flight) = self.in_flight.take() {
            let _ = flight.ring.wait(&flight.completion);
        }
    }
}

/// Whether the answer says that nothing was done, and that it may be tried again.
fn never_ran(answer: i32) -> bool {
    matches!(-answer, libc::EINTR | libc::EAGAIN | libc::ECANCELED)
}

fn system_error(answer: i32) -> io::Error {
    io::Error::from_raw_os_error(-answer)
}

#[cfg(test)]
mod tests;
