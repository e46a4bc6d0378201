//! Walks a journal forward and keeps apart what is durable and what is not.

use std::collections::BTreeMap;

use super::crash::{self, CrashKind};
use super::image::{Directory, NameChange, SimImage};
use super::journal::{Event, FileNumber, Journal, Operation};
use super::rng::Rng;
use super::unsynced::{FileState, Written};
use crate::WriteMode;

/// A write that has begun and not ended.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) written: Written,
    mode: WriteMode,
}

/// The state of a disk at one event of its journal, and the crashes possible there.
///
/// ```
/// use cs_io::{Disk, OpenMode};
/// use cs_io::sim::{CrashKind, Replay, Rng, SimDisk, SimOptions};
///
/// let disk = SimDisk::new(7, SimOptions::default());
/// disk.open("log", OpenMode::Create)?.write_at(b"hello", 0)?;
/// let journal = disk.journal();
/// let mut replay = Replay::new(&journal);
/// let mut rng = Rng::new(7);
/// for event in 0..=journal.len() {
///     replay.advance_to(event);
///     let image = replay.crash(&mut rng, CrashKind::Machine);
///     let disk = SimDisk::from_image(&image, 8, SimOptions::default());
///     // Without a sync of the directory the file may be there or not.
///     assert!(disk.list()?.len() <= 1);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replay<'a> {
    journal: &'a Journal,
    position: usize,
    files: BTreeMap<FileNumber, FileState>,
    directory: Directory,
    next_file: u32,
    writes: BTreeMap<Operation, (FileNumber, Flying)>,
    /// File, and event at which the sync began.
    syncs: BTreeMap<Operation, (FileNumber, usize)>,
    last_mark: Option<u64>,
}

impl<'a> Replay<'a> {
    /// At the beginning of the journal of a disk that was empty.
    #[must_use]
    pub fn new(journal: &'a Journal) -> Self {
        Self::from_image(&SimImage::new(), journal)
    }

    /// At the beginning of the journal of a disk that was booted from `image`.
    #[must_use]
    pub fn from_image(image: &SimImage, journal: &'a Journal) -> Self {
        Self {
            journal,
            position: 0,
            files: image.files.clone(),
            directory: image.directory.clone(),
            next_file: image.next_file,
            writes: BTreeMap::new(),
            syncs: BTreeMap::new(),
            last_mark: None,
        }
    }

    /// How many events have been taken in.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The last [`Event::Mark`] taken in.
    #[must_use]
    pub fn last_mark(&self) -> Option<u64> {
        self.last_mark
    }

    /// Takes in events until `count` of them are in, or the journal ends. A
    /// replay never goes back: a smaller count changes nothing.
    ///
    /// # Panics
    /// If the journal is not one of a disk that began as this replay did.
    pub fn advance_to(&mut self, count: usize) {
        let journal = self.journal;
        while self.position < count.min(journal.len()) {
            let event = &journal.events()[self.position];
            // Numbered from 1: what an image brings along ended at 0.
            self.position += 1;
            self.take_in(event);
        }
    }

    /// A disk as it may be after a crash here.
    #[must_use]
    pub fn crash(&self, rng: &mut Rng, kind: CrashKind) -> SimImage {
        let mut flying: Vec<_> = self.writes.values().cloned().collect();
        // Nothing orders what is in flight.
        for last in (1..flying.len()).rev() {
            flying.swap(last, rng.below(last as u64 + 1) as usize);
        }
        let crash = match kind {
            CrashKind::Process => crash::process,
            CrashKind::Machine => crash::machine,
        };
        crash(&self.files, &flying, &self.directory, self.next_file, rng)
    }

    fn file(&mut self, file: FileNumber) -> &mut FileState {
        self.files
            .get_mut(&file)
            .expect("the journal creates each file before it uses it")
    }

    fn take_in(&mut self, event: &Event) {
        let now = self.position;
        match event {
            Event::Create { name, file } => {
                self.next_file = self.next_file.max(file.0 + 1);
                self.files.insert(*file, FileState::default());
                let change = NameChange::Create {
                    name: name.clone(),
                    file: *file,
                };
                self.directory.unsynced.push(change);
            }
            Event::Remove { name, file } => {
                let change = NameChange::Remove {
                    name: name.clone(),
                    file: *file,
                };
                self.directory.unsynced.push(change);
            }
            Event::Rename { to, file, .. } => {
                let change = NameChange::Rename {
                    to: to.clone(),
                    file: *file,
                };
                self.directory.unsynced.push(change);
            }
            Event::SetLen { file, len } => self.file(*file).set_len(*len, now),
            Event::Allocate { file, offset, len } => {
                self.file(*file).allocate(*offset, offset + len, now);
            }
            Event::WriteStart {
                operation,
                file,
                offset,
                bytes,
                mode,
            } => {
                let flying = Flying {
                    written: Written::new(*offset, bytes),
                    mode: *mode,
                };
                self.writes.insert(*operation, (*file, flying));
            }
            Event::WriteEnd {
                operation,
                landed,
                ok,
            } => {
                let (file, flying) = self
                    .writes
                    .remove(operation)
                    .expect("a write that ends has begun");
                self.end_write(file, flying, *landed, *ok);
            }
            Event::SyncStart { operation, file } => {
                self.syncs.insert(*operation, (*file, now));
            }
            Event::SyncEnd { operation, ok } => {
                let (file, start) = self
                    .syncs
                    .remove(operation)
                    .expect("a sync that ends has begun");
                if *ok {
                    self.file(file).synced(start);
                } else {
                    self.file(file).sync_failed(start);
                }
            }
            Event::DirSync { ok } => self.directory.sync_ended(*ok),
            Event::Mark(mark) => self.last_mark = Some(*mark),
        }
    }

    fn end_write(&mut self, file: FileNumber, flying: Flying, landed: bool, ok: bool) {
        let now = self.position;
        if !landed || flying.written.part.is_empty() {
            return;
        }
        if ok && flying.mode == WriteMode::Durable {
            self.file(file).write_durably(&flying.written);
        } else {
            self.file(file).write(flying.written, now);
        }
    }
}
