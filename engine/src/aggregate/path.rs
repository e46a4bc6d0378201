//! Values at paths of names, through documents and never through arrays.

use crate::error::{Error, ErrorKind, Result};
use crate::values::{
    DocumentBuilder, Elements, Kind, MAX_DEPTH, MAX_DOCUMENT_LEN, RawValue, depth,
};

/// A dotted path.
pub(super) type Steps = Box<[Box<[u8]>]>;

/// The value at a path.
pub(super) fn value_at<'a>(document: &'a [u8], steps: &[Box<[u8]>]) -> Option<RawValue<'a>> {
    let (first, rest) = steps.split_first()?;
    let mut value = Elements::new(document).find_name(first)?;
    for step in rest {
        if value.kind() != Kind::Document {
            return None;
        }
        value = Elements::new(value.bytes()).find_name(step)?;
    }
    Some(value)
}

/// The document with another value at a path, or none. What is no document on the way
/// becomes one; what is new comes last.
pub(super) fn with_value(
    document: &[u8],
    steps: &[Box<[u8]>],
    value: Option<RawValue<'_>>,
) -> Result<Vec<u8>> {
    let len = document.len() + value.map_or(0, |value| value.bytes().len());
    let mut out = DocumentBuilder::with_capacity(len + 32);
    put(Some(document), steps, value, &mut out);
    check_len(out.len())?;
    Ok(out.finish())
}

/// Refuses a document that would be too large.
pub(super) fn check_len(len: usize) -> Result<()> {
    if len < MAX_DOCUMENT_LEN {
        return Ok(());
    }
    let message = format!("a document would exceed {MAX_DOCUMENT_LEN} bytes");
    Err(Error::new(ErrorKind::TooLarge, message))
}

/// Refuses a document that has more levels than a stored one may: what goes through
/// documents relies on that.
pub(super) fn check_depth(document: Vec<u8>) -> Result<Vec<u8>> {
    let value = RawValue {
        kind: Kind::Document,
        bytes: &document,
    };
    if depth(value, MAX_DEPTH + 1) > MAX_DEPTH {
        let message = format!("a computed document has more than {MAX_DEPTH} levels");
        return Err(Error::new(ErrorKind::TooLarge, message).with_code(15));
    }
    Ok(document)
}

fn put(
    document: Option<&[u8]>,
    steps: &[Box<[u8]>],
    value: Option<RawValue<'_>>,
    out: &mut DocumentBuilder,
) {
    let Some((first, rest)) = steps.split_first() else {
        return;
    };
    let mut is_done = false;
    for field in document.map(Elements::new).into_iter().flatten() {
        if is_done || *field.name != **first {
            out.append(field.name, field.value);
            continue;
        }
        is_done = true;
        let inner = (field.value.kind() == Kind::Document).then(|| field.value.bytes());
        put_field(inner, first, rest, value, out);
    }
    if !is_done {
        put_field(None, first, rest, value, out);
    }
}

fn put_field(
    inner: Option<&[u8]>,
    name: &[u8],
    rest: &[Box<[u8]>],
    value: Option<RawValue<'_>>,
    out: &mut DocumentBuilder,
) {
    if rest.is_empty() {
        if let Some(value) = value {
            out.append(name, value);
        }
        return;
    }
    out.open_document(name);
    put(inner, rest, value, out);
    out.close();
}
