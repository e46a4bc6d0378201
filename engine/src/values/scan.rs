//! Reading BSON in place.
//!
//! ## Invariants
//! * Over bytes that passed [`validate_document`](super::validate_document)
//!   every element is seen, in order.
//! * Over any other bytes nothing panics and nothing is read out of bounds: a
//!   scan ends at the first element that makes no sense, an accessor gives
//!   `None`.
//!
//! Nothing here decodes into an owned document or allocates.

use super::decimal::Decimal;
use super::kind::Kind;
use super::number::Number;

/// A value inside a document: its kind and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct RawValue<'a> {
    pub(crate) kind: Kind,
    pub(crate) bytes: &'a [u8],
}

/// A field of a document or an element of an array.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its name, without the NUL.
    pub name: &'a [u8],
    /// Its value.
    pub value: RawValue<'a>,
}

/// The elements of a document or an array, in order.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    /// Over a whole document, length prefix and final NUL included.
    #[inline]
    #[must_use]
    pub fn new(document: &'a [u8]) -> Self {
        let end = document.len().saturating_sub(1);
        Self {
            rest: document.get(4..end).unwrap_or_default(),
        }
    }

    /// Over the elements of a document from this byte on, where one begins.
    #[inline]
    pub(crate) fn from(document: &'a [u8], at: usize) -> Self {
        let end = document.len().saturating_sub(1);
        Self {
            rest: document.get(at..end).unwrap_or_default(),
        }
    }

    /// The first value of this name.
    #[inline]
    #[must_use]
    pub fn find_name(self, name: &[u8]) -> Option<RawValue<'a>> {
        let mut rest = self.rest;
        loop {
            let (&type_byte, after_type) = rest.split_first()?;
            let name_len = cstring_len(after_type)?;
            let (found, after_name) = after_type.split_at_checked(name_len + 1)?;
            let (bytes, after) = after_name.split_at_checked(value_len(type_byte, after_name)?)?;
            if found.len() == name.len() + 1 && found.starts_with(name) {
                return Some(RawValue {
                    kind: Kind::from_byte(type_byte)?,
                    bytes,
                });
            }
            rest = after;
        }
    }

    #[inline]
    fn parse(rest: &'a [u8]) -> Option<(Element<'a>, &'a [u8])> {
        let (&type_byte, rest) = rest.split_first()?;
        let kind = Kind::from_byte(type_byte)?;
        let (name, rest) = split_cstring(rest)?;
        let (bytes, rest) = rest.split_at_checked(value_len(type_byte, rest)?)?;
        Some((
            Element {
                name,
                value: RawValue { kind, bytes },
            },
            rest,
        ))
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    #[inline]
    fn next(&mut self) -> Option<Element<'a>> {
        if let Some((element, rest)) = Self::parse(self.rest) {
            self.rest = rest;
            Some(element)
        } else {
            self.rest = &[];
            None
        }
    }
}

impl std::iter::FusedIterator for Elements<'_> {}

