//! The long fork: two readers that see two independent writes in different
//! orders. Each of a few writers counts in a key of its own, so the states that
//! readers see must lie on one line: of any two, one is at least as new in every key.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_kv::{CommitOptions, Durability, Isolation, Store, StoreOptions, TransactionOptions};

use crate::verdict::ensure;
use crate::{Failure, Verdict};

const WRITERS: usize = 3;
const READERS: usize = 3;

/// What the counters were, by writer.
type State = Vec<u64>;

/// Each writer counts so far; says how many different states were seen.
///
/// # Errors
/// Two states that are not on one line.
pub fn look(isolation: Isolation, counts: u64) -> Verdict<usize> {
    let store = Store::open(
        MemoryDisk::new(),
        RealRuntime::new(),
        StoreOptions::default(),
    )?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    txn.commit(&CommitOptions::default())?.wait()?;
    let (seen, is_done) = (Mutex::new(Vec::new()), AtomicBool::new(false));
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let writer = |key: usize| {
            let store = &store;
            scope.spawn(move || write(store, tree, isolation, key, counts))
        };
        let writers: Vec<_> = (0..WRITERS).map(writer).collect();
        let reader = || loop {
            // In this order: the last state is seen by all.
            let is_last = is_done.load(Ordering::Acquire);
            let state = read(&store, tree, isolation)?;
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.push(state);
            if is_last {
                return Ok(());
            }
        };
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(reader)).collect();
        let panicked = |_| Err(Failure("a thread panicked".into()));
        let mut verdicts: Vec<Verdict> = Vec::new();
        verdicts.extend(
            writers
                .into_iter()
                .map(|one| one.join().unwrap_or_else(panicked)),
        );
        is_done.store(true, Ordering::Release);
        verdicts.extend(
            readers
                .into_iter()
                .map(|one| one.join().unwrap_or_else(panicked)),
        );
        verdicts
    });
    verdicts.into_iter().collect::<Verdict>()?;
    let mut states = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    states.sort_unstable_by_key(|state: &State| state.iter().sum::<u64>());
    states.dedup();
    for pair in states.windows(2) {
        let is_newer = pair[0]
            .iter()
            .zip(&pair[1])
            .all(|(before, after)| before <= after);
        ensure(is_newer, || {
            format!("{:?} and {:?} are on no line", pair[0], pair[1])
        })?;
    }
    Ok(states.len())
}

fn write(store: &Store, tree: TreeId, isolation: Isolation, key: usize, counts: u64) -> Verdict {
    for count in 1..=counts {
        let mut txn = store.begin_with(TransactionOptions::with_isolation(isolation))?;
        txn.put(
            tree,
            key.to_be_bytes().to_vec(),
            count.to_be_bytes().to_vec(),
        )?;
        let level = if count % 2 == 0 {
            Durability::Sync
        } else {
            Durability::Async
        };
        txn.commit(&CommitOptions::with_durability(level))?.wait()?;
    }
    Ok(())
}

fn read(store: &Store, tree: TreeId, isolation: Isolation) -> Verdict<State> {
    let txn = store.begin_with(TransactionOptions::with_isolation(isolation))?;
    let mut state = State::new();
    for key in 0..WRITERS {
        let value = txn.get(tree, &key.to_be_bytes())?.unwrap_or_default();
        state.push(<[u8; 8]>::try_from(&*value).map_or(0, u64::from_be_bytes));
        std::thread::yield_now();
    }
    Ok(state)
}
