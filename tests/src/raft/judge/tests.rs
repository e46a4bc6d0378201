use cs_raft::{Body, Entry, Index, LogId, Member, Members, Membership, NodeId, Term, Vote};

use super::{Judge, is_quorum, majorities_meet};
use crate::raft::disk::Image;
use crate::raft::ledger::Ledger;

fn voters(ids: &[u64]) -> Membership {
    Membership::of_voters(ids.iter().map(|id| NodeId(*id)))
}

fn joint(new: &[u64], old: &[u64]) -> Membership {
    Membership {
        outgoing: voters(old).members,
        ..voters(new)
    }
}

fn log(terms: &[u64]) -> Ledger {
    let mut ledger = Ledger::new(voters(&[1, 2, 3]));
    for (place, term) in terms.iter().enumerate() {
        ledger.push(no_op(*term, place as u64 + 1));
    }
    ledger
}

fn no_op(term: u64, index: u64) -> Entry {
    let id = LogId::new(Term(term), Index(index));
    Entry {
        id,
        body: Body::NoOp,
    }
}

/// Images with logs of these terms, by node from 1 on.
fn images(logs: &[&[u64]]) -> Vec<Image> {
    let image = |terms: &&[u64]| Image {
        log: log(terms),
        ..Image::new(voters(&[1, 2, 3]))
    };
    logs.iter().map(image).collect()
}

/// Node 1 leads in a term and commits, with these logs on the disks.
fn commit(judge: &mut Judge, term: u64, terms: &[u64], index: u64, disks: &[&[u64]]) -> bool {
    let disks = images(disks);
    let image = |id: NodeId| disks.get(id.0 as usize - 1);
    let verdict = judge.leader_commits((NodeId(1), Term(term)), &log(terms), index, image);
    matches!(verdict, Ok(None))
}

#[test]
fn a_commit_needs_a_quorum_of_disks() {
    let is_good = |disks| commit(&mut Judge::default(), 1, &[1, 1], 2, disks);
    assert!(is_good(&[&[1, 1], &[1, 1], &[]]));
    assert!(
        is_good(&[&[], &[1, 1], &[1, 1]]),
        "the leader's own disk is one of three"
    );
    assert!(!is_good(&[&[1, 1], &[1], &[]]));
    assert!(
        !is_good(&[&[1, 1], &[1, 2], &[]]),
        "another entry does not count"
    );
}

#[test]
fn a_committed_entry_stays_what_it_is() {
    let mut judge = Judge::default();
    assert!(commit(&mut judge, 1, &[1, 1], 2, &[&[1, 1], &[1, 1], &[]]));
    assert!(!commit(&mut judge, 2, &[1, 2], 2, &[&[1, 2], &[1, 2], &[]]));
    let supersedes = |term, terms| judge.superseded(NodeId(2), Term(term), &log(terms), 2);
    assert!(supersedes(1, &[1, 1]).is_err());
    assert!(supersedes(1, &[1, 2]).is_ok(), "another entry");
    assert!(judge.commits(NodeId(2), &log(&[1, 1]), 2).is_ok());
    assert!(
        judge.commits(NodeId(2), &log(&[1, 1, 1]), 3).is_err(),
        "committed by nobody"
    );
}

#[test]
fn a_term_has_one_leader_who_has_what_was_committed_before() {
    let mut judge = Judge::default();
    assert!(judge.leads(NodeId(1), Term(1), &log(&[])).is_ok());
    assert!(judge.leads(NodeId(2), Term(1), &log(&[])).is_err());
    commit(&mut judge, 1, &[1], 1, &[&[1], &[1], &[]]);
    assert!(judge.leads(NodeId(3), Term(2), &log(&[])).is_err());
    assert!(judge.leads(NodeId(2), Term(3), &log(&[1])).is_ok());
    // A candidate of long ago, elected by votes that came late, leads nobody.
    let mut judge = Judge::default();
    commit(&mut judge, 3, &[3], 1, &[&[3], &[3], &[]]);
    assert!(judge.leads(NodeId(3), Term(2), &log(&[])).is_ok());
}

#[test]
fn logs_with_the_same_entry_have_the_same_past() {
    let mut judge = Judge::default();
    assert!(judge.appended(NodeId(1), &no_op(1, 1), 5).is_ok());
    assert!(judge.appended(NodeId(2), &no_op(1, 1), 5).is_ok());
    assert!(judge.appended(NodeId(2), &no_op(2, 1), 6).is_ok());
    assert!(judge.appended(NodeId(3), &no_op(1, 1), 7).is_err());
}

#[test]
fn a_vote_is_on_disk_before_it_leaves_and_is_given_once() {
    let mut judge = Judge::default();
    let mut image = Image::new(voters(&[1, 2, 3]));
    assert!(judge.votes(NodeId(1), Term(4), NodeId(2), &image).is_err());
    image.vote = Vote {
        term: Term(4),
        voted_for: Some(NodeId(2)),
    };
    assert!(judge.votes(NodeId(1), Term(4), NodeId(2), &image).is_ok());
    // A disk that forgot, and a second vote.
    image.vote.voted_for = Some(NodeId(3));
    assert!(judge.votes(NodeId(1), Term(4), NodeId(3), &image).is_err());
}

#[test]
fn what_was_refused_is_not_done_and_what_is_told_is_committed() {
    let mut judge = Judge::default();
    let attempt = judge.new_try();
    assert!(
        judge
            .tells_committed(NodeId(1), attempt, LogId::default())
            .is_err()
    );
    assert!(judge.tells_dead(NodeId(1), attempt).is_ok());
}

#[test]
fn a_read_sees_what_was_acknowledged_and_is_applied() {
    let judge = Judge::default();
    assert!(judge.reads(NodeId(1), 5, 5, 5).is_ok());
    assert!(judge.reads(NodeId(1), 5, 4, 9).is_err());
    assert!(judge.reads(NodeId(1), 5, 6, 5).is_err());
}

#[test]
fn two_majorities_decide_while_a_change_is_under_way() {
    let membership = joint(&[3, 4, 5], &[1, 2, 3]);
    let decides = |ids: &[u64]| is_quorum(&membership, |id| ids.contains(&id.0));
    assert!(decides(&[2, 3, 4]));
    assert!(!decides(&[3, 4, 5]));
    assert!(!decides(&[1, 2, 4]));
    let mut members: Members = voters(&[1, 2]).members;
    members.insert(NodeId(9), Member::learner());
    assert!(
        !is_quorum(&Membership::new(members), |id| id.0 != 2),
        "learners do not count"
    );
}

#[test]
fn majorities_meet_through_joint_consensus_or_by_one_at_a_time() {
    let (old, new) = (voters(&[1, 2, 3]), voters(&[3, 4, 5]));
    assert!(!majorities_meet(&old, &new));
    assert!(majorities_meet(&old, &joint(&[3, 4, 5], &[1, 2, 3])));
    assert!(majorities_meet(&joint(&[3, 4, 5], &[1, 2, 3]), &new));
    assert!(majorities_meet(&old, &voters(&[1, 2, 3, 4])));
    assert!(!majorities_meet(&old, &voters(&[1, 2, 3, 4, 5])));
}
