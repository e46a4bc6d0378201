//! Whether indexes and documents agree, both ways.
//!
//! Each key that a document makes must be there; then, if there are as many entries as
//! keys, nothing else is. Where there are more, each entry is followed to its document.

use cs_kv::KeyRange;

use super::Collection;
use super::index_read::Look;
use super::place::Place;
use crate::context::{OperationContext, Watch};
use crate::error::Result;
use crate::index::{Data, Index, parse_entry};

/// Most findings that are kept.
const KEPT: usize = 100;

/// What a check of indexes came to. See [`Collection::check_indexes`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexCheck {
    /// Indexes looked at.
    pub indexes: u64,
    /// Documents looked at.
    pub documents: u64,
    /// Entries of indexes.
    pub entries: u64,
    /// What is wrong, the first hundred; none if all is well.
    pub findings: Vec<String>,
}

impl IndexCheck {
    fn found(&mut self, index: &Index, what: &str) {
        if self.findings.len() < KEPT {
            let name = &index.definition.name;
            self.findings.push(format!("index '{name}': {what}"));
        }
    }
}

impl Collection {
    /// Proves each index against the documents and the other way round, in one state. One
    /// that is being made may lack entries, but has no others.
    ///
    /// # Errors
    /// A page could not be read. What does not agree is no error but a finding.
    pub fn check_indexes(&self) -> Result<IndexCheck> {
        self.check_indexes_with(&OperationContext::new())
    }

    /// [`check_indexes`](Self::check_indexes) with a context.
    ///
    /// # Errors
    /// As [`check_indexes`](Self::check_indexes), and those of the context.
    pub fn check_indexes_with(&self, context: &OperationContext) -> Result<IndexCheck> {
        let watch = context.start(&self.environment().runtime);
        let view = self.view()?;
        let mut check = IndexCheck::default();
        let (Some(documents), Some(entry)) = (view.place, view.entry) else {
            return Ok(check);
        };
        // Indexes hold what is stored.
        let documents = documents.stored().clone();
        for index in entry.indexes.iter() {
            check.indexes += 1;
            match documents.sibling(index.tree)? {
                Some(entries) => check_index(&watch, index, &documents, &entries, &mut check)?,
                None => check.found(index, "its tree is not there"),
            }
        }
        Ok(check)
    }
}

fn check_index(
    watch: &Watch,
    index: &Index,
    documents: &Place,
    entries: &Place,
    check: &mut IndexCheck,
) -> Result<()> {
    let markers = Look(documents).multikey(index)?;
    let (mut expected, mut read) = (0_u64, 0);
    let mut rows = documents.rows(KeyRange::all())?;
    while let Some((primary, document)) = rows.next()? {
        watch.check()?;
        read += 1;
        let change = match index.change(primary, None, Some(document)) {
            Ok(change) => change,
            Err(error) => {
                check.found(index, &format!("a document cannot be in it: {error}"));
                continue;
            }
        };
        let Some(change) = change else { continue };
        if index.is_ready() && change.multikey & !markers != 0 {
            check.found(index, "a document has an array and no marker says so");
        }
        for write in change.writes {
            expected += 1;
            let is_same =
                entries.with_value(&write.key, |value| write.value.as_deref() == Some(value))?;
            match is_same {
                Some(true) => {}
                // Of a unique one that is being made the clash may not be found yet.
                _ if !index.is_ready() => {}
                Some(false) => check.found(index, "an entry is another document's, or outdated"),
                None => check.found(index, "an entry of a document is missing"),
            }
        }
    }
    check.documents = check.documents.max(read);
    let (mut found, mut stray) = (0_u64, 0_u64);
    let mut rows = entries.rows(KeyRange::all())?;
    while let Some((key, value)) = rows.next()? {
        watch.check()?;
        match parse_entry(&index.definition, key, value) {
            Ok(None) => {}
            Ok(Some(entry)) => {
                found += 1;
                if !is_of_document(index, documents, (key, value), entry.primary)? {
                    stray += 1;
                }
            }
            Err(error) => check.found(index, &error.to_string()),
        }
    }
    check.entries += found;
    if stray > 0 {
        check.found(index, &format!("{stray} entries are of no document"));
    }
    if index.is_ready() && found != expected {
        let what = format!("{found} entries, the documents make {expected}");
        check.found(index, &what);
    }
    Ok(())
}

/// Whether the document makes this entry.
fn is_of_document(
    index: &Index,
    documents: &Place,
    (key, value): (&[u8], &[u8]),
    primary: &[u8],
) -> Result<bool> {
    let made = documents.with_value(primary, |document| {
        index.change(primary, None, Some(document))
    })?;
    let Some(Ok(Some(change))) = made else {
        return Ok(false);
    };
    let mut writes = change.writes.into_iter();
    Ok(writes.any(|write| write.key == key && write.value.as_deref() == Some(value)))
}
