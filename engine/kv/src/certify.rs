//! Whether what a transaction builds on still holds where it commits.
//!
//! The trees are the version store: nothing else remembers who changed what. A
//! leaf that is not newer than the snapshot answers at once; otherwise the two
//! states are compared. So a key that was changed and changed back has not
//! changed: whoever commits behind it does so on exactly what it read.

use cs_base::TreeId;
use cs_pager::{Pager, ReadGuard};

use crate::difference::{Side, agree};
use crate::error::{Error, Result};
use crate::key_range::KeyRange;
use crate::root::Root;
use crate::transaction::Footprint;
use crate::tree::{Position, SealedSource, find};
use crate::tree_root::TreeRoot;
use crate::writer::{Writer, get_sealed, lookup_tree};

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
/// # Errors
/// [`Error::Conflict`] if so; a page could not be read.
pub(crate) fn check_write(
    pager: &Pager,
    writer: &mut Writer,
    snapshot: &Root,
    tree: TreeId,
    key: &[u8],
) -> Result<()> {
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

/// Has anybody changed what was read since the state `before`?
///
/// # Errors
/// [`Error::Conflict`] if so; a page could not be read.
pub(crate) fn check_reads(
    pager: &Pager,
    writer: &mut Writer,
    before: &Root,
    footprint: &Footprint,
) -> Result<()> {
    for (tree, range) in footprint.iter() {
        let now = writer.tree(pager, tree)?;
        let source = writer.source(pager);
        let now = now.map(|root| Side {
            source: &source,
            root,
        });
        let state = lookup_tree(&SealedSource(pager), &before.directory, tree)?;
        if !holds(pager, tree, &range, state, now)? {
            return Err(Error::Conflict {
                lost_to: writer.position.index,
            });
        }
    }
    Ok(())
}

/// The same between two sealed states, so without the writer.
///
/// # Errors
/// As [`check_reads`].
pub(crate) fn check_reads_sealed(
    pager: &Pager,
    before: &Root,
    now: &Root,
    footprint: &Footprint,
) -> Result<()> {
    let source = SealedSource(pager);
    for (tree, range) in footprint.iter() {
        let state = lookup_tree(&source, &before.directory, tree)?;
        let root = lookup_tree(&source, &now.directory, tree)?;
        let newer = root.map(|root| Side {
            source: &source,
            root,
        });
        if !holds(pager, tree, &range, state, newer)? {
            return Err(Error::Conflict {
                lost_to: now.record.index,
            });
        }
    }
    Ok(())
}

/// A tree that was dropped since has nothing left of what was read.
fn holds<S: crate::tree::PageSource>(
    pager: &Pager,
    tree: TreeId,
    range: &KeyRange,
    before: Option<TreeRoot>,
    now: Option<Side<'_, S>>,
) -> Result<bool> {
    match (before, now) {
        (Some(root), Some(now)) => {
            let source = SealedSource(pager);
            let before = Side {
                source: &source,
                root,
            };
            agree(tree, range, &before, &now)
        }
        (None, None) => Ok(true),
        _ => Ok(false),
    }
}
