//! The lines as they look.

use std::time::Duration;

use crate::{
    Action, AppendOutcome, Body, Entry, Event, Index, Kind, LogId, Member, Membership, Message,
    NodeId, Outcome, Payload, Readiness, Refusal, RequestId, Role, Session, Term, Ticket, Token,
};

fn id(term: u64, index: u64) -> LogId {
    LogId::new(Term(term), Index(index))
}

#[test]
fn an_append_is_one_line_with_its_entries_and_its_ticket() {
    let data = Body::Data(Payload::new(*b"x"));
    let long = Body::Data(Payload::new([0; 40]));
    let bodies = [Body::NoOp, data, long];
    let entry = |(place, body): (u64, Body)| Entry {
        id: id(2, 5 + place),
        body,
    };
    let message = Message::Append {
        term: Term(2),
        session: Session(3),
        previous: id(1, 4),
        entries: (0..).zip(bodies).map(entry).collect(),
        commit: Index(4),
    };
    let after = Some(Ticket(7));
    let action = Action::Send {
        to: NodeId(2),
        message,
        after,
    };
    let line =
        "send n2: append t2 s3 after t1.i4 [t2.i5 t2.i6=x t2.i7=40 bytes] commit i4, once w7";
    assert_eq!(action.to_string(), line);
}

#[test]
fn a_joint_membership_shows_both_configurations() {
    let mut members = Membership::of_voters([NodeId(1), NodeId(2)]);
    members.outgoing = Membership::of_voters([NodeId(1)]).members;
    let delay = Duration::from_secs(5);
    for (node, member) in [
        (3, Member::witness()),
        (4, Member::learner()),
        (
            5,
            Member::of(Kind::Learner {
                hidden: true,
                delay,
            }),
        ),
        (6, Member::of(Kind::Voter { priority: 9 })),
    ] {
        members.members.insert(NodeId(node), member);
    }
    let text = "{n1}>{n1 n2 n3:witness n4:learner n5:hidden-5000ms n6:priority-9}";
    assert_eq!(members.to_string(), text);
}

#[test]
fn what_became_of_a_request_reads_as_a_sentence() {
    let limit = 10;
    let refused = Outcome::Refused(Refusal::TooBusy { waiting: 9, limit });
    let action = Action::Answer {
        id: RequestId(4),
        outcome: refused,
    };
    let line = "answer r4: refused: too busy, 9 of at most 10 wait";
    assert_eq!(action.to_string(), line);
    let outcome = Outcome::NotLeader { leader: None };
    assert_eq!(outcome.to_string(), "not leader, ask none");
}

#[test]
fn events_and_roles_are_lines_too() {
    let answer = Message::AppendAnswer {
        term: Term(2),
        session: Session(3),
        outcome: AppendOutcome::Rejected {
            previous: Index(9),
            hint: id(1, 4),
        },
    };
    let event = Event::Receive {
        from: NodeId(2),
        message: answer,
    };
    assert_eq!(
        event.to_string(),
        "from n2: append-answer t2 s3 rejected i9 hint t1.i4"
    );
    let heartbeat = Message::Heartbeat {
        term: Term(2),
        session: Session(3),
        commit: Index(1),
        token: Token(8),
        quorum_age: Duration::from_millis(40),
    };
    assert_eq!(
        heartbeat.to_string(),
        "heartbeat t2 s3 k8 commit i1 quorum 40ms ago"
    );
    let (role, term) = (Role::Leader, Term(2));
    let (leader, readiness) = (Some(NodeId(1)), Readiness::Ready);
    let action = Action::Role {
        role,
        term,
        leader,
        readiness,
    };
    assert_eq!(action.to_string(), "role leader t2 leader n1 ready");
}
