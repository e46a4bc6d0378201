use std::collections::BTreeMap;

use super::*;
use crate::kv::measured::{Measured, Unit};
use crate::kv::statistics::Gathered;
use crate::latency::Summary;

/// A report as a small run would leave it.
pub(in crate::kv) fn small(values: &[(&str, &str, u64, f64)]) -> Report {
    let mut gathered = Gathered::default();
    for (engine, workload, keys, value) in values {
        let mut figure = Measured::new(*workload, 1, Unit::PerS, *value);
        figure.subject.keys = *keys;
        figure.latency_us = Some(Summary {
            p50: 80.0,
            p99: 120.5,
            p999: 200.25,
            max: 1000.0,
        });
        gathered.add(engine, vec![figure]);
    }
    let rows = gathered.rows();
    Report {
        kind: KIND.to_owned(),
        schema_version: SCHEMA_VERSION,
        version: VERSION.to_owned(),
        debug_build: true,
        value_bytes: 150,
        cache_bytes: 1 << 30,
        memory_limit: None,
        seed: 1,
        turns: 2,
        quiet: false,
        file_system: Some("ext4".to_owned()),
        kernel: None,
        processors: 2,
        ratios: ratios(&rows, is_ours),
        rows,
    }
}

fn two_turns() -> Report {
    small(&[
        ("cs", "put-1", 100, 30_000.0),
        ("lmdb", "put-1", 100, 10_000.0),
        ("cs", "put-1", 100, 10_000.0),
        ("lmdb", "put-1", 100, 10_000.0),
    ])
}

#[test]
fn a_report_comes_back_from_json_as_it_was() {
    let report = two_turns();
    let text = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = &json["rows"][0];
    assert_eq!(row["engine"], "cs");
    assert_eq!(row["workload"], "put-1");
    assert_eq!(row["unit"], "per_s");
    assert_eq!(row["median"], 20_000.0);
    assert_eq!(row["latency_us"]["p99"], 120.5);
    assert_eq!(json["ratios"][0]["ratio"], 2.0);
    assert_eq!(json["ratios"][0]["best"], true);
}

#[test]
fn the_table_shows_medians_their_spread_latencies_and_ratios() {
    let mut report = two_turns();
    let table = report.table();
    for expected in [
        "put-1",
        "20.0 k",
        "10.0 k to 30.0 k",
        "80.0 µs / 120 µs",
        "2.00*",
    ] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
    assert!(!table.contains("never came to rest"));
    report.rows[0].details = BTreeMap::from([("not_quiet".to_owned(), 1.0)]);
    assert!(report.table().contains("1 of 2 figures"));
}

#[test]
fn only_our_own_labels_are_ours() {
    assert!(is_ours("cs") && is_ours("cs-map"));
    assert!(!is_ours("redb") && !is_ours("csx"));
}
