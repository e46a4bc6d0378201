//! What can be wrong.

use std::error::Error as StdError;
use std::fmt;

use crate::{Index, NodeId, Ticket};

/// Why a node cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// An option does not fit.
    Config {
        /// Which, and how.
        what: &'static str,
    },
    /// What was restored contradicts itself.
    Restored {
        /// In what.
        what: &'static str,
        /// Where.
        at: Index,
    },
}

/// An event that cannot be: the driver or its disk broke the contract. The
/// node is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Refused {
    /// No write of that ticket is under way.
    UnknownTicket {
        /// The ticket.
        ticket: Ticket,
    },
    /// More is applied than may be.
    AppliedBeyondCommit {
        /// What is said to be applied.
        applied: Index,
        /// What may be.
        commit: Index,
    },
    /// More is compacted than may be.
    CompactBeyondApplied {
        /// What is said to be gone.
        to: Index,
        /// What may be.
        applied: Index,
    },
    /// Fetched entries are not those of the log.
    WrongEntries {
        /// The first that differs.
        at: Index,
    },
    /// A stored snapshot has no members, or impossible ones.
    BadSnapshot {
        /// Why.
        error: MembershipError,
    },
}

/// Why members make no cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MembershipError {
    /// There is no voter.
    NobodyCanLead,
    /// Those who can lead are no majority of those who count.
    TooManyWitnesses {
        /// How many cannot.
        witnesses: usize,
        /// How many can.
        leading: usize,
    },
    /// Too many members.
    TooMany {
        /// How many.
        found: usize,
        /// How many may be.
        limit: usize,
    },
    /// The address of a member is too long.
    AddressTooLong {
        /// The member.
        node: NodeId,
        /// In bytes.
        len: usize,
    },
    /// The delay of a member is too long.
    DelayTooLong {
        /// The member.
        node: NodeId,
    },
    /// A member that has a state would become a witness, or the other way
    /// round: remove it, and add a new node.
    WitnessForEver {
        /// The member.
        node: NodeId,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config { what } => write!(f, "option of the raft node: {what}"),
            Self::Restored { what, at } => write!(f, "restored raft log: {what} at {at}"),
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownTicket { ticket } => write!(f, "no write {ticket} is under way"),
            Self::AppliedBeyondCommit { applied, commit } => {
                write!(f, "applied {applied}, but only {commit} is committed")
            }
            Self::CompactBeyondApplied { to, applied } => {
                write!(f, "log dropped up to {to}, but only {applied} is applied")
            }
            Self::WrongEntries { at } => {
                write!(f, "fetched entry {at} is not the one of the log")
            }
            Self::BadSnapshot { error } => write!(f, "membership of a snapshot: {error}"),
        }
    }
}

impl fmt::Display for MembershipError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyCanLead => write!(f, "a cluster needs at least one voter, found none"),
            Self::TooManyWitnesses { witnesses, leading } => write!(
                f,
                "those who can lead must be a majority, found {leading} beside {witnesses} witnesses"
            ),
            Self::TooMany { found, limit } => {
                write!(f, "a cluster has at most {limit} members, found {found}")
            }
            Self::AddressTooLong { node, len } => {
                write!(f, "address of member {node} has {len} bytes, too many")
            }
            Self::WitnessForEver { node } => {
                write!(f, "member {node} cannot begin or cease to be a witness")
            }
            Self::DelayTooLong { node } => write!(f, "delay of member {node} is too long"),
        }
    }
}

impl StdError for Error {}
impl StdError for Refused {}
impl StdError for MembershipError {}

#[cfg(test)]
mod tests;
