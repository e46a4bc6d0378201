//! Changing an index, as MongoDB's `collMod` does: when documents expire by it, and whether
//! queries leave it alone.

use std::sync::Arc;

use bson::{RawDocument, RawDocumentBuf};

use super::Collection;
use crate::catalog::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Definition, ID_INDEX, read_fields};
use crate::values::{Elements, Kind, Numeric, RawValue};

/// MongoDB's code for options that cannot be.
const INVALID_OPTIONS: i32 = 72;
/// MongoDB's code for a value of a wrong type.
const TYPE_MISMATCH: i32 = 14;

/// What is to change.
#[derive(Debug)]
pub(super) struct IndexChanges {
    which: Which,
    expire_after_seconds: Option<i32>,
    hidden: Option<bool>,
}

#[derive(Debug)]
enum Which {
    Named(String),
    Of(RawDocumentBuf),
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::BadValue, message).with_code(INVALID_OPTIONS)
}

fn mistyped(name: &str, expected: &str, value: RawValue<'_>) -> Error {
    let found = value.kind().name();
    let message = format!("index.{name}: expected {expected}, found a value of type {found}");
    Error::new(ErrorKind::BadValue, message).with_code(TYPE_MISMATCH)
}

impl IndexChanges {
    /// As in the field `index` of the command: `{ name: "..", expireAfterSeconds: 60 }`.
    ///
    /// # Errors
    /// It makes no sense, or asks for what is not supported.
    pub(super) fn of(value: RawValue<'_>) -> Result<Self> {
        if value.kind() != Kind::Document {
            let found = value.kind().name();
            let message = format!("index: expected a document, found a value of type {found}");
            return Err(Error::new(ErrorKind::BadValue, message).with_code(TYPE_MISMATCH));
        }
        let (mut name, mut key, mut seconds, mut hidden) = (None, None, None, None);
        for field in Elements::new(value.bytes()) {
            let value = field.value;
            match &*String::from_utf8_lossy(field.name) {
                "name" => {
                    let text = value.text().filter(|_| value.kind() == Kind::String);
                    let text = text.ok_or_else(|| mistyped("name", "a string", value))?;
                    name = Some(String::from_utf8_lossy(text).into_owned());
                }
                "keyPattern" => {
                    if value.kind() != Kind::Document {
                        return Err(mistyped("keyPattern", "a document", value));
                    }
                    key = Some(RawDocument::from_bytes(value.bytes())?.to_owned());
                }
                "expireAfterSeconds" => seconds = Some(seconds_of(value)?),
                "hidden" => {
                    let is_hidden = value.boolean();
                    hidden = Some(is_hidden.ok_or_else(|| mistyped("hidden", "a boolean", value))?);
                }
                other => {
                    let message = format!("'index.{other}' cannot be changed");
                    return Err(invalid(message));
                }
            }
        }
        let which = match (name, key) {
            (Some(name), None) => Which::Named(name),
            (None, Some(key)) => Which::Of(key),
            _ => {
                let message = "index: expected either name or keyPattern";
                return Err(invalid(message.into()));
            }
        };
        if seconds.is_none() && hidden.is_none() {
            let message = "index: expected expireAfterSeconds or hidden, found nothing to change";
            return Err(invalid(message.into()));
        }
        Ok(Self {
            which,
            expire_after_seconds: seconds,
            hidden,
        })
    }

    /// The entry with the index changed.
    ///
    /// # Errors
    /// There is no such index (27), or it cannot be changed so.
    pub(super) fn apply(&self, collection: &Collection, entry: &Entry) -> Result<Entry> {
        let found = entry.indexes.iter();
        let found = match &self.which {
            Which::Named(name) => found.filter(|it| it.definition.name == *name).collect(),
            Which::Of(key) => {
                let fields = read_fields(key)?;
                let found: Vec<_> = found.filter(|it| it.definition.has_key(&fields)).collect();
                found
            }
        };
        let index: &Arc<_> = match &*found {
            [index] => index,
            [] => return Err(self.not_found(collection)),
            _ => {
                let message =
                    "several indexes have this keyPattern, and one of them is to be named";
                return Err(Error::new(ErrorKind::BadValue, message).with_code(181));
            }
        };
        if self.expire_after_seconds.is_some() && index.definition.fields.len() > 1 {
            let message =
                "TTL indexes are single-field indexes, compound indexes do not support TTL";
            return Err(invalid(message.into()));
        }
        let definition = Definition {
            hidden: self.hidden.unwrap_or(index.definition.hidden),
            expire_after_seconds: self
                .expire_after_seconds
                .or(index.definition.expire_after_seconds),
            ..index.definition.clone()
        };
        Ok(entry.with_indexes(entry.indexes.redefined(index.tree, definition)))
    }

    /// Whether documents may expire by it from now on.
    pub(super) fn expires(&self) -> bool {
        self.expire_after_seconds.is_some()
    }

    fn not_found(&self, collection: &Collection) -> Error {
        let which = match &self.which {
            Which::Named(name) => name.clone(),
            Which::Of(key) => format!("{key:?}"),
        };
        let is_id = match &self.which {
            Which::Named(name) => name == ID_INDEX,
            Which::Of(key) => *key == bson::rawdoc! { "_id": 1 },
        };
        if is_id {
            let message = "the index over _id can be neither hidden nor expire documents";
            return Error::new(ErrorKind::BadValue, message);
        }
        let message = format!(
            "cannot find the index {which} of collection '{}'",
            collection.namespace()
        );
        Error::new(ErrorKind::IndexNotFound, message)
    }
}

fn seconds_of(value: RawValue<'_>) -> Result<i32> {
    let Some(seconds) = Numeric::of(value) else {
        return Err(mistyped("expireAfterSeconds", "a number", value));
    };
    let seconds = seconds.truncate();
    match i32::try_from(seconds) {
        Ok(seconds) if seconds >= 0 => Ok(seconds),
        _ => Err(invalid(format!(
            "expireAfterSeconds must be within 0 and {}, found {seconds}",
            i32::MAX
        ))),
    }
}
