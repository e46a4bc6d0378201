//! Full disks, and numbers given out beyond the end of the file.

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode};
use cs_kv::{Batch, CommitOptions, Durability, Expect, Store};

use super::{assert_sound, commit, get, new_tree, open, options_without_checkpoints, put};

/// Takes all the room that is left.
fn fill(disk: &MemoryDisk) {
    let ballast = disk.open("ballast", OpenMode::Create).unwrap();
    let mut len = 1 << 30;
    while len > 0 {
        if ballast.allocate(ballast.len().unwrap(), len).is_err() {
            len /= 2;
        }
    }
}

/// Symptom: an idle store on a full disk poisoned itself, and could not be
/// closed. Cause: the sealing record of the idle log found no room, taken for a
/// failed write. Cure: nobody needs that record; without room it is left out.
#[test]
fn a_full_disk_on_which_the_log_cannot_be_sealed_does_not_poison() {
    let disk = MemoryDisk::with_capacity(64 * 1024 * 1024);
    let mut options = options_without_checkpoints();
    options.log.segment_bytes_max = options.log.segment_bytes_min;
    options.log.spare_segments = 0;
    let (tree, last) = {
        let store = open(&disk, options.clone()).unwrap();
        let tree = new_tree(&store);
        // Two checkpoints: no segment is left that a third could free.
        for number in 0..2 {
            commit(&store, &put(tree, b"k", vec![number; 100])).unwrap();
            store.checkpoint().unwrap();
        }
        fill(&disk);
        // The same key over and over: pages are used again, only the log grows.
        let mut last = 0_u8;
        let refused = (2..200_u8).find_map(|number| {
            let outcome = commit(&store, &put(tree, b"k", vec![number; 100]));
            last = if outcome.is_ok() { number } else { last };
            outcome.err()
        });
        let refused = refused.unwrap();
        assert!(refused.is_no_space(), "{refused}");
        assert_eq!(store.stats().poisoned, None);
        store.close().unwrap();
        assert_eq!(store.stats().poisoned, None);
        (tree, last)
    };
    disk.remove("ballast").unwrap();
    let store = open(&disk, options).unwrap();
    assert_eq!(get(&store, tree, b"k").unwrap(), vec![last; 100]);
    commit(&store, &put(tree, b"k", b"again".to_vec())).unwrap();
    assert_sound(&store);
}

fn write_unsynced(store: &Store, batch: &Batch) {
    let options = CommitOptions::with_durability(Durability::Async);
    store.write(batch, &options).unwrap().wait().unwrap();
}

fn write_all(
    store: &Store,
    numbers: impl Iterator<Item = u32>,
    tree: TreeId,
    value: Option<&[u8]>,
) {
    let mut batch = Batch::new();
    for number in numbers {
        let key = number.to_be_bytes().to_vec();
        match value {
            Some(value) => batch.put(tree, key, value.to_vec(), Expect::Any),
            None => batch.delete(tree, key, Expect::Any),
        }
    }
    write_unsynced(store, &batch);
}

/// Symptom: a database could not be opened: its meta named more pages than the
/// file had. Cause: a commit that touched many sparse pages took more numbers
/// than were estimated. Cure: a safer estimate, and a checkpoint covers them all.
#[test]
fn what_a_checkpoint_names_is_inside_the_file() {
    const ENTRIES: u32 = 24_000;
    /// Pages; a little more than one small commit sets aside.
    const LITTLE_ROOM: u64 = 200;
    let disk = MemoryDisk::new();
    let mut options = options_without_checkpoints();
    options.cache_bytes = 1 << 30;
    {
        let store = open(&disk, options.clone()).unwrap();
        let tree = new_tree(&store);
        write_all(&store, 0..ENTRIES, tree, Some(&[1; 180]));
        // Snapshots keep the file from shrinking, and pages from being used again.
        let full = store.snapshot().unwrap();
        let gone = |number: &u32| number % 20 >= 7;
        write_all(&store, (0..ENTRIES).filter(gone), tree, None);
        let sparse = store.snapshot().unwrap();
        let other = new_tree(&store);
        let room = || store.stats().space.capacity - store.stats().space.page_count;
        let mut number = 0_u32;
        while room() > LITTLE_ROOM {
            write_all(&store, number..number + 1, other, Some(&[1; 900]));
            number += 1;
            assert!(number < 20_000, "the file grows as fast as it is filled");
        }
        // One entry of each page that is left.
        let touched = |number: &u32| number % 20 == 3;
        write_all(&store, (0..ENTRIES).filter(touched), tree, Some(&[2; 10]));
        drop((full, sparse));
        store.checkpoint().unwrap();
        let space = store.stats().space;
        assert!(space.page_count <= space.capacity, "{space:?}");
        let file = disk.open("data.cs", OpenMode::ReadOnly).unwrap();
        let bytes = space.page_count * u64::from(options.page_size);
        assert!(bytes <= file.len().unwrap(), "{space:?}");
    }
    assert_sound(&open(&disk, options).unwrap());
}
