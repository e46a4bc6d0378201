//! Documents and their index entries, written together.

use cs_kv::base::TreeId;
use cs_kv::{Also, Batch};

use super::Collection;
use super::inserter::Waiting;
use super::place::View;
use crate::catalog::Entry;
use crate::error::{Error, Result};
use crate::index::{Index, IndexChange, Indexes};
use crate::migration::note;
use crate::transaction::session::Session;

/// Something that reads its own writes: a transaction of the store, or of the user's.
pub(super) trait Target {
    fn read(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>>;
    fn write(&mut self, tree: TreeId, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()>;
    /// The value is that before, changed in part.
    fn write_in_part(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()>;
    /// What is written depends on this key being as it was read.
    fn keep(&mut self, tree: TreeId, key: &[u8]) -> Result<()>;
}

impl Target for cs_kv::Transaction {
    fn read(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.get(tree, key)?)
    }

    fn write(&mut self, tree: TreeId, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()> {
        match value {
            Some(value) => self.put(tree, key, value)?,
            None => self.delete(tree, key)?,
        }
        Ok(())
    }

    fn write_in_part(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        Ok(self.put_in_part(tree, key, value)?)
    }

    fn keep(&mut self, tree: TreeId, key: &[u8]) -> Result<()> {
        cs_kv::Transaction::keep(self, tree, key);
        Ok(())
    }
}

impl Target for &Session {
    fn read(&self, tree: TreeId, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.get(tree, key)
    }

    fn write(&mut self, tree: TreeId, key: Vec<u8>, value: Option<Vec<u8>>) -> Result<()> {
        match value {
            Some(value) => self.put(tree, key, value),
            None => self.delete(tree, key),
        }
    }

    fn write_in_part(&mut self, tree: TreeId, key: Vec<u8>, value: Vec<u8>) -> Result<()> {
        self.put_in_part(tree, key, value)
    }

    fn keep(&mut self, tree: TreeId, key: &[u8]) -> Result<()> {
        Session::keep(self, tree, key)
    }
}

/// A document that cannot be inserted.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) position: usize,
    pub(super) error: Error,
}

/// Documents that go into one commit.
pub(super) struct InsertBatch {
    pub(super) batch: Batch,
    /// How many of the documents are in it.
    pub(super) count: usize,
    /// Which document each operation belongs to.
    pub(super) documents: Vec<usize>,
    /// Markers that it writes.
    pub(super) markers: Vec<(TreeId, Vec<u8>)>,
}

impl Collection {
    /// Writes what changes in the indexes when the document under `primary` becomes
    /// `new`. Nothing is written when that is refused.
    ///
    /// # Errors
    /// The collection's rules refuse the new document (121); it cannot be in an index (171,
    /// 16746, 17280), or another has its unique key (11000).
    pub(super) fn write_indexes(
        &self,
        target: &mut impl Target,
        entry: &Entry,
        primary: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        self.judge(entry, old, new)?;
        self.check_version(entry)?;
        // What is in the indexes is what is stored, whatever it was seen as.
        let ahead = entry.versions.and_then(|versions| versions.ahead);
        let stored = match (ahead, old) {
            (Some(_), Some(_)) => target.read(entry.tree, primary)?,
            _ => None,
        };
        let old = stored.as_deref().or(old);
        let mut changes = Vec::with_capacity(entry.indexes.len());
        for index in entry.indexes.iter() {
            if let Some(change) = index.change(primary, old, new)? {
                self.check_unique(target, &change, primary)?;
                changes.push(change);
            }
        }
        for change in changes {
            self.write_change(target, change, primary)?;
        }
        if let (Some(tree), Some(versions)) = (ahead, entry.versions) {
            let version = new.map(|_| note(versions.current));
            target.write(tree, primary.to_vec(), version)?;
        }
        Ok(())
    }

    /// Writes what changes in one index.
    pub(super) fn write_change(
        &self,
        target: &mut impl Target,
        change: IndexChange<'_>,
        primary: &[u8],
    ) -> Result<()> {
        for (tree, key) in change.markers() {
            if !self.environment.markers.has(tree, &key) && target.read(tree, &key)?.is_none() {
                target.write(tree, key, Some(Vec::new()))?;
            }
        }
        let index = change.index;
        for write in change.writes {
            // In one that is being built it may be another's, and the own not there yet.
            let is_doubtful = write.is_unique && write.value.is_none() && !index.is_ready();
            if !is_doubtful || holds(target, index, &write.key, primary)? == Some(true) {
                target.write(write.tree, write.key, write.value)?;
            } else {
                // The building may add it meanwhile.
                target.keep(write.tree, &write.key)?;
            }
        }
        Ok(())
    }

    fn check_unique(
        &self,
        target: &impl Target,
        change: &IndexChange<'_>,
        primary: &[u8],
    ) -> Result<()> {
        for write in &change.writes {
            let is_new = write.is_unique && write.value.is_some();
            if is_new && holds(target, change.index, &write.key, primary)? == Some(false) {
                return Err(change.index.duplicate(&self.namespace, write));
            }
        }
        Ok(())
    }

    /// As many of the documents as can be in one commit: a unique key that comes again
    /// must meet the first in a later one.
    ///
    /// # Errors
    /// The collection's rules refuse the first document, or it cannot be in an index.
    pub(super) fn insert_batch(
        &self,
        mut batch: Batch,
        entry: &Entry,
        documents: &[Waiting],
    ) -> Result<InsertBatch> {
        if let Some(kept) = &entry.kept {
            batch.keep(kept.clone());
        }
        self.check_version(entry)?;
        let ahead = entry.versions.and_then(|it| Some((it.ahead?, it.current)));
        let judge = self.judge_of(entry);
        let mut unique = std::collections::HashSet::new();
        let (mut writes, mut markers) = (Vec::new(), Vec::new());
        let (mut count, mut owners) = (0, vec![usize::MAX; batch.len()]);
        for (position, Waiting { document, .. }) in documents.iter().enumerate() {
            let judged = judge.as_ref().map(|it| it.judge(None, &document.document));
            match judged.transpose() {
                Ok(_) => {}
                Err(error) if position == 0 => return Err(error),
                // It comes first next time.
                Err(_) => break,
            }
            if !entry.indexes.is_empty() {
                let changes =
                    match entry
                        .indexes
                        .changes(&document.key, None, Some(&document.document))
                    {
                        Ok(changes) => changes,
                        Err(error) if position == 0 => return Err(error),
                        // It comes first next time.
                        Err(_) => break,
                    };
                let keys = changes.iter().flat_map(|change| &change.writes);
                let keys = keys.filter(|write| write.is_unique);
                let keys: Vec<_> = keys.map(|write| (write.tree, write.key.clone())).collect();
                if keys.iter().any(|key| unique.contains(key)) {
                    break;
                }
                unique.extend(keys);
                for change in changes {
                    self.add_markers(&change, &mut markers);
                    writes.extend(change.writes.into_iter().map(|write| (write, position)));
                }
            }
            let (key, value) = (document.key.clone(), document.document.clone());
            if let Some((tree, version)) = ahead {
                batch.put(tree, key.clone(), note(version), cs_kv::Expect::Any);
                owners.push(position);
            }
            batch.put(entry.tree, key, value, cs_kv::Expect::Absent);
            owners.push(position);
            count += 1;
        }
        if count > 1 {
            writes.sort_by(|(one, _), (other, _)| {
                (one.tree, &one.key).cmp(&(other.tree, &other.key))
            });
        }
        for (write, position) in writes {
            let expect = write.expect();
            batch.put(
                write.tree,
                write.key,
                write.value.unwrap_or_default(),
                expect,
            );
            owners.push(position);
        }
        for (tree, key) in &markers {
            batch.put(*tree, key.clone(), Vec::new(), cs_kv::Expect::Any);
            owners.push(usize::MAX);
        }
        Ok(InsertBatch {
            batch,
            count,
            documents: owners,
            markers,
        })
    }

    /// Adds the markers that are not known to be there.
    fn add_markers(&self, change: &IndexChange<'_>, markers: &mut Vec<(TreeId, Vec<u8>)>) {
        for (tree, key) in change.markers() {
            let marker = (tree, key);
            if !self.environment.markers.has(marker.0, &marker.1) && !markers.contains(&marker) {
                markers.push(marker);
            }
        }
    }

    /// Why a document cannot be inserted, judged as MongoDB does: by its `_id`, then index
    /// by index. `None` if nothing is in its way (any more).
    pub(super) fn refusal(&self, Waiting { document, .. }: &Waiting) -> Result<Option<Error>> {
        let View {
            place: Some(place),
            entry: Some(entry),
            ..
        } = self.view()?
        else {
            return Ok(None);
        };
        if place.with_value(&document.key, |_| ())?.is_some() {
            return Ok(Some(self.duplicate(document)));
        }
        for index in entry.indexes.iter() {
            let change = match index.change(&document.key, None, Some(&document.document)) {
                Ok(change) => change,
                Err(error) => return Ok(Some(error)),
            };
            let Some(change) = change else { continue };
            let Some(keys) = place.sibling(index.tree)? else {
                continue;
            };
            for write in change.writes.iter().filter(|write| write.is_unique) {
                if keys.with_value(&write.key, |_| ())?.is_some() {
                    return Ok(Some(index.duplicate(&self.namespace, write)));
                }
            }
        }
        Ok(None)
    }
}

/// Whether a unique key is this document's; `None` if it is nobody's.
pub(super) fn holds(
    target: &impl Target,
    index: &Index,
    key: &[u8],
    primary: &[u8],
) -> Result<Option<bool>> {
    let Some(value) = target.read(index.tree, key)? else {
        return Ok(None);
    };
    Ok(index.holder(key, &value)?.map(|holder| holder == primary))
}

/// Adds what changes in the indexes to what an evaluation changes.
///
/// # Errors
/// The new document cannot be in an index.
pub(super) fn index_also(
    indexes: &Indexes,
    also: &mut Also,
    primary: &[u8],
    old: Option<&[u8]>,
    new: Option<&[u8]>,
) -> Result<()> {
    for change in indexes.changes(primary, old, new)? {
        for (tree, key) in change.markers() {
            also.put(tree, key, Vec::new(), cs_kv::Expect::Any);
        }
        for write in change.writes {
            let expect = write.expect();
            match write.value {
                Some(value) => also.put(write.tree, write.key, value, expect),
                None => also.delete(write.tree, write.key, expect),
            }
        }
    }
    Ok(())
}
