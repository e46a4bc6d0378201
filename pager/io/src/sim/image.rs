//! A disk after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::content::Content;
use super::journal::FileNumber;
use super::unsynced::FileState;

pub(super) type Names = BTreeMap<Arc<str>, FileNumber>;

/// A change of the directory that no sync has covered.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Create { name: Arc<str>, file: FileNumber },
    Remove { name: Arc<str>, file: FileNumber },
    Rename { to: Arc<str>, file: FileNumber },
}

impl NameChange {
    pub(super) fn apply(&self, names: &mut Names) {
        match self {
            Self::Create { name, file } => {
                names.insert(Arc::clone(name), *file);
            }
            Self::Remove { name, file } => {
                if names.get(name) == Some(file) {
                    names.remove(name);
                }
            }
            // Wherever the file was, it is at the new name now, and only there.
            Self::Rename { to, file } => {
                names.retain(|_, other| other != file);
                names.insert(Arc::clone(to), *file);
            }
        }
    }

    fn file(&self) -> FileNumber {
        match self {
            Self::Create { file, .. } | Self::Remove { file, .. } | Self::Rename { file, .. } => {
                *file
            }
        }
    }
}

/// The directory as a crash sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Directory {
    pub(super) durable: Names,
    pub(super) unsynced: Vec<NameChange>,
    /// A sync of it failed: nothing more becomes durable.
    pub(super) failed: bool,
}

impl Directory {
    pub(super) fn visible(&self) -> Names {
        let mut names = self.durable.clone();
        for change in &self.unsynced {
            change.apply(&mut names);
        }
        names
    }

    pub(super) fn sync_ended(&mut self, ok: bool) {
        self.failed |= !ok;
        if !self.failed {
            for change in std::mem::take(&mut self.unsynced) {
                change.apply(&mut self.durable);
            }
        }
    }

    /// Every file that a crash can still show.
    pub(super) fn reachable(&self) -> BTreeSet<FileNumber> {
        let unsynced = self.unsynced.iter().map(NameChange::file);
        self.durable.values().copied().chain(unsynced).collect()
    }
}

/// What a crash left: boots with [`SimDisk::from_image`](super::SimDisk::from_image).
/// After a crash of the process alone it still has unsynced state, which a
/// later crash of the machine can take. Cheap to clone: blocks are shared.
#[derive(Clone, Debug, Default)]
pub struct SimImage {
    pub(super) files: BTreeMap<FileNumber, FileState>,
    pub(super) directory: Directory,
    pub(super) next_file: u32,
}

impl SimImage {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Visible file names, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.directory
            .visible()
            .keys()
            .map(|name| name.as_ref().to_owned())
            .collect()
    }

    /// Visible bytes of a file.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        let file = *self.directory.visible().get(name)?;
        Some(self.files.get(&file)?.visible().to_vec())
    }

    /// Replaces a file, or makes a new one, durably: for damage that no
    /// protocol causes (flipped bits, cut, swapped or stale pages).
    pub fn put(&mut self, name: &str, bytes: &[u8]) {
        let file = match self.directory.visible().get(name) {
            Some(&file) => file,
            None => self.add_name(name),
        };
        let mut content = Content::default();
        content.write(bytes, 0);
        self.files.insert(file, FileState::settled(content));
    }

    /// Removes a file, durably.
    pub fn remove(&mut self, name: &str) {
        self.directory.durable = self.directory.visible();
        self.directory.unsynced.clear();
        self.directory.durable.remove(name);
    }

    fn add_name(&mut self, name: &str) -> FileNumber {
        let file = FileNumber(self.next_file);
        self.next_file += 1;
        self.directory.durable = self.directory.visible();
        self.directory.unsynced.clear();
        self.directory.durable.insert(name.into(), file);
        file
    }
}
