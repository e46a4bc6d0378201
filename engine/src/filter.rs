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
//! A filter has two forms that answer alike: the interpreter (`matcher`), which
//! is the meaning, and the compiled form, one pass over the bytes
//! ([`FilterMode`]).
//!
//! Reading order: `path` (where values are found), `ast` (what is asked),
//! `parse`, `matcher`, `compiled`, `bounds` (what the tree of the `_id` can
//! answer), `conjuncts` (what indexes ask), `position` and `inspect` (what
//! updates ask).

mod ast;
mod bit_test;
mod bounds;
mod compiled;
mod conjuncts;
mod describe;
mod inspect;
mod matcher;
mod parse;
mod path;
mod position;
mod variables;

pub(crate) use ast::{Comparison, KindSet};
pub(crate) use bounds::IdBounds;
pub(crate) use conjuncts::{Asked, Conjunct, Part};
pub use describe::FilterPlan;
pub(crate) use variables::Variables;

use std::sync::{Arc, OnceLock};

use bson::RawDocument;

use self::compiled::Compiled;
pub(crate) use self::compiled::cache::PlanCache;
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
    inner: Arc<Inner>,
    variables: Variables,
    mode: FilterMode,
}

#[derive(Debug)]
struct Inner {
    root: ast::Expression,
    /// Made when it is first needed; `None` if the filter has no compiled form.
    compiled: OnceLock<Option<Compiled>>,
    /// One value of `_id` is all that it asks for: one document will be looked at,
    /// for which compiling would cost more than it saves.
    is_point: bool,
    /// The document that it was made of; empty if it is not of a document alone.
    source: Box<[u8]>,
}

/// How a filter is carried out. The answers are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FilterMode {
    /// In one pass over the document's bytes; parts that cannot be carried out
    /// so are interpreted.
    #[default]
    Compiled,
    /// Condition by condition, each with a walk of its own: slower, and plain.
    Interpreted,
}

impl Filter {
    /// The filter that every document matches.
    #[must_use]
    pub fn all() -> Self {
        Self::new(ast::Expression::Always(true), &[])
    }

    /// Compiles a filter document.
    ///
    /// # Errors
    /// The document is not valid BSON, or an operator is unknown or has an
    /// operand that makes no sense; the message names operator and path.
    pub fn compile(filter: &RawDocument) -> Result<Self> {
        let source = filter.as_bytes();
        validate_document(source)?;
        Ok(Self::new(parse::filter(source, &Scope::new())?, source))
    }

    /// [`compile`](Self::compile), where an `$expr` may name the variables of `scope`.
    pub(crate) fn compile_in(filter: &RawDocument, scope: &Scope) -> Result<Self> {
        validate_document(filter.as_bytes())?;
        Ok(Self::new(parse::filter(filter.as_bytes(), scope)?, &[]))
    }

    fn new(root: ast::Expression, source: &[u8]) -> Self {
        Self {
            inner: Arc::new(Inner {
                is_point: bounds::is_point(&root),
                compiled: OnceLock::new(),
                source: source.into(),
                root,
            }),
            variables: Variables::default(),
            mode: FilterMode::default(),
        }
    }

    /// The document that it was made of; empty if it is not of a document alone.
    pub(crate) fn source(&self) -> &[u8] {
        &self.inner.source
    }

    /// What this document asks, in the same mode and with the same variables.
    pub(crate) fn rewritten(&self, source: Vec<u8>) -> Result<Self> {
        let source = bson::RawDocumentBuf::from_bytes(source)?;
        Ok(Self {
            variables: self.variables.clone(),
            mode: self.mode,
            ..Self::compile(&source)?
        })
    }

