//! Reading documents by way of indexes.
//!
//! ## Invariants
//! * A document is shown once, however many entries lead to it.
//! * An entry without its document is damage, never passed over: both are of one state.
//! * Where entries tell all that is asked for, what is shown is a document of their fields,
//!   with the values and types that the document has.

use std::collections::{HashSet, VecDeque};
use std::ops::Bound;

use bson::RawDocumentBuf;
use cs_kv::KeyRange;

use super::place::{Place, Rows};
use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::index::{Access, Data, Index, ParsedEntry, marker_key, parse_entry};

/// What a remembered key costs beside its bytes.
const OVERHEAD: usize = 64;

/// See the module's text.
#[derive(Debug)]
pub(super) struct IndexRead {
    documents: Place,
    accesses: VecDeque<Access>,
    current: Option<Current>,
    /// Keys of documents that were shown, where one may come again.
    seen: Option<HashSet<Vec<u8>>>,
    seen_bytes: usize,
    primary: Vec<u8>,
    /// Whether entries tell all that is asked for; then `made` has the fields of the last.
    pub(super) is_covered: bool,
    made: RawDocumentBuf,
    /// Entries looked at.
    pub(super) keys_examined: u64,
}

/// The access that is being read.
#[derive(Debug)]
struct Current {
    access: Access,
    entries: Place,
    left: VecDeque<(Vec<u8>, Vec<u8>)>,
    rows: Option<Rows>,
}

impl IndexRead {
    pub(super) fn new(documents: Place, accesses: Vec<Access>) -> Self {
        let may_repeat = accesses.len() > 1 || accesses.iter().any(|one| one.multikey != 0);
        Self {
            documents,
            accesses: accesses.into(),
            current: None,
            seen: may_repeat.then(HashSet::new),
            seen_bytes: 0,
            primary: Vec::new(),
            is_covered: false,
            made: RawDocumentBuf::new(),
            keys_examined: 0,
        }
    }

    /// Shows documents of the fields of entries, instead of those stored.
    pub(super) fn covered(self, is_covered: bool) -> Self {
        Self { is_covered, ..self }
    }

    /// Puts the key of the next document into `primary`.
    fn advance(&mut self, watch: &Watch) -> Result<bool> {
        loop {
            watch.check()?;
            let Some(current) = &mut self.current else {
                let Some(access) = self.accesses.pop_front() else {
                    return Ok(false);
                };
                self.current = Current::open(&self.documents, access)?;
                continue;
            };
            let Some(rows) = &mut current.rows else {
                match current.next_range() {
                    Some(range) => {
                        let reverse = current.access.reverse;
                        current.rows = Some(current.entries.rows_toward(range, reverse)?);
                    }
                    None => self.current = None,
                }
                continue;
            };
            let Some((key, value)) = rows.next()? else {
                current.rows = None;
                continue;
            };
            self.keys_examined += 1;
            let primary = match &current.access.index {
                Some(index) => match parse_entry(&index.definition, key, value)? {
                    Some(entry) => {
                        if self.is_covered {
                            self.made = fields_of(index, &entry)?;
                        }
                        entry.primary
                    }
                    None => continue,
                },
                None => key,
            };
            self.primary.clear();
            self.primary.extend_from_slice(primary);
            if let Some(seen) = &mut self.seen {
                if seen.contains(&self.primary) {
                    continue;
                }
                self.seen_bytes += self.primary.len() + OVERHEAD;
                watch.room_for(self.seen_bytes)?;
                seen.insert(self.primary.clone());
            }
            return Ok(true);
        }
    }

    /// What `read` makes of the next document that matches.
    pub(super) fn next<R>(
        &mut self,
        watch: &Watch,
        filter: &Filter,
        examined: &mut u64,
        read: impl FnOnce(&[u8], &[u8]) -> R,
    ) -> Result<Option<R>> {
        let mut read = Some(read);
        while self.advance(watch)? {
            let primary = &self.primary;
            if self.is_covered {
                let made = self.made.as_bytes();
                watch.room_for(made.len())?;
                if filter.matches_bytes(made)? {
                    return Ok(read.take().map(|read| read(primary, made)));
                }
                continue;
            }
            let found = self.documents.with_value(primary, |document| {
                if !filter.matches_bytes(document)? {
                    return Ok(None);
                }
                Ok::<_, Error>(read.take().map(|read| read(primary, document)))
            })?;
            *examined += 1;
            match found {
                None => {
                    let message = "an index has an entry of a document that is not there";
                    return Err(Error::new(ErrorKind::Corruption, message));
                }
                Some(found) => {
                    if let Some(result) = found? {
                        return Ok(Some(result));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The fields of an entry, as a document that has nothing else.
fn fields_of(index: &Index, entry: &ParsedEntry<'_>) -> Result<RawDocumentBuf> {
    let values = entry.values(&index.definition)?;
    let mut document = bson::Document::new();
    for (field, value) in index.definition.fields.iter().zip(values) {
        let Some(value) = value else { continue };
        // A dotted path is no field: nobody asks for it here.
        if !field.path.contains(&b'.') {
            document.insert(String::from_utf8_lossy(&field.path), value);
        }
    }
    Ok(RawDocumentBuf::try_from(&document)?)
}

impl Current {
    /// `None` if the tree is not there: then the collection is not, either.
    fn open(documents: &Place, access: Access) -> Result<Option<Self>> {
        let entries = match &access.index {
            Some(index) => documents.sibling(index.tree)?,
            None => Some(documents.clone()),
        };
        Ok(entries.map(|entries| Self {
            entries,
            left: access.ranges.clone().into(),
            access,
            rows: None,
        }))
    }

    fn next_range(&mut self) -> Option<KeyRange> {
        let (from, to) = match self.access.reverse {
            false => self.left.pop_front(),
            true => self.left.pop_back(),
        }?;
        Some(range_of(from, to))
    }
}

fn range_of(from: Vec<u8>, to: Vec<u8>) -> KeyRange {
    KeyRange {
        lower: Bound::Included(from),
        upper: Bound::Excluded(to),
    }
}

/// What the planner may look at.
pub(super) struct Look<'p>(pub(super) &'p Place);

impl Data for Look<'_> {
    fn multikey(&self, index: &Index) -> Result<u32> {
        let Some(entries) = self.0.sibling(index.tree)? else {
            return Ok(0);
        };
        let last = marker_key(index.definition.fields.len());
        let mut rows = entries.rows(range_of(marker_key(0), last))?;
        let mut multikey = 0;
        while let Some((key, _)) = rows.next()? {
            let field = key.get(1).copied().unwrap_or(u8::MAX);
            multikey |= 1_u32.checked_shl(field.into()).unwrap_or(0);
        }
        Ok(multikey)
    }

    fn count(&self, access: &Access, most: usize) -> Result<usize> {
        let mut count = 0;
        // In a transaction what is looked at counts as read.
        if matches!(self.0, Place::Within(..)) {
            return Ok(most.saturating_add(1));
        }
        let Some(current) = &mut Current::open(self.0, access.clone())? else {
            return Ok(0);
        };
        while let Some(range) = current.next_range() {
            let mut rows = current.entries.rows(range)?;
            while rows.next()?.is_some() {
                count += 1;
                if count > most {
                    return Ok(count);
                }
            }
        }
        Ok(count)
    }
}
