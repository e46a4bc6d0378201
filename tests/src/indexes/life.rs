//! A life of an indexed collection on a simulated disk, and what a crash leaves of it.

use std::sync::Arc;

use collection_store::io::SimRuntime;
use collection_store::io::sim::{CrashKind, Journal, Replay, Rng, SimDisk, SimOptions};
use collection_store::{Collection, Database, Error};
use oorandom::Rand64;

use super::work::{agree, agree_in, below, make, resume, transact, unmake, write};
use crate::Verdict;
use crate::verdict::ensure;

/// Operations of a life.
const OPERATIONS: u64 = 60;

fn open(disk: Arc<SimDisk>, seed: u64) -> Result<Database, Error> {
    Database::options()
        .checkpoint_log_bytes(64 << 10)
        .auto_compact(None)
        .open_on(disk, SimRuntime::new(seed))
}

fn step(rng: &mut Rand64, database: &Database, c: &Collection) -> Verdict {
    match below(rng, 20) {
        0..=10 => write(rng, c, false),
        11 | 12 => transact(rng, database, c),
        13..=15 => make(rng, c),
        16 => unmake(rng, c),
        17 => resume(c),
        18 => Ok(database.checkpoint()?),
        _ => {
            database.store().step()?;
            Ok(())
        }
    }
}

/// Lives, looking after each operation whether all agrees; returns what the disk saw.
pub(super) fn live(seed: u64) -> Verdict<Journal> {
    let mut rng = Rand64::new(seed.into());
    let disk = SimDisk::new(seed, SimOptions::default());
    let database = open(Arc::clone(&disk), seed)?;
    let c = database.collection("c");
    for number in 0..OPERATIONS {
        let what = format!("operation {number}");
        step(&mut rng, &database, &c)
            .and_then(|()| agree(&c))
            .map_err(|failure| failure.during(&what))?;
    }
    agree_in(&c)?;
    Ok(disk.journal())
}

/// What a crash at some event leaves, as it is found and after it went on.
pub(super) fn examine(journal: &Journal, at: usize, seed: u64) -> Verdict {
    let mut replay = Replay::new(journal);
    replay.advance_to(at);
    let mut draws = Rng::new(seed);
    let kind = match seed % 2 {
        0 => CrashKind::Machine,
        _ => CrashKind::Process,
    };
    let image = replay.crash(&mut draws, kind);
    let disk = SimDisk::from_image(&image, seed, SimOptions::default());
    let database = open(disk, seed)?;
    let c = database.collection("c");
    agree(&c)?;
    agree_in(&c)?;
    resume(&c)?;
    agree(&c)?;
    let mut rng = Rand64::new(seed.into());
    for _ in 0..3 {
        step(&mut rng, &database, &c)?;
    }
    agree(&c)?;
    let findings = database.store().check()?.findings;
    ensure(findings.is_empty(), || format!("{findings:?}"))
}
