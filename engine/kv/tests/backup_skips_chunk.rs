//! The tests of backup can fail: a chunk that is left out is noticed by
//! verification, and nothing is restored. Only with `--features mutants`.
#![cfg(feature = "mutants")]
#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::mutants::{Mutant, plant};
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, RealRuntime};
use cs_kv::{
    BackupOptions, CommitOptions, RestoreOptions, Result, Store, StoreOptions, restore,
    verify_backup,
};

fn backup() -> Result<Vec<u8>> {
    let store = Store::open(
        MemoryDisk::new(),
        RealRuntime::new(),
        StoreOptions::default(),
    )?;
    let mut txn = store.begin()?;
    let tree = txn.create_tree();
    for number in 0..2000_u32 {
        txn.put(tree, number.to_be_bytes().to_vec(), vec![7; 50])?;
    }
    txn.commit(&CommitOptions::default())?.wait()?;
    let mut options = BackupOptions::default();
    options.chunk_bytes = 4096;
    let mut backup = store.backup(Vec::new(), &options)?;
    backup.run(&mut |_| ControlFlow::Continue(()))?;
    Ok(backup.into_sink())
}

#[test]
fn a_chunk_that_is_left_out_is_noticed() {
    plant(None);
    let bytes = backup().unwrap();
    verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(())).unwrap();
    plant(Some(Mutant::BackupSkipsChunk));
    let bytes = backup();
    plant(None);
    let bytes = bytes.unwrap();
    let error = verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("tree 16: expected"), "{error}");
    let disk: Arc<dyn Disk> = MemoryDisk::new();
    let restored = restore(
        Cursor::new(bytes),
        &disk,
        RealRuntime::new(),
        &RestoreOptions::default(),
        &mut |_| ControlFlow::Continue(()),
    );
    assert!(restored.is_err());
    assert!(disk.list().unwrap().is_empty());
}
