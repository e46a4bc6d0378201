//! The report of `probe`.

use serde_json::{Map, Value, json};

use crate::cli::ProbeArgs;
use crate::error::BenchError;
use crate::machine;
use crate::report::{self, DEBUG_BUILD, SCHEMA_VERSION, VERSION};

use super::sample::{Outcome, Row};

/// Rows whose best is the figure `waiting_writers_64_per_s`.
const CROWD: &str = "waiting_writers_64";

/// All rows, and where they were measured.
#[derive(Debug)]
pub(super) struct Report {
    directory: String,
    file_system: Option<String>,
    kernel: Option<String>,
    seconds: f64,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(arguments: &ProbeArgs, rows: Vec<Row>) -> Self {
        Self {
            directory: arguments.dir.display().to_string(),
            file_system: machine::file_system(&arguments.dir),
            kernel: machine::kernel(),
            seconds: arguments.seconds,
            rows,
        }
    }

    pub(super) fn print(&self, json: bool) -> Result<(), BenchError> {
        if json {
            report::print_json(&self.json())
        } else {
            report::print(&self.table())
        }
    }

    /// One object: each row's rate as `NAME_per_s` (null where unsupported),
    /// and all figures in `rows`.
    pub(super) fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("schema_version".into(), json!(SCHEMA_VERSION));
        object.insert("version".into(), json!(VERSION));
        object.insert("debug_build".into(), json!(DEBUG_BUILD));
        object.insert("dir".into(), json!(self.directory));
        object.insert("file_system".into(), json!(self.file_system));
        object.insert("kernel".into(), json!(self.kernel));
        object.insert("seconds".into(), json!(self.seconds));
        for row in &self.rows {
            object.insert(
                format!("{}_per_s", row.name),
                json!(row.per_s().map(report::tenths)),
            );
        }
        object.insert(
            format!("{CROWD}_per_s"),
            json!(self.best_crowd().map(report::tenths)),
        );
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        object.insert("rows".into(), Value::Array(rows));
        Value::Object(object)
    }

    fn best_crowd(&self) -> Option<f64> {
        self.rows
            .iter()
            .filter(|row| row.name.starts_with(CROWD))
            .filter_map(Row::per_s)
            .reduce(f64::max)
    }

    fn table(&self) -> String {
        let mut table = report::table(
            &["one durable …", "per s", "p50", "p99", "max", "per sync"],
            1,
        );
        for row in &self.rows {
            match &row.outcome {
                Outcome::Measured(measured) => table.add_row([
                    row.title.to_owned(),
                    report::count(measured.per_s),
                    report::time(measured.latency.p50),
                    report::time(measured.latency.p99),
                    report::time(measured.latency.max),
                    measured
                        .records_per_sync
                        .map_or_else(String::new, |per| format!("{per:.1}")),
                ]),
                Outcome::Unsupported(reason) => {
                    table.add_row([format!("{}\n  unsupported: {reason}", row.title)])
                }
            };
        }
        let best = self
            .best_crowd()
            .map_or_else(|| "none".to_owned(), report::count);
        let unknown = || "unknown".to_owned();
        format!(
            "{table}\n64 waiting writers, best shape: {best} records/s\n{} on {}, kernel {}, {} s a row",
            self.directory,
            self.file_system.clone().unwrap_or_else(unknown),
            self.kernel.clone().unwrap_or_else(unknown),
            self.seconds,
        )
    }
}

impl Row {
    fn per_s(&self) -> Option<f64> {
        match &self.outcome {
            Outcome::Measured(measured) => Some(measured.per_s),
            Outcome::Unsupported(_) => None,
        }
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("name".into(), json!(self.name));
        object.insert("title".into(), json!(self.title));
        match &self.outcome {
            Outcome::Measured(measured) => {
                object.insert("per_s".into(), json!(report::tenths(measured.per_s)));
                object.insert("p50_us".into(), json!(measured.latency.p50));
                object.insert("p99_us".into(), json!(measured.latency.p99));
                object.insert("max_us".into(), json!(measured.latency.max));
                if let Some(per_sync) = measured.records_per_sync {
                    object.insert("records_per_sync".into(), json!(report::tenths(per_sync)));
                }
            }
            Outcome::Unsupported(reason) => {
                object.insert("unsupported".into(), json!(reason));
            }
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests;
