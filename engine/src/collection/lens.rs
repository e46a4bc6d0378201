//! Documents read as what a migration will make of them.

use std::sync::Arc;

use super::Collection;
use super::place::{Place, Rows};
use crate::catalog::Entry;
use crate::error::Result;
use crate::migration::{Path, Versions, read_note};

/// A place whose documents are of several versions.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    /// The documents as they are stored.
    pub(super) stored: Place,
    /// Which of them are ahead of the base; all are behind where there is no such tree.
    ahead: Option<Place>,
    versions: Versions,
    path: Arc<Path>,
}

impl Lens {
    /// The document of this key, as the collection's version has it.
    pub(super) fn show(&self, key: &[u8], document: &[u8]) -> Result<Vec<u8>> {
        let from = self.version_of(key)?;
        if from >= self.versions.current {
            return Ok(document.to_vec());
        }
        self.path.migrate(document, from, self.versions.current)
    }

    /// The version in which the document of this key is stored.
    pub(super) fn version_of(&self, key: &[u8]) -> Result<i32> {
        let noted = match &self.ahead {
            Some(ahead) => ahead.with_value(key, read_note)?.transpose()?,
            None => None,
        };
        Ok(noted.unwrap_or(self.versions.base))
    }
}

/// Rows seen through a lens.
#[derive(Debug)]
pub(super) struct Shown {
    rows: Rows,
    lens: Lens,
    key: Vec<u8>,
    document: Vec<u8>,
}

impl Shown {
    pub(super) fn new(rows: Rows, lens: Lens) -> Self {
        Self {
            rows,
            lens,
            key: Vec::new(),
            document: Vec::new(),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        let Some((key, document)) = self.rows.next()? else {
            return Ok(None);
        };
        let document = self.lens.show(key, document)?;
        self.key.clear();
        self.key.extend_from_slice(key);
        self.document = document;
        Ok(Some((&self.key, &self.document)))
    }
}

impl Collection {
    /// A place as operations see it: in the collection's version.
    ///
    /// # Errors
    /// The program does not know the version, or how to come to it.
    pub(super) fn shown(&self, place: Place, entry: &Entry) -> Result<Place> {
        let Some(versions) = entry.versions else {
            return Ok(place);
        };
        let path = self.environment.migrations.of(&self.namespace);
        path.check(&versions)?;
        let Some(tree) = versions.ahead else {
            return Ok(place);
        };
        Ok(Place::Shown(Box::new(Lens {
            ahead: place.sibling(tree)?,
            stored: place,
            versions,
            path: Arc::new(path),
        })))
    }

    /// Refuses to write to a collection whose version the program does not know.
    pub(super) fn check_version(&self, entry: &Entry) -> Result<()> {
        match &entry.versions {
            Some(versions) => self.environment.migrations.check(&self.namespace, versions),
            None => Ok(()),
        }
    }
}
