//! The gate for untrusted BSON: one pass, no recursion, no trust.
//!
//! ## Invariants
//! Bytes that pass have
//! * lengths that fit the slice around them, down to the last string;
//! * at most [`MAX_DOCUMENT_LEN`] bytes and [`MAX_DEPTH`] levels, so that code
//!   which runs after this may recurse;
//! * only known types, booleans of 0 or 1, every text ended by NUL;
//! * UTF-8 in names, strings and regular expressions;
//! * binaries of the old subtype 2 whose inner length is that of their bytes.
//!   (MongoDB does not look; but such bytes have no text, so that a document
//!   with them could be stored and never exported.)
//!
//! As in MongoDB, a name may occur twice in a document, and the names in an
//! array need not be 0, 1, 2, …; both are kept as they are.

use std::fmt;

use super::kind::Kind;
use super::scan::cstring_len;

/// The largest document, in bytes: 16 MiB, as MongoDB has it.
pub const MAX_DOCUMENT_LEN: usize = 16 * 1024 * 1024;

/// How deeply documents, arrays and scopes may be nested; the outermost
/// document is the first level.
pub const MAX_DEPTH: usize = 100;

/// The subtype of binaries that repeat their length inside.
const OLD_BINARY: u8 = 2;

/// Bytes of that inner length.
const OLD_BINARY_PREFIX: usize = 4;

/// Why bytes are not a valid document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Fewer bytes than the smallest document has.
    TooShort,
    /// The document is larger than [`MAX_DOCUMENT_LEN`].
    TooLarge,
    /// More levels than [`MAX_DEPTH`].
    TooDeep,
    /// The length written in front is not that of the bytes.
    WrongLength {
        /// As written.
        stated: i32,
        /// As there is room for.
        available: usize,
    },
    /// A value runs over the end of what encloses it.
    Truncated,
    /// No such type.
    UnknownType(u8),
    /// A name, string or expression is not UTF-8.
    NotUtf8,
    /// A name or expression has no end.
    NoTerminator,
    /// The byte that ends a document or a string is not NUL.
    NotNul(u8),
    /// A boolean that is neither 0 nor 1.
    NotBoolean(u8),
    /// A binary of subtype 2 has a length of its own, which must be that of the
    /// bytes after it.
    BinaryLength {
        /// As written; `None` if there is no room for it.
        stated: Option<i32>,
        /// As there are bytes for it and what it counts.
        available: usize,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "expected at least 5 bytes"),
            Self::TooLarge => write!(f, "document exceeds {MAX_DOCUMENT_LEN} bytes"),
            Self::TooDeep => write!(f, "nested more than {MAX_DEPTH} levels deep"),
            Self::WrongLength { stated, available } => {
                write!(
                    f,
                    "length {stated} stated, expected at least 5 and at most {available}"
                )
            }
            Self::Truncated => write!(f, "value exceeds the document around it"),
            Self::UnknownType(byte) => write!(f, "unknown type 0x{byte:02x}"),
            Self::NotUtf8 => write!(f, "text is not UTF-8"),
            Self::NoTerminator => write!(f, "text without a final NUL"),
            Self::NotNul(byte) => write!(f, "expected a final NUL, found 0x{byte:02x}"),
            Self::NotBoolean(byte) => write!(f, "expected a boolean of 0 or 1, found 0x{byte:02x}"),
            Self::BinaryLength { stated, available } => {
                let expected = available.saturating_sub(OLD_BINARY_PREFIX);
                match stated {
                    Some(stated) => write!(
                        f,
                        "binary of subtype 2 has an inner length of {stated}, expected {expected}"
                    ),
                    None => write!(
                        f,
                        "binary of subtype 2 has {available} bytes, expected at least {OLD_BINARY_PREFIX}"
                    ),
                }
            }
        }
    }
}

