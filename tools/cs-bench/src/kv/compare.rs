//! `compare`: what became better or worse between two reports.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::cli::CompareArgs;
use crate::error::BenchError;
use crate::report as text;
use crate::txn::report as txn;

use super::report::{KIND, SCHEMA_VERSION};
use super::statistics::{Row, finite};

/// What is read of a report, of either level; its fields are those that both have.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Report {
    kind: String,
    schema_version: u32,
    value_bytes: u64,
    /// Of level txn: what its commits survive.
    #[serde(default)]
    durability: Option<String>,
    rows: Vec<Row>,
}

impl Report {
    /// Why its rows say nothing about those of another.
    fn is_unlike(&self, other: &Self) -> Option<String> {
        let unlike = |of: &str, one: &str, two: &str| {
            (one != two)
                .then(|| format!("expected reports of the same {of}, found {one} and {two}"))
        };
        let bytes = |report: &Self| format!("{} bytes", report.value_bytes);
        let level = |report: &Self| report.durability.clone().unwrap_or_default();
        unlike("level", &self.kind, &other.kind)
            .or_else(|| unlike("values", &bytes(self), &bytes(other)))
            .or_else(|| unlike("durability", &level(self), &level(other)))
    }
}

/// A row that both reports have.
#[derive(Clone, Debug, PartialEq)]
struct Change<'a> {
    before: &'a Row,
    after: &'a Row,
    /// Above 1: better than before.
    ratio: f64,
}

/// Compares two reports and prints the ratio of each row; an error if one is
/// worse than tolerated.
pub(crate) fn main(arguments: &CompareArgs) -> Result<(), BenchError> {
    let before = read(&arguments.before)?;
    let after = read(&arguments.after)?;
    if let Some(reason) = before.is_unlike(&after) {
        return Err(BenchError::Usage(reason));
    }
    let changes = changes(&before, &after);
    if changes.is_empty() {
        return Err(BenchError::Usage(
            "the reports have no row in common".to_owned(),
        ));
    }
    text::print(&table(&changes, arguments.tolerance))?;
    let worse = changes
        .iter()
        .filter(|change| is_worse(change, arguments.tolerance));
    let worse: Vec<String> = worse
        .map(|change| {
            let subject = &change.after.subject;
            format!(
                "{} {} × {}",
                change.after.engine, subject.workload, subject.threads
            )
        })
        .collect();
    if worse.is_empty() {
        return Ok(());
    }
    let percent = arguments.tolerance * 100.0;
    Err(BenchError::Worse(format!(
        "worse by more than {percent:.0} %: {}",
        worse.join(", ")
    )))
}

fn read(file: &Path) -> Result<Report, BenchError> {
    let text = fs::read_to_string(file).map_err(BenchError::at("read", file))?;
    parse(&text).map_err(|reason| BenchError::Usage(format!("{}: {reason}", file.display())))
}

fn parse(text: &str) -> Result<Report, String> {
    let report: Report = serde_json::from_str(text)
        .map_err(|error| format!("expected a report of run --level kv or txn: {error}"))?;
    let known = [(KIND, SCHEMA_VERSION), (txn::KIND, txn::SCHEMA_VERSION)];
    if known.contains(&(report.kind.as_str(), report.schema_version)) {
        return Ok(report);
    }
    let known = known.map(|(kind, version)| format!("kind {kind} and version {version}"));
    Err(format!(
        "expected a report of {}, found {} and {}",
        known.join(" or "),
        report.kind,
        report.schema_version
    ))
}

fn changes<'a>(before: &'a Report, after: &'a Report) -> Vec<Change<'a>> {
    let change = |after: &'a Row| {
        let is_same = |row: &&Row| (&row.engine, &row.subject) == (&after.engine, &after.subject);
        let before = before.rows.iter().find(is_same)?;
        let ratio = finite(after.unit.advantage(after.median, before.median));
        Some(Change {
            before,
            after,
            ratio,
        })
    };
    after.rows.iter().filter_map(change).collect()
}

fn is_worse(change: &Change<'_>, tolerance: f64) -> bool {
    change.ratio < 1.0 - tolerance
}

fn table(changes: &[Change<'_>], tolerance: f64) -> String {
    let headings = [
        "engine", "workload", "threads", "keys", "before", "after", "ratio", "",
    ];
    let mut table = text::table(&headings, 2);
    for change in changes {
        let subject = &change.after.subject;
        let unit = change.after.unit;
        let note = if is_worse(change, tolerance) {
            "worse"
        } else if change.ratio > 1.0 + tolerance {
            "better"
        } else {
            ""
        };
        table.add_row([
            change.after.engine.clone(),
            subject.workload.clone(),
            subject.threads.to_string(),
            subject.keys.to_string(),
            unit.show(change.before.median),
            unit.show(change.after.median),
            format!("{:.2}", change.ratio),
            note.to_owned(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests;
