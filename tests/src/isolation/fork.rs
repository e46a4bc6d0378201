//! The long fork: two readers that see two independent writes in different
//! orders. Each of a few writers counts in a key of its own, so the states that
//! readers see must lie on one line: of any two, one is at least as new in every key.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_kv::{
    CommitOptions, Durability, Isolation, Store, StoreOptions, Transaction, TransactionOptions,
};

use crate::verdict::ensure;
use crate::{Failure, Verdict, panics};

const WRITERS: usize = 3;
const READERS: usize = 3;

/// Writers wait for readers so often: states between are seen whatever the scheduler does.
const COUNTS_A_READ: u64 = 10;

/// What the counters were, by writer.
type State = Vec<u64>;

struct Scene {
    store: Store,
    tree: TreeId,
    isolation: Isolation,
    seen: Mutex<Vec<State>>,
    reads: AtomicU64,
    /// Nothing more is written, or somebody has failed.
    is_over: AtomicBool,
}

/// Each writer counts so far; says how many different states were seen.
///
/// # Errors
/// Two states that are not on one line.
pub fn look(isolation: Isolation, counts: u64) -> Verdict<usize> {
    let options = StoreOptions::default();
    let store = Store::open(MemoryDisk::new(), RealRuntime::new(), options)?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())?.wait()?;
    let scene = Scene {
        store,
        tree,
        isolation,
        seen: Mutex::default(),
        reads: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    };
    let tell = |verdict: Verdict| {
        if verdict.is_err() {
            scene.is_over.store(true, Ordering::Release);
        }
        verdict
    };
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let (scene, tell) = (&scene, &tell);
        let writer = |key| scope.spawn(move || tell(panics::catch(|| scene.write(key, counts))));
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        let reader = |_| scope.spawn(move || tell(panics::catch(|| scene.read_on())));
        let readers: Vec<_> = (0..READERS).map(reader).collect();
        let panicked = |_| Err(Failure("a thread panicked".into()));
        let ended = |one: ScopedJoinHandle<'_, Verdict>| one.join().unwrap_or_else(panicked);
        let mut verdicts: Vec<Verdict> = writers.into_iter().map(ended).collect();
        scene.is_over.store(true, Ordering::Release);
        verdicts.extend(readers.into_iter().map(ended));
        verdicts
    });
    verdicts.into_iter().collect::<Verdict>()?;
    let states = scene.seen.into_inner();
    let mut states = states.unwrap_or_else(PoisonError::into_inner);
    states.sort_unstable_by_key(|state: &State| state.iter().sum::<u64>());
    states.dedup();
    for pair in states.windows(2) {
        let mut counters = pair[0].iter().zip(&pair[1]);
        ensure(counters.all(|(before, after)| before <= after), || {
            format!("{:?} and {:?} are on no line", pair[0], pair[1])
        })?;
    }
    Ok(states.len())
}

impl Scene {
    fn begin(&self) -> Verdict<Transaction> {
        let options = TransactionOptions::with_isolation(self.isolation);
        Ok(self.store.begin_with(options)?)
    }

    fn write(&self, key: usize, counts: u64) -> Verdict {
        for count in 1..=counts {
            let mut txn = self.begin()?;
            let value = count.to_be_bytes().to_vec();
            txn.put(self.tree, key.to_be_bytes().to_vec(), value)?;
            let level = if count % 2 == 0 {
                Durability::Sync
            } else {
                Durability::Async
            };
            txn.commit(&CommitOptions::with_durability(level))?.wait()?;
            let reads = self.reads.load(Ordering::Acquire);
            while count % COUNTS_A_READ == 0
                && self.reads.load(Ordering::Acquire) == reads
                && !self.is_over.load(Ordering::Acquire)
            {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    fn read_on(&self) -> Verdict {
        loop {
            // In this order: the last state is seen by all.
            let is_last = self.is_over.load(Ordering::Acquire);
            let txn = self.begin()?;
            let mut state = State::new();
            for key in 0..WRITERS {
                let value = txn.get(self.tree, &key.to_be_bytes())?.unwrap_or_default();
                state.push(<[u8; 8]>::try_from(&*value).map_or(0, u64::from_be_bytes));
                std::thread::yield_now();
            }
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(state);
            self.reads.fetch_add(1, Ordering::Release);
            if is_last {
                return Ok(());
            }
        }
    }
}
