//! A commit together with stores of the caller's own.
//!
//! The store coordinates: it prepares its own part, asks each resource to
//! prepare, writes the decision to its log, and only then tells the resources.
//! If it ends before the decision is durable, opening it again decides for a
//! rollback (presumed abort: Mohan, Lindsay and Obermarck, *Transaction
//! Management in the R\* Distributed Database Management System*).
//!
//! ## Invariants
//! * No resource is told of a decision that is not durable.
//! * A resource is on the list of those to be told until it has said that it
//!   carried the decision out; so it may be told more than once, by name of the
//!   transaction, and never two different things.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cs_base::Index;
use cs_base::mutants::{Mutant, planted};

use super::entry::{Decided, Decision, MAX_RESOURCES, decided_key};
use super::{check_gid, decided, synced};
use crate::batch::{Batch, Expect};
use crate::commit::{Commit, Stage};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::options::CommitOptions;
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::transaction::Transaction;
use crate::tree_root::system;

/// What a resource says when it cannot do what it is asked.
pub type ResourceError = Box<dyn std::error::Error + Send + Sync>;

/// A store of the caller's that takes part in a transaction.
///
/// `gid` names the transaction, the same in all calls about it.
pub trait TransactionResource {
    /// Its name among the resources of this database, at most 255 bytes: how it
    /// is found again after a crash.
    fn name(&self) -> &str;

    /// Promises to be able to do either, whatever happens from now on.
    ///
    /// # Errors
    /// It refuses: all roll back.
    fn prepare(&self, gid: &str) -> std::result::Result<(), ResourceError>;

    /// Carries out what was prepared. May be called again for what is done already.
    ///
    /// # Errors
    /// Not now: it is told again, by [`Store::tell_resources`].
    fn finalize(&self, gid: &str) -> std::result::Result<(), ResourceError>;

    /// Gives up what was prepared, or was to be: the transaction may be unknown
    /// to it. May be called again.
    ///
    /// # Errors
    /// As [`finalize`](Self::finalize).
    fn rollback(&self, gid: &str) -> std::result::Result<(), ResourceError>;
}

/// A decision of which not all resources know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// The transaction.
    pub gid: String,
    /// What was decided.
    pub decision: Decision,
    /// Who does not know it.
    pub resources: Vec<String>,
}

/// What a commit with resources came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResourceCommit {
    /// The commit's place in the order of all commits.
    pub index: Index,
    /// Resources that could not finalise yet; see [`Store::tell_resources`].
    pub untold: Vec<String>,
}

/// A resource that panics has refused.
fn ask(
    call: impl FnOnce() -> std::result::Result<(), ResourceError>,
) -> std::result::Result<(), ResourceError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("it panicked".into()))
}

