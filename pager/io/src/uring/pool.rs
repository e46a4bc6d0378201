//! The rings of a disk.

use std::io;
use std::sync::Arc;

use io_uring::IoUring;
use parking_lot::RwLock;

use super::ring::{Completion, Outcome, Request, Ring};

/// Most rings per disk. Each holds 64 submissions; threads that find all taken
/// use system calls.
const RINGS_MAX: usize = 8;

pub(super) type SetUp = fn() -> io::Result<IoUring>;

/// Rings, made when those there are taken.
#[derive(Debug)]
pub(super) struct Pool {
    rings: RwLock<Vec<Arc<Ring>>>,
    set_up: SetUp,
}

impl Pool {
    /// With one ring, to know whether the system allows any.
    pub(super) fn new(set_up: SetUp) -> io::Result<Self> {
        let ring = Arc::new(Ring::new(set_up()?));
        Ok(Self {
            rings: RwLock::new(vec![ring]),
            set_up,
        })
    }

    /// Submits on the first ring that is free; gives the request back if none is.
    pub(super) fn start(&self, request: Request) -> Result<(Arc<Ring>, Arc<Completion>), Request> {
        self.on_some_ring(request, |ring, request| {
            ring.start(request)
                .map(|completion| (Arc::clone(ring), completion))
        })
    }

    /// Submits on the first ring without anything in flight, and waits.
    pub(super) fn run_alone(&self, request: Request) -> Result<io::Result<Outcome>, Request> {
        // Waits under the shared lock would keep new rings from being added.
        let rings = self.rings.read().clone();
        let mut request = request;
        for ring in &rings {
            match ring.run_alone(request) {
                Err(back) => request = back,
                done => return done,
            }
        }
        match self.add() {
            Some(ring) => ring.run_alone(request),
            None => Err(request),
        }
    }

    fn on_some_ring<T>(
        &self,
        mut request: Request,
        mut attempt: impl FnMut(&Arc<Ring>, Request) -> Result<T, Request>,
    ) -> Result<T, Request> {
        for ring in self.rings.read().iter() {
            match attempt(ring, request) {
                Err(back) => request = back,
                done => return done,
            }
        }
        match self.add() {
            Some(ring) => attempt(&ring, request),
            None => Err(request),
        }
    }

    fn add(&self) -> Option<Arc<Ring>> {
        if self.rings.read().len() >= RINGS_MAX {
            return None;
        }
        // A refusal now is like a full pool: the first ring goes on working.
        let ring = Arc::new(Ring::new((self.set_up)().ok()?));
        let mut rings = self.rings.write();
        if rings.len() >= RINGS_MAX {
            return None;
        }
        rings.push(Arc::clone(&ring));
        Some(ring)
    }

    /// Why rings are not used any more, one line each.
    pub(super) fn failures(&self) -> Vec<String> {
        let rings = self.rings.read();
        let mut failures: Vec<String> = rings
            .iter()
            .filter_map(|ring| ring.failure())
            .map(str::to_owned)
            .collect();
        failures.sort_unstable();
        failures.dedup();
        failures
    }
}

#[cfg(test)]
mod tests;
