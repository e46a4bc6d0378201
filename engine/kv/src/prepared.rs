//! Two-phase commit: transactions whose outcome somebody else decides.
//!
//! Preparing writes the effects of a transaction, and what it must be able to
//! rely on, into a system tree instead of carrying them out. So checkpoints carry
//! a prepared transaction like anything else, the log is not held by it, and it
//! is there after any crash. Its locks are that tree's content (`locks.rs`).
//! Deciding is one commit more: it removes the entry, remembers the decision and,
//! if the transaction is committed, carries out the effects.
//!
//! | file | what |
//! |---|---|
//! | `prepared.rs` | preparing, deciding, listing |
//! | `entry.rs` | the bytes in both trees |
//! | `locks.rs` | what is locked |
//! | `resource.rs` | a commit together with stores of the caller's |
//!
//! ## Invariants
//! * A transaction is prepared, or decided, or neither: each change from one to
//!   the next is one commit, which expects the state before it.
//! * What committing a prepared transaction changes, nobody else has changed
//!   since it was prepared; what it read under serializable isolation neither.
//! * A decision is remembered for [`remember_decisions`](crate::StoreOptions::remember_decisions),
//!   and for as long as a resource has not been told of it.

mod entry;
mod locks;
mod resource;

use std::sync::Arc;
use std::time::Duration;

use cs_base::{Index, TreeId};

use crate::batch::{Batch, Expect};
use crate::commit::{Basis, Commit, Stage, too_large};
use crate::core::Core;
use crate::effects::{Effect, Effects};
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::limits::{MAX_TRANSACTION, MAX_VALUE};
use crate::options::{CommitOptions, Durability};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::transaction::Transaction;
use crate::tree_root::system;
use cs_base::codec;

use entry::{
    Head, PART, damaged, decided_at_key, decided_by_age, gid_prefix, parse_decided_at,
    parse_part_key, part_key,
};

pub(crate) use entry::decided_key;
pub use entry::{Decided, Decision, MAX_GID, MAX_RESOURCES};
pub(crate) use locks::Locks;
pub use resource::{ResourceCommit, ResourceError, TransactionResource, Untold};

/// Decisions that are forgotten with each new one, at most: more than one, so
/// that they become fewer.
const FORGOTTEN_AT_ONCE: usize = 4;
/// What a decision takes in the record beside the effects.
const DECISION_ROOM: usize = 64 * 1024;

/// A transaction that waits for its decision.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreparedTransaction {
    /// Its name.
    pub gid: String,
    /// When it was prepared, in milliseconds since 1970.
    pub prepared_ms: u64,
    /// How long ago that is, by the clock of now.
    pub age: Duration,
    /// Bytes of its effects.
    pub bytes: u64,
    /// Resources that take part, where the decision is made by
    /// [`Transaction::commit_with_resources`].
    pub resources: Vec<String>,
}

/// Refuses a name that cannot be one.
fn check_gid(gid: &str) -> Result<()> {
    if gid.is_empty() {
        return Err(Error::Refused(
            "the name of a prepared transaction is empty",
        ));
    }
    if gid.len() > MAX_GID {
        let what = "name of a prepared transaction";
        return Err(too_large(what, gid.len() as u64, MAX_GID as u64));
    }
    Ok(())
}

/// A prepared transaction as it is stored.
struct Stored {
    head: Head,
    payload: Vec<u8>,
}

fn stored(snapshot: &Snapshot, gid: &str) -> Result<Option<Stored>> {
    let mut cursor = snapshot.cursor(system::PREPARED, KeyRange::prefix(&gid_prefix(gid)))?;
    let mut found: Option<Stored> = None;
    while let Some((key, value)) = cursor.next()? {
        let (_, part) = parse_part_key(key)?;
        match &mut found {
            None if part == 0 => {
                let (head, first) = Head::decode(value)?;
                let payload = first.to_vec();
                found = Some(Stored { head, payload });
            }
            Some(stored) => stored.payload.extend_from_slice(value),
            None => return Err(damaged("its first part is missing")),
        }
    }
    Ok(found)
}

fn decided(snapshot: &Snapshot, gid: &str) -> Result<Option<Decided>> {
    let found = snapshot.with_value(system::DECIDED, &decided_key(gid), Decided::decode)?;
    found.transpose()
}

/// A decision survives what any acknowledged commit survives.
fn synced(options: &CommitOptions) -> CommitOptions {
    CommitOptions {
        durability: Some(Durability::Sync),
        ..options.clone()
    }
}

