//! The fault sweep: a fixed life of a store, again and again, in which one I/O
//! operation after the other fails; and lives on disks that are too small.
//!
//! ## What is promised whatever fails, and wherever
//! * No panic, and every call returns.
//! * A commit that was not acknowledged left no trace, or is there wholly.
//! * After a failed write or sync nothing more is acknowledged: the store is
//!   poisoned, says why, and goes on reading what was committed.
//! * A refused allocation poisons nothing: the commit gets its error and the
//!   next one goes through.
//! * A bulk load that failed is there as far as it was committed; compaction
//!   and backup change nothing that anybody reads, whatever becomes of them.
//! * A backup goes on after the fault, or its unfinished file is resumed.
//! * Opened again without the fault, the store has everything acknowledged, after
//!   a crash of the process or the machine too, and its check finds nothing.
//!
//! The method is SQLite's: fail operation 0, then 1, and so on, until a life
//! ends before its operation came.

use clap::{Parser, ValueEnum};
use cs_io::sim::{Fault, FaultPlan};

use crate::progress::Progress;
use crate::watch::Watch;
use crate::{Failure, Outcome, Verdict, panics};

mod copy;
mod full;
mod judge;
mod life;
#[cfg(test)]
mod tests;
mod work;

/// What can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Kind {
    /// Any operation fails with EIO.
    Eio,
    /// A read fails with EIO.
    ReadEio,
    /// A creation, write, allocation or extension finds no space.
    NoSpace,
    /// Half of a write arrives.
    ShortWrite,
    /// A sync fails, for good.
    SyncFails,
}

impl Kind {
    fn fault(self) -> Fault {
        match self {
            Self::Eio => Fault::Eio,
            Self::ReadEio => Fault::ReadEio,
            Self::NoSpace => Fault::NoSpace,
            Self::ShortWrite => Fault::ShortWrite,
            Self::SyncFails => Fault::SyncFails,
        }
    }
}

/// What is lived while an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "kebab-case")]
pub enum Shape {
    /// A store with a log.
    WithLog,
    /// One without.
    WithoutLog,
    /// A backup to a disk that fails, of a store on one that does not.
    Backup,
}

/// Arguments of `cs-torture fault`.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// Operations to let fail, for each kind of fault; all unless told.
    #[arg(long, default_value_t = u64::MAX)]
    pub operations: u64,
    /// What all random choices come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only this kind.
    #[arg(long)]
    pub kind: Option<Kind>,
    /// Only this operation (needs a kind).
    #[arg(long, requires = "kind")]
    pub operation: Option<u64>,
    /// Only this shape; of a single operation the store with a log unless told.
    #[arg(long)]
    pub shape: Option<Shape>,
}

/// `cs-torture fault`.
#[must_use]
pub fn run(args: &Args) -> Outcome {
    eprintln!("seed {}", args.seed);
    let mut outcome = Outcome::default();
    if let (Some(kind), Some(operation)) = (args.kind, args.operation) {
        let shape = args.shape.unwrap_or(Shape::WithLog);
        let verdict = one_case(args.seed, kind, shape, operation).map(drop);
        if let Err(failure) = &verdict {
            eprintln!("{kind:?} at operation {operation}: {failure}");
        }
        outcome.count(verdict.is_ok());
        return outcome;
    }
    let progress = Progress::new("fault", 0);
    for &kind in Kind::value_variants() {
        if args.kind.is_some_and(|only| only != kind) {
            continue;
        }
        for &shape in Shape::value_variants() {
            if args.shape.is_none_or(|only| only == shape) {
                let sweep = Sweep {
                    seed: args.seed,
                    kind,
                    shape,
                };
                sweep.run(args.operations, &progress, &mut outcome);
            }
        }
    }
    if args.kind.is_none() {
        full_disks(args.seed, &progress, &mut outcome);
    }
    progress.finish();
    eprintln!("{:.1} s", progress.seconds());
    outcome
}

/// Every kind of fault at each of the first `operations` operations, and full disks.
#[must_use]
pub fn sweep(seed: u64, operations: u64) -> Outcome {
    run(&Args {
        operations,
        seed,
        kind: None,
        operation: None,
        shape: None,
    })
}

/// One kind of fault at one operation after the other.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    seed: u64,
    kind: Kind,
    shape: Shape,
}

/// As the command line has it.
fn name_of(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

impl Sweep {
    fn again(self, operation: u64) -> String {
        let (kind, shape) = (name_of(&self.kind), name_of(&self.shape));
        let seed = self.seed;
        format!(
            "cs-torture fault --seed {seed} --shape {shape} --kind {kind} --operation {operation}"
        )
    }

    fn run(self, operations: u64, progress: &Progress, outcome: &mut Outcome) {
        let kind = self.kind;
        let watch = Watch::start(move |operation| self.again(operation));
        let mut operation = 0;
        for _ in 0..operations {
            watch.now_at(operation);
            let case = one_case(self.seed, kind, self.shape, operation);
            let next = match &case {
                Ok(Some(fired)) => fired + 1,
                Ok(None) => break,
                Err(_) => operation + 1,
            };
            progress.count(case.is_ok());
            outcome.count(case.is_ok());
            if let Err(failure) = case {
                let again = self.again(operation);
                progress.say(&format!(
                    "{kind:?} at operation {operation}: {failure}\n  again with: {again}"
                ));
            }
            operation = next;
        }
    }
}

fn full_disks(seed: u64, progress: &Progress, outcome: &mut Outcome) {
    for kib in full::CAPACITIES_KIB {
        let verdict = panics::catch(|| full::live(seed, kib << 10));
        progress.count(verdict.is_ok());
        outcome.count(verdict.is_ok());
        if let Err(failure) = verdict {
            progress.say(&format!("disk of {kib} KiB, seed {seed}: {failure}"));
        }
    }
}

/// One life; returns the operation that failed, if the life was long enough.
fn one_case(seed: u64, kind: Kind, shape: Shape, operation: u64) -> Verdict<Option<u64>> {
    let plan = FaultPlan {
        at_operation: operation,
        fault: kind.fault(),
    };
    panics::catch(|| {
        if shape == Shape::Backup {
            return copy::live(seed, plan);
        }
        let lived = life::live(seed, shape == Shape::WithoutLog, plan)?;
        let fired = lived.disk.fault_fired();
        let at = |failure: Failure| failure.during(format_args!("operation {fired:?} failed"));
        judge::judge(seed, kind, lived).map_err(at)?;
        Ok(fired)
    })
}
