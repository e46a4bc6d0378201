use super::*;
use crate::kv::report::tests::small;

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
    let mut report = small(&[]);
    report.schema_version = 99;
    let text = serde_json::to_string(&report).unwrap();
    assert!(parse(&text).unwrap_err().contains("99"));
}
