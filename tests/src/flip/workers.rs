//! Many cases on a few threads, none of them for ever.
//!
//! ## Invariants
//! * A case that is under way for longer than [`CASE_LIMIT`] is counted as a
//!   hang; its thread is left behind and another takes its place.
//! * The tally does not depend on how many threads there were.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Args;
use super::look::{Judged, Verdict, judge};
use super::mutation::{Case, Cases};
use super::report::Tally;
use crate::progress::Progress;

/// The longest that one case may take. Undamaged ones take milliseconds.
const CASE_LIMIT: Duration = Duration::from_secs(10);
/// How often the clock is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a thread is at, and since when.
type Slot = Arc<Mutex<Option<(u64, Instant)>>>;

struct Work {
    cases: Cases,
    next: AtomicU64,
    end: u64,
}

pub(super) fn run(cases: Cases, args: &Args) -> Tally {
    let (first, end) = match args.case {
        Some(number) => (number, number + 1),
        None => (0, cases.len()),
    };
    let work = Arc::new(Work {
        cases,
        next: AtomicU64::new(first),
        end,
    });
    let (sender, receiver) = channel();
    let threads = args.threads.max(1);
    let slots: Vec<Slot> = (0..threads).filter_map(|_| start(&work, &sender)).collect();
    let mut watch = Watch {
        work: &work,
        slots,
        sender,
        tally: Tally::new(args),
        hung: BTreeSet::new(),
        progress: Progress::new("flip", end - first),
    };
    watch.collect(&receiver, end - first);
    watch.progress.finish();
    watch.tally
}

fn start(work: &Arc<Work>, results: &Sender<(Case, Judged)>) -> Option<Slot> {
    let slot = Slot::default();
    let (work, results, mine) = (Arc::clone(work), results.clone(), Arc::clone(&slot));
    let thread = std::thread::Builder::new()
        .name("cs-flip".to_owned())
        .spawn(move || {
            loop {
                let number = work.next.fetch_add(1, Ordering::Relaxed);
                if number >= work.end {
                    return;
                }
                let case = work.cases.get(number);
                set(&mine, Some((number, Instant::now())));
                let judged = judge(&case);
                set(&mine, None);
                if results.send((case, judged)).is_err() {
                    return;
                }
            }
        });
    thread.is_ok().then_some(slot)
}

fn set(slot: &Slot, value: Option<(u64, Instant)>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = value;
}

struct Watch<'a> {
    work: &'a Arc<Work>,
    slots: Vec<Slot>,
    sender: Sender<(Case, Judged)>,
    tally: Tally,
    /// Cases that were counted already.
    hung: BTreeSet<u64>,
    progress: Progress,
}

impl Watch<'_> {
    fn collect(&mut self, receiver: &Receiver<(Case, Judged)>, wanted: u64) {
        while self.tally.cases() < wanted && !self.slots.is_empty() {
            match receiver.recv_timeout(LOOK_EVERY) {
                Ok((case, _)) if self.hung.contains(&case.number) => {}
                Ok((case, judged)) => self.note(&case, judged),
                Err(RecvTimeoutError::Timeout) => self.look_for_hangs(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn note(&mut self, case: &Case, judged: Judged) {
        self.progress.count(!judged.0.is_failure());
        self.tally.note(case, judged);
    }

    fn look_for_hangs(&mut self) {
        for position in 0..self.slots.len() {
            let under_way = *self.slots[position]
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let Some((number, since)) = under_way.filter(|(_, since)| since.elapsed() > CASE_LIMIT)
            else {
                continue;
            };
            self.hung.insert(number);
            let what = format!("no end after {:?}", since.elapsed());
            self.note(&self.work.cases.get(number), (Verdict::Hang, what));
            if let Some(slot) = start(self.work, &self.sender) {
                self.slots[position] = slot;
            }
        }
    }
}
