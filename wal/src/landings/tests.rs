use super::*;

fn is_event_of(landings: &Landings, lsn: u64, group: u64) -> bool {
    std::ptr::eq(landings.event_of(Lsn(lsn)), &landings.place(group).event)
}

#[test]
fn a_position_is_found_in_its_group() {
    let landings = Landings::new(2, Lsn(100));
    assert!(is_event_of(&landings, 101, 1), "not cut yet");
    assert_eq!(landings.cut(Lsn(200)), 1);
    assert_eq!(landings.cut(Lsn(300)), 2);
    for (lsn, group) in [(101, 1), (200, 1), (201, 2), (300, 2), (301, 3), (9999, 3)] {
        assert!(is_event_of(&landings, lsn, group), "{lsn}");
    }
    landings.land(1);
    assert!(is_event_of(&landings, 250, 2));
    assert_eq!(landings.landed(), 1);
}

#[test]
fn open_groups_never_share_a_place() {
    for groups_in_flight in 1..20 {
        let landings = Landings::new(groups_in_flight, Lsn(0));
        assert!(landings.places.len() >= groups_in_flight + 2);
        for group in 1..=3 * groups_in_flight as u64 {
            landings.cut(Lsn(group * 10));
            landings.land(group.saturating_sub(groups_in_flight as u64));
            for open in landings.landed() + 1..=group + 1 {
                assert!(is_event_of(&landings, open * 10, open));
            }
        }
    }
}

#[test]
fn a_group_that_lands_wakes_its_own_and_no_others() {
    let landings = Landings::new(2, Lsn(0));
    landings.cut(Lsn(10));
    let (own, next) = (landings.event_of(Lsn(10)), landings.event_of(Lsn(20)));
    std::thread::scope(|scope| {
        let listener = own.listen();
        let other = next.listen();
        scope.spawn(|| {
            landings.land(1);
            landings.wake_landed(0);
        });
        listener.wait();
        drop(other);
    });
    assert_eq!(landings.landed(), 1);
}