    /// [`compile`](Self::compile), to be carried out in this mode.
    ///
    /// ```
    /// use bson::rawdoc;
    /// use collection_store::filter::{Filter, FilterMode};
    ///
    /// let source = rawdoc! { "a": { "$gt": 1 } };
    /// let slow = Filter::compile_with(&source, FilterMode::Interpreted)?;
    /// assert!(slow.matches(&rawdoc! { "a": 2 })?);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_with(filter: &RawDocument, mode: FilterMode) -> Result<Self> {
        let mut compiled = Self::compile(filter)?;
        compiled.mode = mode;
        Ok(compiled)
    }

    /// The compiled form, if there is one.
    #[inline]
    fn compiled(&self) -> Option<&Compiled> {
        if self.inner.is_point {
            return None;
        }
        let make = || Compiled::new(&self.inner.root);
        self.inner.compiled.get_or_init(make).as_ref()
    }

    /// Compiles now, with a plan of the cache where the filter's like is in it.
    pub(crate) fn prepare(&self, cache: &PlanCache) {
        let is_worth_it = !self.inner.is_point && !self.is_all();
        if is_worth_it && self.mode == FilterMode::Compiled {
            self.inner
                .compiled
                .get_or_init(|| cache.compile(&self.inner.root));
        }
    }

    /// The same filter with these values of variables.
    #[must_use]
    pub(crate) fn with_variables(&self, variables: Variables) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            variables,
            mode: self.mode,
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
        if self.mode == FilterMode::Compiled
            && let Some(compiled) = self.compiled()
        {
            return compiled.matches(document, &self.variables);
        }
        matcher::matches(&self.inner.root, document, &self.variables)
    }

    /// The conditions that must all hold for a document to match.
    pub(crate) fn conjuncts(&self) -> Vec<Conjunct<'_>> {
        Part::new(&self.inner.root).conjuncts()
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
        let matches = position::find(
            &self.inner.root,
            document.as_bytes(),
            &self.variables,
            &mut found,
        )?;
        Ok(found.filter(|_| matches))
    }

    /// Whether it depends on nothing of a document but its paths.
    pub(crate) fn is_plain(&self) -> bool {
        inspect::is_plain(&self.inner.root)
    }

    /// The first steps of all its paths, in order, with repetitions.
    pub(crate) fn first_names(&self) -> Vec<&[u8]> {
        let mut names = Vec::new();
        inspect::first_names(&self.inner.root, &mut names);
        names
    }

    /// Whether it asks for more than values at its paths: an `$expr`, a `$jsonSchema`.
    pub(crate) fn has_expression(&self) -> bool {
        inspect::has_expression(&self.inner.root)
    }

    /// The paths that must equal one value, with the values.
    pub(crate) fn equalities(&self) -> Vec<(&[u8], RawValue<'_>)> {
        let mut found = Vec::new();
        inspect::equalities(&self.inner.root, &mut found);
        found
    }

    /// Whether every document matches.
    #[must_use]
    pub fn is_all(&self) -> bool {
        matches!(self.inner.root, ast::Expression::Always(true))
    }

    /// The key of the one `_id` that is all the filter asks for.
    pub(crate) fn single_id(&self) -> Option<Vec<u8>> {
        bounds::single_id(&self.inner.root)
    }

    /// The values of `_id` outside of which nothing matches.
    pub(crate) fn id_bounds(&self) -> Result<IdBounds> {
        bounds::of(&self.inner.root)
    }
}

/// Calls `visit` with each value that the path reaches in the document, as `$eq` sees
/// them: the elements of an array, then the array; `None` for "missing".
pub(crate) fn each_value<'a>(
    path: &[u8],
    document: &'a [u8],
    visit: &mut dyn FnMut(Option<RawValue<'a>>),
) {
    let path = path::Path::new(path);
    path.any(document, path::Leaf::Elements, &mut |value| {
        visit(value);
        false
    });
}

impl Default for Filter {
    /// The filter that every document matches.
    fn default() -> Self {
        Self::all()
    }
}

/// Whether `value` compares so with `operand`, as a filter has it.
pub(crate) fn compares(comparison: Comparison, operand: RawValue<'_>, value: RawValue<'_>) -> bool {
    matcher::compares(comparison, operand, Some(value))
}

#[cfg(test)]
mod tests;
