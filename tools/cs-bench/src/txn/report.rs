//! The report of `run --level txn`.

use serde::Serialize;

use crate::cli::Durability;
use crate::kv::statistics::Row;
use crate::machine;
use crate::report::{self, DEBUG_BUILD, VERSION};

use super::plan::Plan;

/// What `compare` asks for before it believes a file.
pub(crate) const KIND: &str = "txn";
/// Version of the shape of this report; grows when a field changes its meaning
/// or goes away, not when one is added.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// All that was measured, and where; its fields are those of the JSON object.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    kind: &'static str,
    schema_version: u32,
    version: &'static str,
    debug_build: bool,
    durability: Durability,
    keys: u64,
    value_bytes: u64,
    cache_bytes: Option<u64>,
    seed: u64,
    seconds: f64,
    turns: u64,
    quiet: bool,
    file_system: Option<String>,
    kernel: Option<String>,
    processors: u64,
    rows: Vec<Row>,
}

impl Report {
    pub(super) fn new(plan: &Plan, file_system: Option<String>, rows: Vec<Row>) -> Self {
        let processors = std::thread::available_parallelism();
        Self {
            kind: KIND,
            schema_version: SCHEMA_VERSION,
            version: VERSION,
            debug_build: DEBUG_BUILD,
            durability: plan.durability,
            keys: plan.keys,
            value_bytes: plan.value_bytes,
            cache_bytes: plan.cache_bytes,
            seed: plan.seed,
            seconds: plan.seconds,
            turns: plan.turns,
            quiet: plan.quiet,
            file_system,
            kernel: machine::kernel(),
            processors: processors.map_or(1, |processors| processors.get() as u64),
            rows,
        }
    }

    /// What a person is shown.
    pub(super) fn table(&self) -> String {
        let headings = [
            "workload",
            "threads",
            "median",
            "p50 / p99 / p99.9",
            "details",
        ];
        let mut table = report::table(&headings, 1);
        for row in &self.rows {
            let mut median = row.unit.show(row.median);
            if row.values.len() > 1 {
                let (min, max) = (row.unit.show(row.min), row.unit.show(row.max));
                median.push_str(&format!("\n{min} to {max}"));
            }
            let latency = row.latency_us.map_or(String::new(), |latency| {
                let [p50, p99, p999] = [latency.p50, latency.p99, latency.p999].map(report::time);
                format!("{p50} / {p99} / {p999}")
            });
            let details = row.details.iter();
            let details: Vec<_> = details
                .map(|(name, value)| format!("{name} {}", digits(*value)))
                .collect();
            table.add_row([
                row.subject.workload.clone(),
                row.subject.threads.to_string(),
                median,
                latency,
                details.join("\n"),
            ]);
        }
        table.to_string()
    }
}

/// Three digits or more.
fn digits(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
