//! The directory of a database, opened to look at it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cs_io::Disk;
use cs_io::overlay::OverlayDisk;
use cs_io::sys::SysDisk;
use cs_pager::Meta;
use cs_pager::format::{DATA_FILE, META_OFFSETS};

use crate::error::{InspectError, Result};
use crate::finding::Finding;

/// A directory that has a data file.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    disk: Arc<SysDisk>,
}

impl Place {
    /// Opens `path` for reading only.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let disk = SysDisk::open_read_only(path)
            .map_err(|error| InspectError::Unreadable(error.to_string()))?;
        let names = disk
            .list()
            .map_err(|error| InspectError::Unreadable(error.to_string()))?;
        if !names.iter().any(|name| name == DATA_FILE) {
            let path = path.display();
            let text = format!("{path} is not a database: it has no file {DATA_FILE}");
            return Err(InspectError::Unreadable(text));
        }
        Ok(Self {
            path: path.to_owned(),
            disk,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The files themselves, which cannot be changed through this.
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        self.disk.clone()
    }

    /// The files, with changes that stay in memory.
    pub(crate) fn overlay(&self) -> Arc<OverlayDisk> {
        OverlayDisk::new(self.disk())
    }

    /// The metas as they are now.
    pub(crate) fn metas(&self) -> Result<Metas> {
        Metas::read(&*self.disk)
    }
}

/// Both metas of a data file, valid or not.
#[derive(Clone, Debug)]
pub(crate) struct Metas {
    /// By slot.
    pub(crate) slots: [Result<Meta, String>; 2],
    newest: Option<usize>,
}

impl Metas {
    /// Reads them.
    pub(crate) fn read(disk: &dyn Disk) -> Result<Self> {
        let file = cs_pager::open_file(disk).map_err(InspectError::suspect)?;
        let slots = cs_pager::read_metas(&*file).map_err(InspectError::suspect)?;
        let sequence = |slot: usize| slots[slot].as_ref().ok().map(|meta| meta.sequence);
        let newest = (0..2)
            .filter(|&slot| sequence(slot).is_some())
            .max_by_key(|&s| sequence(s));
        Ok(Self { slots, newest })
    }

    /// Slot of the newest valid one.
    pub(crate) fn newest_slot(&self) -> Option<usize> {
        self.newest
    }

    /// The newest valid one.
    pub(crate) fn newest(&self) -> Result<&Meta> {
        let newest = self.newest.and_then(|slot| self.slots[slot].as_ref().ok());
        newest.ok_or_else(|| {
            let why: Vec<_> = self
                .findings()
                .iter()
                .map(|finding| finding.text.clone())
                .collect();
            InspectError::Suspect(format!("neither meta is valid: {}", why.join("; ")))
        })
    }

    /// The older one, where both are valid.
    pub(crate) fn older(&self) -> Option<&Meta> {
        self.slots[1 - self.newest?].as_ref().ok()
    }

    /// What is wrong with them.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let page_size = self
            .slots
            .iter()
            .flatten()
            .map(|meta| u64::from(meta.page_size))
            .next();
        let mut findings = Vec::new();
        for ((slot, meta), offset) in self.slots.iter().enumerate().zip(META_OFFSETS) {
            if let Err(why) = meta {
                let page = page_size.map_or(0, |size| offset / size);
                let text = format!("meta {slot} (page {page}, byte {offset}) is not valid: {why}");
                findings.push(Finding::new("meta-invalid", text).on_page(page));
            }
        }
        findings
    }
}