impl Transaction {
    /// Commits together with `resources`: all of them, or none. `gid` names the
    /// transaction; it must be new.
    ///
    /// # Errors
    /// [`Error::ResourceRefused`]: one of them would not prepare, and all were
    /// rolled back. [`Error::OutcomeUnknown`]: a write failed; opening the
    /// database again tells. Else as [`prepare`](Self::prepare).
    pub fn commit_with_resources(
        self,
        gid: &str,
        resources: &[&dyn TransactionResource],
        options: &CommitOptions,
    ) -> Result<ResourceCommit> {
        let names: Vec<String> = resources.iter().map(|one| one.name().into()).collect();
        check_names(&names)?;
        let core = Arc::clone(self.core());
        self.prepare_for(gid, &[], &names)?;
        for resource in resources {
            if let Err(reason) = ask(|| resource.prepare(gid)) {
                core.decide(gid, Decision::RolledBack, &CommitOptions::default())?;
                core.tell_decision(gid, Decision::RolledBack, resources)?;
                return Err(Error::ResourceRefused {
                    resource: resource.name().into(),
                    reason: reason.to_string(),
                });
            }
        }
        if planted(Mutant::TellBeforeDecision) {
            for resource in resources {
                let _ = ask(|| resource.finalize(gid));
            }
        }
        let index = match core.decide(gid, Decision::Committed, options) {
            Ok(index) => index,
            // Nothing has happened, and nobody will decide it later.
            Err(error) if error.is_no_space() => {
                core.decide(gid, Decision::RolledBack, &CommitOptions::default())?;
                core.tell_decision(gid, Decision::RolledBack, resources)?;
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let untold = core.tell_decision(gid, Decision::Committed, resources)?;
        Ok(ResourceCommit { index, untold })
    }
}

fn check_names(names: &[String]) -> Result<()> {
    if names.len() > MAX_RESOURCES {
        return Err(Error::Refused("a transaction has at most 64 resources"));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    let twice = sorted.windows(2).any(|pair| pair[0] == pair[1]);
    let wrong = names.iter().any(|name| name.is_empty() || name.len() > 255);
    if twice || wrong {
        return Err(Error::Refused(
            "the resources of a transaction need different names of 1 to 255 bytes",
        ));
    }
    Ok(())
}

impl Store {
    /// Decisions of which resources have not been told, oldest first: what a
    /// crash or an error left to do.
    ///
    /// # Errors
    /// The tree that holds decisions could not be read.
    pub fn untold_resources(&self) -> Result<Vec<Untold>> {
        untold(&self.snapshot()?)
    }

    /// Tells these resources what was decided without their knowing; returns
    /// what is left: decisions of which others, or those that could not do it
    /// now, have still to be told.
    ///
    /// # Errors
    /// A read or a commit failed. What was told may be told again.
    pub fn tell_resources(&self, resources: &[&dyn TransactionResource]) -> Result<Vec<Untold>> {
        for Untold { gid, decision, .. } in self.untold_resources()? {
            self.core().tell_decision(&gid, decision, resources)?;
        }
        self.untold_resources()
    }
}

fn untold(snapshot: &Snapshot) -> Result<Vec<Untold>> {
    let mut list = Vec::new();
    let mut cursor = snapshot.cursor(system::DECIDED, super::decided_by_age())?;
    while let Some((key, _)) = cursor.next()? {
        let (_, gid) = super::parse_decided_at(key)?;
        if let Some(Decided {
            decision, untold, ..
        }) = decided(snapshot, gid)?
            && !untold.is_empty()
        {
            list.push(Untold {
                gid: gid.into(),
                decision,
                resources: untold,
            });
        }
    }
    Ok(list)
}

impl Core {
    /// Tells those of the resources that do not know it yet, and remembers who
    /// has carried it out. Returns who has not.
    fn tell_decision(
        self: &Arc<Self>,
        gid: &str,
        decision: Decision,
        resources: &[&dyn TransactionResource],
    ) -> Result<Vec<String>> {
        check_gid(gid)?;
        let snapshot = Snapshot::visible(self)?;
        let Some(mut decided) = decided(&snapshot, gid)? else {
            return Ok(Vec::new());
        };
        drop(snapshot);
        let before = decided.untold.len();
        for resource in resources {
            if !decided.untold.iter().any(|name| name == resource.name()) {
                continue;
            }
            let told = ask(|| match decision {
                Decision::Committed => resource.finalize(gid),
                Decision::RolledBack => resource.rollback(gid),
            });
            if told.is_ok() {
                decided.untold.retain(|name| name != resource.name());
            }
        }
        if decided.untold.len() < before {
            let mut batch = Batch::new();
            let key = decided_key(gid);
            batch.put(system::DECIDED, key, decided.encode(), Expect::Present);
            let told = self.commit(&Commit {
                batch: &batch,
                options: &synced(&CommitOptions::default()),
                basis: None,
                stage: Stage::Decide { gid },
            })?;
            told.wait()?;
        }
        Ok(decided.untold)
    }

    /// The database was opened: ids of trees that prepared transactions will make
    /// are not given again. Transactions that were to be committed with
    /// resources, and whose decision is not there, were not committed.
    ///
    /// # Errors
    /// A read or a commit failed.
    pub(crate) fn adopt_prepared(self: &Arc<Self>) -> Result<()> {
        let locks = self.lock_writer().locks(&self.pager)?;
        if locks.is_empty() || self.options.read_only {
            return Ok(());
        }
        if !planted(Mutant::ReusePreparedTreeIds) {
            self.reserve_tree_ids(locks.created());
        }
        let snapshot = Snapshot::visible(self)?;
        let mut undecided = Vec::new();
        let mut cursor = snapshot.cursor(system::PREPARED, KeyRange::all())?;
        while let Some((key, value)) = cursor.next()? {
            let (gid, part) = super::parse_part_key(key)?;
            if part == 0 && !super::Head::decode(value)?.0.resources.is_empty() {
                undecided.push(gid.to_owned());
            }
        }
        drop((cursor, snapshot));
        for gid in undecided {
            self.decide(&gid, Decision::RolledBack, &CommitOptions::default())?;
        }
        Ok(())
    }
}
