//! The report of `run`.

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::{DocumentArgs, Durability, Workload};
use crate::error::BenchError;
use crate::latency::Summary;
use crate::machine;
use crate::report::{self, DEBUG_BUILD, SCHEMA_VERSION, VERSION};

use super::drive::{Outcome, Plan};
use super::target::Backend;

/// All that is known at the end of a run; its fields are those of the JSON object.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema_version: u32,
    version: &'static str,
    debug_build: bool,
    workload: Workload,
    durability: Durability,
    threads: u64,
    docs: u64,
    value_size: u64,
    /// Documents for each call, which is what a latency is the time of.
    batch: u64,
    seed: u64,
    cache_bytes: Option<u64>,
    ops: u64,
    calls: u64,
    seconds: f64,
    ops_per_s: f64,
    latency_us: Summary,
    file_bytes: u64,
    peak_rss_bytes: Option<u64>,
    io_backend: String,
    fallbacks: Vec<String>,
    direct_io: bool,
    ring_writes: u64,
    syscall_writes: u64,
    file_system: Option<String>,
    kernel: Option<String>,
}

impl Report {
    /// `file_bytes` is the size of the directory after a clean close.
    pub(crate) fn new(
        arguments: &DocumentArgs,
        plan: &Plan,
        outcome: &Outcome,
        backend: Backend,
        file_bytes: u64,
    ) -> Self {
        // A run of one operation can be over within a tick of the clock.
        let ops_per_s = outcome.ops as f64 / outcome.seconds.max(1e-9);
        Self {
            schema_version: SCHEMA_VERSION,
            version: VERSION,
            debug_build: DEBUG_BUILD,
            workload: plan.workload,
            durability: arguments.durability,
            threads: plan.threads,
            docs: plan.docs,
            value_size: plan.value_size,
            batch: plan.batch,
            seed: plan.seed,
            cache_bytes: arguments.cache_bytes,
            ops: outcome.ops,
            calls: outcome.latencies.count(),
            seconds: outcome.seconds,
            ops_per_s: report::tenths(ops_per_s),
            latency_us: outcome.latencies.summary(),
            file_bytes,
            peak_rss_bytes: machine::peak_rss_bytes(),
            io_backend: backend.name,
            fallbacks: backend.fallbacks,
            direct_io: backend.direct_io,
            ring_writes: backend.ring_writes,
            syscall_writes: backend.syscall_writes,
            file_system: machine::file_system(&arguments.dir),
            kernel: machine::kernel(),
        }
    }

    /// Prints it as `--json` says: absent, as a table; without a file, as JSON.
    pub(crate) fn print(&self, json: Option<&Option<PathBuf>>) -> Result<(), BenchError> {
        report::deliver(self, json, || self.table())
    }

    fn table(&self) -> String {
        let mut table = report::table(&["", ""], 1);
        let mut row = |what: &str, value: String| {
            table.add_row([what.to_owned(), value]);
        };
        row("workload", name_of(&self.workload));
        row("durability", name_of(&self.durability));
        row("threads", self.threads.to_string());
        row(
            "documents",
            format!("{} of {}", self.docs, report::bytes(self.value_size)),
        );
        row("documents a call", self.batch.to_string());
        row(
            "operations",
            format!("{} in {:.2} s", self.ops, self.seconds),
        );
        row("operations per s", report::count(self.ops_per_s));
        row("p50 of a call", report::time(self.latency_us.p50));
        row("p99", report::time(self.latency_us.p99));
        row("p99.9", report::time(self.latency_us.p999));
        row("longest", report::time(self.latency_us.max));
        row("files", report::bytes(self.file_bytes));
        row(
            "peak memory",
            self.peak_rss_bytes
                .map_or("unknown".to_owned(), report::bytes),
        );
        let direct = if self.direct_io { ", direct" } else { "" };
        row("io", format!("{}{direct}", self.io_backend));
        row(
            "durable writes",
            format!(
                "{} by ring, {} by system call",
                self.ring_writes, self.syscall_writes
            ),
        );
        for fallback in &self.fallbacks {
            row("io fell back", fallback.clone());
        }
        table.to_string()
    }
}

/// The name by which the command line knows `value`.
fn name_of(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

#[cfg(test)]
mod tests;
