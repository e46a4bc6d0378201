//! `run --level txn`: transactions, alone and against each other.
//!
//! | file | what |
//! |---|---|
//! | `plan.rs`, `workload.rs`, `draw.rs` | what was asked for; which keys |
//! | `bed.rs`, `documents.rs` | a store, and a database, with counters to increment |
//! | `contention.rs` | ten operations, from many threads |
//! | `hot.rs` | one key that all increment |
//! | `isolation.rs` | Serializable beside Snapshot |
//! | `snapshots.rs` | commits beside snapshots; what those take |
//!
//! Invariants:
//! * Each turn of a workload has a database of its own, on which its numbers of threads
//!   come one after the other.
//! * No increment that was acknowledged is missing, or there is no figure.

mod bed;
mod contention;
mod documents;
mod draw;
mod hot;
mod isolation;
mod plan;
pub(crate) mod report;
mod snapshots;
mod workload;

use std::fs;

use indicatif::ProgressBar;

use crate::cli::RunArgs;
use crate::error::BenchError;
use crate::kv::measured::Measured;
use crate::kv::statistics::Gathered;
use crate::machine::{self, quiet};
use crate::report::{deliver, warn};
use crate::run::place::Place;
use crate::run::progress::{PROBE_TEMPLATE, style};

use bed::Bed;
use plan::Plan;
use report::Report;

pub(crate) use workload::Workload;

/// Runs what the arguments ask for, and delivers the report.
pub(crate) fn main(arguments: &RunArgs) -> Result<(), BenchError> {
    let plan = Plan::new(arguments)?;
    let place = Place::take(&plan.directory, arguments.keep)?;
    let file_system = machine::file_system(place.path());
    if file_system.as_deref() == Some("tmpfs") {
        warn("the directory lies in memory (tmpfs): nothing here is durable.");
    }
    let steps = plan
        .workloads
        .iter()
        .map(|one| plan.threads_of(*one).len() as u64);
    let bar = ProgressBar::new(plan.turns * steps.sum::<u64>());
    bar.set_style(style(PROBE_TEMPLATE));
    let mut gathered = Gathered::default();
    for turn in 0..plan.turns {
        for workload in &plan.workloads {
            let directory = place.path().join(format!("{workload}-{turn}"));
            fs::create_dir(&directory).map_err(BenchError::at("make directory", &directory))?;
            let run = Run {
                plan: &plan,
                workload: *workload,
                turn,
            };
            let bench = run.open(&directory)?;
            for threads in plan.threads_of(*workload) {
                bar.set_message(format!("turn {}, {workload}, {threads} threads", turn + 1));
                bar.inc(1);
                let not_quiet = plan.quiet && quiet::wait().is_some_and(|wait| !wait.reached);
                let rows = run.measure(&bench, threads)?.into_iter().map(|mut row| {
                    row.subject.keys = plan.keys;
                    row.with("not_quiet", not_quiet.then_some(1.0))
                });
                gathered.add("cs", rows.collect());
            }
            drop(bench);
            if !arguments.keep {
                fs::remove_dir_all(&directory).map_err(BenchError::at("clear", &directory))?;
            }
        }
    }
    bar.finish_and_clear();
    let report = Report::new(&plan, file_system, gathered.rows());
    place.give_back()?;
    deliver(&report, arguments.json.as_ref(), || report.table())
}

/// A workload in its turn.
struct Run<'a> {
    plan: &'a Plan,
    workload: Workload,
    turn: u64,
}

/// What it works on.
enum Bench {
    Store(Box<Bed>),
    Documents(Box<documents::Bed>),
}

impl Run<'_> {
    fn open(&self, directory: &std::path::Path) -> Result<Bench, BenchError> {
        Ok(match self.workload {
            Workload::DocDisjoint | Workload::DocZipf | Workload::DocHot => {
                Bench::Documents(Box::new(documents::Bed::make(directory, self.plan)?))
            }
            _ => Bench::Store(Box::new(Bed::make(directory, self.plan, self.workload)?)),
        })
    }

    fn measure(&self, bench: &Bench, threads: u64) -> Result<Vec<Measured>, BenchError> {
        let (plan, workload) = (self.plan, self.workload);
        let bed = match bench {
            Bench::Documents(bed) if workload == Workload::DocHot => {
                return bed.hot(plan, threads, self.turn);
            }
            Bench::Documents(bed) => return Ok(vec![bed.run(plan, workload, threads)?]),
            Bench::Store(bed) => bed,
        };
        match workload {
            Workload::Hot => hot::run(bed, plan, threads, self.turn),
            Workload::Serializable => isolation::run(bed, plan, threads),
            Workload::Snapshots => snapshots::run(bed, plan, threads),
            Workload::SnapshotMemory => snapshots::memory(bed, plan),
            _ => Ok(vec![contention::run(bed, plan, workload, threads)?]),
        }
    }
}
