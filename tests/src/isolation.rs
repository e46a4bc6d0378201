//! The isolation checker: random transactions over lists from eight threads, with
//! crashes and openings between, and a judge that knows what each was promised.
//!
//! | file | what it is |
//! |---|---|
//! | `history.rs`, `record.rs` | what clients saw, and the moment of a crash in it |
//! | `checker.rs`, `graph.rs`, `cycles.rs` | what is wrong with a history |
//! | `epoch.rs`, `client.rs`, `keys.rs` | the life of one database, and of its clients |
//! | `settle.rs`, `follower.rs` | what a crash may have left; whoever follows the changes |
//! | `bank.rs`, `fork.rs` | money that is moved, and stays the same; counters on one line |
//! | `mutants.rs` | the hunt for planted bugs |
//!
//! The promises are those of `checker.rs`, `settle.rs` and `follower.rs`.

use std::fmt;

use clap::Parser;
use cs_base::mutants::Mutant;
use cs_io::sim::Rng;

use crate::progress::Progress;
use crate::watch::Watch;
use crate::{Outcome, panics};

pub mod bank;
pub mod checker;
mod client;
mod cycles;
mod epoch;
mod follower;
pub mod fork;
mod graph;
pub mod history;
mod keys;
mod mutants;
mod record;
mod settle;
#[cfg(test)]
mod tests;

pub use mutants::{FOUND_HERE, hunt};

/// Transactions of one epoch: what is judged together.
const EPOCH: u64 = 1_500;

/// Arguments of `cs-torture isolation`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// How many transactions.
    #[arg(long, default_value_t = 15_000)]
    pub transactions: u64,
    /// What all random choices come from; the threads are real, so a seed does
    /// not say how they interleave.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Plants this bug; it must be found within the given transactions.
    #[arg(long, value_parser = crate::crash::parse_mutant, conflicts_with = "mutants")]
    pub mutant: Option<Mutant>,
    /// Plants every bug that this harness knows in turn; each must be found
    /// within the given transactions.
    #[arg(long)]
    pub mutants: bool,
}

/// `cs-torture isolation`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    let (seed, transactions) = (args.seed, args.transactions);
    eprintln!("seed {seed}");
    let mut outcome = Outcome::default();
    if args.mutants || args.mutant.is_some() {
        let one = args.mutant.as_ref().map(std::slice::from_ref);
        for &mutant in one.unwrap_or(&FOUND_HERE) {
            outcome.count(mutants::report(mutant, seed, transactions));
        }
        return outcome;
    }
    let epochs = transactions.div_ceil(EPOCH);
    let mut tally = Tally::default();
    let progress = Progress::new("isolation, epochs", epochs);
    let watch = Watch::start(move |_| format!("cs-torture isolation --seed {seed}"));
    for epoch in 0..epochs {
        watch.now_at(epoch);
        let verdict = one_epoch(seed, epoch, transactions);
        progress.count(verdict.is_ok());
        outcome.count(verdict.is_ok());
        match verdict {
            Ok(of_epoch) => tally.add(of_epoch),
            Err(failure) => progress.say(&format!("seed {seed}, epoch {epoch}: {failure}")),
        }
    }
    progress.finish();
    eprintln!("{tally}, {:.1} s", progress.seconds());
    outcome
}

/// What became of the transactions: a run of which all were refused shows nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    committed: u64,
    aborted: u64,
    unknown: u64,
    lost: u64,
    /// Commits that whoever follows the changes was shown.
    followed: u64,
}

impl Tally {
    fn of(txns: &[history::Txn], followed: usize) -> Self {
        let count = |outcome| txns.iter().filter(|txn| txn.outcome == outcome).count() as u64;
        Self {
            committed: count(history::Outcome::Committed),
            aborted: count(history::Outcome::Aborted),
            unknown: count(history::Outcome::Unknown),
            lost: count(history::Outcome::Lost),
            followed: followed as u64,
        }
    }

    fn add(&mut self, other: Self) {
        self.committed += other.committed;
        self.aborted += other.aborted;
        self.unknown += other.unknown;
        self.lost += other.lost;
        self.followed += other.followed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            committed,
            aborted,
            unknown,
            lost,
            followed,
        } = self;
        write!(
            f,
            "{committed} committed, {aborted} refused or rolled back, {unknown} with an unknown \
             outcome, {lost} taken back by a crash; {followed} commits followed"
        )
    }
}

fn one_epoch(seed: u64, epoch: u64, transactions: u64) -> crate::Verdict<Tally> {
    let seed = Rng::new(seed ^ epoch.wrapping_mul(0xD6E8_FEB8_6659_FD93)).draw();
    let share = EPOCH.min(transactions - epoch * EPOCH);
    panics::catch(|| epoch::live(seed, share))
}
