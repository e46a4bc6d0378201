//! What a record of the log says: the effects of a commit.
//!
//! ```text
//! payload  = version u8 (1), count u32, effect*
//! effect   = op u8, tree u32, [ key_len u32, [ value_len u32 ], key, [ value ] ]
//! ```
//! All numbers are little-endian. `Put` has key and value, `Delete` has a key,
//! `CreateTree` and `DropTree` have neither. FORMAT.md has the table.
//!
//! Invariant: decoding reads no byte outside the payload and believes no length.

use cs_base::TreeId;

use crate::error::{Error, Result};

/// Version of this encoding.
const VERSION: u8 = 1;
/// Bytes before the first effect.
const HEAD: usize = 5;

/// One change to one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// The key now has this value.
    Put {
        /// Whose.
        tree: TreeId,
        /// Which.
        key: &'a [u8],
        /// What.
        value: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// Whose.
        tree: TreeId,
        /// Which.
        key: &'a [u8],
    },
    /// The tree exists now, empty.
    CreateTree {
        /// Which.
        tree: TreeId,
    },
    /// The tree is gone with all it held.
    DropTree {
        /// Which.
        tree: TreeId,
    },
}

impl Effect<'_> {
    /// The tree concerned.
    #[must_use]
    pub fn tree(&self) -> TreeId {
        match *self {
            Self::Put { tree, .. }
            | Self::Delete { tree, .. }
            | Self::CreateTree { tree }
            | Self::DropTree { tree } => tree,
        }
    }
}

/// Collects effects into a payload.
#[derive(Debug)]
pub(crate) struct EffectWriter {
    bytes: Vec<u8>,
    count: u32,
}

impl EffectWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEAD + bytes);
        buffer.push(VERSION);
        buffer.extend_from_slice(&[0; 4]);
        Self {
            bytes: buffer,
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, effect: Effect<'_>) {
        let (op, tree) = match effect {
            Effect::Put { tree, .. } => (1, tree),
            Effect::Delete { tree, .. } => (2, tree),
            Effect::CreateTree { tree } => (3, tree),
            Effect::DropTree { tree } => (4, tree),
        };
        self.bytes.push(op);
        self.bytes.extend_from_slice(&tree.0.to_le_bytes());
        match effect {
            Effect::Put { key, value, .. } => {
                self.bytes
                    .extend_from_slice(&(key.len() as u32).to_le_bytes());
                self.bytes
                    .extend_from_slice(&(value.len() as u32).to_le_bytes());
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(value);
            }
            Effect::Delete { key, .. } => {
                self.bytes
                    .extend_from_slice(&(key.len() as u32).to_le_bytes());
                self.bytes.extend_from_slice(key);
            }
            Effect::CreateTree { .. } | Effect::DropTree { .. } => {}
        }
        self.count += 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes[1..HEAD].copy_from_slice(&self.count.to_le_bytes());
        self.bytes
    }
}

/// The effects in a payload, in order.
#[derive(Debug, Clone)]
pub struct Effects<'a> {
    rest: &'a [u8],
    left: u32,
}

impl<'a> Effects<'a> {
    /// Begins to read a payload of a record of kind *transaction*.
    ///
    /// # Errors
    /// It is shorter than its head or of an unknown version.
    pub fn of(payload: &'a [u8]) -> Result<Self> {
        let Some((head, rest)) = payload.split_at_checked(HEAD) else {
            return Err(damaged("it is shorter than its head"));
        };
        if head[0] != VERSION {
            return Err(damaged(&format!(
                "expected version {VERSION}, found {}",
                head[0]
            )));
        }
        let mut count = [0; 4];
        count.copy_from_slice(&head[1..]);
        Ok(Self {
            rest,
            left: u32::from_le_bytes(count),
        })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(len) else {
            return Err(damaged("an effect reaches beyond its end"));
        };
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32> {
        let mut raw = [0; 4];
        raw.copy_from_slice(self.take(4)?);
        Ok(u32::from_le_bytes(raw))
    }

    fn read(&mut self) -> Result<Effect<'a>> {
        let op = self.take(1)?[0];
        let tree = TreeId(self.number()?);
        Ok(match op {
            1 => {
                let (key_len, value_len) = (self.number()?, self.number()?);
                let key = self.take(key_len as usize)?;
                Effect::Put {
                    tree,
                    key,
                    value: self.take(value_len as usize)?,
                }
            }
            2 => {
                let key_len = self.number()?;
                Effect::Delete {
                    tree,
                    key: self.take(key_len as usize)?,
                }
            }
            3 => Effect::CreateTree { tree },
            4 => Effect::DropTree { tree },
            other => return Err(damaged(&format!("unknown operation {other}"))),
        })
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            let rest = std::mem::take(&mut self.rest);
            return (!rest.is_empty()).then(|| Err(damaged("bytes follow the last effect")));
        }
        self.left -= 1;
        let effect = self.read();
        if effect.is_err() {
            (self.left, self.rest) = (0, &[]);
        }
        Some(effect)
    }
}

fn damaged(what: &str) -> Error {
    Error::Damaged(format!("payload of a log record: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut writer = EffectWriter::with_capacity(0);
        writer.push(Effect::CreateTree { tree: TreeId(16) });
        writer.push(Effect::Put {
            tree: TreeId(16),
            key: b"k",
            value: b"value",
        });
        writer.push(Effect::Delete {
            tree: TreeId(16),
            key: b"gone",
        });
        writer.push(Effect::DropTree { tree: TreeId(17) });
        writer.finish()
    }

    #[test]
    fn effects_come_back_as_they_went_in() {
        let payload = sample();
        let effects: Vec<_> = Effects::of(&payload).unwrap().map(Result::unwrap).collect();
        assert_eq!(effects.len(), 4);
        assert_eq!(
            effects[1],
            Effect::Put {
                tree: TreeId(16),
                key: b"k",
                value: b"value"
            }
        );
        assert_eq!(effects[3], Effect::DropTree { tree: TreeId(17) });
    }

    #[test]
    fn a_cut_or_padded_payload_is_refused_and_never_overread() {
        let payload = sample();
        for len in 0..payload.len() {
            let read = Effects::of(&payload[..len]).and_then(Iterator::collect::<Result<Vec<_>>>);
            assert!(read.is_err(), "{len} bytes of {}", payload.len());
        }
        let mut padded = payload;
        padded.push(0);
        assert!(
            Effects::of(&padded)
                .unwrap()
                .collect::<Result<Vec<_>>>()
                .is_err()
        );
    }
}
