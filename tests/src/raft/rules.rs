//! Rules of the core that need no luck to be seen broken: each holds in every single
//! event, where the harm that it prevents takes a long chain of them.
//!
//! | rule | else |
//! |---|---|
//! | a node with a stalled or poisoned disk neither votes nor leads | a cluster hangs behind its disk |
//! | a vote goes to nobody whose log is older | a leader without committed entries |
//! | a pre-vote is answered with the own term | a candidate that stays behind for ever |
//! | who is told to stand has the whole log of the leader on disk | an election that cannot be won |
//! | a leader that hands over takes no proposals | the other never catches up |
//! | no membership before the first commit of the term | two majorities that do not meet |
//! | a leader that hears no quorum for some election timeouts leads no more | its clients hang |
//! | a removed leader stays until its removal is committed | nobody with the newest log may stand |
//! | the membership in force is the newest one of the log | majorities of somebody else |

use cs_raft::{Body, Entry, Message, NodeId};

use crate::Verdict;
use crate::verdict::ensure;

use super::actions::place_of;
use super::judge::is_quorum;
use super::world::World;

/// Election timeouts, by the true clock, until a leader without a quorum has left. Clocks
/// run at 0.8 at least, and the last answer may be one of an election timeout ago.
const QUORUM_TIMEOUTS: u64 = 3;

impl World {
    /// A node hears another.
    pub(super) fn hears(&mut self, place: usize, from: NodeId, message: &Message) {
        let answers = matches!(
            message,
            Message::HeartbeatAnswer { .. }
                | Message::AppendAnswer { .. }
                | Message::SnapshotAnswer { .. }
        );
        let now = self.schedule.now();
        let server = &mut self.servers[place];
        server.vote_asked = match message {
            Message::Vote { last, .. } => Some(*last),
            _ => None,
        };
        let is_older = server
            .vote_asked
            .is_some_and(|last| last < server.log.last());
        self.hits.older_candidates += u64::from(is_older);
        if answers && server.leads == Some(message.term().0) {
            server.heard[place_of(from)] = now;
        }
    }

    /// A leader that has looked at the time hears a quorum, or leads no more.
    pub(super) fn rule_of_office(&self, place: usize) -> Verdict {
        let now = self.schedule.now();
        let server = &self.servers[place];
        let patience = QUORUM_TIMEOUTS * self.plan.election_timeout;
        if server.leads.is_none() || server.leads_since + patience > now {
            return Ok(());
        }
        let hears = |id: NodeId| id == server.id || server.heard[place_of(id)] + patience > now;
        ensure(is_quorum(server.log.membership().1, hears), || {
            format!(
                "{} leads though it has heard no quorum for {QUORUM_TIMEOUTS} election timeouts",
                server.id
            )
        })
    }

    /// A node wants to send something.
    pub(super) fn rule_of_sending(&self, place: usize, to: NodeId, message: &Message) -> Verdict {
        let server = &self.servers[place];
        match message {
            Message::VoteAnswer { granted: true, .. } => {
                ensure(!server.is_stalled && !server.disk.has_failed(), || {
                    format!("{} votes with a disk that is stalled or failed", server.id)
                })?;
                let (last, asked) = (server.log.last(), server.vote_asked);
                ensure(asked.is_none_or(|asked| asked >= last), || {
                    format!("{} with {last} votes for {to} with {asked:?}", server.id)
                })
            }
            Message::PreVoteAnswer { term, .. } => {
                let own = server.node.as_ref().map(|node| node.vote().term);
                ensure(own.is_none_or(|own| own == *term), || {
                    format!(
                        "{} answers a pre-vote with {term}, its term is {own:?}",
                        server.id
                    )
                })
            }
            // A leader that leaves by itself tells somebody who may be of use.
            Message::TimeoutNow { term } if server.hands_over() && !server.is_stalled => {
                let last = server.log.last();
                let image = &self.servers[place_of(to)].disk.image;
                // One that has moved on will not listen.
                let is_fit = image.holds(last) || image.vote.term > *term;
                ensure(is_fit, || {
                    format!(
                        "{} tells {to} to stand, whose disk ends at {} and not at {last}",
                        server.id,
                        image.log.last()
                    )
                })
            }
            _ => Ok(()),
        }
    }

    /// A leader wants to append an entry to its log, which does not have it yet.
    pub(super) fn rule_of_leading(&self, place: usize, entry: &Entry) -> Verdict {
        let server = &self.servers[place];
        match &entry.body {
            Body::Data(_) => ensure(!server.hands_over(), || {
                format!("{} takes {} while it hands over", server.id, entry.id)
            }),
            Body::Membership(membership) if membership != server.log.membership().1 => {
                let first = server.log.first_of(entry.id.term);
                let base = server.log.base();
                let is_committed = match first {
                    Some(first) => self.judge.commit() >= first,
                    None => base.term == entry.id.term,
                };
                ensure(is_committed, || {
                    format!(
                        "{} appends the membership {} before anything of its term is committed",
                        server.id, entry.id
                    )
                })
            }
            // The first entry of all says who founded the cluster.
            Body::Membership(_) | Body::NoOp => Ok(()),
        }
    }

    /// What holds after each event; `led` is the term in which the node led before.
    pub(super) fn rules_after(&mut self, place: usize, led: Option<u64>) -> Verdict {
        let server = &mut self.servers[place];
        let Some(node) = &server.node else {
            return Ok(());
        };
        ensure(
            server.leads.is_none() || !(server.is_stalled || server.disk.has_failed()),
            || format!("{} leads with a disk that is stalled or failed", server.id),
        )?;
        if std::mem::take(&mut server.has_changed) && led.is_some() && server.leads.is_none() {
            let (id, membership) = server.log.membership();
            let left = membership.may_lead(server.id) || self.judge.commit() >= id.index.0;
            ensure(
                left || node.vote().term.0 != led.unwrap_or_default(),
                || {
                    format!(
                        "{} leaves office before its removal {id} is committed",
                        server.id
                    )
                },
            )?;
        }
        // Compared when one of them is another object than the last time.
        let ours = server.log.membership().1;
        let theirs = node.membership();
        let pair = (
            std::sync::Arc::as_ptr(ours) as usize,
            std::sync::Arc::as_ptr(theirs) as usize,
        );
        if led.is_none() || pair != server.compared {
            server.leads_since = self.schedule.now();
        }
        if pair != server.compared {
            server.compared = pair;
            ensure(ours == theirs, || {
                format!("{} goes by {theirs}, its log says {ours}", server.id)
            })?;
        }
        Ok(())
    }
}
