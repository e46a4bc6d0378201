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
//! Reading order: `validator` (MongoDB's), `explain` (why it refused), `faults` (why a
//! [`Schema`](crate::Schema) refused), `ids`.

mod explain;
mod faults;
pub(crate) mod ids;
mod validator;

use std::sync::Arc;

use bson::RawDocument;

use self::ids::Ids;
use self::validator::Validator;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::Draw;
use crate::index::{Definition, IndexModel};
use crate::schema::{self, Plan};
use crate::stats::Counters;
use crate::surroundings::Surroundings;
use crate::values::{DocumentBuilder, Elements, Kind};

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
pub(crate) const MODIFIABLE: [&str; 7] = [
    "changeStreamPreAndPostImages",
    "schema",
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
    schema: Option<Plan>,
    ids: Option<Ids>,
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
    environment: Arc<Environment>,
    /// Only what identifies documents is asked.
    is_bypassed: bool,
}

impl Judge {
    pub(crate) fn new(rules: &Arc<Rules>, environment: &Arc<Environment>) -> Self {
        Self {
            rules: Arc::clone(rules),
            surroundings: environment.surroundings(),
            environment: Arc::clone(environment),
            is_bypassed: false,
        }
    }

    /// The same, asking only what identifies documents if so.
    pub(crate) fn bypassing(mut self, is_bypassed: bool) -> Self {
        self.is_bypassed = is_bypassed;
        self
    }

    /// What calls functions; nothing if the rules name none, for then this may be where
    /// commits are made.
    fn draw(&self) -> Draw<'_> {
        match self.rules.calls_functions() {
            true => Draw::new(&self.environment),
            false => Draw::nothing(),
        }
    }

    /// What the schema makes of a document before it is judged.
    ///
    /// # Errors
    /// A function is not registered, or the document becomes too large.
    pub(crate) fn shape(&self, document: Vec<u8>) -> Result<Vec<u8>> {
        let Some(schema) = self.rules.schema.as_ref().filter(|_| !self.is_bypassed) else {
            return Ok(document);
        };
        let shaped = schema.shape(&document, &self.draw())?;
        Ok(shaped.unwrap_or(document))
    }

    /// Judges a document that takes the place of `old`. It may be judged more than once,
    /// and each time that it breaks a rule which only warns is counted.
    ///
    /// # Errors
    /// [`ErrorKind::DocumentValidation`]: it must not be written.
    pub(crate) fn judge(&self, old: Option<&[u8]>, new: &[u8]) -> Result<()> {
        if let Some(ids) = &self.rules.ids {
            ids.check(new)?;
        }
        self.judge_beside(old, new)
    }

    /// Judges a document that may have no `_id` yet.
    ///
    /// # Errors
    /// As [`judge`](Self::judge).
    pub(crate) fn judge_content(&self, new: &[u8]) -> Result<()> {
        self.judge_beside(None, new)
    }

    fn judge_beside(&self, old: Option<&[u8]>, new: &[u8]) -> Result<()> {
        if self.is_bypassed {
            return Ok(());
        }
        self.rules.check(new, &self.draw())?;
        let judged = self.rules.judge(&self.surroundings, old, new);
        let logs = match &judged {
            Ok(verdict) => *verdict == Verdict::Warned,
            Err(_) => self.rules.validator.as_ref().is_some_and(Validator::logs),
        };
        if logs {
            Counters::add(&self.environment.counters.validation_warnings, 1);
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
        let rules = Self {
            validator: Validator::of(options)?,
            schema: schema::of(options)?,
            ids: Ids::of(options)?,
        };
        let is_any = rules.validator.is_some() || rules.schema.is_some() || rules.ids.is_some();
        Ok(is_any.then_some(rules))
    }

    /// Whether functions are called, so that no write may be evaluated at its commit.
    pub(crate) fn calls_functions(&self) -> bool {
        self.schema
            .as_ref()
            .is_some_and(|schema| schema.calls_functions)
    }

    /// Whether documents are numbered.
    pub(crate) fn counts(&self) -> bool {
        self.ids.as_ref().is_some_and(Ids::counts)
    }

    /// How documents are identified, if not as usual.
    pub(crate) fn ids(&self) -> Option<&Ids> {
        self.ids.as_ref()
    }

    /// The indexes that unique fields need.
    ///
    /// # Errors
    /// One cannot be.
    pub(crate) fn indexes(&self) -> Result<Vec<Definition>> {
        let unique = self.schema.iter().flat_map(|schema| &schema.unique);
        let definitions =
            unique.map(|(path, required)| Definition::new(unique_index(path, *required)));
        definitions.filter_map(Result::transpose).collect()
    }

    /// The same as they are asked for.
    pub(crate) fn index_models(&self) -> Vec<IndexModel> {
        let unique = self.schema.iter().flat_map(|schema| &schema.unique);
        unique
            .map(|(path, required)| unique_index(path, *required))
            .collect()
    }

    /// A filter with its operands as the fields are; `None` if it stays.
    ///
    /// # Errors
    /// An operand makes no sense for its field.
    pub(crate) fn filter(&self, source: &[u8]) -> Result<Option<Vec<u8>>> {
        let coerced = match &self.schema {
            Some(schema) => schema.filter(source)?,
            None => None,
        };
        let source = coerced.as_deref().unwrap_or(source);
        let by_id = self.ids.as_ref().and_then(|ids| ids.filter(source));
        Ok(by_id.or(coerced))
    }

    fn check(&self, document: &[u8], draw: &Draw<'_>) -> Result<()> {
        let faults = match &self.schema {
            Some(schema) => schema.check(document, draw)?,
            None => return Ok(()),
        };
        match faults.is_empty() {
            true => Ok(()),
            false => Err(faults::refusal(document, faults)),
        }
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

fn unique_index(path: &str, required: bool) -> IndexModel {
    let mut key = DocumentBuilder::new();
    key.append_parts(path.as_bytes(), Kind::Int32, &[&1_i32.to_le_bytes()]);
    let key = bson::RawDocumentBuf::from_bytes(key.finish()).unwrap_or_default();
    IndexModel::new(key).unique(true).sparse(!required)
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
