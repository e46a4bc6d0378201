use super::*;
use crate::kv::report::tests::small as made;

/// A report as `compare` reads it.
fn small(rows: &[(&str, &str, u64, f64)]) -> Report {
    parse(&serde_json::to_string(&made(rows)).unwrap()).unwrap()
}

#[test]
fn a_loss_beyond_the_tolerance_is_seen_and_a_gain_is_none() {
    let before = small(&[
        ("cs", "get", 100, 100.0),
        ("cs", "scan", 100, 100.0),
        ("cs", "put-1", 100, 100.0),
    ]);
    let after = small(&[
        ("cs", "get", 100, 89.0),
        ("cs", "scan", 100, 91.0),
        ("cs", "put-1", 100, 300.0),
        ("lmdb", "get", 100, 1.0),
    ]);
    let changes = changes(&before, &after);
    assert_eq!(changes.len(), 3);
    let worse: Vec<bool> = changes
        .iter()
        .map(|change| is_worse(change, 0.10))
        .collect();
    assert_eq!(worse, [true, false, false]);
    let table = table(&changes, 0.10);
    for expected in ["0.89", "worse", "3.00", "better"] {
        assert!(table.contains(expected), "{expected} in\n{table}");
    }
}

#[test]
fn rows_of_another_size_are_not_compared() {
    let before = small(&[("cs", "get", 100, 1.0)]);
    let after = small(&[("cs", "get", 200, 1.0)]);
    assert!(changes(&before, &after).is_empty());
}

#[test]
fn other_files_are_refused() {
    assert!(parse("{}").unwrap_err().contains("expected a report"));
    let mut report = made(&[]);
    report.schema_version = 99;
    let text = serde_json::to_string(&report).unwrap();
    assert!(parse(&text).unwrap_err().contains("99"));
}

#[test]
fn reports_of_transactions_are_compared_with_their_like_alone() {
    let txn = |durability: &str| {
        let text = serde_json::to_string(&made(&[("cs", "txn-zipf", 100, 1.0)])).unwrap();
        let mut report: serde_json::Value = serde_json::from_str(&text).unwrap();
        report["kind"] = "txn".into();
        report["durability"] = durability.into();
        parse(&report.to_string()).unwrap()
    };
    let (sync, relaxed) = (txn("sync"), txn("async"));
    assert_eq!(sync.is_unlike(&sync), None);
    assert_eq!(changes(&sync, &sync).len(), 1);
    let reason = sync.is_unlike(&relaxed).unwrap();
    assert!(reason.contains("durability"), "{reason}");
    let reason = sync.is_unlike(&small(&[])).unwrap();
    assert!(reason.contains("level, found txn and kv"), "{reason}");
}
