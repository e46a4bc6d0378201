use std::sync::Barrier;

use cs_io::RealRuntime;
use cs_io::memory::MemoryDisk;
use cs_kv::{CommitOptions, Error, Store, StoreOptions};

use super::{Args, run};

fn all_good(lives: u64, faulty_lives: u64) {
    let outcome = run(&Args {
        lives,
        faulty_lives,
        seed: 1,
        large: false,
        life: None,
        manner: None,
        mutants: false,
    });
    assert!(outcome.passed > 100, "{outcome:?}");
    assert_eq!(outcome.failed, 0);
}

#[test]
fn a_prepared_transaction_is_in_doubt_or_decided_after_any_crash() {
    all_good(1, 0);
}

#[test]
fn a_prepared_transaction_is_in_doubt_or_decided_whatever_operation_fails() {
    all_good(0, 1);
}

#[test]
fn of_many_who_decide_at_once_one_is_told_that_he_did_it() {
    const DECIDERS: u64 = 8;
    let store = Store::open(
        MemoryDisk::new(),
        RealRuntime::new(),
        StoreOptions::default(),
    )
    .unwrap();
    let mut txn = store.begin().unwrap();
    let tree = txn.create_tree();
    let created = txn.commit(&CommitOptions::default()).unwrap();
    created.wait().unwrap();
    for round in 0..50 {
        let gid = format!("g{round}");
        let mut txn = store.begin().unwrap();
        txn.put(tree, gid.clone().into_bytes(), Vec::new()).unwrap();
        txn.prepare(&gid, &[]).unwrap();
        let start = Barrier::new(DECIDERS as usize);
        let decide = |commits: bool| {
            start.wait();
            if commits {
                store.commit_prepared(&gid, &CommitOptions::default())
            } else {
                store.rollback_prepared(&gid)
            }
        };
        let decide = &decide;
        let answers: Vec<(bool, Result<_, Error>)> = std::thread::scope(|scope| {
            let deciders: Vec<_> = (0..DECIDERS)
                .map(|number| (number + round) % 2 == 0)
                .map(|commits| scope.spawn(move || (commits, decide(commits))))
                .collect();
            let answers = deciders.into_iter().map(|one| one.join().unwrap());
            answers.collect()
        });
        let mut done = answers.iter().filter(|(_, answer)| answer.is_ok());
        let (was_committed, _) = *done.next().expect("somebody decided");
        assert!(done.next().is_none(), "two decided '{gid}': {answers:?}");
        for (_, answer) in &answers {
            let agrees = match answer {
                Ok(_) => true,
                Err(Error::AlreadyDecided { is_committed, .. }) => *is_committed == was_committed,
                Err(_) => false,
            };
            assert!(agrees, "'{gid}', committed: {was_committed}: {answers:?}");
        }
        let snapshot = store.snapshot().unwrap();
        let there = snapshot.get(tree, gid.as_bytes()).unwrap().is_some();
        assert_eq!(there, was_committed, "'{gid}'");
    }
}
