//! The report of `run --level kv`.

use serde::{Deserialize, Serialize};

use crate::machine;
use crate::report::{self, DEBUG_BUILD, VERSION};

use super::plan::Plan;
use super::statistics::{Ratio, Row, engines, ratios, subjects};

/// What `compare` asks for before it believes a file.
pub(super) const KIND: &str = "kv";
/// Version of the shape of this report; grows when a field changes its meaning
/// or goes away, not when one is added.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// All that was measured, and where; its fields are those of the JSON object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Report {
    pub(super) kind: String,
    pub(super) schema_version: u32,
    version: String,
    debug_build: bool,
    pub(super) value_bytes: u64,
    cache_bytes: u64,
    #[serde(default)]
    memory_limit: Option<u64>,
    seed: u64,
    turns: u64,
    quiet: bool,
    file_system: Option<String>,
    kernel: Option<String>,
    processors: u64,
    pub(super) rows: Vec<Row>,
    pub(super) ratios: Vec<Ratio>,
}

impl Report {
    pub(super) fn new(plan: &Plan, file_system: Option<String>, rows: Vec<Row>) -> Self {
        let processors = std::thread::available_parallelism();
        let ratios = ratios(&rows, is_ours);
        Self {
            kind: KIND.to_owned(),
            schema_version: SCHEMA_VERSION,
            version: VERSION.to_owned(),
            debug_build: DEBUG_BUILD,
            value_bytes: plan.value_bytes,
            cache_bytes: plan.cache_bytes,
            memory_limit: plan.memory_limit,
            seed: plan.seed,
            turns: plan.turns,
            quiet: plan.quiet,
            file_system,
            kernel: machine::kernel(),
            processors: processors.map_or(1, |processors| processors.get() as u64),
            rows,
            ratios,
        }
    }

    /// What a person is shown.
    pub(super) fn table(&self) -> String {
        let mut text = self.figures();
        if !self.ratios.is_empty() {
            text.push_str("\n\nHow much better cs is: above 1, more; the best peer is marked *\n");
            text.push_str(&self.ratio_table());
        }
        let noisy = self
            .rows
            .iter()
            .filter(|row| row.details.contains_key("not_quiet"));
        let noisy = noisy.count();
        if noisy > 0 {
            text.push_str(&format!(
                "\n{noisy} of {} figures were taken although the machine never came to rest.",
                self.rows.len()
            ));
        }
        text
    }

    fn figures(&self) -> String {
        let engines = engines(&self.rows);
        let mut headings = vec!["workload", "threads", "keys"];
        headings.extend(engines.iter().map(String::as_str));
        let mut table = report::table(&headings, 1);
        for subject in subjects(&self.rows) {
            let mut cells = vec![
                subject.workload.clone(),
                subject.threads.to_string(),
                subject.keys.to_string(),
            ];
            cells.extend(engines.iter().map(|engine| {
                let is_it = |row: &&Row| row.subject == subject && row.engine == *engine;
                self.rows.iter().find(is_it).map_or(String::new(), cell)
            }));
            table.add_row(cells);
        }
        table.to_string()
    }

    fn ratio_table(&self) -> String {
        let mut peers: Vec<&str> = Vec::new();
        for ratio in &self.ratios {
            if !peers.contains(&ratio.to.as_str()) {
                peers.push(&ratio.to);
            }
        }
        let mut headings = vec!["workload", "threads", "keys", "of"];
        headings.extend(&peers);
        let mut table = report::table(&headings, 4);
        for ours in self.rows.iter().filter(|row| is_ours(&row.engine)) {
            let of = |peer: &&str| {
                let is_it = |ratio: &&Ratio| {
                    ratio.subject == ours.subject && ratio.of == ours.engine && ratio.to == **peer
                };
                self.ratios.iter().find(is_it)
            };
            if peers.iter().all(|peer| of(peer).is_none()) {
                continue;
            }
            let mut cells = vec![
                ours.subject.workload.clone(),
                ours.subject.threads.to_string(),
                ours.subject.keys.to_string(),
                ours.engine.clone(),
            ];
            cells.extend(
                peers
                    .iter()
                    .map(|peer| of(peer).map_or(String::new(), quotient)),
            );
            table.add_row(cells);
        }
        table.to_string()
    }
}

/// Whether a label is one of this project's engine.
pub(super) fn is_ours(engine: &str) -> bool {
    engine == "cs" || engine.starts_with("cs-")
}

fn cell(row: &Row) -> String {
    let mut text = row.unit.show(row.median);
    if row.values.len() > 1 {
        let (min, max) = (row.unit.show(row.min), row.unit.show(row.max));
        text.push_str(&format!("\n{min} to {max}"));
    }
    if let Some(latency) = &row.latency_us {
        let [p50, p99, p999] = [latency.p50, latency.p99, latency.p999].map(report::time);
        text.push_str(&format!("\n{p50} / {p99} / {p999}"));
    }
    text
}

fn quotient(ratio: &Ratio) -> String {
    let star = if ratio.best { "*" } else { "" };
    // Two digits, whatever the size.
    let places = if ratio.ratio >= 0.1 { 2 } else { 4 };
    format!("{:.places$}{star}", ratio.ratio)
}

#[cfg(test)]
pub(super) mod tests;