impl<'a> RawValue<'a> {
    /// What kind of value it is.
    #[inline]
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes of the value, as they follow its name in the document.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The elements, of a document or an array.
    #[inline]
    #[must_use]
    pub fn elements(&self) -> Option<Elements<'a>> {
        matches!(self.kind, Kind::Document | Kind::Array).then(|| Elements::new(self.bytes))
    }

    /// The text of a string, a symbol or a code, without length and final NUL.
    #[inline]
    #[must_use]
    pub fn text(&self) -> Option<&'a [u8]> {
        matches!(self.kind, Kind::String | Kind::Symbol | Kind::Code)
            .then(|| self.bytes.get(4..self.bytes.len().saturating_sub(1)))?
    }

    /// The exact number, of an int32, int64, double or decimal128.
    #[must_use]
    pub fn number(&self) -> Option<Number> {
        Some(match self.kind {
            Kind::Int32 => Number::from_i64(i64::from(i32::from_le_bytes(self.array()?))),
            Kind::Int64 => Number::from_i64(i64::from_le_bytes(self.array()?)),
            Kind::Double => Number::from_f64(f64::from_le_bytes(self.array()?)),
            Kind::Decimal128 => Number::from_decimal(Decimal::from_le_bytes(self.array()?)),
            _ => return None,
        })
    }

    /// The value of an int32 or int64.
    #[inline]
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self.kind {
            Kind::Int32 => Some(i64::from(i32::from_le_bytes(self.array()?))),
            Kind::Int64 => Some(i64::from_le_bytes(self.array()?)),
            _ => None,
        }
    }

    /// The value of a double.
    #[inline]
    #[must_use]
    pub fn double(&self) -> Option<f64> {
        if self.kind == Kind::Double {
            Some(f64::from_le_bytes(self.array()?))
        } else {
            None
        }
    }

    /// The value of a decimal128.
    #[must_use]
    pub fn decimal(&self) -> Option<Decimal> {
        if self.kind == Kind::Decimal128 {
            Some(Decimal::from_le_bytes(self.array()?))
        } else {
            None
        }
    }

    /// Subtype and content of a binary.
    #[must_use]
    pub fn binary(&self) -> Option<(u8, &'a [u8])> {
        if self.kind == Kind::Binary {
            Some((*self.bytes.get(4)?, self.bytes.get(5..)?))
        } else {
            None
        }
    }

    /// Pattern and options of a regular expression.
    #[must_use]
    pub fn regex(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != Kind::Regex {
            return None;
        }
        let (pattern, rest) = split_cstring(self.bytes)?;
        let (options, _) = split_cstring(rest)?;
        Some((pattern, options))
    }

    /// The text and the scope document of a code with scope.
    #[must_use]
    pub fn code_with_scope(&self) -> Option<(&'a [u8], &'a [u8])> {
        if self.kind != Kind::CodeWithScope {
            return None;
        }
        let rest = self.bytes.get(4..)?;
        let (text, scope) = rest.split_at_checked(prefixed_len(rest, 4)?)?;
        Some((text.get(4..text.len().saturating_sub(1))?, scope))
    }

    /// The value of a boolean.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        if self.kind == Kind::Boolean {
            Some(*self.bytes.first()? != 0)
        } else {
            None
        }
    }

    /// Milliseconds since 1970, of a date.
    #[must_use]
    pub fn date_ms(&self) -> Option<i64> {
        if self.kind == Kind::DateTime {
            Some(i64::from_le_bytes(self.array()?))
        } else {
            None
        }
    }

    /// Seconds and ordinal of a timestamp, the seconds in the upper half.
    #[must_use]
    pub fn timestamp(&self) -> Option<u64> {
        if self.kind == Kind::Timestamp {
            Some(u64::from_le_bytes(self.array()?))
        } else {
            None
        }
    }

    /// Whether MongoDB takes the value for true: all but `false`, zero, null and undefined.
    #[must_use]
    pub fn is_truthy(&self) -> bool {
        match self.kind {
            Kind::Boolean => self.boolean() == Some(true),
            Kind::Null | Kind::Undefined => false,
            _ => self.number() != Some(Number::Zero),
        }
    }

    /// Whether it is a double or decimal NaN.
    #[must_use]
    pub fn is_nan(&self) -> bool {
        match self.kind {
            Kind::Double => self.double().is_some_and(f64::is_nan),
            Kind::Decimal128 => self.decimal() == Some(Decimal::Nan),
            _ => false,
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.bytes.first_chunk().copied()
    }
}

/// The bytes before the first NUL, and those after it.
#[inline]
fn split_cstring(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = cstring_len(bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// How many bytes precede the first NUL. Names are short: eight bytes at a
/// time, in a register, is the fastest way that needs no unsafe code.
#[inline]
pub(crate) fn cstring_len(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let mut passed = 0;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest high bit that is set belongs to the first zero byte.
        let zeroes = word.wrapping_sub(ONES) & !word & HIGHS;
        if zeroes != 0 {
            return Some(passed + zeroes.trailing_zeros() as usize / 8);
        }
        passed += 8;
        rest = after;
    }
    Some(passed + rest.iter().position(|byte| *byte == 0)?)
}

/// For each type byte the bytes of a value; or [`PREFIXED`] and what comes on
/// top of the int32 in front; or [`REGEX`]; or [`UNKNOWN`].
static SIZES: [u8; 256] = sizes();
const PREFIXED: u8 = 0x80;
const REGEX: u8 = 0xFE;
const UNKNOWN: u8 = 0xFF;

const fn sizes() -> [u8; 256] {
    let mut sizes = [UNKNOWN; 256];
    let mut at = 0;
    while at < Kind::ALL.len() {
        let kind = Kind::ALL[at];
        sizes[kind as usize] = match kind {
            Kind::String | Kind::Code | Kind::Symbol => PREFIXED | 4,
            Kind::Document | Kind::Array | Kind::CodeWithScope => PREFIXED,
            Kind::Binary => PREFIXED | 5,
            Kind::DbPointer => PREFIXED | 16,
            Kind::Regex => REGEX,
            fixed => match fixed.fixed_len() {
                #[allow(clippy::cast_possible_truncation)]
                Some(len) => len as u8,
                None => UNKNOWN,
            },
        };
        at += 1;
    }
    sizes
}

/// How many of the bytes at the front of `rest` a value of this type takes. May
/// exceed `rest`; the caller checks.
#[inline(always)]
pub(crate) fn value_len(type_byte: u8, rest: &[u8]) -> Option<usize> {
    match SIZES[usize::from(type_byte)] {
        size if size < PREFIXED => Some(usize::from(size)),
        size if size < REGEX => prefixed_len(rest, usize::from(size & !PREFIXED)),
        REGEX => regex_len(rest),
        _ => None,
    }
}

/// Rare, and so kept out of the loops over elements.
#[cold]
fn regex_len(rest: &[u8]) -> Option<usize> {
    let (_, after_pattern) = split_cstring(rest)?;
    let (_, after_options) = split_cstring(after_pattern)?;
    Some(rest.len() - after_options.len())
}

/// The int32 at the front of `rest`, plus `extra`.
#[inline]
fn prefixed_len(rest: &[u8], extra: usize) -> Option<usize> {
    let len = i32::from_le_bytes(*rest.first_chunk()?);
    usize::try_from(len).ok()?.checked_add(extra)
}

#[cfg(test)]
mod tests;
