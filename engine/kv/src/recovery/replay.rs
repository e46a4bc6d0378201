//! Carrying out the records of the log again, many at a time.
//!
//! Nobody looks at a state between two of them, so the last effect on each key
//! is all that counts, and the keys may come in their own order: each leaf is
//! then looked up once, changed in one go, and found in the processor's cache.
//! Keys behind the end of their tree go to the builder of full leaves.
//!
//! ## Invariants
//! * What is gathered takes bounded memory, a part of the budget.
//! * A record in which a tree comes or goes is carried out by itself, after all
//!   that came before it.
//! * Where the disk has no room for a gathered whole, its records are carried out
//!   one by one: that takes what it took before the crash, and no more.

use cs_pager::Pager;

use super::RecoveryReport;
use crate::effects::{Effect, EffectWriter, Effects, unpack_payload};
use crate::error::{Error, Result};
use crate::writer::Writer;

/// Most bytes of records that are gathered: beyond it the first touch of so much
/// memory costs what longer runs save.
const MOST_BYTES: u64 = 4 << 20;
/// The part of the budget that they may take, and as much again while they are sorted.
const BUDGET_SHARE: u64 = 32;

/// See the module's text.
pub(super) struct Replay<'a> {
    pager: &'a Pager,
    pub(super) writer: Writer,
    cache_bytes: u64,
    /// Payloads that were gathered, one behind the other, …
    gathered: Vec<u8>,
    /// … and where each ends.
    ends: Vec<usize>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(pager: &'a Pager, writer: Writer, cache_bytes: u64) -> Self {
        Self {
            pager,
            writer,
            cache_bytes,
            gathered: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Takes the next record; it may be carried out later.
    pub(super) fn take(&mut self, payload: &[u8], report: &mut RecoveryReport) -> Result<()> {
        let payload = &*unpack_payload(payload)?;
        report.records += 1;
        report.bytes += payload.len() as u64;
        let most = MOST_BYTES.min(self.cache_bytes / BUDGET_SHARE) as usize;
        if payload.len() > most || is_structural(payload)? {
            self.finish()?;
            return self.carry_out(payload);
        }
        if self.gathered.len() + payload.len() > most {
            self.finish()?;
        }
        self.gathered.extend_from_slice(payload);
        self.ends.push(self.gathered.len());
        Ok(())
    }

    /// Carries out what was gathered.
    pub(super) fn finish(&mut self) -> Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        let ends = std::mem::take(&mut self.ends);
        if let [end] = ends[..] {
            return self.carry_out(&gathered[..end]);
        }
        if !ends.is_empty() {
            let joined = join(&gathered, &ends)?;
            match self.carry_out(&joined) {
                Err(error) if error.is_no_space() => {
                    for payload in payloads(&gathered, &ends) {
                        self.carry_out(payload)?;
                    }
                }
                other => other?,
            }
        }
        (self.gathered, self.ends) = (gathered, ends);
        self.gathered.clear();
        self.ends.clear();
        Ok(())
    }

    /// Carries out one payload. Want of space is said before anything changes.
    fn carry_out(&mut self, payload: &[u8]) -> Result<()> {
        let (pages, run) = self.writer.pages_needed(self.pager, payload, None)?;
        self.writer.shadow.reserve(self.pager, pages, run, true)?;
        self.writer.apply(self.pager, payload, None)?;
        // Stay within the budget: what was changed so far may be written early.
        if self.writer.shadow.open_bytes(self.pager) > self.cache_bytes / 4 {
            let sealed = self.writer.seal_partly(self.pager);
            // Nobody reads yet, and the metas are pinned: what the records so
            // far have freed may be used by those that follow.
            self.pager.set_visible(sealed);
            self.writer.shadow.reclaim(self.pager);
        }
        if self.pager.is_crowded() {
            self.pager.write_back(256, true)?;
        }
        Ok(())
    }
}

/// Whether a tree comes or goes in it.
fn is_structural(payload: &[u8]) -> Result<bool> {
    for effect in Effects::of(payload)? {
        if matches!(effect?, Effect::CreateTree { .. } | Effect::DropTree { .. }) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn payloads<'b>(gathered: &'b [u8], ends: &'b [usize]) -> impl Iterator<Item = &'b [u8]> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(ends).map(|(start, &end)| &gathered[start..end])
}

/// An effect, and what it is sorted by: the first bytes of the key decide nearly
/// always, so that the rest is seldom looked at.
struct Sorted<'b> {
    tree: u32,
    number: u32,
    head: u64,
    key: &'b [u8],
    effect: Effect<'b>,
}

/// One payload that does what all of them do, by tree and key.
fn join(gathered: &[u8], ends: &[usize]) -> Result<Vec<u8>> {
    let mut sorted: Vec<Sorted<'_>> = Vec::with_capacity(ends.len());
    for payload in payloads(gathered, ends) {
        for effect in Effects::of(payload)? {
            let effect = effect?;
            if matches!(effect, Effect::Before { .. }) {
                continue;
            }
            let (Effect::Put { key, .. }
            | Effect::PutPacked { key, .. }
            | Effect::Delete { key, .. }) = effect
            else {
                return Err(Error::Damaged(format!("{effect:?} among gathered changes")));
            };
            let mut head = [0; 8];
            let len = key.len().min(head.len());
            head[..len].copy_from_slice(&key[..len]);
            sorted.push(Sorted {
                tree: effect.tree().0,
                number: sorted.len() as u32,
                head: u64::from_be_bytes(head),
                key,
                effect,
            });
        }
    }
    sorted.sort_unstable_by(|one, two| {
        let by_head = (one.tree, one.head).cmp(&(two.tree, two.head));
        by_head
            .then_with(|| one.key.cmp(two.key))
            .then(one.number.cmp(&two.number))
    });
    let mut joined = EffectWriter::with_capacity(gathered.len());
    for (at, one) in sorted.iter().enumerate() {
        let is_last = sorted
            .get(at + 1)
            .is_none_or(|next| (next.tree, next.key) != (one.tree, one.key));
        if is_last {
            joined.push(one.effect);
        }
    }
    Ok(joined.finish())
}

#[cfg(test)]
mod tests;
