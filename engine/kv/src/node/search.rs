//! Where a key is, or belongs.
//!
//! Invariant: heads ascend (not strictly), so that two binary searches over
//! integers bound the slots whose keys must be looked at.

use std::cmp::Ordering;
use std::convert::Infallible;

use super::layout::head_of;
use super::limits::max_inline_key;
use super::raw::{Kind, Raw};
use super::refs::OverflowRef;

impl<K: Kind> Raw<'_, K> {
    /// [`search_with`](Self::search_with) for a key that is wholly inline: no
    /// run is ever read for it, since a key with a run is longer.
    ///
    /// # Panics
    /// If `key` is longer than [`max_inline_key`].
    #[inline]
    pub(super) fn search(&self, key: &[u8]) -> Result<usize, usize> {
        let limit = max_inline_key(self.page_size());
        assert!(
            key.len() <= limit,
            "a search key of {} bytes needs a resolver",
            key.len()
        );
        match self.search_with::<Infallible>(key, &mut |_| unreachable!("the key is inline")) {
            Ok(found) => found,
            Err(never) => match never {},
        }
    }

    /// The slot of `key` (`Ok`), or the slot before which it belongs (`Err`).
    /// `load` brings a whole key; it is called only where inline parts are equal.
    #[inline]
    pub(super) fn search_with<E>(
        &self,
        key: &[u8],
        load: &mut dyn FnMut(&OverflowRef) -> Result<Vec<u8>, E>,
    ) -> Result<Result<usize, usize>, E> {
        let first = K::FIRST_KEYED;
        let inline = &key[..key.len().min(max_inline_key(self.page_size()))];
        let Some(suffix) = inline.strip_prefix(self.prefix) else {
            // It sorts before or behind all keys that have the prefix.
            let end = if inline < self.prefix {
                first
            } else {
                self.slots.len()
            };
            return Ok(Err(end));
        };
        let head = head_of(suffix);
        let slots = &self.slots[first..];
        let mut low = slots.partition_point(|slot| slot.head.get() < head);
        // Mostly there is one slot with this head, or none.
        let mut high =
            low + usize::from(slots.get(low).is_some_and(|slot| slot.head.get() == head));
        if slots.get(high).is_some_and(|slot| slot.head.get() == head) {
            high += slots[high..].partition_point(|slot| slot.head.get() == head);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            match self.compare(first + middle, suffix, key, load)? {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(Ok(first + middle)),
                Ordering::Greater => high = middle,
            }
        }
        Ok(Err(first + low))
    }

    /// How the key in slot `index` compares to `key`, whose inline part behind
    /// the prefix is `suffix`.
    #[inline]
    fn compare<E>(
        &self,
        index: usize,
        suffix: &[u8],
        key: &[u8],
        load: &mut dyn FnMut(&OverflowRef) -> Result<Vec<u8>, E>,
    ) -> Result<Ordering, E> {
        let ordering = self.suffix(index).cmp(suffix);
        if ordering.is_ne() {
            return Ok(ordering);
        }
        // Equal inline parts: of two keys the one with more behind is greater.
        let is_long = key.len() > max_inline_key(self.page_size());
        match (self.key_overflow(index), is_long) {
            (None, false) => Ok(Ordering::Equal),
            (None, true) => Ok(Ordering::Less),
            (Some(_), false) => Ok(Ordering::Greater),
            (Some(run), true) => Ok(load(&run)?.as_slice().cmp(key)),
        }
    }
}
