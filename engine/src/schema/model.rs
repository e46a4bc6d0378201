//! Schemas as users write them down.

use bson::{Bson, Document, RawDocumentBuf};

use crate::error::Result;

/// What the documents of a collection look like, field by field. It is stored with the
/// collection (`Collection::set_schema`, or the option `schema` at creation) and asked on
/// every write: values are *coerced* and *defaults* filled in first, then every rule is
/// checked, and one error lists all fields at fault ([`Error::faults`](crate::Error::faults)).
///
/// ```
/// use bson::{doc, rawdoc};
/// use collection_store::{Database, SchemaField, Schema};
///
/// let database = Database::open_in_memory()?;
/// let users = database.collection("users");
/// users.set_schema(
///     Schema::new()
///         .field("email", SchemaField::string().required().pattern("^[^@]+@[^@]+$").unique())
///         .field("age", SchemaField::int().min(0).max(150).coerce())
///         .field("role", SchemaField::string().one_of(["user", "admin"]).default("user"))
///         .field("address.city", SchemaField::string()),
/// )?;
/// users.insert_one(doc! { "_id": 1, "email": "a@b.c", "age": "25" })?;
/// let stored = rawdoc! { "_id": 1, "email": "a@b.c", "age": 25, "role": "user" };
/// assert_eq!(users.find_one(doc! { "age": { "$gte": "25" } })?, Some(stored));
///
/// let error = users.insert_one(doc! { "age": -1, "role": "boss" }).unwrap_err();
/// assert_eq!(error.code(), Some(121));
/// let faults: Vec<_> = error.faults().iter().map(|one| (&*one.path, &*one.rule)).collect();
/// assert_eq!(faults, [("email", "required"), ("age", "min"), ("role", "enum")]);
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Schema {
    stored: Document,
}

impl Schema {
    /// One that demands nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// This field; a dotted path goes down into documents, and where an array of documents
    /// is found, into each of them.
    pub fn field(mut self, path: impl Into<String>, field: SchemaField) -> Self {
        let fields = self.stored.entry("fields".to_owned());
        if let Bson::Document(fields) = fields.or_insert_with(|| Bson::Document(Document::new())) {
            fields.insert(path.into(), field.stored);
        }
        self
    }

    /// Fields that are not named are refused. Without this a schema is *lax*.
    pub fn strict(mut self) -> Self {
        self.stored.insert("mode", "strict");
        self
    }

    /// Fields that are not named are taken out of what is written.
    pub fn removing_unknown(mut self) -> Self {
        self.stored.insert("mode", "strict");
        self.stored.insert("unknown", "remove");
        self
    }

    /// A function that judges whole documents: see
    /// [`Database::register_validator`](crate::Database::register_validator).
    pub fn validator(mut self, name: impl Into<String>) -> Self {
        self.stored.insert("validator", name.into());
        self
    }

    /// The stored form: what the option `schema` of a collection is.
    #[must_use]
    pub fn to_document(&self) -> Document {
        self.stored.clone()
    }

    pub(crate) fn to_raw(&self) -> Result<RawDocumentBuf> {
        Ok(RawDocumentBuf::try_from(&self.stored)?)
    }
}

/// What one field of a [`Schema`] looks like.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct SchemaField {
    stored: Document,
}

/// A constructor for each type in common use.
macro_rules! types {
    ($($(#[$doc:meta])* $name:ident = $alias:literal),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name() -> Self {
            Self::of([$alias])
        }
    )+};
}

impl SchemaField {
    types! {
        /// A string.
        string = "string",
        /// A 32-bit integer.
        int = "int",
        /// A 64-bit integer.
        long = "long",
        /// A double.
        double = "double",
        /// A decimal128.
        decimal = "decimal",
        /// Any number.
        number = "number",
        /// True or false.
        bool = "bool",
        /// A date.
        date = "date",
        /// An ObjectId.
        object_id = "objectId",
        /// Bytes.
        binary = "binData",
        /// A document.
        object = "object",
        /// An array.
        array = "array",
    }

    /// Any value.
    pub fn any() -> Self {
        Self {
            stored: Document::new(),
        }
    }

    /// A value of one of these types, by MongoDB's aliases.
    pub fn of<'a>(types: impl IntoIterator<Item = &'a str>) -> Self {
        let types: Vec<Bson> = types.into_iter().map(Into::into).collect();
        Self::any().with("type", types)
    }

    /// An array whose elements are all such.
    pub fn array_of(element: Self) -> Self {
        Self::array().with("items", element.stored)
    }

    /// A document of these fields.
    pub fn document(schema: Schema) -> Self {
        let fields = schema.stored.get("fields").cloned();
        Self::object().with("fields", fields.unwrap_or_else(|| Document::new().into()))
    }

    /// Null is allowed too.
    pub fn or_null(mut self) -> Self {
        if let Some(Bson::Array(types)) = self.stored.get_mut("type") {
            types.push("null".into());
        }
        self
    }

    /// It must be there.
    pub fn required(self) -> Self {
        self.with("required", true)
    }

    /// Its value where it is not there.
    pub fn default(self, value: impl Into<Bson>) -> Self {
        self.with("default", value)
    }

    /// The function that gives it its value where it is not there: `now`, `objectId`,
    /// `uuid`, or one of [`Database::register_default`](crate::Database::register_default).
    pub fn default_from(self, function: impl Into<String>) -> Self {
        self.with("defaultFunction", function.into())
    }

    /// The least: of numbers and dates the value, of strings and arrays the length.
    pub fn min(self, least: impl Into<Bson>) -> Self {
        self.with("min", least)
    }

    /// The most: of numbers and dates the value, of strings and arrays the length.
    pub fn max(self, most: impl Into<Bson>) -> Self {
        self.with("max", most)
    }

    /// It is one of these.
    pub fn one_of<V: Into<Bson>>(self, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<Bson> = values.into_iter().map(Into::into).collect();
        self.with("enum", values)
    }

    /// A string that matches this regular expression.
    pub fn pattern(self, pattern: impl Into<String>) -> Self {
        self.with("pattern", pattern.into())
    }

    /// No two documents have the same: the collection has an index over it, which is sparse
    /// where the field is not required.
    pub fn unique(self) -> Self {
        self.with("unique", true)
    }

    /// A value of another type that says the same is turned into one of the first type that
    /// fits: `"25"` into 25. So are the operands of queries.
    pub fn coerce(self) -> Self {
        self.with("coerce", true)
    }

    /// A function that judges its value: see
    /// [`Database::register_validator`](crate::Database::register_validator).
    pub fn validator(self, name: impl Into<String>) -> Self {
        self.with("validator", name.into())
    }

    fn with(mut self, name: &str, value: impl Into<Bson>) -> Self {
        self.stored.insert(name, value);
        self
    }
}
