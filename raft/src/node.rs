//! A node: events in, actions out; what every role has in common.
//!
//! Invariants:
//! - term, commit index and applied index never go back;
//! - a vote is given once in a term, and is durable before it is sent;
//! - nothing is sent in a term before that term is durable;
//! - every request gets exactly one answer.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::candidate::Poll;
use crate::disk::Disk;
use crate::leader::Leader;
use crate::learner::Delayed;
use crate::log::Log;
use crate::mutants::{Mutant, planted};
use crate::random::Random;
use crate::reads::Reads;
use crate::transfer::Handover;
use crate::waiters::Waiters;
use crate::{
    Action, Config, Error, Event, Health, Index, Kind, LogId, Membership, Message, NodeId, Outcome,
    Readiness, Refusal, Refused, RequestId, Restored, Role, Session, Term, Ticket, Time, Vote,
};

/// One node of a cluster.
///
/// A cluster of one elects itself as soon as its vote is durable:
///
/// ```
/// use cs_raft::{Action, Config, Event, Membership, Node, NodeId, Restored, Role, Time};
/// let alone = Restored::founding(Membership::of_voters([NodeId(1)]));
/// let mut node = Node::new(Config::new(NodeId(1), 42), alone, Time(0))?;
/// node.on(node.deadline(), Event::Tick)?;
/// while let Some(action) = node.take() {
///     // A driver would write and sync here.
///     if let Action::SaveVote { ticket, .. } | Action::Append { ticket, .. } = action {
///         node.on(node.deadline(), Event::Persisted { ticket })?;
///     }
/// }
/// assert_eq!(node.status().role, Role::Leader);
/// assert_eq!(node.status().commit.0, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Hash)]
pub struct Node {
    pub(crate) config: Config,
    pub(crate) incarnation: u64,
    pub(crate) random: Random,
    pub(crate) now: Time,
    pub(crate) vote: Vote,
    pub(crate) log: Log,
    pub(crate) disk: Disk,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    pub(crate) delayed: Delayed,
    /// Its membership as a witness was committed, now or once.
    pub(crate) is_witness: bool,
    pub(crate) state: State,
    pub(crate) leader: Option<NodeId>,
    /// The newest stream that this node began as a leader, in whatever term:
    /// nothing that is under way in an older one is taken for it.
    pub(crate) last_session: Session,
    pub(crate) following: Following,
    /// Until then nobody is helped to take the leader's place.
    pub(crate) loyal_until: Time,
    /// Then the node asks for votes.
    pub(crate) campaign_at: Time,
    /// What was drawn for it.
    pub(crate) timeout: Duration,
    pub(crate) waiters: Waiters,
    pub(crate) reads: Reads,
    pub(crate) handover: Option<Handover>,
    /// A change in its joint half: its request.
    pub(crate) change: Option<RequestId>,
    /// A snapshot that takes the place of the log: its write, its last index.
    pub(crate) installing: Option<(Ticket, Index)>,
    pub(crate) actions: VecDeque<Action>,
    told: (Role, Term, Option<NodeId>, Readiness),
}

#[derive(Clone, Debug, Hash)]
pub(crate) enum State {
    Follower,
    PreCandidate(Poll),
    Candidate(Poll),
    Leader(Box<Leader>),
}

/// What a follower knows of its leader's log, in this term.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Following {
    pub(crate) session: Session,
    /// Up to here the logs are the same.
    pub(crate) agreed: Index,
}

impl Node {
    /// The node as its disk has it.
    ///
    /// # Errors
    ///
    /// If the options do not fit, or what was restored contradicts itself.
    pub fn new(config: Config, restored: Restored, now: Time) -> Result<Self, Error> {
        config.check()?;
        let log = Log::new(&restored, config.cache_bytes)?;
        if restored.applied < restored.base.index || restored.applied > restored.last {
            let (what, at) = ("applied index outside of the log", restored.applied);
            return Err(Error::Restored { what, at });
        }
        let mut vote = restored.vote;
        if vote.term < log.last_id().term {
            let (term, voted_for) = (log.last_id().term, None);
            vote = Vote { term, voted_for };
        }
        let mut node = Self {
            incarnation: restored.incarnation,
            random: Random::new(config.seed, config.id.0, restored.incarnation),
            now,
            vote,
            disk: Disk::new(log.last()),
            log,
            commit: restored.applied,
            applied: restored.applied,
            delayed: Delayed::new(restored.applied),
            is_witness: false,
            state: State::Follower,
            leader: None,
            last_session: Session(0),
            following: Following::default(),
            // What the node promised before it was started anew still holds.
            loyal_until: now + config.election_timeout,
            campaign_at: now,
            timeout: Duration::ZERO,
            waiters: Waiters::default(),
            reads: Reads::default(),
            handover: None,
            change: None,
            installing: None,
            actions: VecDeque::new(),
            told: (Role::Follower, vote.term, None, Readiness::NotLeading),
            config,
        };
        node.following.agreed = node.commit;
        let own = node.log.membership_at(node.commit).member(node.config.id);
        node.is_witness = own.is_some_and(|member| member.kind == Kind::Witness);
        node.wait_for_leader();
        Ok(node)
    }

