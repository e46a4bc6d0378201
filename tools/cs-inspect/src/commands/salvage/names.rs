//! Names and trees that have lost each other.
//!
//! Invariant: afterwards every collection of the new database has a tree, and
//! no two have the same.

use std::collections::BTreeMap;

use bson::{RawDocument, RawDocumentBuf, rawdoc};
use cs_base::TreeId;
use cs_kv::system;

use crate::documents;
use crate::error::Result;
use crate::owners::{helpers_of_entry, indexes_of_entry, name_of_key, tree_of_entry};

use super::rescue::{Rescue, Tree};
use super::target::Target;

/// The database that takes collections whose names are lost.
const DATABASE: &str = "salvaged";
/// Format of an entry of the catalog; see the FORMAT.md of collection-store.
const FORMAT: i32 = 1;

/// The collections of the new database, by tree.
pub(super) fn all(target: &mut Target) -> Result<BTreeMap<u32, String>> {
    let mut names = BTreeMap::new();
    target.for_each(system::CATALOG, &mut |key, value| {
        if let (Some(name), Some(tree)) = (name_of_key(key), tree_of_entry(value)) {
            names.insert(tree, name);
        }
        true
    })?;
    Ok(names)
}

/// Step 5 of a salvage.
pub(super) fn mend(rescue: &mut Rescue<'_>) -> Result<()> {
    let mut entries: Vec<(Vec<u8>, Option<u32>)> = Vec::new();
    let mut indexed: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut helpers: Vec<(Vec<u8>, u32, &str)> = Vec::new();
    rescue.target.for_each(system::CATALOG, &mut |key, value| {
        entries.push((key.to_vec(), tree_of_entry(value)));
        for (tree, what) in helpers_of_entry(value) {
            helpers.push((key.to_vec(), tree, what));
        }
        if !indexes_of_entry(value).is_empty() {
            indexed.push((key.to_vec(), value.to_vec()));
        }
        true
    })?;
    for (key, value) in indexed {
        drop_indexes(rescue, key, &value)?;
    }
    let mut named: BTreeMap<u32, String> = BTreeMap::new();
    for (key, tree) in entries {
        let name = name_of_key(&key).unwrap_or_default();
        let Some(tree) = tree else { continue };
        if let Some(other) = named.get(&tree) {
            let note = format!("collection {name} is left out: its tree {tree} is that of {other}");
            rescue.salvaged.notes.push(note);
            rescue.salvaged.is_doubtful = true;
            rescue.target.delete(system::CATALOG, key)?;
            continue;
        }
        if !rescue.target.has(TreeId(tree)) {
            let note = format!("collection {name} is empty: nothing of its tree {tree} was found");
            rescue.salvaged.notes.push(note);
            rescue.salvaged.is_doubtful = true;
            rescue.target.ensure(TreeId(tree));
            rescue.trees.insert(tree, Tree::default());
        }
        named.insert(tree, name);
    }
    for (key, tree, what) in helpers {
        let name = name_of_key(&key).unwrap_or_default();
        if !rescue.target.has(TreeId(tree)) {
            let note = format!("collection {name}: nothing of {what}, tree {tree}, was found");
            rescue.salvaged.notes.push(note);
            rescue.salvaged.is_doubtful = true;
            rescue.target.ensure(TreeId(tree));
            rescue.trees.insert(tree, Tree::default());
        }
        named.insert(tree, name);
    }
    if !rescue.has_lost_names() {
        return Ok(());
    }
    for tree in rescue.target.trees() {
        if !named.contains_key(&tree) {
            give_name(rescue, TreeId(tree), &format!("tree_{tree}"))?;
        }
    }
    Ok(())
}

/// Indexes are made of documents, of which some may be lost: they go, and are told of.
fn drop_indexes(rescue: &mut Rescue<'_>, key: Vec<u8>, value: &[u8]) -> Result<()> {
    let name = name_of_key(&key).unwrap_or_default();
    for (tree, index) in indexes_of_entry(value) {
        let note = format!("collection {name}: index '{index}' is left out, and can be made again");
        rescue.salvaged.notes.push(note);
        rescue.target.drop_tree(TreeId(tree))?;
        rescue.trees.remove(&tree);
    }
    // The same without them. Format 2 says that there are some, 3 that there may be.
    let mut entry = RawDocumentBuf::new();
    for (name, field) in RawDocument::from_bytes(value)
        .into_iter()
        .flatten()
        .flatten()
    {
        match (name.as_str(), field.as_i32()) {
            ("indexes", _) => {}
            ("format", Some(2)) => entry.append(name, FORMAT),
            _ => entry.append(name, field),
        }
    }
    rescue.target.put(system::CATALOG, key, entry.into_bytes())
}

/// A name for entries that were set aside, if they are documents.
pub(super) fn name_stray(rescue: &mut Rescue<'_>, home: TreeId, of: u32) -> Result<()> {
    give_name(rescue, home, &format!("stray_of_tree_{of}"))
}

/// Makes a tree of documents a collection; any other is left as it is.
fn give_name(rescue: &mut Rescue<'_>, tree: TreeId, name: &str) -> Result<()> {
    let mut are_documents = true;
    rescue.target.for_each(tree, &mut |key, value| {
        are_documents = documents::judge(key, value).is_none();
        are_documents
    })?;
    if !are_documents {
        let note =
            format!("tree {tree} has no name, and does not hold documents: it is left a tree");
        rescue.salvaged.notes.push(note);
        return Ok(());
    }
    let key = format!("{DATABASE}\0{name}\0").into_bytes();
    let entry = rawdoc! { "format": FORMAT, "tree": i64::from(tree.0), "options": {} };
    rescue
        .target
        .put(system::CATALOG, key, entry.into_bytes())?;
    let note = format!("tree {tree} had lost its name: it is collection {DATABASE}.{name} now");
    rescue.salvaged.notes.push(note);
    rescue.salvaged.is_doubtful = true;
    Ok(())
}
