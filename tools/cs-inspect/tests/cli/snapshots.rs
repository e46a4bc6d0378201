//! Named snapshots: what `check` proves of them, and what `stats` shows.

use bson::doc;

use crate::support::{Scratch, all_text, code, inspect, json};

fn with_snapshot() -> Scratch {
    let scratch = Scratch::closed(500);
    let database = scratch.open();
    database.create_snapshot("then").unwrap();
    let people = database.collection("people");
    people.delete_many(doc! { "_id": { "$gte": 100 } }).unwrap();
    database.close().unwrap();
    scratch
}

#[test]
fn stats_and_check_show_the_named_snapshots() {
    let scratch = with_snapshot();
    let stats = json(&["stats", &scratch.text()]);
    assert_eq!(stats["exact"], true, "{stats}");
    let list = stats["snapshots"].as_array().unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0]["name"], "then");
    let kept = list[0]["bytes"].as_u64().unwrap();
    assert!(kept > 50_000 && kept.is_multiple_of(4096), "{stats}");
    let checked = json(&["check", &scratch.text()]);
    assert_eq!(checked["snapshots"], 1);
    assert_eq!(checked["sound"], true, "{checked}");
    let text = all_text(&inspect(&["check", &scratch.text()]));
    assert!(text.contains("1 named snapshot too"), "{text}");
    let text = all_text(&inspect(&["stats", &scratch.text()]));
    assert!(text.contains("then"), "{text}");
}

#[test]
fn a_backup_may_be_of_a_named_snapshot() {
    let scratch = with_snapshot();
    let file = scratch.directory.path().join("then.csb");
    let file = file.to_str().unwrap();
    let arguments = ["backup", &scratch.text(), "--snapshot", "then", "-o", file];
    let made = json(&arguments);
    assert_eq!(made["backup"]["entries"], 504, "{made}");
    let none = ["backup", &scratch.text(), "--snapshot", "no", "-o", file];
    let output = inspect(&none);
    assert_eq!(code(&output), 2, "{}", all_text(&output));
    assert_eq!(code(&inspect(&["verify-backup", file])), 0);
}

#[test]
fn a_bit_that_turned_in_a_page_of_a_named_snapshot_is_found() {
    let scratch = with_snapshot();
    let pages = json(&["pages", &scratch.text()]);
    let free = pages["pages"].as_array().unwrap().iter();
    let mut found = 0;
    for page in free.filter(|page| page["state"] == "free" || page["state"] == "pending") {
        let number = page["page"].as_u64().unwrap();
        scratch.ruin(number);
        let output = inspect(&["check", &scratch.text()]);
        found += u64::from(code(&output) == 1 && all_text(&output).contains("'then'"));
        scratch.ruin(number);
    }
    let stats = json(&["stats", &scratch.text()]);
    let kept = stats["snapshots"][0]["bytes"].as_u64().unwrap() / 4096;
    let summary = json(&["pages", &scratch.text(), "--summary"]);
    assert!(
        found + 2 >= kept && found > 0,
        "found {found} of {kept}: {summary}"
    );
}
