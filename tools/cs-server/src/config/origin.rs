//! Where a setting was said.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a setting was said, the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nowhere.
    Default,
    /// Nowhere; it is what `--dev` means.
    Dev,
    /// In this file.
    File(Arc<PathBuf>),
    /// In this variable of the environment.
    Environment(String),
    /// By this flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built in"),
            Self::Dev => f.write_str("--dev"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}
