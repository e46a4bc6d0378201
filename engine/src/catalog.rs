//! The catalog: which collections there are, and in which trees.
//!
//! The truth is a system tree (FORMAT.md, section 4). In front of it lies a
//! cache of entries, for operations name their collection each time.
//!
//! ## Invariants
//! * An operation that begins after a change of the catalog was acknowledged
//!   never sees the entry from before it.
//! * An entry from the cache is the one that the operation's snapshot has.
//!
//! Both come from the *epoch*: it is odd while a drop or rename is under way
//! and has changed when one is over. An entry is taken from the cache, or put
//! there, only if the epoch was even before the snapshot was taken and is the
//! same after. Creation needs no epoch: absence is never cached.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::{RawDocument, RawDocumentBuf, rawdoc};
use cs_kv::base::TreeId;
use cs_kv::{Kept, KeyRange, Snapshot, Store, system};
use parking_lot::{Mutex, MutexGuard, RwLock};

use crate::error::{Error, ErrorKind, Result};
use crate::expiry::TtlOption;
use crate::index::{BuildState, Index, Indexes};
use crate::migration::Versions;
use crate::names::Namespace;
use crate::rules::Rules;
use crate::values::validate_document;

/// Format of an entry without indexes.
const FORMAT: i32 = 1;
/// Format of one with indexes: a program that knows none must not write documents.
const FORMAT_INDEXES: i32 = 2;
/// Format of one whose options have rules: a program must know them to write documents.
const FORMAT_RULES: i32 = 3;

/// What the catalog says about one collection.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The tree that holds its documents; its id is that of the collection.
    pub(crate) tree: TreeId,
    /// What it was created with.
    pub(crate) options: Arc<RawDocumentBuf>,
    /// Its changes tell what was before: the options say so.
    pub(crate) tells_before: bool,
    /// Its indexes, but for that over `_id`.
    pub(crate) indexes: Indexes,
    /// What its options demand of documents, if they do.
    pub(crate) rules: Option<Arc<Rules>>,
    /// When its documents expire by a field of their own, if they do.
    pub(crate) ttl: Option<Arc<TtlOption>>,
    /// The tree of its counter, if its documents are numbered.
    pub(crate) counter: Option<TreeId>,
    /// Its schema versions, if it was ever given one.
    pub(crate) versions: Option<Versions>,
    /// What a commit that writes documents relies on; `None` of one that is not stored yet.
    pub(crate) kept: Option<Kept>,
}

impl Entry {
    /// # Errors
    /// The rules in the options make no sense.
    pub(crate) fn new(tree: TreeId, options: RawDocumentBuf) -> Result<Self> {
        Ok(Self {
            tree,
            tells_before: crate::changes::tells_before(&options),
            rules: Rules::of(&options)?.map(Arc::new),
            ttl: TtlOption::of(&options)?.map(Arc::new),
            options: Arc::new(options),
            indexes: Indexes::default(),
            counter: None,
            versions: None,
            kept: None,
        })
    }