/// Bytes are not a valid document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid document at byte {offset}, path '{path}': {reason}")]
pub struct InvalidDocument {
    /// Where in the bytes.
    pub offset: usize,
    /// Which field, dotted; what is not UTF-8 in it is replaced.
    pub path: String,
    /// What is wrong.
    pub reason: Reason,
}

/// Checks that `bytes` are one whole, valid document.
///
/// ```
/// use collection_store::values::validate_document;
/// let document = bson::rawdoc! { "a": [1, { "b": "c" }] };
/// assert!(validate_document(document.as_bytes()).is_ok());
/// let error = validate_document(b"\x08\0\0\0\x55a\0\0").unwrap_err();
/// assert_eq!(error.to_string(), "invalid document at byte 4, path '': unknown type 0x55");
/// ```
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn validate_document(bytes: &[u8]) -> Result<(), InvalidDocument> {
    let mut validator = Validator {
        bytes,
        position: 0,
        levels: Vec::new(),
        name: 0..0,
    };
    validator.run().map_err(|fault| validator.describe(&fault))
}

/// A document that is being walked through.
struct Level {
    /// Position of its final NUL.
    end: usize,
    /// Where the name under which it stands is, for the path of an error.
    name: std::ops::Range<usize>,
}

struct Validator<'a> {
    bytes: &'a [u8],
    position: usize,
    levels: Vec<Level>,
    /// The name of the present element.
    name: std::ops::Range<usize>,
}

struct Fault {
    offset: usize,
    reason: Reason,
}

