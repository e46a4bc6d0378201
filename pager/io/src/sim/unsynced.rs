//! One file as a crash sees it: what is durable, and what happened since.
//!
//! ## Invariants
//! * `unsynced` is in the order in which the operations ended.
//! * `durable` with all of `unsynced` applied in order is the visible file.
//! * No unsynced write covers bytes that a later operation made durable.

use std::ops::Range;
use std::sync::Arc;

use super::content::Content;

/// Bytes that arrived at an offset: a part of those of one write.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) offset: u64,
    pub(super) bytes: Arc<[u8]>,
    /// The part of `bytes` that `offset` speaks of.
    pub(super) part: Range<usize>,
}

impl Written {
    pub(super) fn new(offset: u64, bytes: &Arc<[u8]>) -> Self {
        Self {
            offset,
            bytes: Arc::clone(bytes),
            part: 0..bytes.len(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.part.clone()]
    }

    pub(super) fn end(&self) -> u64 {
        self.offset + self.part.len() as u64
    }

    /// The piece between two offsets of the file, if any of it is there.
    pub(super) fn between(&self, from: u64, to: u64) -> Option<Self> {
        let (from, to) = (from.max(self.offset), to.min(self.end()));
        if from >= to {
            return None;
        }
        let start = self.part.start + (from - self.offset) as usize;
        let part = start..start + (to - from) as usize;
        Some(Self {
            offset: from,
            bytes: Arc::clone(&self.bytes),
            part,
        })
    }
}

/// A change that no sync has covered.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Bytes. `abandoned` by a failed sync: visible, and covered by no later one.
    Write { written: Written, abandoned: bool },
    /// The file became at least so long.
    Extend(u64),
    /// The file became at most so long.
    Shrink(u64),
    /// Space was taken for a range, up to its end.
    Reserve(Range<u64>),
}

impl Change {
    pub(super) fn apply(&self, content: &mut Content) {
        match self {
            Self::Write { written, .. } => content.write(written.bytes(), written.offset),
            Self::Extend(len) => content.extend(*len),
            Self::Shrink(len) => content.shrink(*len),
            Self::Reserve(range) => content.reserve(range.start, range.end),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Unsynced {
    pub(super) change: Change,
    /// Number of the event that ended it; 0 if that was before this boot.
    pub(super) ended_at: usize,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct FileState {
    pub(super) durable: Content,
    pub(super) unsynced: Vec<Unsynced>,
    visible_len: u64,
}

impl FileState {
    /// A file whose bytes are all durable.
    pub(super) fn settled(durable: Content) -> Self {
        Self {
            visible_len: durable.len(),
            durable,
            unsynced: Vec::new(),
        }
    }

    /// What a reader sees.
    pub(super) fn visible(&self) -> Content {
        let mut content = self.durable.clone();
        for entry in &self.unsynced {
            entry.change.apply(&mut content);
        }
        content
    }

    fn push(&mut self, change: Change, ended_at: usize) {
        self.unsynced.push(Unsynced { change, ended_at });
    }

    pub(super) fn write(&mut self, written: Written, ended_at: usize) {
        if written.end() > self.visible_len {
            self.visible_len = written.end();
            self.push(Change::Extend(written.end()), ended_at);
        }
        self.push(
            Change::Write {
                written,
                abandoned: false,
            },
            ended_at,
        );
    }

    pub(super) fn write_durably(&mut self, written: &Written) {
        self.visible_len = self.visible_len.max(written.end());
        self.settle_shrinks();
        for entry in std::mem::take(&mut self.unsynced) {
            cut(entry, written.offset..written.end(), &mut self.unsynced);
        }
        self.durable.write(written.bytes(), written.offset);
    }

    /// Metadata reaches the device in order: the size that a durable write
    /// needs takes with it every shrink before it.
    fn settle_shrinks(&mut self) {
        let is_shrink = |entry: &Unsynced| matches!(entry.change, Change::Shrink(_));
        let Some(last) = self.unsynced.iter().rposition(is_shrink) else {
            return;
        };
        let later = self.unsynced.split_off(last + 1);
        let mut kept = Vec::new();
        for entry in std::mem::take(&mut self.unsynced) {
            match entry.change {
                Change::Write { .. } => kept.push(entry),
                Change::Shrink(len) => {
                    kept = cut_all(kept, len..u64::MAX);
                    entry.change.apply(&mut self.durable);
                }
                _ => entry.change.apply(&mut self.durable),
            }
        }
        kept.extend(later);
        self.unsynced = kept;
    }

    pub(super) fn set_len(&mut self, len: u64, ended_at: usize) {
        if len < self.visible_len {
            self.push(Change::Shrink(len), ended_at);
        } else if len > self.visible_len {
            self.push(Change::Extend(len), ended_at);
        }
        self.visible_len = len;
    }

    pub(super) fn allocate(&mut self, offset: u64, end: u64, ended_at: usize) {
        self.visible_len = self.visible_len.max(end);
        self.push(Change::Reserve(offset..end), ended_at);
    }

    /// A sync that began at event `start` succeeded.
    pub(super) fn synced(&mut self, start: usize) {
        let mut kept = Vec::new();
        for entry in std::mem::take(&mut self.unsynced) {
            if entry.ended_at >= start {
                kept.push(entry);
                continue;
            }
            match &entry.change {
                Change::Write {
                    abandoned: true, ..
                } => {
                    kept.push(entry);
                    continue;
                }
                Change::Write { written, .. } => {
                    kept = cut_all(kept, written.offset..written.end());
                }
                Change::Shrink(len) => kept = cut_all(kept, *len..u64::MAX),
                Change::Extend(_) | Change::Reserve(_) => {}
            }
            entry.change.apply(&mut self.durable);
        }
        self.unsynced = kept;
    }

    /// A sync that began at event `start` failed: the kernel takes the pages
    /// for clean now, whatever the device has.
    pub(super) fn sync_failed(&mut self, start: usize) {
        for entry in &mut self.unsynced {
            if let Change::Write { abandoned, .. } = &mut entry.change
                && entry.ended_at < start
            {
                *abandoned = true;
            }
        }
    }

    /// For a new boot: everything ended before its first event.
    pub(super) fn forget_times(&mut self) {
        for entry in &mut self.unsynced {
            entry.ended_at = 0;
        }
    }
}

fn cut_all(entries: Vec<Unsynced>, range: Range<u64>) -> Vec<Unsynced> {
    let mut kept = Vec::with_capacity(entries.len());
    for entry in entries {
        cut(entry, range.clone(), &mut kept);
    }
    kept
}

/// Puts what lies outside `range` of a write into `kept`; other changes whole.
fn cut(entry: Unsynced, range: Range<u64>, kept: &mut Vec<Unsynced>) {
    match &entry.change {
        Change::Write { written, abandoned }
            if written.offset < range.end && range.start < written.end() =>
        {
            let pieces = [
                written.between(0, range.start),
                written.between(range.end, u64::MAX),
            ];
            kept.extend(pieces.into_iter().flatten().map(|written| Unsynced {
                change: Change::Write {
                    written,
                    abandoned: *abandoned,
                },
                ended_at: entry.ended_at,
            }));
        }
        _ => kept.push(entry),
    }
}
