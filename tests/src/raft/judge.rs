//! What must hold at every step, whatever happens. It sees what no node sees: all logs,
//! all disks, and the order of things in true time.
//!
//! | invariant | looked at when |
//! |---|---|
//! | a term has one leader; a leader has everything that was committed before | a node leads |
//! | logs with the same entry are the same up to it | an entry is appended |
//! | what is committed is on the disks of a quorum, and stays | a leader commits |
//! | everybody commits the same, and states are equal | a node commits, applies |
//! | one vote in a term, across crashes | a vote leaves |
//! | what is acknowledged to peers is on disk | an answer leaves |
//! | term, vote, commit and applied index only go on | after each event |
//! | one uncommitted membership at most, and majorities that meet | a leader appends one |
//! | a read sees what was acknowledged before it began | a read is served |
//! | a leader commits nothing of an older term by counting | a leader commits |
//! | what was refused is never done | an entry is committed, a request refused |

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_raft::{Body, Entry, LogId, Members, Membership, NodeId, Status, Term};

use crate::verdict::ensure;
use crate::{Failure, Verdict};

use super::disk::Image;
use super::ledger::Ledger;
use super::machine::Request;

#[cfg(test)]
mod tests;

/// A committed entry.
#[derive(Clone, Copy, Debug)]
struct Fact {
    id: LogId,
    chain: u64,
    /// The term of the leader that committed it first.
    by: Term,
}

/// A commit that the membership of before does not explain.
#[derive(Clone, Debug)]
pub(super) struct Unsettled {
    id: LogId,
    of: LogId,
    membership: Arc<Membership>,
}

/// What becomes of one try of a request.
#[derive(Clone, Copy, Debug, Default)]
struct Try {
    committed: Option<LogId>,
    is_dead: bool,
}

/// What a node said of itself last, since it was started.
#[derive(Clone, Copy, Debug, Default)]
struct Last {
    boot: u64,
    term: u64,
    voted_for: Option<NodeId>,
    commit: u64,
    applied: u64,
}

/// The judge of a run.
#[derive(Debug, Default)]
pub(super) struct Judge {
    leaders: BTreeMap<Term, NodeId>,
    /// From index 1 on.
    committed: Vec<Fact>,
    /// By index: every entry that was ever there, with its chain.
    seen: Vec<Vec<(Term, u64)>>,
    /// By index: the hash of the state.
    states: Vec<u64>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    tries: Vec<Try>,
    last: Vec<Last>,
    /// The newest entry that a client was told of.
    pub(super) acknowledged: u64,
}

impl Judge {
    /// A new try of a request.
    pub(super) fn new_try(&mut self) -> u64 {
        self.tries.push(Try::default());
        self.tries.len() as u64 - 1
    }

