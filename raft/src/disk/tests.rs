use super::*;

#[test]
fn durable_is_a_prefix_whatever_ends_first() {
    let mut disk = Disk::new(Index(0));
    let writes: Vec<Ticket> = [3, 5, 9]
        .map(|upto| disk.begin_log(Index(upto), 10))
        .to_vec();
    disk.end(writes[1]);
    assert_eq!(disk.durable(), Index(0));
    disk.end(writes[0]);
    assert_eq!(disk.durable(), Index(5));
    assert_eq!(disk.unpersisted_bytes(), 10);
    disk.end(writes[2]);
    assert_eq!((disk.durable(), disk.unpersisted_bytes()), (Index(9), 0));
}

#[test]
fn a_write_of_superseded_entries_says_nothing_of_those_in_their_place() {
    let mut disk = Disk::new(Index(2));
    let old = disk.begin_log(Index(8), 1);
    disk.supersede(Index(5));
    let new = disk.begin_log(Index(8), 1);
    disk.end(old);
    assert_eq!(disk.durable(), Index(4));
    disk.end(new);
    assert_eq!(disk.durable(), Index(8));
}

#[test]
fn what_was_durable_and_is_superseded_is_durable_no_more() {
    let mut disk = Disk::new(Index(8));
    disk.supersede(Index(5));
    assert_eq!(disk.durable(), Index(4));
}

#[test]
fn the_newest_vote_is_the_one_to_wait_for() {
    let mut disk = Disk::new(Index(0));
    let first = disk.begin_vote();
    let second = disk.begin_vote();
    disk.end(first);
    assert_eq!(disk.open_vote(), Some(second));
    disk.end(second);
    assert_eq!(disk.open_vote(), None);
}

#[test]
fn a_write_ends_once() {
    let mut disk = Disk::new(Index(0));
    let (first, second) = (disk.begin_log(Index(1), 1), disk.begin_log(Index(2), 1));
    disk.end(second);
    assert!(disk.knows(first) && !disk.knows(second));
    disk.end(first);
    assert!(!disk.knows(first) && !disk.knows(Ticket(9)));
}
