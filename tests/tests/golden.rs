//! Golden cases: inputs, and what a real MongoDB answered, through the public API.
//!
//! `CS_GOLDEN_DIR` names a folder of `.ndjson` files (or `.ndjson.gz`) of the form that
//! `golden/README.md` describes; without it the folder `golden` of the tests is run.
//!
//! ```sh
//! cargo test --release -p cs-tests golden -- --nocapture
//! ```
//!
//! Ends with a line for each kind and `N passed, M failed`; the first failures of each
//! kind are shown (`CS_GOLDEN_SHOW` of them, three unless told; `CS_GOLDEN_KIND` runs one
//! kind alone).

#![allow(clippy::unwrap_used, reason = "a failed test panics")]
#![allow(clippy::expect_used, reason = "a failed test panics")]

#[path = "golden/aggregate.rs"]
mod aggregate;
#[path = "golden/case.rs"]
mod case;
#[path = "golden/exceptions.rs"]
mod exceptions;
#[path = "golden/find.rs"]
mod find;
#[path = "golden/find_and_modify.rs"]
mod find_and_modify;
#[path = "golden/index.rs"]
mod index;
#[path = "golden/order.rs"]
mod order;
#[path = "golden/same.rs"]
mod same;
#[path = "golden/update.rs"]
mod update;
#[path = "golden/validator.rs"]
mod validator;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use case::{Case, Verdict};
use collection_store::{Database, json};

/// How many failures of a kind are shown.
const SHOWN: usize = 3;

#[derive(Default)]
struct Score {
    passed: usize,
    excepted: usize,
    failed: Vec<String>,
}

/// The text of a file, unpacked.
fn text_of(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut text = String::new();
        let mut packed = flate2::read::GzDecoder::new(bytes.as_slice());
        packed.read_to_string(&mut text).unwrap();
        return text;
    }
    String::from_utf8(bytes).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.ends_with(".ndjson") || name.ends_with(".ndjson.gz")
        })
        .collect();
    files.sort();
    files
}

fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    match case.text("kind") {
        "find" | "sort" | "projection" => find::judge(database, case),
        "count" => find::judge_count(database, case),
        "distinct" => find::judge_distinct(database, case),
        "update" => update::judge(database, case),
        "findAndModify" => find_and_modify::judge(database, case),
        "aggregate" => aggregate::judge(database, case),
        "expr" => aggregate::judge_expression(database, case),
        "order" => order::judge(database, case),
        "index" => index::judge(database, case),
        "validator" => validator::judge(database, case),
        other => Verdict::wrong(format!("the kind '{other}' is not known")),
    }
}

/// The line under which a case is counted.
fn label(case: &Case<'_>) -> String {
    let is_pipeline = case.get("update").is_some_and(|update| {
        case.text("kind") == "update" && update.kind() == collection_store::values::Kind::Array
    });
    if is_pipeline {
        "update by pipeline".to_owned()
    } else {
        case.text("kind").to_owned()
    }
}

#[test]
fn golden_cases_answer_as_mongodb_did() {
    let given = std::env::var_os("CS_GOLDEN_DIR");
    let folder = given.as_ref().map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("golden"),
        PathBuf::from,
    );
    let only = std::env::var("CS_GOLDEN_KIND").ok();
    let shown: usize = std::env::var("CS_GOLDEN_SHOW")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SHOWN);
    let mut scores: BTreeMap<String, Score> = BTreeMap::new();
    let mut excepted_ids: Vec<String> = Vec::new();
    for file in files(&folder) {
        let database = Database::open_in_memory().unwrap();
        for line in text_of(&file).lines().filter(|line| !line.is_empty()) {
            let document = json::parse(line).unwrap();
            let case = Case::new(&document);
            let label = label(&case);
            if only.as_ref().is_some_and(|only| !label.starts_with(only)) {
                continue;
            }
            let verdict = judge(&database, &case);
            let score = scores.entry(label).or_default();
            match verdict {
                Verdict::Right => score.passed += 1,
                Verdict::Wrong(_) if exceptions::reason(case.text("id")).is_some() => {
                    score.excepted += 1;
                    excepted_ids.push(case.text("id").to_owned());
                }
                Verdict::Wrong(what) => {
                    score.failed.push(format!("{}: {what}", case.text("id")));
                }
            }
        }
    }
    let (mut passed, mut excepted, mut failed) = (0, 0, 0);
    for (label, score) in &scores {
        for failure in score.failed.iter().take(shown) {
            println!("  {failure}");
        }
        println!(
            "{label:20} {:6} passed {:6} failed {:4} excepted",
            score.passed,
            score.failed.len(),
            score.excepted
        );
        passed += score.passed;
        excepted += score.excepted;
        failed += score.failed.len();
    }
    for id in excepted_ids {
        println!("  excepted: {id}");
    }
    println!("{excepted} excepted, each with its reason in golden/exceptions.rs");
    println!("{passed} passed, {failed} failed");
    assert!(passed > 0, "no cases in {}", folder.display());
    assert!(
        failed * 1000 <= passed + failed,
        "{failed} cases fail, more than one in a thousand"
    );
    if given.is_none() && only.is_none() {
        for (label, floor) in exceptions::FLOORS {
            let passed = scores.get(label).map_or(0, |score| score.passed);
            assert!(
                passed >= floor,
                "{label}: {passed} cases pass, expected {floor} at least"
            );
        }
    }
}
