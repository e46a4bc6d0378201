use super::*;

#[test]
fn the_lowest_pin_holds() {
    let mut pins = Pins::default();
    assert_eq!(pins.enforce(Lsn(100)), Lsn::MAX);
    pins.set("backup", Lsn(40), None);
    pins.set("older meta", Lsn(10), None);
    assert_eq!(pins.enforce(Lsn(100)), Lsn(10));
    assert!(pins.remove("older meta"));
    assert!(!pins.remove("older meta"));
    assert_eq!(pins.enforce(Lsn(100)), Lsn(40));
}

#[test]
fn a_pin_over_its_budget_is_lost_until_it_is_renewed() {
    let mut pins = Pins::default();
    pins.set("follower", Lsn(10), Some(50));
    assert_eq!(pins.enforce(Lsn(60)), Lsn(10), "exactly at the budget");
    assert_eq!(pins.enforce(Lsn(61)), Lsn::MAX);
    assert!(pins.list()[0].lost);
    assert_eq!(pins.enforce(Lsn(20)), Lsn::MAX, "lost is lost");
    pins.set("follower", Lsn(30), Some(50));
    assert_eq!(pins.enforce(Lsn(61)), Lsn(30));
}
