//! One writer, several readers, checkpoints all the time: a snapshot is one
//! state, and stays it.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::sync::atomic::{AtomicBool, Ordering};

use cs_base::TreeId;
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_kv::{Batch, CommitOptions, Expect, KeyRange, Snapshot, Store, StoreOptions};
use oorandom::Rand64;

const SEED: u64 = 20_263;
/// Accounts, and what each holds at first: transfers leave the sum as it is.
const ACCOUNTS: u32 = 400;
const EACH: u64 = 1_000;
const TRANSFERS: u32 = 6_000;
const READERS: u64 = 3;
/// Bytes that each account carries beside its number, so that the tree is
/// larger than the memory for it.
const BALLAST: usize = 700;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = 4096;
    options.cache_bytes = 128 * 1024;
    options.checkpoint_log_bytes = 256 * 1024;
    options.log.segment_bytes_min = 64 * 1024;
    options
}

fn value(amount: u64) -> Vec<u8> {
    let mut value = amount.to_le_bytes().to_vec();
    value.resize(8 + BALLAST, amount as u8);
    value
}

fn amount(value: &[u8]) -> u64 {
    assert!(
        value[8..].iter().all(|&byte| byte == value[0]),
        "an account of two states"
    );
    u64::from_le_bytes(value[..8].try_into().unwrap())
}

/// All amounts in order of their accounts.
fn amounts(snapshot: &Snapshot, tree: TreeId) -> Vec<u64> {
    let mut cursor = snapshot.cursor(tree, KeyRange::all()).unwrap();
    let mut amounts = Vec::new();
    while let Some((key, value)) = cursor.next().unwrap() {
        assert_eq!(key, (amounts.len() as u32).to_be_bytes());
        amounts.push(amount(value));
    }
    amounts
}

/// Takes from one account what it gives to another, in one commit.
fn transfer(store: &Store, tree: TreeId, rng: &mut Rand64, state: &mut [u64]) {
    let mut account = || rng.rand_range(0..u64::from(ACCOUNTS)) as usize;
    let (from, to) = (account(), account());
    let some = state[from].min(rng.rand_range(0..50));
    state[from] -= some;
    state[to] += some;
    let mut batch = Batch::new();
    for account in [from, to] {
        let key = (account as u32).to_be_bytes().to_vec();
        batch.put(tree, key, value(state[account]), Expect::Present);
    }
    // Many in flight: only now and then somebody waits.
    let ticket = store.write(&batch, &CommitOptions::default()).unwrap();
    if rng.rand_range(0..8) == 0 {
        ticket.wait().unwrap();
    }
}

fn read(store: &Store, tree: TreeId, seed: u64, done: &AtomicBool) -> u64 {
    let mut rng = Rand64::new(u128::from(seed));
    let mut held: Vec<(Snapshot, Vec<u64>)> = Vec::new();
    let mut looks = 0;
    loop {
        let last = done.load(Ordering::Acquire);
        let snapshot = store.snapshot().unwrap();
        let now = amounts(&snapshot, tree);
        let sum: u64 = now.iter().sum();
        assert_eq!(
            sum,
            u64::from(ACCOUNTS) * EACH,
            "at commit {}",
            snapshot.index()
        );
        held.push((snapshot, now));
        // An old one, any of them, still shows what it showed.
        let (snapshot, before) = &held[rng.rand_range(0..held.len() as u64) as usize];
        assert_eq!(
            &amounts(snapshot, tree),
            before,
            "commit {}",
            snapshot.index()
        );
        let account = rng.rand_range(0..u64::from(ACCOUNTS)) as u32;
        let one = snapshot.get(tree, &account.to_be_bytes()).unwrap().unwrap();
        assert_eq!(amount(&one), before[account as usize]);
        if held.len() > 5 {
            held.swap_remove(rng.rand_range(0..5) as usize);
        }
        looks += 1;
        if last {
            return looks;
        }
    }
}

#[test]
fn snapshots_stay_equal_beside_a_writer_and_checkpoints() {
    println!("seed {SEED}");
    let store = Store::open(MemoryDisk::new(), RealRuntime::new(), options()).unwrap();
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    for account in 0..ACCOUNTS {
        batch.put(
            tree,
            account.to_be_bytes().to_vec(),
            value(EACH),
            Expect::Absent,
        );
    }
    store
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let mut state = vec![EACH; ACCOUNTS as usize];
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|reader| {
                let (store, done) = (&store, &done);
                scope.spawn(move || read(store, tree, SEED + reader, done))
            })
            .collect();
        let mut rng = Rand64::new(u128::from(SEED));
        for number in 0..TRANSFERS {
            transfer(&store, tree, &mut rng, &mut state);
            if number % 500 == 499 {
                store.checkpoint().unwrap();
            }
        }
        done.store(true, Ordering::Release);
        for reader in readers {
            assert!(reader.join().unwrap() > 1, "a reader hardly looked");
        }
    });
    store.flush().unwrap();
    assert_eq!(amounts(&store.snapshot().unwrap(), tree), state);
    assert!(store.stats().checkpoints > 2, "checkpoints came between");
    let report = store.check().unwrap();
    assert!(report.is_sound(), "{:#?}", report.findings);
}
