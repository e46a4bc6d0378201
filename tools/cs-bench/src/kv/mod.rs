//! `run --level kv`: engines of ordered keys and values, side by side.
//!
//! ```text
//! plan: rounds of tasks, entrants ──> for each turn, round and entrant: a session
//!        session ──requests──> a process of its own: engine + bench ──figures──> statistics ──> report
//! ```
//!
//! Invariants:
//! * Engines take turns: a turn is over when each has had its own.
//! * All get the same keys and values in the same order, the same durability
//!   and the same memory for their cache.
//! * Every engine is in a process of its own, so that its memory is its own and
//!   it can be killed.

mod bench;
mod compare;
mod crowds;
mod json;
pub(crate) mod laps;
pub(crate) mod measured;
mod pairs;
mod plan;
mod plot;
mod process;
mod reads;
mod report;
mod session;
pub(crate) mod statistics;
mod workload;

use indicatif::ProgressBar;

use crate::cli::RunArgs;
use crate::error::BenchError;
use crate::machine;
use crate::report::{deliver, warn, write_file};
use crate::run::place::Place;
use crate::run::progress::{PROBE_TEMPLATE, style};

use plan::Plan;
use report::Report;
use session::{Session, steps};
use statistics::Gathered;

pub(crate) use compare::main as compare;
pub(crate) use process::main as engine_process;
pub(crate) use workload::Workload;

/// Runs what the arguments ask for, and delivers the report.
pub(crate) fn main(arguments: &RunArgs) -> Result<(), BenchError> {
    let plan = Plan::new(arguments)?;
    let place = Place::take(&plan.directory, arguments.keep)?;
    let file_system = machine::file_system(place.path());
    if file_system.as_deref() == Some("tmpfs") {
        warn("the directory lies in memory (tmpfs): nothing here is durable.");
    }
    let gathered = measure(&plan, &place, arguments.keep)?;
    let report = Report::new(&plan, file_system, gathered.rows());
    place.give_back()?;
    if let Some(file) = &arguments.kv.plot {
        write_file(file, &plot::svg(&report))?;
    }
    deliver(&report, arguments.json.as_ref(), || report.table())
}

fn measure(plan: &Plan, place: &Place, keep: bool) -> Result<Gathered, BenchError> {
    let program = std::env::current_exe().map_err(|source| BenchError::Io {
        what: "find this program, to start it for each engine".to_owned(),
        source,
    })?;
    let pairs = || {
        let rounds = plan.rounds.iter();
        rounds.flat_map(|round| plan.entrants.iter().map(move |entrant| (round, entrant)))
    };
    let total = plan.turns
        * pairs()
            .map(|(round, entrant)| steps(entrant, round))
            .sum::<u64>();
    let bar = ProgressBar::new(total);
    bar.set_style(style(PROBE_TEMPLATE));
    let mut gathered = Gathered::default();
    for turn in 0..plan.turns {
        for (round, entrant) in pairs() {
            let label = entrant.label();
            let mut show = |step: &str| {
                bar.set_message(format!("turn {}, {label}: {step}", turn + 1));
                bar.inc(1);
            };
            let figures = Session {
                program: &program,
                plan,
                entrant,
                place,
                turn,
                keep,
                show: &mut show,
            }
            .run(round)?;
            gathered.add(&label, figures);
        }
    }
    bar.finish_and_clear();
    Ok(gathered)
}
