//! What a record of the log says: the effects of a commit.
//!
//! ```text
//! payload  = version u8 (1), count u32, effect*
//!          | version u8 (2), a codec block of a payload of version 1
//! effect   = op u8, tree u32, [ key_len u32, [ value_len u32, [ digest u128 ] ], key, [ value ] ]
//! ```
//! All numbers are little-endian. `Put` has key and value, `PutPacked` a digest
//! too and a codec block for a value, `Delete` has a key, `CreateTree` and
//! `DropTree` have neither. `Before` has key and value; it changes nothing, and
//! tells of the effect behind it what it replaces. The uppermost bit of the op of
//! a put or delete says that the key was not there, the next one of a put that the
//! value was changed in part. FORMAT.md has the table.
//!
//! Invariant: decoding reads no byte outside the payload and believes no length.

use std::borrow::Cow;

use cs_base::TreeId;
use cs_base::codec::{decode, inspect};

use crate::error::{Error, Result};
use crate::limits::{MAX_TRANSACTION, MAX_VALUE};

/// Version of this encoding.
const VERSION: u8 = 1;
/// Version of a payload that is compressed as a whole.
pub(crate) const PACKED_VERSION: u8 = 2;
/// Bytes before the first effect.
const HEAD: usize = 5;
/// In the op of a put or a delete: the key was not there before. For whoever
/// follows the changes; without it the key was there, or nobody looked.
const WAS_ABSENT: u8 = 0x80;
/// In the op of a put of a key that was there: its value was changed in part, by
/// the word of whoever made the change. For whoever follows the changes.
const IN_PART: u8 = 0x40;

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
    /// The key now has the value that this block holds, and the tree keeps the
    /// block: what it holds was hashed before, so nobody has to unpack it.
    PutPacked {
        /// Whose.
        tree: TreeId,
        /// Which.
        key: &'a [u8],
        /// What the entry adds to the hash sum of its tree.
        digest: u128,
        /// The value, as [`cs_base::codec`] has it; its header is sound.
        block: &'a [u8],
    },
    /// The key is gone.
    Delete {
        /// Whose.
        tree: TreeId,
        /// Which.
        key: &'a [u8],
    },
    /// The key has this value until the next effect, which changes it: for whoever
    /// follows the changes. Trees are not concerned.
    Before {
        /// Whose.
        tree: TreeId,
        /// Which.
        key: &'a [u8],
        /// What.
        value: &'a [u8],
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
            | Self::PutPacked { tree, .. }
            | Self::Delete { tree, .. }
            | Self::Before { tree, .. }
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
    /// Where the last effect begins.
    last: usize,
}

