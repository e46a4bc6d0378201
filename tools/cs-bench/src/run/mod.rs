//! `run --level doc`: one workload of documents against a fresh database.

pub(crate) mod documents;
mod drive;
mod embedded;
#[cfg(test)]
mod memory;
pub(crate) mod place;
pub(crate) mod progress;
mod report;
mod target;

use crate::cli::{DocumentArgs, Workload};
use crate::error::BenchError;
use crate::machine;
use crate::report::warn;

use drive::{Plan, SCAN_BATCH};
use place::Place;
use report::Report;

/// Runs the workload and prints its report.
pub(crate) fn main(arguments: &DocumentArgs) -> Result<(), BenchError> {
    let plan = plan(arguments)?;
    let place = Place::take(&arguments.dir, arguments.keep)?;
    if machine::file_system(place.path()).as_deref() == Some("tmpfs") {
        warn("the directory lies in memory (tmpfs): nothing here is durable.");
    }
    let target = embedded::open(place.path(), arguments)?;
    let outcome = drive::drive(target.as_ref(), &plan)?;
    let backend = target.backend();
    target.close()?;
    let file_bytes = machine::directory_bytes(place.path())
        .map_err(BenchError::at("measure the files in", place.path()))?;
    let report = Report::new(arguments, &plan, &outcome, backend, file_bytes);
    place.give_back()?;
    report.print(arguments.json.as_ref())
}

/// What the arguments ask for, if they fit together.
fn plan(arguments: &DocumentArgs) -> Result<Plan, BenchError> {
    let workload = arguments.workload;
    let batch = match (workload.default_batch(), arguments.batch) {
        (Some(default), batch) => batch.unwrap_or(default),
        (None, None) if workload == Workload::Scan => SCAN_BATCH,
        (None, None) => 1,
        (None, Some(_)) => {
            return Err(BenchError::Usage(
                "--batch: only insert-batch and load-bulk work in batches".to_owned(),
            ));
        }
    };
    Ok(Plan {
        workload,
        threads: arguments.threads,
        docs: arguments.docs,
        batch,
        value_size: arguments.value_size,
        seed: arguments.seed,
    })
}

#[cfg(test)]
mod tests;
