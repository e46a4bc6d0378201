//! MongoDB's aggregation expressions, over raw BSON.
//!
//! An expression is parsed once ([`Expression::parse`]) and evaluated for any
//! number of documents ([`Expression::evaluate`]). It reads the document's
//! bytes where they lie and yields a [`Value`], or `None` where MongoDB's is
//! *missing*. The language and its error codes are those of MongoDB 8.2.
//!
//! ## Invariants
//! * Parsing and evaluation are total: over any valid document they end, with
//!   a value or an error, and never panic.
//! * Nothing here reads a clock or draws randomness: `$$NOW` is what the
//!   [`Environment`] says, and what has no such source is refused by name.
//! * Recursion is bounded: an expression has at most as many levels as a
//!   document, and so has every value.
//! * Parts that are constant are evaluated while parsing, so that their errors
//!   show up there, also where no document would reach them.
//!
//! Reading order: `value`, `environment`, `path`, `node` (what parsing makes),
//! `parse`, `optimise`, `operators` (which names are known), then one file for
//! each family of operators.

mod accumulate;
mod arguments;
mod arithmetic;
mod arrays;
mod bits;
mod boolean;
mod compare;
mod conditional;
mod conversions;
mod convert;
mod dates;
mod environment;
mod iterate;
mod limits;
mod math;
mod node;
mod objects;
mod operators;
mod optimise;
mod parse;
mod path;
mod quantiles;
mod regex;
mod search;
mod sets;
mod sort_array;
mod strings;
mod texts;
mod trigonometry;
mod types;
mod value;
mod variables;

use std::sync::Arc;

pub use environment::{Environment, Scope, Slot};
pub use value::{Value, ValueElements};

use crate::error::Result;
use crate::values::RawValue;
use node::Node;

/// An expression that was parsed; cheap to clone.
///
/// ```
/// use collection_store::expression::{Environment, Expression, Scope};
/// use collection_store::values::Elements;
/// let source = bson::rawdoc! { "e": { "$cond": [{ "$gte": ["$age", 18] }, "adult", "child"] } };
/// let operand = Elements::new(source.as_bytes()).find_name(b"e").unwrap();
/// let expression = Expression::parse(operand, &Scope::new())?;
///
/// let document = bson::rawdoc! { "name": "Ada", "age": 36 };
/// let value = expression.evaluate(&mut Environment::new(document.as_bytes()))?;
/// assert_eq!(value.unwrap().to_bson()?, bson::bson!("adult"));
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Expression(Arc<Node>);

impl Expression {
    /// Parses what stands where an expression is wanted: a path (`"$a.b"`), an
    /// operator with its operands, a document or an array of expressions, or a
    /// constant.
    ///
    /// # Errors
    /// It is none, with MongoDB's code; or a part of it is constant and fails.
    pub fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<Self> {
        let node = parse::Parser::new(scope).operand(operand)?;
        if scope.is_plain() {
            return Ok(Self(Arc::new(node)));
        }
        Ok(Self(Arc::new(optimise::optimise(node)?)))
    }

    /// Its value for a document; `None` if it has none.
    ///
    /// # Errors
    /// An operator does not take what the document gives it, with MongoDB's
    /// code; a computed value exceeds a limit.
    #[inline]
    pub fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        self.0.evaluate(environment)
    }

    /// The value, if it is the same for every document; `None` for one that is
    /// constantly missing.
    #[must_use]
    pub fn as_constant(&self) -> Option<Option<&Value<'static>>> {
        match &*self.0 {
            Node::Constant(value) => Some(Some(value)),
            Node::Missing => Some(None),
            _ => None,
        }
    }

    /// The dotted path, if it is no more than a field of the document.
    #[must_use]
    pub fn as_field_path(&self) -> Option<String> {
        let Node::Path(path) = &*self.0 else {
            return None;
        };
        if path.base != path::Base::Root || path.steps.is_empty() {
            return None;
        }
        let steps: Vec<_> = path
            .steps
            .iter()
            .map(|step| String::from_utf8_lossy(step))
            .collect();
        Some(steps.join("."))
    }
}

#[cfg(test)]
mod tests;
