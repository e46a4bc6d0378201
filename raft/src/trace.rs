//! Every event, action and message as one line of text, for traces.
//!
//! Invariants: one line each; the same value, the same text; nothing that
//! differs from run to run (no addresses, no times of day). Payloads are shown
//! when they are short and printable, else by their length.

use std::fmt::{self, Display, Formatter, Result};

use crate::{
    Action, AppendOutcome, Body, Consistency, Entry, Event, Kind, Members, Membership, Message,
    NodeId, Outcome, Payload, Readiness, Refusal, Role, SnapshotOutcome, Vote,
};

/// Longest payload that is shown rather than counted.
const MAX_SHOWN_BYTES: usize = 16;

/// Something that may be absent.
struct OrNone<'a, T>(&'a Option<T>);

impl<T: Display> Display for OrNone<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// Things in a row, with blanks between, in brackets.
struct Row<'a, T>(&'a [T]);

impl<T: Display> Display for Row<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("[")?;
        for (place, value) in self.0.iter().enumerate() {
            let blank = if place == 0 { "" } else { " " };
            write!(f, "{blank}{value}")?;
        }
        f.write_str("]")
    }
}

impl Display for Payload {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let bytes = &self.0;
        let plain = bytes.iter().all(|byte| byte.is_ascii_graphic());
        if plain && bytes.len() <= MAX_SHOWN_BYTES {
            write!(f, "{}", String::from_utf8_lossy(bytes))
        } else {
            write!(f, "{} bytes", bytes.len())
        }
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match &self.body {
            Body::NoOp => write!(f, "{}", self.id),
            Body::Data(payload) => write!(f, "{}={payload}", self.id),
            Body::Membership(membership) => write!(f, "{}={membership}", self.id),
        }
    }
}

/// `{1 2 3:witness}`; in a joint configuration `{1 2 3}>{1 2 4}`.
impl Display for Membership {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.is_joint() {
            write_members(f, &self.outgoing)?;
            f.write_str(">")?;
        }
        write_members(f, &self.members)
    }
}

fn write_members(f: &mut Formatter<'_>, members: &Members) -> Result {
    f.write_str("{")?;
    for (place, (id, member)) in members.iter().enumerate() {
        let blank = if place == 0 { "" } else { " " };
        write!(f, "{blank}{id}{}", member.kind)?;
    }
    f.write_str("}")
}

/// Nothing for a voter of middle priority, else what it is after a colon.
impl Display for Kind {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Voter { priority: 128 } => Ok(()),
            Self::Voter { priority } => write!(f, ":priority-{priority}"),
            Self::Witness => f.write_str(":witness"),
            Self::Learner { hidden, delay } => {
                f.write_str(if *hidden { ":hidden" } else { ":learner" })?;
                if delay.is_zero() {
                    return Ok(());
                }
                write!(f, "-{}ms", delay.as_millis())
            }
        }
    }
}

impl Display for Vote {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} for {}", self.term, OrNone(&self.voted_for))
    }
}

impl Message {
    /// The name of its kind, as it begins its line.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PreVote { .. } => "pre-vote",
            Self::PreVoteAnswer { .. } => "pre-vote-answer",
            Self::Vote { .. } => "vote",
            Self::VoteAnswer { .. } => "vote-answer",
            Self::Append { .. } => "append",
            Self::AppendAnswer { .. } => "append-answer",
            Self::Heartbeat { .. } => "heartbeat",
            Self::HeartbeatAnswer { .. } => "heartbeat-answer",
            Self::SnapshotOffer { .. } => "snapshot-offer",
            Self::SnapshotAnswer { .. } => "snapshot-answer",
            Self::TimeoutNow { .. } => "timeout-now",
            Self::ReadIndex { .. } => "read-index",
            Self::ReadIndexAnswer { .. } => "read-index-answer",
        }
    }
}

