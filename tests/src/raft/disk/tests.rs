use cs_raft::{Body, Entry, Index, LogId, Membership, NodeId, Payload, Term, Ticket, Vote};

use super::{Disk, Ended, Image, Write};
use crate::raft::dice::Dice;

fn entry(term: u64, index: u64) -> Entry {
    Entry {
        id: LogId::new(Term(term), Index(index)),
        body: Body::Data(Payload::new(vec![term as u8; 8])),
    }
}

fn append(entries: impl IntoIterator<Item = (u64, u64)>) -> Write {
    let entries = entries.into_iter().map(|(term, index)| entry(term, index));
    Write::Log {
        supersedes: None,
        entries: entries.collect(),
    }
}

fn disk() -> Disk {
    let members = Membership::of_voters([NodeId(1)]);
    Disk::new(Image::new(members), (10, 20), true)
}

fn last(disk: &Disk) -> u64 {
    disk.image.log.last().index.0
}

#[test]
fn what_ended_out_of_order_is_in_the_image_only_behind_what_was_begun_before() {
    let (mut disk, mut dice) = (disk(), Dice::new(1));
    let (first, _) = disk.begin(&mut dice, 0, Some(Ticket(1)), append([(1, 1)]));
    let (second, _) = disk.begin(&mut dice, 0, Some(Ticket(2)), append([(1, 2)]));
    let told = disk.end(second);
    assert!(matches!(told[..], [Ended::Durable(Ticket(2))]), "{told:?}");
    assert_eq!(last(&disk), 0);
    disk.end(first);
    assert_eq!(last(&disk), 2);
    assert!(disk.end(first).is_empty(), "a write ends once");
}

#[test]
fn a_crash_leaves_a_prefix_and_never_less_than_what_ended() {
    let mut lengths = [0; 5];
    for seed in 0..1000 {
        let (mut disk, mut dice) = (disk(), Dice::new(seed));
        let (ended, _) = disk.begin(&mut dice, 0, Some(Ticket(1)), append([(1, 1)]));
        disk.begin(&mut dice, 0, Some(Ticket(2)), append([(1, 2), (1, 3)]));
        disk.begin(&mut dice, 0, Some(Ticket(3)), append([(1, 4)]));
        disk.end(ended);
        disk.crash(&mut dice);
        lengths[last(&disk) as usize] += 1;
    }
    assert_eq!(lengths[0], 0);
    assert!(lengths[1..].iter().all(|count| *count > 50), "{lengths:?}");
}

#[test]
fn a_vote_waits_for_no_log_and_is_not_overwritten_by_an_older_one() {
    let (mut disk, mut dice) = (disk(), Dice::new(1));
    let vote = |term, node| Vote {
        term: Term(term),
        voted_for: Some(NodeId(node)),
    };
    disk.begin(&mut dice, 0, Some(Ticket(1)), append([(1, 1)]));
    let (old, _) = disk.begin(&mut dice, 0, Some(Ticket(2)), Write::Vote(vote(3, 1)));
    let (new, _) = disk.begin(&mut dice, 0, Some(Ticket(3)), Write::Vote(vote(4, 2)));
    disk.end(new);
    assert_eq!(disk.image.vote, vote(4, 2));
    disk.end(old);
    assert_eq!(disk.image.vote, vote(4, 2));
}

#[test]
fn after_a_failed_write_nothing_ends_well_until_a_crash() {
    let (mut disk, mut dice) = (disk(), Dice::new(1));
    let (first, _) = disk.begin(&mut dice, 0, Some(Ticket(1)), append([(1, 1)]));
    let (second, _) = disk.begin(&mut dice, 0, Some(Ticket(2)), append([(1, 2)]));
    disk.fails = true;
    for (number, ticket) in [(first, 1), (second, 2)] {
        let told = disk.end(number);
        assert!(
            matches!(told[..], [Ended::Failed(Ticket(found))] if found == ticket),
            "{told:?}"
        );
    }
    assert!(disk.has_failed());
    disk.crash(&mut dice);
    let from = last(&disk) + 1;
    let (again, _) = disk.begin(&mut dice, 0, Some(Ticket(3)), append([(2, from)]));
    assert!(matches!(disk.end(again)[..], [Ended::Durable(Ticket(3))]));
}

#[test]
fn a_stalled_disk_ends_nothing_and_says_since_when() {
    let (mut disk, mut dice) = (disk(), Dice::new(1));
    disk.stall(1_000);
    let (_, delay) = disk.begin(&mut dice, 100, None, append([(1, 1)]));
    assert!(delay >= 910);
    assert_eq!(disk.may_end(500), Err(500));
    assert_eq!(disk.may_end(1_000), Ok(()));
    assert_eq!(disk.oldest(), Some(100));
}
