//! One page made two, and two made one.
//!
//! Invariant: all cells are measured with their new prefixes before the first
//! byte of either page is changed.

use super::item::{Item, common_prefix, measure, write_node};
use super::limits::{SLOT, usable_bytes};
use super::raw::{Kind, Raw};
use super::refs::OwnedKey;

/// A half of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The page that was split.
    Left,
    /// The new page.
    Right,
}

/// What parts two leaves: a key above all on the left and at most the first
/// on the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Separator {
    /// The shortest such key.
    Key(Vec<u8>),
    /// Both neighbours have the same inline part: load the last key on the left
    /// and the first on the right, and take [`shortest_separator`] of them. It
    /// is longer than the inline part and needs a run of its own.
    NeedsWholeKeys,
}

/// What became of a leaf that was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafSplit {
    /// What parts the halves, for the parent.
    pub separator: Separator,
    /// Where the incoming cell is.
    pub side: Side,
    /// Its slot there.
    pub index: usize,
}

/// What became of a branch that was split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BranchSplit {
    /// The key that left the branch, for the parent; its run goes with it.
    pub separator: OwnedKey,
    /// Where the incoming child is.
    pub side: Side,
    /// Its slot there. Slot 0 on the right means that its key is the separator.
    pub index: usize,
}

/// The shortest key that is above `left` and at most `right`: the start of
/// `right`, up to the first byte that differs.
///
/// # Panics
/// If `left` is not below `right`.
///
/// ```
/// # use cs_kv::node::shortest_separator;
/// assert_eq!(shortest_separator(b"apple", b"banana"), b"b");
/// assert_eq!(shortest_separator(b"ab", b"abcd"), b"abc");
/// ```
#[must_use]
pub fn shortest_separator<'a>(left: &[u8], right: &'a [u8]) -> &'a [u8] {
    assert!(left < right, "a separator stands between ascending keys");
    &right[..=common_prefix(left, right)]
}

/// Splits `left` while `incoming` goes in before slot `index`, and lets
/// `separate` see the last cell on the left and the first on the right.
pub(super) fn split<K: Kind, S>(
    left: &mut [u8],
    right: &mut [u8],
    index: usize,
    incoming: Item<'_>,
    separate: impl FnOnce(&Item<'_>, &Item<'_>) -> S,
) -> (S, Side, usize) {
    assert_eq!(
        left.len(),
        right.len(),
        "both pages of a split have one size"
    );
    let old = left.to_vec();
    let node = Raw::<K>::new(&old);
    assert!(
        index >= K::FIRST_KEYED,
        "slot {index} of this node has no key"
    );
    assert!(
        node.slots.len() + 1 >= 2 * K::MIN_SPLIT,
        "a split node has cells for both halves"
    );
    let mut items: Vec<_> = node.items().collect();
    items.insert(index, incoming);

    let cut = choose_cut::<K>(&items, index, usable_bytes(old.len()));
    let separator = separate(&items[cut - 1], &items[cut]);
    if K::FIRST_KEYED == 1 {
        items[cut] = items[cut].without_key();
    }
    let (left_items, right_items) = items.split_at(cut);
    write_node::<K>(left, left_items, measure::<K>(left_items).0);
    write_node::<K>(right, right_items, measure::<K>(right_items).0);
    match index.checked_sub(cut) {
        Some(index) => (separator, Side::Right, index),
        None => (separator, Side::Left, index),
    }
}

/// How many of `items` stay on the left. Who inserts at an end will most
/// likely go on there, so the page behind them is left full and the page
/// before them empty; otherwise the halves get as even as they can be.
fn choose_cut<K: Kind>(items: &[Item<'_>], incoming: usize, capacity: usize) -> usize {
    let mut sum = 0;
    let mut sums = vec![0];
    sums.extend(items.iter().map(|item| {
        sum += SLOT + item.cell_len(0);
        sum
    }));
    // Bytes of a page with the items `from..to`, as `measure` would say.
    let page_bytes = |from: usize, to: usize| {
        let whole = sums[to] - sums[from];
        match &items[from..to][K::FIRST_KEYED..] {
            keyed @ [first, .., last] => {
                let saved = first.common_prefix(last) * (keyed.len() - 1);
                whole - saved - keyless_saving::<K>(&items[from])
            }
            _ => whole - keyless_saving::<K>(&items[from]),
        }
    };
    // The larger half, where both fit.
    let larger = |cut: usize| {
        let larger = page_bytes(0, cut).max(page_bytes(cut, items.len()));
        (larger <= capacity).then_some(larger)
    };
    let mut cuts = K::MIN_SPLIT..=items.len() - K::MIN_SPLIT;
    let cut = if incoming == items.len() - 1 {
        cuts.rev().find(|&cut| larger(cut).is_some())
    } else if incoming == K::FIRST_KEYED {
        cuts.find(|&cut| larger(cut).is_some())
    } else {
        cuts.filter_map(|cut| larger(cut).map(|size| (size, cut)))
            .min()
            .map(|(_, cut)| cut)
    };
    cut.expect("two halves always fit: see the proof at the head of the module")
}

/// Bytes that the first cell of a page saves by having no key there.
fn keyless_saving<K: Kind>(first: &Item<'_>) -> usize {
    if K::FIRST_KEYED == 1 {
        first.key_len()
    } else {
        0
    }
}

/// Appends the cells of `right` to `left` if all fit. `first_right` is the
/// first cell of a branch with the key that parted the two.
pub(super) fn merge<K: Kind>(left: &mut [u8], first_right: Option<Item<'_>>, right: &[u8]) -> bool {
    assert_eq!(
        left.len(),
        right.len(),
        "both pages of a merge have one size"
    );
    let old = left.to_vec();
    let right = Raw::<K>::new(right);
    let mut items: Vec<_> = Raw::<K>::new(&old).items().collect();
    items.extend(first_right);
    items.extend(right.items().skip(K::FIRST_KEYED));
    let (prefix_len, used) = measure::<K>(&items);
    let fits = used <= usable_bytes(old.len());
    if fits {
        write_node::<K>(left, &items, prefix_len);
    }
    fits
}
