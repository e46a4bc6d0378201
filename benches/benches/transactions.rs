//! What a transaction costs one thread, where nothing is synced: begin and commit, a get
//! through it, and the certification of what a serializable one has read.
//!
//! `cargo bench -p cs-benches --bench transactions`

use std::hint::black_box;
use std::ops::Bound;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use cs_benches::{VALUE, keys};
use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_kv::{
    Batch, BulkOptions, CommitOptions, Durability, Error, Expect, Isolation, KeyRange, Scan, Store,
    StoreOptions, Transaction, TransactionOptions,
};

/// Keys in the store.
const KEYS: usize = 100_000;
/// Puts of a transaction.
const PUTS: usize = 10;

struct Bed {
    store: Store,
    tree: cs_kv::base::TreeId,
    /// In the order in which they lie.
    keys: Vec<Vec<u8>>,
}

fn bed() -> Bed {
    let mut options = StoreOptions::default();
    options.durability = Some(Durability::Memory);
    let store = Store::open(MemoryDisk::new(), RealRuntime::new(), options).expect("a store");
    let tree = store.new_tree_id();
    let mut batch = Batch::new();
    batch.create_tree(tree);
    commit(&store, &batch);
    let mut keys: Vec<Vec<u8>> = keys(KEYS).into_iter().map(String::into_bytes).collect();
    keys.sort_unstable();
    let entries = keys
        .iter()
        .map(|key| Ok::<_, Error>((key.clone(), vec![0; VALUE])));
    let mut progress = |_: &_| std::ops::ControlFlow::Continue(());
    store
        .bulk_load(tree, entries, &BulkOptions::default(), &mut progress)
        .expect("a load");
    Bed { store, tree, keys }
}

fn commit(store: &Store, batch: &Batch) {
    let ticket = store.write(batch, &CommitOptions::default());
    ticket.expect("a commit").wait().expect("it is visible");
}

impl Bed {
    /// A key that has nothing to do with the one before.
    fn scattered(&self, number: usize) -> &[u8] {
        // Coprime to the count: every key once.
        &self.keys[number.wrapping_mul(61_803) % KEYS]
    }

    fn begin(&self, isolation: Isolation) -> Transaction {
        let options = TransactionOptions::with_isolation(isolation);
        self.store.begin_with(options).expect("a transaction")
    }

    fn commit(&self, txn: Transaction) {
        let ticket = txn.commit(&CommitOptions::default());
        ticket.expect("a commit").wait().expect("it is visible");
    }

    /// Somebody else commits: what was read has to be judged by comparing two states.
    fn others_commit(&self, number: usize) {
        let mut batch = Batch::new();
        for at in 0..PUTS {
            // Odd places of the upper half: none that a transaction here reads.
            let half = KEYS / 2;
            let place = (half + (number + at * (half / PUTS)) % half) | 1;
            let key = self.keys[place].clone();
            batch.put(self.tree, key, vec![1; VALUE], Expect::Any);
        }
        commit(&self.store, &batch);
    }
}

fn transactions(criterion: &mut Criterion) {
    let bed = bed();
    commits(criterion, &bed);
    gets(criterion, &bed);
    certification(criterion, &bed);
}

fn commits(criterion: &mut Criterion, bed: &Bed) {
    let mut group = criterion.benchmark_group("transaction");
    let mut next = 0;
    group.bench_function("begin, 10 puts, commit", |bencher| {
        bencher.iter(|| {
            let mut txn = bed.begin(Isolation::Snapshot);
            for at in 0..PUTS {
                let key = bed.scattered(next + at).to_vec();
                txn.put(bed.tree, key, vec![2; VALUE]).expect("a put");
            }
            next += PUTS;
            bed.commit(txn);
        });
    });
    group.bench_function("10 puts of a batch", |bencher| {
        bencher.iter(|| {
            let mut batch = Batch::new();
            for at in 0..PUTS {
                let key = bed.scattered(next + at).to_vec();
                batch.put(bed.tree, key, vec![2; VALUE], Expect::Any);
            }
            next += PUTS;
            commit(&bed.store, &batch);
        });
    });
    group.bench_function("begin, roll back", |bencher| {
        bencher.iter(|| drop(black_box(bed.begin(Isolation::Snapshot))));
    });
    group.finish();
}

fn gets(criterion: &mut Criterion, bed: &Bed) {
    let mut group = criterion.benchmark_group("get through");
    let snapshot = bed.store.snapshot().expect("a snapshot");
    let mut next = 0;
    group.bench_function("a snapshot", |bencher| {
        bencher.iter(|| {
            next += 1;
            black_box(snapshot.get(bed.tree, bed.scattered(next)).expect("a get"))
        });
    });
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        let mut txn = bed.begin(isolation);
        for at in 0..PUTS {
            let key = bed.scattered(at).to_vec();
            txn.put(bed.tree, key, vec![3; VALUE]).expect("a put");
        }
        group.bench_function(format!("a transaction, {isolation:?}"), |bencher| {
            bencher.iter(|| {
                next += 1;
                black_box(txn.get(bed.tree, bed.scattered(next)).expect("a get"))
            });
        });
    }
    group.finish();
}

/// The commit of one put, after so much was read and others have committed ten puts.
fn certification(criterion: &mut Criterion, bed: &Bed) {
    let mut group = criterion.benchmark_group("commit of one put");
    let mut next = 0_usize;
    for (reads, isolation) in [
        (10, Isolation::Snapshot),
        (10, Isolation::Serializable),
        (1_000, Isolation::Snapshot),
        (1_000, Isolation::Serializable),
    ] {
        group.bench_function(format!("{isolation:?}, {reads} keys read"), |bencher| {
            bencher.iter_batched(
                || {
                    next += reads;
                    let txn = bed.begin(isolation);
                    for at in 0..reads {
                        // Even places: nobody changes those.
                        let key = &bed.keys[(next + at).wrapping_mul(61_804) % KEYS];
                        txn.get(bed.tree, key).expect("a get");
                    }
                    put_one(bed, txn, next)
                },
                |txn| bed.commit(txn),
                BatchSize::PerIteration,
            );
        });
    }
    for isolation in [Isolation::Snapshot, Isolation::Serializable] {
        group.bench_function(format!("{isolation:?}, range of 100 read"), |bencher| {
            bencher.iter_batched(
                || {
                    next += 100;
                    let txn = bed.begin(isolation);
                    let first = next % (KEYS / 2);
                    let range = KeyRange {
                        lower: Bound::Included(bed.keys[first].clone()),
                        upper: Bound::Excluded(bed.keys[first + 100].clone()),
                    };
                    txn.scan(bed.tree, &range, false, |_, value| {
                        black_box(value);
                        Ok(Scan::Continue)
                    })
                    .expect("a scan");
                    put_one(bed, txn, next)
                },
                |txn| bed.commit(txn),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// The transaction with a put that nobody else makes; others have committed since it began.
fn put_one(bed: &Bed, mut txn: Transaction, number: usize) -> Transaction {
    let mine = format!("mine {number}").into_bytes();
    txn.put(bed.tree, mine, vec![4; VALUE]).expect("a put");
    bed.others_commit(number);
    txn
}

criterion_group!(benches, transactions);
criterion_main!(benches);
