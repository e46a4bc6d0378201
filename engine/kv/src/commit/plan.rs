//! The plan of a commit: everything that could be refused is checked, what it will
//! touch is at hand, and pages and log space are set aside.
//!
//! Invariant: it changes nothing, whether it succeeds or not.

use cs_base::TreeId;
use cs_base::mutants::{Mutant, planted};
use cs_pager::Pager;
use cs_wal::{Log, Reservation};

use super::{Commit, Planned, Stage};
use crate::batch::{Batch, Expect, Operation};
use crate::certify::{check_reads, check_write};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::limits::MAX_PART;
use crate::packing::Payload;
use crate::prepared::decided_key;
use crate::root::{Root, is_system};
use crate::tree_root::{directory_key, system};
use crate::writer::Writer;

/// So many operations ahead their leaves are asked for, where data is not in
/// memory: as many reads as are in flight at once.
const AHEAD: usize = 64;

impl Core {
    pub(super) fn plan(
        &self,
        writer: &mut Writer,
        commit: &Commit<'_>,
        payload: &Payload,
    ) -> Result<Planned> {
        let pager = &self.pager;
        // A commit that waited for the lock may find the database failed.
        self.check_writable()?;
        writer.begin_plan();
        for _ in &commit.batch.created {
            writer.plan_unknown();
        }
        self.plan_session(writer, commit)?;
        check_locks(pager, writer, commit)?;
        // With the lock held it is not ended any more before the plan is.
        commit
            .basis
            .map_or(Ok(()), |basis| basis.snapshot.check())?;
        plan_trees(pager, writer, commit)?;
        let mut last = None;
        let operations = &commit.batch.operations;
        for (position, operation) in operations.iter().enumerate() {
            if position % AHEAD == 0 && operations.len() > 1 {
                let next = operations[position..].iter().take(AHEAD);
                let known = next.filter(|next| !commit.batch.created.contains(&next.tree));
                writer.plan_ahead(pager, known.map(|next| (next.tree, next.key.as_slice())))?;
            }
            if last.replace(operation.tree) != Some(operation.tree) {
                writer.plan_root(pager, operation.tree)?;
            }
            if operation.before.is_some() {
                writer.plan_unknown();
            }
            if commit.batch.created.contains(&operation.tree) {
                writer.plan_unknown();
                continue;
            }
            let there = writer.plan_key(pager, operation.tree, &operation.key)?;
            check_expectation(operation, position, there)?;
            if let (Some(basis), Stage::Whole) = (&commit.basis, commit.stage)
                && !planted(Mutant::SkipWriteCheck)
            {
                let root = basis.snapshot.root();
                check_write(pager, writer, root, operation.tree, &operation.key)?;
            }
        }
        if let Some(basis) = &commit.basis {
            if let Stage::Prepare { changes, .. } = commit.stage {
                check_changes(pager, writer, basis.snapshot.root(), changes)?;
            }
            if let Some(footprint) = basis.footprint {
                check_reads(pager, writer, basis.certified_to(), footprint)?;
            }
        }
        let (pages, run) =
            writer.pages_needed(pager, &payload.effects, Some(writer.shadow.planned_pages()))?;
        let only_removes = commit.batch.only_removes();
        writer.shadow.reserve(pager, pages, run, only_removes)?;
        let reservation = match &self.log {
            Some(log) => {
                let parts: Vec<usize> =
                    payload.logged().chunks(MAX_PART).map(<[u8]>::len).collect();
                Some(self.reserve_log(log, &parts)?)
            }
            None => None,
        };
        Ok(Planned { reservation })
    }

    /// Only want of space leaves everything as it was: any other failure was
    /// one of a write or a sync.
    pub(crate) fn reserve_log(&self, log: &Log, parts: &[usize]) -> Result<Reservation> {
        match log.reserve_run(parts).map_err(Error::from) {
            Err(error) if error.is_no_space() => Err(error),
            other => self.must(other),
        }
    }

    pub(super) fn plan_session(&self, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
        let Some(statement) = &commit.options.session else {
            return Ok(());
        };
        writer.plan_root(&self.pager, system::SESSIONS)?;
        writer.plan_path(&self.pager, system::SESSIONS, &statement.session)?;
        let stored = writer.get(&self.pager, system::SESSIONS, &statement.session)?;
        let Some((head, results)) = stored.as_deref().and_then(<[u8]>::split_first_chunk) else {
            return Ok(());
        };
        let number = u64::from_le_bytes(*head);
        if number >= statement.number {
            return Err(Error::AlreadyApplied {
                number,
                results: results.to_vec(),
            });
        }
        Ok(())
    }
}

