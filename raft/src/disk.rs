//! What this node's own disk has, and how it is.

use std::fmt;

/// How a node's disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It answers.
    Good,
    /// It has not answered for too long: the node neither votes nor leads.
    Stalled,
    /// A write failed: the node takes part in nothing any more.
    Poisoned,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Stalled => "stalled",
            Self::Poisoned => "poisoned",
        })
    }
}
