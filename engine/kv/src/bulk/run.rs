//! Runs in a record: ascending puts behind the last key of their tree go to the
//! builder of leaves, whoever wrote them, and again when they are recovered.
//!
//! Invariant: carrying out a run leaves the same keys and values as carrying
//! out its puts one by one; only the fill of pages differs.

use cs_base::TreeId;
use cs_pager::{PageRef, Pager};

use crate::effects::{Effect, Effects};
use crate::error::{Error, Result};
use crate::in_flight::Undo;
use crate::tree::{LastKey, NewValue, last_key};
use crate::writer::Writer;

/// Fewer puts than this are not worth a look at the end of their tree.
const MIN_RUN: usize = 32;

/// Puts that go to the builder in one go: between two there is a look at memory.
const MOST_AT_ONCE: usize = 4096;

/// How many puts from here on go to one tree in strictly ascending order.
fn ascending(effects: &Effects<'_>) -> usize {
    if effects.left() < MIN_RUN {
        return 0;
    }
    let mut last: Option<(TreeId, &[u8])> = None;
    let mut count = 0;
    for effect in effects.clone() {
        match effect {
            Ok(Effect::Put { tree, key, .. } | Effect::PutPacked { tree, key, .. })
                if last.is_none_or(|(other, below)| other == tree && below < key) =>
            {
                last = Some((tree, key));
                count += 1;
            }
            _ => break,
        }
    }
    count
}

/// Tree and key of the next effect, if it is a put.
fn next_put<'a>(effects: &Effects<'a>) -> Option<(TreeId, &'a [u8])> {
    match effects.clone().next() {
        Some(Ok(Effect::Put { tree, key, .. } | Effect::PutPacked { tree, key, .. })) => {
            Some((tree, key))
        }
        _ => None,
    }
}

/// What a put says.
fn entry(effect: Effect<'_>) -> Result<(&[u8], NewValue<'_>)> {
    match effect {
        Effect::Put { key, value, .. } => Ok((key, NewValue::plain(key, value))),
        Effect::PutPacked {
            key, digest, block, ..
        } => Ok((key, NewValue::packed(block, digest)?)),
        other => Err(Error::Damaged(format!("a run of puts has {other:?}"))),
    }
}

impl Writer {
    /// Carries out runs of puts, if such come next. Returns how many effects
    /// from here on were looked at already; `looked_at` is what it returned
    /// before the last effect.
    pub(crate) fn apply_runs(
        &mut self,
        pager: &Pager,
        effects: &mut Effects<'_>,
        looked_at: usize,
        mut undo: Option<&mut Undo>,
    ) -> Result<usize> {
        if looked_at > 1 {
            return Ok(looked_at - 1);
        }
        loop {
            let run = ascending(effects);
            if run < MIN_RUN {
                return Ok(run);
            }
            self.apply_run(pager, effects, run, undo.as_deref_mut())?;
        }
    }

    /// Carries out `count` ascending puts to one tree.
    fn apply_run(
        &mut self,
        pager: &Pager,
        effects: &mut Effects<'_>,
        count: usize,
        mut undo: Option<&mut Undo>,
    ) -> Result<()> {
        let Some((tree, _)) = next_put(effects) else {
            return Ok(());
        };
        let end = self.last_key(pager, tree, |_| {})?;
        // What lies among the keys that are there goes its usual way.
        let mut left = count;
        while left > 0 {
            let is_behind = next_put(effects).is_some_and(|(_, key)| end.is_below(key));
            if left >= MIN_RUN && is_behind {
                break;
            }
            let Some(effect) = effects.next() else {
                return Ok(());
            };
            let (key, value) = entry(effect?)?;
            left -= 1;
            self.edit(pager, tree, undo.as_deref_mut(), |edit| {
                edit.put_value(key, &value, None)
            })?;
        }
        if left == 0 {
            return Ok(());
        }
        let fill_percent = self.fill_percent;
        while left > 0 {
            let some = left.min(MOST_AT_ONCE);
            left -= some;
            let entries = effects.by_ref().take(some).map(|effect| entry(effect?));
            let undo = undo.as_deref_mut();
            self.edit(pager, tree, undo, |edit| edit.append(fill_percent, entries))?;
        }
        Ok(())
    }

    /// Where the keys of a tree end in the open version.
    pub(crate) fn last_key(
        &mut self,
        pager: &Pager,
        tree: TreeId,
        visit: impl FnMut(PageRef),
    ) -> Result<LastKey> {
        let Some(root) = self.tree(pager, tree)? else {
            return Err(Error::UnknownTree(tree));
        };
        last_key(&self.source(pager), tree, &root, visit)
    }

    /// For the plan: keeps the right edge of a tree at hand. Says whether `key`
    /// lies behind it.
    pub(crate) fn plan_append(&mut self, pager: &Pager, tree: TreeId, key: &[u8]) -> Result<bool> {
        self.plan_root(pager, tree)?;
        let mut path: Vec<PageRef> = Vec::new();
        let end = self.last_key(pager, tree, |at| path.push(at))?;
        for at in path {
            self.shadow.plan(pager, at)?;
        }
        Ok(end.is_below(key))
    }

    /// How many effects from here on are puts that the builder will take; the
    /// record must not have touched their tree before.
    pub(crate) fn count_appended(&mut self, pager: &Pager, effects: &Effects<'_>) -> Result<usize> {
        let count = ascending(effects);
        let Some((tree, key)) = next_put(effects) else {
            return Ok(0);
        };
        if count < MIN_RUN || self.tree(pager, tree)?.is_none() {
            return Ok(0);
        }
        let end = self.last_key(pager, tree, |_| {})?;
        Ok(if end.is_below(key) { count } else { 0 })
    }
}

/// What the entries of a run take in pages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AppendedSize {
    bytes: u64,
    largest: u64,
}

impl AppendedSize {
    /// One entry more, of so many bytes in its leaf.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }

    /// An upper bound of leaves and branches.
    pub(crate) fn pages(self, page_size: usize, fill_percent: usize) -> u64 {
        let page_size = page_size as u64;
        // Small entries fill a leaf nearly to its share; of large ones, two
        // leaves together hold more than one share.
        let percent = if self.largest * 16 <= page_size {
            115
        } else {
            300
        };
        self.bytes * percent / fill_percent.clamp(1, 100) as u64 / page_size + 2
    }
}
