//! What the trees of prepared and decided transactions hold.
//!
//! ```text
//! PREPARED  key   = gid_len u8, gid, part u16 (big-endian)
//!           value = part 0: head, then the first bytes of the payload; others: more of it
//! head      = version u8 (1), prepared_ms u64, parts u16,
//!             resource_count u8, [ name_len u8, name ]*,
//!             shared_count u32, [ tree u32, first_len u32, first, has_end u8, end_len u32, end ]*
//! payload   = effects, as in a record of the log (see `effects.rs`)
//!
//! DECIDED   key   = 0, gid                        value = outcome u8, decided_ms u64, resources as above
//!           key   = 1, decided_ms u64 (big-endian), gid   value = empty
//! ```
//! Numbers are little-endian unless said otherwise. FORMAT.md has the table.
//!
//! Invariant: decoding believes no length, and reads no byte outside the value.

use std::ops::Bound;

use cs_base::TreeId;

use crate::error::{Error, Result};
use crate::key_range::KeyRange;

/// Longest name of a prepared transaction, in bytes.
pub const MAX_GID: usize = 200;
/// Most resources of one transaction.
pub const MAX_RESOURCES: usize = 64;
/// Bytes of a payload that one entry takes.
pub(crate) const PART: usize = 4 * 1024 * 1024;

const VERSION: u8 = 1;

/// What is known of a prepared transaction beside its effects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) prepared_ms: u64,
    pub(crate) parts: u16,
    /// Who else takes part, if the decision is ours to make.
    pub(crate) resources: Vec<String>,
    /// What was read, and must stay as it is.
    pub(crate) shared: Vec<(TreeId, KeyRange)>,
}

/// How a prepared transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its changes happened.
    Committed,
    /// None of them did.
    RolledBack,
}

/// What is remembered of a transaction that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// How it ended.
    pub decision: Decision,
    /// When, in milliseconds since 1970.
    pub decided_ms: u64,
    /// Resources that still need to be told.
    pub untold: Vec<String>,
}

pub(crate) fn damaged(what: &str) -> Error {
    Error::Damaged(format!("a prepared transaction: {what}"))
}

// ---- keys ----

/// The key of a part.
pub(crate) fn part_key(gid: &str, part: u16) -> Vec<u8> {
    let mut key = gid_prefix(gid);
    key.extend_from_slice(&part.to_be_bytes());
    key
}

/// What the keys of all parts begin with.
pub(crate) fn gid_prefix(gid: &str) -> Vec<u8> {
    // A gid has at most MAX_GID bytes.
    let mut key = vec![gid.len() as u8];
    key.extend_from_slice(gid.as_bytes());
    key
}

/// The name and the part that a key stands for.
pub(crate) fn parse_part_key(key: &[u8]) -> Result<(&str, u16)> {
    let wrong = || damaged("its key");
    let (&len, rest) = key.split_first().ok_or_else(wrong)?;
    let (gid, part) = rest.split_at_checked(usize::from(len)).ok_or_else(wrong)?;
    let part = <[u8; 2]>::try_from(part).map_err(|_| wrong())?;
    let gid = std::str::from_utf8(gid).map_err(|_| wrong())?;
    Ok((gid, u16::from_be_bytes(part)))
}

/// The key under which a decision is found by name.
pub(crate) fn decided_key(gid: &str) -> Vec<u8> {
    [&[0], gid.as_bytes()].concat()
}

/// The key under which it is found by age.
pub(crate) fn decided_at_key(decided_ms: u64, gid: &str) -> Vec<u8> {
    [&[1], &decided_ms.to_be_bytes()[..], gid.as_bytes()].concat()
}

/// The keys of decisions by age.
pub(crate) fn decided_by_age() -> KeyRange {
    KeyRange::prefix(&[1])
}

/// Time and name in such a key.
pub(crate) fn parse_decided_at(key: &[u8]) -> Result<(u64, &str)> {
    let wrong = || damaged("the key of a decision");
    let (head, gid) = key.split_first_chunk::<9>().ok_or_else(wrong)?;
    let mut raw = [0; 8];
    raw.copy_from_slice(&head[1..]);
    let gid = std::str::from_utf8(gid).map_err(|_| wrong())?;
    Ok((u64::from_be_bytes(raw), gid))
}

