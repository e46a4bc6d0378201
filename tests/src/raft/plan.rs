//! What a seed is like: its cluster, its clients, which faults it meets and how hard.
//!
//! Each seed draws some faults and leaves others out (a swarm), so that bugs that need a
//! quiet network beside a bad disk are met as often as those that need everything.

use super::dice::Dice;
use super::network::Weather;

pub(super) const MILLISECOND: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;

/// What may go wrong, and what operators do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// The nodes fall into two groups that do not hear each other.
    Partition,
    /// Links fail in one direction.
    OneWay,
    /// Two groups do not hear each other, one node hears both.
    Bridge,
    /// One node hears nobody.
    Isolate,
    /// A link, or all links of a node, come and go.
    Flap,
    /// Links hold back what is sent, and bring it all at once.
    Clog,
    /// A node stands still; its clock goes on.
    Pause,
    /// A node crashes, now or between two of its actions, and starts again.
    Crash,
    /// All crash at about the same time.
    CrashAll,
    /// Writes take long.
    SlowDisk,
    /// Writes stand still, for up to 10 s.
    StalledDisk,
    /// A write fails; nothing is written until the node starts again.
    FailedWrite,
    /// There is no space for a while.
    FullDisk,
    /// A bit of the log flips while the node is down: it is lost.
    FlippedBit,
    /// A node loses its disk, and with it its name.
    WipedDisk,
    /// Voters and learners come and go.
    Churn,
    /// The leader is asked to hand over.
    Transfer,
    /// Logs are compacted to the applied index.
    Compact,
    /// Many proposals at once.
    Burst,
}

impl Fault {
    /// Every fault, in order.
    pub(super) const ALL: [Self; 19] = [
        Self::Partition,
        Self::OneWay,
        Self::Bridge,
        Self::Isolate,
        Self::Flap,
        Self::Clog,
        Self::Pause,
        Self::Crash,
        Self::CrashAll,
        Self::SlowDisk,
        Self::StalledDisk,
        Self::FailedWrite,
        Self::FullDisk,
        Self::FlippedBit,
        Self::WipedDisk,
        Self::Churn,
        Self::Transfer,
        Self::Compact,
        Self::Burst,
    ];
}

/// What one seed is like.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) voters: u64,
    pub(super) learners: u64,
    /// One of the voters keeps the log only.
    pub(super) has_witness: bool,
    pub(super) weather: Weather,
    /// By place: the speed of the clock, in thousandths.
    pub(super) rates: Vec<u64>,
    pub(super) faults: Vec<Fault>,
    /// Microseconds between faults, about.
    pub(super) fault_gap: u64,
    /// Many faults come close together.
    pub(super) is_fierce: bool,
    /// How long a fault lasts at most.
    pub(super) fault_lasts: u64,
    /// Delay of a write, at least and at most.
    pub(super) write_delay: (u64, u64),
    /// Writes complete in any order.
    pub(super) any_order: bool,
    pub(super) clients: u64,
    /// Between two requests of a client, at most.
    pub(super) thinks: u64,
    /// Reads, of a thousand requests.
    pub(super) reads: u64,
    /// Compare-and-set, of a thousand that are no reads.
    pub(super) compares: u64,
    /// Reads rely on the leader's lease where it has one.
    pub(super) leases: bool,
    /// A snapshot is taken after so many entries.
    pub(super) snapshot_every: u64,
    /// Entries that stay behind a snapshot.
    pub(super) snapshot_keeps: u64,
    /// Snapshot transfers that are cut, of a thousand.
    pub(super) transfers_cut: u64,
    /// How long a snapshot is under way, at most.
    pub(super) transfer_takes: u64,
    /// Applying lags behind by up to this.
    pub(super) apply_delay: u64,
    pub(super) election_timeout: u64,
    pub(super) heartbeat: u64,
    /// Bytes that a request has beyond what it needs, at most.
    pub(super) padding: u64,
    /// When all faults are over, clients rest until the members are of one mind.
    pub(super) is_quiet_first: bool,
    /// At last some links break for good.
    pub(super) is_degraded: bool,
    /// Clocks run almost alike, and leases rely on it.
    pub(super) is_exact: bool,
    /// Entries kept in memory and in flight are few.
    pub(super) is_tight: bool,
}

impl Plan {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let voters = dice.pick(&[3, 3, 3, 5, 5, 7]).unwrap_or(3);
        let faults = draw_faults(dice);
        let some = |dice: &mut Dice, most: u64| {
            if dice.coin() { 0 } else { dice.skewed(1, most) }
        };
        let delay = dice.skewed(100, 3 * MILLISECOND);
        let election_timeout = dice.pick(&[200, 300, 500, 1000]).unwrap_or(300) * MILLISECOND;
        let leases = dice.permille(300);
        let is_exact = dice.permille(if leases { 700 } else { 200 });
        Self {
            voters,
            learners: dice.below(4).saturating_sub(1),
            has_witness: dice.permille(250),
            weather: Weather {
                delay: (delay, delay + dice.skewed(100, 20 * MILLISECOND)),
                lost: some(dice, 300),
                doubled: some(dice, 300),
                replayed: some(dice, 100),
                late: some(dice, 200),
                late_by: dice.skewed(10 * MILLISECOND, 3 * SECOND),
            },
            rates: (0..super::network::MAX_NODES)
                .map(|_| {
                    if is_exact {
                        dice.between(990, 1010)
                    } else {
                        dice.between(800, 1200)
                    }
                })
                .collect(),
            is_fierce: dice.permille(300),
            fault_gap: dice.between(300, 5000) * MILLISECOND,
            fault_lasts: dice.skewed(200 * MILLISECOND, 12 * SECOND),
            faults,
            write_delay: {
                let least = dice.skewed(50, 2 * MILLISECOND);
                (least, least + dice.skewed(50, 20 * MILLISECOND))
            },
            any_order: dice.coin(),
            clients: dice.between(1, 5),
            thinks: dice.between(20, 300) * MILLISECOND,
            reads: dice.between(100, 700),
            compares: dice.between(0, 700),
            leases,
            snapshot_every: dice.pick(&[10, 50, 200, 2000]).unwrap_or(50),
            snapshot_keeps: dice.pick(&[0, 0, 5, 100]).unwrap_or(5),
            transfers_cut: some(dice, 600),
            transfer_takes: dice.skewed(5 * MILLISECOND, 3 * SECOND),
            apply_delay: dice.skewed(0, 100 * MILLISECOND),
            election_timeout,
            heartbeat: election_timeout / dice.pick(&[5, 10]).unwrap_or(10),
            padding: dice.pick(&[0, 0, 50, 500]).unwrap_or(0),
            is_quiet_first: dice.coin(),
            is_degraded: dice.coin(),
            is_exact,
            is_tight: dice.permille(300),
        }
    }
}

/// Some of the faults, at least two.
fn draw_faults(dice: &mut Dice) -> Vec<Fault> {
    let share = dice.between(150, 700);
    loop {
        let drawn: Vec<_> = Fault::ALL
            .into_iter()
            .filter(|_| dice.permille(share))
            .collect();
        if drawn.len() >= 2 {
            return drawn;
        }
    }
}
