//! What can go wrong, and with which exit code.

use std::io;
use std::path::Path;

/// Why the program ends without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The command line asks for something that cannot be: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, and to which file.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The database refused something.
    #[error("{what}: {reason}")]
    Database {
        /// What was being done.
        what: &'static str,
        /// What the database said.
        reason: String,
    },
    /// The process of an engine failed, or ended.
    #[error("{engine}: {message}")]
    Engine {
        /// Which engine.
        engine: String,
        /// What it said.
        message: String,
        /// What it would have returned.
        exit_code: u8,
    },
    /// Something is worse than it was before.
    #[error("{0}")]
    Worse(String),
    /// The database gave an answer that is not true. A figure measured beside
    /// it would be worth nothing.
    #[error("wrong answer from the database: {0}")]
    WrongAnswer(String),
}

impl BenchError {
    /// For `map_err`: the system refused `what` at `path`.
    pub(crate) fn at(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Io { what, source }
    }

    /// What the process returns: 2 for a command line that makes no sense, as
    /// clap does too, and 1 for a run that failed.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Engine { exit_code, .. } => *exit_code,
            Self::Io { .. } | Self::Database { .. } | Self::WrongAnswer(_) | Self::Worse(_) => 1,
        }
    }
}
