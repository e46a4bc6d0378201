use super::*;

#[test]
fn the_parts_of_a_large_budget_are_what_was_asked_for() {
    let asked = LogOptions::default();
    assert_eq!(for_log(1 << 30, &asked), asked);
    assert_eq!(for_chunk(1 << 30), MAX_PART);
    assert_eq!(for_sorting(1 << 30, 64 << 20), 64 << 20);
    assert_eq!(for_pages(1 << 30), (1 << 30) - OTHERS_MAX);
}

#[test]
fn the_parts_of_a_small_budget_are_shares_of_it() {
    let budget = 8 << 20;
    let log = for_log(budget, &LogOptions::default());
    assert_eq!(log.group_bytes_max, 32 << 10);
    assert_eq!(log.undurable_bytes_max, 256 << 10);
    assert_eq!(for_chunk(budget), 64 << 10);
    assert_eq!(for_sorting(budget, 64 << 20), 512 << 10);
    assert_eq!(for_pages(6 << 20), 5 << 20);
}
