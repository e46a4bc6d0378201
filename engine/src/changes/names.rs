//! Which tree was which collection at a moment of the history.
//!
//! It begins with the catalog of a snapshot and follows the catalog's own effects
//! from there on. For a moment further back the effects since are taken back,
//! newest first: each says what it replaced.

use std::collections::BTreeMap;

use cs_kv::base::TreeId;
use cs_kv::base::codec::decode;
use cs_kv::limits::MAX_VALUE;
use cs_kv::{ChangeRecord, Effect, Snapshot, system};

use crate::catalog::{decode_entry, entries_in, key_of, parse_key};
use crate::error::{Error, ErrorKind, Result};
use crate::names::Namespace;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_tree: BTreeMap<TreeId, Namespace>,
    by_key: BTreeMap<Vec<u8>, TreeId>,
}

/// An effect on the catalog: the key, and the value before it.
#[derive(Debug)]
pub(super) struct Replaced {
    key: Vec<u8>,
    before: Option<Vec<u8>>,
}

impl Names {
    /// Those of a state.
    pub(super) fn of(snapshot: &Snapshot) -> Result<Self> {
        let mut names = Self::default();
        for (namespace, entry) in entries_in(snapshot, None)? {
            names.put(key_of(&namespace), namespace, entry.tree);
        }
        Ok(names)
    }

    /// The collection whose documents this tree holds.
    pub(super) fn collection(&self, tree: TreeId) -> Option<&Namespace> {
        self.by_tree.get(&tree)
    }

    /// A collection has this name; what had it before is gone.
    pub(super) fn put(&mut self, key: Vec<u8>, namespace: Namespace, tree: TreeId) {
        if let Some(before) = self.by_key.insert(key, tree)
            && before != tree
        {
            self.by_tree.remove(&before);
        }
        self.by_tree.insert(tree, namespace);
    }

    /// No collection has this name any more; which had it.
    pub(super) fn remove(&mut self, key: &[u8]) -> Option<(TreeId, Namespace)> {
        let tree = self.by_key.remove(key)?;
        Some((tree, self.by_tree.remove(&tree)?))
    }

    /// Takes effects back, newest first.
    pub(super) fn take_back(&mut self, replaced: Vec<Replaced>) -> Result<()> {
        for Replaced { key, before } in replaced.into_iter().rev() {
            self.remove(&key);
            if let Some(before) = before {
                let tree = decode_entry(&key, &before)?.tree;
                let namespace = parse_key(&key)?;
                self.put(key, namespace, tree);
            }
        }
        Ok(())
    }
}

/// The value of a put, unpacked.
pub(super) fn unpacked(block: &[u8]) -> Result<Vec<u8>> {
    let value = decode(block, MAX_VALUE).map_err(|error| {
        let message = format!("a value in a record of the log: {error}");
        Error::new(ErrorKind::Corruption, message)
    })?;
    Ok(value.into_owned())
}

/// Adds what a commit did to the catalog.
pub(super) fn add_replaced(record: &ChangeRecord, list: &mut Vec<Replaced>) -> Result<()> {
    let mut effects = record.effects()?;
    let mut before = None;
    while let Some(effect) = effects.next() {
        let effect = effect?;
        if effect.tree() != system::CATALOG {
            continue;
        }
        let (key, is_put) = match effect {
            Effect::Before { value, .. } => {
                before = Some(value.to_vec());
                continue;
            }
            Effect::Put { key, .. } | Effect::PutPacked { key, .. } => (key, true),
            Effect::Delete { key, .. } => (key, false),
            Effect::CreateTree { .. } | Effect::DropTree { .. } => continue,
        };
        let before = before.take();
        if before.is_none() && !effects.was_absent() {
            let message = format!(
                "commit {} does not tell what it changed in the catalog",
                record.index
            );
            return Err(Error::new(ErrorKind::ChangesLost, message));
        }
        // What deletes a key that was not there changes nothing.
        if is_put || before.is_some() {
            let key = key.to_vec();
            list.push(Replaced { key, before });
        }
    }
    Ok(())
}
