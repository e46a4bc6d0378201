//! Trees and values by name, in any state.

use cs_base::TreeId;
use cs_pager::{Pager, ReadGuard};

use crate::error::Result;
use crate::root::{Root, is_system};
use crate::tree::{PageSource, SealedSource, find, load_value};
use crate::tree_root::{TreeRoot, directory_key, system};

/// The root of a tree in a state, or `None` if there is no such tree. System
/// trees are always there, empty until first used.
pub(crate) fn lookup_tree(
    source: &impl PageSource,
    directory: &TreeRoot,
    tree: TreeId,
) -> Result<Option<TreeRoot>> {
    if tree == system::DIRECTORY {
        return Ok(Some(*directory));
    }
    let guard = ReadGuard::enter();
    let key = directory_key(tree);
    let found = find(source, &guard, system::DIRECTORY, directory, &key, |_| {})?;
    if let Some(position) = found
        && let Ok(slot) = position.slot
    {
        let value = load_value(source, system::DIRECTORY, position.leaf.value(slot))?;
        return TreeRoot::decode(tree, &value).map(Some);
    }
    Ok(is_system(tree).then(TreeRoot::default))
}

/// The value of a key in a tree.
pub(crate) fn get_value(
    source: &impl PageSource,
    tree: TreeId,
    root: &TreeRoot,
    key: &[u8],
) -> Result<Option<Vec<u8>>> {
    let guard = ReadGuard::enter();
    let Some(position) = find(source, &guard, tree, root, key, |_| {})? else {
        return Ok(None);
    };
    let Ok(slot) = position.slot else {
        return Ok(None);
    };
    Ok(Some(
        load_value(source, tree, position.leaf.value(slot))?.into_owned(),
    ))
}

/// The same in a sealed state.
pub(crate) fn get_sealed(
    pager: &Pager,
    root: &Root,
    tree: TreeId,
    key: &[u8],
) -> Result<Option<Vec<u8>>> {
    let source = SealedSource(pager);
    match lookup_tree(&source, &root.directory, tree)? {
        Some(found) => get_value(&source, tree, &found, key),
        None => Ok(None),
    }
}
