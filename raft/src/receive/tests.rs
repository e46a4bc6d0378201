use proptest::prelude::*;

use crate::testing::{Cluster, id};
use crate::*;

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..6, Just(u64::MAX - 1), Just(u64::MAX)]
}

fn log_id() -> impl Strategy<Value = LogId> {
    (number(), number()).prop_map(|(term, index)| LogId::new(Term(term), Index(index)))
}

/// Messages that no sound peer would send, but for appends: an append over
/// what is committed is the one thing that ends the node, on purpose.
fn message() -> impl Strategy<Value = Message> {
    let fields = (number(), log_id(), number(), number(), any::<bool>());
    (0_u8..12, fields).prop_map(|(kind, (term, last, first, second, flag))| {
        let (term, session, token) = (Term(term), Session(first), Token(second));
        let (commit, upto) = (Index(first), Index(second));
        let round = ReadRound {
            incarnation: first,
            number: second,
        };
        match kind {
            0 => Message::PreVote { term, last },
            1 => Message::PreVoteAnswer {
                term,
                asked: last.term,
                granted: flag,
            },
            2 => Message::Vote {
                term,
                last,
                forced: flag,
            },
            3 => Message::VoteAnswer {
                term,
                granted: flag,
            },
            4 => {
                let (previous, entries) = (last, Vec::new());
                Message::Append {
                    term,
                    session,
                    previous,
                    entries,
                    commit,
                }
            }
            5 => {
                let outcome = AppendOutcome::Matched { upto };
                Message::AppendAnswer {
                    term,
                    session,
                    outcome,
                }
            }
            6 => {
                let (previous, hint) = (upto, last);
                let outcome = AppendOutcome::Rejected { previous, hint };
                Message::AppendAnswer {
                    term,
                    session,
                    outcome,
                }
            }
            7 => {
                let quorum_age = std::time::Duration::from_micros(second);
                Message::Heartbeat {
                    term,
                    session,
                    commit,
                    token,
                    quorum_age,
                }
            }
            8 => {
                let incarnation = second;
                Message::HeartbeatAnswer {
                    term,
                    session,
                    token,
                    incarnation,
                }
            }
            9 => Message::TimeoutNow { term },
            10 => Message::ReadIndex {
                term,
                round,
                lease: flag,
            },
            _ => Message::ReadIndexAnswer {
                term,
                round,
                index: flag.then_some(upto),
            },
        }
    })
}

proptest! {
    /// Whatever a peer sends, term and commit index never go back, and the node lives.
    #[test]
    fn no_message_ends_a_node_or_turns_it_back(
        messages in proptest::collection::vec((1_u64..5, message(), 0_u64..400), 1..60),
    ) {
        let mut cluster = Cluster::of(3);
        cluster.elect_node(1);
        for (from, message, millis) in messages {
            let before = cluster.status(1);
            cluster.now = Time(cluster.now.0 + millis * 1000);
            cluster.on(id(1), Event::Tick);
            cluster.receive(1, from, message);
            cluster.queue.clear();
            let after = cluster.status(1);
            prop_assert!(after.term >= before.term && after.commit >= before.commit);
            prop_assert!(after.commit <= after.last.index && after.applied <= after.commit);
            if after.term == before.term && before.voted_for.is_some() {
                prop_assert_eq!(after.voted_for, before.voted_for);
            }
        }
    }
}

#[test]
fn a_node_does_not_listen_to_itself() {
    let mut cluster = Cluster::of(3);
    let term = Term(9);
    cluster.receive(1, 1, Message::TimeoutNow { term });
    assert_eq!(cluster.status(1).term, Term(0));
}