impl Transaction {
    /// Makes the transaction's outcome somebody else's decision: when this
    /// returns, it can be committed whatever happens, also after a crash, and is
    /// carried out only by [`Store::commit_prepared`]. Until it is decided,
    /// nobody else can change what it changes, nor (under
    /// [`Isolation::Serializable`](crate::Isolation::Serializable)) what it read,
    /// nor drop a tree that it touches.
    ///
    /// `kept` are keys that must be as its snapshot has them, and stay so until then.
    ///
    /// ```
    /// use cs_io::{RealRuntime, memory::MemoryDisk};
    /// use cs_kv::{CommitOptions, Store, StoreOptions};
    ///
    /// let store = Store::open(MemoryDisk::new(), RealRuntime::new(), StoreOptions::default())?;
    /// let mut txn = store.begin()?;
    /// let tree = txn.create_tree();
    /// txn.put(tree, b"k".to_vec(), b"v".to_vec())?;
    /// txn.prepare("order 17", &[])?;
    /// assert_eq!(store.list_prepared()?[0].gid, "order 17");
    /// store.commit_prepared("order 17", &CommitOptions::default())?;
    /// assert!(store.snapshot()?.get(tree, b"k")?.is_some());
    /// # Ok::<(), cs_kv::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Conflict`], [`Error::Prepared`]; [`Error::NameTaken`]: a
    /// transaction of that name is prepared, or a decision about one is
    /// remembered; or as [`commit`](Self::commit). Nothing has changed then.
    pub fn prepare(self, gid: &str, kept: &[(TreeId, Vec<u8>)]) -> Result<()> {
        self.prepare_for(gid, kept, &[])
    }

    fn prepare_for(
        self,
        gid: &str,
        kept: &[(TreeId, Vec<u8>)],
        resources: &[String],
    ) -> Result<()> {
        check_gid(gid)?;
        let parts = self.into_parts()?;
        let core = Arc::clone(parts.snapshot.core());
        let mut footprint = parts.footprint.unwrap_or_default();
        for (tree, key) in kept {
            footprint.key(*tree, key);
        }
        let payload = core.effects_of(&parts.changes)?;
        if payload.len() > MAX_TRANSACTION - DECISION_ROOM {
            let limit = (MAX_TRANSACTION - DECISION_ROOM) as u64;
            return Err(too_large("transaction", payload.len() as u64, limit));
        }
        let head = Head {
            prepared_ms: core.runtime.unix_ms(),
            parts: payload.len().div_ceil(PART).max(1) as u16,
            resources: resources.to_vec(),
            shared: footprint.iter().collect(),
        };
        let head = head.encode();
        if head.len() > MAX_VALUE - PART {
            let what = "list of what a prepared transaction read";
            return Err(too_large(
                what,
                head.len() as u64,
                (MAX_VALUE - PART) as u64,
            ));
        }
        let mut entries = Batch::new();
        let mut chunks = payload.chunks(PART);
        let first = [&head, chunks.next().unwrap_or_default()].concat();
        entries.put(system::PREPARED, part_key(gid, 0), first, Expect::Absent);
        for (part, chunk) in (1..).zip(chunks) {
            let key = part_key(gid, part);
            entries.put(system::PREPARED, key, chunk.to_vec(), Expect::Absent);
        }
        let options = synced(&CommitOptions::default());
        let prepared = core.commit(&Commit {
            batch: &entries,
            options: &options,
            basis: Some(Basis {
                snapshot: &parts.snapshot,
                footprint: Some(&footprint),
                certified: None,
            }),
            stage: Stage::Prepare {
                gid,
                changes: &parts.changes,
            },
        });
        match prepared {
            Ok(ticket) => ticket.wait(),
            Err(Error::Expectation { .. }) => Err(Error::NameTaken { gid: gid.into() }),
            Err(error) => Err(error),
        }
    }
}

impl Store {
    /// Carries out a prepared transaction; returns the commit's index.
    ///
    /// # Errors
    /// [`Error::NotPrepared`], [`Error::AlreadyDecided`] (also if it was
    /// committed: exactly one call is told that it did it), or as for a commit:
    /// then it is still prepared.
    pub fn commit_prepared(&self, gid: &str, options: &CommitOptions) -> Result<Index> {
        self.core().decide(gid, Decision::Committed, options)
    }

    /// Gives a prepared transaction up; returns the commit's index.
    ///
    /// # Errors
    /// As [`commit_prepared`](Self::commit_prepared).
    pub fn rollback_prepared(&self, gid: &str) -> Result<Index> {
        let options = CommitOptions::default();
        self.core().decide(gid, Decision::RolledBack, &options)
    }

    /// All transactions that wait for their decision, by name.
    ///
    /// # Errors
    /// The tree that holds them could not be read.
    pub fn list_prepared(&self) -> Result<Vec<PreparedTransaction>> {
        let snapshot = self.snapshot()?;
        let now = snapshot.core().runtime.unix_ms();
        let mut list: Vec<PreparedTransaction> = Vec::new();
        let mut cursor = snapshot.cursor(system::PREPARED, KeyRange::all())?;
        while let Some((key, value)) = cursor.next()? {
            let (gid, part) = parse_part_key(key)?;
            if part > 0 {
                if let Some(last) = list.last_mut() {
                    last.bytes += value.len() as u64;
                }
                continue;
            }
            let (head, first) = Head::decode(value)?;
            list.push(PreparedTransaction {
                gid: gid.into(),
                prepared_ms: head.prepared_ms,
                age: Duration::from_millis(now.saturating_sub(head.prepared_ms)),
                bytes: first.len() as u64,
                resources: head.resources,
            });
        }
        list.sort_by(|one, other| one.gid.cmp(&other.gid));
        Ok(list)
    }

