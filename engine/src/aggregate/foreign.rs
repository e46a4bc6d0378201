//! The other collections that a pipeline reads, all in one state of the database.

use crate::collection::{Collection, Cursor, View};
use crate::context::Watch;
use crate::error::Result;
use crate::filter::Filter;
use crate::index::Hint;
use crate::sort::SortPattern;

use super::rows::{Rows, Run};

/// See the module's text.
pub(crate) struct Foreign {
    collection: Collection,
    snapshot: Option<cs_kv::Snapshot>,
}

/// What is read of a collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scan {
    pub(crate) filter: Option<Filter>,
    pub(crate) sort: Option<SortPattern>,
    pub(crate) limit: Option<u64>,
    pub(crate) hint: Option<Hint>,
}

impl Foreign {
    /// The state that `collection` sees now.
    pub(crate) fn new(collection: Collection) -> Result<Self> {
        let snapshot = collection.state()?;
        Ok(Self {
            collection,
            snapshot,
        })
    }

    /// A collection of this name, in the same database.
    fn named(&self, name: &str) -> Collection {
        self.collection.beside(name)
    }

    /// A collection of this name, of this database or another.
    pub(super) fn elsewhere(&self, database: Option<&str>, name: &str) -> Collection {
        self.collection.elsewhere(database, name)
    }

    /// Whether `_id`, or an index, leads to the documents of which a path has a value.
    pub(super) fn leads_to(&self, name: &str, path: &[u8]) -> Result<bool> {
        if path == b"_id" {
            return Ok(true);
        }
        let Some(entry) = self.view(name)?.entry else {
            return Ok(false);
        };
        Ok(entry.indexes.iter().any(|index| {
            let definition = &index.definition;
            let is_whole = !definition.sparse && !definition.hidden && definition.partial.is_none();
            let first = definition.fields.first();
            index.is_ready() && is_whole && first.is_some_and(|first| *first.path == *path)
        }))
    }

    fn view(&self, name: &str) -> Result<View> {
        self.named(name).view_in(self.snapshot.as_ref())
    }

    /// What a collection holds.
    pub(crate) fn scan(&self, name: &str, scan: &Scan, run: &Run) -> Result<CursorRows> {
        let view = self.view(name)?;
        let watch: Watch = run.watch.clone();
        let filter = scan.filter.clone().unwrap_or_else(Filter::all);
        let filter = filter.with_variables(run.surroundings.variables());
        let cursor = self
            .named(name)
            .scan(view, watch, filter, scan, run.allow_disk_use)?;
        Ok(CursorRows(cursor))
    }
}

/// The documents of a collection.
pub(crate) struct CursorRows(Cursor);

impl Rows for CursorRows {
    fn next(&mut self, _: &Run, row: &mut Vec<u8>) -> Result<bool> {
        let Some(document) = self.0.advance()? else {
            return Ok(false);
        };
        row.clear();
        row.extend_from_slice(document.as_bytes());
        Ok(true)
    }
}
