//! Collection Store behind [`Target`]: the only file here that knows its API.

use std::path::Path;

use crate::cli::RunArgs;
use crate::error::BenchError;

use super::target::Target;

/// Opens a fresh database at `path`, as the arguments say.
pub(super) fn open(path: &Path, _arguments: &RunArgs) -> Result<Box<dyn Target>, BenchError> {
    Err(BenchError::Database {
        what: "open the database",
        reason: format!("{}: this build comes before the engine", path.display()),
    })
}
