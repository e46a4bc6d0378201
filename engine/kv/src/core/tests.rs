use std::collections::BTreeSet;

const SOURCE: &str = include_str!("../core.rs");

/// The names in backticks in the first column of the module's table.
fn documented() -> BTreeSet<&'static str> {
    let rows = SOURCE
        .lines()
        .filter_map(|line| line.strip_prefix("//! | `"));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells
        .flat_map(|cell| cell.split(", ").map(|name| name.trim_matches('`')))
        .collect()
}

/// The fields of the struct.
fn fields() -> BTreeSet<&'static str> {
    let body = SOURCE
        .split("pub(crate) struct Core {")
        .nth(1)
        .unwrap_or_default();
    let body = body.split("\n}").next().unwrap_or_default();
    let fields = body
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//"));
    let names = fields.filter_map(|line| line.split_once(": ").map(|(name, _)| name));
    names
        .map(|name| name.trim_start_matches("pub(crate) "))
        .collect()
}

#[test]
fn the_table_says_of_each_piece_of_shared_state_where_it_hangs() {
    assert!(fields().len() > 10, "the struct was found");
    assert_eq!(documented(), fields());
}
