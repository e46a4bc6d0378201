//! The newest state of a database, its log included, in memory.
//!
//! The database is opened as if to be used, but on an overlay: recovery, and
//! whatever else an open database writes, stays in memory.

use std::sync::Arc;

use collection_store::{Database, Durability};
use cs_base::Incarnation;
use cs_io::overlay::OverlayDisk;
use cs_io::{Disk, OpenMode, RealRuntime};
use cs_kv::{Snapshot, Store};
use cs_pager::Membership;
use cs_pager::format::{DATA_FILE, META_OFFSETS};

use crate::error::{InspectError, Result};
use crate::pages::PageFile;
use crate::place::{Metas, Place};

/// Whether the log is part of what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Log {
    /// The state that an open would come to.
    Replay,
    /// The state of the last checkpoint: for when the log cannot be read.
    Ignore,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct View {
    database: Database,
    disk: Arc<OverlayDisk>,
}

impl View {
    /// Opens the database as it is now.
    pub(crate) fn open(place: &Place, log: Log) -> Result<Self> {
        let disk = place.overlay();
        let metas = Metas::read(&*disk)?;
        let has_log = metas.newest()?.root.log_incarnation > Incarnation(0);
        adapt(&*disk, &metas, log)?;
        let durability = if has_log && log == Log::Replay {
            Durability::Sync
        } else {
            Durability::Memory
        };
        let options = Database::options().durability(durability);
        let opened = options.open_on(disk.clone(), RealRuntime::new());
        Ok(Self {
            database: opened.map_err(InspectError::suspect)?,
            disk,
        })
    }

    /// The database.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// The trees beneath.
    pub(crate) fn store(&self) -> &Store {
        self.database.store()
    }

    /// Its state.
    pub(crate) fn snapshot(&self) -> Result<Snapshot> {
        self.store().snapshot().map_err(InspectError::suspect)
    }

    /// The pages of this very state, log included, one by one.
    pub(crate) fn pages(&self) -> Result<PageFile> {
        self.store().checkpoint().map_err(InspectError::suspect)?;
        PageFile::open(&*self.disk)
    }
}

/// Makes the copy in the overlay one that may be opened: a database of its own
/// even where it is a node's of a cluster, and without a log where that is not
/// to be read.
fn adapt(disk: &dyn Disk, metas: &Metas, log: Log) -> Result<()> {
    let file = disk
        .open(DATA_FILE, OpenMode::ReadWrite)
        .map_err(InspectError::suspect)?;
    for (meta, offset) in metas.slots.iter().zip(META_OFFSETS) {
        let Ok(meta) = meta else { continue };
        let mut adapted = *meta;
        adapted.membership = Membership::default();
        if log == Log::Ignore {
            adapted.root.log_incarnation = Incarnation(0);
        }
        if adapted != *meta {
            file.write_at(&adapted.encode(), offset)
                .map_err(InspectError::suspect)?;
        }
    }
    Ok(())
}