    /// The newest committed index.
    pub(super) fn commit(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The chain at a committed entry.
    pub(super) fn chain_of(&self, id: LogId) -> Option<u64> {
        if id == LogId::default() {
            return Some(1);
        }
        let fact = self.committed.get(id.index.0.checked_sub(1)? as usize)?;
        (fact.id == id).then_some(fact.chain)
    }

    fn fact(&self, index: u64) -> Option<&Fact> {
        self.committed.get(index.checked_sub(1)? as usize)
    }

    /// An entry was appended to a log.
    pub(super) fn appended(&mut self, node: NodeId, entry: &Entry, chain: u64) -> Verdict {
        let place = entry.id.index.0 as usize;
        if self.seen.len() <= place {
            self.seen.resize(place + 1, Vec::new());
        }
        let found = self.seen[place]
            .iter()
            .find(|(term, _)| *term == entry.id.term);
        match found {
            Some((_, known)) => ensure(*known == chain, || {
                format!(
                    "log matching: {node} appends another {} than somebody did before, or after another past",
                    entry.id
                )
            }),
            None => {
                self.seen[place].push((entry.id.term, chain));
                Ok(())
            }
        }
    }

    /// A log loses everything from an index on, by the word of a leader of `term`. What was
    /// committed in that term or before, that leader has. A copy that did not count may
    /// give way to an older leader of whom a node hears late.
    pub(super) fn superseded(&self, node: NodeId, term: Term, log: &Ledger, from: u64) -> Verdict {
        let lost = match (log.at(from), self.fact(from)) {
            (Some((_, chain)), Some(fact)) => fact.chain == chain && fact.by <= term,
            _ => false,
        };
        ensure(!lost && from > log.base().index.0, || {
            format!("{node} supersedes its log from i{from} on in {term}, which is committed")
        })
    }

    /// A node leads.
    pub(super) fn leads(&mut self, node: NodeId, term: Term, log: &Ledger) -> Verdict {
        let leader = *self.leaders.entry(term).or_insert(node);
        ensure(leader == node, || {
            format!("election safety: {leader} and {node} both lead in {term}")
        })?;
        let before = self.committed.partition_point(|fact| fact.by < term) as u64;
        let has = match (self.fact(before), log.at(before)) {
            (None, _) => true,
            (Some(fact), Some((_, chain))) => fact.chain == chain,
            (Some(_), None) => before <= log.base().index.0,
        };
        ensure(has, || {
            format!(
                "leader completeness: {node} leads in {term} without i{before}, which is committed"
            )
        })
    }

    /// A leader says that it can evaluate.
    pub(super) fn ready(&self, node: NodeId, term: Term, log: &Ledger, applied: u64) -> Verdict {
        let own = log.first_of(term);
        let is_ready = match own {
            Some(first) => applied >= first && self.commit() >= first,
            None => log.base().term >= term,
        };
        ensure(is_ready, || {
            format!(
                "{node} is ready in {term} with applied i{applied}, its first entry at {own:?}, committed up to i{}",
                self.commit()
            )
        })
    }

    /// A leader commits: the images of all nodes by id.
    pub(super) fn leader_commits<'a>(
        &mut self,
        (node, term): (NodeId, Term),
        log: &Ledger,
        index: u64,
        image: impl Fn(NodeId) -> Option<&'a Image>,
    ) -> Verdict<Option<Unsettled>> {
        let known = self.commit();
        for at in known + 1..=index {
            let Some((id, chain)) = log.at(at) else {
                return Err(Failure(format!(
                    "{node} commits i{at}, which it does not have"
                )));
            };
            self.committed.push(Fact {
                id,
                chain,
                by: term,
            });
            if let Some(Entry {
                body: Body::Data(payload),
                ..
            }) = log.get(at)
                && let Some(request) = Request::decode(&payload.0)
                && let Some(attempt) = self.tries.get_mut(request.attempt as usize)
            {
                attempt.committed = Some(id);
                ensure(!attempt.is_dead, || {
                    format!(
                        "{id} is committed, but its client was told that nothing was done: {request:?}"
                    )
                })?;
            }
        }
        self.commits(node, log, index)?;
        let of_term = log.at(index).is_none_or(|(id, _)| id.term == term);
        ensure(index == known || of_term, || {
            format!("{node} commits i{index} of an older term than {term} by counting")
        })?;
        let (of, membership) = log.membership();
        match log.at(index) {
            Some((id, _)) if index > known && !on_quorum(membership, id, &image) => {
                // Committing a membership, its leader may have ended the change, and have
                // committed more by the newer one, all at once.
                Ok(Some(Unsettled {
                    id,
                    of,
                    membership: membership.clone(),
                }))
            }
            _ => Ok(None),
        }
    }

