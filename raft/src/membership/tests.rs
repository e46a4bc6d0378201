use super::*;

fn with(kind: Kind) -> Members {
    let mut members = Membership::of_voters([NodeId(1)]).members;
    members.insert(NodeId(2), Member::of(kind));
    members
}

#[test]
fn a_cluster_needs_somebody_who_can_lead() {
    let lone = |member| Members::from([(NodeId(1), member)]);
    assert_eq!(Membership::check(&lone(Member::voter())), Ok(()));
    let nobody = Err(MembershipError::NobodyCanLead);
    assert_eq!(Membership::check(&lone(Member::witness())), nobody);
    assert_eq!(Membership::check(&lone(Member::learner())), nobody);
    assert_eq!(Membership::check(&Members::new()), nobody);
    let (witnesses, leading) = (1, 1);
    let error = Err(MembershipError::TooManyWitnesses { witnesses, leading });
    assert_eq!(Membership::check(&with(Kind::Witness)), error);
}

#[test]
fn members_addresses_and_delays_are_bounded() {
    let many = Membership::of_voters((0..=MAX_MEMBERS as u64).map(NodeId));
    let (found, limit) = (MAX_MEMBERS + 1, MAX_MEMBERS);
    let too_many = Err(MembershipError::TooMany { found, limit });
    assert_eq!(Membership::check(&many.members), too_many);
    let mut far = with(Kind::Witness);
    let len = MAX_ADDRESS_BYTES + 1;
    if let Some(member) = far.get_mut(&NodeId(2)) {
        member.address = "x".repeat(len).into();
    }
    let node = NodeId(2);
    assert_eq!(
        Membership::check(&far),
        Err(MembershipError::AddressTooLong { node, len })
    );
    let delay = MAX_DELAY + Duration::from_secs(1);
    let late = with(Kind::Learner {
        hidden: false,
        delay,
    });
    assert_eq!(
        Membership::check(&late),
        Err(MembershipError::DelayTooLong { node })
    );
}

#[test]
fn a_change_under_way_has_the_members_of_both() {
    let old = Membership::of_voters([NodeId(1), NodeId(2)]).members;
    let new = Membership::of_voters([NodeId(2), NodeId(3)]).members;
    let change = Membership {
        members: new,
        outgoing: old,
    };
    assert!(change.is_joint());
    assert_eq!(change.everybody().len(), 3);
    assert!((1..=3).all(|id| change.counts(NodeId(id)) && change.may_lead(NodeId(id))));
    assert_eq!(change.incoming_voters(), [NodeId(2), NodeId(3)]);
    assert_eq!(change.outgoing_voters(), [NodeId(1), NodeId(2)]);
}

#[test]
fn clients_are_sent_to_those_who_can_answer() {
    let hidden = |hidden| Kind::Learner {
        hidden,
        delay: Duration::ZERO,
    };
    let seen = |kind| Membership::new(with(kind)).visible().count();
    assert_eq!(seen(Kind::Voter { priority: 0 }), 2);
    assert_eq!(seen(hidden(false)), 2);
    assert_eq!(seen(hidden(true)), 1);
    assert_eq!(seen(Kind::Witness), 1);
}
