//! A backup to a disk of which one operation fails: it goes on after that, or
//! its unfinished file is resumed, and in the end it is what it should be.

use std::ops::ControlFlow;
use std::sync::Arc;

use cs_io::memory::MemoryDisk;
use cs_io::sim::{FaultPlan, Rng, SimDisk, SimOptions};
use cs_io::{Disk, SimRuntime};
use cs_kv::{
    Backup, BackupError, BackupFile, BackupOptions, BackupReader, CommitOptions, Error,
    RestoreOptions, Store, restore,
};

use super::life::options;
use crate::model::{Bytes, Change, State, batch_of};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// What the backup is called.
const NAME: &str = "copy.csb";
/// Entries of the source.
const ENTRIES: u64 = 120;

/// Makes a small store, backs it up, restores the backup and compares; returns
/// the operation that failed, if there were as many.
pub(super) fn live(seed: u64, plan: FaultPlan) -> Verdict<Option<u64>> {
    let (store, state) = source(seed)?;
    let sim = SimOptions {
        fault: Some(plan),
        ..SimOptions::default()
    };
    let failing = SimDisk::new(seed, sim);
    let disk: Arc<dyn Disk> = failing.clone();
    let mut attempts = 0;
    let installed = loop {
        attempts += 1;
        match back_up(&store, &disk) {
            Ok(()) => break attempts,
            // The name is there, and its directory can be synced no more.
            Err(Error::Backup(BackupError::Exists(_))) if attempts == 2 => break attempts,
            Err(error) if attempts == 2 => {
                return Err(Failure(format!("the second attempt failed too: {error}")));
            }
            Err(error) => ensure(failing.fault_fired().is_some(), || {
                format!("an error without a fault: {error}")
            })?,
        }
    };
    let at = |failure: Failure| {
        let fired = failing.fault_fired();
        failure.during(format_args!("operation {fired:?}, attempt {installed}"))
    };
    look(&disk, &state).map_err(at)?;
    Ok(failing.fault_fired())
}

fn source(seed: u64) -> Verdict<(Store, State)> {
    let mut rng = Rng::new(seed);
    let store = Store::open(MemoryDisk::new(), SimRuntime::new(seed), options())?;
    let tree = store.new_tree_id();
    let mut changes = vec![Change::Create(tree)];
    for number in 0..ENTRIES {
        let key: Bytes = format!("key-{number:03}").into_bytes().into();
        let value: Bytes = (0..200).map(|_| rng.draw() as u8).collect();
        changes.push(Change::Put(tree, key, value));
    }
    let ticket = store.write(&batch_of(&changes), &CommitOptions::default())?;
    ticket.wait()?;
    Ok((store, State::default().after(&changes)))
}

/// One attempt. Where only a step failed the same backup goes on.
fn back_up(store: &Store, disk: &Arc<dyn Disk>) -> Result<(), Error> {
    let mut options = BackupOptions::default();
    options.chunk_bytes = 4096;
    options.sync_bytes = 4096;
    let mut backup: Backup<BackupFile> = store.begin_backup(disk, NAME, &options)?;
    let mut go_on = |_: &_| ControlFlow::Continue(());
    if backup.run(&mut go_on).is_err() {
        backup.run(&mut go_on)?;
    }
    let file = backup.into_sink();
    file.install().or_else(|_| file.install())
}

fn look(disk: &Arc<dyn Disk>, state: &State) -> Verdict {
    let mut go_on = |_: &_| ControlFlow::Continue(());
    let target: Arc<dyn Disk> = MemoryDisk::new();
    let read = |go_on: &mut dyn FnMut(&_) -> ControlFlow<()>| {
        let source = BackupReader::open(&**disk, NAME)?;
        let options = RestoreOptions::default();
        restore(source, &target, SimRuntime::new(1), &options, go_on)
    };
    // The fault may have hit this very reading.
    if read(&mut go_on).is_err() {
        read(&mut go_on)?;
    }
    let copy = Store::open(target, SimRuntime::new(1), options())?;
    state.compare(&copy.snapshot()?)
}