    /// After an event in which a leader committed what no quorum of its membership had: the
    /// membership itself must have been on a quorum, and the rest on one of the next.
    pub(super) fn settles<'a>(
        &self,
        node: NodeId,
        log: &Ledger,
        unsettled: &Unsettled,
        image: impl Fn(NodeId) -> Option<&'a Image>,
    ) -> Verdict {
        let Unsettled { id, of, membership } = unsettled;
        let (newer, next) = log.membership();
        let is_settled = newer.index > of.index
            && on_quorum(membership, *of, &image)
            && on_quorum(next, *id, &image);
        ensure(is_settled, || {
            let holds = |voter: &NodeId| image(*voter).is_some_and(|image| image.holds(*id));
            let have: Vec<_> = next.everybody().into_iter().filter(holds).collect();
            format!(
                "{node} commits {id}, and after a crash of all only {have:?} would have it: {membership} of {of}, {next} of {newer}"
            )
        })
    }

    /// A node that does not lead knows of a commit.
    pub(super) fn is_committed(&self, node: NodeId, index: u64) -> Verdict {
        ensure(index <= self.commit(), || {
            format!("{node} takes i{index} for committed, no leader has committed it")
        })
    }

    /// A node is asked to apply what is committed.
    pub(super) fn commits(&self, node: NodeId, log: &Ledger, index: u64) -> Verdict {
        let found = log.at(index);
        let fact = self.fact(index);
        let is_same = match (found, fact) {
            (Some((_, chain)), Some(fact)) => fact.chain == chain,
            (None, Some(_)) => index <= log.base().index.0,
            (_, None) => index == 0,
        };
        ensure(is_same, || {
            format!("{node} commits i{index} as {found:?}, committed was {fact:?}")
        })
    }

    /// A node applied an entry.
    pub(super) fn applied(&mut self, node: NodeId, index: u64, state: u64) -> Verdict {
        let place = index as usize;
        if self.states.len() <= place {
            self.states.resize(place + 1, 0);
        }
        if self.states[place] == 0 {
            self.states[place] = state;
        }
        ensure(self.states[place] == state, || {
            format!("state-machine safety: {node} has another state after i{index}")
        })
    }

    /// A granted vote leaves a node.
    pub(super) fn votes(
        &mut self,
        voter: NodeId,
        term: Term,
        candidate: NodeId,
        image: &Image,
    ) -> Verdict {
        let is_saved = image.vote.term > term
            || (image.vote.term == term && image.vote.voted_for == Some(candidate));
        ensure(is_saved, || {
            format!(
                "{voter} tells {candidate} of its vote in {term}, but its disk has {:?}",
                image.vote
            )
        })?;
        let first = *self.votes.entry((voter, term)).or_insert(candidate);
        ensure(first == candidate, || {
            format!("{voter} votes for {first} and for {candidate} in {term}")
        })
    }

    /// An acknowledgement of entries leaves a node in the term that it is in.
    pub(super) fn acknowledges(
        &self,
        node: NodeId,
        upto: u64,
        log: &Ledger,
        image: &Image,
    ) -> Verdict {
        let is_there = match log.at(upto) {
            Some((id, _)) => image.holds(id),
            None => upto <= log.base().index.0,
        };
        ensure(is_there, || {
            format!(
                "{node} acknowledges up to i{upto}, but its disk ends at {}",
                image.log.last()
            )
        })
    }

    /// A client is told that its try is committed.
    pub(super) fn tells_committed(&mut self, node: NodeId, attempt: u64, last: LogId) -> Verdict {
        let committed = self
            .tries
            .get(attempt as usize)
            .and_then(|one| one.committed);
        self.acknowledged = self.acknowledged.max(last.index.0);
        ensure(committed == Some(last), || {
            format!("{node} says that a request is committed as {last}, it is {committed:?}")
        })
    }

    /// A client is told that nothing was done by its try.
    pub(super) fn tells_dead(&mut self, node: NodeId, attempt: u64) -> Verdict {
        let Some(attempt) = self.tries.get_mut(attempt as usize) else {
            return Ok(());
        };
        attempt.is_dead = true;
        let committed = attempt.committed;
        ensure(committed.is_none(), || {
            format!("{node} says that nothing was done, but {committed:?} is committed")
        })
    }

    /// A read is served that began when so much was acknowledged.
    pub(super) fn reads(&self, node: NodeId, began: u64, index: u64, applied: u64) -> Verdict {
        ensure(index >= began, || {
            format!(
                "stale read: {node} reads at i{index}, i{began} was acknowledged before it was asked"
            )
        })?;
        ensure(applied >= index, || {
            format!("{node} reads at i{index} with applied i{applied}")
        })
    }

    /// A read is served without asking anybody: by a lease, or by a leader that is alone.
    pub(super) fn reads_at_once(&self, node: NodeId, term: Term) -> Verdict {
        let newest = self.leaders.last_key_value();
        ensure(newest.is_none_or(|(newest, _)| *newest <= term), || {
            format!("{node} reads by its lease of {term} while there is a newer leader: {newest:?}")
        })
    }

    /// A leader appended a membership after another.
    pub(super) fn changes(&self, node: NodeId, log: &Ledger, before: &Membership) -> Verdict {
        let (id, membership) = log.membership();
        ensure(majorities_meet(before, membership), || {
            format!(
                "{node} changes the membership with {id} so that a majority of before and one of after need not meet: {before} {membership}"
            )
        })
    }

    /// What a leader has after an event: its log, and what it has committed.
    pub(super) fn leads_on(&self, node: NodeId, log: &Ledger, commit: u64) -> Verdict {
        if log.membership().0.index.0 <= commit {
            return Ok(());
        }
        let later = log.later_memberships().iter();
        let uncommitted = later.filter(|(id, _)| id.index.0 > commit).count();
        ensure(uncommitted <= 1, || {
            format!("{node} leads with {uncommitted} memberships that are not committed")
        })
    }

    /// What a node says of itself after an event.
    pub(super) fn looks(
        &mut self,
        place: usize,
        boot: u64,
        status: &Status,
        image: &Image,
        log: &Ledger,
    ) -> Verdict {
        if self.last.len() <= place {
            self.last.resize(place + 1, Last::default());
        }
        let last = &mut self.last[place];
        let now = Last {
            boot,
            term: status.term.0,
            voted_for: status.voted_for,
            commit: status.commit.0,
            applied: status.applied.0,
        };
        let before = if last.boot == boot {
            *last
        } else {
            Last {
                boot,
                ..Last::default()
            }
        };
        *last = now;
        let keeps_vote = now.term > before.term
            || before.voted_for.is_none()
            || now.voted_for == before.voted_for;
        ensure(
            now.term >= before.term
                && now.commit >= before.commit
                && now.applied >= before.applied
                && keeps_vote,
            || format!("{} goes back from {before:?} to {now:?}", status.id),
        )?;
        let is_ordered = status.base.index <= status.applied.max(status.commit)
            && status.applied <= status.commit
            && status.commit <= status.last.index;
        ensure(is_ordered, || {
            format!(
                "{}: compacted {} <= applied {} <= commit {} <= last {} does not hold",
                status.id, status.base, status.applied, status.commit, status.last
            )
        })?;
        ensure(status.last == log.last(), || {
            format!(
                "{} takes {} for its last entry, it is {}",
                status.id,
                status.last,
                log.last()
            )
        })?;
        let durable = status.durable.0;
        let is_there = log.at(durable).is_none_or(|(id, _)| image.holds(id));
        ensure(is_there, || {
            format!(
                "{} takes i{durable} for durable, its disk has {}",
                status.id,
                image.log.last()
            )
        })
    }
}

