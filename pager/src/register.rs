//! The one register of pinned versions: live snapshots, backups, the
//! checkpoint that is being written, and both metas on disk.
//!
//! ## Invariants
//! * A page born at b and freed at f is handed out again only when no pinned v
//!   has b ≤ v < f, and f is not after the visible version: every version from
//!   the visible one on may still be asked for.
//! * The visible version only grows.

use std::collections::{BTreeMap, BTreeSet};

use cs_base::Version;

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Register {
    pins: BTreeMap<Version, u64>,
    /// How many of the pins are those of metas and checkpoints: they keep a page
    /// on disk, and nobody reads it through them.
    on_disk: BTreeMap<Version, u64>,
    /// Versions whose last pin went since the allocator last asked.
    unpinned: BTreeSet<Version>,
    visible: Version,
}

impl Register {
    pub(crate) fn pin(&mut self, version: Version) {
        *self.pins.entry(version).or_insert(0) += 1;
    }

    pub(crate) fn unpin(&mut self, version: Version) {
        if let Some(count) = self.pins.get_mut(&version) {
            *count -= 1;
            if *count == 0 {
                self.pins.remove(&version);
                self.unpinned.insert(version);
            }
        }
    }

    /// [`pin`](Self::pin) for a meta, or a checkpoint that becomes one.
    pub(crate) fn pin_on_disk(&mut self, version: Version) {
        self.pin(version);
        *self.on_disk.entry(version).or_insert(0) += 1;
    }

    pub(crate) fn unpin_on_disk(&mut self, version: Version) {
        self.unpin(version);
        if let Some(count) = self.on_disk.get_mut(&version) {
            *count -= 1;
            if *count == 0 {
                self.on_disk.remove(&version);
            }
        }
    }

    /// Whether a snapshot may want a page born at `born` and freed at `freed`
    /// in memory. The visible version's own pin does not count.
    pub(crate) fn is_wanted(&self, born: Version, freed: Version) -> bool {
        self.pins.range(born..freed).any(|(version, &pins)| {
            let on_disk = self.on_disk.get(version).copied().unwrap_or_default();
            pins > on_disk + u64::from(*version == self.visible)
        })
    }

    pub(crate) fn set_visible(&mut self, version: Version) {
        debug_assert!(version >= self.visible, "the visible version only grows");
        self.visible = version;
    }

    pub(crate) fn visible(&self) -> Version {
        self.visible
    }

    /// The pinned version that keeps a page born at `born` and freed at
    /// `freed`, if there is one.
    pub(crate) fn keeper(&self, born: Version, freed: Version) -> Option<Version> {
        let (&version, _) = self.pins.range(..freed).next_back()?;
        (version >= born).then_some(version)
    }

    pub(crate) fn take_unpinned(&mut self) -> BTreeSet<Version> {
        std::mem::take(&mut self.unpinned)
    }

    pub(crate) fn oldest(&self) -> Option<Version> {
        self.pins.keys().next().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.pins.values().map(|&count| count as usize).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_kept_by_a_pin_within_its_life_and_by_no_other() {
        let mut register = Register::default();
        register.pin(Version(5));
        assert_eq!(register.keeper(Version(3), Version(6)), Some(Version(5)));
        assert_eq!(register.keeper(Version(5), Version(6)), Some(Version(5)));
        assert_eq!(
            register.keeper(Version(6), Version(9)),
            None,
            "born after the pin"
        );
        assert_eq!(
            register.keeper(Version(2), Version(5)),
            None,
            "freed by the pinned version"
        );
    }

    #[test]
    fn a_version_is_released_when_its_last_pin_goes() {
        let mut register = Register::default();
        register.pin(Version(5));
        register.pin(Version(5));
        register.unpin(Version(5));
        assert!(register.take_unpinned().is_empty());
        register.unpin(Version(5));
        assert_eq!(register.take_unpinned(), BTreeSet::from([Version(5)]));
        assert_eq!(register.keeper(Version(1), Version(9)), None);
    }
}
