//! OP_COMPRESSED: a message within a message.

use std::io::{Read, Write};

use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::{Header, MAX_MESSAGE_LEN, OpCode, Result, WireError, read_i32};

/// Opcode, size and compressor, in front of the compressed bytes.
const PREFIX_LEN: usize = 9;
/// How much larger than what was sent a message may become. Zlib reaches 1,032 on zeroes.
const MAX_RATIO: usize = 1100;
/// As MongoDB's default for each.
const ZLIB_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;

/// How a message is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compressor {
    /// Not at all.
    None,
    /// Google's Snappy, one block.
    Snappy,
    /// Zlib.
    Zlib,
    /// Zstandard.
    Zstd,
}

impl Compressor {
    /// Those that are offered, the preferred one first.
    pub const OFFERED: [Self; 3] = [Self::Snappy, Self::Zstd, Self::Zlib];

    /// As `hello` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "noop",
            Self::Snappy => "snappy",
            Self::Zlib => "zlib",
            Self::Zstd => "zstd",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Snappy => 1,
            Self::Zlib => 2,
            Self::Zstd => 3,
        }
    }

    const fn from_number(number: u8) -> Result<Self> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Snappy),
            2 => Ok(Self::Zlib),
            3 => Ok(Self::Zstd),
            other => Err(WireError::Compressor(other)),
        }
    }
}

/// The message within: its header as if it had come by itself, its bytes, how it was compressed.
///
/// # Errors
/// It is not what it says.
pub fn decompress(header: &Header, body: &[u8]) -> Result<(Header, Vec<u8>, Compressor)> {
    let op_code = OpCode::from_number(read_i32(body, 0, "a compressed message")?)?;
    if op_code == OpCode::Compressed {
        return Err(WireError::Malformed("compressed twice".into()));
    }
    let stated = read_i32(body, 4, "a compressed message")?;
    let number = body.get(8).copied();
    let compressor =
        Compressor::from_number(number.ok_or(WireError::Truncated("a compressed message"))?)?;
    let packed = body.get(PREFIX_LEN..).unwrap_or_default();
    let len = usize::try_from(stated).unwrap_or(usize::MAX);
    let allowed = packed.len().saturating_mul(MAX_RATIO);
    let allowed = allowed.min(MAX_MESSAGE_LEN - Header::LEN);
    if len > allowed {
        return Err(WireError::Length {
            what: "a compressed message",
            stated: i64::from(stated),
            allowed,
        });
    }
    let plain = match compressor {
        Compressor::None => packed.to_vec(),
        Compressor::Snappy => unpack_snappy(packed, len)?,
        Compressor::Zlib => read_exactly(ZlibDecoder::new(packed), len)?,
        Compressor::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(damaged)?;
            read_exactly(decoder, len)?
        }
    };
    if plain.len() != len {
        return Err(WireError::Malformed(format!(
            "a compressed message has {} bytes, it stated {len}",
            plain.len()
        )));
    }
    let header = Header {
        len: Header::LEN + len,
        op_code,
        ..*header
    };
    Ok((header, plain, compressor))
}

fn damaged(error: impl std::fmt::Display) -> WireError {
    WireError::Malformed(format!("a compressed message is damaged: {error}"))
}

fn unpack_snappy(packed: &[u8], len: usize) -> Result<Vec<u8>> {
    // The block states its own length; nothing is allocated for a lie.
    let own = snap::raw::decompress_len(packed).map_err(damaged)?;
    if own != len {
        return Err(damaged(format_args!(
            "it has {own} bytes, {len} are stated"
        )));
    }
    snap::raw::Decoder::new()
        .decompress_vec(packed)
        .map_err(damaged)
}

/// Reads one byte beyond what is expected at most, so that a lie is seen.
fn read_exactly(reader: impl Read, len: usize) -> Result<Vec<u8>> {
    // Grown as bytes come: what is stated is not believed.
    let mut plain = Vec::with_capacity(len.min(1 << 20));
    let limit = u64::try_from(len).unwrap_or(u64::MAX).saturating_add(1);
    reader
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(damaged)?;
    Ok(plain)
}

/// The same message, compressed; as it is if that fails.
#[must_use]
pub fn compress(message: Vec<u8>, compressor: Compressor) -> Vec<u8> {
    let Some((header, body)) = message.split_first_chunk::<{ Header::LEN }>() else {
        return message;
    };
    let packed = match compressor {
        Compressor::None => return message,
        Compressor::Snappy => snap::raw::Encoder::new().compress_vec(body).ok(),
        Compressor::Zlib => pack_zlib(body).ok(),
        Compressor::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL).ok(),
    };
    let (Some(packed), Ok(header)) = (packed, Header::parse(header, usize::MAX)) else {
        return message;
    };
    let outer = Header {
        len: Header::LEN + PREFIX_LEN + packed.len(),
        op_code: OpCode::Compressed,
        ..header
    };
    let body_len = i32::try_from(body.len()).unwrap_or(i32::MAX);
    let mut bytes = Vec::with_capacity(outer.len);
    bytes.extend_from_slice(&outer.encode());
    bytes.extend_from_slice(&header.op_code.number().to_le_bytes());
    bytes.extend_from_slice(&body_len.to_le_bytes());
    bytes.push(compressor.number());
    bytes.extend_from_slice(&packed);
    bytes
}

fn pack_zlib(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let level = flate2::Compression::new(ZLIB_LEVEL);
    let mut encoder = ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(body)?;
    encoder.finish()
}