    /// That of a new collection, with the indexes and the counter that its options ask for.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn create(
        options: RawDocumentBuf,
        mut new_tree: impl FnMut() -> TreeId,
    ) -> Result<Self> {
        let mut indexes = Vec::new();
        for definition in Rules::of(&options)?.map_or(Ok(Vec::new()), |it| it.indexes())? {
            indexes.push(Index {
                tree: new_tree(),
                state: BuildState::Ready,
                definition,
            });
        }
        let entry = Self::new(new_tree(), options)?;
        let is_numbered = entry.rules.as_ref().is_some_and(|rules| rules.counts());
        Ok(Self {
            indexes: entry.indexes.with(indexes),
            counter: is_numbered.then(new_tree),
            ..entry
        })
    }

    /// Whether what is written cannot be made where the commit is, but only before it.
    pub(crate) fn needs_transaction(&self) -> bool {
        let calls = self
            .rules
            .as_ref()
            .is_some_and(|rules| rules.calls_functions());
        let migrates = self
            .versions
            .is_some_and(|versions| versions.ahead.is_some());
        calls || migrates || self.indexes.builds_unique()
    }

    /// The same with other indexes.
    pub(crate) fn with_indexes(&self, indexes: Indexes) -> Self {
        Self {
            indexes,
            kept: None,
            ..self.clone()
        }
    }

    /// The same with other schema versions.
    pub(crate) fn with_versions(&self, versions: Versions) -> Self {
        Self {
            versions: Some(versions),
            kept: None,
            ..self.clone()
        }
    }

    /// The same with other options.
    ///
    /// # Errors
    /// The rules in them make no sense.
    pub(crate) fn with_options(&self, options: RawDocumentBuf) -> Result<Self> {
        Ok(Self {
            indexes: self.indexes.clone(),
            counter: self.counter,
            versions: self.versions,
            ..Self::new(self.tree, options)?
        })
    }

    /// All its trees: that of the documents, those of its indexes, of its counter,
    /// and of a migration under way.
    pub(crate) fn trees(&self) -> impl Iterator<Item = TreeId> + '_ {
        let indexes = self.indexes.iter().map(|index| index.tree);
        std::iter::once(self.tree)
            .chain(indexes)
            .chain(self.counter)
            .chain(self.versions.and_then(|versions| versions.ahead))
    }

    /// The value that is stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let is_plain = self.indexes.is_empty();
        let has_rules = self.rules.is_some() || self.versions.is_some();
        let format = match (has_rules, is_plain) {
            (true, _) => FORMAT_RULES,
            (false, false) => FORMAT_INDEXES,
            (false, true) => FORMAT,
        };
        let mut entry = rawdoc! {
            "format": format,
            "tree": i64::from(self.tree.get()),
            "options": self.options.as_ref().clone(),
        };
        if !is_plain {
            entry.append(bson::raw::cstr!("indexes"), self.indexes.encode());
        }
        if let Some(counter) = self.counter {
            entry.append(bson::raw::cstr!("counter"), i64::from(counter.get()));
        }
        if let Some(versions) = self.versions {
            let mut stored = rawdoc! { "current": versions.current, "base": versions.base };
            if let Some(ahead) = versions.ahead {
                stored.append(bson::raw::cstr!("ahead"), i64::from(ahead.get()));
            }
            entry.append(bson::raw::cstr!("versions"), stored);
        }
        entry.into_bytes()
    }

    /// `hash` is that of the catalog in the state that has the entry.
    fn decode(key: &[u8], bytes: &[u8], hash: u128) -> Result<Self> {
        let corrupt = |what: String| {
            let name = String::from_utf8_lossy(key).replace('\0', " ");
            Error::new(
                ErrorKind::Corruption,
                format!("catalog entry '{}': {what}", name.trim()),
            )
        };
        validate_document(bytes).map_err(|error| corrupt(error.to_string()))?;
        let document = RawDocument::from_bytes(bytes).map_err(|e| corrupt(e.to_string()))?;
        let (mut format, mut tree, mut options, mut indexes) = (None, None, None, None);
        let (mut counter, mut versions) = (None, None);
        for field in document {
            let (name, value) = field.map_err(|error| corrupt(error.to_string()))?;
            match name.as_str() {
                "format" => format = value.as_i32(),
                "tree" => tree = value.as_i64().and_then(|tree| u32::try_from(tree).ok()),
                "options" => options = value.as_document().map(ToOwned::to_owned),
                "indexes" => indexes = value.as_array(),
                "counter" => match value.as_i64().and_then(|tree| u32::try_from(tree).ok()) {
                    Some(tree) => counter = Some(TreeId(tree)),
                    None => return Err(corrupt("'counter' is no tree".into())),
                },
                "versions" => match value.as_document().and_then(decode_versions) {
                    Some(found) => versions = Some(found),
                    None => return Err(corrupt("'versions' are none".into())),
                },
                other => return Err(corrupt(format!("unknown field '{other}'"))),
            }
        }
        let indexes = match (format, indexes) {
            (Some(FORMAT | FORMAT_RULES), None) => Indexes::default(),
            (Some(FORMAT_INDEXES | FORMAT_RULES), Some(indexes)) => Indexes::decode(indexes)
                .map_err(|error| {
                    let kind = error.kind();
                    Error::new(kind, corrupt(error.to_string()).message())
                })?,
            (Some(format), _) if !(FORMAT..=FORMAT_RULES).contains(&format) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    corrupt(format!(
                        "format {format}, expected {FORMAT} to {FORMAT_RULES}"
                    ))
                    .message(),
                ));
            }
            _ => return Err(corrupt("a field is missing or of a wrong type".into())),
        };
        let (Some(tree), Some(options)) = (tree, options) else {
            return Err(corrupt("a field is missing or of a wrong type".into()));
        };
        let entry = Self::new(TreeId(tree), options).map_err(|e| corrupt(e.to_string()))?;
        Ok(Self {
            indexes,
            counter,
            versions,
            kept: Some(Kept {
                tree: system::CATALOG,
                hash,
                key: key.into(),
                value: bytes.into(),
            }),
            ..entry
        })
    }
}

