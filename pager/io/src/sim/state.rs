//! What a simulated disk and its handles share.
//!
//! ## Invariants
//! * Each operation that was started is in `in_flight`, has a result that
//!   nobody has fetched, or was forgotten.
//! * What is seen changes only when an operation ends, and the journal says so.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use super::content::Content;
use super::disk::SimOptions;
use super::fault::{Fault, FaultPlan, OperationKind};
use super::image::{Names, SimImage};
use super::journal::{Event, FileNumber, Journal, Operation};
use super::rng::Rng;
use super::unsynced::FileState;
use crate::WriteMode;
use crate::names::{context, storage_full};

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
    pub(super) names: Names,
    next_file: u32,
    next_operation: u64,
    pub(super) journal: Journal,
    pub(super) in_flight: VecDeque<Flight>,
    results: BTreeMap<Operation, io::Result<()>>,
    rng: Rng,
    options: SimOptions,
    pub(super) operations: u64,
    pub(super) fired: Option<u64>,
}

impl State {
    /// As the crash that made `image` left it.
    pub(super) fn booted(image: &SimImage, seed: u64, options: SimOptions) -> Self {
        let names = image.directory.visible();
        let visible = |file: &FileNumber| {
            image
                .files
                .get(file)
                .map(FileState::visible)
                .unwrap_or_default()
        };
        Self {
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
        }
    }

    pub(super) fn plan_fault(&mut self, plan: Option<FaultPlan>) {
        self.options.fault = plan;
        self.fired = None;
    }

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

    pub(super) fn create(&mut self, name: &str) -> FileNumber {
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

    pub(super) fn end_some(&mut self) -> bool {
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
