//! A storage of one's own: a database on a disk that this program makes up.
//!
//! ```text
//! cargo run --release -p collection-store --example adapter
//! ```
//!
//! The disk here keeps each file in chunks, scrambled with a key, and counts
//! what it is asked for. It could as well be a remote volume, a partition, or
//! a file inside another one: whatever implements [`Disk`] and [`File`] will do.
//!
//! 1. Proves the disk right: `io::conformance::check` runs every promise over it.
//! 2. Opens a database on it, stores documents, closes it.
//! 3. Opens it again from the same disk, and finds them.
//! 4. Shows that nothing legible was stored, and what was asked for.
//!
//! An implementer adds to his `Cargo.toml`, for tests:
//! `collection-store = { version = "0.1", features = ["conformance"] }`.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bson::doc;
use collection_store::Database;
use collection_store::io::{
    BackendReport, Disk, File, LockError, LockGuard, OpenMode, Pending, RealRuntime, StableBytes,
    WriteMode, check_name, conformance,
};

/// Bytes of one chunk.
const CHUNK: usize = 4096;
/// What each byte is scrambled with. (Not a cipher: an example.)
const KEY: u8 = 0x5a;
const DOCUMENTS: i32 = 2_000;

// ---- the disk: names ----

/// A directory of files in chunks.
#[derive(Debug, Default)]
struct ChunkDisk {
    names: Mutex<BTreeMap<String, Arc<Contents>>>,
    locked: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

/// What the disk was asked for.
#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    writes: AtomicU64,
    syncs: AtomicU64,
}

/// A file, whatever its name: open handles keep it when the name is gone.
#[derive(Debug, Default)]
struct Contents(Mutex<Chunks>);

#[derive(Debug, Default)]
struct Chunks {
    len: u64,
    /// Chunks that are not here are zeroes.
    chunks: BTreeMap<u64, Box<[u8; CHUNK]>>,
}

impl ChunkDisk {
    fn new() -> Arc<Self> {
        Arc::default()
    }
}

/// A panic elsewhere has not broken what is behind a lock here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn error(kind: io::ErrorKind, name: &str) -> io::Error {
    io::Error::new(kind, format!("file {name}: {kind}"))
}

impl Disk for ChunkDisk {
    fn open(&self, name: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        check_name(name)?;
        let mut names = lock(&self.names);
        let contents = match (names.get(name), mode) {
            (Some(_), OpenMode::Create) => return Err(error(io::ErrorKind::AlreadyExists, name)),
            (Some(found), _) => Arc::clone(found),
            (None, OpenMode::Create) => Arc::clone(names.entry(name.to_owned()).or_default()),
            (None, _) => return Err(error(io::ErrorKind::NotFound, name)),
        };
        Ok(Arc::new(ChunkFile {
            name: name.to_owned(),
            contents,
            writable: mode != OpenMode::ReadOnly,
            counts: Arc::clone(&self.counts),
        }))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        check_name(name)?;
        let removed = lock(&self.names).remove(name);
        removed
            .map(drop)
            .ok_or_else(|| error(io::ErrorKind::NotFound, name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        check_name(from)?;
        check_name(to)?;
        let mut names = lock(&self.names);
        let contents = names.remove(from);
        let contents = contents.ok_or_else(|| error(io::ErrorKind::NotFound, from))?;
        names.insert(to.to_owned(), contents);
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.names).keys().cloned().collect())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn LockGuard>, LockError> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(LockError::Held("held by this very process".to_owned()));
        }
        Ok(Box::new(Held(Arc::clone(&self.locked))))
    }

    fn report(&self) -> BackendReport {
        BackendReport {
            name: "chunks",
            ..BackendReport::default()
        }
    }
}

/// The lock of the directory, given back when dropped.
#[derive(Debug)]
struct Held(Arc<AtomicBool>);

impl LockGuard for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

// ---- the disk: bytes ----

#[derive(Debug)]
struct ChunkFile {
    name: String,
    contents: Arc<Contents>,
    writable: bool,
    counts: Arc<Counts>,
}

