//! What the options of a collection demand of its documents.
//!
//! The options are stored as they were given; `Rules` are their compiled form, made once
//! for each entry of the catalog and held by it.
//!
//! ## Invariants
//! * Every document that a commit writes was judged by the rules of the catalog entry that
//!   the commit relies on ([`cs_kv::Batch::keep`]): so no write slips by rules that changed
//!   since it looked.
//! * It is judged where its index entries are derived, which no write path goes round; so
//!   what is not judged is not indexed either.
//! * An option that MongoDB has and that is not kept here is refused by name.
//!
//! Reading order: `validator` (MongoDB's), `explain` (why it refused).

mod explain;
mod validator;

use std::sync::Arc;

use bson::RawDocument;

use self::validator::Validator;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::stats::Counters;
use crate::surroundings::Surroundings;
use crate::values::Elements;

/// Options of MongoDB that have no meaning here.
const UNSUPPORTED: [&str; 9] = [
    "capped",
    "clusteredIndex",
    "collation",
    "encryptedFields",
    "expireAfterSeconds",
    "pipeline",
    "storageEngine",
    "timeseries",
    "viewOn",
];
/// Options that can be changed later.
pub(crate) const MODIFIABLE: [&str; 6] = [
    "changeStreamPreAndPostImages",
    "ttlField",
    "ttlFrom",
    "validationAction",
    "validationLevel",
    "validator",
];
/// MongoDB's code for options that cannot be.
const INVALID_OPTIONS: i32 = 72;

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Rules {
    validator: Option<Validator>,
}

/// What is said of a document that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Right,
    /// It breaks a rule that only warns.
    Warned,
}

/// The rules, as one operation asks them: the time is fixed when it begins.
#[derive(Clone, Debug)]
pub(crate) struct Judge {
    rules: Arc<Rules>,
    surroundings: Surroundings,
    counters: Arc<Counters>,
}

impl Judge {
    pub(crate) fn new(rules: &Arc<Rules>, environment: &Environment) -> Self {
        Self {
            rules: Arc::clone(rules),
            surroundings: environment.surroundings(),
            counters: Arc::clone(&environment.counters),
        }
    }

    /// Judges a document that takes the place of `old`. It may be judged more than once,
    /// and each time that it breaks a rule which only warns is counted.
    ///
    /// # Errors
    /// [`ErrorKind::DocumentValidation`]: it must not be written.
    pub(crate) fn judge(&self, old: Option<&[u8]>, new: &[u8]) -> Result<()> {
        let judged = self.rules.judge(&self.surroundings, old, new);
        let logs = match &judged {
            Ok(verdict) => *verdict == Verdict::Warned,
            Err(_) => self.rules.validator.as_ref().is_some_and(Validator::logs),
        };
        if logs {
            Counters::add(&self.counters.validation_warnings, 1);
        }
        judged.map(drop)
    }
}

impl Rules {
    /// Those in the options of a collection, if there are any.
    ///
    /// # Errors
    /// They make no sense; codes are MongoDB's.
    pub(crate) fn of(options: &RawDocument) -> Result<Option<Self>> {
        let validator = Validator::of(options)?;
        Ok(validator.map(|validator| Self {
            validator: Some(validator),
        }))
    }

    fn judge(
        &self,
        surroundings: &Surroundings,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Verdict> {
        match &self.validator {
            Some(validator) => validator.judge(surroundings, old, new),
            None => Ok(Verdict::Right),
        }
    }
}

/// Refuses options that no collection can have.
///
/// # Errors
/// One is not supported, or has a value that makes no sense.
pub(crate) fn check_options(options: &RawDocument) -> Result<()> {
    for field in Elements::new(options.as_bytes()) {
        let name = String::from_utf8_lossy(field.name);
        if UNSUPPORTED.contains(&&*name) && field.value.is_truthy() {
            let message = format!("the option '{name}' of a collection is not supported");
            return Err(Error::new(ErrorKind::Unsupported, message).with_code(INVALID_OPTIONS));
        }
    }
    crate::changes::check_image_option(options)?;
    Rules::of(options).map(drop)
}

#[cfg(test)]
mod tests;
