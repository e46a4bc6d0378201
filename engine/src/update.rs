//! Updates: MongoDB's update language over raw bytes.
//!
//! An update document is [parsed](Update::parse) once: operators, operands,
//! paths and array filters are looked at there, and all paths merged into one
//! tree. [`apply`](Update::apply) is a pure function from a document's bytes to
//! new ones: no clock, no randomness, no I/O, so that it may run again wherever
//! a commit is decided. The meaning is that of MongoDB 8.2:
//!
//! * a path goes down documents by name and arrays by position; parents that
//!   are missing are made as documents, positions that are missing are filled
//!   with null; a scalar in the way is an error (28);
//! * fields that are new come in the order of their names, numbers by value;
//! * what no operator changes is no change ([`Applied::Unchanged`]); as in MongoDB, an
//!   array that was pushed to or sorted is one even if it ends as it was, and so is NaN;
//! * an error leaves the document as it was, all of it.
//!
//! Operators: `$set $setOnInsert $unset $rename $inc $mul $min $max $bit
//! $currentDate $push ($each $position $sort $slice) $addToSet ($each) $pull
//! $pullAll $pop`; steps of paths: names, positions, `$`, `$[]`, `$[x]`. An
//! update without operators is a replacement
//! ([`parse_or_replacement`](Update::parse_or_replacement)); an array of stages is a
//! pipeline ([`parse_pipeline`](Update::parse_pipeline)), which computes the new document.
//!
//! Reading order: `path`, `tree` (paths, merged), `parse`, `node` (a document
//! that is being changed), `walk` (tree meets document), `operator` and the
//! families (`arithmetic`, `push`, `members`, `rename`),
//! `array_filters`, `replacement`, `upsert`; `scene` is what operators share.

mod arithmetic;
mod array_filters;
mod members;
mod node;
mod operator;
mod parse;
mod path;
mod push;
mod rename;
mod replacement;
mod scene;
mod tree;
mod upsert;
mod walk;

use std::sync::Arc;

use bson::{DateTime, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp};

use crate::aggregate::Pipeline;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::id;
use crate::surroundings::Surroundings;
use crate::values::{Elements, Kind, RawValue, compare, validate_document};
use node::Node;
use operator::Outcome;
use scene::Scene;

/// What an update may come with.
#[derive(Clone, Debug, Default)]
pub struct UpdateOptions {
    /// For each identifier `x` in a step `$[x]` a filter whose paths begin with `x`.
    pub array_filters: Vec<RawDocumentBuf>,
    /// Insert a document where none matches: for whoever looks for documents; parsing
    /// and applying do not ask.
    pub upsert: bool,
}

impl UpdateOptions {
    /// Insert a document where none matches.
    #[must_use]
    pub fn upsert() -> Self {
        Self {
            upsert: true,
            ..Self::default()
        }
    }
}

/// What one application depends on, besides update and document.
#[derive(Clone, Debug)]
pub struct UpdateContext {
    /// The place in an array at which the filter matched, for the positional `$`;
    /// from [`Filter::matched_position`].
    pub position: Option<usize>,
    /// The time for `$currentDate`.
    pub now: DateTime,
    /// The time for `$currentDate` with `{ $type: "timestamp" }`.
    pub timestamp: Timestamp,
    /// Whether the document is an [upsert's](Update::upsert_base), about to be inserted.
    pub is_upsert_insert: bool,
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is the same, byte for byte.
    Unchanged,
    /// It has become this one, which may even have the same bytes: valid, and with the same `_id` if it had one. That
    /// of an upsert may have none yet, or not in front.
    Changed(Vec<u8>),
}

/// An update, ready to be applied to documents.
///
/// ```
/// use bson::{DateTime, Timestamp, rawdoc};
/// use collection_store::{Applied, Update, UpdateContext, UpdateOptions};
///
/// let update = rawdoc! { "$inc": { "stock.tea": -1 }, "$push": { "log": "sold" } };
/// let update = Update::parse(&update, &UpdateOptions::default())?;
/// let context = UpdateContext {
///     position: None,
///     now: DateTime::from_millis(0),
///     timestamp: Timestamp { time: 0, increment: 0 },
///     is_upsert_insert: false,
/// };
/// let shop = rawdoc! { "_id": 1, "stock": { "tea": 5 } };
/// let sold = rawdoc! { "_id": 1, "stock": { "tea": 4 }, "log": ["sold"] };
/// assert_eq!(
///     update.apply(&shop, &context)?,
///     Applied::Changed(sold.as_bytes().to_vec()),
/// );
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Update {
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Modifiers(Box<parse::Modifiers>),
    Replacement(RawDocumentBuf),
    Pipeline(Arc<Pipeline>),
}