/// What the batch relies on must still be so.
///
/// # Errors
/// [`Error::Conflict`] if it is not; a page could not be read.
pub(super) fn check_kept(pager: &Pager, writer: &mut Writer, batch: &Batch) -> Result<()> {
    for kept in batch.kept.iter().filter(|_| !planted(Mutant::IgnoreKept)) {
        let root = writer.tree(pager, kept.tree)?;
        if root.is_some_and(|root| root.stats.hash == kept.hash) {
            continue;
        }
        let now = match root {
            Some(_) => writer.get(pager, kept.tree, &kept.key)?,
            None => None,
        };
        if now.as_deref() != Some(&*kept.value) {
            return Err(Error::Conflict {
                lost_to: writer.position.index,
            });
        }
    }
    Ok(())
}

/// Checks what is made and dropped, so that carrying it out cannot fail. A drop
/// conflicts with nobody: it comes after whatever was committed before it.
fn plan_trees(pager: &Pager, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
    let Batch {
        operations,
        created,
        dropped,
        kept: _,
        telling: _,
        looks: _,
    } = commit.batch;
    let twice = |trees: &[TreeId]| {
        let mut sorted = trees.to_vec();
        sorted.sort_unstable();
        sorted.windows(2).any(|pair| pair[0] == pair[1])
    };
    if twice(created) || twice(dropped) {
        return Err(Error::Refused(
            "a tree is made or dropped twice in one commit",
        ));
    }
    if created.iter().chain(dropped).any(|&tree| is_system(tree)) {
        return Err(Error::Refused("a system tree cannot be made or dropped"));
    }
    let is_whole = matches!(commit.stage, Stage::Whole);
    let is_own = |operation: &Operation| match operation.tree {
        system::DIRECTORY | system::DROPPED => true,
        system::SESSIONS | system::PREPARED | system::DECIDED | system::SNAPSHOTS => is_whole,
        _ => false,
    };
    if operations.iter().any(is_own) {
        return Err(Error::Refused(
            "the trees of the store itself are not written to",
        ));
    }
    for &tree in created {
        writer.plan_root(pager, tree)?;
        if writer.tree(pager, tree)?.is_some() {
            return Err(Error::Refused("a tree is made under an id that is in use"));
        }
    }
    for &tree in dropped {
        writer.tree(pager, tree)?.ok_or(Error::UnknownTree(tree))?;
        writer.plan_root(pager, system::DROPPED)?;
        for holder in [system::DIRECTORY, system::DROPPED] {
            writer.plan_path(pager, holder, &directory_key(tree))?;
        }
    }
    Ok(())
}

fn check_expectation(operation: &Operation, position: usize, there: bool) -> Result<()> {
    match operation.expect {
        Expect::Absent if there => Err(Error::Expectation {
            position,
            expected: "absent",
        }),
        Expect::Present if !there => Err(Error::Expectation {
            position,
            expected: "present",
        }),
        _ => Ok(()),
    }
}

/// Refuses what a prepared transaction is in the way of.
fn check_locks(pager: &Pager, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
    if let Stage::Prepare { gid, .. } = commit.stage
        && writer
            .get(pager, system::DECIDED, &decided_key(gid))?
            .is_some()
    {
        return Err(Error::NameTaken { gid: gid.into() });
    }
    let locks = writer.locks(pager)?;
    if locks.is_empty() || planted(Mutant::ForgetPreparedLocks) {
        return Ok(());
    }
    match commit.stage {
        Stage::Whole | Stage::Own => locks.check_batch(commit.batch, None),
        Stage::Decide { gid } => locks.check_batch(commit.batch, Some(gid)),
        Stage::Prepare { changes, .. } => {
            locks.check_batch(changes, None)?;
            let footprint = commit.basis.and_then(|basis| basis.footprint);
            footprint.map_or(Ok(()), |footprint| locks.check_reads(footprint))
        }
    }
}

/// What a prepared transaction will change must be as its snapshot had it, and
/// possible.
fn check_changes(
    pager: &Pager,
    writer: &mut Writer,
    snapshot: &Root,
    changes: &Batch,
) -> Result<()> {
    for operation in &changes.operations {
        if !changes.created.contains(&operation.tree) {
            check_write(pager, writer, snapshot, operation.tree, &operation.key)?;
        }
    }
    for &tree in &changes.dropped {
        writer.tree(pager, tree)?.ok_or(Error::UnknownTree(tree))?;
    }
    Ok(())
}
