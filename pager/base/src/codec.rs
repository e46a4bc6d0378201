//! The block codec: bytes in, one self-describing block out, and back.
//!
//! ```text
//! block = codec u8 (1 none, 2 lz4, 3 gzip), reserved u8 * 3 (0), plain_len u32, body
//! ```
//! A block ends where its holder says: it has no length of its own but that of
//! what it unpacks to. It has no checksum either: pages and records of the log
//! have one. The body is the bytes themselves, one LZ4 block (the format of
//! `lz4_Block_format.md`, without a frame), or one gzip member (RFC 1952).
//!
//! ## Invariants
//! * A block is never longer than what is in it by more than [`BLOCK_HEADER`]:
//!   what does not get shorter is stored as it is.
//! * [`decode`] believes no length: what a block declares is held against the
//!   caller's limit and against the most that a body of its size can unpack to,
//!   before memory is asked for.
//! * What comes out has exactly the declared length, and nothing is left over.
//! * The same bytes, codec and threshold give the same block: no clock, no chance.
//!
//! What is *not* here: which bytes are worth it ([`Sampler`] helps with that),
//! and any dictionary or state between blocks.

mod sampler;

use std::borrow::Cow;
use std::fmt;
use std::io::{Read, Write};
use std::mem::offset_of;

use flate2::{Compression, GzBuilder, bufread::GzDecoder};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use sampler::{GAIN_PERCENT, SAMPLE_EVERY, Sampler, WINDOW};

/// Bytes before the body of a block.
pub const BLOCK_HEADER: usize = 8;
/// Most bytes that one block holds: far above any limit of ours, and below what
/// the codecs and the header can count.
pub const MAX_PLAIN: usize = 1 << 30;
/// Most bytes that a byte of an LZ4 block unpacks to: one more byte of a match
/// length adds 255.
const LZ4_RATIO: usize = 255;
/// The same for deflate: a match of 258 bytes takes two bits.
const GZIP_RATIO: usize = 1032;

/// How a block is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// The bytes as they are.
    #[default]
    None,
    /// Quick both ways: about 1.4 µs per KiB in and 0.2 µs out.
    Lz4,
    /// Smaller and many times slower.
    Gzip {
        /// 1 (quick) to 9 (small); what is outside is taken for the nearer of the two.
        level: u8,
    },
}

/// How a block was made, as its first byte says it. 0 is never valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CodecId {
    /// The bytes as they are.
    None = 1,
    /// One LZ4 block.
    Lz4 = 2,
    /// One gzip member.
    Gzip = 3,
}

impl CodecId {
    const fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::None,
            2 => Self::Lz4,
            3 => Self::Gzip,
            _ => return None,
        })
    }

    /// Most bytes that one byte of a body can stand for.
    const fn ratio(self) -> usize {
        match self {
            Self::None => 1,
            Self::Lz4 => LZ4_RATIO,
            Self::Gzip => GZIP_RATIO,
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
            Self::Gzip => "gzip",
        })
    }
}

/// What is wrong with a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// It ends within its header.
    #[error("compressed block: expected at least {BLOCK_HEADER} bytes, found {found}")]
    Short {
        /// Bytes that there are.
        found: usize,
    },
    /// No codec has this number.
    #[error("compressed block: expected codec 1, 2 or 3, found {found}")]
    UnknownCodec {
        /// The number.
        found: u8,
    },
    /// Reserved bytes of the header are used.
    #[error("compressed block: expected reserved bytes of zero, found {found:?}")]
    Reserved {
        /// The bytes.
        found: [u8; 3],
    },
    /// It says that it unpacks to more than the caller takes.
    #[error("compressed block: expected at most {limit} bytes in it, found {declared} declared")]
    OverLimit {
        /// What it says.
        declared: usize,
        /// What the caller takes.
        limit: usize,
    },
    /// It says that it unpacks to more than its body can hold.
    #[error(
        "compressed block: {declared} bytes declared, but {packed} bytes of {codec} hold at most {most}"
    )]
    Implausible {
        /// How it was made.
        codec: CodecId,
        /// What it says.
        declared: usize,
        /// Bytes of its body.
        packed: usize,
        /// What these can hold.
        most: usize,
    },
    /// The body is not what the codec writes.
    #[error("compressed block: body is not {codec}: {what}")]
    Malformed {
        /// How it was made.
        codec: CodecId,
        /// What the decoder says.
        what: String,
    },
    /// The body unpacks to another length.
    #[error("compressed block: expected {declared} bytes in it, found {found}")]
    WrongLength {
        /// What its header says.
        declared: usize,
        /// What came out; one more than declared where it did not end there.
        found: usize,
    },
    /// Something follows the body.
    #[error("compressed block: expected its end, found {found} bytes more")]
    Trailing {
        /// Bytes too many.
        found: usize,
    },
}

