//! Money that is moved between accounts from many threads: no snapshot shows
//! another sum than the first, no account owes anything.

use std::sync::atomic::{AtomicU64, Ordering};

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_io::sim::Rng;
use cs_kv::{CommitOptions, Error, Isolation, KeyRange, Store, StoreOptions, TransactionOptions};

use crate::verdict::ensure;
use crate::{Failure, Verdict};

const ACCOUNTS: u64 = 6;
const EACH: u64 = 20;
const THREADS: u64 = 8;

/// Makes so many transfers, committed or refused, and says how many of them stood.
///
/// # Errors
/// Money was made or lost, or an account owes.
pub fn transfers(seed: u64, isolation: Isolation, count: u64) -> Verdict<u64> {
    let disk = MemoryDisk::new();
    let store = Store::open(disk, RealRuntime::new(), StoreOptions::default())?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    for account in 0..ACCOUNTS {
        txn.put(tree, key(account), EACH.to_be_bytes().to_vec())?;
    }
    txn.commit(&CommitOptions::default())?.wait()?;
    let (taken, stood) = (AtomicU64::new(0), AtomicU64::new(0));
    let client = |number: u64| -> Verdict {
        let mut rng = Rng::new(seed ^ number << 40);
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            if rng.percent(30) {
                audit(&store, tree)?;
            } else if transfer(&store, tree, isolation, &mut rng)? {
                stood.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    let client = &client;
    let verdicts: Vec<Verdict> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        let ended = clients.into_iter().map(|client| {
            let panicked = |_| Err(Failure("a client panicked".into()));
            client.join().unwrap_or_else(panicked)
        });
        ended.collect()
    });
    for verdict in verdicts {
        verdict.map_err(|failure| failure.during(format_args!("seed {seed}")))?;
    }
    audit(&store, tree)?;
    Ok(stood.into_inner())
}

fn key(account: u64) -> Vec<u8> {
    account.to_be_bytes().to_vec()
}

fn amount(bytes: Option<&[u8]>) -> u64 {
    let known = bytes.and_then(|bytes| bytes.try_into().ok());
    known.map_or(u64::MAX, u64::from_be_bytes)
}

fn transfer(store: &Store, tree: TreeId, isolation: Isolation, rng: &mut Rng) -> Verdict<bool> {
    let from = rng.below(ACCOUNTS);
    let to = (from + 1 + rng.below(ACCOUNTS - 1)) % ACCOUNTS;
    let mut txn = store.begin_with(TransactionOptions::with_isolation(isolation))?;
    let has = amount(txn.get(tree, &key(from))?.as_deref());
    let had = amount(txn.get(tree, &key(to))?.as_deref());
    std::thread::yield_now();
    let moved = rng.below(EACH);
    if has < moved {
        return Ok(false);
    }
    txn.put(tree, key(from), (has - moved).to_be_bytes().to_vec())?;
    txn.put(tree, key(to), (had + moved).to_be_bytes().to_vec())?;
    match txn.commit(&CommitOptions::default()) {
        Ok(ticket) => ticket.wait()?,
        Err(Error::Conflict { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

fn audit(store: &Store, tree: TreeId) -> Verdict {
    let snapshot = store.snapshot()?;
    let mut cursor = snapshot.cursor(tree, KeyRange::all())?;
    let mut amounts = Vec::new();
    while let Some((_, value)) = cursor.next()? {
        amounts.push(amount(Some(value)));
    }
    let sum = amounts
        .iter()
        .fold(0_u64, |sum, one| sum.wrapping_add(*one));
    let nobody_owes = amounts.iter().all(|one| *one <= ACCOUNTS * EACH);
    ensure(sum == ACCOUNTS * EACH && nobody_owes, || {
        format!("the accounts have {amounts:?} at {}", snapshot.index())
    })
}
