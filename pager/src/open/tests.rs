//! Files that are not what was written, each for one thing.

use std::sync::Arc;

use cs_base::TreeId;
use cs_io::memory::MemoryDisk;
use cs_io::sim::{Fault, FaultPlan, SimDisk, SimOptions};

use super::*;
use crate::format::{DATA_FILE_NEW, META_OFFSETS, PageIdentity, seal_checksum};
use crate::frames::ReadGuard;

mod map;
mod metas;

const PAGE: u32 = 4096;

fn options() -> PagerOptions {
    PagerOptions {
        cache_bytes: 64 * u64::from(PAGE),
        read_path: ReadPath::Pool,
        verify: |_, _| Ok(()),
    }
}

fn reopen(disk: &dyn Disk) -> Result<Opened> {
    open(disk, options(), OpenMode::ReadWrite)
}

/// The error of opening, as text.
fn said(disk: &dyn Disk) -> String {
    reopen(disk).map(drop).unwrap_err().to_string()
}

fn made(disk: &dyn Disk) -> Opened {
    create(disk, FileId(1), PAGE, Incarnation(0)).unwrap();
    reopen(disk).unwrap()
}

/// A page, and a checkpoint of it; the newest meta then.
fn grown(opened: &mut Opened) -> Meta {
    let leaf = PageIdentity {
        kind: PageKind::Leaf,
        level: 0,
        tree: TreeId(16),
    };
    opened.shadow.allocate(&opened.pager, leaf);
    crate::tests::checkpoint(opened);
    *opened.metas.newest()
}

fn data(disk: &dyn Disk) -> Arc<dyn File> {
    disk.open(DATA_FILE, OpenMode::ReadWrite).unwrap()
}

/// Writes the meta in a slot anew, with a sound checksum.
fn forge_meta(disk: &dyn Disk, slot: usize, change: impl FnOnce(&mut Meta)) {
    let file = data(disk);
    let mut meta = find_metas(&*file).unwrap()[slot].clone().unwrap();
    change(&mut meta);
    file.write_at(&meta.encode(), META_OFFSETS[slot]).unwrap();
}

/// Changes bytes of the meta in a slot, with a sound checksum.
fn forge_block(disk: &dyn Disk, slot: usize, offset: usize, byte: u8) {
    let file = data(disk);
    let mut block = [0; BLOCK_SIZE];
    file.read_at(&mut block, META_OFFSETS[slot]).unwrap();
    block[offset] = byte;
    block[12..16].fill(0);
    let sum = crc32c::crc32c(&block);
    block[12..16].copy_from_slice(&sum.to_le_bytes());
    file.write_at(&block, META_OFFSETS[slot]).unwrap();
}

/// Changes a page, with a sound checksum.
fn forge_page(disk: &dyn Disk, page: PageId, change: impl FnOnce(&mut [u8])) {
    let file = data(disk);
    let offset = page.0 * u64::from(PAGE);
    let mut bytes = vec![0; PAGE as usize];
    file.read_at(&mut bytes, offset).unwrap();
    change(&mut bytes);
    seal_checksum(&mut bytes);
    file.write_at(&bytes, offset).unwrap();
}
