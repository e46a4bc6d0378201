//! `$jsonSchema`: draft 4 of JSON Schema, with MongoDB's additions and gaps.
//!
//! A schema is a list of rules. Each is about values of one type and holds for
//! all others: `minimum` for numbers, `minLength` for strings, `items` for
//! arrays, `required` for documents. A field that is not there breaks no rule but
//! `required`.
//!
//! ## Invariants
//! * A keyword that is not known is refused (code 9): nothing is ignored but
//!   `title` and `description`.
//! * Recursion follows the schema, which came out of a document of bounded
//!   depth, or values that are compared, which lie in one.
//!
//! Names in `properties`, `required` and `dependencies` are paths: a dot in them
//! goes down into a document, but never into an array.

mod matches;
mod numbers;
mod parse;

pub(crate) use matches::compare_unordered;

use std::sync::Arc;

use crate::error::Result;
use crate::filter::{Comparison, KindSet};
use crate::pattern::Pattern;
use crate::values::{Decimal, Kind, OwnedValue, RawValue};

/// A schema, ready to judge documents; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct JsonSchema {
    root: Arc<Schema>,
}

impl JsonSchema {
    /// The schema that this operand of `$jsonSchema` describes.
    ///
    /// # Errors
    /// A keyword is unknown, or its value makes no sense; codes are MongoDB's.
    pub(crate) fn parse(operand: RawValue<'_>) -> Result<Self> {
        let root = Arc::new(parse::root(operand)?);
        Ok(Self { root })
    }

    /// Whether the document, which is valid BSON, breaks no rule.
    pub(crate) fn matches(&self, document: &[u8]) -> bool {
        let root = RawValue {
            kind: Kind::Document,
            bytes: document,
        };
        self.admits(root)
    }

    /// Whether a value breaks no rule.
    pub(crate) fn admits(&self, value: RawValue<'_>) -> bool {
        matches::all(&self.root, value)
    }
}

/// Rules that must all hold.
#[derive(Debug, Default)]
struct Schema {
    rules: Vec<Rule>,
}

#[derive(Debug)]
enum Rule {
    /// `type`, `bsonType`.
    Type(KindSet),
    /// `enum`: one of these, whatever the order of fields.
    Enum(Vec<OwnedValue>),
    /// `minimum`, `maximum`.
    Bound(Comparison, OwnedValue),
    /// `multipleOf`.
    MultipleOf(Decimal),
    /// `minLength`, `maxLength`, in characters.
    Length(Limit),
    /// `pattern`.
    Pattern(Pattern),
    /// `minItems`, `maxItems`.
    ItemCount(Limit),
    /// `uniqueItems`.
    UniqueItems,
    /// `items`, one schema for all.
    Items(Schema),
    /// `items`, one schema for each, and `additionalItems` for those behind.
    Tuple(Vec<Schema>, Rest),
    /// `minProperties`, `maxProperties`.
    PropertyCount(Limit),
    /// `required`.
    Required(Vec<Box<[u8]>>),
    /// `properties`.
    Properties(Vec<(Box<[u8]>, Schema)>),
    /// `patternProperties` and `additionalProperties`.
    OtherProperties {
        /// The names in `properties`, sorted.
        known: Vec<Box<[u8]>>,
        patterns: Vec<(Pattern, Schema)>,
        rest: Rest,
    },
    /// `dependencies`: if the field is there, so are these.
    DependentRequired(Box<[u8]>, Vec<Box<[u8]>>),
    /// `dependencies`: if the field is there, the document obeys the schema.
    DependentSchema(Box<[u8]>, Schema),
    /// `allOf`.
    AllOf(Vec<Schema>),
    /// `anyOf`.
    AnyOf(Vec<Schema>),
    /// `oneOf`.
    OneOf(Vec<Schema>),
    /// `not`.
    Not(Schema),
}

/// A bound of a count.
#[derive(Clone, Copy, Debug)]
enum Limit {
    AtLeast(u64),
    AtMost(u64),
}

impl Limit {
    fn accepts(self, count: usize) -> bool {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        match self {
            Self::AtLeast(least) => count >= least,
            Self::AtMost(most) => count <= most,
        }
    }
}

/// What items or fields must be that nothing else names.
#[derive(Debug)]
enum Rest {
    Anything,
    Nothing,
    Obeys(Schema),
}

#[cfg(test)]
mod tests;
