//! The wire: bytes in, requests out; replies in, bytes out. Nothing here reads a socket, so all
//! of it can be tested and fuzzed over plain slices.
//!
//! ## Invariants
//! * A length from the wire is compared with what there is before anything is cut or allocated.
//! * What [`Message`] hands out has the shape of documents: length and terminator agree. The body
//!   of a command has passed the engine's validator; documents of a sequence have not.
//! * A compressed message decompresses into at most the size that it states, which is at most
//!   [`MAX_MESSAGE_LEN`].

mod compressed;
mod header;
mod message;
mod query;

pub use compressed::{Compressor, compress, decompress};
pub use header::{Header, OpCode};
pub use message::{
    Message, OpMsg, Sequence, Splitter, encode_reply, split_document, validate_outer,
};
pub use query::{OpQuery, encode_query_reply};

/// The longest message, header included: `maxMessageSizeBytes` of MongoDB.
pub const MAX_MESSAGE_LEN: usize = 48_000_000;
/// How many documents a sequence may have: `maxWriteBatchSize` of MongoDB.
pub const MAX_SEQUENCE_DOCUMENTS: usize = 100_000;
/// How many sequences a message may have; no command has more than two.
pub const MAX_SEQUENCES: usize = 4;

/// What is wrong with bytes from the wire. The connection they came over cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// A length that cannot be.
    #[error("{what} states a length of {stated} bytes, {allowed} are possible")]
    Length {
        /// Of what.
        what: &'static str,
        /// The length.
        stated: i64,
        /// What could be.
        allowed: usize,
    },
    /// The bytes end within something.
    #[error("the message ends within {0}")]
    Truncated(&'static str),
    /// A kind of message that nobody sends any more, or none at all.
    #[error("opcode {0} is not supported")]
    OpCode(i32),
    /// Flags that have to be understood, and are not.
    #[error("flags {0:#x} are not supported")]
    Flags(u32),
    /// The checksum is not that of the bytes.
    #[error("the checksum is {found:08x}, expected {expected:08x}")]
    Checksum {
        /// Of the bytes.
        expected: u32,
        /// In the message.
        found: u32,
    },
    /// Anything else.
    #[error("{0}")]
    Malformed(String),
    /// A compressor that was not agreed upon.
    #[error("compressor {0} is not supported")]
    Compressor(u8),
}

/// `Result` with a [`WireError`].
pub type Result<T, E = WireError> = std::result::Result<T, E>;

/// Four bytes at `at`, little-endian.
fn read_i32(bytes: &[u8], at: usize, what: &'static str) -> Result<i32> {
    let end = at.checked_add(4).ok_or(WireError::Truncated(what))?;
    let four = bytes.get(at..end).ok_or(WireError::Truncated(what))?;
    let four = <[u8; 4]>::try_from(four).map_err(|_| WireError::Truncated(what))?;
    Ok(i32::from_le_bytes(four))
}

/// A text that ends with NUL, and where it ends.
fn read_text<'a>(bytes: &'a [u8], at: usize, what: &'static str) -> Result<(&'a str, usize)> {
    let rest = bytes.get(at..).ok_or(WireError::Truncated(what))?;
    let len = rest.iter().position(|byte| *byte == 0);
    let len = len.ok_or(WireError::Truncated(what))?;
    let text = rest.get(..len).unwrap_or_default();
    let text = std::str::from_utf8(text)
        .map_err(|_| WireError::Malformed(format!("{what} is not UTF-8")))?;
    Ok((text, at + len + 1))
}

#[cfg(test)]
mod tests;
