//! What a type demands of its collection: rules of fields, and indexes.

use bson::{Bson, doc};

use super::Document;
use crate::index::IndexModel;

/// The rules and indexes of a collection, as [`Document`] declares them.
#[derive(Debug, Default)]
pub struct Declaration {
    fields: Vec<FieldRule>,
    indexes: Vec<IndexModel>,
}

impl Declaration {
    /// That of a collection of anything.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a rule for a field.
    #[must_use]
    pub fn field(mut self, rule: FieldRule) -> Self {
        self.fields.push(rule);
        self
    }

    /// With an index.
    #[must_use]
    pub fn index(mut self, index: IndexModel) -> Self {
        self.indexes.push(index);
        self
    }

    /// Its indexes.
    pub(super) fn into_indexes(self) -> Vec<IndexModel> {
        self.indexes
    }

    /// The rules as `$jsonSchema` has them.
    #[must_use]
    pub fn json_schema(&self) -> bson::Document {
        let mut schema = doc! { "bsonType": "object" };
        let required = self.fields.iter().filter(|rule| rule.is_required);
        let required: Vec<Bson> = required.map(|rule| rule.name.into()).collect();
        if !required.is_empty() {
            schema.insert("required", required);
        }
        let properties = self.fields.iter();
        let properties = properties.map(|rule| (rule.name.to_owned(), rule.json_schema().into()));
        schema.insert("properties", properties.collect::<bson::Document>());
        schema
    }
}

/// A bound of a number or a length, as attributes have it.
pub trait Bound: Into<Bson> {}

impl Bound for i32 {}
impl Bound for i64 {}
impl Bound for f64 {}

/// What documents must have in one field.
#[derive(Debug)]
pub struct FieldRule {
    name: &'static str,
    is_required: bool,
    /// An array, of what the rest says.
    is_array: bool,
    types: Vec<Bson>,
    nested: Option<Declaration>,
    /// Bounds of the field, by the names that `$jsonSchema` has for them.
    bounds: bson::Document,
    pattern: Option<&'static str>,
    default: Option<Bson>,
}

impl FieldRule {
    /// Anything may be there.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            is_required: false,
            is_array: false,
            types: Vec::new(),
            nested: None,
            bounds: bson::Document::new(),
            pattern: None,
            default: None,
        }
    }

    /// It must be there.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// Of one of these types, by the names that `$type` has for them; of any if there are none.
    #[must_use]
    pub fn types(mut self, types: &[&'static str]) -> Self {
        self.types = types.iter().map(|name| Bson::from(*name)).collect();
        self
    }

    /// An array with elements of one of these types.
    #[must_use]
    pub fn array(mut self, types: &[&'static str]) -> Self {
        self.is_array = true;
        self.types(types)
    }

    /// A document, or an array of documents, with these rules.
    #[must_use]
    pub fn nested<T: Document>(mut self) -> Self {
        self.nested = Some(T::declaration());
        self
    }

    fn bound(mut self, name: &str, bound: impl Bound) -> Self {
        self.bounds.insert(name, bound);
        self
    }

    /// No number less than this.
    #[must_use]
    pub fn minimum(self, bound: impl Bound) -> Self {
        self.bound("minimum", bound)
    }

    /// No number greater than this.
    #[must_use]
    pub fn maximum(self, bound: impl Bound) -> Self {
        self.bound("maximum", bound)
    }

    /// No text, or array, shorter than this.
    #[must_use]
    pub fn shortest(self, bound: impl Bound) -> Self {
        let name = if self.is_array {
            "minItems"
        } else {
            "minLength"
        };
        self.bound(name, bound)
    }

    /// No text, or array, longer than this.
    #[must_use]
    pub fn longest(self, bound: impl Bound) -> Self {
        let name = if self.is_array {
            "maxItems"
        } else {
            "maxLength"
        };
        self.bound(name, bound)
    }

    /// Text that this regular expression finds a match in.
    #[must_use]
    pub fn pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// What is put there in a document that comes without it.
    #[must_use]
    pub fn default(mut self, default: impl Into<Bson>) -> Self {
        self.default = Some(default.into());
        self
    }

    fn json_schema(&self) -> bson::Document {
        let mut value = self
            .nested
            .as_ref()
            .map_or_else(bson::Document::new, |nested| nested.json_schema());
        let mut types = self.types.clone();
        if self.nested.is_some() {
            types = vec!["object".into()];
        }
        if !types.is_empty() {
            // What serde writes for `None`.
            if !self.is_required && !self.is_array {
                types.push("null".into());
            }
            value.insert("bsonType", types);
        }
        if let Some(pattern) = self.pattern {
            value.insert("pattern", pattern);
        }
        let mut schema = match self.is_array {
            false => value,
            true if value.is_empty() => doc! { "bsonType": "array" },
            true => doc! { "bsonType": "array", "items": value },
        };
        if !self.is_required && self.is_array {
            schema.insert("bsonType", ["array", "null"].map(Bson::from).to_vec());
        }
        schema.extend(self.bounds.clone());
        schema
    }
}
