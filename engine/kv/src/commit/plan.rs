//! The plan of a commit: everything that could be refused is checked, what it will
//! touch is at hand, and pages and log space are set aside.
//!
//! Invariant: it changes nothing, whether it succeeds or not.

use cs_base::TreeId;
use cs_pager::{Pager, ReadGuard};
use cs_wal::{Log, Reservation};

use super::{Commit, Planned};
use crate::batch::{Batch, Expect, Operation};
use crate::core::Core;
use crate::error::{Error, Result};
use crate::limits::MAX_PART;
use crate::packing::Payload;
use crate::root::{Root, is_system};
use crate::tree::{Position, SealedSource, find};
use crate::tree_root::{directory_key, system};
use crate::writer::{Writer, get_sealed, lookup_tree};

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
            if commit.batch.created.contains(&operation.tree) {
                writer.plan_unknown();
                continue;
            }
            let there = writer.plan_key(pager, operation.tree, &operation.key)?;
            check_expectation(operation, position, there)?;
            if let Some(snapshot) = commit.snapshot {
                check_conflict(pager, writer, snapshot, operation)?;
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

    fn plan_session(&self, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
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

/// Checks what is made and dropped, so that carrying it out cannot fail. A drop
/// conflicts with nobody: it comes after whatever was committed before it.
fn plan_trees(pager: &Pager, writer: &mut Writer, commit: &Commit<'_>) -> Result<()> {
    let Batch {
        operations,
        created,
        dropped,
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
    let own = [system::DIRECTORY, system::DROPPED, system::SESSIONS];
    if operations
        .iter()
        .any(|operation| own.contains(&operation.tree))
    {
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

/// Whether a leaf that was there in the snapshot says how the key stood in it:
/// the key is in it, or between two that are. At its edges the key may have
/// been in a neighbour that was emptied since, and whose range the leaf took over.
fn speaks_for_key(position: &Position<'_>) -> bool {
    match position.slot {
        Ok(_) => true,
        Err(slot) => 0 < slot && slot < position.leaf.len(),
    }
}

/// First committer wins: has anybody changed this key since the snapshot?
///
/// A leaf that is not newer than the snapshot answers at once; otherwise the
/// values in the two states are compared.
fn check_conflict(
    pager: &Pager,
    writer: &mut Writer,
    snapshot: &Root,
    operation: &Operation,
) -> Result<()> {
    let (tree, key) = (operation.tree, operation.key.as_slice());
    let Some(root) = writer.tree(pager, tree)? else {
        return Err(Error::UnknownTree(tree));
    };
    let unchanged = {
        let source = writer.source(pager);
        let guard = ReadGuard::enter();
        let leaf = find(&source, &guard, tree, &root, key, |_| {})?;
        match &leaf {
            Some(position) => {
                position.at.version <= snapshot.record.version && speaks_for_key(position)
            }
            None => lookup_tree(&SealedSource(pager), &snapshot.directory, tree)?
                .is_some_and(|before| before.height == 0),
        }
    };
    if unchanged {
        return Ok(());
    }
    let before = get_sealed(pager, snapshot, tree, key)?;
    let now = writer.get(pager, tree, key)?;
    if before == now {
        Ok(())
    } else {
        Err(Error::Conflict {
            lost_to: writer.position.index,
        })
    }
}
