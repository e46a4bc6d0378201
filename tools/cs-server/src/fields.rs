//! The fields of a command: read once, refused by name where nobody knows them, and handed out
//! by type with the messages that clients know.

use std::sync::LazyLock;

use bson::{RawArray, RawBsonRef, RawDocument, RawDocumentBuf};

use crate::error::{CommandError, Result, code};
use crate::wire::Sequence;

/// How many fields a command has at most; there is none with half as many.
const MAX_FIELDS: usize = 64;

/// The fields of a command, or of a document within one.
#[derive(Debug)]
pub struct Fields<'a> {
    /// What they are fields of, for messages.
    of: &'a str,
    fields: Vec<(&'a str, RawBsonRef<'a>)>,
}

impl<'a> Fields<'a> {
    /// Reads them; `is_known` says which there may be.
    ///
    /// # Errors
    /// A field that is not known (40415), one that is there twice, or too many.
    pub fn read(
        of: &'a str,
        document: &'a RawDocument,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let mut fields = Vec::with_capacity(16);
        for field in document {
            let (name, value) = field?;
            let name = name.as_str();
            if !is_known(name) {
                let message = format!("BSON field '{of}.{name}' is an unknown field.");
                return Err(CommandError::new(code::UNKNOWN_FIELD, message));
            }
            if fields.len() == MAX_FIELDS {
                let message = format!("'{of}' has more than {MAX_FIELDS} fields");
                return Err(CommandError::bad_value(message));
            }
            if fields.iter().any(|(other, _)| *other == name) {
                let message = format!("BSON field '{of}.{name}' is a duplicate field");
                return Err(CommandError::new(40413, message));
            }
            fields.push((name, value));
        }
        Ok(Self { of, fields })
    }

    /// The fields of a part of a command, of which these may be there.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn within(of: &'a str, document: &'a RawDocument, known: &[&str]) -> Result<Self> {
        Self::read(of, document, |name| known.contains(&name))
    }

    /// A field; one that is null counts as missing.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<RawBsonRef<'a>> {
        let found = self.fields.iter().find(|(other, _)| *other == name)?;
        (found.1 != RawBsonRef::Null).then_some(found.1)
    }

    /// Whether it is there, null or not.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(other, _)| *other == name)
    }

    /// The first field: the name of the command, and its value.
    #[must_use]
    pub fn first(&self) -> Option<(&'a str, RawBsonRef<'a>)> {
        self.fields.first().copied()
    }

    /// A field that has to be there.
    ///
    /// # Errors
    /// It is not (40414).
    pub fn required(&self, name: &str) -> Result<RawBsonRef<'a>> {
        self.get(name).ok_or_else(|| {
            let message = format!(
                "BSON field '{}.{name}' is missing but a required field",
                self.of
            );
            CommandError::new(code::FAILED_FIELD_MISSING, message)
        })
    }

    /// The field is of another type.
    #[must_use]
    pub fn mismatch(&self, name: &str, found: RawBsonRef<'_>, expected: &str) -> CommandError {
        let message = format!(
            "BSON field '{}.{name}' is the wrong type '{}', expected type '{expected}'",
            self.of,
            type_name(found),
        );
        CommandError::new(code::TYPE_MISMATCH, message)
    }

    /// A string.
    ///
    /// # Errors
    /// It is of another type.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.mismatch(name, other, "string")),
        }
    }

    /// A document.
    ///
    /// # Errors
    /// It is of another type.
    pub fn document(&self, name: &str) -> Result<Option<&'a RawDocument>> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::Document(document)) => Ok(Some(document)),
            Some(other) => Err(self.mismatch(name, other, "object")),
        }
    }

    /// An array.
    ///
    /// # Errors
    /// It is of another type.
    pub fn array(&self, name: &str) -> Result<Option<&'a RawArray>> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::Array(array)) => Ok(Some(array)),
            Some(other) => Err(self.mismatch(name, other, "array")),
        }
    }

    /// The documents of an array.
    ///
    /// # Errors
    /// It is of another type, or has elements that are.
    pub fn documents(&self, name: &str) -> Result<Option<Vec<&'a RawDocument>>> {
        let Some(array) = self.array(name)? else {
            return Ok(None);
        };
        let mut documents = Vec::new();
        for (at, element) in array.into_iter().enumerate() {
            match element? {
                RawBsonRef::Document(document) => documents.push(document),
                other => return Err(self.mismatch(&format!("{name}.{at}"), other, "object")),
            }
        }
        Ok(Some(documents))
    }

    /// Yes or no; a number counts as yes unless it is 0, as MongoDB has it.
    ///
    /// # Errors
    /// It is of another type.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        match self.get(name) {
            None => Ok(None),
            Some(RawBsonRef::Boolean(value)) => Ok(Some(value)),
            Some(RawBsonRef::Int32(value)) => Ok(Some(value != 0)),
            Some(RawBsonRef::Int64(value)) => Ok(Some(value != 0)),
            Some(RawBsonRef::Double(value)) => Ok(Some(value != 0.0)),
            Some(other) => Err(self.mismatch(name, other, "bool")),
        }
    }

    /// A whole number, of any numeric type.
    ///
    /// # Errors
    /// It is of another type, or has a fraction.
    pub fn integer(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match integer(value) {
                Some(value) => Ok(Some(value)),
                None => Err(self.mismatch(name, value, "long")),
            },
        }
    }

    /// A whole number that is not negative.
    ///
    /// # Errors
    /// As [`integer`](Self::integer); it is negative.
    pub fn natural(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.integer(name)? else {
            return Ok(None);
        };
        let natural = u64::try_from(value).map_err(|_| {
            let message = format!("BSON field '{name}' value must be >= 0, actual value '{value}'");
            CommandError::new(51024, message)
        });
        natural.map(Some)
    }

    /// Refuses options that are known and not honoured, unless they ask for nothing.
    ///
    /// # Errors
    /// One asks for something (72).
    pub fn refuse(&self, options: &[&str]) -> Result<()> {
        for option in options {
            if self.get(option).is_some_and(asks_for_something) {
                return Err(CommandError::not_supported(self.of, option));
            }
        }
        Ok(())
    }
}

