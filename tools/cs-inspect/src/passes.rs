//! Looking again: what somebody else changes while we look may seem damaged.
//!
//! A pass that is overtaken meets pages and records of another moment. Their
//! checksums and versions say so, differently each time; damage says the same
//! each time. So a pass without suspicion is believed at once, and a suspicion
//! when a later pass has the same one. Why two passes cannot be overtaken in
//! the same way: a pass stands on the newest meta, whose pages are reused only
//! when two further metas have been written, and those name other versions.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{InspectError, Result};

/// Time between two passes: a write that was under way has ended by then.
const PAUSE: Duration = Duration::from_millis(50);

/// A result that may hold suspicions.
pub(crate) trait Suspects {
    /// One text for each; equal texts are the same suspicion.
    fn identities(&self) -> Vec<String>;
    /// Drops those that are not confirmed.
    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool);
}

/// Results of commands that fail at their first suspicion.
#[derive(Debug)]
pub(crate) struct Sound<T>(pub(crate) T);

impl<T> Suspects for Sound<T> {
    fn identities(&self) -> Vec<String> {
        Vec::new()
    }

    fn keep(&mut self, _confirmed: &dyn Fn(&str) -> bool) {}
}

/// Repeats `pass` until it has no suspicion, or two passes had the same one.
/// A second pass is always made where it is needed, a third and later ones
/// only until `timeout` is over.
///
/// # Errors
/// A confirmed [`InspectError::Suspect`]; any other error at once;
/// [`InspectError::Busy`] if passes never agreed.
pub(crate) fn settle<T: Suspects>(
    timeout: Duration,
    mut pass: impl FnMut() -> Result<T>,
) -> Result<T> {
    let start = Instant::now();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut passes = 0_u64;
    loop {
        passes += 1;
        let suspicions = match pass() {
            Ok(mut result) => {
                let suspicions = result.identities();
                if suspicions.is_empty() {
                    return Ok(result);
                }
                if suspicions.iter().any(|suspicion| seen.contains(suspicion)) {
                    result.keep(&|suspicion| seen.contains(suspicion));
                    return Ok(result);
                }
                suspicions
            }
            Err(InspectError::Suspect(text)) if seen.contains(&text) => {
                return Err(InspectError::Suspect(text));
            }
            Err(InspectError::Suspect(text)) => vec![text],
            Err(other) => return Err(other),
        };
        if passes >= 2 && start.elapsed() >= timeout {
            return Err(InspectError::Busy(format!(
                "the database changed under each of {passes} passes in {:.1} s, the last met: {}",
                start.elapsed().as_secs_f64(),
                suspicions.first().map_or("", String::as_str)
            )));
        }
        seen.extend(suspicions);
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests;
