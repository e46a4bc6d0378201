//! The disk that a run uses.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::content::Content;
use super::crash::CrashKind;
use super::fault::{Fault, FaultPlan, OperationKind};
use super::file::SimFile;
use super::image::{Names, SimImage};
use super::journal::{Event, FileNumber, Journal, Operation};
use super::replay::Replay;
use super::rng::Rng;
use crate::memory::ProcessLock;
use crate::names::{already_exists, check_name, context, not_found, storage_full};
use crate::{BackendReport, Disk, File, LockError, LockGuard, OpenMode, WriteMode};

/// How a simulated disk behaves.
#[derive(Clone, Copy, Debug)]
pub struct SimOptions {
    /// Space for the named files, in bytes, counted in whole blocks; holes take none.
    pub capacity: u64,
    /// What goes wrong, if anything.
    pub fault: Option<FaultPlan>,
    /// Chance in percent that an operation ends when it is asked whether it has,
    /// and that another one ends before the one that is waited for.
    pub finish_percent: u8,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            capacity: u64::MAX,
            fault: None,
            finish_percent: 25,
        }
    }
}

/// A simulated directory; see the [module](super). For one thread.
#[derive(Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
    locked: Arc<AtomicBool>,
    base: SimImage,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64, options: SimOptions) -> Arc<Self> {
        Self::from_image(&SimImage::new(), seed, options)
    }

    /// A disk as a crash left it, with a journal of its own.
    #[must_use]
    pub fn from_image(image: &SimImage, seed: u64, options: SimOptions) -> Arc<Self> {
        let names = image.directory.visible();
        let visible = |file: &FileNumber| {
            image
                .files
                .get(file)
                .map(super::unsynced::FileState::visible)
                .unwrap_or_default()
        };
        let state = State {
            files: names.values().map(|file| (*file, visible(file))).collect(),
            names,
            next_file: image.next_file,
            next_operation: 0,
            journal: Journal::default(),
            in_flight: VecDeque::new(),
            results: BTreeMap::new(),
            rng: Rng::new(seed),
            options,
            operations: 0,
            fired: None,
        };
        Arc::new(Self {
            state: Arc::new(Mutex::new(state)),
            locked: Arc::default(),
            base: image.clone(),
        })
    }

    /// A copy of the journal so far.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.state.lock().journal.clone()
    }

    /// How many events there are so far: what has ended before this call is
    /// within that many events of the journal.
    #[must_use]
    pub fn event_count(&self) -> usize {
        self.state.lock().journal.len()
    }

    /// Puts a note into the journal.
    pub fn mark(&self, mark: u64) {
        self.state.lock().journal.push(Event::Mark(mark));
    }

    /// Ends an operation in flight, drawn at random; `false` if there is none.
    pub fn end_some(&self) -> bool {
        self.state.lock().end_some()
    }

    /// How many operations are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.state.lock().in_flight.len()
    }

    /// How many operations were asked for so far, those without bytes
    /// included (open, rename, sync of the directory, …; not `len`).
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operations
    }

    /// Replaces the plan, and forgets whether the last one came true.
    pub fn plan_fault(&self, plan: Option<FaultPlan>) {
        let mut state = self.state.lock();
        state.options.fault = plan;
        state.fired = None;
    }

    /// The number of the operation that the planned fault befell.
    #[must_use]
    pub fn fault_fired(&self) -> Option<u64> {
        self.state.lock().fired
    }

    /// A crash now. For many crashes of one run walk its journal with a [`Replay`].
    #[must_use]
    pub fn crash(&self, rng: &mut Rng, kind: CrashKind) -> SimImage {
        let state = self.state.lock();
        let mut replay = Replay::from_image(&self.base, &state.journal);
        replay.advance_to(state.journal.len());
        replay.crash(rng, kind)
    }
}

