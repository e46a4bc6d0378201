//! One io_uring, and the memory that the kernel may touch through it.
//!
//! ## Protocol
//! * `queue` guards the submission queue, the completion queue and the table.
//!   It is held for a submission (which does not wait) and for taking
//!   completions, so never for long; except in [`Ring::run_alone`], which
//!   demands that nothing else is in flight, and which others pass over.
//! * At most one thread at a time is the *reaper*: it alone waits in the
//!   kernel and takes completions, for everybody. Others wait for it to be
//!   done. Without that rule one thread could take the completion that another
//!   one sleeps for in the kernel.
//!
//! ## Invariants
//! * The submission queue is empty whenever `queue` is free, or the ring is
//!   broken and nothing is ever submitted to it again. So nobody submits the
//!   first half of another's linked pair.
//! * At most [`ENTRIES`] completions are outstanding, half of what the
//!   completion queue holds: it cannot overflow.
#![allow(
    unsafe_code,
    reason = "the kernel reads memory while we do other things"
)]

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use io_uring::{EnterFlags, IoUring, Probe, opcode, squeue, types};
use parking_lot::{Condvar, Mutex};

use crate::sys::SysFile;
use crate::{PageBuf, StableBytes};

/// Submissions per ring: a page of entries, and more than a device likes to
/// have queued from one thread.
pub(super) const ENTRIES: usize = 64;

/// How often in a row the kernel may say "not now" to a submission.
const PATIENCE: u32 = 10_000;

/// Sets up an io_uring that can do what is needed here.
///
/// # Errors
/// The kernel or a filter refused (`EPERM`, `ENOSYS`, `ENOMEM`), or the
/// kernel is too old for plain writes (5.6).
pub(super) fn set_up() -> io::Result<IoUring> {
    let uring = IoUring::builder().dontfork().build(ENTRIES as u32)?;
    let mut probe = Probe::new();
    uring.submitter().register_probe(&mut probe)?;
    let needed = [opcode::Read::CODE, opcode::Write::CODE, opcode::Fsync::CODE];
    if uring.params().is_feature_nodrop() && needed.iter().all(|&code| probe.is_supported(code)) {
        Ok(uring)
    } else {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "the kernel's io_uring is too old",
        ))
    }
}

/// What to submit: a read, a write, a sync, or a write and a sync linked to it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) file: Arc<SysFile>,
    pub(super) read: Option<ReadRequest>,
    pub(super) write: Option<WriteRequest>,
    pub(super) sync: Option<SyncKind>,
}

/// The kernel writes into `into`, at whose bytes nobody looks before it has answered.
#[derive(Clone, Debug)]
pub(super) struct ReadRequest {
    pub(super) into: Arc<PageBuf>,
    pub(super) offset: u64,
    pub(super) direct: bool,
}

#[derive(Clone, Debug)]
pub(super) struct WriteRequest {
    pub(super) bytes: Arc<dyn StableBytes>,
    pub(super) part: Range<usize>,
    pub(super) offset: u64,
    pub(super) direct: bool,
    pub(super) dsync: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncKind {
    Data,
    /// With all metadata: the length has changed. Says what it will be.
    Full(u64),
}

/// What the kernel answered: byte counts, zero, or negative error numbers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Of the write, or of the read.
    pub(super) write: Option<i32>,
    pub(super) sync: Option<i32>,
    /// The pair was not submitted in one go: the sync may have run first.
    pub(super) parted: bool,
}

/// Where the outcome will be.
#[derive(Debug, Default)]
pub(super) struct Completion(OnceLock<Outcome>);

impl Completion {
    pub(super) fn outcome(&self) -> Option<Outcome> {
        self.0.get().copied()
    }
}

pub(super) struct Ring {
    uring: IoUring,
    queue: Mutex<Queue>,
    /// Whether somebody is the reaper.
    reaper: Mutex<bool>,
    reaped: Condvar,
    failure: OnceLock<String>,
    broken: AtomicBool,
}

#[derive(Default)]
struct Queue {
    table: Vec<Option<Entry>>,
    free: Vec<usize>,
    outstanding: usize,
}

/// A submission that the kernel has not answered completely. It owns what the
/// kernel works with.
struct Entry {
    _request: Request,
    completion: Arc<Completion>,
    missing: u8,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Part {
    Write = 0,
    Sync = 1,
}

impl Ring {
    pub(super) fn new(uring: IoUring) -> Self {
        Self {
            uring,
            queue: Mutex::default(),
            reaper: Mutex::new(false),
            reaped: Condvar::new(),
            failure: OnceLock::new(),
            broken: AtomicBool::new(false),
        }
    }

