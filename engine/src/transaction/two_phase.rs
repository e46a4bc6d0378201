//! Transactions whose outcome somebody else decides, and commits together with
//! stores of the caller's own.

use cs_kv::{
    CommitOptions, Decided, PreparedTransaction, ResourceCommit, TransactionResource, Untold,
};

use super::Transaction;
use super::session::End;
use crate::database::Database;
use crate::error::Result;

impl Transaction {
    /// Makes the outcome somebody else's decision: when this returns, the
    /// transaction survives any crash, and waits for
    /// [`Database::commit_prepared`] or [`Database::rollback_prepared`]. Until then
    /// nobody else can change the documents it changes, nor (under
    /// [`Serializable`](cs_kv::Isolation::Serializable)) what it read, nor drop or
    /// rename its collections.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let transaction = database.begin()?;
    /// transaction.collection("orders").insert_one(doc! { "_id": 1 })?;
    /// transaction.prepare("order 1")?;
    /// assert_eq!(database.list_prepared()?.len(), 1);
    /// database.commit_prepared("order 1")?;
    /// assert_eq!(database.collection("orders").count(doc! {})?, 1);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit); the name is in use, or was lately.
    pub fn prepare(self, gid: &str) -> Result<()> {
        self.end(End::Prepared, |taken, _| {
            taken.store.prepare(gid, &taken.used)
        })
    }

    /// Commits together with stores of the caller's own: all of them, or none.
    /// `gid` is a new name for the transaction. What a crash or an error left
    /// untold is found by [`Database::untold_resources`].
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare), or a resource refused: then all rolled back.
    pub fn commit_with_resources(
        self,
        gid: &str,
        resources: &[&dyn TransactionResource],
    ) -> Result<ResourceCommit> {
        self.end(End::Committed, |taken, options| {
            taken.store.commit_with_resources(gid, resources, options)
        })
    }
}

impl Database {
    /// Carries out a prepared transaction. Exactly one call is told that it did it.
    ///
    /// # Errors
    /// There is none of that name, or it was decided before.
    pub fn commit_prepared(&self, gid: &str) -> Result<()> {
        let store = self.environment().writable()?;
        store.commit_prepared(gid, &CommitOptions::default())?;
        Ok(())
    }

    /// Gives a prepared transaction up.
    ///
    /// # Errors
    /// As [`commit_prepared`](Self::commit_prepared).
    pub fn rollback_prepared(&self, gid: &str) -> Result<()> {
        self.environment().writable()?.rollback_prepared(gid)?;
        Ok(())
    }

    /// The transactions that wait for their decision, with their age.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn list_prepared(&self) -> Result<Vec<PreparedTransaction>> {
        Ok(self.environment().store()?.list_prepared()?)
    }

    /// How a prepared transaction was decided, for as long as that is remembered.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn decision(&self, gid: &str) -> Result<Option<Decided>> {
        Ok(self.environment().store()?.decision(gid)?)
    }

    /// Decisions of which resources have still to be told.
    ///
    /// # Errors
    /// A page could not be read.
    pub fn untold_resources(&self) -> Result<Vec<Untold>> {
        Ok(self.environment().store()?.untold_resources()?)
    }

    /// Tells these resources; returns what is left.
    ///
    /// # Errors
    /// A commit failed; what was told may be told again.
    pub fn tell_resources(&self, resources: &[&dyn TransactionResource]) -> Result<Vec<Untold>> {
        Ok(self.environment().writable()?.tell_resources(resources)?)
    }
}
