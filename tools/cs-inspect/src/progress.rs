//! How far the work has come: a bar on standard error, where that is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli;

const STYLE: &str = "{msg:10} {bar:30} {human_pos}/{human_len} {per_sec} {eta}";

/// The bar of a command; invisible where it is not wanted.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// One that nobody has used yet.
    pub(crate) fn new(wanted: cli::Progress) -> Self {
        let target = match wanted {
            // Hidden by itself where standard error is no terminal.
            cli::Progress::Auto => ProgressDrawTarget::stderr(),
            cli::Progress::Never => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template(STYLE) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// A phase of `total` steps begins.
    pub(crate) fn begin(&self, phase: &'static str, total: u64) {
        self.0.reset();
        self.0.set_length(total);
        self.0.set_message(phase);
    }

    /// So many steps are done.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// So many more steps are done.
    pub(crate) fn add(&self, done: u64) {
        self.0.inc(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
