//! What a change of a document changes in its indexes: only keys that differ.

use cs_kv::Expect;
use cs_kv::base::TreeId;
use cs_kv::base::mutants::{Mutant, planted};

use super::catalog::{Index, Indexes};
use super::derive::{Derived, DerivedKey, derive};
use super::entry::{entry, marker_key, parse_entry};
use crate::error::{DuplicateKey, Error, ErrorKind, Result};
use crate::names::Namespace;
use crate::values::Elements;

/// A write to the tree of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexWrite {
    pub(crate) tree: TreeId,
    pub(crate) key: Vec<u8>,
    /// `None` takes the key away.
    pub(crate) value: Option<Vec<u8>>,
    /// The key is a unique one, which the document did not have.
    pub(crate) is_unique: bool,
}

impl IndexWrite {
    /// What it demands where the commit is.
    pub(crate) fn expect(&self) -> Expect {
        match self.is_unique && self.value.is_some() && !planted(Mutant::TakenUniqueKey) {
            true => Expect::Absent,
            false => Expect::Any,
        }
    }
}

/// What changes in one index.
#[derive(Clone, Debug)]
pub(crate) struct IndexChange<'i> {
    pub(crate) index: &'i Index,
    pub(crate) writes: Vec<IndexWrite>,
    /// A bit for each field whose path met an array.
    pub(crate) multikey: u32,
}

impl IndexChange<'_> {
    /// The markers that must be there.
    pub(crate) fn markers(&self) -> impl Iterator<Item = (TreeId, Vec<u8>)> + '_ {
        let fields = 0..self.index.definition.fields.len();
        fields
            .filter(|field| self.multikey & (1 << field) != 0)
            .map(|field| (self.index.tree, marker_key(field)))
    }
}

impl Indexes {
    /// What changes in each index when the document under `primary` becomes `new`, `None`
    /// being none; those in which nothing does are left out.
    ///
    /// # Errors
    /// The new document cannot be in an index: codes 171, 16746, 17280.
    pub(crate) fn changes(
        &self,
        primary: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Vec<IndexChange<'_>>> {
        let mut changes = Vec::with_capacity(self.len());
        for index in self.iter() {
            let change = index.change(primary, old, new)?;
            changes.extend(change);
        }
        Ok(changes)
    }
}

impl Index {
    /// What changes in this index.
    pub(crate) fn change(
        &self,
        primary: &[u8],
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<Option<IndexChange<'_>>> {
        if let (Some(old), Some(new)) = (old, new)
            && self.is_untouched(old, new)
        {
            return Ok(None);
        }
        let derived = |document: Option<&[u8]>| {
            document.map_or(Ok(Derived::default()), |it| derive(&self.definition, it))
        };
        // A stored document was derived before: nothing is wrong with it.
        let (old, new) = (derived(old)?, derived(new)?);
        // The keys of 1 and [1] are the same: the marker is not.
        let is_newly_multikey = new.multikey & !old.multikey != 0;
        let mut writes = Vec::new();
        let mut old = old.keys.into_iter().peekable();
        for key in new.keys {
            while let Some(gone) = old.next_if(|old| old.fields < key.fields) {
                writes.push(self.write(gone, primary, false)?);
            }
            match old.next_if(|old| old.fields == key.fields) {
                Some(same) if same.remarks == key.remarks => {}
                Some(_) => {
                    let write = self.write(key, primary, true)?;
                    writes.push(IndexWrite {
                        is_unique: false,
                        ..write
                    });
                }
                None => writes.push(self.write(key, primary, true)?),
            }
        }
        for gone in old {
            writes.push(self.write(gone, primary, false)?);
        }
        if planted(Mutant::KeepIndexEntry) {
            writes.retain(|write| write.value.is_some());
        }
        let has_changed = is_newly_multikey || !writes.is_empty();
        Ok(has_changed.then_some(IndexChange {
            index: self,
            writes,
            multikey: new.multikey,
        }))
    }

    fn write(&self, key: DerivedKey, primary: &[u8], is_put: bool) -> Result<IndexWrite> {
        let (key, value) = entry(&self.definition, key, primary)?;
        Ok(IndexWrite {
            tree: self.tree,
            key,
            value: is_put.then_some(value),
            is_unique: self.definition.unique,
        })
    }

    /// Whether all top-level fields that the keys depend on are the same bytes.
    fn is_untouched(&self, old: &[u8], new: &[u8]) -> bool {
        let same = |name: &[u8]| {
            let one = Elements::new(old).find_name(name);
            let other = Elements::new(new).find_name(name);
            match (one, other) {
                (None, None) => true,
                (Some(one), Some(other)) => {
                    one.kind() == other.kind() && one.bytes() == other.bytes()
                }
                _ => false,
            }
        };
        let mut paths = self.definition.fields.iter();
        if !paths.all(|field| field.steps.first().is_none_or(|step| same(step))) {
            return false;
        }
        let partial = self.definition.partial.as_ref();
        partial.is_none_or(|(_, filter)| filter.first_names().into_iter().all(same))
    }

    /// The document whose unique key this is, by its own key.
    pub(crate) fn holder<'a>(&self, key: &'a [u8], value: &'a [u8]) -> Result<Option<&'a [u8]>> {
        Ok(parse_entry(&self.definition, key, value)?.map(|entry| entry.primary))
    }

    /// MongoDB's words for a key that another document has, for drivers take them apart.
    pub(crate) fn duplicate(&self, namespace: &Namespace, write: &IndexWrite) -> Error {
        let parsed = write
            .value
            .as_deref()
            .and_then(|value| parse_entry(&self.definition, &write.key, value).ok()?)
            .and_then(|entry| entry.values(&self.definition).ok())
            .unwrap_or_default();
        let mut key_value = bson::Document::new();
        for (field, value) in self.definition.fields.iter().zip(parsed) {
            let path = String::from_utf8_lossy(&field.path);
            key_value.insert(path, value.unwrap_or(bson::Bson::Null));
        }
        let message = format!(
            "E11000 duplicate key error collection: {namespace} index: {} dup key: {key_value}",
            self.definition.name
        );
        let key_value = bson::RawDocumentBuf::try_from(&key_value).unwrap_or_default();
        Error::new(ErrorKind::DuplicateKey, message).with_duplicate(DuplicateKey {
            key_pattern: self.definition.key.clone(),
            key_value,
        })
    }
}

#[cfg(test)]
mod tests;
