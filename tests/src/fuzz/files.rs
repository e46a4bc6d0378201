//! Whole files of a small database, the other file being sound.

use std::sync::{Arc, OnceLock};

use cs_io::memory::MemoryDisk;
use cs_io::{Disk, OpenMode, SimRuntime};
use cs_kv::{Batch, CommitOptions, Expect, KeyRange, SessionStatement, Store, StoreOptions};
use cs_pager::format::{DATA_FILE, META_BYTES, seal_checksum};
use cs_wal::{LogReader, RECORD_HEADER_BYTES, SEGMENT_HEADER_BYTES};

use super::pages::seal_meta;

const PAGE: usize = 4096;
const BLOCK: usize = cs_base::BLOCK_SIZE;
/// Longest input that is looked at: a database is not more wrong for being long.
const LONGEST: usize = 256 * 1024;

fn options() -> StoreOptions {
    let mut options = StoreOptions::default();
    options.page_size = PAGE as u32;
    options.cache_bytes = 512 * 1024;
    options.log.segment_bytes_min = 16 * 1024;
    options.log.segment_bytes_max = 16 * 1024;
    options.log.group_bytes_max = 16 * 1024;
    options
}

/// The data file and the one segment of a small database that was not closed.
pub(super) fn sample() -> &'static (Vec<u8>, Vec<u8>) {
    static SAMPLE: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    SAMPLE.get_or_init(|| make_sample().unwrap_or_else(|error| panic!("the sample: {error}")))
}

fn make_sample() -> Result<(Vec<u8>, Vec<u8>), Box<dyn std::error::Error>> {
    let disk = MemoryDisk::new();
    let store = Store::open(disk.clone(), SimRuntime::new(1), options())?;
    let trees = [store.new_tree_id(), store.new_tree_id()];
    let mut batch = Batch::new();
    trees.iter().for_each(|&tree| batch.create_tree(tree));
    let put = |batch: &mut Batch, number: usize| {
        let key = match number % 20 {
            19 => vec![b'k'; 2_000],
            _ => format!("key/{number:03}").into_bytes(),
        };
        let len = [10, 80, 900, 6_000][number % 4];
        batch.put(trees[number % 2], key, vec![number as u8; len], Expect::Any);
    };
    (0..60).for_each(|number| put(&mut batch, number));
    store.write(&batch, &CommitOptions::default())?.wait()?;
    store.checkpoint()?;
    // And some that the log alone has.
    for number in 0..3 {
        let mut batch = Batch::new();
        batch.delete(trees[0], b"key/002".to_vec(), Expect::Any);
        batch.put(trees[1], b"later".to_vec(), vec![number; 90], Expect::Any);
        let mut how = CommitOptions::default();
        how.session = Some(SessionStatement {
            session: [7; 16],
            number: u64::from(number) + 1,
            results: b"done".to_vec(),
        });
        store.write(&batch, &how)?.wait()?;
    }
    let names = disk.list()?;
    let segment = names.iter().find(|name| name.starts_with("wal-"));
    let segment = segment.ok_or("no segment")?;
    let read = |name: &str| -> std::io::Result<Vec<u8>> {
        let file = disk.open(name, OpenMode::ReadOnly)?;
        let mut bytes = vec![0; file.len()? as usize];
        file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    };
    Ok((read(DATA_FILE)?, read(segment)?))
}

fn disk_with(data: Option<&[u8]>, segment: &[u8]) -> Arc<MemoryDisk> {
    let disk = MemoryDisk::new();
    let number = u64::from_le_bytes(segment.get(56..64).map_or([0; 8], |bytes| {
        let mut eight = [0; 8];
        eight.copy_from_slice(bytes);
        eight
    }));
    let files = data.map(|data| (DATA_FILE.to_owned(), data));
    let files = files
        .into_iter()
        .chain([(format!("wal-{number:010}.log"), segment)]);
    for (name, bytes) in files {
        let written = disk
            .open(&name, OpenMode::Create)
            .and_then(|file| file.write_at(bytes, 0));
        assert!(written.is_ok(), "memory takes every file");
    }
    disk
}

/// Opens it and looks at everything; errors are fine.
fn look(disk: Arc<MemoryDisk>) -> cs_kv::Result<()> {
    let store = Store::open(disk, SimRuntime::new(1), options())?;
    let snapshot = store.snapshot()?;
    for (tree, _) in snapshot.trees()? {
        let mut cursor = snapshot.cursor(tree, KeyRange::all())?;
        while cursor.next()?.is_some() {}
    }
    store.check()?;
    let mut batch = Batch::new();
    batch.create_tree(store.new_tree_id());
    store.write(&batch, &CommitOptions::default())?.wait()?;
    store.close()
}

pub(super) fn log(input: &[u8]) {
    let mut segment = input[..input.len().min(LONGEST)].to_vec();
    seal_segment(&mut segment);
    let disk = disk_with(None, &segment);
    if let Ok(reader) = LogReader::discover(disk) {
        let _ = reader.segments();
        let _ = reader.for_each_record(|_| true);
    }
    let (data, _) = sample();
    let _ = look(disk_with(Some(data), &segment));
}

/// Makes the checksums of the header and of every record right.
fn seal_segment(segment: &mut [u8]) {
    let header = SEGMENT_HEADER_BYTES as usize;
    if segment.len() < header {
        return;
    }
    let sum = crc32c::crc32c(&segment[..12]);
    let sum = crc32c::crc32c_append(sum, &segment[16..header]);
    segment[12..16].copy_from_slice(&sum.to_le_bytes());
    let seed = crc32c::crc32c(&segment[48..56]);
    let mut at = header;
    while let Some(record) = segment.get_mut(at..at + RECORD_HEADER_BYTES) {
        let mut len = [0; 4];
        len.copy_from_slice(&record[8..12]);
        let len = u32::from_le_bytes(len) as usize;
        // Kind 0: the zero rest of a group, up to the next block.
        if record[4] == 0 {
            at = (at / BLOCK + 1) * BLOCK;
            continue;
        }
        let end = at + RECORD_HEADER_BYTES + len;
        let Some(record) = segment.get_mut(at..end) else {
            return;
        };
        let sum = crc32c::crc32c_append(seed, &record[4..]);
        record[..4].copy_from_slice(&sum.to_le_bytes());
        at = end.next_multiple_of(8);
    }
}

pub(super) fn log_seeds() -> Vec<Vec<u8>> {
    let (_, segment) = sample();
    vec![segment.clone()]
}

pub(super) fn data_file(input: &[u8]) {
    let mut data = input[..input.len().min(LONGEST)].to_vec();
    let metas = META_BYTES as usize;
    if data.len() >= metas {
        let (blocks, pages) = data.split_at_mut(metas);
        blocks.chunks_exact_mut(BLOCK).for_each(seal_meta);
        pages.chunks_exact_mut(PAGE).for_each(seal_checksum);
    }
    let (_, segment) = sample();
    let _ = look(disk_with(Some(&data), segment));
}

pub(super) fn data_file_seeds() -> Vec<Vec<u8>> {
    let (data, _) = sample();
    vec![data.clone()]
}