    /// How a transaction was decided, for as long as that is remembered.
    ///
    /// # Errors
    /// The tree that holds decisions could not be read.
    pub fn decision(&self, gid: &str) -> Result<Option<Decided>> {
        decided(&self.snapshot()?, gid)
    }
}

impl Core {
    /// Decides, exactly once.
    fn decide(
        self: &Arc<Self>,
        gid: &str,
        decision: Decision,
        options: &CommitOptions,
    ) -> Result<Index> {
        check_gid(gid)?;
        self.check_writable()?;
        let options = synced(options);
        loop {
            let snapshot = Snapshot::visible(self)?;
            let Some(Stored { head, payload }) = stored(&snapshot, gid)? else {
                let gid = gid.to_owned();
                return Err(match decided(&snapshot, &gid)? {
                    Some(Decided { decision, .. }) => Error::AlreadyDecided {
                        gid,
                        is_committed: decision == Decision::Committed,
                    },
                    None => Error::NotPrepared { gid },
                });
            };
            let mut batch = Batch::new();
            for part in 0..head.parts {
                let key = part_key(gid, part);
                batch.delete(system::PREPARED, key, Expect::Present);
            }
            let decided = Decided {
                decision,
                decided_ms: self.runtime.unix_ms(),
                untold: head.resources,
            };
            put_decision(&mut batch, gid, &decided);
            self.forget_old_decisions(&snapshot, &mut batch)?;
            if decision == Decision::Committed {
                add_effects(&mut batch, &payload)?;
            }
            drop(snapshot);
            let committed = self.commit(&Commit {
                batch: &batch,
                options: &options,
                basis: None,
                stage: Stage::Decide { gid },
            });
            match committed {
                Ok(ticket) => {
                    ticket.wait()?;
                    return Ok(ticket.index());
                }
                // Somebody else was quicker: look again, at what is visible now.
                Err(Error::Expectation { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a few decisions that need not be remembered any more.
    fn forget_old_decisions(&self, snapshot: &Snapshot, batch: &mut Batch) -> Result<()> {
        let now = self.runtime.unix_ms();
        let kept = self.options.remember_decisions.as_millis() as u64;
        let mut cursor = snapshot.cursor(system::DECIDED, decided_by_age())?;
        let mut forgotten = 0;
        while let Some((key, _)) = cursor.next()? {
            let (decided_ms, gid) = parse_decided_at(key)?;
            if forgotten == FORGOTTEN_AT_ONCE || now.saturating_sub(decided_ms) < kept {
                break;
            }
            // One whose resources were not told yet stays, whatever its age.
            let is_done = decided(snapshot, gid)?.is_none_or(|decided| decided.untold.is_empty());
            if is_done {
                batch.delete(system::DECIDED, key.to_vec(), Expect::Any);
                batch.delete(system::DECIDED, decided_key(gid), Expect::Any);
                forgotten += 1;
            }
        }
        Ok(())
    }
}

fn put_decision(batch: &mut Batch, gid: &str, decided: &Decided) {
    let key = decided_key(gid);
    batch.put(system::DECIDED, key, decided.encode(), Expect::Any);
    let at = decided_at_key(decided.decided_ms, gid);
    batch.put(system::DECIDED, at, Vec::new(), Expect::Any);
}

/// The effects of a payload, as operations.
fn add_effects(batch: &mut Batch, payload: &[u8]) -> Result<()> {
    let mut before = None;
    let mut effects = Effects::of(payload)?;
    while let Some(effect) = effects.next() {
        match effect? {
            Effect::Before { value, .. } => {
                before = Some(value.to_vec());
                continue;
            }
            Effect::Put { tree, key, value } => {
                batch.put(tree, key.to_vec(), value.to_vec(), Expect::Any);
            }
            Effect::PutPacked {
                tree, key, block, ..
            } => {
                let value = codec::decode(block, MAX_VALUE);
                let value = value.map_err(|error| damaged(&error.to_string()))?;
                batch.put(tree, key.to_vec(), value.into_owned(), Expect::Any);
            }
            Effect::Delete { tree, key } => batch.delete(tree, key.to_vec(), Expect::Any),
            Effect::CreateTree { tree } => batch.create_tree(tree),
            Effect::DropTree { tree } => batch.drop_tree(tree),
        }
        batch.last_replaces(before.take(), effects.was_absent());
        if effects.in_part() {
            batch.note_in_part();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