impl Validator<'_> {
    fn run(&mut self) -> Result<(), Fault> {
        if self.bytes.len() < 5 {
            return Err(self.fault(Reason::TooShort));
        }
        if self.bytes.len() > MAX_DOCUMENT_LEN {
            return Err(self.fault(Reason::TooLarge));
        }
        let all = self.bytes.len();
        self.enter(all, true)?;
        while let Some(level) = self.levels.last() {
            let end = level.end;
            if self.position == end {
                self.position += 1;
                self.levels.pop();
            } else {
                self.element(end)?;
            }
        }
        Ok(())
    }

    /// Enters the document at the present position, which must end at or
    /// before `limit` (`exact`: at it).
    fn enter(&mut self, limit: usize, exact: bool) -> Result<(), Fault> {
        let start = self.position;
        let len = self.length(limit)?;
        let available = limit - start;
        let stated = i32::try_from(len).unwrap_or(i32::MAX);
        if len < 5 || len > available || (exact && len != available) {
            return Err(self.fault(Reason::WrongLength { stated, available }));
        }
        if self.levels.len() == MAX_DEPTH {
            return Err(self.fault(Reason::TooDeep));
        }
        let end = start + len - 1;
        if self.bytes[end] != 0 {
            return Err(Fault {
                offset: end,
                reason: Reason::NotNul(self.bytes[end]),
            });
        }
        self.levels.push(Level {
            end,
            name: self.name.clone(),
        });
        self.position = start + 4;
        Ok(())
    }

    fn element(&mut self, end: usize) -> Result<(), Fault> {
        let byte = self.bytes[self.position];
        let Some(kind) = Kind::from_byte(byte) else {
            self.name = 0..0;
            return Err(self.fault(Reason::UnknownType(byte)));
        };
        self.position += 1;
        self.name = self.position..self.position;
        self.name = self.cstring(end)?;
        if let Some(len) = kind.fixed_len() {
            if kind == Kind::Boolean && self.position < end && self.bytes[self.position] > 1 {
                return Err(self.fault(Reason::NotBoolean(self.bytes[self.position])));
            }
            return self.skip(len, end);
        }
        match kind {
            Kind::Document | Kind::Array => self.enter(end, false),
            Kind::String | Kind::Code | Kind::Symbol => self.string(end),
            Kind::Binary => self.binary(end),
            Kind::DbPointer => {
                self.string(end)?;
                self.skip(12, end)
            }
            Kind::CodeWithScope => {
                let start = self.position;
                let len = self.length(end)?;
                let available = end - start;
                // Its own length, a string of at least 5 bytes, a document of at least 5.
                if len < 14 || len > available {
                    let stated = i32::try_from(len).unwrap_or(i32::MAX);
                    return Err(self.fault(Reason::WrongLength { stated, available }));
                }
                self.skip(4, end)?;
                self.string(start + len)?;
                self.enter(start + len, true)
            }
            _ => {
                self.cstring(end)?;
                self.cstring(end).map(|_| ())
            }
        }
    }

    /// Passes a binary: length, subtype, bytes.
    fn binary(&mut self, limit: usize) -> Result<(), Fault> {
        let len = self.length(limit)?;
        self.skip(4, limit)?;
        let subtype = self.position;
        self.skip(1, limit)?;
        let start = self.position;
        self.skip(len, limit)?;
        if self.bytes[subtype] != OLD_BINARY {
            return Ok(());
        }
        let prefix = self.bytes[start..start + len].first_chunk::<4>();
        let stated = prefix.map(|prefix| i32::from_le_bytes(*prefix));
        let is_right = |stated| usize::try_from(stated) == Ok(len - OLD_BINARY_PREFIX);
        if stated.is_some_and(is_right) {
            return Ok(());
        }
        Err(Fault {
            offset: start,
            reason: Reason::BinaryLength {
                stated,
                available: len,
            },
        })
    }

    /// The int32 at the present position, which is not passed.
    fn length(&self, limit: usize) -> Result<usize, Fault> {
        let Some(prefix) = self.bytes[self.position..limit].first_chunk::<4>() else {
            return Err(self.fault(Reason::Truncated));
        };
        let stated = i32::from_le_bytes(*prefix);
        usize::try_from(stated).map_err(|_| {
            self.fault(Reason::WrongLength {
                stated,
                available: limit - self.position,
            })
        })
    }

    fn skip(&mut self, len: usize, limit: usize) -> Result<(), Fault> {
        if len > limit - self.position {
            return Err(self.fault(Reason::Truncated));
        }
        self.position += len;
        Ok(())
    }

    /// Passes a string: length with the NUL, text, NUL.
    fn string(&mut self, limit: usize) -> Result<(), Fault> {
        let len = self.length(limit)?;
        let start = self.position + 4;
        if len == 0 || len > limit - start {
            return Err(self.fault(Reason::Truncated));
        }
        let end = start + len - 1;
        if std::str::from_utf8(&self.bytes[start..end]).is_err() {
            return Err(Fault {
                offset: start,
                reason: Reason::NotUtf8,
            });
        }
        if self.bytes[end] != 0 {
            return Err(Fault {
                offset: end,
                reason: Reason::NotNul(self.bytes[end]),
            });
        }
        self.position = end + 1;
        Ok(())
    }

    /// Passes text up to its NUL, and returns where the text is.
    fn cstring(&mut self, limit: usize) -> Result<std::ops::Range<usize>, Fault> {
        let rest = &self.bytes[self.position..limit];
        let Some(len) = cstring_len(rest) else {
            return Err(self.fault(Reason::NoTerminator));
        };
        let text = &rest[..len];
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            return Err(self.fault(Reason::NotUtf8));
        }
        let range = self.position..self.position + len;
        self.position += len + 1;
        Ok(range)
    }

    fn fault(&self, reason: Reason) -> Fault {
        Fault {
            offset: self.position,
            reason,
        }
    }

    #[cold]
    fn describe(&self, fault: &Fault) -> InvalidDocument {
        let names = self.levels.iter().skip(1).map(|level| level.name.clone());
        let names = names.chain(std::iter::once(self.name.clone()));
        let steps: Vec<_> = names
            .filter(|name| name.start > 0)
            .map(|name| String::from_utf8_lossy(&self.bytes[name]))
            .collect();
        InvalidDocument {
            offset: fault.offset,
            path: steps.join("."),
            reason: fault.reason,
        }
    }
}

#[cfg(test)]
mod tests;
