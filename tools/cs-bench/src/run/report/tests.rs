use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use super::*;
use crate::cli::{Cli, Command};
use crate::latency::Latencies;
use crate::run::plan;

fn report(extra: &[&str]) -> Report {
    let arguments = ["cs-bench", "run", "insert-batch", "--dir", "/"];
    let cli = Cli::try_parse_from(arguments.iter().chain(extra)).unwrap();
    let Command::Run(arguments) = cli.command else {
        panic!("run was asked for")
    };
    let arguments = arguments.documents().unwrap();
    let mut latencies = Latencies::new();
    latencies.record(Duration::from_micros(80));
    let outcome = Outcome {
        ops: 100,
        seconds: 0.5,
        latencies,
    };
    let fallbacks = vec!["io_uring: not permitted".to_owned()];
    let backend = Backend {
        name: "syscalls".to_owned(),
        fallbacks,
        direct_io: true,
        ring_writes: 3,
        syscall_writes: 4,
    };
    Report::new(
        &arguments,
        &plan(&arguments).unwrap(),
        &outcome,
        backend,
        4096,
    )
}

#[test]
fn json_has_the_documented_fields() {
    let json = serde_json::to_value(report(&["--threads", "2", "--seed", "9"])).unwrap();
    assert_eq!(json["workload"], "insert-batch");
    assert_eq!(json["durability"], "sync");
    assert_eq!(json["threads"], 2);
    assert_eq!(json["docs"], 100_000);
    assert_eq!(json["value_size"], 150);
    assert_eq!(json["batch"], 100);
    assert_eq!(json["seed"], 9);
    assert_eq!(json["ops"], 100);
    assert_eq!(json["calls"], 1);
    assert_eq!(json["seconds"], 0.5);
    assert_eq!(json["ops_per_s"], 200.0);
    assert_eq!(json["file_bytes"], 4096);
    assert!(json["peak_rss_bytes"].as_u64().unwrap() > 0);
    assert_eq!(json["io_backend"], "syscalls");
    assert_eq!(json["fallbacks"][0], "io_uring: not permitted");
    assert_eq!(json["direct_io"], true);
    assert_eq!(json["ring_writes"], 3);
    assert_eq!(json["syscall_writes"], 4);
    assert_eq!(json["version"], VERSION);
    assert_eq!(json["debug_build"], DEBUG_BUILD);
    assert_eq!(json["cache_bytes"], Value::Null);
    let latency = json["latency_us"].as_object().unwrap();
    assert_eq!(
        latency.keys().collect::<Vec<_>>(),
        ["p50", "p99", "p999", "max"]
    );
    assert!((latency["p50"].as_f64().unwrap() - 80.0).abs() < 0.2);
}

#[test]
fn the_table_shows_fallbacks() {
    let table = report(&[]).table();
    assert!(table.contains("insert-batch"), "{table}");
    assert!(table.contains("io_uring: not permitted"), "{table}");
    assert!(table.contains("3 by ring, 4 by system call"), "{table}");
}
