//! What a harness found wrong.

use std::fmt;

/// A broken promise, as a sentence for whoever has to find the cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub String);

/// Whether a case was as promised.
pub type Verdict<T = ()> = Result<T, Failure>;

impl Failure {
    /// The same, with what was being done.
    #[must_use]
    pub fn during(self, what: impl fmt::Display) -> Self {
        Self(format!("{what}: {}", self.0))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

impl From<cs_kv::Error> for Failure {
    fn from(error: cs_kv::Error) -> Self {
        Self(format!("unexpected error: {error}"))
    }
}

impl From<collection_store::Error> for Failure {
    fn from(error: collection_store::Error) -> Self {
        Self(format!("unexpected error: {error:?}"))
    }
}

/// `Ok` if `holds`, else the sentence.
///
/// # Errors
/// The sentence, if it does not hold.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Failure(otherwise()))
    }
}
