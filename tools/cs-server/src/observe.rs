//! What the server does, told: figures, operations under way, slow operations, logs.
//!
//! ## Invariants
//! * Nothing that is told holds the contents of a document, a filter's values or a secret: names of
//!   commands, namespaces, indexes and users, and numbers, are all there is.
//! * A command is counted once, where it is carried out.

mod logs;
mod operations;
mod process;
mod slow;

pub use logs::start_logs;
pub use operations::{Operation, Operations};
pub use process::{ProcessMemory, process_memory};

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use collection_store::Database;
use collection_store::monitor::{Alert, Counter, Gauge, Histogram, Monitor, Registry, Thresholds};

use crate::command;
use crate::config::{AlertsConfig, Config};
use crate::server::Server;

/// Commands that are none have their figures together.
const UNKNOWN: &str = "unknown";

/// The figures of one command.
#[derive(Debug)]
struct CommandFigures {
    times: Histogram,
    failures: Counter,
}

/// Counts what the server does.
#[derive(Debug)]
pub struct Observer {
    commands: HashMap<&'static str, CommandFigures>,
    connections: Gauge,
    unknown_connections: Gauge,
    connections_created: Gauge,
    cursors: Gauge,
    running: Gauge,
    memory: Gauge,
    uptime: Gauge,
    logins: [Counter; 2],
    slow: Counter,
    slow_after: Duration,
    alerts: Counter,
    /// Commands are recorded for thresholds.
    judges: AtomicBool,
}

impl Observer {
    /// Counts into the registry of this database.
    #[must_use]
    pub fn new(database: &Database, config: &Config) -> Self {
        let registry = database.monitor().registry();
        let names = command::all().map(|spec| spec.name);
        let figures = |name: &'static str| (name, CommandFigures::new(registry, name));
        let gauge = |name, help| registry.gauge(name, help, &[]);
        let login = |outcome| {
            let help = "logins, by what they came to";
            registry.counter("cs_server_logins_total", help, &[("outcome", outcome)])
        };
        let count = |name, help| registry.counter(name, help, &[]);
        Self {
            commands: names.chain([UNKNOWN]).map(figures).collect(),
            connections: gauge("cs_server_connections", "open connections"),
            unknown_connections: gauge(
                "cs_server_unknown_connections",
                "open connections that have not said who they are",
            ),
            connections_created: gauge(
                "cs_server_connections_created",
                "connections since the start",
            ),
            cursors: gauge("cs_server_cursors", "open cursors"),
            running: gauge("cs_server_operations", "commands under way"),
            memory: gauge("process_resident_memory_bytes", "memory of the process"),
            uptime: gauge("cs_server_uptime_seconds", "time since the start"),
            logins: [login("failed"), login("succeeded")],
            slow: count("cs_server_slow_operations_total", "commands that took long"),
            slow_after: config.log.slow,
            alerts: count("cs_server_alerts_total", "thresholds that were passed"),
            judges: AtomicBool::new(false),
        }
    }

    /// Begins to watch for what is above the configured thresholds.
    pub fn watch(&self, monitor: &Monitor, config: &AlertsConfig) {
        let thresholds = thresholds(config);
        if thresholds.is_empty() {
            return;
        }
        self.judges.store(true, Ordering::Relaxed);
        let alerts = self.alerts.clone();
        monitor.set_thresholds(thresholds, move |alert| tell(alert, &alerts));
    }

    /// A login came to its end.
    pub fn login(&self, has_succeeded: bool) {
        self.logins[usize::from(has_succeeded)].add(1);
    }

    /// A command was carried out.
    pub(crate) fn finished(&self, server: &Server, operation: &Operation, code: Option<i32>) {
        let time = operation.begun.elapsed();
        let figures = self.commands.get(operation.command);
        if let Some(figures) = figures.or_else(|| self.commands.get(UNKNOWN)) {
            figures.times.record(time);
            if code.is_some() {
                figures.failures.add(1);
            }
        }
        if self.judges.load(Ordering::Relaxed) {
            server.database.monitor().record(time, code.is_some());
        }
        tracing::trace!(command = operation.command, code, ?time, "command");
    }

    /// Whether an operation that took so long is to be told; it is counted then.
    pub(crate) fn is_slow(&self, time: Duration) -> bool {
        let is_slow = time >= self.slow_after;
        if is_slow {
            self.slow.add(1);
        }
        is_slow
    }

    /// How often a command was carried out.
    #[must_use]
    pub fn count(&self, command: &str) -> u64 {
        let figures = self.commands.get(command);
        figures.map_or(0, |figures| figures.times.count())
    }

    /// How often any command was carried out.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.commands
            .values()
            .map(|figures| figures.times.count())
            .sum()
    }

    /// Brings the figures up to date that are read elsewhere.
    pub(crate) fn refresh(&self, server: &Server) {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let connections = &server.connections;
        self.connections.set(whole(connections.current()));
        self.unknown_connections.set(whole(connections.unknown()));
        self.connections_created
            .set(i64::from(connections.created()));
        self.cursors.set(whole(server.cursors.open()));
        self.running.set(whole(server.operations.running()));
        self.uptime
            .set(i64::try_from(server.started.elapsed().as_secs()).unwrap_or(i64::MAX));
        let resident = process_memory().map_or(0, |memory| memory.resident);
        self.memory.set(i64::try_from(resident).unwrap_or(i64::MAX));
    }
}

impl CommandFigures {
    fn new(registry: &Registry, name: &str) -> Self {
        let labels = [("command", name)];
        let help = "time that commands took";
        let failures = "commands that failed";
        Self {
            times: registry.histogram("cs_server_command_seconds", help, &labels),
            failures: registry.counter("cs_server_command_failures_total", failures, &labels),
        }
    }
}

fn thresholds(config: &AlertsConfig) -> Thresholds {
    let mut thresholds = Thresholds::new().of_program();
    if !config.latency.is_zero() {
        thresholds = thresholds.latency(config.latency);
    }
    if config.throughput > 0 {
        thresholds = thresholds.throughput(config.throughput);
    }
    if config.error_percent > 0 {
        thresholds = thresholds.error_percent(config.error_percent);
    }
    if config.memory.get() > 0 {
        thresholds = thresholds.memory(config.memory.get());
    }
    thresholds
}

fn tell(alert: &Alert, count: &Counter) {
    let (kind, found, threshold) = (alert.kind.name(), alert.found, alert.threshold);
    if alert.is_raised {
        count.add(1);
        tracing::warn!(target: "alert", kind, found, threshold, "threshold passed");
    } else {
        tracing::info!(target: "alert", kind, found, threshold, "threshold not passed any more");
    }
}

/// Tells of an operation that took long.
pub(crate) use slow::tell_if_slow;

#[cfg(test)]
mod tests;