    /// Why the ring is not used any more, if so.
    pub(super) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }

    fn break_down(&self, doing: &str, error: &io::Error) {
        self.broken.store(true, Ordering::Relaxed);
        let _ = self
            .failure
            .set(format!("io_uring refused when {doing}: {error}"));
    }

    /// Submits without waiting; gives the request back if the ring is taken,
    /// full or broken.
    pub(super) fn start(&self, request: Request) -> Result<Arc<Completion>, Request> {
        let Some(mut queue) = self.queue.try_lock() else {
            return Err(request);
        };
        if self.is_broken() || queue.outstanding + request.parts() > ENTRIES {
            return Err(request);
        }
        Ok(self.submit(&mut queue, request, 0))
    }

    /// Submits and waits in one system call; gives the request back if the
    /// ring is taken, in use or broken.
    pub(super) fn run_alone(&self, request: Request) -> Result<io::Result<Outcome>, Request> {
        let Some(mut queue) = self.queue.try_lock() else {
            return Err(request);
        };
        if self.is_broken() || queue.outstanding > 0 {
            return Err(request);
        }
        let parts = request.parts();
        let completion = self.submit(&mut queue, request, parts);
        loop {
            self.take_completions(&mut queue);
            if let Some(outcome) = completion.outcome() {
                return Ok(Ok(outcome));
            }
            if let Err(error) = self.wait_in_kernel() {
                return Ok(Err(error));
            }
        }
    }

    /// Whether `completion`, of an operation on this ring, is there. Never waits.
    pub(super) fn poll(&self, completion: &Completion) -> bool {
        if completion.outcome().is_none()
            && let Some(reaper) = self.reaper.try_lock()
            && !*reaper
            && let Some(mut queue) = self.queue.try_lock()
        {
            self.take_completions(&mut queue);
        }
        completion.outcome().is_some()
    }

    /// Waits for `completion`, of an operation on this ring.
    pub(super) fn wait(&self, completion: &Completion) -> io::Result<Outcome> {
        loop {
            if let Some(outcome) = completion.outcome() {
                return Ok(outcome);
            }
            let mut reaper = self.reaper.lock();
            if *reaper {
                self.reaped.wait(&mut reaper);
                continue;
            }
            *reaper = true;
            drop(reaper);
            let result = self.reap(completion);
            *self.reaper.lock() = false;
            self.reaped.notify_all();
            result?;
        }
    }

    /// As the reaper: takes what is there and waits for more if `completion` is not.
    fn reap(&self, completion: &Completion) -> io::Result<()> {
        self.take_completions(&mut self.queue.lock());
        if completion.outcome().is_none() {
            self.wait_in_kernel()?;
            self.take_completions(&mut self.queue.lock());
        }
        Ok(())
    }

    fn wait_in_kernel(&self) -> io::Result<()> {
        let mut patience = PATIENCE;
        loop {
            let flags = EnterFlags::GETEVENTS.bits();
            // SAFETY: submits nothing, waits for one completion, has no argument.
            let result = unsafe {
                self.uring
                    .submitter()
                    .enter::<libc::sigset_t>(0, 1, flags, None)
            };
            match result {
                Ok(_) => return Ok(()),
                Err(error) if may_retry(&error, &mut patience) => {}
                Err(error) => {
                    self.break_down("waiting", &error);
                    return Err(error);
                }
            }
        }
    }

    /// Puts the request into the table, submits it, and waits for `wait_for`
    /// completions. What the kernel does not take counts as cancelled.
    fn submit(&self, queue: &mut Queue, request: Request, wait_for: usize) -> Arc<Completion> {
        let slot = queue.free.pop().unwrap_or_else(|| {
            queue.table.push(None);
            queue.table.len() - 1
        });
        let (entries, parts) = request.entries(slot);
        let completion = Arc::new(Completion::default());
        queue.outstanding += entries.len();
        queue.table[slot] = Some(Entry {
            _request: request,
            completion: Arc::clone(&completion),
            missing: entries.len() as u8,
            outcome: Outcome::default(),
        });
        // SAFETY: `queue` is locked, so there is no other submission queue. The
        // entries point into memory and name files that the table owns until
        // the last completion of this slot has been taken.
        let pushed = unsafe { self.uring.submission_shared().push_multiple(&entries) };
        // The queue is empty, has room for ENTRIES, and a request has two.
        assert!(pushed.is_ok(), "the submission queue is not empty");

        let mut taken = 0;
        let mut patience = PATIENCE;
        while taken < entries.len() {
            match self.uring.submitter().submit_and_wait(wait_for) {
                Ok(count) if count > 0 => {
                    taken += count;
                    if taken < entries.len() {
                        queue.part_pair(slot);
                    }
                }
                Ok(_) if may_retry(&io::ErrorKind::WouldBlock.into(), &mut patience) => {}
                Err(error) if may_retry(&error, &mut patience) => {}
                refused => {
                    let error = refused
                        .err()
                        .unwrap_or_else(|| io::ErrorKind::WouldBlock.into());
                    self.break_down("submitting", &error);
                    for &part in &parts[taken..] {
                        queue.deliver(slot, part, -libc::ECANCELED);
                    }
                    break;
                }
            }
        }
        completion
    }