/// ```
/// use cs_raft::{LogId, Message, Term};
/// let message = Message::Vote { term: Term(3), last: LogId::default(), forced: false };
/// assert_eq!(message.to_string(), "vote t3 last t0.i0");
/// ```
impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} {}", self.kind(), self.term())?;
        match self {
            Self::PreVote { last, .. } => write!(f, " last {last}"),
            Self::PreVoteAnswer { asked, granted, .. } => {
                write!(f, " {} for {asked}", granting(*granted))
            }
            Self::Vote { last, forced, .. } => {
                write!(f, " last {last}{}", if *forced { " forced" } else { "" })
            }
            Self::VoteAnswer { granted, .. } => write!(f, " {}", granting(*granted)),
            Self::Append {
                session,
                previous,
                entries,
                commit,
                ..
            } => {
                write!(
                    f,
                    " {session} after {previous} {} commit {commit}",
                    Row(entries)
                )
            }
            Self::AppendAnswer {
                session, outcome, ..
            } => write!(f, " {session} {outcome}"),
            Self::Heartbeat {
                session,
                commit,
                token,
                quorum_age,
                ..
            } => {
                let age = quorum_age.as_millis();
                write!(f, " {session} {token} commit {commit} quorum {age}ms ago")
            }
            Self::HeartbeatAnswer {
                session,
                token,
                incarnation,
                ..
            } => {
                write!(f, " {session} {token} incarnation {incarnation}")
            }
            Self::SnapshotOffer {
                session,
                id,
                membership,
                ..
            } => {
                write!(f, " {session} of {id} {membership}")
            }
            Self::SnapshotAnswer {
                session, outcome, ..
            } => write!(f, " {session} {outcome}"),
            Self::TimeoutNow { .. } => Ok(()),
            Self::ReadIndex { round, lease, .. } => {
                write!(f, " round {round}{}", if *lease { " by lease" } else { "" })
            }
            Self::ReadIndexAnswer { round, index, .. } => {
                write!(f, " round {round} at {}", OrNone(index))
            }
        }
    }
}

fn granting(granted: bool) -> &'static str {
    if granted { "granted" } else { "refused" }
}

impl Display for AppendOutcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Matched { upto } => write!(f, "matched {upto}"),
            Self::Rejected { previous, hint } => write!(f, "rejected {previous} hint {hint}"),
            Self::Busy => f.write_str("busy"),
        }
    }
}

impl Display for SnapshotOutcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Accepted => f.write_str("accepted"),
            Self::Stored { upto } => write!(f, "stored, matched {upto}"),
            Self::Refused => f.write_str("refused"),
        }
    }
}

impl Display for Consistency {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Linearizable => "linearizable",
            Self::Lease => "by lease",
            Self::Local => "local",
        })
    }
}

/// ```
/// use cs_raft::{Event, Index};
/// assert_eq!(Event::Applied { index: Index(7) }.to_string(), "applied i7");
/// ```
impl Display for Event {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Receive { from, message } => write!(f, "from {from}: {message}"),
            Self::Tick => f.write_str("tick"),
            Self::Propose { id, payloads } => write!(f, "propose {id} {}", Row(payloads)),
            Self::Persisted { ticket } => write!(f, "persisted {ticket}"),
            Self::PersistFailed { ticket, reason } => {
                write!(f, "persist failed {ticket}: {reason}")
            }
            Self::DiskStalled => f.write_str("disk stalled"),
            Self::DiskHealthy => f.write_str("disk healthy"),
            Self::Applied { index } => write!(f, "applied {index}"),
            Self::Fetched {
                to,
                session,
                after,
                entries,
            } => {
                write!(
                    f,
                    "fetched for {to} {session} after {after} {}",
                    Row(entries)
                )
            }
            Self::SnapshotStored {
                from,
                session,
                id,
                membership,
            } => {
                write!(
                    f,
                    "snapshot stored from {from} {session} of {id} {membership}"
                )
            }
            Self::SnapshotFailed { from, session } => {
                write!(f, "snapshot failed from {from} {session}")
            }
            Self::SnapshotSent { to, session } => write!(f, "snapshot sent to {to} {session}"),
            Self::SnapshotSendFailed { to, session } => {
                write!(f, "snapshot send failed to {to} {session}")
            }
            Self::Read { id, consistency } => write!(f, "read {id} {consistency}"),
            Self::ChangeMembership { id, members } => {
                write!(f, "change membership {id} ")?;
                write_members(f, members)
            }
            Self::Transfer { id, to } => write!(f, "transfer {id} to {}", whom(*to)),
            Self::Compact { to } => write!(f, "compact {to}"),
        }
    }
}

