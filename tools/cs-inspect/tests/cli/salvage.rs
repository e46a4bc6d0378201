//! What is saved of a damaged database, compared with what was in it.

mod any;

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use crate::support::{Scratch, all_text, code, inspect, json, state};

/// Documents by collection, as lines.
type Model = BTreeMap<String, Vec<String>>;

fn dump(db: &str) -> Model {
    let info = json(&["info", db]);
    let collections = info["collections"].as_array().unwrap().iter();
    collections
        .map(|one| {
            let (database, name) = (
                one["database"].as_str().unwrap(),
                one["collection"].as_str().unwrap(),
            );
            let output = inspect(&["dump", db, name, "--database", database]);
            assert_eq!(code(&output), 0, "{}", all_text(&output));
            let text = String::from_utf8(output.stdout).unwrap();
            (
                format!("{database}.{name}"),
                text.lines().map(str::to_owned).collect(),
            )
        })
        .collect()
}

struct Saved {
    report: Value,
    code: i32,
    documents: Model,
}

/// Salvages, checks that the old database is as it was and the new one sound.
fn salvage(scratch: &Scratch) -> Saved {
    let before = state(&scratch.path());
    let parent = tempfile::tempdir().unwrap();
    let new = parent.path().join("saved");
    let new = new.to_str().unwrap();
    let output = inspect(&["--format", "json", "salvage", &scratch.text(), "-o", new]);
    assert!([0, 1].contains(&code(&output)), "{}", all_text(&output));
    assert_eq!(
        state(&scratch.path()),
        before,
        "the damaged database was changed"
    );
    let check = inspect(&["check", new]);
    assert_eq!(code(&check), 0, "{}", all_text(&check));
    assert_eq!(
        fs::read_dir(parent.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
    Saved {
        report: serde_json::from_slice(&output.stdout).unwrap(),
        code: code(&output),
        documents: dump(new),
    }
}

impl Saved {
    /// Nothing that was not there at the end: neither invented nor risen again.
    fn assert_within(&self, model: &Model, why: &str) {
        let all: Vec<&String> = model.values().flatten().collect();
        for (name, lines) in &self.documents {
            let home = model.get(name);
            for line in lines {
                let known = home.map_or(all.contains(&line), |lines| lines.contains(line));
                assert!(known, "{why}: {name} has {line}: {}", self.report);
            }
        }
    }

    fn count(&self) -> usize {
        self.documents.values().map(Vec::len).sum()
    }
}

fn used_pages(db: &str) -> Vec<Value> {
    let pages = json(&["pages", db, "--state", "used"]);
    pages["pages"].as_array().unwrap().clone()
}

fn page_of(db: &str, kind: &str, owner: &str) -> u64 {
    let found = used_pages(db)
        .into_iter()
        .find(|page| page["kind"] == kind && (owner.is_empty() || page["owner"] == owner));
    found.unwrap()["page"].as_u64().unwrap()
}

fn total(model: &Model) -> usize {
    model.values().map(Vec::len).sum()
}

#[test]
fn of_a_sound_database_everything_is_saved() {
    for scratch in [
        Scratch::closed(300),
        Scratch::crashed(300),
        Scratch::churned(300),
        Scratch::without_log(300),
        Scratch::closed(0),
    ] {
        let model = dump(&scratch.text());
        let saved = salvage(&scratch);
        assert_eq!(saved.code, 0, "{}", saved.report);
        assert_eq!(saved.report["whole"], true);
        assert!(saved.documents == model, "{}", saved.report);
    }
}

#[test]
fn whatever_single_page_is_lost_nothing_is_invented_and_what_is_missing_is_counted() {
    let intact = Scratch::without_log(300);
    let model = dump(&intact.text());
    let pages = used_pages(&intact.text());
    assert!(pages.len() > 10, "{}", pages.len());
    for page in &pages {
        let scratch = intact.copied();
        let number = page["page"].as_u64().unwrap();
        scratch.ruin(number);
        let saved = salvage(&scratch);
        let why = page.to_string();
        saved.assert_within(&model, &why);
        let kind = page["kind"].as_str().unwrap();
        let missing = total(&model) - saved.count();
        let said: u64 = saved.report["trees"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|tree| tree["tree"].as_u64().unwrap() >= 16)
            .filter_map(|tree| tree["missing_at_checkpoint"].as_u64())
            .sum();
        match kind {
            // What it held is gone, and no more.
            "leaf" if page["tree"].as_u64().unwrap() >= 16 => {
                assert_eq!(missing as u64, said, "{why}: {}", saved.report);
                assert!(missing > 0 && saved.code == 1, "{why}: {}", saved.report);
            }
            "overflow" => {
                assert_eq!(
                    (missing, said, saved.code),
                    (1, 1, 1),
                    "{why}: {}",
                    saved.report
                );
            }
            // Branches, directory, catalog and map hold no documents.
            _ => assert_eq!(missing, 0, "{why}: {}", saved.report),
        }
        if kind == "branch" || kind.starts_with("allocation") {
            assert!(saved.documents == model, "{why}: {}", saved.report);
            assert_eq!(saved.code, 0, "{why}: {}", saved.report);
        }
    }
}

#[test]
fn with_a_log_that_reaches_far_enough_back_a_lost_page_costs_nothing() {
    let intact = Scratch::crashed(200);
    let model = dump(&intact.text());
    for page in used_pages(&intact.text()) {
        let number = page["page"].as_u64().unwrap();
        let scratch = intact.copied();
        scratch.ruin(number);
        let saved = salvage(&scratch);
        saved.assert_within(&model, &page.to_string());
        let documents: usize = saved.count();
        assert_eq!(documents, total(&model), "{page}: {}", saved.report);
    }
}

#[test]
fn the_state_before_and_the_log_give_back_what_changed_between_them() {
    let scratch = Scratch::churned(300);
    let db = scratch.text();
    let database = scratch.open();
    let people = database.collection("people");
    people.delete_one(bson::doc! { "_id": 120 }).unwrap();
    people
        .insert_one(bson::doc! { "_id": 1_000_000, "late": true })
        .unwrap();
    database.close().unwrap();
    drop((people, database));
    let model = dump(&db);
    // The branch above all leaves was written anew; the one before is still there.
    scratch.ruin(page_of(&db, "branch", "main.people"));
    let saved = salvage(&scratch);
    assert!(saved.documents == model, "{}", saved.report);
    assert_eq!(saved.code, 0, "{}", saved.report);
    let people = saved.report["trees"].as_array().unwrap().iter();
    let people = people
        .clone()
        .find(|tree| tree["name"] == "main.people")
        .unwrap();
    assert!(people["from_older_state"].as_u64().unwrap() > 0, "{people}");
}

#[test]
fn without_both_metas_the_newest_state_is_found_by_its_pages() {
    for scratch in [
        Scratch::closed(200),
        Scratch::crashed(200),
        Scratch::churned(200),
        Scratch::without_log(200),
    ] {
        let model = dump(&scratch.text());
        for offset in [100, 4196] {
            scratch.flip("data.cs", offset);
        }
        let saved = salvage(&scratch);
        assert!(saved.documents == model, "{}", saved.report);
        assert_eq!(saved.code, 1, "nobody can prove it: {}", saved.report);
    }
}

#[test]
fn without_the_newest_meta_the_older_one_and_the_log_serve() {
    let scratch = Scratch::churned(200);
    let model = dump(&scratch.text());
    let newest = json(&["info", &scratch.text()])["metas"][1]["newest"] == true;
    scratch.flip("data.cs", 100 + 4096 * u64::from(newest));
    let saved = salvage(&scratch);
    assert!(saved.documents == model, "{}", saved.report);
}

#[test]
fn without_the_data_file_as_a_whole_the_log_gives_what_it_has() {
    let scratch = Scratch::crashed(200);
    let model = dump(&scratch.text());
    fs::write(scratch.path().join("data.cs"), b"").unwrap();
    let saved = salvage(&scratch);
    assert!(saved.documents == model, "{}", saved.report);
    fs::remove_file(scratch.path().join("data.cs")).unwrap();
    let output = inspect(&["salvage", &scratch.text(), "-o", "/tmp/never-made"]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
}

#[test]
fn records_behind_a_ruined_header_are_still_found() {
    let intact = Scratch::crashed(300);
    let model = dump(&intact.text());
    let list = json(&["wal", "list", &intact.text()]);
    let segments = list["segments"].as_array().unwrap().iter();
    let live: Vec<String> = segments
        .filter(|one| one["role"] == "live")
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(!live.is_empty());
    for name in &live {
        let scratch = intact.copied();
        let path = scratch.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[..4096].fill(0);
        fs::write(&path, bytes).unwrap();
        let saved = salvage(&scratch);
        assert!(saved.documents == model, "{}: {}", name, saved.report);
    }
}

#[test]
fn behind_a_lost_record_later_ones_still_count_and_the_gap_is_told() {
    let open = Scratch::closed(100);
    let database = open.open();
    for id in 1000..1010 {
        let document = bson::doc! { "_id": id };
        database.collection("people").insert_one(document).unwrap();
        database.flush().unwrap();
    }
    let scratch = open.copied();
    database.close().unwrap();
    let db = scratch.text();
    let model = dump(&db);
    let records = json(&["wal", "dump", &db])["records"]
        .as_array()
        .unwrap()
        .clone();
    let meta = json(&["info", &db])["metas"].as_array().unwrap().clone();
    let checkpoint = meta
        .iter()
        .map(|meta| meta["checkpoint_lsn"].as_u64().unwrap())
        .max();
    let news: Vec<u64> = records
        .iter()
        .filter(|record| record["kind"] == "transaction")
        .map(|record| record["lsn"].as_u64().unwrap())
        .filter(|lsn| Some(*lsn) >= checkpoint)
        .collect();
    let list = json(&["wal", "list", &db]);
    assert_eq!(news.len(), 10);
    let lost = news[3];
    let segment = list["segments"]
        .as_array()
        .unwrap()
        .iter()
        .rfind(|file| {
            file["role"] == "live" && file["header"]["base_lsn"].as_u64().unwrap() <= lost
        })
        .unwrap();
    let base = segment["header"]["base_lsn"].as_u64().unwrap();
    scratch.flip(segment["name"].as_str().unwrap(), 4096 + lost - base + 80);
    let saved = salvage(&scratch);
    assert_eq!(saved.code, 1, "{}", saved.report);
    saved.assert_within(&model, "a record is lost");
    let gap = &saved.report["log_gaps"][0];
    let (from, to) = (
        gap["from_lsn"].as_u64().unwrap(),
        gap["to_lsn"].as_u64().unwrap(),
    );
    assert!(
        from <= lost && lost < to && to <= news[4],
        "{}",
        saved.report
    );
    assert!(
        saved.count() >= total(&model) - 2,
        "one is lost, the newest may be: {}",
        saved.report
    );
    let lines = &saved.documents["main.people"];
    assert!(
        !lines.iter().any(|line| line.contains("\"1003\"")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("\"1008\"")),
        "{lines:?}"
    );
}

#[test]
fn collections_that_have_lost_their_names_get_new_ones_and_keep_their_documents() {
    let scratch = Scratch::without_log(100);
    let model = dump(&scratch.text());
    scratch.ruin(page_of(&scratch.text(), "leaf", "(catalog)"));
    let saved = salvage(&scratch);
    assert_eq!(saved.code, 1);
    let names: Vec<&str> = saved.documents.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["salvaged.tree_16", "salvaged.tree_17"],
        "{}",
        saved.report
    );
    assert_eq!(saved.documents["salvaged.tree_16"], model["main.people"]);
    assert_eq!(saved.documents["salvaged.tree_17"], model["other.things"]);
}

#[test]
fn a_dropped_collection_does_not_come_back() {
    let scratch = Scratch::without_log(100);
    let options =
        collection_store::Database::options().durability(collection_store::Durability::Memory);
    let database = options.open(scratch.path()).unwrap();
    database.collection("people").drop_collection().unwrap();
    database.close().unwrap();
    drop(database);
    let model = dump(&scratch.text());
    for page in used_pages(&scratch.text()) {
        let damaged = scratch.copied();
        let number = page["page"].as_u64().unwrap();
        if page["kind"].as_str().unwrap().starts_with("allocation") {
            continue; // Without the map, directory and catalog still say so.
        }
        damaged.ruin(number);
        let saved = salvage(&damaged);
        saved.assert_within(&model, &page.to_string());
    }
}

#[test]
fn what_a_session_has_sent_is_still_known() {
    let scratch = Scratch::closed(5);
    let mut options = cs_kv::CommitOptions::default();
    options.session = Some(cs_kv::SessionStatement {
        session: [7; 16],
        number: 3,
        results: b"done".to_vec(),
    });
    let send = |database: &collection_store::Database| {
        let store = database.store();
        let written = store.write(&cs_kv::Batch::new(), &options);
        written.and_then(|ticket| ticket.wait()).map(drop)
    };
    let database = scratch.open();
    send(&database).unwrap();
    database.close().unwrap();
    drop(database);
    let new = scratch.directory.path().join("saved");
    let output = inspect(&["salvage", &scratch.text(), "-o", new.to_str().unwrap()]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    let database = collection_store::Database::open(&new).unwrap();
    let again = send(&database);
    assert!(
        matches!(&again, Err(cs_kv::Error::AlreadyApplied { number: 3, results }) if results == b"done"),
        "{again:?}"
    );
}

#[test]
fn what_makes_no_sense_and_what_is_in_use_is_refused() {
    let scratch = Scratch::closed(10);
    let db = scratch.text();
    let parent = scratch.directory.path();
    let full = parent.join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("x"), "x").unwrap();
    let inside = scratch.path().join("new");
    let file = parent.join("file");
    fs::write(&file, "x").unwrap();
    for (output, expected) in [
        (&full, "not empty"),
        (&inside, "within"),
        (&file, "cannot be used"),
    ] {
        let output = inspect(&["salvage", &db, "-o", output.to_str().unwrap()]);
        assert_eq!(code(&output), 2, "{}", all_text(&output));
        assert!(
            all_text(&output).contains(expected),
            "{}",
            all_text(&output)
        );
    }
    let new = parent.join("new");
    let new = new.to_str().unwrap();
    let output = inspect(&["salvage", &db, "-o", new, "--page-size", "8192"]);
    assert_eq!(code(&output), 2, "{}", all_text(&output));
    let database = scratch.open();
    let output = inspect(&["salvage", &db, "-o", new]);
    if json(&["info", &db])["lock"]["held"] == true {
        assert_eq!(code(&output), 4, "{}", all_text(&output));
    }
    database.close().unwrap();
    drop(database);
    fs::write(scratch.path().join("data.cs"), vec![9; 100_000]).unwrap();
    for entry in fs::read_dir(scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("wal-") {
            fs::remove_file(path).unwrap();
        }
    }
    let output = inspect(&["salvage", &db, "-o", new]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
    assert!(
        all_text(&output).contains("nothing to salvage"),
        "{}",
        all_text(&output)
    );
    assert!(!std::path::Path::new(new).exists());
}