impl Update {
    /// Compiles an update of operators.
    ///
    /// # Errors
    /// The documents are not valid BSON; an operator is unknown, or there is none
    /// (code 9); an operand makes no sense (2, 9, 14); a path is empty (56), too long
    /// (15) or at odds with another (40); an array filter is
    /// missing (2) or of no use (9).
    pub fn parse(update: &RawDocument, options: &UpdateOptions) -> Result<Self> {
        validate_document(update.as_bytes())?;
        if !starts_with_operator(update) {
            return Err(parse::failed(
                "the update has no operators: expected names that start with $ ".to_owned()
                    + "(for a whole document use a replacement)",
            ));
        }
        for filter in &options.array_filters {
            validate_document(filter.as_bytes())?;
        }
        let modifiers = parse::modifiers(update, &options.array_filters)?;
        Ok(Self {
            form: Form::Modifiers(Box::new(modifiers)),
        })
    }

    /// Compiles an update of operators or, if its first name does not start with
    /// a dollar, takes it for the whole new document.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse); a replacement with an operator (9) or another
    /// name that starts with a dollar (52), or with array filters (9).
    pub fn parse_or_replacement(update: &RawDocument, options: &UpdateOptions) -> Result<Self> {
        validate_document(update.as_bytes())?;
        if starts_with_operator(update) {
            return Self::parse(update, options);
        }
        replacement::check(update, &options.array_filters)?;
        Ok(Self {
            form: Form::Replacement(update.to_owned()),
        })
    }

    /// Takes a document for the whole new one.
    ///
    /// # Errors
    /// It is not valid, has names that start with a dollar (9, 52), or comes with array
    /// filters (9).
    pub fn parse_replacement(update: &RawDocument, options: &UpdateOptions) -> Result<Self> {
        validate_document(update.as_bytes())?;
        replacement::check(update, &options.array_filters)?;
        Ok(Self {
            form: Form::Replacement(update.to_owned()),
        })
    }

    /// Compiles an update that is a pipeline of `$addFields`, `$set`, `$project`,
    /// `$unset`, `$replaceRoot` and `$replaceWith`.
    ///
    /// # Errors
    /// Those of the stages; another stage (72); array filters (9).
    pub fn parse_pipeline(stages: &[RawDocumentBuf], options: &UpdateOptions) -> Result<Self> {
        if !options.array_filters.is_empty() {
            return Err(parse::failed(
                "array filters may not be specified for an update by pipeline".to_owned(),
            ));
        }
        let stages = stages.iter().map(|stage| {
            validate_document(stage.as_bytes())?;
            Ok(stage.clone())
        });
        Ok(Self {
            form: Form::Pipeline(Arc::new(Pipeline::parse_update(stages)?)),
        })
    }

    /// Compiles an update as it comes over a wire: a document of operators, a
    /// replacement, or a pipeline.
    ///
    /// # Errors
    /// Those of [`parse_or_replacement`](Self::parse_or_replacement) and
    /// [`parse_pipeline`](Self::parse_pipeline); the value is neither document nor
    /// array (9).
    pub fn parse_value(update: RawBsonRef<'_>, options: &UpdateOptions) -> Result<Self> {
        match update {
            RawBsonRef::Document(document) => Self::parse_or_replacement(document, options),
            RawBsonRef::Array(stages) => {
                let mut documents = Vec::new();
                for stage in stages {
                    let Some(stage) = stage?.as_document() else {
                        let message = "each stage of a pipeline must be a document";
                        return Err(Error::bad_value(message).with_code(14));
                    };
                    documents.push(stage.to_owned());
                }
                Self::parse_pipeline(&documents, options)
            }
            _ => Err(parse::failed(
                "the update must be either a document or an array".to_owned(),
            )),
        }
    }

    /// Whether it is a whole new document.
    #[must_use]
    pub fn is_replacement(&self) -> bool {
        matches!(self.form, Form::Replacement(_))
    }

    /// Whether a path holds the positional `$`, so that
    /// [`UpdateContext::position`] matters.
    #[must_use]
    pub fn needs_position(&self) -> bool {
        matches!(&self.form, Form::Modifiers(modifiers) if modifiers.needs_position)
    }

    /// Whether it names the `_id`, or something in it.
    #[must_use]
    pub fn touches_id(&self) -> bool {
        match &self.form {
            Form::Modifiers(modifiers) => modifiers.checks.has_id,
            Form::Replacement(document) => id::id_of(document.as_bytes()).is_some(),
            // It may compute one.
            Form::Pipeline(_) => true,
        }
    }

