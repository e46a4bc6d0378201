//! BSON's types, and the classes in which their values are ordered.

/// The type of a BSON value; the number is the type byte on disk and wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// 64-bit binary floating point.
    Double = 0x01,
    /// UTF-8 text; an embedded NUL is legal.
    String = 0x02,
    /// Embedded document.
    Document = 0x03,
    /// Array.
    Array = 0x04,
    /// Bytes with a subtype.
    Binary = 0x05,
    /// Deprecated: `undefined`.
    Undefined = 0x06,
    /// Twelve bytes.
    ObjectId = 0x07,
    /// True or false.
    Boolean = 0x08,
    /// Signed milliseconds since 1970.
    DateTime = 0x09,
    /// Null.
    Null = 0x0A,
    /// Pattern and options.
    Regex = 0x0B,
    /// Deprecated: collection name and object id.
    DbPointer = 0x0C,
    /// JavaScript.
    Code = 0x0D,
    /// Deprecated: ordered and compared as a string.
    Symbol = 0x0E,
    /// Deprecated: JavaScript with the values of its free variables.
    CodeWithScope = 0x0F,
    /// 32-bit signed integer.
    Int32 = 0x10,
    /// Seconds and an ordinal, both unsigned.
    Timestamp = 0x11,
    /// 64-bit signed integer.
    Int64 = 0x12,
    /// IEEE 754 decimal128, binary integer encoding.
    Decimal128 = 0x13,
    /// Above every other value.
    MaxKey = 0x7F,
    /// Below every other value.
    MinKey = 0xFF,
}

/// The class of a value: values of different classes are ordered by it alone,
/// values of one class are compared with each other.
///
/// The numbers are the leading bytes of encoded keys (FORMAT.md, section 1)
/// and so never change. 0x00 ends a nested key and is never a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "each is named after the one kind in it, but for the commented"
)]
pub enum Class {
    MinKey = 0x04,
    Undefined = 0x08,
    Null = 0x0C,
    /// int32, int64, double and decimal128; 0x14 to 0x9B lead their keys.
    Number = 0x14,
    /// String and symbol.
    String = 0xA0,
    Document = 0xA4,
    Array = 0xA8,
    Binary = 0xAC,
    ObjectId = 0xB0,
    Boolean = 0xB4,
    DateTime = 0xB8,
    Timestamp = 0xBC,
    Regex = 0xC0,
    DbPointer = 0xC4,
    Code = 0xC8,
    CodeWithScope = 0xCC,
    MaxKey = 0xF0,
}

impl Class {
    /// A byte above every first byte of this class's keys and not above any
    /// first byte of the next class's.
    pub(crate) const fn key_end(self) -> u8 {
        match self {
            Self::Number => 0x9C,
            other => other as u8 + 1,
        }
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 21] = [
        Self::Double,
        Self::String,
        Self::Document,
        Self::Array,
        Self::Binary,
        Self::Undefined,
        Self::ObjectId,
        Self::Boolean,
        Self::DateTime,
        Self::Null,
        Self::Regex,
        Self::DbPointer,
        Self::Code,
        Self::Symbol,
        Self::CodeWithScope,
        Self::Int32,
        Self::Timestamp,
        Self::Int64,
        Self::Decimal128,
        Self::MaxKey,
        Self::MinKey,
    ];

    /// The kind that a type byte stands for.
    #[inline]
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0x01 => Self::Double,
            0x02 => Self::String,
            0x03 => Self::Document,
            0x04 => Self::Array,
            0x05 => Self::Binary,
            0x06 => Self::Undefined,
            0x07 => Self::ObjectId,
            0x08 => Self::Boolean,
            0x09 => Self::DateTime,
            0x0A => Self::Null,
            0x0B => Self::Regex,
            0x0C => Self::DbPointer,
            0x0D => Self::Code,
            0x0E => Self::Symbol,
            0x0F => Self::CodeWithScope,
            0x10 => Self::Int32,
            0x11 => Self::Timestamp,
            0x12 => Self::Int64,
            0x13 => Self::Decimal128,
            0x7F => Self::MaxKey,
            0xFF => Self::MinKey,
            _ => return None,
        })
    }

    /// The class by which values of this kind are ordered.
    #[inline]
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::MinKey => Class::MinKey,
            Self::Undefined => Class::Undefined,
            Self::Null => Class::Null,
            Self::Double | Self::Int32 | Self::Int64 | Self::Decimal128 => Class::Number,
            Self::String | Self::Symbol => Class::String,
            Self::Document => Class::Document,
            Self::Array => Class::Array,
            Self::Binary => Class::Binary,
            Self::ObjectId => Class::ObjectId,
            Self::Boolean => Class::Boolean,
            Self::DateTime => Class::DateTime,
            Self::Timestamp => Class::Timestamp,
            Self::Regex => Class::Regex,
            Self::DbPointer => Class::DbPointer,
            Self::Code => Class::Code,
            Self::CodeWithScope => Class::CodeWithScope,
            Self::MaxKey => Class::MaxKey,
        }
    }

    /// MongoDB's name of the type, as `$type` takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::String => "string",
            Self::Document => "object",
            Self::Array => "array",
            Self::Binary => "binData",
            Self::Undefined => "undefined",
            Self::ObjectId => "objectId",
            Self::Boolean => "bool",
            Self::DateTime => "date",
            Self::Null => "null",
            Self::Regex => "regex",
            Self::DbPointer => "dbPointer",
            Self::Code => "javascript",
            Self::Symbol => "symbol",
            Self::CodeWithScope => "javascriptWithScope",
            Self::Int32 => "int",
            Self::Timestamp => "timestamp",
            Self::Int64 => "long",
            Self::Decimal128 => "decimal",
            Self::MaxKey => "maxKey",
            Self::MinKey => "minKey",
        }
    }

    /// The bytes that a value takes, where that is the same for all of the kind.
    #[inline]
    pub(crate) const fn fixed_len(self) -> Option<usize> {
        match self {
            Self::Undefined | Self::Null | Self::MaxKey | Self::MinKey => Some(0),
            Self::Boolean => Some(1),
            Self::Int32 => Some(4),
            Self::Double | Self::DateTime | Self::Timestamp | Self::Int64 => Some(8),
            Self::ObjectId => Some(12),
            Self::Decimal128 => Some(16),
            _ => None,
        }
    }
}