fn whom(to: Option<NodeId>) -> String {
    to.map_or_else(|| "the best".to_owned(), |to| to.to_string())
}

/// ```
/// use cs_raft::{Action, Index};
/// assert_eq!(Action::Commit { index: Index(7) }.to_string(), "commit i7");
/// ```
impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Send { to, message, after } => {
                write!(f, "send {to}: {message}")?;
                let Some(after) = after else { return Ok(()) };
                write!(f, ", once {after}")
            }
            Self::Append { ticket, entries } => write!(f, "append {ticket} {}", Row(entries)),
            Self::SaveVote { ticket, vote } => write!(f, "save vote {ticket} {vote}"),
            Self::SupersedeTail { from } => write!(f, "supersede tail from {from}"),
            Self::Commit { index } => write!(f, "commit {index}"),
            Self::Answer { id, outcome } => write!(f, "answer {id}: {outcome}"),
            Self::ReadReady { id, index } => write!(f, "read {id} ready at {index}"),
            Self::StartSnapshot {
                to,
                session,
                at_least,
            } => {
                write!(f, "start snapshot to {to} {session} of at least {at_least}")
            }
            Self::InstallSnapshot {
                ticket,
                id,
                membership,
            } => {
                write!(f, "install snapshot {ticket} of {id} {membership}")
            }
            Self::DropSnapshot { id } => write!(f, "drop snapshot of {id}"),
            Self::Fetch {
                to,
                session,
                after,
                max_bytes,
            } => {
                write!(
                    f,
                    "fetch for {to} {session} after {after}, {max_bytes} bytes"
                )
            }
            Self::Role {
                role,
                term,
                leader,
                readiness,
            } => {
                write!(
                    f,
                    "role {role} {term} leader {} {readiness}",
                    OrNone(leader)
                )
            }
        }
    }
}

impl Display for Role {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        })
    }
}

impl Display for Readiness {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self {
            Self::NotLeading => "not leading",
            Self::AwaitingCommit => "awaiting commit",
            Self::AwaitingApply => "awaiting apply",
            Self::Ready => "ready",
        })
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Committed { last } => write!(f, "committed at {last}"),
            Self::Transferred { to } => write!(f, "transferred to {to}"),
            Self::NotLeader { leader } => write!(f, "not leader, ask {}", OrNone(leader)),
            Self::Superseded => f.write_str("superseded"),
            Self::Unknown => f.write_str("unknown"),
            Self::Refused(refusal) => write!(f, "refused: {refusal}"),
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> Result {
        match self {
            Self::TooBusy { waiting, limit } => {
                write!(f, "too busy, {waiting} of at most {limit} wait")
            }
            Self::BadLen { found, limit } => {
                write!(f, "found {found} bytes, expected 1 to {limit}")
            }
            Self::NotReady => f.write_str("nothing of this term is committed yet"),
            Self::ChangeInProgress => f.write_str("a change of the membership is under way"),
            Self::Transferring => f.write_str("the leader is handing over"),
            Self::BadMembership(error) => error.fmt(f),
            Self::BadTarget => f.write_str("that node cannot lead"),
            Self::TimedOut => f.write_str("it took too long"),
            Self::DiskUnhealthy => f.write_str("the disk is stalled or poisoned"),
            Self::NoState => f.write_str("a witness has no state to read"),
        }
    }
}

#[cfg(test)]
mod tests;
