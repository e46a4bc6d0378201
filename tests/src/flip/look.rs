//! Opens a damaged database, reads everything in it, and judges what came.
//!
//! ## Invariants
//! * The model is chosen by the commit index that the database shows; every
//!   entry that is returned before an error is compared too.
//! * Each way of reading is gone: cursors forth and back, keys one by one,
//!   the totals of each tree, and the structural check.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::overlay::OverlayDisk;
use cs_io::{Disk, SimRuntime, allocations};
use cs_kv::{
    BackupReader, Batch, CommitOptions, Expect, KeyRange, RestoreOptions, Snapshot, Store, restore,
    restore_stream,
};

use super::mutation::{Case, Region};
use super::sample::{BACKUP, Model, Sample, options};
use crate::panics;

/// Most that one case may allocate, whatever the size of the files.
const MAX_ALLOCATED: u64 = 64 << 20;
/// The same, beside eight times the files: the windows and buffers of an
/// undamaged open, and what a commit needs.
const FIXED_ALLOCATED: u64 = 12 << 20;
/// Of so many sound cases one goes on: a commit, and a look after reopening.
const GO_ON_EVERY: u64 = 8;

/// How a case went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Something else than what was written was returned as if it were right.
    Wrong,
    /// A clear error.
    Detected,
    /// Everything is as it was written.
    Harmless,
    /// The last group of an unsealed log was taken for a torn tail.
    Ambiguous,
    /// The code panicked.
    Panic,
    /// It did not come to an end.
    Hang,
    /// It asked for more memory than the files could hold.
    Memory,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Wrong,
        Self::Detected,
        Self::Harmless,
        Self::Ambiguous,
        Self::Panic,
        Self::Hang,
        Self::Memory,
    ];

    /// Whether it breaks the promise.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Wrong | Self::Panic | Self::Hang | Self::Memory)
    }
}

/// A verdict and a line that says why.
pub(super) type Judged = (Verdict, String);

/// What one look found.
enum Look {
    /// The contents after the newest commit.
    Whole,
    /// The contents after an earlier commit, which one.
    Earlier(u64),
    /// An error.
    Refused(String),
    /// Something that nobody wrote.
    Wrong(String),
}

/// Carries a case out.
pub(super) fn judge(case: &Case) -> Judged {
    allocations::begin();
    let judged = match panics::catch(|| Ok(damage_and_look(case))) {
        Ok(judged) => judged,
        Err(panic) => (Verdict::Panic, panic.0.replace('\n', " ")),
    };
    let peak = allocations::peak();
    if peak > MAX_ALLOCATED.min(FIXED_ALLOCATED + 8 * case.sample.bytes()) {
        return (
            Verdict::Memory,
            format!("{peak} bytes at once; {}", judged.1),
        );
    }
    judged
}

fn damage_and_look(case: &Case) -> Judged {
    let sample = &*case.sample;
    let disk = OverlayDisk::new(Arc::clone(&sample.disk) as Arc<dyn Disk>);
    if let Err(error) = case.mutation.apply(&*disk, sample) {
        return (
            Verdict::Wrong,
            format!("the damage could not be done: {error}"),
        );
    }
    if case.mutation.region == Region::Backup {
        return look_at_backup(&disk, sample, case.number);
    }
    let goes_on = case.number.is_multiple_of(GO_ON_EVERY);
    match look(&disk, &sample.states, goes_on.then_some(sample)) {
        Look::Whole => (Verdict::Harmless, String::new()),
        Look::Refused(error) => (Verdict::Detected, error),
        Look::Wrong(what) => (Verdict::Wrong, what),
        Look::Earlier(index) => {
            let what = format!("ends at commit {index}, expected {}", sample.newest().0);
            let in_log = matches!(case.mutation.region, Region::LogHeader | Region::LogRecords);
            (
                if in_log {
                    Verdict::Ambiguous
                } else {
                    Verdict::Wrong
                },
                what,
            )
        }
    }
}

/// A damaged backup is refused, read in either manner, and leaves nothing where
/// it was to be restored; an undamaged one is the newest state.
fn look_at_backup(disk: &Arc<OverlayDisk>, sample: &Sample, number: u64) -> Judged {
    let target = MemoryDisk::new();
    let as_disk: Arc<dyn Disk> = target.clone();
    let mut options = RestoreOptions::default();
    options.store = super::sample::options();
    let runtime = SimRuntime::new(1);
    let mut go_on = |_: &_| ControlFlow::Continue(());
    let restored = BackupReader::open(&**disk, BACKUP).and_then(|source| {
        if number.is_multiple_of(2) {
            restore(source, &as_disk, runtime.clone(), &options, &mut go_on)
        } else {
            restore_stream(source, &as_disk, runtime.clone(), &options, &mut go_on)
        }
    });
    if let Err(error) = restored {
        let left = as_disk.list().unwrap_or_default();
        return if left.is_empty() {
            (Verdict::Detected, format!("restore: {error}"))
        } else {
            (Verdict::Wrong, format!("a refused backup left {left:?}"))
        };
    }
    let looked = Store::open(as_disk, runtime, options.store).and_then(|copy| copy.snapshot());
    let model = sample.newest().1;
    match looked.map(|snapshot| read_everything(&snapshot, model)) {
        Ok(Ok(())) => (Verdict::Harmless, String::new()),
        Ok(Err(Look::Wrong(what) | Look::Refused(what))) => (Verdict::Wrong, what),
        Ok(Err(_)) => (Verdict::Wrong, "another state was restored".to_owned()),
        Err(error) => (Verdict::Wrong, format!("what was restored: {error}")),
    }
}

