//! Who waits for which group: one event for each group that is open.
//!
//! Groups are numbered from 1 in the order of the log. Whoever waits for a
//! position finds out in which group it is, without a lock, and sleeps on that
//! group's event; when the group has landed one call wakes all of them, and
//! nobody else. So a commit neither registers anywhere nor allocates, and a
//! group costs one wake, not one per waiter.
//!
//! Invariants
//! * `landed <= cut`, each only grows; what is not cut yet is in group `cut + 1`.
//! * At most `groups_in_flight + 1` groups are open, and there are more places
//!   than that: two open groups never share one. A waiter of an older group that
//!   shares it is awake already, and being woken once more harms nobody.

use std::sync::atomic::{AtomicU64, Ordering};

use cs_base::Lsn;
use cs_io::EventCount;

/// Where the waiters of one group sleep. A cache line of its own, since the
/// waiters of the next group come while this one's leave.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Place {
    /// End of the group, once it has been cut.
    end: AtomicU64,
    event: EventCount,
}

/// Groups that are open, and the events of those who wait for them.
#[derive(Debug)]
pub(crate) struct Landings {
    places: Box<[Place]>,
    /// Number of the last group that left.
    cut: AtomicU64,
    /// Number of the last group that is durable, and all before it.
    landed: AtomicU64,
    /// For those whose condition is not a position.
    pub(crate) any: EventCount,
}

impl Landings {
    /// None open; everything up to `end` is durable.
    pub(crate) fn new(groups_in_flight: usize, end: Lsn) -> Self {
        let count = groups_in_flight.saturating_add(2).next_power_of_two();
        let places: Box<[Place]> = (0..count).map(|_| Place::default()).collect();
        places[0].end.store(end.0, Ordering::Relaxed);
        Self {
            places,
            cut: AtomicU64::new(0),
            landed: AtomicU64::new(0),
            any: EventCount::new(),
        }
    }

    fn place(&self, group: u64) -> &Place {
        &self.places[group as usize & (self.places.len() - 1)]
    }

    /// A group that ends at `end` leaves; returns its number. One at a time,
    /// with the appender locked.
    pub(crate) fn cut(&self, end: Lsn) -> u64 {
        let group = self.cut.load(Ordering::Relaxed) + 1;
        self.place(group).end.store(end.0, Ordering::Release);
        self.cut.store(group, Ordering::Release);
        group
    }

    /// Everything up to and including `group` is durable. Wakes nobody yet.
    pub(crate) fn land(&self, group: u64) {
        self.landed.fetch_max(group, Ordering::AcqRel);
    }

    /// Number of the last group that has landed.
    pub(crate) fn landed(&self) -> u64 {
        self.landed.load(Ordering::Acquire)
    }

    /// Wakes those who waited for the groups after `before` that have landed.
    pub(crate) fn wake_landed(&self, before: u64) {
        for group in before + 1..=self.landed() {
            self.place(group).event.notify_all();
        }
        self.any.notify_all();
    }

    /// Wakes everybody: whoever has still to wait looks for a leader.
    pub(crate) fn wake_all(&self) {
        for place in &self.places {
            place.event.notify_all();
        }
        self.any.notify_all();
    }

    /// Wakes one of those whose group has not landed, the oldest group first,
    /// so that somebody leads.
    pub(crate) fn wake_one(&self) {
        let open = self.landed() + 1..=self.cut.load(Ordering::Acquire) + 1;
        for group in open {
            if self.place(group).event.notify_one() {
                return;
            }
        }
        self.any.notify_all();
    }

    /// The event of the group in which `lsn` is, which was appended and is not
    /// durable yet; of the next group for what was never appended.
    pub(crate) fn event_of(&self, lsn: Lsn) -> &EventCount {
        loop {
            let cut = self.cut.load(Ordering::Acquire);
            let end_of = |group| self.place(group).end.load(Ordering::Acquire);
            let mut group = cut;
            if end_of(cut) < lsn.0 {
                group = cut + 1;
            } else {
                let landed = self.landed();
                while group > landed + 1 && end_of(group - 1) >= lsn.0 {
                    group -= 1;
                }
            }
            // Else one of the ends may be that of a later group.
            if self.cut.load(Ordering::Acquire) == cut {
                return &self.place(group).event;
            }
        }
    }
}

#[cfg(test)]
mod tests;
