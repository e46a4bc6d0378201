//! How far a harness is, on standard error: a bar on a terminal, else a line
//! every five seconds.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const INTERVAL: Duration = Duration::from_secs(5);

/// Shared by the threads of a harness.
#[derive(Debug)]
pub struct Progress {
    what: String,
    total: u64,
    done: AtomicU64,
    failed: AtomicU64,
    start: Instant,
    last: Mutex<Instant>,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `total` cases to come; 0 if nobody knows.
    #[must_use]
    pub fn new(what: &str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = if total > 0 {
                ProgressBar::new(total)
            } else {
                ProgressBar::new_spinner()
            };
            let shape = "{prefix} {wide_bar} {pos}/{len} {per_sec} {msg}";
            if let Ok(style) = ProgressStyle::with_template(shape) {
                bar.set_style(style);
            }
            bar.with_prefix(what.to_owned())
        });
        let start = Instant::now();
        Self {
            what: what.to_owned(),
            total,
            done: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            start,
            last: Mutex::new(start),
            bar,
        }
    }

    /// One more case is done.
    pub fn count(&self, is_good: bool) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = self
            .failed
            .fetch_add(u64::from(!is_good), Ordering::Relaxed)
            + u64::from(!is_good);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            if !is_good {
                bar.set_message(format!("{failed} failed"));
            }
        } else if let Ok(mut last) = self.last.try_lock()
            && last.elapsed() >= INTERVAL
        {
            *last = Instant::now();
            let rate = done as f64 / self.start.elapsed().as_secs_f64();
            let of = if self.total > 0 {
                format!(" of {}", self.total)
            } else {
                String::new()
            };
            eprintln!("{}: {done}{of}, {failed} failed, {rate:.0}/s", self.what);
        }
    }

    /// A line that stays, whatever is drawn.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    /// How many cases are done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Seconds since the beginning.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
