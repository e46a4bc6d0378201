//! Backups beside the writers of a run, to a disk of their own that crashes
//! with the other: what the crash cut is gone on with, what was finished before
//! it is proven after it, and each is restored and compared with the model.

use std::ops::ControlFlow;
use std::sync::Arc;

use cs_io::memory::MemoryDisk;
use cs_io::sim::{CrashKind, Rng, SimDisk, SimImage, SimOptions};
use cs_io::{Disk, SimRuntime};
use cs_kv::{
    Backup, BackupError, BackupFile, BackupOptions, BackupReader, BackupSummary, Compression,
    Error, RestoreOptions, Store, StoreOptions, VerifiedBackup, restore_stream,
};

use super::hits::Part;
use super::life::Life;
use super::prepared::check_prepared;
use crate::Verdict;
use crate::model::{State, check, check_sessions};
use crate::verdict::ensure;

/// Where backups go, from one phase to the next.
pub(super) struct Copies {
    disk: Arc<SimDisk>,
    under_way: Option<UnderWay>,
    /// The newest finished one, and what is in it.
    finished: Option<(String, Arc<State>)>,
    next: u64,
    /// A crash or a close cut one, and nobody has gone on with it.
    was_cut: bool,
}

struct UnderWay {
    backup: Backup<BackupFile>,
    state: Arc<State>,
    begun: usize,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self {
            disk: SimDisk::from_image(&SimImage::new(), 0, SimOptions::default()),
            under_way: None,
            finished: None,
            next: 0,
            was_cut: false,
        }
    }

    /// The same after the machine or the process crashed.
    pub(super) fn crash(&mut self, rng: &mut Rng, kind: CrashKind) {
        self.was_cut |= self.under_way.take().is_some();
        let image = self.disk.crash(rng, kind);
        self.disk = SimDisk::from_image(&image, rng.draw(), SimOptions::default());
    }

    fn name(&self) -> String {
        format!("copy-{}.csb", self.next)
    }
}

impl Life {
    /// A backup that had been finished before a crash is whole after it.
    pub(super) fn prove_old_copy(&mut self) -> Verdict {
        let Some((name, state)) = self.copies.finished.take() else {
            return Ok(());
        };
        self.restore_copy(&name, &state)
            .map_err(|failure| failure.during("a backup finished before the crash"))?;
        self.hits.count(Part::BackupsAfterCrash, 1);
        Ok(())
    }

    /// Goes on with what was cut, mostly before much has changed.
    pub(super) fn take_up_copy(&mut self) -> Verdict {
        if self.copies.was_cut && self.rng.percent(75) {
            return self.copy();
        }
        Ok(())
    }

    /// Begins a backup or takes up one that a crash cut; at the end of one
    /// under way it is restored.
    pub(super) fn copy(&mut self) -> Verdict {
        if self.copies.under_way.is_some() {
            return self.copy_some();
        }
        let mut options = BackupOptions::default();
        options.chunk_bytes = 4096;
        options.sync_bytes = [1 << 10, 8 << 10, 1 << 20][self.rng.below(3) as usize];
        options.compression = match self.rng.below(4) {
            0 => Compression::None,
            1 => Compression::Gzip(1),
            2 => Compression::Auto,
            _ => Compression::Lz4,
        };
        let disk: Arc<dyn Disk> = self.copies.disk.clone();
        let name = self.copies.name();
        let begun = match self.store.begin_backup(&disk, &name, &options) {
            // The crash took the first database before it was on disk, and this is another.
            Err(Error::Backup(BackupError::OtherDatabase { .. })) if self.begun_with == 0 => {
                options.resume = false;
                self.store.begin_backup(&disk, &name, &options)
            }
            other => other,
        };
        let backup = begun?;
        self.copies.was_cut = false;
        let index = backup.position().index.0;
        self.copies.under_way = Some(UnderWay {
            backup,
            state: Arc::clone(&self.history[index as usize]),
            begun: self.disk.event_count(),
        });
        Ok(())
    }

    /// Goes on with the backup that is under way, if one is.
    pub(super) fn copy_some(&mut self) -> Verdict {
        let Some(mut under_way) = self.copies.under_way.take() else {
            return Ok(());
        };
        let progress = match under_way.backup.step(1 + self.rng.below(2_000)) {
            Err(Error::SnapshotEvicted { .. }) if self.has_limits() => {
                self.copies.under_way = Some(under_way);
                self.stop_copy();
                return Ok(());
            }
            progress => progress?,
        };
        if !progress.is_done {
            self.copies.under_way = Some(under_way);
            return Ok(());
        }
        let UnderWay {
            backup,
            state,
            begun,
        } = under_way;
        backup.into_sink().install()?;
        let name = self.copies.name();
        let summary = self.restore_copy(&name, &state)?;
        let resumed = summary.attempts > 1;
        self.hits.count(Part::BackupsResumed, u64::from(resumed));
        self.hits.count(Part::ChunksKept, summary.kept_chunks);
        self.spans(Part::BackupStates, begun);
        self.copies.finished = Some((name, state));
        self.copies.next += 1;
        Ok(())
    }

    /// One that is given up stays unfinished, for the next to go on with.
    pub(super) fn stop_copy(&mut self) {
        if let Some(under_way) = self.copies.under_way.take() {
            self.spans(Part::BackupStates, under_way.begun);
            self.copies.was_cut = true;
        }
    }

    /// Verifies a backup, makes a database of it and compares that with `state`.
    fn restore_copy(&mut self, name: &str, state: &State) -> Verdict<BackupSummary> {
        let mut options = RestoreOptions::default();
        options.store = StoreOptions::default();
        options.store.cache_bytes = 256 << 10;
        options.store.log.segment_bytes_min = 16 << 10;
        options.store.log.segment_bytes_max = 64 << 10;
        let source = BackupReader::open(&*self.copies.disk, name)?;
        let verified = VerifiedBackup::verify(source, &mut |_| ControlFlow::Continue(()))?;
        let summary = verified.summary().clone();
        let disk: Arc<dyn Disk> = MemoryDisk::new();
        let runtime = SimRuntime::new(self.rng.draw());
        let report = if summary.attempts == 1 && self.rng.percent(50) {
            let source = BackupReader::open(&*self.copies.disk, name)?;
            let mut told = |_: &_| ControlFlow::Continue(());
            restore_stream(source, &disk, runtime.clone(), &options, &mut told)?
        } else {
            let mut told = |_: &_| ControlFlow::Continue(());
            verified.restore(&disk, runtime.clone(), &options, &mut told)?
        };
        ensure(report.summary == summary, || {
            format!("a backup tells of itself {summary:?} and then {report:?}")
        })?;
        options.store.durability = self.options.durability;
        let copy = Store::open(disk, runtime, options.store)?;
        state
            .compare(&copy.snapshot()?)
            .and_then(|()| check(&copy))
            .and_then(|()| check_sessions(&copy, state))
            .and_then(|()| check_prepared(&copy, state, &mut self.hits))
            .map_err(|failure| failure.during("a restored backup"))?;
        self.hits.count(Part::BackupsRestored, 1);
        Ok(summary)
    }
}
