//! The disk that a run uses.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::crash::CrashKind;
use super::fault::{FaultPlan, OperationKind};
use super::file::SimFile;
use super::image::SimImage;
use super::journal::{Event, Journal};
use super::replay::Replay;
use super::rng::Rng;
use super::state::State;
use crate::memory::ProcessLock;
use crate::names::{already_exists, check_name, not_found};
use crate::{BackendReport, Disk, File, LockError, LockGuard, OpenMode};

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
        let state = State::booted(image, seed, options);
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
        self.state.lock().plan_fault(plan);
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
