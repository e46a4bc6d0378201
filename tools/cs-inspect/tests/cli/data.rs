//! Documents in and out, and what the reading commands say.

use std::fs;

use collection_store::{Database, Durability};

use crate::support::{Scratch, all_text, code, inspect, inspect_with_input, json};

#[test]
fn documents_that_are_dumped_and_loaded_are_the_same() {
    let scratch = Scratch::crashed(500);
    let copy = scratch.directory.path().join("new/copy");
    let copy = copy.to_str().unwrap();
    let first = inspect(&["dump", &scratch.text(), "people"]);
    assert_eq!(
        first.stdout.iter().filter(|&&byte| byte == b'\n').count(),
        500
    );
    let loaded = inspect_with_input(
        &["load", copy, "people", "-", "--batch", "7"],
        &first.stdout,
    );
    assert_eq!(code(&loaded), 0, "{}", all_text(&loaded));
    let second = inspect(&["dump", copy, "people"]);
    assert!(first.stdout == second.stdout, "the texts differ");
    let (before, after) = (json(&["info", &scratch.text()]), json(&["info", copy]));
    let people = before["collections"].as_array().unwrap().iter();
    let people = people
        .clone()
        .find(|one| one["collection"] == "people")
        .unwrap();
    assert_eq!(people["hash"], after["collections"][0]["hash"]);
    assert_eq!(code(&inspect(&["check", copy])), 0);
}

