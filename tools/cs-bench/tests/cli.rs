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
    let cases: [(&[&str], &str); 6] = [
        (&["run", "insert-1"], "--dir"),
        (&["run", "insert-9", "--dir", "new"], "insert-9"),
        (&["run", "insert-1", "--dir", "."], "not empty"),
        (&["run", "insert-1", "--dir", "precious"], "not a directory"),
        (&["run", "scan", "--dir", "new", "--batch", "7"], "--batch"),
        (&["probe", "--dir", "missing"], "not a directory"),
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
