//! Projections: which fields of a document come back, and which are computed.
//!
//! One implementation serves queries ([`Projection::parse_find`]) and the stages
//! `$project`, `$addFields`, `$set` and `$unset`. The meaning is MongoDB's:
//!
//! * an inclusion keeps the order of the document, computed fields follow in the order
//!   of the projection; scalars on the way of a longer path are left out;
//! * an exclusion keeps everything else;
//! * adding replaces fields where they are, or appends them;
//! * all go through arrays, at each level, and arrays in arrays.
//!
//! ## Invariants
//! * Paths that overlap are refused when the projection is parsed.
//! * What comes out is a valid document of at most 100 levels.
//!
//! Reading order: `tree` (what parsing makes), `parse`, `fields` (`$addFields`, `$unset`),
//! `write` (tree meets document), `array` (`$slice` and the positional `$`).

mod array;
mod fields;
mod parse;
mod tree;
mod write;

use bson::{RawDocument, RawDocumentBuf};

use crate::error::{Error, Result};
use crate::expression::Scope;
use crate::surroundings::Surroundings;
use tree::{Mode, Node};

/// A projection, ready to be applied to documents.
///
/// ```
/// use bson::rawdoc;
/// use collection_store::projection::Projection;
///
/// let projection = Projection::parse_find(&rawdoc! { "name": 1, "tags": { "$slice": 1 }, "_id": 0 })?;
/// let ada = rawdoc! { "_id": 1, "name": "Ada", "born": 1815, "tags": ["a", "b"] };
/// assert_eq!(projection.apply(&ada, None)?, rawdoc! { "name": "Ada", "tags": ["a"] });
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Projection {
    mode: Mode,
    root: Node,
    slices: Vec<array::Slice>,
    positional: Option<Box<[Box<[u8]>]>>,
}

impl Projection {
    /// Compiles the projection of a query. An empty one keeps everything.
    ///
    /// # Errors
    /// MongoDB's, by code: inclusion and exclusion mixed (31253, 31254), paths that
    /// overlap (31249, 31250) or are none (15998, 16410, 40352, 40353), operators that
    /// are used wrongly (31274, 31275, 31276, 31325 and others).
    pub fn parse_find(projection: &RawDocument) -> Result<Self> {
        if projection.as_bytes().len() <= 5 {
            return Ok(Self::everything());
        }
        parse::projection(projection, &Scope::new(), true)
    }

    /// Compiles the operand of `$project`.
    ///
    /// # Errors
    /// As [`parse_find`](Self::parse_find); it is empty (51272).
    pub fn parse_stage(projection: &RawDocument, scope: &Scope) -> Result<Self> {
        if projection.as_bytes().len() <= 5 {
            let message = "a $project must have at least one field";
            return Err(Error::bad_value(message).with_code(51272));
        }
        parse::projection(projection, scope, false)
    }

    /// Compiles the operand of `$addFields` or `$set`.
    ///
    /// # Errors
    /// Paths overlap (40176) or are none, a document is empty (40180).
    pub fn parse_add_fields(fields: &RawDocument, scope: &Scope) -> Result<Self> {
        fields::add_fields(fields, scope)
    }

    /// Compiles the operand of `$unset`: a path, or an array of them.
    ///
    /// # Errors
    /// It is neither (31002, 31119, 31120), or paths overlap.
    pub fn parse_unset(operand: crate::values::RawValue<'_>) -> Result<Self> {
        fields::unset(operand)
    }

    fn everything() -> Self {
        Self {
            mode: Mode::Exclude,
            root: Node::default(),
            slices: Vec::new(),
            positional: None,
        }
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.mode == Mode::Exclude && self.root.is_empty() && self.slices.is_empty()
    }

    /// The top-level fields that are all that it keeps, each as it is; `None` if it does more.
    pub(crate) fn kept_names(&self) -> Option<Vec<&[u8]>> {
        let is_plain = self.mode == Mode::Include
            && self.slices.is_empty()
            && self.positional.is_none()
            && !self.root.has_computed;
        let mut names = Vec::new();
        for (name, child) in self.root.children.iter().filter(|_| is_plain) {
            match child {
                tree::Child::Keep => names.push(&**name),
                tree::Child::Drop => {}
                tree::Child::Nested(_) | tree::Child::Computed(_) => return None,
            }
        }
        is_plain.then_some(names)
    }

    /// Whether the field of this name is the same before and after.
    pub(crate) fn leaves_alone(&self, name: &[u8]) -> bool {
        let child = self
            .root
            .position(name)
            .and_then(|at| self.root.children.get(at));
        match child {
            None => self.mode != Mode::Include,
            Some((_, child)) => matches!(child, tree::Child::Keep),
        }
    }

    /// Whether it holds the positional `$`, so that the position matters that
    /// [`apply`](Self::apply) takes.
    #[must_use]
    pub fn needs_position(&self) -> bool {
        self.positional.is_some()
    }

    /// What comes back of a document. `position` is where in an array the query's filter
    /// matched it ([`Filter::matched_position`](crate::filter::Filter::matched_position)).
    ///
    /// # Errors
    /// Those of expressions; the positional `$` has no position (51246) or one beyond
    /// the array (51247); the result exceeds a limit. `$$NOW` has no value here.
    pub fn apply(&self, document: &RawDocument, position: Option<usize>) -> Result<RawDocumentBuf> {
        let bytes = self.apply_in(document.as_bytes(), position, &Surroundings::default())?;
        Ok(RawDocumentBuf::from_bytes(bytes)?)
    }

    pub(crate) fn apply_in(
        &self,
        document: &[u8],
        position: Option<usize>,
        surroundings: &Surroundings,
    ) -> Result<Vec<u8>> {
        let mut projected = write::write(self.mode, &self.root, document, surroundings)?;
        if let Some(path) = &self.positional {
            projected = array::positional(&projected, path, position)?;
        }
        for slice in &self.slices {
            projected = slice.apply(&projected);
        }
        Ok(projected)
    }
}

#[cfg(test)]
mod tests;
