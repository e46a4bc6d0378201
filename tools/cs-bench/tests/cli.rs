//! The program as its users meet it: exit codes, and what goes to which stream.

use std::path::Path;
use std::process::{Command, Output};

fn bench(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cs-bench"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the program starts")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_empty(directory: &Path) -> bool {
    directory
        .read_dir()
        .expect("the directory is there")
        .next()
        .is_none()
}

#[test]
fn probe_prints_one_json_object_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["probe", "--seconds", "0.02", "--json"]);
    assert!(output.status.success(), "{}", errors(&output));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(json["append_fdatasync_per_s"].as_f64().unwrap() > 0.0);
    assert!(json["waiting_writers_64_per_s"].as_f64().unwrap() > 0.0);
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 13);
    for row in rows {
        assert!(
            row["per_s"].is_f64() || row["unsupported"].is_string(),
            "{row}"
        );
    }
    assert!(is_empty(directory.path()));
}

#[test]
fn a_debug_build_says_so_on_standard_error() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["probe", "--dir", "missing"]);
    assert_eq!(
        errors(&output).contains("debug build"),
        cfg!(debug_assertions)
    );
}

#[test]
fn what_makes_no_sense_ends_with_code_2_and_an_empty_standard_output() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("precious"), "x").unwrap();
    let cases: [(&[&str], &str); 14] = [
        (&["run", "insert-1"], "--dir"),
        (&["run", "insert-9", "--dir", "new"], "insert-9"),
        (&["run", "insert-1", "--dir", "."], "not empty"),
        (&["run", "insert-1", "--dir", "precious"], "not a directory"),
        (&["run", "scan", "--dir", "new", "--batch", "7"], "--batch"),
        (&["probe", "--dir", "missing"], "not a directory"),
        (&["run", "put-9", "--dir", "new"], "put-9"),
        (
            &["run", "get", "--dir", "new", "--engine", "oracle"],
            "oracle",
        ),
        (
            &["run", "get", "--dir", "new", "--batch", "7"],
            "--level doc",
        ),
        (&["run", "get", "insert-1", "--dir", "new"], "insert-1"),
        (&["run", "get", "--dir", "precious"], "not a directory"),
        (&["compare", "precious", "precious"], "expected a report"),
        (
            &["run", "txn-zipf", "--dir", "new", "--keys", "100"],
            "640 at least",
        ),
        (&["run", "txn-hot", "get", "--dir", "new"], "get"),
    ];
    for (arguments, expected) in cases {
        let output = bench(directory.path(), arguments);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{arguments:?}: {}",
            errors(&output)
        );
        assert!(
            errors(&output).contains(expected),
            "{arguments:?}: {}",
            errors(&output)
        );
        assert!(output.stdout.is_empty());
    }
    assert!(!directory.path().join("new").exists());
}

/// The arguments of a run that is over in a moment.
const SMALL: [&str; 7] = [
    "--dir",
    "new",
    "--keys",
    "1000",
    "--seconds",
    "0.01",
    "--level",
];

fn small(directory: &Path, arguments: &[&str]) -> Output {
    let all = [&["run"], arguments, &SMALL, &["kv"]].concat();
    bench(directory, &all)
}

fn json_of(file: &Path) -> serde_json::Value {
    let text = std::fs::read(file).expect("the report was written");
    serde_json::from_slice(&text).expect("the report is JSON")
}

#[test]
fn a_run_over_keys_and_values_reports_every_row_and_leaves_only_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "all",
        "soak",
        "growth",
        "--read-path",
        "pool,map",
        "--pairs",
        "2",
        "--json",
        "a.json",
        "--plot",
        "a.svg",
    ];
    let output = small(directory.path(), &arguments);
    assert!(output.status.success(), "{}", errors(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    let report = json_of(&directory.path().join("a.json"));
    let rows = report["rows"].as_array().unwrap();
    for expected in [
        "bulk-load",
        "size-load",
        "size-load-apparent",
        "get",
        "get-fresh",
        "range-10",
        "scan",
        "put-1",
        "put-100",
        "put-1-nosync",
        "put-100-nosync",
        "queue-64",
        "mixed-writes",
        "mixed-reads",
        "delete-half",
        "size-churn",
        "memory-peak",
        "memory-anonymous",
        "close",
        "reopen",
        "reopen-killed",
        "recover",
        "soak",
        "growth-get",
        "growth-put-1",
    ] {
        assert!(table.contains(expected), "{expected} in\n{table}");
        let row = rows.iter().find(|row| row["workload"] == expected);
        let row = row.unwrap_or_else(|| panic!("{expected} in {rows:?}"));
        assert_eq!(row["engine"], "cs");
        assert_eq!(row["values"].as_array().unwrap().len(), 2);
        assert!(row["median"].as_f64().unwrap() > 0.0, "{row}");
    }
    let mapped = rows.iter().filter(|row| row["engine"] == "cs-map");
    // get with 1, 2 and 8 threads, get-fresh with 1 and 2, a range, a scan; three of growth.
    assert_eq!(mapped.count(), 10);
    let recovered = rows.iter().filter(|row| row["workload"] == "recover");
    assert_eq!(
        recovered
            .map(|row| row["keys"].as_u64().unwrap())
            .sum::<u64>(),
        400
    );
    let picture = std::fs::read_to_string(directory.path().join("a.svg")).unwrap();
    assert!(picture.starts_with("<svg") && picture.contains("growth-get"));
    assert!(!directory.path().join("new").exists());
}

#[test]
fn compare_sees_a_loss_and_nothing_where_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let output = small(directory.path(), &["get", "--json", "a.json"]);
    assert!(output.status.success(), "{}", errors(&output));
    let same = bench(directory.path(), &["compare", "a.json", "a.json"]);
    assert!(same.status.success(), "{}", errors(&same));
    let mut report = json_of(&directory.path().join("a.json"));
    let median = report["rows"][0]["median"].as_f64().unwrap();
    report["rows"][0]["median"] = (median / 2.0).into();
    std::fs::write(directory.path().join("b.json"), report.to_string()).unwrap();
    let worse = bench(directory.path(), &["compare", "a.json", "b.json"]);
    assert_eq!(worse.status.code(), Some(1));
    assert!(
        errors(&worse).contains("worse by more than 10 %: cs get"),
        "{}",
        errors(&worse)
    );
    let arguments = ["compare", "a.json", "b.json", "--tolerance", "0.6"];
    assert!(bench(directory.path(), &arguments).status.success());
}

