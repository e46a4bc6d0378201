//! Handles to the files of a simulated disk.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::fault::OperationKind;
use super::journal::{Event, FileNumber, Operation};
use super::state::State;
use crate::names::{range_end, read_only_error};
use crate::{File, Pending, PendingIo, StableBytes, WriteMode};

#[derive(Debug)]
pub(super) struct SimFile {
    state: Arc<Mutex<State>>,
    file: FileNumber,
    name: String,
    writable: bool,
}

impl SimFile {
    pub(super) fn new(
        state: Arc<Mutex<State>>,
        file: FileNumber,
        name: &str,
        writable: bool,
    ) -> Self {
        Self {
            state,
            file,
            name: name.to_owned(),
            writable,
        }
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(read_only_error(&self.name))
        }
    }

    fn check_write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, offset, bytes.len() as u64).map(drop)
    }

    fn pending(&self, operation: Operation) -> Pending {
        let state = Arc::clone(&self.state);
        Pending::InFlight(Box::new(SimPending { state, operation }))
    }
}

impl File for SimFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        range_end(&self.name, offset, buffer.len() as u64)?;
        let mut state = self.state.lock();
        state.operation(OperationKind::Read, "reading", &self.name)?;
        Ok(state.content(self.file).read(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.check_write(bytes, offset)?;
        let mut state = self.state.lock();
        let operation = state.start_write(self.file, &self.name, offset, bytes, WriteMode::Plain);
        state.finish(operation)
    }

    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, mode: WriteMode) -> Pending {
        let bytes = bytes.stable_bytes();
        if let Err(error) = self.check_write(bytes, offset) {
            return Pending::Ready(Err(error));
        }
        let mut state = self.state.lock();
        self.pending(state.start_write(self.file, &self.name, offset, bytes, mode))
    }

    fn start_sync(&self) -> Pending {
        if let Err(error) = self.check_writable() {
            return Pending::Ready(Err(error));
        }
        let mut state = self.state.lock();
        self.pending(state.start_sync(self.file, &self.name))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().content(self.file).len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        range_end(&self.name, 0, len)?;
        let mut state = self.state.lock();
        let before = state.content(self.file).len();
        let kind = if len > before {
            OperationKind::Grow
        } else {
            OperationKind::Other
        };
        state.operation(kind, "setting the length of", &self.name)?;
        let content = state.content(self.file);
        content.shrink(len);
        content.extend(len);
        state.journal.push(Event::SetLen {
            file: self.file,
            len,
        });
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.check_writable()?;
        let end = range_end(&self.name, offset, len)?;
        if len == 0 {
            return Ok(());
        }
        let mut state = self.state.lock();
        state.operation(OperationKind::Grow, "allocating space for", &self.name)?;
        state.check_space(self.file, &self.name, offset, end)?;
        state.content(self.file).reserve(offset, end);
        state.journal.push(Event::Allocate {
            file: self.file,
            offset,
            len,
        });
        Ok(())
    }
}

#[derive(Debug)]
struct SimPending {
    state: Arc<Mutex<State>>,
    operation: Operation,
}

impl PendingIo for SimPending {
    fn is_finished(&mut self) -> bool {
        self.state.lock().poll(self.operation)
    }

    fn wait(self: Box<Self>) -> io::Result<()> {
        self.state.lock().finish(self.operation)
    }
}

/// What is dropped goes on: it ends some time, or a crash finds it in flight.
impl Drop for SimPending {
    fn drop(&mut self) {
        self.state.lock().forget(self.operation);
    }
}