impl ChunkFile {
    /// The file, if it may be changed and `offset + len` is a place in a file.
    fn change(&self, offset: u64, len: u64) -> io::Result<(MutexGuard<'_, Chunks>, u64)> {
        if !self.writable {
            return Err(error(io::ErrorKind::PermissionDenied, &self.name));
        }
        let end = offset
            .checked_add(len)
            .filter(|&end| i64::try_from(end).is_ok());
        let end = end.ok_or_else(|| error(io::ErrorKind::InvalidInput, &self.name))?;
        Ok((lock(&self.contents.0), end))
    }
}

/// The parts of `offset..offset + len`: number of the chunk, where in it, how many bytes.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let start = (at % CHUNK as u64) as usize;
        let count = (len - done).min(CHUNK - start);
        done += count;
        (count > 0).then_some((at / CHUNK as u64, start, count))
    })
}

impl File for ChunkFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        let file = lock(&self.contents.0);
        let left = usize::try_from(file.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        let mut rest = &mut buffer[..len];
        for (number, start, count) in parts(offset, len) {
            let (here, behind) = rest.split_at_mut(count);
            match file.chunks.get(&number) {
                Some(chunk) => {
                    for (byte, stored) in here.iter_mut().zip(&chunk[start..]) {
                        *byte = stored ^ KEY;
                    }
                }
                None => here.fill(0),
            }
            rest = behind;
        }
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let (mut file, end) = self.change(offset, bytes.len() as u64)?;
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        let mut rest = bytes;
        for (number, start, count) in parts(offset, bytes.len()) {
            let (here, behind) = rest.split_at(count);
            let chunk = file.chunks.entry(number);
            let chunk = chunk.or_insert_with(|| Box::new([KEY; CHUNK]));
            for (stored, byte) in chunk[start..].iter_mut().zip(here) {
                *stored = byte ^ KEY;
            }
            rest = behind;
        }
        if !bytes.is_empty() {
            file.len = file.len.max(end);
        }
        Ok(())
    }

    /// Nothing is ever in flight here: what was started has ended. A disk that
    /// can do better returns `Pending::InFlight`.
    fn start_write(&self, bytes: Arc<dyn StableBytes>, offset: u64, _mode: WriteMode) -> Pending {
        Pending::Ready(self.write_at(bytes.stable_bytes(), offset))
    }

    fn start_sync(&self) -> Pending {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        Pending::Ready(Ok(()))
    }

    fn len(&self) -> io::Result<u64> {
        Ok(lock(&self.contents.0).len)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut file, _) = self.change(0, len)?;
        if len < file.len {
            // What is cut off reads as zero if the file grows again.
            let _ = file.chunks.split_off(&len.div_ceil(CHUNK as u64));
            if let Some(last) = file.chunks.get_mut(&(len / CHUNK as u64)) {
                last[(len % CHUNK as u64) as usize..].fill(KEY);
            }
        }
        file.len = len;
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let (mut file, end) = self.change(offset, len)?;
        if len > 0 {
            file.len = file.len.max(end);
        }
        Ok(())
    }
}

// ---- what it is good for ----

fn main() -> Result<(), Box<dyn Error>> {
    conformance::check(ChunkDisk::new);
    println!("the disk keeps all {} promises", conformance::CHECKS.len());

    let disk = ChunkDisk::new();
    let open = || {
        let on_disk = Arc::clone(&disk) as Arc<dyn Disk>;
        Database::options().open_on(on_disk, RealRuntime::new())
    };
    let database = open()?;
    let notes = database.collection("notes");
    for number in 0..DOCUMENTS {
        notes.insert_one(doc! { "_id": number, "text": "legible to nobody else" })?;
    }
    database.close()?;
    drop((notes, database));

    let database = open()?;
    let found = database.collection("notes").count(doc! {})?;
    println!("{found} of {DOCUMENTS} documents are there after reopening");
    assert_eq!(found, u64::try_from(DOCUMENTS)?);

    let stored = lock(&disk.names);
    let is_legible = stored.values().any(|file| {
        let file = lock(&file.0);
        let mut chunks = file.chunks.values();
        chunks.any(|chunk| chunk.windows(7).any(|window| window == b"legible"))
    });
    assert!(!is_legible, "what is stored is scrambled");
    let counts = &disk.counts;
    println!(
        "asked for {} reads, {} writes and {} syncs of {} files",
        counts.reads.load(Ordering::Relaxed),
        counts.writes.load(Ordering::Relaxed),
        counts.syncs.load(Ordering::Relaxed),
        stored.len(),
    );
    Ok(())
}
