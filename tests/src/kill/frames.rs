//! Messages from the process that writes to the one that judges, on a pipe.
//!
//! ## Invariants
//! * A frame is its length, then its bytes; no byte value has a meaning of its
//!   own, so nothing on the way (a line buffer) can cut one in two.
//! * A frame is written by one call and is shorter than what a pipe takes as
//!   a whole (4 KiB): several threads need no lock, and death leaves no half of one.
//! * At the end of the pipe half a frame is no frame.

use std::io::{self, ErrorKind, Read, Write};

/// Longest frame, beside its length.
const MAX_BYTES: usize = 2_000;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// The database is open, its trees are there.
    Ready,
    /// This transaction of this writer is durable.
    Done { writer: u8, number: u64 },
    /// This one is visible, and may be lost.
    Seen { writer: u8, number: u64 },
    /// Something is not as promised, seen from inside.
    Broken(String),
}

impl Frame {
    /// Writes the frame by one call.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub(super) fn send(&self, mut pipe: impl Write) -> io::Result<()> {
        let mut bytes = vec![0; 4];
        match self {
            Self::Ready => bytes.push(0),
            Self::Done { writer, number } | Self::Seen { writer, number } => {
                let kind = if matches!(self, Self::Done { .. }) {
                    1
                } else {
                    3
                };
                bytes.extend_from_slice(&[kind, *writer]);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Self::Broken(text) => {
                bytes.push(2);
                bytes.extend(text.bytes().take(MAX_BYTES - 1));
            }
        }
        let len = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        pipe.write_all(&bytes)
    }

    /// The next frame; none at the end of the pipe.
    ///
    /// # Errors
    /// The pipe could not be read, or carries something else.
    pub(super) fn receive(mut pipe: impl Read) -> io::Result<Option<Self>> {
        let mut len = [0; 4];
        if !fill(&mut pipe, &mut len)? {
            return Ok(None);
        }
        let len = u32::from_le_bytes(len) as usize;
        if len == 0 || len > MAX_BYTES {
            return Err(invalid(format!("frame of {len} bytes")));
        }
        let mut bytes = vec![0; len];
        if !fill(&mut pipe, &mut bytes)? {
            return Ok(None);
        }
        match (bytes[0], &bytes[1..]) {
            (0, []) => Ok(Some(Self::Ready)),
            (kind @ (1 | 3), [writer, number @ ..]) => {
                let writer = *writer;
                let number = number
                    .try_into()
                    .map_err(|_| invalid("short frame".to_owned()))?;
                let number = u64::from_le_bytes(number);
                Ok(Some(if kind == 1 {
                    Self::Done { writer, number }
                } else {
                    Self::Seen { writer, number }
                }))
            }
            (2, text) => Ok(Some(Self::Broken(
                String::from_utf8_lossy(text).into_owned(),
            ))),
            (kind, _) => Err(invalid(format!("frame of kind {kind}"))),
        }
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, text)
}

/// Whether the pipe had as many bytes.
fn fill(pipe: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match pipe.read_exact(bytes) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        result => result.map(|()| true),
    }
}

#[cfg(test)]
mod tests;
