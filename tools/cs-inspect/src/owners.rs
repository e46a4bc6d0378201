//! Whose the trees of a data file are, as far as it can be read.

use std::collections::BTreeMap;

use bson::RawDocument;
use cs_base::TreeId;
use cs_kv::node::{Leaf, ValueRef};
use cs_kv::{TreeRoot, system};
use cs_pager::RootRecord;

use crate::pages::PageFile;
use crate::roots;
use crate::runs;
use crate::walk::{Go, Visit, walk};

/// Trees by id, and the collections that they hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    /// Where each tree begins, the directory included.
    pub(crate) roots: BTreeMap<u32, TreeRoot>,
    /// Trees that were dropped and still have pages.
    pub(crate) dropped: BTreeMap<u32, TreeRoot>,
    /// `database.collection` of each tree that the catalog names.
    pub(crate) collections: BTreeMap<u32, String>,
    /// The same of each tree that is an index, with its name.
    pub(crate) indexes: BTreeMap<u32, String>,
}

impl Owners {
    /// Reads what a state says. What cannot be read is left out.
    pub(crate) fn read(file: &PageFile, root: &RootRecord) -> Self {
        let mut owners = Self::default();
        let Ok(directory) = roots::directory(root) else {
            return owners;
        };
        owners.roots.insert(system::DIRECTORY.0, directory);
        entries(file, system::DIRECTORY, &directory, &mut |key, value| {
            if let Some(tree) = roots::tree_of_key(key)
                && let Ok(root) = roots::decode(tree, value)
            {
                owners.roots.insert(tree.0, root);
            }
        });
        if let Some(root) = owners.roots.get(&system::DROPPED.0).copied() {
            entries(file, system::DROPPED, &root, &mut |key, value| {
                if let Some(tree) = roots::tree_of_key(key)
                    && let Ok(root) = roots::decode(tree, value)
                {
                    owners.dropped.insert(tree.0, root);
                }
            });
        }
        if let Some(root) = owners.roots.get(&system::CATALOG.0).copied() {
            entries(file, system::CATALOG, &root, &mut |key, value| {
                if let (Some(name), Some(tree)) = (name_of_key(key), tree_of_entry(value)) {
                    for (tree, what) in helpers_of_entry(value) {
                        owners.indexes.insert(tree, format!("{name} ({what})"));
                    }
                    for (tree, index) in indexes_of_entry(value) {
                        owners
                            .indexes
                            .insert(tree, format!("{name} (index {index})"));
                    }
                    owners.collections.insert(tree, name);
                }
            });
        }
        owners
    }

    /// The name of a tree for people.
    pub(crate) fn name(&self, tree: u32) -> String {
        let named = self.collections.get(&tree);
        if let Some(name) = named.or_else(|| self.indexes.get(&tree)) {
            return name.clone();
        }
        match TreeId(tree) {
            system::DIRECTORY => "(directory)".to_owned(),
            system::DROPPED => "(dropped trees)".to_owned(),
            system::SESSIONS => "(sessions)".to_owned(),
            system::CATALOG => "(catalog)".to_owned(),
            system::PREPARED => "(prepared transactions)".to_owned(),
            system::DECIDED => "(decided transactions)".to_owned(),
            system::SNAPSHOTS => "(named snapshots)".to_owned(),
            _ if self.dropped.contains_key(&tree) => format!("(dropped tree {tree})"),
            _ => format!("tree {tree}"),
        }
    }
}

/// Every entry of a tree that can be read whole.
fn entries(file: &PageFile, tree: TreeId, root: &TreeRoot, each: &mut dyn FnMut(&[u8], &[u8])) {
    let mut visit = |visit: Visit<'_>| {
        if let Visit::Node(place, bytes) = visit
            && place.level == 0
        {
            let leaf = Leaf::new(bytes);
            let mut key = Vec::new();
            for slot in 0..leaf.len() {
                leaf.key(slot, &mut key);
                if let Some(run) = leaf.key_overflow(slot) {
                    let Ok(whole) = runs::read_key(file, tree, &run) else {
                        continue;
                    };
                    key = whole;
                }
                match leaf.value(slot) {
                    ValueRef::Inline(value) => each(&key, value),
                    ValueRef::Overflow(run) => {
                        if let Ok(value) = runs::read_value(file, tree, &run) {
                            each(&key, &value);
                        }
                    }
                }
            }
        }
        Ok::<_, std::convert::Infallible>(Go::Down)
    };
    let Ok(()) = walk(file, tree, root, &|_| true, &mut visit);
}

/// `database.collection` of a key of the catalog.
pub(crate) fn name_of_key(key: &[u8]) -> Option<String> {
    let (database, rest) = std::str::from_utf8(key).ok()?.split_once('\0')?;
    Some(format!("{database}.{}", rest.strip_suffix('\0')?))
}

/// The tree that an entry of the catalog names.
pub(crate) fn tree_of_entry(value: &[u8]) -> Option<u32> {
    let document = RawDocument::from_bytes(value).ok()?;
    let tree = document.get("tree").ok()??.as_i64()?;
    u32::try_from(tree).ok()
}

/// The trees that a collection has beside documents and indexes, and what they hold.
pub(crate) fn helpers_of_entry(value: &[u8]) -> Vec<(u32, &'static str)> {
    let Ok(document) = RawDocument::from_bytes(value) else {
        return Vec::new();
    };
    let versions = document.get_document("versions").ok();
    let ahead = versions.and_then(|versions| versions.get_i64("ahead").ok());
    let found = [
        (document.get_i64("counter").ok(), "its counter"),
        (ahead, "its notes of a migration"),
    ];
    let trees = found.into_iter();
    trees
        .filter_map(|(tree, what)| Some((u32::try_from(tree?).ok()?, what)))
        .collect()
}

/// The trees of a collection's indexes, and their names.
pub(crate) fn indexes_of_entry(value: &[u8]) -> Vec<(u32, String)> {
    let read = || -> Option<Vec<(u32, String)>> {
        let document = RawDocument::from_bytes(value).ok()?;
        let array = document.get("indexes").ok()??.as_array()?;
        let mut indexes = Vec::new();
        for index in array {
            let index = index.ok()?.as_document()?;
            let tree = u32::try_from(index.get_i64("tree").ok()?).ok()?;
            let spec = index.get_document("spec").ok()?;
            indexes.push((tree, spec.get_str("name").ok()?.to_owned()));
        }
        Some(indexes)
    };
    read().unwrap_or_default()
}
