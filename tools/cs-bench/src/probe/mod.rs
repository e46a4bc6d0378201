//! `probe`: what this disk can do.
//!
//! Each row writes to a file of its own in a temporary subdirectory, so that
//! no row finds pages of another in the cache, for the time that was asked for.
//!
//! Invariants:
//! * A row that the system refuses says so and why; the others go on.
//! * Only whole rows are shown: one that fails half-way ends the probe.

mod report;
mod ring;
mod sample;
mod single;
mod waiters;

use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::ProbeArgs;
use crate::error::BenchError;
use crate::machine;
use crate::report::warn;
use crate::run::progress::{PROBE_TEMPLATE, style};

use report::Report;
use sample::{Outcome, Row, Scratch};

/// One measurement: its name in JSON, its title in the table, and how to do it.
struct Measurement {
    name: &'static str,
    title: &'static str,
    run: fn(&Scratch) -> Result<Outcome, BenchError>,
}

/// Measures everything and prints it.
pub(crate) fn main(arguments: &ProbeArgs) -> Result<(), BenchError> {
    if !arguments.dir.is_dir() {
        let dir = arguments.dir.display();
        return Err(BenchError::Usage(format!(
            "--dir: {dir} is not a directory"
        )));
    }
    if machine::file_system(&arguments.dir).as_deref() == Some("tmpfs") {
        warn("the directory lies in memory (tmpfs): nothing here is durable.");
    }
    let directory = tempfile::Builder::new()
        .prefix("cs-bench-probe-")
        .tempdir_in(&arguments.dir)
        .map_err(BenchError::at(
            "make a temporary directory in",
            &arguments.dir,
        ))?;
    let scratch = Scratch {
        directory: directory.path().to_owned(),
        time: Duration::from_secs_f64(arguments.seconds),
    };
    let rows = measure(&scratch)?;
    let path = directory.path().to_owned();
    directory.close().map_err(BenchError::at("remove", &path))?;
    Report::new(arguments, rows).print(arguments.json)
}

/// All rows, in the order in which they are shown.
fn measure(scratch: &Scratch) -> Result<Vec<Row>, BenchError> {
    let measurements: Vec<Measurement> = single::measurements()
        .into_iter()
        .chain(ring::measurements())
        .chain(waiters::measurements())
        .collect();
    // On a terminal only: elsewhere the whole takes too short to be told about.
    let bar = ProgressBar::new(measurements.len() as u64);
    bar.set_style(style(PROBE_TEMPLATE));
    let mut rows = Vec::with_capacity(measurements.len());
    for Measurement { name, title, run } in measurements {
        bar.set_message(title);
        rows.push(Row {
            name,
            title,
            outcome: run(scratch)?,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(rows)
}
