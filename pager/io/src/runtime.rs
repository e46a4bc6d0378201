//! Threads, time and randomness: real, or one seeded thread.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where everything below the server gets its threads, its time and its
/// random numbers.
pub trait Runtime: Send + Sync + fmt::Debug {
    /// Time since some fixed moment; never goes back.
    fn monotonic(&self) -> Duration;

    /// Milliseconds since 1970; may jump.
    fn unix_ms(&self) -> u64;

    /// A random number, not for secrets.
    fn random(&self) -> u64;

    /// Starts a named thread, or returns `None` where there is only one
    /// thread: then the owner's scheduler calls the work's `step()` itself.
    ///
    /// # Errors
    /// The system refused another thread.
    fn spawn(
        &self,
        name: &str,
        work: Box<dyn FnOnce() + Send + 'static>,
    ) -> io::Result<Option<Task>>;

    /// Whether a caller may block until another thread has done something.
    /// Where not, it must do that work itself.
    fn may_block(&self) -> bool;
}

/// A thread that was started; joined by [`join`](Self::join), else left alone.
#[derive(Debug)]
pub struct Task(Option<JoinHandle<()>>);

impl Task {
    /// Waits for its end. A panic in it is swallowed here: its effects were
    /// reported where they happened.
    ///
    /// On the thread itself this returns at once, and the thread is left
    /// alone: it may hold the last reference to whoever joins it when closing.
    pub fn join(mut self) {
        let other = |handle: &JoinHandle<()>| handle.thread().id() != std::thread::current().id();
        if let Some(handle) = self.0.take().filter(other) {
            let _ = handle.join();
        }
    }
}

/// The operating system's threads, clocks and entropy.
#[derive(Debug)]
pub struct RealRuntime {
    start: Instant,
    state: AtomicU64,
}

impl RealRuntime {
    /// A new handle; cheap.
    #[must_use]
    pub fn new() -> Arc<Self> {
        use std::hash::{BuildHasher, Hasher, RandomState};
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u32(std::process::id());
        Arc::new(Self {
            start: Instant::now(),
            state: AtomicU64::new(hasher.finish()),
        })
    }
}

impl Runtime for RealRuntime {
    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }

    fn unix_ms(&self) -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| {
                u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
            })
    }

    fn random(&self) -> u64 {
        split_mix(self.state.fetch_add(SPLIT_MIX_STEP, Ordering::Relaxed))
    }

    fn spawn(
        &self,
        name: &str,
        work: Box<dyn FnOnce() + Send + 'static>,
    ) -> io::Result<Option<Task>> {
        let handle = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(work)?;
        Ok(Some(Task(Some(handle))))
    }

    fn may_block(&self) -> bool {
        true
    }
}

/// One thread, a clock that moves only when told, and numbers from a seed.
#[derive(Debug)]
pub struct SimRuntime {
    now_ns: AtomicU64,
    state: AtomicU64,
}

impl SimRuntime {
    /// Wall clock at the beginning: an arbitrary fixed day, 2026-01-01.
    const EPOCH_MS: u64 = 1_767_225_600_000;

    /// The same seed gives the same numbers.
    #[must_use]
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            now_ns: AtomicU64::new(0),
            state: AtomicU64::new(seed),
        })
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.now_ns.fetch_add(ns, Ordering::Relaxed);
    }
}

impl Runtime for SimRuntime {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.now_ns.load(Ordering::Relaxed))
    }

    fn unix_ms(&self) -> u64 {
        Self::EPOCH_MS + self.now_ns.load(Ordering::Relaxed) / 1_000_000
    }

    fn random(&self) -> u64 {
        split_mix(self.state.fetch_add(SPLIT_MIX_STEP, Ordering::Relaxed))
    }

    fn spawn(
        &self,
        _name: &str,
        _work: Box<dyn FnOnce() + Send + 'static>,
    ) -> io::Result<Option<Task>> {
        Ok(None)
    }

    fn may_block(&self) -> bool {
        false
    }
}

/// Step and finaliser of SplitMix64 (Steele, Lea, Flood, 2014): good enough
/// for jitter, ids and simulation, and its whole state is one counter.
const SPLIT_MIX_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn split_mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(SPLIT_MIX_STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The same numbers, for a single owner.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        let number = split_mix(self.0);
        self.0 = self.0.wrapping_add(SPLIT_MIX_STEP);
        number
    }
}

#[cfg(test)]
mod tests;