#[test]
fn a_file_appears_whole_and_holds_what_standard_output_would() {
    let scratch = Scratch::closed(100);
    let file = scratch.directory.path().join("out.ndjson");
    let output = inspect(&[
        "dump",
        &scratch.text(),
        "people",
        "--output",
        file.to_str().unwrap(),
    ]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    let printed = inspect(&["dump", &scratch.text(), "people"]);
    assert!(fs::read(&file).unwrap() == printed.stdout);
    let loaded = json(&["load", &scratch.text(), "again", file.to_str().unwrap()]);
    assert_eq!(loaded["documents"], 100);
}

#[test]
fn a_bad_line_is_named_and_what_came_before_it_stays() {
    let scratch = Scratch::closed(2);
    let text = b"{\"_id\":7}\n\n{\"_id\":8}\n{\"_id\":\n{\"_id\":9}\n";
    let output = inspect_with_input(&["load", &scratch.text(), "new", "-"], text);
    assert_eq!(code(&output), 1, "{}", all_text(&output));
    assert!(
        all_text(&output).contains("standard input, line 4"),
        "{}",
        all_text(&output)
    );
    let dumped = inspect(&["dump", &scratch.text(), "new", "--relaxed"]);
    assert_eq!(dumped.stdout, b"{\"_id\":7}\n{\"_id\":8}\n");
    let text = b"{\"_id\":10}\n{\"_id\":8}\n";
    let output = inspect_with_input(&["load", &scratch.text(), "new", "-"], text);
    assert_eq!(code(&output), 1);
    assert!(
        all_text(&output).contains("line 2: E11000"),
        "{}",
        all_text(&output)
    );
    assert_eq!(json(&["tree", &scratch.text(), "new"])["entries"], 3);
}

#[test]
fn what_makes_no_sense_ends_with_code_2() {
    let scratch = Scratch::closed(2);
    let db = scratch.text();
    let cases: [(&[&str], &str); 9] = [
        (&["frobnicate", &db], "frobnicate"),
        (&["tree", &db, "nobody"], "main.people"),
        (&["tree", &db, "--id", "4711"], "no tree 4711"),
        (&["dump", &db, "things"], "other.things"),
        (&["page", &db, "99999999"], "beyond"),
        (&["load", &db, "a\0b", "-", "--batch", "0"], "batch"),
        (
            &["--format", "json", "dump", &db, "people"],
            "one on each line",
        ),
        (
            &["page", &db, "1", "--page-size", "8192"],
            "the metas say 4096",
        ),
        (&["--timeout", "never", "info", &db], "timeout"),
    ];
    for (arguments, expected) in cases {
        let arguments: Vec<String> = arguments
            .iter()
            .map(|text| text.replace('\0', "_"))
            .collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = inspect(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", all_text(&output));
        assert!(
            all_text(&output).contains(expected),
            "{arguments:?}: {}",
            all_text(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn what_is_no_database_ends_with_code_3() {
    let scratch = Scratch::closed(2);
    let empty = scratch.directory.path().to_str().unwrap().to_owned();
    let cases = [
        (format!("{empty}/missing"), "missing"),
        (empty, "not a database"),
        (format!("{}/lock", scratch.text()), "not a directory"),
    ];
    for (directory, expected) in cases {
        for command in crate::untouched::reading_commands(&directory) {
            let output = inspect(&command);
            assert_eq!(code(&output), 3, "{command:?}: {}", all_text(&output));
            assert!(
                all_text(&output).contains(expected),
                "{}",
                all_text(&output)
            );
        }
    }
    let output = inspect(&["load", &scratch.text(), "new", "no-such-file"]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
}

#[test]
fn json_says_what_there_is() {
    let scratch = Scratch::crashed(400);
    let db = scratch.text();
    let info = json(&["info", &db]);
    assert_eq!(info["collections_count"], 3);
    assert_eq!(info["page_size"], 4096);
    assert_eq!(info["lock"]["held"], false);
    assert_eq!(info["log"]["clean"], false);
    assert!(info["log"]["records_to_replay"].as_u64().unwrap() > 0);
    assert_eq!(info["metas"].as_array().unwrap().len(), 2);

    let check = json(&["check", &db]);
    assert_eq!(
        (&check["sound"], &check["documents"]),
        (&true.into(), &401.into())
    );
    assert_eq!(check["records_to_replay"], info["log"]["records_to_replay"]);

    let tree = json(&["tree", &db, "people"]);
    assert_eq!(tree["entries"], 400);
    assert_eq!(tree["levels"][0]["entries"], 400);
    assert_eq!(tree["overflow_runs"], 8);

    let list = json(&["wal", "list", &db]);
    assert!(
        list["segments"]
            .as_array()
            .unwrap()
            .iter()
            .any(|file| file["role"] == "live")
    );
    let dump = json(&["wal", "dump", &db]);
    let records = dump["records"].as_array().unwrap();
    let puts: u64 = records
        .iter()
        .filter_map(|record| record["effects"]["put"].as_u64())
        .sum();
    assert_eq!(
        puts,
        400 + 3 + 1,
        "documents, entries of the catalog, one thing"
    );
    assert_eq!(records.last().unwrap()["verdict"], "end");
    let from = records[1]["lsn"].to_string();
    let some = json(&["wal", "dump", &db, "--from", &from, "--limit", "1"]);
    assert_eq!(some["records"][0], records[1]);
    assert_eq!(some["records"].as_array().unwrap().len(), 1);
    assert_eq!(some["limited"], true);
}

#[test]
fn page_shows_the_entries_of_each_kind() {
    let scratch = Scratch::closed(400);
    let db = scratch.text();
    let tree = json(&["tree", &db, "people"]);
    let root = json(&["page", &db, &tree["root_page"].to_string()]);
    assert_eq!(
        (&root["kind"], &root["verdict"]),
        (&"branch".into(), &"sound".into())
    );
    let child = root["content"]["entries"][0]["child"].to_string();
    let leaf = json(&["page", &db, &child, "--hex"]);
    assert_eq!(
        (&leaf["kind"], &leaf["used"]),
        (&"leaf".into(), &true.into())
    );
    assert_eq!(leaf["hex"].as_str().unwrap().len(), 2 * 4096);
    assert_eq!(json(&["page", &db, "1"])["kind"], "meta");
}

#[test]
fn an_empty_collection_survives_dump_and_load() {
    let scratch = Scratch::closed(2);
    let copy = scratch.directory.path().join("copy");
    let copy = copy.to_str().unwrap();
    let dumped = inspect(&["dump", &scratch.text(), "empty"]);
    for _ in 0..2 {
        let loaded = inspect_with_input(&["load", copy, "empty", "-"], &dumped.stdout);
        assert_eq!(code(&loaded), 0, "{}", all_text(&loaded));
    }
    let again = inspect(&["dump", copy, "empty"]);
    assert_eq!(code(&again), 0, "{}", all_text(&again));
    assert!(again.stdout.is_empty());
}

#[test]
fn load_makes_no_database_among_files_of_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    fs::write(directory.path().join("precious.txt"), "x").unwrap();
    let output = inspect_with_input(&["load", path, "new", "-"], b"{\"_id\":1}\n");
    assert_eq!(code(&output), 2, "{}", all_text(&output));
    assert!(
        all_text(&output).contains("precious.txt"),
        "{}",
        all_text(&output)
    );
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn load_says_that_the_data_file_is_missing_where_the_log_has_records() {
    let scratch = Scratch::closed(20);
    fs::remove_file(scratch.path().join("data.cs")).unwrap();
    let output = inspect_with_input(&["load", &scratch.text(), "new", "-"], b"{\"_id\":1}\n");
    assert_eq!(code(&output), 3, "{}", all_text(&output));
    for expected in ["data.cs is missing", &scratch.text()] {
        assert!(
            all_text(&output).contains(expected),
            "{}",
            all_text(&output)
        );
    }
    assert!(!scratch.path().join("data.cs").exists());
}

#[test]
fn a_dump_of_the_log_with_nothing_to_show_says_why() {
    let scratch = Scratch::closed(2);
    let output = inspect(&["wal", "dump", &scratch.text(), "--from", "99999999"]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the log ends at lsn"));
    assert!(output.stdout.is_empty());

    let directory = tempfile::tempdir().unwrap();
    let options = Database::options().durability(Durability::Memory);
    let database = options.open(directory.path()).unwrap();
    database.collection("c").create().unwrap();
    database.close().unwrap();
    let output = inspect(&["wal", "dump", directory.path().to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no log"));
}
