//! Values as bytes whose `memcmp` order is the order of the values.
//!
//! ## Invariants
//! * `encode(a).cmp(&encode(b)) == compare(a, b)`; values that compare equal
//!   (1, 1.0 and decimal 1.00) have equal bytes.
//! * No encoding starts with 0x00 or 0xFF, and one that begins another goes on
//!   there with 0xFF: so encodings may follow one another (compound keys), and
//!   the bitwise NOT of one ([`descend`]) sorts the other way round among
//!   ascending ones.
//!
//! FORMAT.md has the tables and the argument for the order. The kind of a
//! number and the digits of a decimal are not in the key: the document is.

mod decode;
mod number;

pub(crate) use decode::{decode, decode_first};

use crate::error::{Error, ErrorKind, Result};
use crate::values::{Class, Elements, RawValue};

/// The longest key, in bytes. The store takes keys of at least this length.
pub const MAX_KEY_LEN: usize = 64 * 1024;

/// Ends strings, names, documents and arrays inside a key; below every class.
const END: u8 = 0x00;
/// Follows a NUL that belongs to a string; above everything that can follow [`END`].
const ESCAPE: u8 = 0xFF;

/// The key of one value.
///
/// ```
/// use collection_store::{key, values::Elements};
/// let document = bson::rawdoc! { "a": 1, "b": 1.0, "c": 2_i64 };
/// let keys: Vec<_> = Elements::new(document.as_bytes())
///     .map(|element| key::encode(element.value).unwrap())
///     .collect();
/// assert_eq!(keys[0], keys[1]);
/// assert!(keys[1] < keys[2]);
/// ```
///
/// # Errors
/// The key would exceed [`MAX_KEY_LEN`]; MongoDB's code 17280.
pub fn encode(value: RawValue<'_>) -> Result<Vec<u8>> {
    let mut key = Vec::with_capacity(16);
    encode_into(value, &mut key)?;
    Ok(key)
}

/// Appends the encoding of `value` to `key`; after an error `key` is as before.
///
/// # Errors
/// The whole key would exceed [`MAX_KEY_LEN`]; MongoDB's code 17280.
pub fn encode_into(value: RawValue<'_>, key: &mut Vec<u8>) -> Result<()> {
    let start = key.len();
    append(value, key);
    if key.len() > MAX_KEY_LEN {
        let len = key.len();
        key.truncate(start);
        return Err(Error::new(
            ErrorKind::TooLarge,
            format!("key too large to index: {len} bytes, the limit is {MAX_KEY_LEN}"),
        )
        .with_code(17280));
    }
    Ok(())
}

/// Appends the encoding of `value`, however long: for sorting, never for a tree.
pub(crate) fn append_unbounded(value: RawValue<'_>, key: &mut Vec<u8>) {
    append(value, key);
}

/// Turns an encoding into its descending form, for a part of a key that another
/// ascending part follows (in an index the primary key does): of two of which one
/// begins the other, it is that next part that puts the longer first.
pub fn descend(key: &mut [u8]) {
    for byte in key {
        *byte = !*byte;
    }
}

/// Recursion is bounded: values come from documents that passed validation.
fn append(value: RawValue<'_>, key: &mut Vec<u8>) {
    let class = value.kind().class();
    if class == Class::Number {
        number::append(value, key);
        return;
    }
    key.push(class as u8);
    match class {
        Class::Number | Class::MinKey | Class::Undefined | Class::Null | Class::MaxKey => {}
        Class::String | Class::Code => text(value.text().unwrap_or_default(), key),
        Class::Document => document(Elements::new(value.bytes()), key),
        Class::Array => {
            for element in Elements::new(value.bytes()) {
                append(element.value, key);
            }
            key.push(END);
        }
        Class::Binary => {
            let (subtype, bytes) = value.binary().unwrap_or_default();
            length(bytes.len(), key);
            key.push(subtype);
            key.extend_from_slice(bytes);
        }
        Class::ObjectId | Class::Boolean => key.extend_from_slice(value.bytes()),
        Class::DateTime => {
            let unsigned = value.date_ms().unwrap_or_default().cast_unsigned() ^ (1 << 63);
            key.extend_from_slice(&unsigned.to_be_bytes());
        }
        Class::Timestamp => {
            key.extend_from_slice(&value.timestamp().unwrap_or_default().to_be_bytes());
        }
        Class::Regex => {
            let (pattern, options) = value.regex().unwrap_or_default();
            text(pattern, key);
            text(options, key);
        }
        Class::DbPointer => {
            length(value.bytes().len(), key);
            key.extend_from_slice(value.bytes());
        }
        Class::CodeWithScope => {
            let (code, scope) = value.code_with_scope().unwrap_or_default();
            text(code, key);
            document(Elements::new(scope), key);
        }
    }
}

fn document(elements: Elements<'_>, key: &mut Vec<u8>) {
    for element in elements {
        // Class before name before value, as documents compare.
        key.push(element.value.kind().class() as u8);
        text(element.name, key);
        append(element.value, key);
    }
    key.push(END);
}

/// Bytes of any content: NUL becomes NUL ESCAPE, and END ends them.
fn text(mut bytes: &[u8], key: &mut Vec<u8>) {
    while let Some(nul) = bytes.iter().position(|byte| *byte == END) {
        key.extend_from_slice(&bytes[..=nul]);
        key.push(ESCAPE);
        bytes = &bytes[nul + 1..];
    }
    key.extend_from_slice(bytes);
    key.push(END);
}

fn length(len: usize, key: &mut Vec<u8>) {
    key.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

#[cfg(test)]
mod tests;