    /// What the update makes of `document`, which has passed
    /// [`validate_document`]. The result has passed it too.
    ///
    /// # Errors
    /// An operator does not go with the value that it meets (2, 14), a path cannot
    /// be taken (28) or two meet (40), the `_id` would change (66), a name at
    /// the top of a stored document would start with a dollar (52), an array would be
    /// filled with too many nulls (34), or the result exceeds a limit: 16 MiB
    /// (17419) or 100 levels (15).
    pub fn apply(&self, document: &RawDocument, context: &UpdateContext) -> Result<Applied> {
        let old = document.as_bytes();
        let modifiers = match &self.form {
            Form::Modifiers(modifiers) => modifiers,
            Form::Replacement(new) => return replacement::apply(new, old),
            Form::Pipeline(pipeline) => {
                let surroundings = Surroundings::at(context.now.timestamp_millis());
                let new = pipeline.update(old, &surroundings)?;
                return replacement::apply_computed(&new, old);
            }
        };
        let position = context.position.map(|position| position.to_string());
        let mut root = Node::Raw(RawValue {
            kind: Kind::Document,
            bytes: old,
        });
        let mut sources = Vec::with_capacity(modifiers.renames.len());
        let mut visited = 0;
        for rename in &modifiers.renames {
            sources.push(rename.take(&mut root, &mut visited));
        }
        let was_renamed = sources.iter().any(Option::is_some);
        let position = position.as_deref().map(str::as_bytes);
        let mut scene = Scene::new(context, position, &modifiers.filters, sources);
        let outcome = walk::apply(&[&modifiers.tree], &mut root, &mut scene)?;
        if outcome == Outcome::Unchanged && !was_renamed {
            return Ok(Applied::Unchanged);
        }
        let mut checks = modifiers.checks;
        checks.has_dollar &= !context.is_upsert_insert;
        finish(old, root.to_bytes()?, checks)
    }

    /// The document that an upsert starts from, where nothing matches `filter`:
    /// what the filter demands to equal one value (`a: 1`, `$eq`, in `$and`, alone in
    /// `$in`, `$or` or `$all`), dotted paths as documents, the `_id` in front. For a
    /// replacement only the `_id`. [Apply](Self::apply) the update to it, with
    /// [`UpdateContext::is_upsert_insert`], and insert what comes of it, changed or not.
    ///
    /// # Errors
    /// Two of these are about one path (54); a replacement and a part of `_id` (111).
    pub fn upsert_base(&self, filter: &Filter) -> Result<RawDocumentBuf> {
        upsert::base(filter, self.is_replacement())
    }
}

/// What an update may touch that has to be looked at afterwards.
#[derive(Clone, Copy, Debug, Default)]
struct Checks {
    /// The `_id`.
    has_id: bool,
    /// Something in the `_id`.
    has_part_of_id: bool,
    /// A name at the top that starts with a dollar.
    has_dollar: bool,
    /// The depth: what it brings may end up below the last level.
    may_deepen: bool,
}

impl Checks {
    fn with_id(self) -> Self {
        Self {
            has_id: true,
            ..self
        }
    }
}

/// Whether an update is one of operators: a replacement is empty or starts otherwise.
fn starts_with_operator(update: &RawDocument) -> bool {
    Elements::new(update.as_bytes())
        .next()
        .is_some_and(|first| first.name.starts_with(b"$"))
}

/// The last look at what came of an update.
fn finish(old: &[u8], new: Vec<u8>, checks: Checks) -> Result<Applied> {
    // All parts have been validated and the length was looked at: only what lies
    // deeper than before can be wrong with the whole.
    if checks.may_deepen {
        validate_document(&new)?;
    }
    debug_assert_eq!(
        validate_document(&new),
        Ok(()),
        "an update keeps BSON valid"
    );
    if checks.has_dollar {
        check_dollars(old, &new)?;
    }
    if checks.has_id {
        // The `_id` as a whole may become an equal value of another type.
        let (before, after) = (id::id_of(old), id::id_of(&new));
        let is_same = match (before, after) {
            (Some(before), Some(after)) if checks.has_part_of_id => before.bytes() == after.bytes(),
            (Some(before), Some(after)) => compare(before, after).is_eq(),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if !is_same {
            return Err(immutable_id());
        }
        if let (None, Some(after)) = (before, after) {
            id::check(after)?;
        }
    }
    Ok(Applied::Changed(new))
}

/// That no field at the top has got a name that starts with a dollar. What was
/// inserted so may stay, as it is.
fn check_dollars(old: &[u8], new: &[u8]) -> Result<()> {
    let mut dollars = Elements::new(new).filter(|field| field.name.starts_with(b"$"));
    let wrong = dollars.find(|field| {
        Elements::new(old).find_name(field.name).is_none_or(|old| {
            old.kind() != field.value.kind() || old.bytes() != field.value.bytes()
        })
    });
    match wrong {
        Some(field) => Err(path::dollar_prefixed(field.name)),
        None => Ok(()),
    }
}

fn immutable_id() -> Error {
    let message = "performing an update on the path '_id' would modify the immutable field '_id'";
    Error::new(ErrorKind::InvalidId, message).with_code(66)
}

#[cfg(test)]
mod tests;
