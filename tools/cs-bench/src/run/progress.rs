//! How far a run has come, on standard error: a bar on a terminal, else a
//! plain line every five seconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::report;

/// Time between two plain lines.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

/// The bar of a run.
const RUN_TEMPLATE: &str = "{msg:10} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";
/// The bar of a probe.
pub(crate) const PROBE_TEMPLATE: &str = "{bar:30} {pos}/{len} {msg}";

/// A style from one of the templates above.
pub(crate) fn style(template: &'static str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// The counter of one thread, alone in its cache line (two, as processors
/// fetch them in pairs), so that counting costs the others nothing.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Adds `done`. Only the owner calls this.
    pub(crate) fn add(&self, done: u64) {
        self.0.store(self.get() + done, Ordering::Relaxed);
    }

    /// The present value.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The display of one phase.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: &'static str,
    total: u64,
    bar: Option<ProgressBar>,
    start: Instant,
    last_line: Instant,
    at_last_line: u64,
}

impl Progress {
    /// A phase of `total` documents begins.
    pub(crate) fn new(phase: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let bar = (!bar.is_hidden()).then(|| {
            bar.set_style(style(RUN_TEMPLATE));
            bar.set_message(phase);
            bar
        });
        let now = Instant::now();
        Self {
            phase,
            total,
            bar,
            start: now,
            last_line: now,
            at_last_line: 0,
        }
    }

    /// Shows that `done` documents are done, if it is time to.
    pub(crate) fn show(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            return;
        }
        let now = Instant::now();
        let since = now - self.last_line;
        if since >= PLAIN_LINE_EVERY {
            let per_s = (done - self.at_last_line) as f64 / since.as_secs_f64();
            let rate = report::count(per_s);
            let seconds = (now - self.start).as_secs();
            eprintln!(
                "{}: {done} of {} after {seconds} s, {rate}/s",
                self.phase, self.total
            );
            (self.last_line, self.at_last_line) = (now, done);
        }
    }

    /// The phase is over.
    pub(crate) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests;