fn decode_versions(stored: &RawDocument) -> Option<Versions> {
    let ahead = match stored.get("ahead").ok()? {
        Some(tree) => Some(TreeId(u32::try_from(tree.as_i64()?).ok()?)),
        None => None,
    };
    Some(Versions {
        current: stored.get_i32("current").ok()?,
        base: stored.get_i32("base").ok()?,
        ahead,
    })
}

/// An entry as it is stored under `key`.
pub(crate) fn decode_entry(key: &[u8], bytes: &[u8]) -> Result<Entry> {
    Entry::decode(key, bytes, 0)
}

/// The key of a collection's entry.
pub(crate) fn key_of(namespace: &Namespace) -> Vec<u8> {
    let mut key = database_prefix(&namespace.database);
    key.extend_from_slice(namespace.collection.as_bytes());
    key.push(0);
    key
}

/// With what every key of a database begins; by itself no key, for its deletion
/// says that the database was dropped.
pub(crate) fn database_prefix(database: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(database.len() + 32);
    key.extend_from_slice(database.as_bytes());
    key.push(0);
    key
}

/// A collection's entry in this snapshot.
pub(crate) fn entry_in(snapshot: &Snapshot, namespace: &Namespace) -> Result<Option<Entry>> {
    let key = key_of(namespace);
    let catalog = snapshot.tree(system::CATALOG)?;
    let hash = catalog.stats().hash;
    let entry = catalog.with_value(&key, |bytes| Entry::decode(&key, bytes, hash))?;
    entry.transpose()
}

/// All collections in this snapshot, or those of one database, in order of name.
pub(crate) fn entries_in(
    snapshot: &Snapshot,
    database: Option<&str>,
) -> Result<Vec<(Namespace, Entry)>> {
    let range = database.map_or_else(KeyRange::all, |database| {
        KeyRange::prefix(&database_prefix(database))
    });
    let mut cursor = snapshot.cursor(system::CATALOG, range)?;
    let mut entries = Vec::new();
    while let Some((key, value)) = cursor.next()? {
        entries.push((parse_key(key)?, Entry::decode(key, value, 0)?));
    }
    Ok(entries)
}

/// The names in the key of an entry.
pub(crate) fn parse_key(key: &[u8]) -> Result<Namespace> {
    let names = std::str::from_utf8(key).ok().and_then(|text| {
        let (database, rest) = text.split_once('\0')?;
        Some((database, rest.strip_suffix('\0')?))
    });
    let Some((database, collection)) = names else {
        let message = format!("catalog has a key of no name: {key:02x?}");
        return Err(Error::new(ErrorKind::Corruption, message));
    };
    Ok(Namespace {
        database: database.into(),
        collection: collection.into(),
    })
}

