//! What the operators of one application share.

use bson::{DateTime, Timestamp};

use super::array_filters::ArrayFilters;
use super::node::Node;
use crate::error::{Error, ErrorKind, Result};

/// How many values one application may make: more than any document of 16 MiB
/// can hold, as the shortest element takes three bytes. It bounds the memory
/// and the work of an update that names each element of a large array; what array
/// filters look at counts too.
pub(super) const MAX_MADE: usize = 16 * 1024 * 1024;

/// How many nulls may fill an array up to a position, as MongoDB has it.
pub(super) const MAX_PADDING: usize = 1_500_000;

/// What a rename found at its source: nothing, a value, or why that cannot be
/// moved, which is said when the rename's turn comes.
pub(super) type Source<'a> = Option<Result<Node<'a>>>;

/// One application of an update to one document.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    /// Whether the document is about to be inserted.
    pub(super) is_insert: bool,
    /// For `$currentDate`.
    pub(super) now: DateTime,
    /// For `$currentDate` with a timestamp.
    pub(super) timestamp: Timestamp,
    /// What stands for the positional `$`.
    pub(super) position: Option<&'a [u8]>,
    /// For `$[x]`.
    pub(super) filters: &'a ArrayFilters,
    /// The path to the value at hand, for messages.
    pub(super) path: Vec<&'a [u8]>,
    /// How many arrays lie on that path.
    pub(super) arrays_above: usize,
    sources: Vec<Source<'a>>,
    made: usize,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        context: &super::UpdateContext,
        position: Option<&'a [u8]>,
        filters: &'a ArrayFilters,
        sources: Vec<Source<'a>>,
    ) -> Self {
        Self {
            is_insert: context.is_upsert_insert,
            now: context.now,
            timestamp: context.timestamp,
            position,
            filters,
            path: Vec::new(),
            arrays_above: 0,
            sources,
            made: 0,
        }
    }

    /// So many values are about to be made.
    pub(super) fn charge(&mut self, values: usize) -> Result<()> {
        self.made = self.made.saturating_add(values);
        if self.made <= MAX_MADE {
            return Ok(());
        }
        let message = format!("the update makes more than {MAX_MADE} values in one document");
        Err(Error::new(ErrorKind::TooLarge, message).with_code(17419))
    }

    /// What a rename brings to the place at hand; nothing if its source is missing.
    pub(super) fn moved(&mut self, index: usize) -> Result<Option<Node<'a>>> {
        let moved = self.sources.get_mut(index).and_then(Option::take);
        let moved = moved.transpose()?;
        if moved.is_some() && self.arrays_above > 0 {
            return Err(
                self.bad_value("the destination field of $rename cannot be an array element")
            );
        }
        Ok(moved)
    }

    /// Whether a rename has something to bring.
    pub(super) fn has_moved(&self, index: usize) -> bool {
        self.sources.get(index).is_some_and(Option::is_some)
    }

    /// The path to the value at hand.
    pub(super) fn place(&self) -> String {
        String::from_utf8_lossy(&self.path.join(&b'.')).into_owned()
    }

    pub(super) fn bad_value(&self, message: &str) -> Error {
        Error::bad_value(format!("{message}, at path '{}'", self.place()))
    }

    pub(super) fn type_mismatch(&self, message: &str) -> Error {
        self.bad_value(message).with_code(14)
    }

    /// A step that cannot be taken.
    pub(super) fn not_viable(&self, step: &[u8], kind: &str) -> Error {
        let step = String::from_utf8_lossy(step);
        Error::bad_value(format!(
            "cannot create field '{step}' in element '{}' of type {kind}",
            self.place()
        ))
        .with_code(28)
    }
}
