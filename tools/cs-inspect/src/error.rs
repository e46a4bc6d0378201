//! What can go wrong, and with which exit code.

use std::io;
use std::path::Path;

/// Result of this program.
pub(crate) type Result<T, E = InspectError> = std::result::Result<T, E>;

/// Why a command ends without a result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// The command line asks for something that cannot be.
    #[error("{0}")]
    Usage(String),
    /// Something could not be read. It may be damaged, or it may just have
    /// been changed by somebody else: a second pass tells.
    #[error("{0}")]
    Suspect(String),
    /// There is nothing to look at, or it cannot be used, whoever writes.
    #[error("{0}")]
    Unreadable(String),
    /// Somebody else has the database, or was faster until the time was up.
    #[error("{0}")]
    Busy(String),
    /// The input of `load` has an error.
    #[error("{0}")]
    Input(String),
    /// The result could not be written.
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

impl InspectError {
    /// For `map_err`: something could not be read, for now or for good.
    pub(crate) fn suspect(error: impl std::error::Error) -> Self {
        Self::Suspect(error.to_string())
    }

    /// For `map_err`: the system refused `what` at `path`.
    pub(crate) fn at(what: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        move |source| Self::Unreadable(format!("{what}: {source}"))
    }

    /// Whether nobody reads our output any more: no reason to complain.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// What the process returns.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 1,
            Self::Usage(_) => 2,
            Self::Suspect(_) | Self::Unreadable(_) | Self::Output(_) => 3,
            Self::Busy(_) => 4,
        }
    }
}
