//! Documents on their way through a pipeline, pulled from its end.

use std::sync::Arc;

use super::foreign::Foreign;
use crate::context::Watch;
use crate::environment::Environment;
use crate::error::Result;
use crate::sort::SorterOptions;
use crate::surroundings::Surroundings;

/// Where a stage gets its documents from.
pub(crate) trait Rows: Send {
    /// Puts the next document into `row`; false if there are no more.
    fn next(&mut self, run: &Run, row: &mut Vec<u8>) -> Result<bool>;
}

/// What all stages of one execution share.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) environment: Arc<Environment>,
    pub(crate) watch: Watch,
    pub(crate) surroundings: Arc<Surroundings>,
    /// The other collections, in the same state.
    pub(crate) foreign: Arc<Foreign>,
    pub(crate) allow_disk_use: bool,
}

impl Run {
    /// The same with other variables.
    pub(crate) fn with(&self, surroundings: Surroundings) -> Self {
        Self {
            surroundings: Arc::new(surroundings),
            ..self.clone()
        }
    }

    pub(super) fn sorter_options(&self, limit: Option<u64>) -> SorterOptions {
        SorterOptions {
            limit,
            budget: self.watch.sort_budget(),
            allow_disk_use: self.allow_disk_use,
        }
    }
}

/// Documents at hand.
pub(super) struct Held(pub(super) std::vec::IntoIter<Vec<u8>>);

impl Held {
    pub(super) fn new(documents: Vec<Vec<u8>>) -> Self {
        Self(documents.into_iter())
    }
}

impl Rows for Held {
    fn next(&mut self, _: &Run, row: &mut Vec<u8>) -> Result<bool> {
        match self.0.next() {
            Some(document) => *row = document,
            None => return Ok(false),
        }
        Ok(true)
    }
}
