//! Which trees there are, where they begin, and which were dropped.

use std::collections::BTreeMap;

use cs_kv::system;

use crate::error::Result;
use crate::owners::{Owners, name_of_key, tree_of_entry};
use crate::roots;

use super::Rescue;
use crate::commands::salvage::gather::{From, Roots, gather};

impl Rescue<'_> {
    /// The state before the newest, where the log leads on from there.
    fn older(&self) -> Option<Owners> {
        let older = self.source.older?;
        let leads = self.log.has_log && self.log.whole_from <= older.lsn;
        leads.then(|| Owners::read(&self.source.file, &older))
    }

    /// Which trees there are, and where they begin.
    pub(super) fn find_trees(&mut self) -> Result<BTreeMap<u32, Roots>> {
        let older = self.older();
        let older_root = |tree: u32| {
            older
                .as_ref()
                .and_then(|older| older.roots.get(&tree).copied())
        };
        let newest = match &self.source.root {
            Some(root) => {
                let version = root.version;
                self.salvaged.state = format!(
                    "of the newest valid meta, version {version}, lsn {}",
                    root.lsn
                );
                roots::directory(root).ok()
            }
            None => {
                let found = self.source.find_directory();
                self.salvaged.state = match &found {
                    Some(found) => format!(
                        "neither meta is valid; the newest directory found, page {}, version {}",
                        found.page.page, found.page.version
                    ),
                    None => "neither meta is valid, and no directory was found".to_owned(),
                };
                self.salvaged.is_doubtful = true;
                found
            }
        };
        let directory_roots = Roots {
            newest,
            older: older_root(system::DIRECTORY.0),
            is_stale: false,
        };
        let mut found: BTreeMap<u32, Roots> = BTreeMap::new();
        let has_map = self.source.has_map;
        let mut sink = |from: From, key: Vec<u8>, value: Vec<u8>| {
            if let Some(tree) = roots::tree_of_key(&key)
                && let Ok(root) = roots::decode(tree, &value)
            {
                let older = older_root(tree.0);
                // An older root would do, but pages in use are newer.
                let newest = Some(root).filter(|_| from != From::Older || !has_map);
                let is_stale = from != From::Tree && !has_map;
                let roots = Roots {
                    newest,
                    older,
                    is_stale,
                };
                found.insert(tree.0, roots);
            }
            Ok(())
        };
        self.directory = gather(self.source, system::DIRECTORY, directory_roots, &mut sink)?;
        let dropped_is_broken = self.find_dropped(found.remove(&system::DROPPED.0))?;
        let catalog = found.get(&system::CATALOG.0).copied();
        let catalog = catalog.or_else(|| self.is_missing(system::CATALOG.0).then_some(NOWHERE));
        if let Some(roots) = catalog {
            found.insert(system::CATALOG.0, roots);
        }
        let catalog_is_broken = self.read_names(catalog)?;
        for tree in self.source.trees().collect::<Vec<_>>() {
            let is_own = tree == system::DIRECTORY.0 || tree == system::DROPPED.0;
            if is_own || found.contains_key(&tree) || self.dropped.contains(&tree) {
                continue;
            }
            let is_known =
                tree < system::FIRST_USER || self.named.contains_key(&tree) || catalog_is_broken;
            let is_missing = self.is_missing(tree);
            let counts = match has_map {
                // In use, and in no list: what the directory lacks, unless it
                // may be one of the trees that were dropped.
                true => is_missing || !dropped_is_broken,
                // It may have been dropped long ago.
                false => is_missing && is_known,
            };
            if counts {
                found.insert(tree, NOWHERE);
            }
        }
        Ok(found)
    }

    /// Whether the directory lacks the place where the tree would be.
    fn is_missing(&self, tree: u32) -> bool {
        let key = tree.to_be_bytes();
        self.directory
            .broken
            .iter()
            .any(|range| range.contains(&key))
    }

    /// Which trees were dropped and still have pages; whether some are missing.
    fn find_dropped(&mut self, roots: Option<Roots>) -> Result<bool> {
        let missing = self.is_missing(system::DROPPED.0).then_some(NOWHERE);
        let Some(roots) = roots.or(missing) else {
            return Ok(false);
        };
        let dropped = &mut self.dropped;
        let gathered = gather(self.source, system::DROPPED, roots, &mut |_, key, _| {
            dropped.extend(roots::tree_of_key(&key).map(|tree| tree.0));
            Ok(())
        })?;
        Ok(!gathered.broken.is_empty())
    }

    /// The names of trees; whether some are missing.
    fn read_names(&mut self, catalog: Option<Roots>) -> Result<bool> {
        let Some(roots) = catalog else {
            return Ok(false);
        };
        let named = &mut self.named;
        let gathered = gather(self.source, system::CATALOG, roots, &mut |_, key, value| {
            if let (Some(name), Some(tree)) = (name_of_key(&key), tree_of_entry(&value)) {
                named.insert(tree, name);
            }
            Ok(())
        })?;
        Ok(!gathered.broken.is_empty() || roots.newest.is_none() || roots.is_stale)
    }
}

/// A tree whose root nobody knows.
const NOWHERE: Roots = Roots {
    newest: None,
    older: None,
    is_stale: false,
};
