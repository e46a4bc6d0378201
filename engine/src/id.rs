//! The rules of `_id`.
//!
//! ## Invariants
//! A document that is stored has exactly one `_id`, as its first field; it is
//! no array, regular expression or undefined, and holds no field whose name
//! starts with `$`.

use crate::error::{Error, ErrorKind, Result};
use crate::key;
use crate::values::{Elements, Kind, MAX_DOCUMENT_LEN, RawValue, compare};

/// A document as it is stored, and its key.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    /// Its bytes, the `_id` in front.
    pub(crate) document: Vec<u8>,
    /// The encoded `_id`.
    pub(crate) key: Vec<u8>,
    /// Whether the `_id` was generated, and so is new.
    pub(crate) generated: bool,
    /// Whether it is the next number of the collection.
    pub(crate) numbered: bool,
}

impl Identified {
    /// The `_id` of the document.
    pub(crate) fn id(&self) -> Option<RawValue<'_>> {
        id_of(&self.document)
    }
}

/// The `_id` of a stored document.
pub(crate) fn id_of(document: &[u8]) -> Option<RawValue<'_>> {
    Elements::new(document).find_name(b"_id")
}

/// Brings a valid document into the form in which it is stored; `generate`
/// gives an `_id` to one that has none.
pub(crate) fn identify(
    document: Vec<u8>,
    generate: impl FnOnce() -> bson::oid::ObjectId,
) -> Result<Identified> {
    let mut ids = Elements::new(&document)
        .enumerate()
        .filter(|(_, field)| field.name == b"_id");
    let first = ids.next();
    if ids.next().is_some() {
        return Err(Error::bad_value("can't have multiple _id fields"));
    }
    let generated = first.is_none();
    let document = match first {
        Some((position, field)) => {
            check(field.value)?;
            if position == 0 {
                document
            } else {
                with_id_first(&document)
            }
        }
        None => with_id(&document, Kind::ObjectId, &generate().bytes())?,
    };
    let id = id_of(&document).ok_or_else(|| Error::new(ErrorKind::Internal, "_id was lost"))?;
    let key = key::encode(id)?;
    Ok(Identified {
        document,
        key,
        generated,
        numbered: false,
    })
}

/// Whether a value may be an `_id`.
pub(crate) fn check(id: RawValue<'_>) -> Result<()> {
    if matches!(id.kind(), Kind::Array | Kind::Regex | Kind::Undefined) {
        let message = format!("the '_id' value cannot be of type {}", id.kind().name());
        return Err(Error::new(ErrorKind::InvalidId, message));
    }
    check_names(id)
}

/// MongoDB refuses `$` names anywhere inside an `_id`. Recursion is bounded:
/// the value has passed validation.
fn check_names(value: RawValue<'_>) -> Result<()> {
    for element in value.elements().into_iter().flatten() {
        if value.kind() == Kind::Document && element.name.starts_with(b"$") {
            let name = String::from_utf8_lossy(element.name);
            let message = format!("_id fields may not contain '$'-prefixed fields, found '{name}'");
            return Err(Error::new(ErrorKind::InvalidId, message).with_code(52));
        }
        check_names(element.value)?;
    }
    Ok(())
}

/// The same document with the `_id` moved to the front.
fn with_id_first(document: &[u8]) -> Vec<u8> {
    let mut moved = Vec::with_capacity(document.len());
    moved.extend_from_slice(&document[..4]);
    let is_id = |name: &[u8]| name == b"_id";
    for wanted in [true, false] {
        for field in Elements::new(document).filter(|field| is_id(field.name) == wanted) {
            append(&mut moved, field.name, field.value);
        }
    }
    moved.push(0);
    moved
}

/// A replacement for the document with this `_id`: the same fields, and the
/// `_id` as it is stored. The replacement may name it, but not another.
pub(crate) fn with_stored_id(replacement: &[u8], id: RawValue<'_>) -> Result<Vec<u8>> {
    let mut fields = Vec::with_capacity(replacement.len());
    for field in Elements::new(replacement) {
        if field.name != b"_id" {
            append(&mut fields, field.name, field.value);
        } else if compare(field.value, id).is_ne() {
            let message = "the immutable field '_id' cannot be changed by a replacement";
            return Err(Error::new(ErrorKind::InvalidId, message).with_code(66));
        }
    }
    assemble(id.kind(), id.bytes(), &fields)
}

/// The same document with an `_id` of this kind and these bytes added in front.
pub(crate) fn with_id(document: &[u8], kind: Kind, id: &[u8]) -> Result<Vec<u8>> {
    assemble(
        kind,
        id,
        document
            .get(4..document.len().saturating_sub(1))
            .unwrap_or_default(),
    )
}

/// A document of an `_id` and the bytes of further fields.
fn assemble(kind: Kind, id: &[u8], fields: &[u8]) -> Result<Vec<u8>> {
    let len = 4 + 1 + b"_id\0".len() + id.len() + fields.len() + 1;
    if len > MAX_DOCUMENT_LEN {
        let message =
            format!("document with its _id has {len} bytes, the limit is {MAX_DOCUMENT_LEN}");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let mut document = Vec::with_capacity(len);
    document.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_le_bytes());
    document.push(kind as u8);
    document.extend_from_slice(b"_id\0");
    document.extend_from_slice(id);
    document.extend_from_slice(fields);
    document.push(0);
    Ok(document)
}

fn append(out: &mut Vec<u8>, name: &[u8], value: RawValue<'_>) {
    out.push(value.kind() as u8);
    out.extend_from_slice(name);
    out.push(0);
    out.extend_from_slice(value.bytes());
}

#[cfg(test)]
mod tests;