    /// Tells the node what happened at `now`; then [`take`](Self::take) until
    /// there is nothing more.
    ///
    /// # Errors
    ///
    /// If it cannot have happened: the node is as it was. A request that is
    /// refused is none of them, but has an [`Action::Answer`].
    pub fn on(&mut self, now: Time, event: Event) -> Result<(), Refused> {
        self.now = self.now.max(now);
        if self.disk.health == Health::Poisoned && !planted(Mutant::VoteWhilePoisoned) {
            self.refuse_poisoned(&event);
            return Ok(());
        }
        match event {
            Event::Receive { from, message } => self.receive(from, message),
            Event::Tick => self.tick(),
            Event::Propose { id, payloads } => self.propose(id, payloads),
            Event::Persisted { ticket } => self.persisted(ticket)?,
            Event::PersistFailed { ticket, reason } => {
                self.check_ticket(ticket)?;
                self.poisoned(reason);
            }
            Event::DiskStalled => self.stalled(),
            Event::DiskHealthy => self.healthy(),
            Event::Applied { index } => self.on_applied(index)?,
            Event::Fetched {
                to,
                session,
                after,
                entries,
            } => {
                self.fetched(to, session, after, entries)?;
            }
            Event::SnapshotStored {
                from,
                session,
                id,
                membership,
            } => {
                self.snapshot_stored(from, session, id, membership)?;
            }
            Event::SnapshotFailed { from, session } => self.snapshot_failed(from, session),
            Event::SnapshotSent { to, session } => self.snapshot_sent(to, session, true),
            Event::SnapshotSendFailed { to, session } => self.snapshot_sent(to, session, false),
            Event::Read { id, consistency } => self.read(id, consistency),
            Event::ChangeMembership { id, members } => self.change_membership(id, members),
            Event::Transfer { id, to } => self.transfer(id, to),
            Event::Compact { to } => self.compact(to)?,
        }
        self.tell_role();
        Ok(())
    }