/// Whether an entry is on the disks of a quorum.
fn on_quorum<'a>(
    membership: &Membership,
    id: LogId,
    image: impl Fn(NodeId) -> Option<&'a Image>,
) -> bool {
    is_quorum(membership, |voter| {
        image(voter).is_some_and(|image| image.holds(id))
    })
}

/// Whether those who hold something decide, by counting.
pub(super) fn is_quorum(membership: &Membership, holds: impl Fn(NodeId) -> bool) -> bool {
    let majority = |voters: Vec<NodeId>| {
        let have = voters.iter().filter(|voter| holds(**voter)).count();
        voters.is_empty() || 2 * have > voters.len()
    };
    !membership.members.is_empty()
        && majority(membership.incoming_voters())
        && majority(membership.outgoing_voters())
}

/// Whether each quorum of one shares a node with each of the other: by trying all.
fn majorities_meet(one: &Membership, other: &Membership) -> bool {
    let of = |members: &Members| Membership::new(members.clone()).incoming_voters();
    let mut all: Vec<NodeId> = Vec::new();
    for members in [&one.members, &one.outgoing, &other.members, &other.outgoing] {
        all.extend(of(members));
    }
    all.sort_unstable();
    all.dedup();
    // A set that is a quorum of the one, while the rest is one of the other.
    (0..1_u32 << all.len().min(20)).all(|set| {
        let is_in = |id: NodeId| {
            let place = all.iter().position(|other| *other == id);
            place.is_some_and(|place| set & (1 << place) != 0)
        };
        !(is_quorum(one, is_in) && is_quorum(other, |id| !is_in(id)))
    })
}
