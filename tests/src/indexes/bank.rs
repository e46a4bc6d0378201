//! Whether transactions are isolated also where they read and write through indexes: money
//! that moves between accounts which an index finds, and shifts that at most one may have.
//!
//! ## What is promised
//! * The sum of all accounts is the same in every state, by every index and by none, also
//!   where an index answers alone, and while other indexes are made and dropped.
//! * Of serializable transactions that look into an index and insert where they found nothing,
//!   one inserts: the range of the index that was empty is part of what was read.

use std::sync::Mutex;

use bson::doc;
use collection_store::{
    Collection, Database, Error, ErrorKind, IndexModel, Isolation, TransactionOptions,
};
use oorandom::Rand64;

use super::work::{agree, allow, below};
use crate::verdict::ensure;
use crate::{Failure, Verdict, panics};

/// Accounts, in groups of ten.
const ACCOUNTS: u64 = 40;
/// What each holds at the beginning.
const CENTS: i64 = 100;
/// Threads that move money and take shifts.
const CLIENTS: u64 = 3;
/// Transactions of each.
const TRANSACTIONS: u64 = 25;
/// Shifts to be taken.
const SHIFTS: u64 = 12;

struct Bank {
    database: Database,
    accounts: Collection,
    shifts: Collection,
}

/// Conflicts are part of the game.
fn is_conflict(error: &Error) -> bool {
    error.kind() == ErrorKind::Conflict
}

impl Bank {
    fn open() -> Verdict<Self> {
        let database = Database::open_in_memory()?;
        let (accounts, shifts) = (
            database.collection("accounts"),
            database.collection("shifts"),
        );
        accounts.create_index(IndexModel::new(doc! { "group": 1, "cents": -1 }))?;
        shifts.create_index(IndexModel::new(doc! { "shift": 1, "on": 1 }))?;
        accounts.insert_many((0..ACCOUNTS).map(|id| {
            doc! { "_id": id as i64, "group": (id / 10) as i64, "cents": CENTS }
        }))?;
        Ok(Self {
            database,
            accounts,
            shifts,
        })
    }

    /// From the richest of one group to the poorest of another, as the index has them.
    fn transfer(&self, rng: &mut Rand64) -> Result<(), Error> {
        let transaction = self.database.begin()?;
        let within = transaction.collection(self.accounts.name());
        let groups = ACCOUNTS / 10;
        for (group, direction, cents) in [(below(rng, groups), -1, -7), (below(rng, groups), 1, 7)]
        {
            let found = within
                .find(doc! { "group": group as i64 })
                .sort(doc! { "cents": direction })
                .hint("group_1_cents_-1")
                .limit(1)
                .run()?
                .next()
                .transpose()?;
            let Some(found) = found else { continue };
            let id = found.get_i64("_id").unwrap_or(-1);
            within.update_one(doc! { "_id": id }, doc! { "$inc": { "cents": cents } })?;
        }
        transaction.commit()
    }

    /// The sum in one state, by the index alone and by the documents.
    fn sums(&self) -> Result<(i64, i64), Error> {
        let transaction = self.database.begin()?;
        let within = transaction.collection(self.accounts.name());
        let sum = |hint: bson::Document| -> Result<i64, Error> {
            let found = within
                .find(doc! { "group": { "$gte": 0 } })
                .projection(doc! { "cents": 1, "_id": 0 })
                .hint(hint)
                .run()?;
            let cents = found.map(|one| Ok(one?.get_i64("cents").unwrap_or(0)));
            cents.sum()
        };
        let both = (
            sum(doc! { "group": 1, "cents": -1 })?,
            sum(doc! { "$natural": 1 })?,
        );
        transaction.rollback()?;
        Ok(both)
    }

    /// Takes a shift that nobody has.
    fn take_shift(&self, rng: &mut Rand64) -> Result<(), Error> {
        let options = TransactionOptions::new().isolation(Isolation::Serializable);
        let transaction = self.database.begin_with(&options)?;
        let within = transaction.collection(self.shifts.name());
        let shift = doc! { "shift": below(rng, SHIFTS) as i64, "on": true };
        if within.find(shift.clone()).hint("shift_1_on_1").count()? == 0 {
            within.insert_one(shift)?;
        }
        transaction.commit()
    }

    fn client(&self, number: u64, seed: u64) -> Verdict {
        let mut rng = Rand64::new((u128::from(seed) << 32) | u128::from(number));
        for _ in 0..TRANSACTIONS {
            let done = match below(&mut rng, 3) {
                0 => self.take_shift(&mut rng),
                1 => self.transfer(&mut rng),
                _ => {
                    let (by_index, by_documents) = self.sums()?;
                    let expected = ACCOUNTS as i64 * CENTS;
                    ensure((by_index, by_documents) == (expected, expected), || {
                        format!(
                            "{expected} cents are {by_index} by an index, {by_documents} by documents"
                        )
                    })?;
                    Ok(())
                }
            };
            match done {
                Err(error) if !is_conflict(&error) => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes and drops other indexes meanwhile.
    fn builder(&self) -> Verdict {
        for _ in 0..4 {
            allow(
                self.accounts
                    .create_index(IndexModel::new(doc! { "cents": 1 })),
            )?;
            allow(self.shifts.create_index(IndexModel::new(doc! { "on": 1 })))?;
            allow(self.accounts.drop_index("cents_1"))?;
            allow(self.shifts.drop_index("on_1"))?;
        }
        Ok(())
    }
}

/// One round.
pub(super) fn round(seed: u64) -> Verdict {
    let bank = Bank::open()?;
    let failed: Mutex<Verdict> = Mutex::new(Ok(()));
    std::thread::scope(|scope| {
        for number in 0..=CLIENTS {
            let (bank, failed) = (&bank, &failed);
            scope.spawn(move || {
                let done = panics::catch(|| match number {
                    CLIENTS => bank.builder(),
                    number => bank.client(number, seed),
                });
                if let (Err(failure), Ok(mut failed)) = (done, failed.lock()) {
                    *failed = Err(failure);
                }
            });
        }
    });
    failed
        .into_inner()
        .unwrap_or_else(|_| Err(Failure("a thread went down".into())))?;
    for shift in 0..SHIFTS {
        let taken = bank.shifts.count(doc! { "shift": shift as i64 })?;
        ensure(taken <= 1, || format!("{taken} have shift {shift}"))?;
    }
    agree(&bank.accounts)?;
    agree(&bank.shifts)
}
