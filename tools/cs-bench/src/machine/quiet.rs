//! Whether other programs leave the processors alone.
//!
//! Invariant: waiting is bounded; who waited in vain is told so.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// Over how long the load is looked at.
const WINDOW: Duration = Duration::from_millis(200);
/// Ticks of others in a window that count as quiet, in a hundredth of a
/// processor's: 5 %, of which a window of 200 ms at 100 ticks a second can
/// tell one tick.
const MOST_SHARE: f64 = 0.05;
/// Longest wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it was waited for, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quiet {
    pub(crate) waited_s: f64,
    pub(crate) reached: bool,
}

/// Waits until processes other than this one use next to no processor, at most
/// 30 s; `None` where the system does not tell.
pub(crate) fn wait() -> Option<Quiet> {
    let start = Instant::now();
    let mut before = sample()?;
    loop {
        thread::sleep(WINDOW);
        let now = sample()?;
        let reached = share_of_others(before, now) <= MOST_SHARE;
        if reached || start.elapsed() >= PATIENCE {
            let waited_s = start.elapsed().as_secs_f64();
            return Some(Quiet { waited_s, reached });
        }
        before = now;
    }
}

/// Ticks since the machine started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    /// Of all processors, busy or not.
    all: u64,
    /// Of all processors, busy; what the host took counts as busy.
    busy: u64,
    /// Of this process.
    ours: u64,
    /// How many processors there are.
    processors: u64,
}

fn sample() -> Option<Ticks> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let own = fs::read_to_string("/proc/self/stat").ok()?;
    ticks(&stat, &own)
}

fn ticks(stat: &str, own: &str) -> Option<Ticks> {
    let mut lines = stat.lines();
    // user nice system idle iowait irq softirq steal; the guests' are in user.
    let all: Vec<u64> = lines
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .take(8)
        .map_while(|field| field.parse().ok())
        .collect();
    let idle = all.get(3)? + all.get(4)?;
    let sum: u64 = all.iter().sum();
    let processors = lines.take_while(|line| line.starts_with("cpu")).count() as u64;
    // The name may have blanks; after its bracket utime and stime are the 12th and 13th.
    let mut fields = own.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let ours = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Ticks {
        all: sum,
        busy: sum - idle,
        ours,
        processors: processors.max(1),
    })
}

/// Processors that others used between two samples: 1.0 is one of them.
fn share_of_others(before: Ticks, now: Ticks) -> f64 {
    let all = now.all.saturating_sub(before.all).max(1);
    let busy = now.busy.saturating_sub(before.busy);
    let ours = now.ours.saturating_sub(before.ours);
    busy.saturating_sub(ours) as f64 / all as f64 * now.processors as f64
}

#[cfg(test)]
mod tests;
