//! The sixteen bytes in front of every message.

use super::{Result, WireError, read_i32};

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpCode {
    /// An answer to [`Query`](Self::Query).
    Reply,
    /// How drivers say hello before they know better.
    Query,
    /// Another message within.
    Compressed,
    /// All else.
    Msg,
}

impl OpCode {
    /// # Errors
    /// There is none of that number, or no longer.
    pub const fn from_number(number: i32) -> Result<Self> {
        match number {
            1 => Ok(Self::Reply),
            2004 => Ok(Self::Query),
            2012 => Ok(Self::Compressed),
            2013 => Ok(Self::Msg),
            other => Err(WireError::OpCode(other)),
        }
    }

    /// On the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Reply => 1,
            Self::Query => 2004,
            Self::Compressed => 2012,
            Self::Msg => 2013,
        }
    }
}

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Of the whole message, these bytes included.
    pub len: usize,
    /// The sender's number of it.
    pub request_id: i32,
    /// The number of the message that it answers.
    pub response_to: i32,
    /// What it is.
    pub op_code: OpCode,
}

impl Header {
    /// Its size on the wire.
    pub const LEN: usize = 16;

    /// Reads it; the whole message has at most `limit` bytes.
    ///
    /// # Errors
    /// The length or the kind cannot be.
    pub fn parse(bytes: &[u8; Self::LEN], limit: usize) -> Result<Self> {
        let stated = read_i32(bytes, 0, "a header")?;
        let len = usize::try_from(stated).unwrap_or(0);
        if len < Self::LEN || len > limit {
            return Err(WireError::Length {
                what: "a message",
                stated: i64::from(stated),
                allowed: limit,
            });
        }
        Ok(Self {
            len,
            request_id: read_i32(bytes, 4, "a header")?,
            response_to: read_i32(bytes, 8, "a header")?,
            op_code: OpCode::from_number(read_i32(bytes, 12, "a header")?)?,
        })
    }

    /// As it goes over the wire.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::LEN] {
        let len = i32::try_from(self.len).unwrap_or(i32::MAX);
        let mut bytes = [0; Self::LEN];
        let fields = [
            len,
            self.request_id,
            self.response_to,
            self.op_code.number(),
        ];
        for (place, field) in bytes.chunks_exact_mut(4).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// How many bytes follow it.
    #[must_use]
    pub const fn body_len(&self) -> usize {
        self.len.saturating_sub(Self::LEN)
    }
}
