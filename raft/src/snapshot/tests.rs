use crate::testing::{Cluster, id};
use crate::*;

/// Node 3 lacks entries that node 1, who leads, has no more.
fn lagging() -> Cluster {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(1);
    cluster.isolate(3);
    for number in 0..5 {
        cluster.propose(id(1), &number.to_string());
    }
    cluster.settle();
    cluster.compact(1);
    cluster
}

fn peer(cluster: &Cluster) -> PeerStatus {
    let peers = cluster.status(1).peers;
    peers.into_iter().find(|peer| peer.id == id(3)).unwrap()
}

#[test]
fn a_peer_that_the_log_cannot_help_gets_a_snapshot_and_then_entries() {
    let mut cluster = lagging();
    cluster.heal();
    cluster.run(300);
    assert_eq!(cluster.status(3).base.index, Index(6));
    assert_eq!(
        (cluster.status(3).applied, cluster.status(3).commit),
        (Index(6), Index(6))
    );
    let written = cluster.propose(id(1), "later");
    cluster.settle();
    assert!(cluster.is_committed(written));
    assert_eq!(cluster.data(3), ["later"]);
}

#[test]
fn a_leader_compacted_to_its_tip_offers_a_snapshot_without_a_new_write() {
    let mut cluster = lagging();
    cluster.change(id(1), {
        let mut members = cluster.status(1).membership.members.clone();
        members.insert(id(4), Member::learner());
        members
    });
    cluster.settle();
    cluster.compact(1);
    assert_eq!(cluster.status(1).base, cluster.status(1).last);
    cluster.add(id(4), Restored::joining());
    cluster.run(300);
    assert_eq!(cluster.status(4).applied, Index(7));
    assert!(cluster.status(4).membership.member(id(4)).is_some());
}

#[test]
fn a_conflicting_tail_does_not_survive_a_snapshot() {
    let mut cluster = Cluster::of(3);
    cluster.elect_node(3);
    cluster.isolate(3);
    for number in 0..20 {
        cluster.propose(id(3), &format!("lost {number}"));
    }
    cluster.forget_promises();
    cluster.elect_node(1);
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.compact(1);
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.status(3).last, cluster.status(1).last);
    assert_eq!(cluster.status(3).base, cluster.status(1).base);
}

#[test]
fn a_snapshot_that_is_not_needed_is_dropped() {
    let mut cluster = lagging();
    let (from, session) = (id(1), Session(9));
    let membership = (*cluster.status(1).membership).clone();
    let snapshot = LogId::new(Term(1), Index(3));
    let id = snapshot;
    cluster.on(
        NodeId(2),
        Event::SnapshotStored {
            from,
            session,
            id,
            membership,
        },
    );
    let dropped = Action::DropSnapshot { id: snapshot };
    assert!(cluster.seen.iter().any(|(_, action)| *action == dropped));
    assert_eq!(cluster.status(2).base.index, Index(0));
}

#[test]
fn a_snapshot_whose_fate_is_unknown_is_given_up() {
    let mut cluster = lagging();
    cluster.snapshots_lost = true;
    cluster.heal();
    cluster.run(300);
    assert_eq!(peer(&cluster).state, PeerState::Snapshot);
    let session = peer(&cluster).session;
    cluster.snapshots_lost = false;
    cluster.run(1000);
    assert_eq!(
        cluster.status(3).applied,
        Index(1),
        "the leader is still waiting"
    );
    cluster.restart(id(3));
    cluster.run(500);
    assert!(peer(&cluster).session > session);
    assert_eq!(cluster.status(3).applied, Index(6));
}

#[test]
fn a_snapshot_that_could_not_be_sent_or_stored_is_offered_anew() {
    for at_sender in [true, false] {
        let mut cluster = lagging();
        cluster.snapshots_lost = true;
        cluster.heal();
        cluster.run(300);
        cluster.snapshots_lost = false;
        let session = peer(&cluster).session;
        if at_sender {
            cluster.on(id(1), Event::SnapshotSendFailed { to: id(3), session });
        } else {
            cluster.on(
                id(3),
                Event::SnapshotFailed {
                    from: id(1),
                    session,
                },
            );
        }
        cluster.run(200);
        assert_eq!(cluster.status(3).applied, Index(6));
    }
}

#[test]
fn a_witness_needs_no_bytes() {
    let mut membership = Membership::of_voters([id(1), id(2)]);
    membership.members.insert(id(3), Member::witness());
    let mut cluster = Cluster::tuned(membership, |_| {});
    cluster.elect_node(1);
    cluster.isolate(3);
    cluster.propose(id(1), "a");
    cluster.settle();
    cluster.compact(1);
    cluster.heal();
    cluster.run(300);
    let started = |(_, action): &(NodeId, Action)| matches!(action, Action::StartSnapshot { .. });
    assert!(!cluster.seen.iter().any(started));
    assert_eq!(cluster.status(3).commit, Index(2));
    assert_eq!(cluster.status(3).base.index, Index(2));
}

#[test]
fn nothing_counts_before_the_snapshot_is_installed_durably() {
    let mut cluster = lagging();
    cluster.hold(3);
    cluster.heal();
    cluster.run(100);
    assert_eq!(cluster.status(3).base.index, Index(6));
    assert_eq!(cluster.status(3).applied, Index(1));
    assert_eq!(peer(&cluster).matched, Index(1));
    assert!(!cluster.node(3).may_stand());
    cluster.release(3);
    cluster.run(100);
    assert_eq!(peer(&cluster).matched, Index(6));
}

#[test]
fn a_snapshot_without_members_is_refused() {
    let mut cluster = lagging();
    let now = cluster.now;
    let stored = Event::SnapshotStored {
        from: id(1),
        session: Session(1),
        id: LogId::new(Term(1), Index(99)),
        membership: Membership::default(),
    };
    let error = MembershipError::NobodyCanLead;
    assert_eq!(
        cluster.node_mut(3).on(now, stored),
        Err(Refused::BadSnapshot { error })
    );
}

#[test]
fn no_more_is_compacted_than_is_applied() {
    let mut cluster = lagging();
    let now = cluster.now;
    let (to, applied) = (Index(7), Index(6));
    let found = cluster.node_mut(1).on(now, Event::Compact { to });
    assert_eq!(found, Err(Refused::CompactBeyondApplied { to, applied }));
}
