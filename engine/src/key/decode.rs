//! Keys back into values.
//!
//! What comes back compares equal to what went in, and has the same key. It is the
//! same but for what keys do not tell: a number has the narrowest type that holds
//! it (int32, int64, double, decimal128), a symbol is a string.

use bson::spec::BinarySubtype;
use bson::{
    Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
    Timestamp,
};

use super::{END, ESCAPE, number};
use crate::values::{Magnitude, Number, Tail};

/// Documents that are stored have at most a hundred levels.
const MAX_LEVELS: usize = 200;

/// The value of a key that is one encoding; `None` if it is not.
pub(crate) fn decode(key: &[u8]) -> Option<Bson> {
    let mut reader = Reader { rest: key };
    let value = reader.value(0)?;
    reader.rest.is_empty().then_some(value)
}

/// The value of the encoding at the front of `key`, and how many bytes it takes.
pub(crate) fn decode_first(key: &[u8]) -> Option<(Bson, usize)> {
    let mut reader = Reader { rest: key };
    let value = reader.value(0)?;
    Some((value, key.len() - reader.rest.len()))
}

/// What is still to be read.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn sized(&mut self) -> Option<usize> {
        usize::try_from(u32::from_be_bytes(self.array()?)).ok()
    }

    /// Bytes of any content: NUL ESCAPE is a NUL, and END ends them.
    fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                END if self.rest.first() == Some(&ESCAPE) => {
                    self.byte()?;
                    text.push(0);
                }
                END => return String::from_utf8(text).ok(),
                other => text.push(other),
            }
        }
    }

    /// Whether a document or array ends here.
    fn ends(&mut self) -> Option<bool> {
        let ends = *self.rest.first()? == END;
        if ends {
            self.byte()?;
        }
        Some(ends)
    }

    fn document(&mut self, level: usize) -> Option<Document> {
        let mut document = Document::new();
        while !self.ends()? {
            self.byte()?;
            let name = self.text()?;
            document.insert(name, self.value(level + 1)?);
        }
        Some(document)
    }

    fn value(&mut self, level: usize) -> Option<Bson> {
        if level > MAX_LEVELS {
            return None;
        }
        if (0x14..=0x9B).contains(self.rest.first()?) {
            return to_bson(number::read(&mut || self.byte())?);
        }
        Some(match self.byte()? {
            0x04 => Bson::MinKey,
            0x08 => Bson::Undefined,
            0x0C => Bson::Null,
            0xA0 => Bson::String(self.text()?),
            0xA4 => Bson::Document(self.document(level)?),
            0xA8 => {
                let mut array = Vec::new();
                while !self.ends()? {
                    array.push(self.value(level + 1)?);
                }
                Bson::Array(array)
            }
            0xAC => {
                let len = self.sized()?;
                let subtype = BinarySubtype::from(self.byte()?);
                let mut bytes = self.take(len)?;
                if subtype == BinarySubtype::BinaryOld {
                    // The crate writes its second length itself.
                    bytes = bytes.get(4..)?;
                }
                let bytes = bytes.to_vec();
                Bson::Binary(Binary { subtype, bytes })
            }
            0xB0 => Bson::ObjectId(self.array::<12>()?.into()),
            0xB4 => Bson::Boolean(self.byte()? != 0),
            0xB8 => {
                let unsigned = u64::from_be_bytes(self.array()?) ^ (1 << 63);
                Bson::DateTime(DateTime::from_millis(unsigned.cast_signed()))
            }
            0xBC => Bson::Timestamp(Timestamp {
                time: u32::from_be_bytes(self.array()?),
                increment: u32::from_be_bytes(self.array()?),
            }),
            0xC0 => Bson::RegularExpression(Regex {
                pattern: self.text()?.try_into().ok()?,
                options: self.text()?.try_into().ok()?,
            }),
            0xC4 => {
                let len = self.sized()?;
                pointer(self.take(len)?)?
            }
            0xC8 => Bson::JavaScriptCode(self.text()?),
            0xCC => Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope {
                code: self.text()?,
                scope: self.document(level)?,
            }),
            0xF0 => Bson::MaxKey,
            _ => return None,
        })
    }
}

/// A DBPointer, which the crate makes from bytes only.
fn pointer(bytes: &[u8]) -> Option<Bson> {
    let len = i32::try_from(bytes.len() + 7).ok()?;
    let mut document = len.to_le_bytes().to_vec();
    document.extend_from_slice(&[0x0C, 0]);
    document.extend_from_slice(bytes);
    document.push(0);
    let document = RawDocumentBuf::from_bytes(document).ok()?;
    document.iter().next()?.ok()?.1.try_into().ok()
}

/// A number in the narrowest type that holds it.
fn to_bson(number: Number) -> Option<Bson> {
    if let Some(whole) = number.to_i64() {
        return Some(match i32::try_from(whole) {
            Ok(small) => Bson::Int32(small),
            Err(_) => Bson::Int64(whole),
        });
    }
    let (negative, magnitude) = match number {
        Number::Nan => return Some(Bson::Double(f64::NAN)),
        Number::Infinite { negative: true } => return Some(Bson::Double(f64::NEG_INFINITY)),
        Number::Infinite { negative: false } => return Some(Bson::Double(f64::INFINITY)),
        Number::Zero => return Some(Bson::Int32(0)),
        Number::Finite {
            negative,
            magnitude,
        } => (negative, magnitude),
    };
    let double = magnitude.to_f64();
    let double = if negative { -double } else { double };
    if Number::from_f64(double) == number {
        return Some(Bson::Double(double));
    }
    let (coefficient, exponent) = match magnitude.tail {
        Some(Tail {
            exponent,
            coefficient,
        }) => (coefficient, exponent),
        None => as_decimal(&magnitude)?,
    };
    decimal(negative, coefficient, exponent)
}

/// The decimal that a number without a tail is, if it is one.
fn as_decimal(magnitude: &Magnitude) -> Option<(u128, i32)> {
    const MOST: u128 = 10_u128.pow(34) - 1;
    let zeros = magnitude.mantissa.trailing_zeros();
    let mut coefficient = u128::from(magnitude.mantissa >> zeros);
    let mut twos = magnitude.exponent - 63 + zeros.cast_signed();
    let mut tens = 0;
    while twos > 0 {
        if coefficient.is_multiple_of(5) {
            (coefficient, tens) = (coefficient / 5, tens + 1);
        } else if coefficient <= MOST / 2 {
            coefficient *= 2;
        } else {
            return None;
        }
        twos -= 1;
    }
    while twos < 0 {
        // A half is five tenths.
        coefficient = coefficient.checked_mul(5).filter(|more| *more <= MOST)?;
        (tens, twos) = (tens - 1, twos + 1);
    }
    Some((coefficient, tens))
}

/// The bytes of a decimal128, brought into the range of its exponent.
fn decimal(negative: bool, mut coefficient: u128, mut exponent: i32) -> Option<Bson> {
    while coefficient.is_multiple_of(10) && coefficient > 0 {
        (coefficient, exponent) = (coefficient / 10, exponent + 1);
    }
    while exponent > 6111 {
        (coefficient, exponent) = (coefficient.checked_mul(10)?, exponent - 1);
    }
    let biased = u128::try_from(exponent + 6176).ok()?;
    let bits = (u128::from(negative) << 127) | (biased << 113) | coefficient;
    Some(Bson::Decimal128(Decimal128::from_bytes(bits.to_le_bytes())))
}
