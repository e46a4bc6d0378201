//! Filters: MongoDB's query language over raw bytes.
//!
//! A filter document is [compiled](Filter::compile) once into an expression tree;
//! [`matches`](Filter::matches) walks a document's bytes in place and decodes
//! nothing. The meaning is that of MongoDB 8.2, to the letter:
//!
//! * a step of a dotted path into an array looks into each of its documents,
//!   and a step of digits also at that position;
//! * a comparison of a path is true if any value that the path reaches
//!   satisfies it; `$ne`, `$nin`, `$not` and `$nor` negate the whole of that;
//! * comparisons see only values of the operand's class (`{ $gt: 5 }` never
//!   matches text), but for MinKey and MaxKey, which compare with all;
//! * null equals null and missing.
//!
//! Operators: `$eq $ne $gt $gte $lt $lte $in $nin $exists $type $size $mod
//! $regex $options $bitsAllSet $bitsAllClear $bitsAnySet $bitsAnyClear $all
//! $elemMatch $not` on paths, `$and $or $nor` over filters, `$expr`,
//! `$jsonSchema`, `$comment`, `$alwaysTrue`, `$alwaysFalse`. Any other is refused
//! by name.
//!
//! Reading order: `path` (where values are found), `ast` (what is asked),
//! `parse`, `matcher`, `bounds` (what the tree of the `_id` can answer),
//! `conjuncts` (what indexes ask), `position` and `inspect` (what updates ask).

mod ast;
mod bit_test;
mod bounds;
mod conjuncts;
mod inspect;
mod matcher;
mod parse;
mod path;
mod position;
mod variables;

#[allow(unused_imports, reason = "the planner of indexes asks for them")]
pub(crate) use ast::{Comparison, KindSet};
pub(crate) use bounds::IdBounds;
#[allow(unused_imports, reason = "the planner of indexes asks for them")]
pub(crate) use conjuncts::{Asked, Conjunct, Part};
pub(crate) use variables::Variables;

use std::sync::Arc;

use bson::RawDocument;

use crate::error::Result;
use crate::expression::Scope;
use crate::values::{RawValue, validate_document};

/// A filter, ready to be matched against documents.
///
/// ```
/// use bson::rawdoc;
/// use collection_store::filter::Filter;
///
/// let filter = Filter::compile(&rawdoc! { "tags": "new", "price": { "$lt": 10 } })?;
/// assert!(filter.matches(&rawdoc! { "tags": ["old", "new"], "price": 9.5 })?);
/// assert!(!filter.matches(&rawdoc! { "tags": "new", "price": "9.5" })?);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Filter {
    root: Arc<ast::Expression>,
    variables: Variables,
}

impl Filter {
    /// The filter that every document matches.
    #[must_use]
    pub fn all() -> Self {
        Self {
            root: Arc::new(ast::Expression::Always(true)),
            variables: Variables::default(),
        }
    }

    /// Compiles a filter document.
    ///
    /// # Errors
    /// The document is not valid BSON, or an operator is unknown or has an
    /// operand that makes no sense; the message names operator and path.
    pub fn compile(filter: &RawDocument) -> Result<Self> {
        Self::compile_in(filter, &Scope::new())
    }

    /// [`compile`](Self::compile), where an `$expr` may name the variables of `scope`.
    pub(crate) fn compile_in(filter: &RawDocument, scope: &Scope) -> Result<Self> {
        validate_document(filter.as_bytes())?;
        Ok(Self {
            root: Arc::new(parse::filter(filter.as_bytes(), scope)?),
            variables: Variables::default(),
        })
    }

    /// The same filter with these values of variables.
    #[must_use]
    pub(crate) fn with_variables(&self, variables: Variables) -> Self {
        Self {
            root: Arc::clone(&self.root),
            variables,
        }
    }

    /// Whether `document` matches.
    ///
    /// Its bytes should have passed
    /// [`validate_document`]; over others the answer
    /// means nothing, but nothing worse happens.
    ///
    /// # Errors
    /// An `$expr` cannot be evaluated over the document.
    pub fn matches(&self, document: &RawDocument) -> Result<bool> {
        self.matches_bytes(document.as_bytes())
    }

    /// [`matches`](Self::matches), over the bytes of a document.
    pub(crate) fn matches_bytes(&self, document: &[u8]) -> Result<bool> {
        matcher::matches(&self.root, document, &self.variables)
    }

    /// The conditions that must all hold for a document to match.
    #[allow(dead_code, reason = "the planner of indexes asks for them")]
    pub(crate) fn conjuncts(&self) -> Vec<Conjunct<'_>> {
        Part::new(&self.root).conjuncts()
    }

    /// Where in an array `document` matches: the position that stands for the
    /// positional `$` of an update. `None` if the document does not match, or
    /// not through an array. Of several arrays, the last condition's tells.
    ///
    /// ```
    /// use bson::rawdoc;
    /// use collection_store::filter::Filter;
    ///
    /// let filter = Filter::compile(&rawdoc! { "grades": { "$gte": 90 } })?;
    /// assert_eq!(filter.matched_position(&rawdoc! { "grades": [70, 95] })?, Some(1));
    /// assert_eq!(filter.matched_position(&rawdoc! { "grades": 95 })?, None);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`matches`](Self::matches).
    pub fn matched_position(&self, document: &RawDocument) -> Result<Option<usize>> {
        let mut found = None;
        let matches = position::find(&self.root, document.as_bytes(), &self.variables, &mut found)?;
        Ok(found.filter(|_| matches))
    }

    /// The first steps of all its paths, in order, with repetitions.
    pub(crate) fn first_names(&self) -> Vec<&[u8]> {
        let mut names = Vec::new();
        inspect::first_names(&self.root, &mut names);
        names
    }

    /// The paths that must equal one value, with the values.
    pub(crate) fn equalities(&self) -> Vec<(&[u8], RawValue<'_>)> {
        let mut found = Vec::new();
        inspect::equalities(&self.root, &mut found);
        found
    }

    /// Whether every document matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(*self.root, ast::Expression::Always(true))
    }

    /// The key of the one `_id` that is all the filter asks for.
    pub(crate) fn single_id(&self) -> Option<Vec<u8>> {
        bounds::single_id(&self.root)
    }

    /// The values of `_id` outside of which nothing matches.
    pub(crate) fn id_bounds(&self) -> Result<IdBounds> {
        bounds::of(&self.root)
    }
}

/// Whether `value` compares so with `operand`, as a filter has it.
pub(crate) fn compares(comparison: Comparison, operand: RawValue<'_>, value: RawValue<'_>) -> bool {
    matcher::compares(comparison, operand, Some(value))
}

#[cfg(test)]
mod tests;
