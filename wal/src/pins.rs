//! Who still needs old parts of the log, and how much of it that may keep.
//!
//! Invariants
//! * A pin keeps every record at or above its LSN, until it is removed or has
//!   cost more than its budget.
//! * A pin over its budget is lost for good: it is reported so, holds nothing,
//!   and stays listed until its owner removes or renews it.

use std::collections::BTreeMap;

use cs_base::Lsn;

/// One retention pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinInfo {
    /// Who: "older meta", "stream", "follower 3", "backup", "archive", …
    pub name: String,
    /// Everything from here on is kept.
    pub lsn: Lsn,
    /// Bytes of log it may keep; `None` is no limit.
    pub max_bytes: Option<u64>,
    /// It went over its budget and holds nothing any more.
    pub lost: bool,
}

/// All pins, by name, so that their order never depends on a hash.
#[derive(Debug, Default)]
pub(crate) struct Pins(BTreeMap<String, PinInfo>);

impl Pins {
    /// Sets or renews.
    pub(crate) fn set(&mut self, name: &str, lsn: Lsn, max_bytes: Option<u64>) {
        let pin = PinInfo {
            name: name.to_owned(),
            lsn,
            max_bytes,
            lost: false,
        };
        self.0.insert(name.to_owned(), pin);
    }

    /// Removes; says whether it was there.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    pub(crate) fn list(&self) -> Vec<PinInfo> {
        self.0.values().cloned().collect()
    }

    /// Drops those over budget with the log ending at `end`, and returns the
    /// lowest LSN that the others hold.
    pub(crate) fn enforce(&mut self, end: Lsn) -> Lsn {
        for pin in self.0.values_mut() {
            let kept = end.0.saturating_sub(pin.lsn.0);
            pin.lost |= pin.max_bytes.is_some_and(|max| kept > max);
        }
        self.0
            .values()
            .filter(|pin| !pin.lost)
            .map(|pin| pin.lsn)
            .min()
            .unwrap_or(Lsn::MAX)
    }
}

#[cfg(test)]
mod tests;