/// The name in what stands for a whole database: see [`database_prefix`].
pub(crate) fn parse_database_key(key: &[u8]) -> Option<String> {
    let name = key.strip_suffix(&[0])?;
    let name = std::str::from_utf8(name).ok()?;
    (!name.contains('\0')).then(|| name.to_owned())
}

/// The cache, and the order of those who change the catalog.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    cache: RwLock<HashMap<Namespace, Entry>>,
    epoch: AtomicU64,
    changing: Mutex<()>,
}

/// The exclusive right to drop and rename; on drop the cache starts anew.
#[derive(Debug)]
pub(crate) struct CatalogChange<'a> {
    catalog: &'a Catalog,
    _changing: MutexGuard<'a, ()>,
}

impl Drop for CatalogChange<'_> {
    fn drop(&mut self) {
        self.catalog.cache.write().clear();
        self.catalog.epoch.fetch_add(1, Ordering::SeqCst);
    }
}

impl Catalog {
    /// Begins a change: nothing is taken from the cache until it is over.
    pub(crate) fn change(&self) -> CatalogChange<'_> {
        let changing = self.changing.lock();
        self.epoch.fetch_add(1, Ordering::SeqCst);
        CatalogChange {
            catalog: self,
            _changing: changing,
        }
    }

    /// What `take` makes of the newest state (a snapshot, a transaction), and
    /// the collection's entry in the snapshot of it.
    pub(crate) fn with<T>(
        &self,
        namespace: &Namespace,
        take: impl FnOnce() -> cs_kv::Result<T>,
        snapshot: impl FnOnce(&T) -> &Snapshot,
    ) -> Result<(T, Option<Entry>)> {
        let before = self.epoch.load(Ordering::SeqCst);
        let taken = take()?;
        if let Some(entry) = self.cached(namespace, before) {
            return Ok((taken, Some(entry)));
        }
        let entry = self.load(snapshot(&taken), namespace, before)?;
        Ok((taken, entry))
    }

    /// The collection's newest visible entry.
    pub(crate) fn entry(&self, store: &Store, namespace: &Namespace) -> Result<Option<Entry>> {
        let before = self.epoch.load(Ordering::SeqCst);
        if let Some(entry) = self.cached(namespace, before) {
            return Ok(Some(entry));
        }
        self.load(&store.snapshot()?, namespace, before)
    }

    /// The collection's newest visible entry, if it has rules.
    pub(crate) fn ruled(&self, store: &Store, namespace: &Namespace) -> Result<Option<Entry>> {
        let before = self.epoch.load(Ordering::SeqCst);
        let known = self.cache.read().get(namespace).map(|entry| {
            let has_rules = entry.rules.is_some();
            has_rules.then(|| entry.clone())
        });
        match known {
            Some(known) if self.is_settled(before) => Ok(known),
            _ => {
                let entry = self.entry(store, namespace)?;
                Ok(entry.filter(|entry| entry.rules.is_some()))
            }
        }
    }

    fn cached(&self, namespace: &Namespace, before: u64) -> Option<Entry> {
        let entry = self.cache.read().get(namespace).cloned()?;
        self.is_settled(before).then_some(entry)
    }

    fn load(
        &self,
        snapshot: &Snapshot,
        namespace: &Namespace,
        before: u64,
    ) -> Result<Option<Entry>> {
        // Names are checked where they are not known yet.
        namespace.check()?;
        let entry = entry_in(snapshot, namespace)?;
        if let Some(entry) = &entry {
            let mut cache = self.cache.write();
            if self.is_settled(before) {
                cache.insert(namespace.clone(), entry.clone());
            }
        }
        Ok(entry)
    }

    /// Whether no change was under way at `before` nor has begun since.
    fn is_settled(&self, before: u64) -> bool {
        before.is_multiple_of(2) && self.epoch.load(Ordering::SeqCst) == before
    }
}

#[cfg(test)]
mod tests;
