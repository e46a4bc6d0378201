//! Which collections there are.

use collection_store::DatabaseSnapshot;
use cs_base::TreeId;
use cs_kv::{Snapshot, TreeStats};

use crate::error::{InspectError, Result};
use crate::view::View;

/// A collection, and its tree.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Name of its database.
    pub(crate) database: String,
    /// Its own.
    pub(crate) name: String,
    /// The tree with its documents.
    pub(crate) tree: TreeId,
}

impl Entry {
    /// Both names.
    pub(crate) fn full_name(&self) -> String {
        format!("{}.{}", self.database, self.name)
    }

    /// What its tree holds; `None` if there is no such tree.
    pub(crate) fn stats(&self, snapshot: &Snapshot) -> Result<Option<TreeStats>> {
        snapshot
            .tree_stats(self.tree)
            .map_err(InspectError::suspect)
    }
}

/// All collections of all databases, in order of name.
pub(crate) fn all(view: &View) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for database in view
        .database()
        .list_databases()
        .map_err(InspectError::suspect)?
    {
        let named = view.database().database(&database);
        for info in named.list_collections().map_err(InspectError::suspect)? {
            let (database, tree) = (database.clone(), TreeId(info.id));
            entries.push(Entry {
                database,
                name: info.name,
                tree,
            });
        }
    }
    Ok(entries)
}

/// All collections that a named snapshot has. Its name is part of theirs, for
/// whoever reads of them.
pub(crate) fn as_of(snapshot: &DatabaseSnapshot) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for name in snapshot.list_databases().map_err(InspectError::suspect)? {
        let database = format!("snapshot '{}': {name}", snapshot.name());
        let named = snapshot.database(&name);
        for info in named.list_collections().map_err(InspectError::suspect)? {
            entries.push(Entry {
                database: database.clone(),
                name: info.name,
                tree: TreeId(info.id),
            });
        }
    }
    Ok(entries)
}

/// One collection.
pub(crate) fn find(view: &View, database: &str, name: &str) -> Result<Entry> {
    let entries = all(view)?;
    let found = entries
        .iter()
        .find(|entry| entry.database == database && entry.name == name);
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = entries.iter().map(Entry::full_name).collect();
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        InspectError::Usage(format!(
            "there is no collection {database}.{name}; there are: {known}"
        ))
    })
}