/// One look; with `go_on`, also a commit and a second look.
fn look(disk: &Arc<OverlayDisk>, states: &BTreeMap<u64, Model>, go_on: Option<&Sample>) -> Look {
    let opened = Store::open(
        Arc::clone(disk) as Arc<dyn Disk>,
        SimRuntime::new(1),
        options(),
    );
    let store = match opened {
        Ok(store) => store,
        Err(error) => return Look::Refused(format!("open: {error}")),
    };
    let first = look_at(&store, states);
    let (Look::Whole, Some(sample)) = (&first, go_on) else {
        return first;
    };
    let (key, value) = (b"key-0200-and-on".to_vec(), vec![7; 5_000]);
    let mut batch = Batch::new();
    batch.put(sample.tree, key.clone(), value.clone(), Expect::Absent);
    let committed = store
        .write(&batch, &CommitOptions::default())
        .and_then(|ticket| {
            ticket.wait()?;
            store.checkpoint()?;
            Ok(ticket.index())
        });
    let index = match committed {
        Ok(index) => index,
        Err(error) => return Look::Refused(format!("going on: {error}")),
    };
    drop(store);
    let mut model = sample.newest().1.clone();
    model.entry(sample.tree).or_default().insert(key, value);
    match look(disk, &BTreeMap::from([(index.0, model)]), None) {
        Look::Whole => Look::Whole,
        Look::Earlier(index) => Look::Wrong(format!("after going on: ends at commit {index}")),
        // The damage was there all the time: it should not have looked sound.
        Look::Refused(error) | Look::Wrong(error) => {
            Look::Wrong(format!("after going on: {error}"))
        }
    }
}

fn look_at(store: &Store, states: &BTreeMap<u64, Model>) -> Look {
    let snapshot = match store.snapshot() {
        Ok(snapshot) => snapshot,
        Err(error) => return Look::Refused(format!("snapshot: {error}")),
    };
    let index = snapshot.index().0;
    let Some(model) = states.get(&index) else {
        let known: Vec<&u64> = states.keys().collect();
        return Look::Wrong(format!("ends at commit {index}, expected one of {known:?}"));
    };
    if let Err(look) = read_everything(&snapshot, model) {
        return look;
    }
    drop(snapshot);
    match store.check() {
        Err(error) => Look::Refused(format!("check: {error}")),
        Ok(report) if !report.is_sound() => {
            let first = &report.findings[0];
            Look::Refused(format!("check: {} {}", first.code, first.text))
        }
        Ok(_)
            if states
                .last_key_value()
                .is_some_and(|(&newest, _)| newest == index) =>
        {
            Look::Whole
        }
        Ok(_) => Look::Earlier(index),
    }
}

fn read_everything(snapshot: &Snapshot, model: &Model) -> Result<(), Look> {
    let refused = |error: cs_kv::Error| Look::Refused(format!("read: {error}"));
    let trees: Vec<TreeId> = snapshot
        .trees()
        .map_err(refused)?
        .into_iter()
        .map(|(tree, _)| tree)
        .collect();
    if !trees.iter().eq(model.keys()) {
        return Err(Look::Wrong(format!("has trees {trees:?}")));
    }
    for (&tree, entries) in model {
        let reader = snapshot.tree(tree).map_err(refused)?;
        let wrong = |what: String| Look::Wrong(format!("tree {tree}: {what}"));
        let bytes: u64 = entries
            .iter()
            .map(|(key, value)| (key.len() + value.len()) as u64)
            .sum();
        let stats = reader.stats();
        if (stats.count, stats.bytes) != (entries.len() as u64, bytes) {
            return Err(wrong(format!("totals {} and {}", stats.count, stats.bytes)));
        }
        let mut cursor = reader.cursor(KeyRange::all());
        for expected in entries {
            let found = cursor.next().map_err(refused)?;
            if found != Some((expected.0, expected.1)) {
                return Err(wrong(describe(found, expected.0)));
            }
        }
        if let Some((key, _)) = cursor.next().map_err(refused)? {
            return Err(wrong(format!("has {} behind its end", short(key))));
        }
        let mut cursor = reader.cursor(KeyRange::all());
        for expected in entries.iter().rev() {
            let found = cursor.prev().map_err(refused)?;
            if found != Some((expected.0, expected.1)) {
                return Err(wrong(describe(found, expected.0)));
            }
        }
        for (key, value) in entries {
            let same = reader
                .with_value(key, |found| found == value)
                .map_err(refused)?;
            if same != Some(true) {
                return Err(wrong(format!("get of {} gives {same:?}", short(key))));
            }
            let mut absent = key.clone();
            absent.push(0);
            if reader.get(&absent).map_err(refused)?.is_some() {
                return Err(wrong(format!("has {}", short(&absent))));
            }
        }
    }
    Ok(())
}

fn describe(found: Option<(&[u8], &[u8])>, expected: &[u8]) -> String {
    let expected = short(expected);
    match found {
        None => format!("ends before {expected}"),
        Some((key, value)) => {
            format!(
                "has {} of {} bytes at the place of {expected}",
                short(key),
                value.len()
            )
        }
    }
}

/// A key, readable, not too long: the end tells them apart.
fn short(key: &[u8]) -> String {
    const SHOWN: usize = 24;
    match key.len().checked_sub(SHOWN) {
        Some(left_out @ 1..) => format!("({left_out} bytes) {}", key[left_out..].escape_ascii()),
        _ => key.escape_ascii().to_string(),
    }
}
