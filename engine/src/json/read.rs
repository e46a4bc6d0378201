//! Extended JSON to BSON.
//!
//! The text is parsed by serde_json, which refuses more than 128 levels, so
//! that recursion over its result is bounded; the bytes that come out pass the
//! same validation as any other untrusted document.

use bson::{Bson, RawDocumentBuf};

use super::text::{Text, into_map};
use crate::error::{Error, ErrorKind, Result};
use crate::values::{Kind, OwnedValue, validate_document};

/// Keys that make an object a value of another type. (`$regex` is not among
/// them: it is an operator of filters.)
const WRAPPERS: [&str; 17] = [
    "$oid",
    "$symbol",
    "$regularExpression",
    "$numberInt",
    "$numberLong",
    "$numberDouble",
    "$numberDecimal",
    "$binary",
    "$uuid",
    "$code",
    "$scope",
    "$timestamp",
    "$date",
    "$minKey",
    "$maxKey",
    "$dbPointer",
    "$undefined",
];

/// The document that `text` describes.
///
/// ```
/// let document = collection_store::json::parse(r#"{"_id": {"$numberLong": "7"}, "a": [1, 2.5]}"#)?;
/// assert_eq!(document, bson::rawdoc! { "_id": 7_i64, "a": [1, 2.5] });
/// # Ok::<(), collection_store::Error>(())
/// ```
///
/// # Errors
/// The text is not JSON, is no object, or has a value that extended JSON does
/// not know ([`ErrorKind::FailedToParse`]); the document breaks a limit.
pub fn parse(text: &str) -> Result<RawDocumentBuf> {
    parse_slice(text.as_bytes())
}

/// [`parse`], from bytes.
///
/// # Errors
/// As [`parse`]; also if the bytes are not UTF-8.
pub fn parse_slice(text: &[u8]) -> Result<RawDocumentBuf> {
    document(text, |error| format!("invalid JSON: {error}"))
}

/// [`parse_slice`] of one line of a larger text, of which `before` bytes come
/// before it: an error names the column in the whole line, and no line.
pub(super) fn parse_line(text: &[u8], before: usize) -> Result<RawDocumentBuf> {
    document(text, |error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let what = error.to_string();
        let what = what.strip_suffix(&place).unwrap_or(&what);
        format!("invalid JSON: {what} at column {}", before + error.column())
    })
}

fn document(
    text: &[u8],
    describe: impl FnOnce(&serde_json::Error) -> String,
) -> Result<RawDocumentBuf> {
    let value: Text = serde_json::from_slice(text).map_err(|error| {
        Error::new(ErrorKind::FailedToParse, describe(&error)).with_source(error)
    })?;
    let Text::Object(members) = value else {
        return Err(Error::new(
            ErrorKind::FailedToParse,
            "expected a JSON object",
        ));
    };
    let mut bytes = Vec::with_capacity(text.len());
    sequence(members.into_iter(), &mut bytes)?;
    validate_document(&bytes)?;
    Ok(RawDocumentBuf::from_bytes(bytes)?)
}

/// Appends a document of these members.
fn sequence(members: impl Iterator<Item = (String, Text)>, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (name, value) in members {
        if name.contains('\0') {
            let message = format!("field name {name:?} contains NUL");
            return Err(Error::new(ErrorKind::FailedToParse, message));
        }
        let at = out.len();
        out.push(0);
        out.extend_from_slice(name.as_bytes());
        out.push(0);
        let kind = append(value, out).map_err(|error| error.at(format_args!("field {name:?}")))?;
        out[at] = kind as u8;
    }
    out.push(0);
    // Overflow is impossible before the limit of documents is checked: the
    // text would have to be as long.
    let len = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

/// Appends a value's bytes and returns its kind.
fn append(value: Text, out: &mut Vec<u8>) -> Result<Kind> {
    match value {
        Text::Null => Ok(Kind::Null),
        Text::Boolean(value) => {
            out.push(u8::from(value));
            Ok(Kind::Boolean)
        }
        Text::Number(number) => Ok(append_number(&number, out)),
        Text::String(text) => {
            append_string(&text, out);
            Ok(Kind::String)
        }
        Text::Array(values) => {
            let named = values.into_iter().enumerate();
            sequence(
                named.map(|(position, value)| (position.to_string(), value)),
                out,
            )?;
            Ok(Kind::Array)
        }
        Text::Object(members) => {
            let wraps = |name: &str| name.starts_with('$') && WRAPPERS.contains(&name);
            if members.iter().any(|(name, _)| wraps(name)) {
                return append_wrapped(members, out);
            }
            sequence(members.into_iter(), out)?;
            Ok(Kind::Document)
        }
    }
}

fn append_string(text: &str, out: &mut Vec<u8>) {
    let len = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// The smallest of int32, int64 and double that holds the number.
fn append_number(number: &serde_json::Number, out: &mut Vec<u8>) -> Kind {
    if let Some(value) = number.as_i64() {
        if let Ok(small) = i32::try_from(value) {
            out.extend_from_slice(&small.to_le_bytes());
            return Kind::Int32;
        }
        out.extend_from_slice(&value.to_le_bytes());
        return Kind::Int64;
    }
    // Numbers have a double unless built with arbitrary precision, which is off.
    out.extend_from_slice(&number.as_f64().unwrap_or(f64::NAN).to_le_bytes());
    Kind::Double
}

fn append_wrapped(members: Vec<(String, Text)>, out: &mut Vec<u8>) -> Result<Kind> {
    let members = match <[_; 2]>::try_from(members) {
        Ok([(first, Text::String(code)), (second, Text::Object(scope))])
            if first == "$code" && second == "$scope" =>
        {
            append_scoped(&code, scope, out)?;
            return Ok(Kind::CodeWithScope);
        }
        Ok(members) => members.into(),
        Err(members) => members,
    };
    let refuse = |error: bson::error::Error| {
        Error::new(
            ErrorKind::FailedToParse,
            format!("invalid extended JSON: {error}"),
        )
        .with_source(error)
    };
    // A document keeps fields of the same name; a wrapped value has no place for them.
    let map = into_map(members).map_err(|name| {
        let message = format!("invalid extended JSON: {name:?} occurs twice");
        Error::new(ErrorKind::FailedToParse, message)
    })?;
    let value = Bson::try_from(map).map_err(refuse)?;
    let value = OwnedValue::try_from(&value).map_err(refuse)?;
    out.extend_from_slice(value.as_raw().bytes());
    Ok(value.as_raw().kind())
}

/// Code with its scope, which is a document like any other.
fn append_scoped(code: &str, scope: Vec<(String, Text)>, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    append_string(code, out);
    sequence(scope.into_iter(), out).map_err(|error| error.at("\"$scope\""))?;
    let len = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests;