#[test]
fn the_list_names_the_workloads_of_both_levels() {
    let directory = tempfile::tempdir().unwrap();
    let output = bench(directory.path(), &["run", "--list"]);
    assert!(output.status.success(), "{}", errors(&output));
    let list = String::from_utf8(output.stdout).unwrap();
    for expected in ["insert-1", "put-100-nosync", "growth", "all"] {
        assert!(list.contains(expected), "{list}");
    }
}

#[test]
fn an_engine_that_is_not_built_is_refused_with_the_way_to_build_it() {
    let directory = tempfile::tempdir().unwrap();
    let output = small(directory.path(), &["get", "--engine", "cs,redb"]);
    if output.status.success() {
        // A build with peers.
        return;
    }
    assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
    assert!(
        errors(&output).contains("--features peers"),
        "{}",
        errors(&output)
    );
}

/// With kills and reopenings, which the unit tests cannot do to themselves.
#[cfg(feature = "peers")]
#[test]
fn peers_run_beside_cs_survive_being_killed_and_are_compared() {
    let directory = tempfile::tempdir().unwrap();
    let mut engines = "cs,redb,redb-quick-repair,lmdb,sqlite,fjall".to_owned();
    if cfg!(feature = "peers-rocksdb") {
        engines.push_str(",rocksdb");
    }
    let workloads = ["get", "scan", "reopen", "recover", "--threads", "1"];
    let options = ["--engine", &engines, "--json", "a.json", "--plot", "a.svg"];
    let output = small(directory.path(), &[&workloads[..], &options].concat());
    assert!(output.status.success(), "{}", errors(&output));
    let report = json_of(&directory.path().join("a.json"));
    for peer in engines.split(',').skip(1) {
        let ratios = report["ratios"].as_array().unwrap();
        let of_peer = ratios.iter().filter(|ratio| ratio["to"] == peer);
        // get, scan, close, reopen, reopen-killed, and recover of two sizes.
        assert_eq!(of_peer.count(), 7, "{peer}");
    }
    assert!(!directory.path().join("new").exists());
}

#[test]
fn a_run_over_transactions_reports_rates_conflicts_and_costs() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["all", "--pairs", "2", "--json", "a.json"];
    let all = [&["run"], &arguments[..], &SMALL, &["txn"]].concat();
    let output = bench(directory.path(), &all);
    assert!(output.status.success(), "{}", errors(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    let report = json_of(&directory.path().join("a.json"));
    assert_eq!(report["kind"], "txn");
    let rows = report["rows"].as_array().unwrap();
    let of = |name: &str, threads: u64| {
        let is_it = |row: &&serde_json::Value| row["workload"] == name && row["threads"] == threads;
        let row = rows.iter().find(is_it);
        row.unwrap_or_else(|| panic!("{name} with {threads} threads"))
    };
    for name in [
        "txn-disjoint",
        "txn-zipf",
        "txn-doc-disjoint",
        "txn-doc-zipf",
    ] {
        assert!(table.contains(name), "{name}");
        for threads in [1, 4, 16, 64] {
            let row = of(name, threads);
            assert_eq!(row["values"].as_array().unwrap().len(), 2);
            let conflicts = row["details"]["conflict_rate"].as_f64().unwrap();
            let is_contended = threads > 1 && name.ends_with("zipf");
            assert!(is_contended || conflicts == 0.0, "{row}");
        }
    }
    for hot in ["txn-hot", "txn-doc-hot"] {
        let ratio = of(&format!("{hot}: disjoint over hot"), 64);
        assert!(ratio["median"].as_f64() > Some(0.0), "{ratio}");
    }
    let states = |name: &str| of(name, 1)["details"]["states"].as_f64();
    assert!(states("txn-snapshots: puts beside 10000") >= Some(9_999.0));
    assert!(states("txn-snapshot-memory: of distinct states") >= Some(9_999.0));
    let same = bench(directory.path(), &["compare", "a.json", "a.json"]);
    assert!(same.status.success(), "{}", errors(&same));
    let left = directory.path().read_dir().unwrap();
    assert_eq!(left.count(), 1, "only the report stays");
}
