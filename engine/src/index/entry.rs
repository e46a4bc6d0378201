//! The bytes of index entries. FORMAT.md, section 6, has the tables.
//!
//! ## Invariants
//! * Keys of entries are in the order of the index, then of the primary key.
//! * Key and value together tell the encoded fields, the primary key, and with the
//!   remarks the exact values of the fields.
//! * A marker's key starts with 0x00, which no entry's does.

use bson::Bson;

use super::definition::Definition;
use super::derive::{DerivedKey, Fixed};
use crate::error::{Error, ErrorKind, Result};
use crate::key::{MAX_KEY_LEN, decode_first, descend};
use crate::values::{Kind, Number, RawValue};

/// Ends the fields in a key without primary key, so that it sorts as if one followed.
const UNIQUE_END: u8 = 0x80;
/// Starts the key of a marker.
const MARKER: u8 = 0x00;

/// The encoding tells the value.
const EXACT: u8 = 0;
/// There is no value: the null in the key stands for that.
const MISSING: u8 = 1;
/// The number is an int64.
const INT64: u8 = 2;
/// The number is a double.
const DOUBLE: u8 = 3;
/// The value follows: its type byte, its length, its bytes.
const WHOLE: u8 = 4;

/// The key of the marker that says: the path of this field has met an array.
pub(crate) fn marker_key(field: usize) -> Vec<u8> {
    vec![MARKER, u8::try_from(field).unwrap_or(u8::MAX)]
}

/// Notes what of the value in field `at` its encoding does not tell.
pub(super) fn note_remark(fixed: Fixed<'_>, at: usize, remarks: &mut Vec<u8>) {
    let remark = match fixed {
        Fixed::Missing => MISSING,
        Fixed::Undefined => EXACT,
        Fixed::Value(value) => remark_of(value),
    };
    if remark == EXACT && remarks.is_empty() {
        return;
    }
    if remarks.is_empty() {
        remarks.resize(at, EXACT);
    }
    remarks.push(remark);
    if let (WHOLE, Fixed::Value(value)) = (remark, fixed) {
        remarks.push(value.kind() as u8);
        let len = u32::try_from(value.bytes().len()).unwrap_or(u32::MAX);
        remarks.extend_from_slice(&len.to_le_bytes());
        remarks.extend_from_slice(value.bytes());
    }
}

fn remark_of(value: RawValue<'_>) -> u8 {
    match value.kind() {
        Kind::Int64 => match value.integer().map(i32::try_from) {
            Some(Err(_)) => EXACT,
            _ => INT64,
        },
        // A whole number comes back as an integer; minus zero and NaN with their signs.
        Kind::Double => match value.double() {
            Some(double) if double == 0.0 && double.is_sign_negative() => WHOLE,
            Some(double) if double.is_nan() => WHOLE,
            Some(double) if double.is_infinite() => EXACT,
            Some(double) if Number::from_f64(double).to_i64().is_some() => DOUBLE,
            _ => EXACT,
        },
        Kind::Decimal128 | Kind::Symbol | Kind::Document | Kind::Array => WHOLE,
        Kind::CodeWithScope | Kind::DbPointer | Kind::Binary | Kind::Regex => WHOLE,
        _ => EXACT,
    }
}

/// An entry of the index's tree.
pub(super) fn entry(
    index: &Definition,
    key: DerivedKey,
    primary: &[u8],
) -> Result<(Vec<u8>, Vec<u8>)> {
    let DerivedKey {
        fields: mut bytes,
        remarks,
    } = key;
    let len = bytes.len();
    let mut value = Vec::with_capacity(3 + remarks.len());
    if index.unique {
        bytes.push(UNIQUE_END);
        push_len(primary.len(), &mut value);
        value.extend_from_slice(primary);
    } else {
        bytes.extend_from_slice(primary);
        push_len(len, &mut value);
    }
    value.extend_from_slice(&remarks);
    if bytes.len() > MAX_KEY_LEN {
        let message = format!(
            "index '{}': key too large to index: {} bytes, the limit is {MAX_KEY_LEN}",
            index.name,
            bytes.len()
        );
        return Err(Error::new(ErrorKind::TooLarge, message).with_code(17280));
    }
    Ok((bytes, value))
}

