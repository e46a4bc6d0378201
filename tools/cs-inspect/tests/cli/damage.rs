//! Damage is found, and named.

use std::fs;

use bson::rawdoc;
use cs_base::{Lsn, TreeId};
use cs_kv::{Batch, CommitOptions, Expect};
use cs_pager::Meta;

use crate::support::{Scratch, all_text, code, fill, inspect, json};

const PAGE: u64 = 4096;

#[test]
fn a_flipped_bit_in_any_page_that_is_in_use_is_found_and_the_page_named() {
    let scratch = Scratch::closed(120);
    let db = scratch.text();
    let pages = fs::metadata(scratch.path().join("data.cs")).unwrap().len() / PAGE;
    let mut looked_at = 0;
    for page in 0..pages {
        let number = page.to_string();
        if json(&["page", &db, &number])["used"] != true {
            continue;
        }
        looked_at += 1;
        scratch.flip("data.cs", page * PAGE + 77);
        let output = inspect(&["check", &db]);
        assert!(
            [1, 3].contains(&code(&output)),
            "page {page}: {}",
            all_text(&output)
        );
        let named = format!("page {number} ");
        let text = all_text(&output);
        assert!(
            text.contains(&named) || text.contains(&format!("page {number},")),
            "{page}: {text}"
        );
        let output = inspect(&["page", &db, &number]);
        assert_eq!(code(&output), 1, "page {page}: {}", all_text(&output));
        scratch.flip("data.cs", page * PAGE + 77);
    }
    assert!(looked_at > 20, "{looked_at} pages");
    let output = inspect(&["check", &db]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
}

#[test]
fn a_damaged_leaf_is_one_finding_and_the_rest_is_still_looked_at() {
    let scratch = Scratch::closed(400);
    let db = scratch.text();
    let root = json(&["tree", &db, "people"])["root_page"].to_string();
    let root = json(&["page", &db, &root]);
    let child = root["content"]["entries"][1]["child"].as_u64().unwrap();
    scratch.flip("data.cs", child * PAGE + 1000);
    let check = json(&["check", &db]);
    let findings = check["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .all(|finding| finding["code"] == "unreadable"),
        "{findings:?}"
    );
    assert!(
        findings.iter().all(|finding| finding["page"] == child),
        "{findings:?}"
    );
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(check["pages"].as_u64().unwrap() > 30, "{check}");
    let tree = inspect(&["tree", &db, "people"]);
    assert_eq!(code(&tree), 1, "{}", all_text(&tree));
    assert!(
        all_text(&tree).contains(&format!("page {child} is damaged")),
        "{}",
        all_text(&tree)
    );
    let dump = inspect(&["dump", &db, "people"]);
    assert_eq!(code(&dump), 3, "{}", all_text(&dump));
    assert!(
        all_text(&dump).contains(&format!("page {child} is damaged")),
        "{}",
        all_text(&dump)
    );
    let other = inspect(&["dump", &db, "things", "--database", "other"]);
    assert_eq!(code(&other), 0, "{}", all_text(&other));
}

#[test]
fn a_damaged_record_is_found_and_the_last_checkpoint_still_checked() {
    let scratch = Scratch::crashed(400);
    let db = scratch.text();
    let records = json(&["wal", "dump", &db])["records"]
        .as_array()
        .unwrap()
        .clone();
    let base = json(&["wal", "list", &db])["segments"]
        .as_array()
        .unwrap()
        .clone();
    // The newest transaction but one: what follows it names it as durable.
    let known = records
        .iter()
        .filter(|record| record["kind"] == "transaction")
        .map(|r| r["lsn"].as_u64().unwrap());
    let known: Vec<u64> = known.collect();
    let lsn = known[known.len() - 2];
    let segment = base
        .iter()
        .rfind(|file| file["role"] == "live" && file["header"]["base_lsn"].as_u64().unwrap() <= lsn)
        .unwrap();
    let offset = 4096 + lsn - segment["header"]["base_lsn"].as_u64().unwrap();
    scratch.flip(segment["name"].as_str().unwrap(), offset + 100);
    for command in ["info", "check"] {
        let output = inspect(&[command, &db]);
        assert_eq!(code(&output), 1, "{}", all_text(&output));
        assert!(
            all_text(&output).contains(&format!("lsn {lsn}")),
            "{}",
            all_text(&output)
        );
    }
    let check = json(&["check", &db]);
    assert_eq!(check["findings"][0]["code"], "log-corrupt");
    assert_eq!(check["findings"][0]["lsn"], lsn);
    assert_eq!(check["log_replayed"], false);
    assert!(check["documents"].as_u64().unwrap() >= 200, "{check}");
    assert_eq!(code(&inspect(&["wal", "list", &db])), 1);
    assert_eq!(code(&inspect(&["wal", "dump", &db])), 1);
}

#[test]
fn a_file_that_is_all_nonsense_ends_with_code_3() {
    let scratch = Scratch::closed(10);
    fs::write(scratch.path().join("data.cs"), vec![7; 65_536]).unwrap();
    for command in ["info", "check"] {
        let output = inspect(&[command, &scratch.text()]);
        assert_eq!(code(&output), 3, "{}", all_text(&output));
        assert!(
            all_text(&output).contains("neither meta is valid"),
            "{}",
            all_text(&output)
        );
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn documents_that_are_none_or_lie_under_a_wrong_key_are_found() {
    let scratch = Scratch::closed(10);
    let db = scratch.text();
    let database = scratch.open();
    let tree = TreeId(json(&["tree", &db, "people"])["tree"].as_u64().unwrap() as u32);
    let mut batch = Batch::new();
    batch.put(
        tree,
        vec![0x58],
        rawdoc! { "_id": 1 }.into_bytes(),
        Expect::Any,
    );
    batch.put(tree, vec![0xb4, 0], vec![5, 0, 0, 0, 7], Expect::Any);
    batch.put(
        tree,
        vec![0xb4, 1],
        rawdoc! { "a": 1, "_id": true }.into_bytes(),
        Expect::Any,
    );
    database
        .store()
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    database.close().unwrap();
    let check = json(&["check", &db]);
    let findings = check["findings"].as_array().unwrap();
    let codes: Vec<&str> = findings
        .iter()
        .map(|one| one["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["wrong-key", "invalid-document", "invalid-document"],
        "{findings:?}"
    );
    assert!(
        findings[0]["text"]
            .as_str()
            .unwrap()
            .contains("under key 58"),
        "{findings:?}"
    );
    assert_eq!(code(&inspect(&["check", &db])), 1);
    assert_eq!(
        code(&inspect(&["check", &db, "--quick"])),
        0,
        "no documents are looked at"
    );
}

#[test]
fn a_log_that_does_not_reach_back_to_the_older_meta_is_a_finding() {
    let scratch = Scratch::closed(10);
    let db = scratch.text();
    let database = scratch.open();
    for round in 1..10 {
        fill(&database, 400 * round..400 * (round + 1));
        database.store().checkpoint().unwrap();
    }
    database.close().unwrap();
    let output = inspect(&["check", &db]);
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    let info = json(&["info", &db]);
    assert!(info["log"]["first_lsn"].as_u64().unwrap() > 0, "{info}");
    let older = usize::from(info["metas"][0]["newest"] == true);
    let path = scratch.path().join("data.cs");
    let mut bytes = fs::read(&path).unwrap();
    let at = older * 4096..(older + 1) * 4096;
    let mut meta = Meta::decode(bytes[at.clone()].try_into().unwrap()).unwrap();
    meta.root.lsn = Lsn(0);
    meta.root.chain = 0;
    bytes[at].copy_from_slice(&meta.encode());
    fs::write(&path, bytes).unwrap();
    let check = json(&["check", &db]);
    let findings = check["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["code"], "older-meta-unreachable");
    assert_eq!(check["log_replayed"], true, "the newer meta serves");
    assert_eq!(code(&inspect(&["check", &db])), 1);
}

#[test]
fn without_a_valid_meta_pages_and_log_can_still_be_looked_at() {
    let scratch = Scratch::closed(200);
    let db = scratch.text();
    let root = json(&["tree", &db, "people"])["root_page"].to_string();
    for offset in [100, 4196] {
        scratch.flip("data.cs", offset);
    }
    let output = inspect(&["page", &db, "0"]);
    assert_eq!(code(&output), 1, "{}", all_text(&output));
    for expected in ["meta 0", "meta 1", "not valid"] {
        assert!(
            all_text(&output).contains(expected),
            "{}",
            all_text(&output)
        );
    }
    let output = inspect(&["page", &db, "1"]);
    assert_eq!(code(&output), 1, "{}", all_text(&output));
    assert!(!all_text(&output).contains("meta 0"));
    let output = inspect(&["page", &db, &root]);
    assert_eq!(code(&output), 3, "{}", all_text(&output));
    assert!(all_text(&output).contains("--page-size"));
    let page = json(&["page", &db, &root, "--page-size", "4096"]);
    assert_eq!(page["verdict"], "sound", "{page}");
    let wrong = inspect(&["page", &db, &root, "--page-size", "8192"]);
    assert_eq!(code(&wrong), 1, "{}", all_text(&wrong));
    let list = json(&["wal", "list", &db]);
    let segments = list["segments"].as_array().unwrap();
    assert!(segments.iter().any(|one| one["role"] == "live"), "{list}");
    assert_eq!(list["findings"].as_array().unwrap().len(), 2, "{list}");
    assert_eq!(code(&inspect(&["wal", "list", &db])), 1);
    assert_eq!(code(&inspect(&["wal", "dump", &db])), 0);
}
