//! From each type to each other, by MongoDB's rules.

use super::arguments::{coded, kind_name, text};
use super::dates::from_text_utc;
use super::texts;
use super::value::Value;
use crate::error::{Error, Result};
use crate::json;
use crate::values::{Decimal, Kind, Numeric, Rounding};

/// MongoDB's `ConversionFailure`, which `onError` answers.
pub(super) const CONVERSION_FAILURE: i32 = 241;

/// The subtype of a UUID.
const UUID: u8 = 4;

/// What a value is converted to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The type; `None` is that of what is missing, to which nothing converts.
    pub(super) kind: Option<Kind>,
    /// Of binaries.
    pub(super) subtype: u8,
}

/// How binaries are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A UUID as one, all else in base 64.
    Auto,
    Base64,
    Base64Url,
    Hex,
    Utf8,
    Uuid,
}

/// How numbers lie in binaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ByteOrder {
    Little,
    Big,
}

#[cold]
fn fail(message: impl Into<String>) -> Error {
    coded(CONVERSION_FAILURE, message)
}

/// The value, converted.
///
/// # Errors
/// Code 241 where it cannot be, which `onError` answers, or another one.
pub(super) fn convert_value<'a>(
    value: Value<'a>,
    target: Target,
    format: Option<Format>,
    order: ByteOrder,
) -> Result<Value<'a>> {
    let from = value.kind();
    let unsupported = || {
        let to = target.kind.map_or("missing", Kind::name);
        fail(format!(
            "unsupported conversion from {} to {to}",
            from.name()
        ))
    };
    let Some(to) = target.kind else {
        return Err(unsupported());
    };
    if to == from && convertible_to_itself(from) {
        return Ok(value);
    }
    match to {
        Kind::Boolean => Ok(Value::boolean(value.is_truthy())),
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal128 => {
            to_number(&value, to, order)?.ok_or_else(unsupported)
        }
        Kind::String => to_string(&value, format)?.ok_or_else(unsupported),
        Kind::DateTime => to_date(&value)?.ok_or_else(unsupported),
        Kind::ObjectId => match text(&value) {
            Some(text) => parse_object_id(text),
            None => Err(unsupported()),
        },
        Kind::Binary => to_binary(value, target.subtype, format, order, unsupported),
        Kind::Document | Kind::Array => match text(&value) {
            Some(text) => parse_json(text, to),
            None => Err(unsupported()),
        },
        _ => Err(unsupported()),
    }
}

fn convertible_to_itself(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Double
            | Kind::String
            | Kind::ObjectId
            | Kind::Boolean
            | Kind::DateTime
            | Kind::Int32
            | Kind::Int64
            | Kind::Decimal128
            | Kind::Document
            | Kind::Array
    )
}

fn to_number<'a>(value: &Value<'_>, to: Kind, order: ByteOrder) -> Result<Option<Value<'a>>> {
    let raw = value.scalar_raw();
    if let Some(number) = Numeric::of(raw) {
        return of_number(number, to).map(Some);
    }
    let whole = match raw.kind() {
        Kind::Boolean => raw.boolean().map(i64::from),
        // A date is no int32.
        Kind::DateTime if to != Kind::Int32 => raw.date_ms(),
        Kind::String => return parse_number(text(value).unwrap_or_default(), to).map(Some),
        Kind::Binary if to != Kind::Decimal128 => {
            let (_, content) = raw.binary().unwrap_or_default();
            return from_binary(content, to, order).map(Some);
        }
        _ => None,
    };
    match whole {
        Some(whole) => of_number(Numeric::Int64(whole), to).map(Some),
        None => Ok(None),
    }
}