impl EffectWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        let mut buffer = Vec::with_capacity(HEAD + bytes);
        buffer.push(VERSION);
        buffer.extend_from_slice(&[0; 4]);
        Self {
            bytes: buffer,
            count: 0,
            last: HEAD,
        }
    }

    /// The key of the last effect, a put or a delete, was not there before.
    pub(crate) fn note_absent(&mut self) {
        if let Some(op) = self.bytes.get_mut(self.last) {
            *op |= WAS_ABSENT;
        }
    }

    /// The last effect, a put of a key that was there, changed its value in part.
    pub(crate) fn note_in_part(&mut self) {
        if let Some(op) = self.bytes.get_mut(self.last) {
            *op |= IN_PART;
        }
    }

    pub(crate) fn push(&mut self, effect: Effect<'_>) {
        let (op, tree) = match effect {
            Effect::Put { tree, .. } => (1, tree),
            Effect::Delete { tree, .. } => (2, tree),
            Effect::CreateTree { tree } => (3, tree),
            Effect::DropTree { tree } => (4, tree),
            Effect::PutPacked { tree, .. } => (5, tree),
            Effect::Before { tree, .. } => (6, tree),
        };
        self.last = self.bytes.len();
        self.bytes.push(op);
        self.bytes.extend_from_slice(&tree.0.to_le_bytes());
        match effect {
            Effect::Put { key, value, .. } | Effect::Before { key, value, .. } => {
                self.bytes
                    .extend_from_slice(&(key.len() as u32).to_le_bytes());
                self.bytes
                    .extend_from_slice(&(value.len() as u32).to_le_bytes());
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(value);
            }
            Effect::PutPacked {
                key, digest, block, ..
            } => {
                let lengths = [key.len() as u32, block.len() as u32];
                for len in lengths {
                    self.bytes.extend_from_slice(&len.to_le_bytes());
                }
                self.bytes.extend_from_slice(&digest.to_le_bytes());
                self.bytes.extend_from_slice(key);
                self.bytes.extend_from_slice(block);
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

/// The payload of version 1 in a payload of either: the same where it is not
/// compressed. Comes before [`Effects::of`] for whoever reads the log.
///
/// # Errors
/// It is compressed, and damaged or larger than a transaction may be.
pub fn unpack_payload(payload: &[u8]) -> Result<Cow<'_, [u8]>> {
    match payload.split_first() {
        Some((&PACKED_VERSION, block)) => {
            decode(block, MAX_TRANSACTION).map_err(|error| damaged(&error.to_string()))
        }
        _ => Ok(Cow::Borrowed(payload)),
    }
}

/// The effects in a payload, in order.
#[derive(Debug, Clone)]
pub struct Effects<'a> {
    rest: &'a [u8],
    left: u32,
    was_absent: bool,
    in_part: bool,
}

impl<'a> Effects<'a> {
    /// Begins to read a payload of a record of kind *transaction*, once
    /// [`unpack_payload`] has had it.
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
            was_absent: false,
            in_part: false,
        })
    }

    /// Goes on where [`place`](Self::place) was, in the same payload.
    pub(crate) fn at(payload: &'a [u8], place: usize, left: u32) -> Result<Self> {
        let Some(rest) = payload.get(place..) else {
            return Err(damaged("it is shorter than it was"));
        };
        Ok(Self {
            rest,
            left,
            was_absent: false,
            in_part: false,
        })
    }

    /// Where in the payload the next effect begins, and how many are to come.
    pub(crate) fn place(&self, payload: &[u8]) -> (usize, u32) {
        (payload.len() - self.rest.len(), self.left)
    }

    /// Whether the key of the put or delete that came last is known not to have
    /// been there before. Where it is not known to be absent, it was there, if
    /// whoever wrote it had looked: transactions, inserts and evaluations do.
    #[must_use]
    pub fn was_absent(&self) -> bool {
        self.was_absent
    }

    /// Whether the put that came last changed a value in part, and did not replace
    /// it: as whoever made the change said.
    #[must_use]
    pub fn in_part(&self) -> bool {
        self.in_part
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
        let marked = self.take(1)?[0];
        let op = marked & !(WAS_ABSENT | IN_PART);
        (self.was_absent, self.in_part) = (marked & WAS_ABSENT != 0, marked & IN_PART != 0);
        let is_known = match (self.was_absent, self.in_part) {
            (false, false) => true,
            (true, false) => matches!(op, 1 | 2 | 5),
            (false, true) => matches!(op, 1 | 5),
            (true, true) => false,
        };
        if !is_known {
            return Err(damaged(&format!("unknown operation {marked}")));
        }
        let tree = TreeId(self.number()?);
        Ok(match op {
            1 | 6 => {
                let (key_len, value_len) = (self.number()?, self.number()?);
                let key = self.take(key_len as usize)?;
                let value = self.take(value_len as usize)?;
                match op {
                    1 => Effect::Put { tree, key, value },
                    _ => Effect::Before { tree, key, value },
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
            5 => {
                let (key_len, block_len) = (self.number()?, self.number()?);
                let mut digest = [0; 16];
                digest.copy_from_slice(self.take(16)?);
                let key = self.take(key_len as usize)?;
                let block = self.take(block_len as usize)?;
                let info = inspect(block).map_err(|error| damaged(&error.to_string()))?;
                if info.plain_len > MAX_VALUE {
                    return Err(damaged(&format!(
                        "expected a value of at most {MAX_VALUE} bytes, found {} declared",
                        info.plain_len
                    )));
                }
                Effect::PutPacked {
                    tree,
                    key,
                    digest: u128::from_le_bytes(digest),
                    block,
                }
            }
            other => return Err(damaged(&format!("unknown operation {other}"))),
        })
    }
}

impl Effects<'_> {
    /// How many are still to come.
    pub(crate) fn left(&self) -> usize {
        self.left as usize
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
mod tests;