impl Disk for SimDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        check_name(name)?;
        let mut state = self.state.lock();
        let create = mode == OpenMode::Create;
        let kind = if create {
            OperationKind::Create
        } else {
            OperationKind::Other
        };
        state.operation(kind, "opening", name)?;
        let file = match state.names.get(name) {
            Some(_) if create => return Err(already_exists(name)),
            Some(&file) => file,
            None if create => state.create(name),
            None => return Err(not_found(name)),
        };
        drop(state);
        let writable = mode != OpenMode::ReadOnly;
        Ok(Arc::new(SimFile::new(
            Arc::clone(&self.state),
            file,
            name,
            writable,
        )))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let mut state = self.state.lock();
        state.operation(OperationKind::Other, "removing", name)?;
        let (name, file) = state
            .names
            .remove_entry(name)
            .ok_or_else(|| not_found(name))?;
        state.journal.push(Event::Remove { name, file });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut state = self.state.lock();
        state.operation(OperationKind::Other, "renaming", from)?;
        let (from, file) = state
            .names
            .remove_entry(from)
            .ok_or_else(|| not_found(from))?;
        let to: Arc<str> = to.into();
        state.names.insert(Arc::clone(&to), file);
        state.journal.push(Event::Rename { from, to, file });
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.operation(OperationKind::Other, "listing", "the directory")?;
        Ok(state
            .names
            .keys()
            .map(|name| name.as_ref().to_owned())
            .collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        let result = state.operation(OperationKind::Sync, "syncing", "the directory");
        state.journal.push(Event::DirSync { ok: result.is_ok() });
        result.map(drop)
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        ProcessLock::take(&self.locked)
    }

    fn report(&self) -> BackendReport {
        BackendReport {
            name: "simulated",
            ..BackendReport::default()
        }
    }
}

/// An operation in flight, with its fate.
#[derive(Debug)]
pub(super) struct Flight {
    operation: Operation,
    file: FileNumber,
    action: Action,
    /// What the caller will be told.
    error: Option<io::Error>,
    /// Nobody waits for it any more.
    forgotten: bool,
}

#[derive(Debug)]
enum Action {
    Write { offset: u64, bytes: Arc<[u8]> },
    Sync,
}

#[derive(Debug)]
pub(super) struct State {
    /// Visible bytes, also of removed files: handles may be open.
    pub(super) files: BTreeMap<FileNumber, Content>,
    names: Names,
    next_file: u32,
    next_operation: u64,
    pub(super) journal: Journal,
    in_flight: VecDeque<Flight>,
    results: BTreeMap<Operation, io::Result<()>>,
    rng: Rng,
    options: SimOptions,
    operations: u64,
    fired: Option<u64>,
}

impl State {
    /// Counts an operation; an error if the planned fault simply makes it
    /// fail, else the fault that the caller must carry out.
    pub(super) fn operation(
        &mut self,
        kind: OperationKind,
        doing: &str,
        name: &str,
    ) -> io::Result<Option<Fault>> {
        let fault = self.count(kind);
        let error = match fault {
            Some(Fault::NoSpace) => io::ErrorKind::StorageFull.into(),
            Some(Fault::Eio | Fault::SyncFails | Fault::ReadEio) => eio(),
            other => return Ok(other),
        };
        Err(context(&error, &format!("{doing} {name}")))
    }

    fn count(&mut self, kind: OperationKind) -> Option<Fault> {
        let number = self.operations;
        self.operations += 1;
        let plan = self.options.fault?;
        let due = self.fired.is_none() && number >= plan.at_operation;
        if due && plan.fault.applies_to(kind) {
            self.fired = Some(number);
            return Some(plan.fault);
        }
        None
    }

    fn create(&mut self, name: &str) -> FileNumber {
        let name: Arc<str> = name.into();
        let file = FileNumber(self.next_file);
        self.next_file += 1;
        self.names.insert(Arc::clone(&name), file);
        self.files.insert(file, Content::default());
        self.journal.push(Event::Create { name, file });
        file
    }

    pub(super) fn content(&mut self, file: FileNumber) -> &mut Content {
        self.files.entry(file).or_default()
    }

    /// Whether the range can be written or reserved.
    pub(super) fn check_space(
        &mut self,
        file: FileNumber,
        name: &str,
        offset: u64,
        end: u64,
    ) -> io::Result<()> {
        let capacity = self.options.capacity;
        let more = self.content(file).space_for(offset, end);
        if capacity == u64::MAX || more == 0 {
            return Ok(());
        }
        let used: u64 = self
            .names
            .values()
            .filter_map(|file| self.files.get(file))
            .map(Content::space)
            .sum();
        if used.saturating_add(more) > capacity {
            return Err(storage_full(name, more, capacity));
        }
        Ok(())
    }

    fn next_operation(&mut self) -> Operation {
        let operation = Operation(self.next_operation);
        self.next_operation += 1;
        operation
    }

