//! How the documents of a collection are identified.
//!
//! Two options, of which neither can be changed later:
//!
//! * `primaryKey: "path"`: the `_id` is the value at that path;
//! * `idGeneration: "objectId" | "uuid" | "autoIncrement"`: what a document gets that comes
//!   without one.
//!
//! ## Invariants
//! * With a primary key every document that is stored has the same value there and in
//!   `_id`; so a question about one is one about the other.

use bson::RawDocument;

use crate::error::{Error, ErrorKind, Result};
use crate::id::{id_of, with_id};
use crate::values::{DocumentBuilder, Element, Elements, Kind, OwnedValue, RawValue, compare};

/// Where an `_id` comes from that a document has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Generated {
    ObjectId,
    Uuid,
    /// The next number of the collection.
    Number,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Ids {
    path: Option<Box<str>>,
    generated: Option<Generated>,
}

/// A document that has its `_id`, or what it is to get one from.
pub(crate) enum Ready {
    Whole(Vec<u8>),
    Wanting(Vec<u8>, Generated),
}

impl Ids {
    pub(super) fn of(options: &RawDocument) -> Result<Option<Self>> {
        let options = Elements::new(options.as_bytes());
        let text = |name: &str| -> Result<Option<&str>> {
            let Some(value) = options.clone().find_name(name.as_bytes()) else {
                return Ok(None);
            };
            let text = value.text().filter(|_| value.kind() == Kind::String);
            let text = text.and_then(|text| std::str::from_utf8(text).ok());
            text.map(Some).ok_or_else(|| {
                let message = format!(
                    "the option '{name}' must be a string, found {}",
                    value.kind().name()
                );
                Error::bad_value(message).with_code(14)
            })
        };
        let generated = match text("idGeneration")? {
            None => None,
            Some("objectId") => Some(Generated::ObjectId),
            Some("uuid") => Some(Generated::Uuid),
            Some("autoIncrement") => Some(Generated::Number),
            Some(other) => {
                return Err(Error::bad_value(format!(
                    "the option 'idGeneration' must be objectId, uuid or autoIncrement, found '{other}'"
                )));
            }
        };
        let path = text("primaryKey")?.filter(|path| *path != "_id");
        if let Some(path) = path {
            let is_bad = |step: &str| step.is_empty() || step.starts_with('$');
            if path.split('.').any(is_bad) || path.starts_with("_id.") {
                let message = format!("the option 'primaryKey' is no path of a field: '{path}'");
                return Err(Error::bad_value(message));
            }
            if generated.is_some() && path.contains('.') {
                let message = format!(
                    "the primary key '{path}' is within a document: none is generated for it"
                );
                return Err(Error::bad_value(message));
            }
        }
        let path = path.map(Into::into);
        let is_any = path.is_some() || generated.is_some();
        Ok(is_any.then_some(Self { path, generated }))
    }

    /// Whether documents are numbered.
    pub(super) fn counts(&self) -> bool {
        self.generated == Some(Generated::Number)
    }

    /// The document with the `_id` that its primary key gives it.
    ///
    /// # Errors
    /// It has neither and none is generated, or both and they differ.
    pub(crate) fn prepare(&self, document: Vec<u8>) -> Result<Ready> {
        let id = id_of(&document);
        let Some(path) = &self.path else {
            return Ok(match (id, self.generated) {
                (None, Some(generated)) => Ready::Wanting(document, generated),
                _ => Ready::Whole(document),
            });
        };
        match (id, value_at(&document, path), self.generated) {
            (Some(_), Some(_), _) => {
                self.check(&document)?;
                Ok(Ready::Whole(document))
            }
            (None, Some(key), _) => {
                let new = with_id(&document, key.kind(), key.bytes())?;
                Ok(Ready::Whole(new))
            }
            (None, None, Some(generated)) => Ok(Ready::Wanting(document, generated)),
            (_, None, _) => Err(Error::new(
                ErrorKind::InvalidId,
                format!("the primary key '{path}' is missing"),
            )),
        }
    }

    /// The document under this `_id`, its primary key included.
    pub(crate) fn identified(&self, document: &[u8], id: &OwnedValue) -> Vec<u8> {
        let mut new = DocumentBuilder::with_capacity(document.len() + 32);
        new.append(b"_id", id.as_raw());
        let path = self.path.as_deref().map(str::as_bytes);
        let mut has_path = path.is_none();
        for Element { name, value } in Elements::new(document) {
            if Some(name) == path {
                has_path = true;
                new.append(name, id.as_raw());
            } else if name != b"_id" {
                new.append(name, value);
            }
        }
        if let (false, Some(path)) = (has_path, path) {
            new.append(path, id.as_raw());
        }
        new.finish()
    }

    /// Whether primary key and `_id` are the same.
    ///
    /// # Errors
    /// They are not: code 66.
    pub(super) fn check(&self, document: &[u8]) -> Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let (id, key) = (id_of(document), value_at(document, path));
        if let (Some(id), Some(key)) = (id, key)
            && compare(id, key).is_eq()
        {
            return Ok(());
        }
        let message = format!("the primary key '{path}' must be there, and be the _id");
        Err(Error::new(ErrorKind::InvalidId, message).with_code(66))
    }

    /// What a filter asks of the primary key, asked of the `_id`; `None` if it asks nothing
    /// of it.
    pub(super) fn filter(&self, filter: &[u8]) -> Option<Vec<u8>> {
        let path = self.path.as_deref()?.as_bytes();
        let asks = |name: &[u8]| Elements::new(filter).any(|clause| clause.name == name);
        if !asks(path) || asks(b"_id") {
            return None;
        }
        let mut new = DocumentBuilder::with_capacity(filter.len());
        for Element { name, value } in Elements::new(filter) {
            new.append(if name == path { b"_id" } else { name }, value);
        }
        Some(new.finish())
    }
}

fn value_at<'a>(document: &'a [u8], path: &str) -> Option<RawValue<'a>> {
    let mut steps = path.split('.');
    let mut found = Elements::new(document).find_name(steps.next()?.as_bytes())?;
    for step in steps {
        if found.kind() != Kind::Document {
            return None;
        }
        found = found.elements()?.find_name(step.as_bytes())?;
    }
    Some(found)
}