/// A number as one of another type; what follows the point is dropped.
fn of_number<'a>(number: Numeric, to: Kind) -> Result<Value<'a>> {
    match to {
        Kind::Double => {
            let double = number.to_f64();
            if let Numeric::Decimal(decimal) = number
                && !decimal.is_infinite()
                && (double.is_infinite() || (double == 0.0 && !decimal.is_zero()))
            {
                return Err(fail("conversion would overflow target type double"));
            }
            Ok(Value::double(double))
        }
        Kind::Decimal128 => Ok(Value::decimal(number.to_decimal())),
        _ => {
            let whole = to_whole(number)?;
            if to == Kind::Int64 {
                return Ok(Value::int64(whole));
            }
            i32::try_from(whole)
                .map(Value::int32)
                .map_err(|_| fail("conversion would overflow target type int"))
        }
    }
}

fn to_whole(number: Numeric) -> Result<i64> {
    let whole = match number {
        Numeric::Double(double) => Numeric::Double(double.trunc()).exact_i64(),
        Numeric::Decimal(decimal) => decimal.round_to_i64(Rounding::TowardZero),
        other => Some(other.truncate()),
    };
    whole.ok_or_else(|| fail("conversion would overflow target type, or is NaN or infinite"))
}

/// A number in text: no white space, no hexadecimal digits.
fn parse_number<'a>(text: &str, to: Kind) -> Result<Value<'a>> {
    let refuse = || {
        fail(format!(
            "failed to parse number in text of {} bytes",
            text.len()
        ))
    };
    match to {
        Kind::Int32 => text.parse().map(Value::int32).map_err(|_| refuse()),
        Kind::Int64 => text.parse().map(Value::int64).map_err(|_| refuse()),
        Kind::Double => {
            let double: f64 = text.parse().map_err(|_| refuse())?;
            let unsigned = text.trim_start_matches(['+', '-']);
            let starts_as_number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.');
            let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
            let has_digits = mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
            if starts_as_number && (double.is_infinite() || (double == 0.0 && has_digits)) {
                return Err(refuse());
            }
            Ok(Value::double(double))
        }
        _ => {
            let decimal: Decimal = text.parse().map_err(|_| refuse())?;
            let is_word = text
                .trim_start_matches(['+', '-'])
                .starts_with(|c: char| c.is_ascii_alphabetic());
            if decimal.is_infinite() && !is_word {
                return Err(refuse());
            }
            Ok(Value::decimal(decimal))
        }
    }
}

fn to_string<'a>(value: &Value<'_>, format: Option<Format>) -> Result<Option<Value<'a>>> {
    let raw = value.scalar_raw();
    Ok(Some(match value.kind() {
        Kind::Boolean => Value::text(if raw.boolean() == Some(true) {
            "true"
        } else {
            "false"
        }),
        Kind::ObjectId => Value::text(&hex(raw.bytes())),
        Kind::DateTime => Value::text(&texts::of_date(raw.date_ms().unwrap_or_default())),
        Kind::Binary => {
            let (subtype, content) = raw.binary().unwrap_or_default();
            return binary_text(subtype, content, format).map(Some);
        }
        Kind::Document | Kind::Array => return json_text(value).map(Some),
        _ => match Numeric::of(raw) {
            Some(number) => Value::text(&texts::of_number(number)),
            None => return Ok(None),
        },
    }))
}

fn to_date<'a>(value: &Value<'_>) -> Result<Option<Value<'a>>> {
    let raw = value.scalar_raw();
    Ok(Some(Value::date(match raw.kind() {
        Kind::String => from_text_utc(text(value).unwrap_or_default())
            .ok_or_else(|| fail("error parsing a date string"))?,
        Kind::Int64 | Kind::Double | Kind::Decimal128 => {
            let Some(number) = Numeric::of(raw) else {
                return Ok(None);
            };
            to_whole(number)?
        }
        Kind::ObjectId => match raw.bytes().first_chunk() {
            Some(seconds) => i64::from(u32::from_be_bytes(*seconds)) * 1000,
            None => return Ok(None),
        },
        Kind::Timestamp => match raw.timestamp() {
            Some(stamp) => i64::try_from(stamp >> 32).unwrap_or_default() * 1000,
            None => return Ok(None),
        },
        _ => return Ok(None),
    })))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(digit(*high)? * 16 + digit(*low)?).ok())
        .collect()
}