    pub(super) fn start_write(
        &mut self,
        file: FileNumber,
        name: &str,
        mut offset: u64,
        bytes: &[u8],
        mode: WriteMode,
    ) -> Operation {
        let fault = self.count(OperationKind::Write);
        let mut bytes: Arc<[u8]> = bytes.into();
        let mut error = None;
        match fault {
            Some(Fault::Eio) => {
                error = Some(eio());
                if self.rng.percent(50) {
                    bytes = Arc::default();
                }
            }
            Some(Fault::NoSpace) => {
                error = Some(io::ErrorKind::StorageFull.into());
                bytes = Arc::default();
            }
            Some(Fault::ShortWrite) => {
                error = Some(io::ErrorKind::WriteZero.into());
                bytes = bytes[..bytes.len() / 2].into();
            }
            Some(Fault::LostWrite) => bytes = Arc::default(),
            Some(Fault::MisdirectedWrite) => offset = self.misdirect(file, offset),
            Some(Fault::SyncFails | Fault::ReadEio) | None => {}
        }
        let error = error.map(|error| context(&error, &format!("writing {name}")));
        let operation = self.next_operation();
        let landing = Arc::clone(&bytes);
        self.journal.push(Event::WriteStart {
            operation,
            file,
            offset,
            bytes: landing,
            mode,
        });
        let action = Action::Write { offset, bytes };
        self.in_flight.push_back(Flight {
            operation,
            file,
            action,
            error,
            forgotten: false,
        });
        operation
    }

    /// Another block of the file, or the next one if there is none.
    fn misdirect(&mut self, file: FileNumber, offset: u64) -> u64 {
        let unit = cs_base::BLOCK_SIZE as u64;
        let blocks = self.content(file).len().div_ceil(unit).max(2);
        let distance = 1 + self.rng.below(blocks - 1);
        (offset / unit + distance) % blocks * unit + offset % unit
    }

    pub(super) fn start_sync(&mut self, file: FileNumber, name: &str) -> Operation {
        let result = self.operation(OperationKind::Sync, "syncing", name);
        let operation = self.next_operation();
        self.journal.push(Event::SyncStart { operation, file });
        let (action, error) = (Action::Sync, result.err());
        self.in_flight.push_back(Flight {
            operation,
            file,
            action,
            error,
            forgotten: false,
        });
        operation
    }

    fn end_some(&mut self) -> bool {
        if self.in_flight.is_empty() {
            return false;
        }
        let index = self.rng.below(self.in_flight.len() as u64) as usize;
        self.end_at(index);
        true
    }

    fn end_at(&mut self, index: usize) {
        let Some(flight) = self.in_flight.remove(index) else {
            return;
        };
        let Flight {
            operation,
            file,
            action,
            mut error,
            forgotten,
        } = flight;
        match action {
            Action::Write { offset, bytes } => {
                let space = self.check_space(
                    file,
                    "a write in flight",
                    offset,
                    offset + bytes.len() as u64,
                );
                let landed = space.is_ok();
                if landed {
                    self.content(file).write(&bytes, offset);
                }
                error = error.or(space.err());
                self.journal.push(Event::WriteEnd {
                    operation,
                    landed,
                    ok: error.is_none(),
                });
            }
            Action::Sync => {
                self.journal.push(Event::SyncEnd {
                    operation,
                    ok: error.is_none(),
                });
            }
        }
        if !forgotten {
            self.results.insert(operation, error.map_or(Ok(()), Err));
        }
    }

    /// Whether it has ended; it may end here.
    pub(super) fn poll(&mut self, operation: Operation) -> bool {
        if self.results.contains_key(&operation) {
            return true;
        }
        if self.rng.percent(self.options.finish_percent) {
            self.end_some();
        }
        self.results.contains_key(&operation)
    }

    /// Ends it, perhaps after some others.
    pub(super) fn finish(&mut self, operation: Operation) -> io::Result<()> {
        loop {
            if let Some(result) = self.results.remove(&operation) {
                return result;
            }
            let luck = self.rng.percent(self.options.finish_percent);
            let mut flights = self.in_flight.iter();
            match flights.position(|flight| flight.operation == operation) {
                Some(_) if luck => drop(self.end_some()),
                Some(index) => self.end_at(index),
                None => unreachable!("an operation is in flight or has a result"),
            }
        }
    }

    /// Nobody will ask for the result.
    pub(super) fn forget(&mut self, operation: Operation) {
        self.results.remove(&operation);
        if let Some(flight) = self.in_flight.iter_mut().find(|f| f.operation == operation) {
            flight.forgotten = true;
        }
    }
}

/// "Input/output error", as the system says it.
fn eio() -> io::Error {
    io::Error::from_raw_os_error(libc::EIO)
}
