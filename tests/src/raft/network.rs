//! The network between nodes: what is lost, late, twice, out of order, or held up.
//!
//! ## Invariants
//! * A message is delivered as it was sent, or not at all.
//! * Two messages of one link may pass each other.

use super::dice::Dice;

#[cfg(test)]
mod tests;

/// Most nodes of a cluster over its life, those that are gone included.
pub(super) const MAX_NODES: usize = 16;
/// Old messages that may be delivered once more.
const KEPT: usize = 64;

/// How the network is at its worst, fixed for a seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    /// Delay of a message, in microseconds, at least and at most.
    pub(super) delay: (u64, u64),
    /// Of a thousand messages so many are lost,
    pub(super) lost: u64,
    /// delivered twice,
    pub(super) doubled: u64,
    /// followed by one of long ago,
    pub(super) replayed: u64,
    /// or take up to `late_by` longer.
    pub(super) late: u64,
    pub(super) late_by: u64,
}

/// Links between nodes, by their places.
#[derive(Debug)]
pub(super) struct Network<M> {
    weather: Weather,
    is_calm: bool,
    /// By sender, a bit for each receiver: how many faults cut the link.
    cuts: [[u8; MAX_NODES]; MAX_NODES],
    /// Until when a link holds back what is sent.
    clogged: [[u64; MAX_NODES]; MAX_NODES],
    kept: Vec<(usize, usize, M)>,
    next_kept: usize,
}

impl<M: Clone> Network<M> {
    pub(super) fn new(weather: Weather) -> Self {
        Self {
            weather,
            is_calm: false,
            cuts: [[0; MAX_NODES]; MAX_NODES],
            clogged: [[0; MAX_NODES]; MAX_NODES],
            kept: Vec::new(),
            next_kept: 0,
        }
    }

    /// From now on nothing is lost, and no link is cut or clogged.
    pub(super) fn heal(&mut self) {
        self.is_calm = true;
        self.cuts = [[0; MAX_NODES]; MAX_NODES];
        self.clogged = [[0; MAX_NODES]; MAX_NODES];
        self.kept.clear();
    }

    /// Cuts one direction of a link; cuts add up.
    pub(super) fn cut(&mut self, from: usize, to: usize) {
        self.cuts[from][to] = self.cuts[from][to].saturating_add(1);
    }

    /// Takes one cut away.
    pub(super) fn mend(&mut self, from: usize, to: usize) {
        self.cuts[from][to] = self.cuts[from][to].saturating_sub(1);
    }

    /// What is sent on this link before `until` arrives after it.
    pub(super) fn clog(&mut self, from: usize, to: usize, until: u64) {
        self.clogged[from][to] = until;
    }

    /// Whether what is sent now can arrive.
    pub(super) fn is_open(&self, from: usize, to: usize) -> bool {
        self.cuts[from][to] == 0
    }

    /// Sends a message: `deliver` is told after which delay it, or an old one, arrives.
    pub(super) fn send(
        &mut self,
        dice: &mut Dice,
        now: u64,
        (from, to): (usize, usize),
        message: M,
        mut deliver: impl FnMut(u64, usize, usize, M),
    ) {
        let weather = self.weather;
        if self.is_calm {
            let delay = dice.between(weather.delay.0, weather.delay.1);
            deliver(delay, from, to, message);
            return;
        }
        if weather.replayed > 0 {
            if self.kept.len() < KEPT {
                self.kept.push((from, to, message.clone()));
            } else if dice.permille(100) {
                self.next_kept = (self.next_kept + 1) % KEPT;
                self.kept[self.next_kept] = (from, to, message.clone());
            }
            if dice.permille(weather.replayed) {
                let old = dice.below(self.kept.len() as u64) as usize;
                let (from, to, message) = self.kept[old].clone();
                if self.is_open(from, to) {
                    deliver(
                        dice.between(weather.delay.0, weather.delay.1),
                        from,
                        to,
                        message,
                    );
                }
            }
        }
        if !self.is_open(from, to) || dice.permille(weather.lost) {
            return;
        }
        if dice.permille(weather.doubled) {
            deliver(self.delay(dice, now, from, to), from, to, message.clone());
        }
        deliver(self.delay(dice, now, from, to), from, to, message);
    }

    fn delay(&self, dice: &mut Dice, now: u64, from: usize, to: usize) -> u64 {
        let weather = self.weather;
        let mut delay = dice.between(weather.delay.0, weather.delay.1);
        if dice.permille(weather.late) {
            delay += dice.skewed(0, weather.late_by);
        }
        delay + self.clogged[from][to].saturating_sub(now)
    }
}