/// The header, as it lies in memory and on disk.
#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Header {
    codec: u8,
    reserved: [u8; 3],
    plain_len: U32,
}

const _: () = {
    assert!(size_of::<Header>() == BLOCK_HEADER);
    assert!(offset_of!(Header, codec) == 0);
    assert!(offset_of!(Header, reserved) == 1);
    assert!(offset_of!(Header, plain_len) == 4);
    assert!(MAX_PLAIN <= u32::MAX as usize);
};

impl Header {
    fn new(codec: CodecId, plain_len: usize) -> Self {
        Self {
            codec: codec as u8,
            reserved: [0; 3],
            plain_len: U32::new(plain_len as u32),
        }
    }
}

/// What the header of a block says, checked as far as it can be without the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// How it was made.
    pub codec: CodecId,
    /// Bytes that it says it unpacks to.
    pub plain_len: usize,
}

/// Appends one block that holds `plain` to `out`, and says how it was made:
/// with `codec` if there are at least `threshold` bytes and they get shorter,
/// as they are otherwise.
///
/// ```
/// use cs_base::codec::{Codec, CodecId, decode, encode};
///
/// let plain = b"to be or not to be or not to be or not to be".repeat(8);
/// let mut block = Vec::new();
/// assert_eq!(encode(&plain, Codec::Lz4, 64, &mut block), CodecId::Lz4);
/// assert!(block.len() < plain.len() / 3);
/// assert_eq!(decode(&block, 1 << 20)?, plain);
/// # Ok::<(), cs_base::codec::CodecError>(())
/// ```
///
/// # Panics
/// If there are more than [`MAX_PLAIN`] bytes.
pub fn encode(plain: &[u8], codec: Codec, threshold: usize, out: &mut Vec<u8>) -> CodecId {
    assert!(
        plain.len() <= MAX_PLAIN,
        "a block of {} bytes is over the limit of {MAX_PLAIN}",
        plain.len()
    );
    let start = out.len();
    let made = match codec {
        _ if plain.len() < threshold => None,
        Codec::None => None,
        Codec::Lz4 => encode_lz4(plain, out),
        Codec::Gzip { level } => encode_gzip(plain, level, out),
    };
    match made {
        Some(codec) if out.len() - start < BLOCK_HEADER + plain.len() => codec,
        _ => {
            out.truncate(start);
            out.extend_from_slice(Header::new(CodecId::None, plain.len()).as_bytes());
            out.extend_from_slice(plain);
            CodecId::None
        }
    }
}

fn encode_lz4(plain: &[u8], out: &mut Vec<u8>) -> Option<CodecId> {
    out.extend_from_slice(Header::new(CodecId::Lz4, plain.len()).as_bytes());
    let body = out.len();
    out.resize(body + get_maximum_output_size(plain.len()), 0);
    let packed = compress_into(plain, &mut out[body..]).ok()?;
    out.truncate(body + packed);
    Some(CodecId::Lz4)
}

