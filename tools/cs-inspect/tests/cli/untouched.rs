//! Nothing but `load` changes a database.

use std::fs;

use crate::support::{Scratch, all_text, code, inspect, state};

/// Every reading command on a database.
pub(crate) fn reading_commands(directory: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["info", directory],
        vec!["check", directory],
        vec!["check", "--quick", directory],
        vec!["page", directory, "0"],
        vec!["page", directory, "3", "--hex"],
        vec!["tree", directory, "people"],
        vec!["tree", directory, "--id", "0"],
        vec!["wal", "list", directory],
        vec!["wal", "dump", directory],
        vec!["pages", directory],
        vec!["pages", directory, "--summary", "--tree", "16"],
        vec!["free", directory],
        vec!["stats", directory],
        vec!["account", directory, "0"],
        vec!["account", directory, "@20000"],
        vec!["dump", directory, "people"],
        vec![
            "dump",
            directory,
            "things",
            "--database",
            "other",
            "--relaxed",
        ],
    ]
}

fn leaves_no_trace(scratch: &Scratch) {
    let path = scratch.path();
    let before = state(&path);
    for format in ["text", "json"] {
        for command in reading_commands(&scratch.text()) {
            if format == "json" && command[0] == "dump" {
                continue; // It is refused.
            }
            let mut all = vec!["--format", format];
            all.extend(&command);
            let output = inspect(&all);
            assert_eq!(code(&output), 0, "{command:?}: {}", all_text(&output));
            assert!(!output.stdout.is_empty(), "{command:?}");
            assert!(
                output.stderr.is_empty(),
                "{command:?}: {}",
                all_text(&output)
            );
            assert_eq!(state(&path), before, "{command:?}");
        }
    }
}

#[test]
fn no_command_changes_a_closed_database() {
    leaves_no_trace(&Scratch::closed(400));
}

#[test]
fn no_command_changes_a_database_that_was_not_closed() {
    leaves_no_trace(&Scratch::crashed(400));
}

#[test]
fn a_database_without_its_lock_file_does_not_get_one() {
    let scratch = Scratch::closed(10);
    fs::remove_file(scratch.path().join("lock")).unwrap();
    leaves_no_trace(&scratch);
}

#[test]
fn a_damaged_database_is_not_mended_by_looking() {
    let scratch = Scratch::closed(400);
    let bytes = fs::metadata(scratch.path().join("data.cs")).unwrap().len();
    for offset in (0..bytes).step_by(4096) {
        scratch.flip("data.cs", offset + 100);
    }
    let before = state(&scratch.path());
    for command in reading_commands(&scratch.text()) {
        let output = inspect(&command);
        let expected = match (command[0], command.get(2)) {
            ("wal", _) if command[1] == "dump" => 0,
            // What the files say without a meta, which is a finding.
            ("wal", _) | ("page", Some(&"0")) => 1,
            _ => 3,
        };
        assert_eq!(
            code(&output),
            expected,
            "{command:?}: {}",
            all_text(&output)
        );
        assert_eq!(state(&scratch.path()), before, "{command:?}");
    }
}
