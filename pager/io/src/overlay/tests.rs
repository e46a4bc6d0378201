use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::*;
use crate::AlignedBuf;
use crate::memory::MemoryDisk;
use crate::sim::Rng;
use crate::sys::SysDisk;

fn contents(directory: &Path) -> Vec<(String, Vec<u8>, SystemTime)> {
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let modified = entry.metadata().unwrap().modified().unwrap();
            (name, fs::read(entry.path()).unwrap(), modified)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn nothing_that_is_done_to_an_overlay_changes_the_base() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("data"), [1; 10_000]).unwrap();
    fs::write(scratch.path().join("log"), b"log").unwrap();
    let before = contents(scratch.path());

    let overlay = OverlayDisk::new(SysDisk::open_read_only(scratch.path()).unwrap());
    let _lock = overlay.lock().unwrap();
    let data = overlay.open("data", OpenMode::ReadWrite).unwrap();
    data.write_at(&[2; 100], 4090).unwrap();
    data.write_durable(Arc::new(AlignedBuf::zeroed(4096)), 8192)
        .unwrap();
    data.set_len(9000).unwrap();
    data.allocate(0, 1 << 20).unwrap();
    data.sync().unwrap();
    overlay.rename("data", "other").unwrap();
    overlay.remove("log").unwrap();
    overlay
        .open("log", OpenMode::Create)
        .unwrap()
        .write_at(b"new", 0)
        .unwrap();
    overlay.open("more", OpenMode::Create).unwrap();
    overlay.sync_directory().unwrap();
    assert_eq!(overlay.list().unwrap(), ["log", "more", "other"]);
    assert_eq!(data.len().unwrap(), 1 << 20);

    assert_eq!(contents(scratch.path()), before);
}

#[test]
fn an_overlay_behaves_as_a_copy_of_the_base_would() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let (base, copy) = (MemoryDisk::new(), MemoryDisk::new());
        let start: Vec<u8> = (0..rng.below(30_000)).map(|n| n as u8).collect();
        for disk in [&base, &copy] {
            disk.open("a", OpenMode::Create)
                .unwrap()
                .write_at(&start, 0)
                .unwrap();
        }
        let overlay = OverlayDisk::new(Arc::clone(&base) as Arc<dyn Disk>);
        let over = overlay.open("a", OpenMode::ReadWrite).unwrap();
        let plain = copy.open("a", OpenMode::ReadWrite).unwrap();
        for step in 0..30u8 {
            let (offset, len) = (rng.below(40_000), rng.below(9_000));
            let choice = rng.below(4);
            for file in [&over, &plain] {
                match choice {
                    0 | 1 => file.write_at(&vec![step; len as usize], offset).unwrap(),
                    2 => file.set_len(offset).unwrap(),
                    _ => file.allocate(offset, len).unwrap(),
                }
            }
            let read = |file: &Arc<dyn File>| {
                let mut bytes = vec![0xEE; 50_000];
                let count = file.read_at(&mut bytes, offset / 2).unwrap();
                bytes.truncate(count);
                bytes
            };
            assert!(read(&over) == read(&plain), "seed {seed} step {step}");
            assert_eq!(over.len().unwrap(), plain.len().unwrap());
        }
        let mut bytes = vec![0; 40_000];
        let count = base
            .open("a", OpenMode::ReadOnly)
            .unwrap()
            .read_at(&mut bytes, 0)
            .unwrap();
        assert!(bytes[..count] == start[..], "seed {seed}");
    }
}

#[test]
fn a_base_that_fails_is_no_reason_to_make_a_new_file() {
    use crate::sim::{Fault, FaultPlan, SimDisk, SimOptions};

    let base = SimDisk::new(1, SimOptions::default());
    let old = base.open("data", OpenMode::Create).unwrap();
    old.write_at(b"old", 0).unwrap();
    let overlay = OverlayDisk::new(base.clone());
    base.plan_fault(Some(FaultPlan {
        at_operation: base.operations(),
        fault: Fault::Eio,
    }));
    let error = overlay.open("data", OpenMode::Create).unwrap_err();
    assert_ne!(error.kind(), io::ErrorKind::NotFound, "{error}");
    let again = overlay.open("data", OpenMode::Create).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    let file = overlay.open("data", OpenMode::ReadOnly).unwrap();
    let mut bytes = [0; 3];
    file.read_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"old");
}