fn encode_gzip(plain: &[u8], level: u8, out: &mut Vec<u8>) -> Option<CodecId> {
    out.extend_from_slice(Header::new(CodecId::Gzip, plain.len()).as_bytes());
    let level = Compression::new(u32::from(level.clamp(1, 9)));
    // Neither time nor system: the same bytes give the same block everywhere.
    const UNKNOWN_SYSTEM: u8 = 255;
    let member = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
    let mut encoder = member.write(out, level);
    encoder.write_all(plain).ok()?;
    encoder.finish().ok()?;
    Some(CodecId::Gzip)
}

/// What the header at the start of `block` says; the body need not be there.
///
/// # Errors
/// There is no header, or its bytes are none.
pub fn inspect(block: &[u8]) -> Result<BlockInfo, CodecError> {
    let found = block.len();
    let (header, _) = Header::ref_from_prefix(block).map_err(|_| CodecError::Short { found })?;
    let found = header.codec;
    let codec = CodecId::of(found).ok_or(CodecError::UnknownCodec { found })?;
    let found = header.reserved;
    if found != [0; 3] {
        return Err(CodecError::Reserved { found });
    }
    let plain_len = header.plain_len.get() as usize;
    Ok(BlockInfo { codec, plain_len })
}

/// What is in a block: borrowed where it is stored as it is.
///
/// Takes memory for what the block declares, and only once that is known to be
/// at most `max_len` and no more than a body of its size can hold.
///
/// # Errors
/// The block is not one that [`encode`] made, or holds more than `max_len` bytes.
pub fn decode(block: &[u8], max_len: usize) -> Result<Cow<'_, [u8]>, CodecError> {
    let BlockInfo { codec, plain_len } = inspect(block)?;
    let body = &block[BLOCK_HEADER..];
    if plain_len > max_len {
        return Err(CodecError::OverLimit {
            declared: plain_len,
            limit: max_len,
        });
    }
    let most = body.len().saturating_mul(codec.ratio());
    if plain_len > most {
        return Err(CodecError::Implausible {
            codec,
            declared: plain_len,
            packed: body.len(),
            most,
        });
    }
    match codec {
        CodecId::None if body.len() > plain_len => Err(CodecError::Trailing {
            found: body.len() - plain_len,
        }),
        CodecId::None => Ok(Cow::Borrowed(body)),
        CodecId::Lz4 => decode_lz4(body, plain_len).map(Cow::Owned),
        CodecId::Gzip => decode_gzip(body, plain_len).map(Cow::Owned),
    }
}

fn malformed(codec: CodecId, error: impl fmt::Display) -> CodecError {
    CodecError::Malformed {
        codec,
        what: error.to_string(),
    }
}

/// The decoder takes the whole body, so nothing can follow it.
fn decode_lz4(body: &[u8], declared: usize) -> Result<Vec<u8>, CodecError> {
    let mut plain = vec![0; declared];
    let found =
        decompress_into(body, &mut plain).map_err(|error| malformed(CodecId::Lz4, error))?;
    if found != declared {
        return Err(CodecError::WrongLength { declared, found });
    }
    Ok(plain)
}

fn decode_gzip(body: &[u8], declared: usize) -> Result<Vec<u8>, CodecError> {
    let wrong = |error| malformed(CodecId::Gzip, error);
    let mut plain = vec![0; declared];
    let mut decoder = GzDecoder::new(body);
    let mut found = 0;
    while found < declared {
        match decoder.read(&mut plain[found..]).map_err(wrong)? {
            0 => return Err(CodecError::WrongLength { declared, found }),
            bytes => found += bytes,
        }
    }
    // The decoder looks at the checksum when it is asked for what follows.
    if decoder.read(&mut [0]).map_err(wrong)? > 0 {
        let found = declared + 1;
        return Err(CodecError::WrongLength { declared, found });
    }
    match decoder.into_inner().len() {
        0 => Ok(plain),
        found => Err(CodecError::Trailing { found }),
    }
}

#[cfg(test)]
mod tests;
