//! BSON to extended JSON, straight from the bytes.

use bson::RawDocument;
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::values::{Elements, Kind, MAX_DEPTH, RawValue};

/// The last moment of the year 9999, in milliseconds since 1970.
const LAST_PLAIN_DATE_MS: i64 = 253_402_300_799_999;

/// How much of the types the text keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// All: reading it gives the same document.
    Canonical,
    /// What people like to read: numbers and dates as plain as JSON allows.
    #[default]
    Relaxed,
}

/// The document as one line of text.
///
/// ```
/// use collection_store::json::{Form, to_string};
/// let document = bson::rawdoc! { "_id": 1, "a": [1.5, "x"] };
/// assert_eq!(to_string(&document, Form::Relaxed)?, r#"{"_id":1,"a":[1.5,"x"]}"#);
/// # Ok::<(), collection_store::Error>(())
/// ```
///
/// # Errors
/// The document is not valid BSON.
pub fn to_string(document: &RawDocument, form: Form) -> Result<String> {
    let mut text = Vec::with_capacity(document.as_bytes().len() * 2);
    append(document, form, &mut text)?;
    String::from_utf8(text).map_err(|_| invalid("text is not UTF-8"))
}

/// Appends the document's text, which is UTF-8, to `out`.
///
/// # Errors
/// The document is not valid BSON; `out` then ends in part of it.
pub fn append(document: &RawDocument, form: Form, out: &mut Vec<u8>) -> Result<()> {
    object(Elements::new(document.as_bytes()), form, out, 0)
}

fn object(elements: Elements<'_>, form: Form, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(invalid("it is nested too deep"));
    }
    out.push(b'{');
    for (position, element) in elements.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        string(element.name, out)?;
        out.push(b':');
        value(element.value, form, out, depth)?;
    }
    out.push(b'}');
    Ok(())
}

fn array(elements: Elements<'_>, form: Form, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(invalid("it is nested too deep"));
    }
    out.push(b'[');
    for (position, element) in elements.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        value(element.value, form, out, depth)?;
    }
    out.push(b']');
    Ok(())
}

fn value(value: RawValue<'_>, form: Form, out: &mut Vec<u8>, depth: usize) -> Result<()> {
    let canonical = form == Form::Canonical;
    match value.kind() {
        Kind::Document => return object(Elements::new(value.bytes()), form, out, depth + 1),
        Kind::Array => return array(Elements::new(value.bytes()), form, out, depth + 1),
        Kind::String => return string(value.text().unwrap_or_default(), out),
        Kind::Null => out.extend_from_slice(b"null"),
        Kind::Boolean => {
            let text = if value.boolean() == Some(true) {
                "true"
            } else {
                "false"
            };
            out.extend_from_slice(text.as_bytes());
        }
        Kind::Int32 | Kind::Int64 => {
            let text = value.integer().unwrap_or_default().to_string();
            let wrapper = if value.kind() == Kind::Int32 {
                "$numberInt"
            } else {
                "$numberLong"
            };
            number(wrapper, &text, canonical, out);
        }
        Kind::Double => {
            let double = value.double().unwrap_or_default();
            let text = match double {
                _ if double.is_nan() => "NaN".to_owned(),
                f64::INFINITY => "Infinity".to_owned(),
                f64::NEG_INFINITY => "-Infinity".to_owned(),
                // The shortest text that reads back as the same double, and as a double.
                _ => format!("{double:?}"),
            };
            number(
                "$numberDouble",
                &text,
                canonical || !double.is_finite(),
                out,
            );
        }
        Kind::CodeWithScope => {
            let (code, scope) = value.code_with_scope().ok_or_else(|| invalid("bad code"))?;
            out.extend_from_slice(b"{\"$code\":");
            string(code, out)?;
            out.extend_from_slice(b",\"$scope\":");
            object(Elements::new(scope), form, out, depth + 1)?;
            out.push(b'}');
        }
        Kind::DateTime => {
            let ms = value.date_ms().unwrap_or_default();
            let date = bson::DateTime::from_millis(ms);
            let text = date.try_to_rfc3339_string().ok();
            match text.filter(|_| !canonical && (0..=LAST_PLAIN_DATE_MS).contains(&ms)) {
                Some(text) => out.extend_from_slice(format!("{{\"$date\":\"{text}\"}}").as_bytes()),
                None => {
                    out.extend_from_slice(b"{\"$date\":");
                    number("$numberLong", &ms.to_string(), true, out);
                    out.push(b'}');
                }
            }
        }
        _ => {
            // The rest is rare or has a text of its own; the crate bson knows it.
            let owned = value.to_bson()?;
            let json = match form {
                Form::Canonical => owned.into_canonical_extjson(),
                Form::Relaxed => owned.into_relaxed_extjson(),
            };
            serialize(&json, out)?;
        }
    }
    Ok(())
}

fn number(wrapper: &str, text: &str, wrapped: bool, out: &mut Vec<u8>) {
    if wrapped {
        out.extend_from_slice(format!("{{\"{wrapper}\":\"{text}\"}}").as_bytes());
    } else {
        out.extend_from_slice(text.as_bytes());
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let text = std::str::from_utf8(text).map_err(|_| invalid("text is not UTF-8"))?;
    serialize(text, out)
}

fn serialize<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(out, value).map_err(|error| {
        Error::new(ErrorKind::Internal, "a value could not be written as JSON").with_source(error)
    })
}

fn invalid(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidDocument,
        format!("document cannot be written as JSON: {what}"),
    )
}

#[cfg(test)]
mod tests;
