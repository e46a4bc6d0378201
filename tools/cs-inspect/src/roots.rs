//! Roots of trees, as the directory and the metas keep them; see the FORMAT.md
//! of cs-kv.

use cs_base::{PageId, TreeId, Version};
use cs_kv::{TreeRoot, TreeStats, system};
use cs_pager::{PageRef, RootRecord};

use crate::pages::number;

/// Bytes of a tree's root: page, version, count, bytes, hash (16), height, zeroes.
pub(crate) const ROOT_BYTES: usize = 64;
/// Where the height is in it.
const ROOT_HEIGHT: usize = 48;
/// Most levels that are believed: 2^32 pages need 21.
const MAX_HEIGHT: u8 = 32;

/// Reads the root of a tree.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn decode(tree: TreeId, bytes: &[u8]) -> Result<TreeRoot, String> {
    let len = bytes.len();
    if len != ROOT_BYTES {
        return Err(format!(
            "root of tree {tree}: expected {ROOT_BYTES} bytes, found {len}"
        ));
    }
    let page = PageRef {
        page: PageId(number(bytes)),
        version: Version(number(&bytes[8..])),
    };
    let height = bytes[ROOT_HEIGHT];
    if page.is_none() != (height == 0) || height > MAX_HEIGHT {
        return Err(format!(
            "root of tree {tree}: its height {height} does not fit its page {}",
            page.page
        ));
    }
    Ok(TreeRoot {
        page,
        height,
        stats: TreeStats {
            count: number(&bytes[16..]),
            bytes: number(&bytes[24..]),
            hash: u128::from(number(&bytes[32..])) | u128::from(number(&bytes[40..])) << 64,
        },
    })
}

/// The root of the directory in a state.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn directory(root: &RootRecord) -> Result<TreeRoot, String> {
    decode(system::DIRECTORY, &root.payload[..ROOT_BYTES])
}

/// The tree that a key of the directory stands for.
pub(crate) fn tree_of_key(key: &[u8]) -> Option<TreeId> {
    let raw = <[u8; 4]>::try_from(key).ok()?;
    Some(TreeId(u32::from_be_bytes(raw)))
}
