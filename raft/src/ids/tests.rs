use super::*;

#[test]
fn the_newer_term_is_the_newer_log_then_the_longer_one() {
    let id = |term, index| LogId::new(Term(term), Index(index));
    assert!(id(2, 1) > id(1, 9));
    assert!(id(2, 3) > id(2, 2));
}

#[test]
fn time_saturates_at_both_ends() {
    assert_eq!(Time(5) - Time(9), Duration::ZERO);
    assert_eq!(Time(u64::MAX) + Duration::from_secs(1), Time(u64::MAX));
    assert_eq!(Time(1) + Duration::from_millis(2), Time(2001));
    assert_eq!(Index(0).previous(), Index(0));
}