fn parse_object_id<'a>(text: &str) -> Result<Value<'a>> {
    unhex(text)
        .and_then(|bytes| bytes.try_into().ok())
        .map(Value::object_id)
        .ok_or_else(|| fail("failed to parse objectId: 24 hexadecimal digits are expected"))
}

fn to_binary<'a>(
    value: Value<'a>,
    subtype: u8,
    format: Option<Format>,
    order: ByteOrder,
    unsupported: impl Fn() -> Error,
) -> Result<Value<'a>> {
    let raw = value.scalar_raw();
    let bytes: Vec<u8> = match raw.kind() {
        Kind::Binary => {
            return match raw.binary() {
                Some((own, _)) if own == subtype => Ok(value),
                _ => Err(fail(
                    "conversions between different binary subtypes are not supported",
                )),
            };
        }
        Kind::String => {
            let Some(format) = format else {
                return Err(coded(
                    4_341_115,
                    "format must be specified when converting from string to binData",
                ));
            };
            let text = text(&value).unwrap_or_default();
            let bytes = if (format == Format::Uuid) == (subtype == UUID) {
                parse_binary(text, format)
            } else {
                None
            };
            bytes.ok_or_else(|| fail("failed to parse binData"))?
        }
        Kind::Int32 | Kind::Int64 | Kind::Double => {
            let mut bytes = raw.bytes().to_vec();
            if order == ByteOrder::Big {
                bytes.reverse();
            }
            bytes
        }
        _ => return Err(unsupported()),
    };
    Ok(Value::binary(subtype, &bytes))
}

/// A number that fills the whole of a binary.
fn from_binary<'a>(content: &[u8], to: Kind, order: ByteOrder) -> Result<Value<'a>> {
    let mut bytes = content.to_vec();
    if order == ByteOrder::Big {
        bytes.reverse();
    }
    let whole = match *bytes.as_slice() {
        [a] => Some(i64::from(i8::from_le_bytes([a]))),
        [a, b] => Some(i64::from(i16::from_le_bytes([a, b]))),
        [a, b, c, d] => Some(i64::from(i32::from_le_bytes([a, b, c, d]))),
        [a, b, c, d, e, f, g, h] => Some(i64::from_le_bytes([a, b, c, d, e, f, g, h])),
        _ => None,
    };
    let refuse = || {
        let message = format!(
            "failed to convert binData of {} bytes to a number",
            content.len()
        );
        fail(message)
    };
    match (to, whole, bytes.len()) {
        (Kind::Double, Some(bits), 4) => {
            let bits = u32::try_from(bits & 0xFFFF_FFFF).unwrap_or_default();
            Ok(Value::double(f64::from(f32::from_bits(bits))))
        }
        (Kind::Double, Some(bits), 8) => Ok(Value::double(f64::from_bits(bits.cast_unsigned()))),
        (Kind::Int64, Some(whole), _) => Ok(Value::int64(whole)),
        (Kind::Int32, Some(whole), 1..=4) => {
            i32::try_from(whole).map(Value::int32).map_err(|_| refuse())
        }
        _ => Err(refuse()),
    }
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn encode(bytes: &[u8], alphabet: &[u8; 64], pad: bool) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain([0, 0].iter())
            .take(3)
            .fold(0_u32, |group, byte| (group << 8) | u32::from(*byte));
        for place in 0..4 {
            if place <= chunk.len() {
                let index = (group >> (18 - 6 * place)) & 63;
                let letter = alphabet.get(index as usize).copied().unwrap_or_default();
                out.push(char::from(letter));
            } else if pad {
                out.push('=');
            }
        }
    }
    out
}