/// Whether the value of an option changes anything: `false`, 0, `{}`, `[]` and the simple
/// collation do not.
fn asks_for_something(value: RawBsonRef<'_>) -> bool {
    match value {
        RawBsonRef::Boolean(value) => value,
        RawBsonRef::Document(document) if document.is_empty() => false,
        RawBsonRef::Document(document) => document.get_str("locale").ok() != Some("simple"),
        RawBsonRef::Array(array) => !array.is_empty(),
        RawBsonRef::Undefined => false,
        other => integer(other) != Some(0),
    }
}

/// The document without fields.
#[must_use]
pub fn empty() -> &'static RawDocument {
    static EMPTY: LazyLock<RawDocumentBuf> = LazyLock::new(RawDocumentBuf::new);
    &EMPTY
}

/// A whole number of any numeric type.
#[must_use]
pub fn integer(value: RawBsonRef<'_>) -> Option<i64> {
    match value {
        RawBsonRef::Int32(value) => Some(i64::from(value)),
        RawBsonRef::Int64(value) => Some(value),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "whole, and within the range"
        )]
        RawBsonRef::Double(value) if value.fract() == 0.0 && value.abs() < 9.0e18 => {
            Some(value as i64)
        }
        _ => None,
    }
}

/// As MongoDB calls the type of a value in its messages.
#[must_use]
pub fn type_name(value: RawBsonRef<'_>) -> &'static str {
    match value {
        RawBsonRef::Double(_) => "double",
        RawBsonRef::String(_) => "string",
        RawBsonRef::Array(_) => "array",
        RawBsonRef::Document(_) => "object",
        RawBsonRef::Boolean(_) => "bool",
        RawBsonRef::Null => "null",
        RawBsonRef::RegularExpression(_) => "regex",
        RawBsonRef::JavaScriptCode(_) => "javascript",
        RawBsonRef::JavaScriptCodeWithScope(_) => "javascriptWithScope",
        RawBsonRef::Int32(_) => "int",
        RawBsonRef::Int64(_) => "long",
        RawBsonRef::Timestamp(_) => "timestamp",
        RawBsonRef::Binary(_) => "binData",
        RawBsonRef::ObjectId(_) => "objectId",
        RawBsonRef::DateTime(_) => "date",
        RawBsonRef::Symbol(_) => "symbol",
        RawBsonRef::Decimal128(_) => "decimal",
        RawBsonRef::Undefined => "undefined",
        RawBsonRef::MaxKey => "maxKey",
        RawBsonRef::MinKey => "minKey",
        RawBsonRef::DbPointer(_) => "dbPointer",
    }
}

/// The documents of a field, which may be a sequence of the message or an array of the body.
///
/// # Errors
/// There is no such field, it is there in both forms, or is no array of documents.
pub fn documents_of<'a>(
    fields: &Fields<'a>,
    sequences: &[Sequence<'a>],
    name: &str,
) -> Result<Vec<&'a RawDocument>> {
    let sequence = sequences.iter().find(|sequence| sequence.name == name);
    match (sequence, fields.documents(name)?) {
        (Some(sequence), None) => Ok(sequence.documents.clone()),
        (None, Some(documents)) => Ok(documents),
        (Some(_), Some(_)) => {
            let message = format!("BSON field '{}.{name}' is a duplicate field", fields.of);
            Err(CommandError::new(40413, message))
        }
        (None, None) => Err(fields
            .required(name)
            .err()
            .unwrap_or_else(|| CommandError::bad_value(format!("BSON field '{name}' is null")))),
    }
}

#[cfg(test)]
mod tests;
