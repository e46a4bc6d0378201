//! `backup`, `verify-backup`, `restore`.

use std::fs;
use std::path::Path;

use collection_store::Database;

use crate::support::{Scratch, all_text, code, fill, inspect, inspect_with_input, json, state};

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn documents(directory: &str) -> Vec<u8> {
    let output = inspect(&["dump", directory, "people"]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    output.stdout
}

#[test]
fn a_backup_of_a_crashed_database_is_restored_whole() {
    let scratch = Scratch::crashed(200);
    let before = state(&scratch.path());
    let file = text(&scratch.directory.path().join("db.csb"));
    let made = json(&["backup", &scratch.text(), "--output", &file]);
    assert_eq!(state(&scratch.path()), before, "the database was only read");
    let found = json(&["verify-backup", &file]);
    assert_eq!(found["sound"], true);
    assert_eq!(found["backup"], made["backup"]);
    assert_eq!(
        found["backup"]["file_bytes"],
        fs::metadata(&file).unwrap().len()
    );
    let bytes = fs::read(&file).unwrap();
    for (name, source) in [("one", file.as_str()), ("two", "-")] {
        let new = text(&scratch.directory.path().join(name));
        let output = inspect_with_input(&["restore", source, &new], &bytes);
        assert_eq!(code(&output), 0, "{}", all_text(&output));
        assert!(String::from_utf8_lossy(&output.stdout).contains("restored in"));
        assert_eq!(code(&inspect(&["check", &new])), 0);
        assert_eq!(documents(&new), documents(&scratch.text()));
        let copy = Database::open(&new).unwrap();
        assert_eq!(copy.list_databases().unwrap(), ["main", "other"]);
    }
    let output = inspect_with_input(&["verify-backup", "-"], &bytes);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
}

#[test]
fn a_database_in_use_is_backed_up() {
    let scratch = Scratch::closed(100);
    let database = scratch.open();
    fill(&database, 100..150);
    database.flush().unwrap();
    let file = text(&scratch.directory.path().join("live.csb"));
    let made = json(&[
        "backup",
        &scratch.text(),
        "-o",
        &file,
        "--compression",
        "gzip",
    ]);
    assert!(made["backup"]["entries"].as_u64().unwrap() > 150);
    assert_eq!(json(&["verify-backup", &file])["sound"], true);
}

#[test]
fn an_unfinished_backup_is_gone_on_with_unless_told_otherwise() {
    let scratch = Scratch::closed(300);
    let path = |name| text(&scratch.directory.path().join(name));
    json(&["backup", &scratch.text(), "-o", &path("a.csb")]);
    let whole = fs::read(path("a.csb")).unwrap();
    fs::write(path("b.csb.partial"), &whole[..whole.len() - 5]).unwrap();
    let made = json(&["backup", &scratch.text(), "-o", &path("b.csb")]);
    assert_eq!(made["backup"]["attempts"], 2);
    assert_eq!(made["backup"]["kept_chunks"], made["backup"]["chunks"]);
    assert!(
        made["written"].as_u64().unwrap() < whole.len() as u64 / 2,
        "{made}"
    );
    fs::write(path("c.csb.partial"), &whole[..whole.len() - 5]).unwrap();
    let made = json(&["backup", &scratch.text(), "-o", &path("c.csb"), "--fresh"]);
    assert_eq!(made["backup"]["attempts"], 1);
    assert_eq!(fs::read(path("c.csb")).unwrap(), whole);
}

#[test]
fn damage_is_a_finding_and_is_not_restored() {
    let scratch = Scratch::closed(50);
    let file = text(&scratch.directory.path().join("db.csb"));
    json(&["backup", &scratch.text(), "-o", &file]);
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&file, bytes).unwrap();
    let output = inspect(&["--format", "json", "verify-backup", &file]);
    assert_eq!(code(&output), 1, "{}", all_text(&output));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["findings"][0]["code"], "backup-damaged");
    let new = scratch.directory.path().join("new");
    let output = inspect(&["restore", &file, &text(&new)]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
    assert!(!new.exists(), "nothing was made");
}

#[test]
fn wrong_input_is_refused_by_its_name() {
    let scratch = Scratch::closed(10);
    let db = scratch.text();
    let file = text(&scratch.directory.path().join("db.csb"));
    json(&["backup", &db, "-o", &file]);
    let missing = text(&scratch.directory.path().join("nowhere"));
    let strange = text(&scratch.directory.path().join("a b"));
    let within = text(&scratch.path().join("x.csb"));
    let deep = format!("{missing}/x.csb");
    for (arguments, expected, says) in [
        (vec!["backup", &db, "-o", &file], 2, "already"),
        (vec!["backup", &db], 2, "--output"),
        (vec!["backup", &db, "-o", &strange], 2, "file name"),
        (
            vec!["backup", &db, "-o", &within],
            2,
            "directory of a database",
        ),
        (vec!["backup", &db, "-o", &deep], 3, "nowhere"),
        (vec!["backup", &missing, "-o", &strange], 3, "nowhere"),
        (
            vec!["backup", &db, "-o", &missing, "--limit", "0"],
            2,
            "--limit",
        ),
        (vec!["verify-backup", &missing], 3, "nowhere"),
        (vec!["verify-backup", &db], 2, "directory"),
        (vec!["verify-backup"], 2, "FILE"),
        (vec!["restore", &file, &db], 2, "data.cs"),
        (
            vec!["restore", &file, &missing, "--page-size", "100"],
            2,
            "power of two",
        ),
        (vec!["restore", &missing, &strange], 3, "nowhere"),
    ] {
        let output = inspect(&arguments);
        let shown = all_text(&output);
        assert_eq!(code(&output), expected, "{arguments:?}: {shown}");
        assert!(shown.contains(says), "{arguments:?}: {shown}");
    }
    for command in ["backup", "verify-backup", "restore"] {
        let output = inspect(&[command, "--help"]);
        assert_eq!(code(&output), 0);
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("Examples:"),
            "{command}"
        );
    }
}
