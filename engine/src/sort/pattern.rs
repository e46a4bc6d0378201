//! Sort patterns: paths with directions.

use std::cmp::Ordering;

use bson::RawDocument;

use super::key;
use crate::error::{Error, Result};
use crate::values::{Elements, Kind, Number, RawValue};

/// How many paths a pattern may have, as in MongoDB.
const MAX_PARTS: usize = 32;
/// How many steps a path may have, as in MongoDB.
const MAX_STEPS: usize = 200;

/// What documents are sorted by: paths, each ascending or descending.
///
/// ```
/// use bson::rawdoc;
/// use collection_store::sort::SortPattern;
///
/// let pattern = SortPattern::parse(&rawdoc! { "last": 1, "born": -1 })?;
/// let (older, younger) = (rawdoc! { "last": "Lee", "born": 1815 }, rawdoc! { "last": "Lee", "born": 1920 });
/// assert!(pattern.compare(&younger, &older)?.is_lt());
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortPattern {
    parts: Box<[Part]>,
}

/// One path of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) steps: Box<[Box<[u8]>]>,
    pub(super) is_descending: bool,
}

impl SortPattern {
    /// Compiles a sort document. An empty one sorts nothing.
    ///
    /// # Errors
    /// A direction is neither 1 nor -1 (code 15975) nor a number (15974), a path has
    /// empty parts (15998, 40352, 40353) or parts that start with `$` (16410), there are
    /// too many (13103) or one twice (7472500); `$meta` is not supported (31138), nor any
    /// other expression (17312).
    pub fn parse(pattern: &RawDocument) -> Result<Self> {
        let mut parts: Vec<Part> = Vec::new();
        for field in Elements::new(pattern.as_bytes()) {
            let name = String::from_utf8_lossy(field.name);
            let is_descending = direction(&name, field.value)?;
            let steps = path_steps(field.name)?;
            if parts.iter().any(|part| part.steps == steps) {
                let message = format!("the sort names '{name}' more than once");
                return Err(Error::bad_value(message).with_code(7_472_500));
            }
            parts.push(Part {
                steps,
                is_descending,
            });
        }
        if parts.len() > MAX_PARTS {
            let message = format!(
                "too many fields in a sort: {}, the limit is {MAX_PARTS}",
                parts.len()
            );
            return Err(Error::bad_value(message).with_code(13103));
        }
        Ok(Self {
            parts: parts.into(),
        })
    }

    /// Whether it sorts nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The key of a document, for `memcmp`.
    ///
    /// # Errors
    /// Two arrays lie beside each other on the paths (code 2), or a number is a position
    /// and a name at once (16746).
    pub fn key(&self, document: &RawDocument) -> Result<Vec<u8>> {
        self.key_of(document.as_bytes())
    }

    pub(crate) fn key_of(&self, document: &[u8]) -> Result<Vec<u8>> {
        key::of(&self.parts, document)
    }

    /// How two documents are ordered.
    ///
    /// # Errors
    /// Those of [`key`](Self::key).
    pub fn compare(&self, left: &RawDocument, right: &RawDocument) -> Result<Ordering> {
        Ok(self.key(left)?.cmp(&self.key(right)?))
    }

    /// Its paths, each with "descending".
    pub(crate) fn paths(&self) -> impl Iterator<Item = (Vec<u8>, bool)> {
        self.parts
            .iter()
            .map(|part| (part.steps.join(&b'.'), part.is_descending))
    }
}

/// Whether the direction is descending.
fn direction(name: &str, value: RawValue<'_>) -> Result<bool> {
    if value.kind() == Kind::Document {
        return Err(expression(name, value));
    }
    let Some(number) = value.number() else {
        let message = format!(
            "illegal key in a sort: '{name}' has a direction of type {}",
            value.kind().name()
        );
        return Err(Error::bad_value(message).with_code(15974));
    };
    let whole = match value.double() {
        #[allow(clippy::cast_possible_truncation, reason = "saturating is right here")]
        Some(double) => Some(double as i64),
        None => Number::to_i64(number),
    };
    match whole {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        _ => {
            let message = format!("the sort direction of '{name}' must be 1 or -1");
            Err(Error::bad_value(message).with_code(15975))
        }
    }
}

fn expression(name: &str, value: RawValue<'_>) -> Error {
    let mut fields = Elements::new(value.bytes());
    match (fields.next(), fields.next()) {
        (Some(first), None) if first.name == b"$meta" => {
            let message = format!("sorting '{name}' by $meta is not supported");
            Error::bad_value(message).with_code(31138)
        }
        _ => {
            let message = format!("the sort of '{name}' is an expression: expected 1 or -1");
            Error::bad_value(message).with_code(17312)
        }
    }
}

/// The steps of a field path, under MongoDB's rules for such paths.
pub(crate) fn path_steps(path: &[u8]) -> Result<Box<[Box<[u8]>]>> {
    check_path(path)?;
    Ok(path.split(|byte| *byte == b'.').map(Into::into).collect())
}

/// MongoDB's rules for field paths.
pub(crate) fn check_path(path: &[u8]) -> Result<()> {
    let shown = || String::from_utf8_lossy(path);
    let refused = |message: String, code: i32| Err(Error::bad_value(message).with_code(code));
    if path.is_empty() {
        return refused("a field path must not be empty".to_owned(), 40352);
    }
    if path.ends_with(b".") {
        let message = format!("a field path must not end with a dot: '{}'", shown());
        return refused(message, 40353);
    }
    let mut steps = 0;
    for step in path.split(|byte| *byte == b'.') {
        steps += 1;
        if step.is_empty() {
            let message = format!("a field path must not have empty parts: '{}'", shown());
            return refused(message, 15998);
        }
        if step.starts_with(b"$") {
            let message = format!(
                "the parts of a field path must not start with '$': '{}'",
                shown()
            );
            return refused(message, 16410);
        }
        if step.contains(&0) {
            let message = format!("a field path must not have NUL in it: '{}'", shown());
            return refused(message, 16411);
        }
    }
    if steps > MAX_STEPS {
        let message = format!("a field path has {steps} steps, the limit is {MAX_STEPS}");
        return refused(message, 15);
    }
    Ok(())
}