fn decode(text: &str, alphabet: &[u8; 64], pad: bool) -> Option<Vec<u8>> {
    let letters = text.trim_end_matches('=');
    let padding = text.len() - letters.len();
    let is_whole = text.len().is_multiple_of(4) && padding <= 2;
    if letters.len() % 4 == 1 || (pad && !is_whole) || (padding > 0 && !is_whole) {
        return None;
    }
    let mut out = Vec::with_capacity(letters.len() * 3 / 4);
    for chunk in letters.as_bytes().chunks(4) {
        let mut group = 0_u32;
        for letter in chunk {
            let index = alphabet.iter().position(|known| known == letter)?;
            group = (group << 6) | u32::try_from(index).ok()?;
        }
        let missing = 4 - chunk.len();
        group <<= 6 * missing;
        let bytes = group.to_be_bytes();
        out.extend_from_slice(bytes.get(1..4 - missing)?);
    }
    Some(out)
}

fn uuid_text(content: &[u8]) -> Option<String> {
    if content.len() != 16 {
        return None;
    }
    let hex = hex(content);
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    Some(format!(
        "{}-{}-{}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..16),
        part(16..20),
        part(20..32)
    ))
}

fn parse_uuid(text: &str) -> Option<Vec<u8>> {
    let lens: Vec<usize> = text.split('-').map(str::len).collect();
    if lens != [8, 4, 4, 4, 12] {
        return None;
    }
    unhex(&text.replace('-', ""))
}

fn parse_binary(text: &str, format: Format) -> Option<Vec<u8>> {
    match format {
        Format::Base64 => decode(text, BASE64, true),
        Format::Base64Url => decode(text, BASE64_URL, false),
        Format::Hex => unhex(text),
        Format::Utf8 => Some(text.as_bytes().to_vec()),
        Format::Uuid => parse_uuid(text),
        Format::Auto => None,
    }
}

fn binary_text<'a>(subtype: u8, content: &[u8], format: Option<Format>) -> Result<Value<'a>> {
    let Some(format) = format else {
        return Err(coded(
            4_341_115,
            "format must be specified when converting from binData to string",
        ));
    };
    let uuid = || (subtype == UUID).then(|| uuid_text(content)).flatten();
    let text = match format {
        Format::Auto => Some(uuid().unwrap_or_else(|| encode(content, BASE64, true))),
        Format::Base64 => Some(encode(content, BASE64, true)),
        Format::Base64Url => Some(encode(content, BASE64_URL, false)),
        Format::Hex => Some(hex(content).to_uppercase()),
        Format::Utf8 => std::str::from_utf8(content).ok().map(str::to_owned),
        Format::Uuid => uuid(),
    };
    match text {
        Some(text) => Ok(Value::text(&text)),
        None => Err(fail("failed to convert binData to string")),
    }
}

/// A document or an array as relaxed extended JSON.
fn json_text<'a>(value: &Value<'_>) -> Result<Value<'a>> {
    let flat = value.clone().flat()?;
    let raw = flat.scalar_raw();
    let document = raw.to_document(b"");
    let document = bson::RawDocument::from_bytes(&document)?;
    let text = json::to_string(document, json::Form::Relaxed)?;
    // The value stands alone under an empty name.
    let inner = text
        .trim_ascii()
        .strip_prefix('{')
        .map(str::trim_ascii_start)
        .and_then(|rest| rest.strip_prefix("\"\""))
        .map(str::trim_ascii_start)
        .and_then(|rest| rest.strip_prefix(':'))
        .and_then(|rest| rest.strip_suffix('}'))
        .map(str::trim_ascii)
        .ok_or_else(|| fail(format!("failed to write {} as JSON", kind_name(value))))?;
    Ok(Value::text(inner))
}

fn parse_json<'a>(text: &str, to: Kind) -> Result<Value<'a>> {
    let wrapped = format!("{{\"\":{text}}}");
    let refuse = || fail(format!("failed to parse text as an {}", to.name()));
    let document = json::parse(&wrapped).map_err(|_| refuse())?;
    let value = Value::from_document(document.as_bytes());
    match value.field(b"") {
        Some(inner) if inner.kind() == to => inner.into_static(),
        _ => Err(refuse()),
    }
}