// ---- values ----

/// Bytes taken one after the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let taken = self.0.split_at_checked(len);
        let (taken, rest) = taken.ok_or_else(|| damaged("it is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut raw = [0; N];
        raw.copy_from_slice(self.take(N)?);
        Ok(raw)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<Vec<u8>> {
        let len = self.number()? as usize;
        Ok(self.take(len)?.to_vec())
    }

    fn names(&mut self) -> Result<Vec<String>> {
        let count = self.byte()?;
        let mut names = Vec::new();
        for _ in 0..count {
            let len = usize::from(self.byte()?);
            let name = std::str::from_utf8(self.take(len)?);
            names.push(name.map_err(|_| damaged("the name of a resource"))?.into());
        }
        Ok(names)
    }
}

fn push_names(names: &[String], into: &mut Vec<u8>) {
    into.push(names.len() as u8);
    for name in names {
        into.push(name.len() as u8);
        into.extend_from_slice(name.as_bytes());
    }
}

fn push_bytes(bytes: &[u8], into: &mut Vec<u8>) {
    into.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    into.extend_from_slice(bytes);
}

impl Head {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.prepared_ms.to_le_bytes());
        bytes.extend_from_slice(&self.parts.to_le_bytes());
        push_names(&self.resources, &mut bytes);
        bytes.extend_from_slice(&(self.shared.len() as u32).to_le_bytes());
        for (tree, range) in &self.shared {
            bytes.extend_from_slice(&tree.0.to_le_bytes());
            let (first, end) = bounds_of(range);
            push_bytes(first, &mut bytes);
            bytes.push(u8::from(end.is_some()));
            push_bytes(end.unwrap_or_default(), &mut bytes);
        }
        bytes
    }

    /// The head, and the bytes of the payload behind it.
    pub(crate) fn decode(value: &[u8]) -> Result<(Self, &[u8])> {
        let mut reader = Reader(value);
        let version = reader.byte()?;
        if version != VERSION {
            let found = format!("expected version {VERSION}, found {version}");
            return Err(damaged(&found));
        }
        let prepared_ms = u64::from_le_bytes(reader.array()?);
        let parts = u16::from_le_bytes(reader.array()?);
        let resources = reader.names()?;
        let mut shared = Vec::new();
        for _ in 0..reader.number()? {
            let tree = TreeId(reader.number()?);
            let first = reader.bytes()?;
            let has_end = reader.byte()? != 0;
            let end = reader.bytes()?;
            let range = KeyRange {
                lower: Bound::Included(first),
                upper: if has_end {
                    Bound::Excluded(end)
                } else {
                    Bound::Unbounded
                },
            };
            shared.push((tree, range));
        }
        let head = Self {
            prepared_ms,
            parts,
            resources,
            shared,
        };
        Ok((head, reader.0))
    }
}

/// The first key of a range that a footprint gave, and its end if it has one.
fn bounds_of(range: &KeyRange) -> (&[u8], Option<&[u8]>) {
    let first: &[u8] = match &range.lower {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    };
    let end = match &range.upper {
        Bound::Included(key) | Bound::Excluded(key) => Some(key.as_slice()),
        Bound::Unbounded => None,
    };
    (first, end)
}

impl Decided {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let outcome = match self.decision {
            Decision::Committed => 1,
            Decision::RolledBack => 2,
        };
        let mut bytes = vec![outcome];
        bytes.extend_from_slice(&self.decided_ms.to_le_bytes());
        push_names(&self.untold, &mut bytes);
        bytes
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self> {
        let mut reader = Reader(value);
        let decision = match reader.byte()? {
            1 => Decision::Committed,
            2 => Decision::RolledBack,
            other => return Err(damaged(&format!("unknown decision {other}"))),
        };
        let decided_ms = u64::from_le_bytes(reader.array()?);
        let untold = reader.names()?;
        if !reader.0.is_empty() {
            return Err(damaged("bytes follow a decision"));
        }
        Ok(Self {
            decision,
            decided_ms,
            untold,
        })
    }
}

#[cfg(test)]
mod tests;