    /// The next thing to do.
    pub fn take(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When the node wants to hear [`Event::Tick`] at the latest.
    #[must_use]
    pub fn deadline(&self) -> Time {
        if self.disk.health == Health::Poisoned {
            return Time(u64::MAX);
        }
        let of_role = match &self.state {
            State::Leader(leader) => leader.deadline(&self.config),
            _ => self.campaign_at,
        };
        let others = [
            self.waiters.deadline(),
            self.reads.deadline(),
            self.delayed.deadline(),
            self.handover.as_ref().map(|handover| handover.until),
        ];
        others.into_iter().flatten().fold(of_role, Time::min)
    }

    fn tick(&mut self) {
        self.release_delayed();
        for (id, outcome) in self.waiters.expired(Some(self.now)) {
            self.answer(id, outcome);
        }
        self.expire_reads();
        self.expire_handover();
        match self.state {
            State::Leader(_) => self.tick_leader(),
            _ if self.now >= self.campaign_at => self.stand(),
            _ => {}
        }
    }

    /// A newer term, with or without a vote in it: whatever the node was, it
    /// follows now. What it knew of the log of the leader of the old one ends
    /// with that, and no earlier: within a term a leader's log only grows.
    pub(crate) fn enter_term(&mut self, vote: Vote) {
        self.become_follower();
        self.vote = vote;
        self.save_vote();
        self.following = Following {
            session: Session(0),
            agreed: self.commit,
        };
    }

    /// Follows, in the term that it is in; whom, it does not know yet.
    pub(crate) fn become_follower(&mut self) {
        let old = std::mem::replace(&mut self.state, State::Follower);
        self.leader = None;
        self.forget_reads();
        if let State::Leader(_) = old {
            self.waiters.doubt(self.now + self.config.unknown_after);
            if let Some(id) = self.change.take() {
                self.answer(id, Outcome::Unknown);
            }
            self.wait_for_leader();
        }
    }

    /// The node leads no more although nobody else does, that it knew of.
    pub(crate) fn step_down(&mut self) {
        self.become_follower();
        self.loyal_until = self.now;
    }

    /// That node leads in this term.
    pub(crate) fn follow(&mut self, leader: NodeId) {
        if self.leader == Some(leader) && matches!(self.state, State::Follower) {
            return;
        }
        self.become_follower();
        self.leader = Some(leader);
        self.wait_for_leader();
        self.handover_ended(leader);
    }

    /// Puts off asking for votes: once to twice the election timeout, and up to
    /// half of one more the less likely the node should lead: it stands later,
    /// but it stands.
    pub(crate) fn wait_for_leader(&mut self) {
        let timeout = self.config.election_timeout;
        let behind = timeout * u32::from(self.priority_behind()) / 512;
        self.timeout = timeout + self.random.below(timeout) + behind;
        self.campaign_at = self.now + self.timeout;
    }

    pub(crate) fn save_vote(&mut self) {
        let vote = self.vote;
        // A node that enters a term and votes in it at once writes once.
        if let Some(Action::SaveVote { vote: last, .. }) = self.actions.back_mut() {
            *last = vote;
            return;
        }
        let ticket = self.disk.begin_vote();
        self.actions.push_back(Action::SaveVote { ticket, vote });
    }

    /// Sends once the term is durable.
    pub(crate) fn send(&mut self, to: NodeId, message: Message) {
        let is_vote = matches!(message, Message::VoteAnswer { .. });
        let is_early = is_vote && planted(Mutant::VoteBeforeDurable);
        let after = self.disk.open_vote().filter(|_| !is_early);
        self.actions.push_back(Action::Send { to, message, after });
    }

    pub(crate) fn answer(&mut self, id: RequestId, outcome: Outcome) {
        self.actions.push_back(Action::Answer { id, outcome });
    }

    pub(crate) fn refuse(&mut self, id: RequestId, refusal: Refusal) {
        self.answer(id, Outcome::Refused(refusal));
    }

    /// Takes over a commit index, at most the end of the log.
    pub(crate) fn set_commit(&mut self, commit: Index) {
        if commit <= self.commit {
            return;
        }
        assert!(
            commit <= self.log.last(),
            "only what is in the log is committed"
        );
        self.commit = commit;
        self.release();
        let Self {
            waiters,
            log,
            actions,
            ..
        } = self;
        waiters.committed(
            commit,
            |index| log.term_at(index),
            |id, outcome| {
                actions.push_back(Action::Answer { id, outcome });
            },
        );
        self.serve_applied();
    }

    fn on_applied(&mut self, index: Index) -> Result<(), Refused> {
        let commit = self.delayed.released();
        if index > commit {
            return Err(Refused::AppliedBeyondCommit {
                applied: index,
                commit,
            });
        }
        if index > self.applied {
            self.applied = index;
            self.reads_go_on();
            self.serve_applied();
        }
        Ok(())
    }

    fn compact(&mut self, to: Index) -> Result<(), Refused> {
        let applied = self.applied.min(self.disk.durable());
        if to > applied {
            return Err(Refused::CompactBeyondApplied { to, applied });
        }
        self.log.compact(to);
        Ok(())
    }

    /// The membership that counts: the newest in the log, committed or not.
    #[must_use]
    pub fn membership(&self) -> &Arc<Membership> {
        if planted(Mutant::MembershipAtCommit) {
            return self.log.membership_at(self.commit);
        }
        self.log.membership()
    }

    /// The last entry of the log, durable or not.
    #[must_use]
    pub fn last_id(&self) -> LogId {
        self.log.last_id()
    }

    /// The term and the vote in it, durable or not.
    #[must_use]
    pub fn vote(&self) -> Vote {
        self.vote
    }

    /// What is committed, as far as is known.
    #[must_use]
    pub fn commit_index(&self) -> Index {
        self.commit
    }

    /// What is applied.
    #[must_use]
    pub fn applied_index(&self) -> Index {
        self.applied
    }

    /// The last index of the prefix of the log that is durable here.
    #[must_use]
    pub fn durable_index(&self) -> Index {
        self.disk.durable()
    }

    /// What the node is in its term.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let State::Leader(leader) = &self.state else {
            return Readiness::NotLeading;
        };
        if planted(Mutant::ReadyAtElection) {
            Readiness::Ready
        } else if self.commit < leader.first {
            Readiness::AwaitingCommit
        } else if self.applied < leader.first {
            Readiness::AwaitingApply
        } else {
            Readiness::Ready
        }
    }

    fn tell_role(&mut self) {
        let (role, term, leader) = (self.role(), self.vote.term, self.leader);
        let readiness = self.readiness();
        if self.told != (role, term, leader, readiness) {
            self.told = (role, term, leader, readiness);
            self.actions.push_back(Action::Role {
                role,
                term,
                leader,
                readiness,
            });
        }
    }
}

#[cfg(test)]
mod tests;
