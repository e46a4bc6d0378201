//! Transactions as closures: committed, rolled back, tried again.

use std::time::Duration;

use cs_kv::io::{Runtime, Signal};

use super::{Transaction, TransactionOptions};
use crate::database::Database;
use crate::error::Result;

/// The first pause after a conflict, at most; it doubles with each one more …
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

impl Database {
    /// Runs `work` in a transaction: commits when it returns `Ok`, rolls back when
    /// it returns an error or panics, and runs it again, on a newer state, when it
    /// or the commit lost to another. Between attempts it pauses, for a random
    /// time that grows with their number.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let accounts = database.collection("accounts");
    /// accounts.insert_many([doc! { "_id": "a", "cents": 5 }, doc! { "_id": "b", "cents": 0 }])?;
    /// database.with_transaction(|transaction| {
    ///     let accounts = transaction.collection("accounts");
    ///     accounts.replace_one(doc! { "_id": "a" }, doc! { "cents": 0 })?;
    ///     accounts.replace_one(doc! { "_id": "b" }, doc! { "cents": 5 })?;
    ///     Ok(())
    /// })?;
    /// assert_eq!(accounts.count(doc! { "_id": "b", "cents": 5 })?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `work` and of the commit; a conflict only when the time is over.
    pub fn with_transaction<R>(&self, work: impl FnMut(&Transaction) -> Result<R>) -> Result<R> {
        self.with_transaction_with(&TransactionOptions::default(), work)
    }

    /// [`with_transaction`](Self::with_transaction) with options.
    ///
    /// # Errors
    /// As [`with_transaction`](Self::with_transaction).
    pub fn with_transaction_with<R>(
        &self,
        options: &TransactionOptions,
        mut work: impl FnMut(&Transaction) -> Result<R>,
    ) -> Result<R> {
        let runtime = &self.environment().runtime;
        let deadline = runtime.monotonic().saturating_add(options.timeout);
        let mut attempt = options.clone();
        let mut conflicts = 0;
        loop {
            attempt.timeout = deadline.saturating_sub(runtime.monotonic());
            // Dropped, also by a panic, it is rolled back.
            let transaction = self.begin_with(&attempt)?;
            let done = work(&transaction).and_then(|result| {
                transaction.commit()?;
                Ok(result)
            });
            match done {
                Err(error) if error.is_retryable() && runtime.monotonic() < deadline => {
                    pause(&**runtime, conflicts);
                    conflicts = conflicts.saturating_add(1);
                }
                other => return other,
            }
        }
    }
}

/// Lets the others go ahead: for a random part of what the number of conflicts says.
pub(crate) fn pause(runtime: &dyn Runtime, conflicts: u32) {
    if !runtime.may_block() {
        return;
    }
    let longest = FIRST_PAUSE
        .saturating_mul(1 << conflicts.min(16))
        .min(LONGEST_PAUSE);
    let longest = longest.as_micros() as u64;
    Signal::new().wait_for(Duration::from_micros(runtime.random() % (longest + 1)));
}