    fn take_completions(&self, queue: &mut Queue) {
        // SAFETY: `queue` is locked, so there is no other completion queue.
        for answer in unsafe { self.uring.completion_shared() } {
            let data = answer.user_data();
            let part = if data & 1 == 0 {
                Part::Write
            } else {
                Part::Sync
            };
            queue.deliver((data >> 1) as usize, part, answer.result());
        }
    }
}

impl Queue {
    fn part_pair(&mut self, slot: usize) {
        if let Some(entry) = &mut self.table[slot] {
            entry.outcome.parted = true;
        }
    }

    fn deliver(&mut self, slot: usize, part: Part, result: i32) {
        let Some(entry) = &mut self.table[slot] else {
            return;
        };
        match part {
            Part::Write => entry.outcome.write = Some(result),
            Part::Sync => entry.outcome.sync = Some(result),
        }
        entry.missing -= 1;
        self.outstanding -= 1;
        if entry.missing == 0 {
            let (completion, outcome) = (Arc::clone(&entry.completion), entry.outcome);
            // First the memory, then the news: who hears of it is its only owner.
            self.table[slot] = None;
            self.free.push(slot);
            let _ = completion.0.set(outcome);
        }
    }
}

impl Request {
    fn parts(&self) -> usize {
        usize::from(self.read.is_some())
            + usize::from(self.write.is_some())
            + usize::from(self.sync.is_some())
    }

    fn entries(&self, slot: usize) -> (Vec<squeue::Entry>, Vec<Part>) {
        let user_data = |part: Part| (slot as u64) << 1 | part as u64;
        let descriptor = |direct| types::Fd(self.file.descriptor(direct).as_raw_fd());
        let mut entries = Vec::with_capacity(2);
        let mut parts = Vec::with_capacity(2);
        if let Some(read) = &self.read {
            let (start, len) = (read.into.start().as_ptr(), read.into.size() as u32);
            let entry = opcode::Read::new(descriptor(read.direct), start, len)
                .offset(read.offset)
                .build();
            entries.push(entry.user_data(user_data(Part::Write)));
            parts.push(Part::Write);
        }
        if let Some(write) = &self.write {
            let bytes = &write.bytes.stable_bytes()[write.part.clone()];
            let flags = if write.dsync { libc::RWF_DSYNC } else { 0 };
            let entry =
                opcode::Write::new(descriptor(write.direct), bytes.as_ptr(), bytes.len() as u32)
                    .offset(write.offset)
                    .rw_flags(flags)
                    .build()
                    .user_data(user_data(Part::Write));
            let link = squeue::Flags::IO_LINK;
            entries.push(if self.sync.is_some() {
                entry.flags(link)
            } else {
                entry
            });
            parts.push(Part::Write);
        }
        if let Some(kind) = self.sync {
            let flags = match kind {
                SyncKind::Data => types::FsyncFlags::DATASYNC,
                SyncKind::Full(_) => types::FsyncFlags::empty(),
            };
            let entry = opcode::Fsync::new(descriptor(false)).flags(flags).build();
            entries.push(entry.user_data(user_data(Part::Sync)));
            parts.push(Part::Sync);
        }
        (entries, parts)
    }
}

/// Whether the kernel only said "not now".
fn may_retry(error: &io::Error, patience: &mut u32) -> bool {
    match error.raw_os_error() {
        Some(libc::EINTR) => true,
        Some(libc::EAGAIN | libc::EBUSY) | None if *patience > 0 => {
            *patience -= 1;
            std::thread::yield_now();
            true
        }
        _ => false,
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // Every operation waits for its end when dropped. Should one have been
        // forgotten or lost, the kernel may still read its memory: leak it.
        let queue = self.queue.get_mut();
        if queue.outstanding > 0 {
            std::mem::forget(std::mem::take(&mut queue.table));
        }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
