use super::Schedule;

#[test]
fn things_happen_in_the_order_of_time_and_then_of_putting_down() {
    let mut schedule = Schedule::new();
    for (delay, thing) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b')] {
        schedule.after(delay, thing);
    }
    let order: String = std::iter::from_fn(|| schedule.next(100)).collect();
    assert_eq!(order, "abcd");
    assert_eq!(schedule.now(), 100);
}

#[test]
fn time_stops_at_the_end_and_what_is_later_waits() {
    let mut schedule = Schedule::new();
    schedule.after(10, 1);
    assert_eq!(schedule.next(9), None);
    assert_eq!(schedule.now(), 9);
    schedule.after(0, 0);
    assert_eq!((schedule.next(20), schedule.next(20)), (Some(0), Some(1)));
}