/// Seven bits a byte, lowest first; the highest bit says that more follow.
fn push_len(mut len: usize, out: &mut Vec<u8>) {
    while len >= 0x80 {
        out.push((len & 0x7F) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

fn take_len(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut len = 0_usize;
    for (at, byte) in bytes.iter().enumerate().take(4) {
        len |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((len, bytes.get(at + 1..)?));
        }
    }
    None
}

/// An entry, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParsedEntry<'a> {
    /// The encoded fields.
    pub(crate) fields: &'a [u8],
    /// The key of the document.
    pub(crate) primary: &'a [u8],
    remarks: &'a [u8],
}

/// Takes an entry apart; `None` for a marker.
///
/// # Errors
/// It is not one.
pub(crate) fn parse_entry<'a>(
    index: &Definition,
    key: &'a [u8],
    value: &'a [u8],
) -> Result<Option<ParsedEntry<'a>>> {
    if key.first() == Some(&MARKER) {
        return Ok(None);
    }
    let parsed = || {
        let (len, rest) = take_len(value)?;
        Some(if index.unique {
            let (primary, remarks) = rest.split_at_checked(len)?;
            let (&UNIQUE_END, fields) = key.split_last()? else {
                return None;
            };
            ParsedEntry {
                fields,
                primary,
                remarks,
            }
        } else {
            let (fields, primary) = key.split_at_checked(len)?;
            ParsedEntry {
                fields,
                primary,
                remarks: rest,
            }
        })
    };
    parsed().map(Some).ok_or_else(|| damaged(index))
}

fn damaged(index: &Definition) -> Error {
    let message = format!("an entry of index '{}' is damaged", index.name);
    Error::new(ErrorKind::Corruption, message)
}

impl ParsedEntry<'_> {
    /// The exact values of the fields; `None` for one that is missing.
    pub(crate) fn values(&self, index: &Definition) -> Result<Vec<Option<Bson>>> {
        let values = self.try_values(index);
        values.ok_or_else(|| damaged(index))
    }

    fn try_values(&self, index: &Definition) -> Option<Vec<Option<Bson>>> {
        let mut remarks = self.remarks;
        let mut fields = self.fields.to_vec();
        let mut rest = fields.as_mut_slice();
        let mut values = Vec::with_capacity(index.fields.len());
        for field in &index.fields {
            // The rest is turned as a whole, and back behind the field.
            if field.descending {
                descend(rest);
            }
            let (value, len) = decode_first(rest)?;
            let (_, after) = rest.split_at_mut_checked(len)?;
            if field.descending {
                descend(after);
            }
            rest = after;
            let (remark, others) = remarks.split_first().unwrap_or((&EXACT, &[]));
            remarks = others;
            values.push(match *remark {
                EXACT => Some(value),
                MISSING => None,
                INT64 => Some(Bson::Int64(match value {
                    Bson::Int32(number) => number.into(),
                    Bson::Int64(number) => number,
                    _ => return None,
                })),
                DOUBLE => Some(Bson::Double(match value {
                    Bson::Int32(number) => number.into(),
                    // It came from a double, so it is one exactly.
                    Bson::Int64(number) => number as f64,
                    Bson::Double(number) => number,
                    _ => return None,
                })),
                WHOLE => {
                    let (kind, others) = remarks.split_first()?;
                    let (len, others) = others.split_first_chunk::<4>()?;
                    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
                    let (bytes, others) = others.split_at_checked(len)?;
                    remarks = others;
                    let kind = Kind::from_byte(*kind)?;
                    Some(RawValue { kind, bytes }.to_bson().ok()?)
                }
                _ => return None,
            });
        }
        (rest.is_empty() && remarks.is_empty()).then_some(values)
    }
}

#[cfg(test)]
mod tests;
