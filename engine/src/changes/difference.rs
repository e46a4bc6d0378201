//! What an update did to a document, found by comparing it before and after.
//!
//! The two are walked side by side, as MongoDB does it: a field that both have in
//! the same place is compared, a subdocument or array within it likewise; any other
//! field of the old one is removed, any other of the new one is set, and one that
//! moved is set.
//!
//! ## Invariants
//! * Removing, then setting, then cutting arrays makes the new document of the old
//!   one, but for names that hold a dot or look like a position: paths are text.
//! * Recursion is as deep as a stored document, at most 100 levels.
//! * What it makes is never larger than a document may be, or it is not made.

use bson::RawDocumentBuf;

use crate::error::Result;
use crate::values::{Elements, Kind, RawValue};

/// Bytes of paths and values beyond which a difference is not told.
const MAX_BYTES: usize = 16 << 20;

/// What an update did to a document: MongoDB's `updateDescription`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct UpdateDescription {
    /// Fields that have another value now or were not there, by their dotted paths.
    pub updated_fields: RawDocumentBuf,
    /// Fields that are gone.
    pub removed_fields: Vec<String>,
    /// Arrays that lost elements at their end.
    pub truncated_arrays: Vec<TruncatedArray>,
}

/// An array that lost elements at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TruncatedArray {
    /// Its path.
    pub field: String,
    /// How many elements are left.
    pub new_size: u64,
}

/// What became of a document; `None` where telling it takes too much.
pub(super) fn describe(before: &[u8], after: &[u8]) -> Result<Option<UpdateDescription>> {
    let mut walk = Walk {
        path: Vec::new(),
        updated: vec![0; 4],
        removed: Vec::new(),
        truncated: Vec::new(),
        bytes: 0,
    };
    walk.documents(Elements::new(before), Elements::new(after));
    walk.updated.push(0);
    let len = walk.updated.len();
    if walk.bytes > MAX_BYTES || len > MAX_BYTES {
        return Ok(None);
    }
    let len = i32::try_from(len).unwrap_or(i32::MAX);
    walk.updated[..4].copy_from_slice(&len.to_le_bytes());
    Ok(Some(UpdateDescription {
        updated_fields: RawDocumentBuf::from_bytes(walk.updated)?,
        removed_fields: walk.removed,
        truncated_arrays: walk.truncated,
    }))
}

struct Walk {
    /// Where it is, with a dot behind each part.
    path: Vec<u8>,
    /// The elements of a document, without its end.
    updated: Vec<u8>,
    removed: Vec<String>,
    truncated: Vec<TruncatedArray>,
    /// Bytes of all that is told; when it is too much nothing is added.
    bytes: usize,
}

impl Walk {
    fn documents(&mut self, before: Elements<'_>, after: Elements<'_>) {
        let mut rest = after.clone().peekable();
        let mut gone: Vec<&[u8]> = Vec::new();
        for old in before {
            match rest.peek() {
                Some(new) if new.name == old.name => {
                    self.values(old.name, old.value, new.value);
                    rest.next();
                }
                _ => gone.push(old.name),
            }
        }
        if !gone.is_empty() {
            // A name is looked up once for each that is gone, not for each that stays.
            gone.sort_unstable();
            let mut has_moved = vec![false; gone.len()];
            for new in after {
                if let Ok(place) = gone.binary_search(&new.name) {
                    has_moved[place] = true;
                }
            }
            for (name, _) in gone.iter().zip(has_moved).filter(|(_, moved)| !moved) {
                if self.has_room(self.path.len() + name.len()) {
                    let path = [&self.path, *name].concat();
                    self.removed
                        .push(String::from_utf8_lossy(&path).into_owned());
                }
            }
        }
        for new in rest {
            self.set(new.name, new.value);
        }
    }

    fn arrays(&mut self, before: Elements<'_>, after: Elements<'_>) {
        let mut old = before;
        let mut count = 0_u64;
        for new in after {
            count += 1;
            match old.next() {
                Some(old) => self.values(new.name, old.value, new.value),
                None => self.set(new.name, new.value),
            }
        }
        if old.next().is_some() {
            // The array itself: its path without the dot behind it.
            let field = self.path.split_last().map_or(&[][..], |(_, path)| path);
            let field = String::from_utf8_lossy(field).into_owned();
            if self.has_room(field.len()) {
                let new_size = count;
                self.truncated.push(TruncatedArray { field, new_size });
            }
        }
    }

    fn values(&mut self, name: &[u8], before: RawValue<'_>, after: RawValue<'_>) {
        if before.kind() == after.kind() && before.bytes() == after.bytes() {
            return;
        }
        let walk = match (before.kind(), after.kind()) {
            (Kind::Document, Kind::Document) => Self::documents,
            (Kind::Array, Kind::Array) => Self::arrays,
            _ => return self.set(name, after),
        };
        let (Some(before), Some(after)) = (before.elements(), after.elements()) else {
            return;
        };
        // Beyond the limit nothing more is told.
        if self.bytes > MAX_BYTES {
            return;
        }
        let parent = self.path.len();
        self.path.extend_from_slice(name);
        self.path.push(b'.');
        walk(self, before, after);
        self.path.truncate(parent);
    }

    fn set(&mut self, name: &[u8], value: RawValue<'_>) {
        let len = self.path.len() + name.len() + value.bytes().len();
        if self.has_room(len) {
            self.updated.push(value.kind() as u8);
            self.updated.extend_from_slice(&self.path);
            self.updated.extend_from_slice(name);
            self.updated.push(0);
            self.updated.extend_from_slice(value.bytes());
        }
    }

    fn has_room(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes.saturating_add(8));
        self.bytes <= MAX_BYTES
    }
}

#[cfg(test)]
mod tests;
