//! Many threads on one indexed collection, with indexes made, used and dropped meanwhile.

use std::sync::Mutex;

use collection_store::{Database, Isolation, TransactionOptions};
use oorandom::Rand64;

use super::work::{agree, agree_in, below, make, resume, transact, unmake, write};
use crate::{Verdict, panics};

/// Threads that write.
const WRITERS: u64 = 3;
/// What each of them does.
const WRITES: u64 = 40;

/// One round; what follows from the order in which threads run is not in the seed.
pub(super) fn round(seed: u64) -> Verdict {
    let database = Database::open_in_memory()?;
    let c = database.collection("c");
    let failed = Mutex::new(Ok(()));
    let work = |number: u64| -> Verdict {
        let mut rng = Rand64::new((u128::from(seed) << 32) | u128::from(number));
        for _ in 0..WRITES {
            match (number, below(&mut rng, 10)) {
                (0, 0..=4) => make(&mut rng, &c)?,
                (0, 5 | 6) => unmake(&mut rng, &c)?,
                (0, 7) => resume(&c)?,
                (_, 0) => transact(&mut rng, &database, &c)?,
                (_, 1) => {
                    // One state, read by every index: nobody else's writes are half there.
                    let options = TransactionOptions::new().isolation(Isolation::Serializable);
                    let reader = database.begin_with(&options)?;
                    agree_in(&reader.collection("c"))?;
                    reader.rollback()?;
                }
                _ => write(&mut rng, &c, false)?,
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        for number in 0..=WRITERS {
            let (work, failed) = (&work, &failed);
            scope.spawn(move || {
                if let Err(failure) = panics::catch(|| work(number))
                    && let Ok(mut failed) = failed.lock()
                {
                    *failed = Err(failure.during(format_args!("thread {number}")));
                }
            });
        }
    });
    failed.into_inner().unwrap_or(Ok(()))?;
    agree(&c)?;
    resume(&c)?;
    agree(&c)?;
    agree_in(&c)
}
