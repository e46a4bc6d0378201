//! Pages, free space, bytes: what is said of them agrees with the rest.

use std::collections::BTreeMap;
use std::fs;

use collection_store::{Database, Durability};
use serde_json::Value;

use crate::support::{Scratch, all_text, code, fill, inspect, json, state};

const PAGE: u64 = 4096;

fn directory_bytes(scratch: &Scratch) -> u64 {
    let entries = fs::read_dir(scratch.path()).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn every_page_is_listed_once_and_the_sums_agree_with_check() {
    let scratch = Scratch::churned(300);
    let db = scratch.text();
    let pages = json(&["pages", &db]);
    let list = pages["pages"].as_array().unwrap();
    let file = fs::metadata(scratch.path().join("data.cs")).unwrap().len();
    assert_eq!(
        list.len() as u64 + number(&pages["preallocated_pages"]),
        file / PAGE
    );
    assert!(list.iter().enumerate().all(|(at, page)| page["page"] == at));
    let used = list.iter().filter(|page| page["state"] == "used").count() as u64;
    assert_eq!(used, number(&json(&["check", &db])["pages"]));
    let sums = pages["summary"].as_array().unwrap();
    let sum: u64 = sums.iter().map(|sum| number(&sum["pages"])).sum();
    assert_eq!(sum, list.len() as u64);
    for page in list.iter().filter(|page| page["state"] == "used") {
        let own = json(&["page", &db, &page["page"].to_string()]);
        assert_eq!((&own["used"], &own["kind"]), (&true.into(), &page["kind"]));
    }
    let tree = number(&json(&["tree", &db, "people"])["tree"]).to_string();
    let leaves = json(&[
        "pages", &db, "--tree", &tree, "--kind", "leaf", "--state", "used",
    ]);
    let levels = json(&["tree", &db, "people"]);
    assert_eq!(
        leaves["pages"].as_array().unwrap().len() as u64,
        number(&levels["levels"][0]["pages"])
    );
    let some = json(&["pages", &db, "--range", "3..6"]);
    let some: Vec<u64> = some["pages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|page| number(&page["page"]))
        .collect();
    assert_eq!(some, [3, 4, 5]);
}

#[test]
fn free_space_is_what_pages_says_is_free() {
    let open = Scratch::churned(300);
    let database = open.open();
    fill(&database, 300..310);
    database.checkpoint().unwrap();
    let scratch = open.copied();
    let db = scratch.text();
    let free = json(&["free", &db, "--limit", "100000"]);
    for state in ["free", "pending"] {
        let pages = json(&["pages", &db, "--state", state]);
        let listed: Vec<u64> = pages["pages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|page| number(&page["page"]))
            .collect();
        let mut told: Vec<u64> = Vec::new();
        let runs = free[state]["runs"].as_array().unwrap();
        for run in runs {
            told.extend(number(&run["first"])..number(&run["first"]) + number(&run["pages"]));
        }
        told.sort_unstable();
        assert_eq!(told, listed, "{state}");
        assert_eq!(number(&free[state]["pages"]), listed.len() as u64);
        let histogram = free[state]["histogram"].as_array().unwrap();
        let sum: u64 = histogram.iter().map(|step| number(&step["pages"])).sum();
        assert_eq!(sum, listed.len() as u64, "{histogram:?}");
        let longest = runs
            .iter()
            .map(|run| number(&run["pages"]))
            .max()
            .unwrap_or(0);
        assert_eq!(number(&free[state]["largest_run"]), longest);
    }
    assert!(
        number(&free["free"]["pages"]) > 0 && number(&free["pending"]["pages"]) > 0,
        "{free}"
    );
    assert!(free["pending_for_meta"]["version"].is_u64());
}

#[test]
fn the_parts_sum_to_the_directory_exactly() {
    for scratch in [
        Scratch::closed(0),
        Scratch::closed(300),
        Scratch::crashed(300),
        Scratch::churned(300),
        Scratch::without_log(300),
    ] {
        fs::write(scratch.path().join("notes.txt"), "not ours").unwrap();
        let db = scratch.text();
        let stats = json(&["stats", &db]);
        assert_eq!(stats["exact"], true, "{stats}");
        assert_eq!(
            number(&stats["sum_bytes"]),
            directory_bytes(&scratch),
            "{stats}"
        );
        let parts = stats["parts"].as_array().unwrap();
        let part = |name: &str| {
            let found = parts.iter().find(|part| part["part"] == name);
            number(&found.unwrap_or_else(|| panic!("{name}: {stats}"))["bytes"])
        };
        let sum: u64 = parts.iter().map(|part| number(&part["bytes"])).sum();
        assert_eq!(sum, directory_bytes(&scratch));
        assert_eq!(part("files of somebody else"), 8);
        assert_eq!((part("damaged pages"), part("overflow: nobody's")), (0, 0));
        // Nothing is packed and no prefix saves more than slots cost.
        let log = json(&["info", &db])["log"]["file_bytes"]
            .as_u64()
            .unwrap_or(0);
        let of_log = parts.iter().filter(|part| part["group"] == "log");
        assert_eq!(of_log.map(|part| number(&part["bytes"])).sum::<u64>(), log);
        let output = inspect(&["stats", &db]);
        assert_eq!(code(&output), 0);
        assert!(all_text(&output).contains("the size of the directory, exactly"));
    }
}

#[test]
fn a_damaged_page_is_a_part_of_its_own_and_a_finding() {
    let scratch = Scratch::churned(300);
    let db = scratch.text();
    let pages = json(&["pages", &db, "--kind", "overflow", "--state", "used"]);
    let overflow = number(&pages["pages"][0]["page"]);
    let pages = json(&[
        "pages", &db, "--kind", "leaf", "--tree", "16", "--state", "used",
    ]);
    let leaf = number(&pages["pages"][0]["page"]);
    for page in [overflow, leaf] {
        scratch.ruin(page);
        let stats = json(&["stats", &db]);
        assert_eq!(stats["exact"], true, "{stats}");
        assert_eq!(stats["findings"][0]["page"], page, "{stats}");
        for command in ["stats", "pages", "free"] {
            let output = inspect(&[command, &db]);
            assert_eq!(code(&output), 1, "{command}: {}", all_text(&output));
            assert!(all_text(&output).contains(&format!("page {page} is damaged")));
        }
        let account = inspect(&["account", &db, &page.to_string()]);
        assert_eq!(code(&account), 1, "{}", all_text(&account));
        scratch.ruin(page);
    }
}

#[test]
fn every_page_in_use_is_found_from_the_root() {
    let scratch = Scratch::churned(200);
    let db = scratch.text();
    let root = number(&json(&["tree", &db, "people"])["root_page"]);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for page in json(&["pages", &db])["pages"].as_array().unwrap() {
        let account = json(&["account", &db, &page["page"].to_string()]);
        let state = page["state"].as_str().unwrap();
        assert_eq!(account["state"], state);
        if state != "used" && state != "pending" {
            assert_eq!(
                account["free_since"].is_string(),
                state == "free",
                "{account}"
            );
            continue;
        }
        let kind = page["kind"].as_str().unwrap();
        *kinds.entry(kind.to_owned()).or_default() += 1;
        if kind.starts_with("allocation") {
            continue;
        }
        assert!(account["path"].is_array(), "{account}");
        if state == "used" && page["owner"] == "main.people" {
            let first = account["path"].get(0).map_or(number(&page["page"]), number);
            assert_eq!(first, root, "{account}");
        }
        if kind == "leaf" && account["entries"] != 0 {
            let (from, first) = (
                account["range_from"].as_str().unwrap(),
                account["first_key"].as_str().unwrap(),
            );
            assert!(from <= first, "{account}");
        }
    }
    for kind in ["leaf", "branch", "overflow"] {
        assert!(kinds.contains_key(kind), "{kinds:?}");
    }
    let by_offset = json(&["account", &db, &format!("@{}", root * PAGE + 70)]);
    assert_eq!(
        (&by_offset["page"], &by_offset["byte_in_page"]),
        (&root.into(), &70.into())
    );
}

#[test]
fn a_byte_of_the_log_belongs_to_the_record_that_wal_dump_shows_there() {
    let scratch = Scratch::crashed(300);
    let db = scratch.text();
    let records = json(&["wal", "dump", &db])["records"]
        .as_array()
        .unwrap()
        .clone();
    let list = json(&["wal", "list", &db]);
    for record in records
        .iter()
        .filter(|record| record["kind"] == "transaction")
    {
        let lsn = number(&record["lsn"]);
        let segment = list["segments"]
            .as_array()
            .unwrap()
            .iter()
            .rfind(|file| file["role"] == "live" && number(&file["header"]["base_lsn"]) <= lsn);
        let segment = segment.unwrap();
        let offset = 4096 + lsn - number(&segment["header"]["base_lsn"]);
        let name = segment["name"].as_str().unwrap();
        for (at, part) in [(0, "header"), (63, "header"), (64, "payload")] {
            let account = json(&["account", &db, &format!("@{}", offset + at), "--file", name]);
            assert_eq!(account["record"]["lsn"], lsn, "{account}");
            assert_eq!(account["record"]["part"], part, "{account}");
        }
    }
    let name = list["segments"][0]["name"].as_str().unwrap();
    assert_eq!(
        json(&["account", &db, "@7", "--file", name])["what"],
        "segment-header"
    );
}

#[test]
fn the_history_of_a_page_is_what_happened_to_its_keys() {
    let scratch = Scratch::closed(60);
    let db = scratch.text();
    let database = scratch.open();
    let people = database.collection("people");
    people.delete_one(bson::doc! { "_id": 3 }).unwrap();
    people
        .replace_one(bson::doc! { "_id": 4 }, bson::doc! { "_id": 4, "new": 1 })
        .unwrap();
    database.close().unwrap();
    drop((people, database));
    let tree = number(&json(&["tree", &db, "people"])["tree"]).to_string();
    let leaves = json(&[
        "pages", &db, "--tree", &tree, "--kind", "leaf", "--state", "used",
    ]);
    let mut operations: BTreeMap<String, u64> = BTreeMap::new();
    let mut last = Vec::new();
    let before = state(&scratch.path());
    for leaf in leaves["pages"].as_array().unwrap() {
        let history = json(&["history", &db, &leaf["page"].to_string()]);
        for one in history["operations"].as_array().unwrap() {
            *operations
                .entry(one["operation"].as_str().unwrap().to_owned())
                .or_default() += 1;
            if let (Some(key), "delete") = (one["key"].as_str(), one["operation"].as_str().unwrap())
            {
                last.push(key.to_owned());
            }
        }
        assert_eq!(history["findings"].as_array().unwrap().len(), 0);
    }
    assert_eq!(state(&scratch.path()), before);
    let leaves = leaves["pages"].as_array().unwrap().len() as u64;
    // Each leaf shows that the tree was made.
    let expected = [("create-tree", leaves), ("delete", 1), ("put", 61)];
    let expected = expected.map(|(name, count)| (name.to_owned(), count));
    assert_eq!(operations, BTreeMap::from(expected));
    assert_eq!(last.len(), 1);
    let leaf = json(&[
        "pages", &db, "--tree", &tree, "--kind", "leaf", "--state", "used",
    ])["pages"][0]["page"]
        .to_string();
    let limited = json(&["history", &db, &leaf, "--limit", "2"]);
    assert_eq!(limited["operations"].as_array().unwrap().len(), 2);
    assert!(number(&limited["hidden"]) > 0);
    let text = inspect(&["history", &db, &leaf]);
    assert!(all_text(&text).contains("put"), "{}", all_text(&text));
    let overflow =
        json(&["pages", &db, "--kind", "overflow", "--state", "used"])["pages"][0]["page"]
            .to_string();
    let history = json(&["history", &db, &overflow]);
    let puts = history["operations"].as_array().unwrap().iter();
    assert_eq!(
        puts.filter(|one| one["operation"] == "put").count(),
        1,
        "{history}"
    );
}

#[test]
fn the_picture_is_an_svg_with_a_text_for_each_cell() {
    let scratch = Scratch::churned(300);
    let db = scratch.text();
    let before = state(&scratch.path());
    let file = scratch.directory.path().join("map.svg");
    let map = json(&["map", &db, "--svg", file.to_str().unwrap()]);
    let svg = fs::read_to_string(&file).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    let cells = number(&map["cells"]) as usize;
    assert_eq!(svg.matches("<title>page").count(), 2 * cells, "two grids");
    assert!(svg.contains("leaf of main.people"));
    assert_eq!(state(&scratch.path()), before);
    let inside = scratch.path().join("map.svg");
    let output = inspect(&["map", &db, "--svg", inside.to_str().unwrap()]);
    assert_eq!(code(&output), 2, "{}", all_text(&output));
}

#[test]
fn an_empty_database_and_one_without_a_log_can_be_looked_at() {
    let directory = tempfile::tempdir().unwrap();
    for (name, durability) in [("a", Durability::Sync), ("b", Durability::Memory)] {
        let path = directory.path().join(name);
        let options = Database::options().durability(durability);
        options.open(&path).unwrap().close().unwrap();
        let db = path.to_str().unwrap();
        let svg = directory.path().join("empty.svg");
        for command in [
            vec!["pages", db],
            vec!["free", db],
            vec!["stats", db],
            vec!["account", db, "0"],
            vec!["map", db, "--svg", svg.to_str().unwrap()],
        ] {
            let output = inspect(&command);
            assert_eq!(code(&output), 0, "{command:?}: {}", all_text(&output));
        }
    }
}

#[test]
fn compaction_gives_space_back_and_keeps_every_document() {
    let scratch = Scratch::churned(600);
    let db = scratch.text();
    let before = inspect(&["dump", &db, "people"]).stdout;
    let report = json(&["compact", &db]);
    assert!(
        number(&report["bytes_after"]) < number(&report["bytes_before"]),
        "{report}"
    );
    assert!(
        inspect(&["dump", &db, "people"]).stdout == before,
        "{report}"
    );
    let output = inspect(&["check", &db]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    assert_eq!(json(&["stats", &db])["exact"], true);
    let output = inspect(&["compact", &db, "--fill", "30"]);
    assert_eq!(code(&output), 2, "{}", all_text(&output));
    let missing = scratch.directory.path().join("missing");
    let output = inspect(&["compact", missing.to_str().unwrap()]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
    assert!(!missing.exists());
    let database = scratch.open();
    let output = inspect(&["--timeout", "0.2", "compact", &db]);
    assert_eq!(code(&output), 4, "{}", all_text(&output));
    database.close().unwrap();
}

#[test]
fn wrong_input_is_refused_with_code_2() {
    let scratch = Scratch::closed(20);
    let db = scratch.text();
    let name = json(&["wal", "list", &db])["segments"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    for (arguments, expected) in [
        (vec!["pages", &db, "--range", "9..3"], "empty"),
        (vec!["pages", &db, "--range", ".."], "expected A..B"),
        (vec!["pages", &db, "--kind", "twig"], "twig"),
        (vec!["account", &db, "four"], "expected a page number"),
        (vec!["account", &db, "99999999"], "beyond"),
        (vec!["account", &db, "@99999999999"], "beyond"),
        (
            vec!["account", &db, "@1", "--file", "wal-none"],
            "there is no file wal-none",
        ),
        (
            vec!["account", &db, "1", "--file", &name],
            "needs an offset",
        ),
        (
            vec!["account", &db, "@999999999", "--file", &name],
            "beyond",
        ),
        (vec!["history", &db, "99999999"], "beyond"),
        (vec!["history", &db, "0"], "in no tree"),
        (vec!["map", &db], "--svg"),
        (vec!["free", &db, "--limit", "-1"], "-1"),
    ] {
        let output = inspect(&arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", all_text(&output));
        assert!(
            all_text(&output).contains(expected),
            "{arguments:?}: {}",
            all_text(&output)
        );
    }
}
