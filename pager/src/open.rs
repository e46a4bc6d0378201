//! Making and opening a data file.
//!
//! ## Invariants
//! * A file is built under a temporary name and appears whole or not at all.
//! * Nothing is written before the file was found to be ours and sound.
//! * Every number from the file is checked before it is used.

use std::io;
use std::sync::Arc;

use cs_base::{BLOCK_SIZE, FileId, Incarnation, PageId, Version};
use cs_io::{Disk, File, OpenMode, is_no_space};

use crate::checkpoint::Metas;
use crate::format::{
    BadMeta, DATA_FILE, DATA_FILE_NEW, META_BYTES, META_OFFSETS, Membership, Meta, PAGE_HEADER,
    PageHeader, PageKind, PageRef, RootRecord, first_page, valid_page_size,
};
use crate::map::AllocationMap;
use crate::pool::{Pager, VerifyPage};
use crate::shadow::Shadow;
use crate::{PagerError, Result};

/// Room that a new file is given, in bytes: the metas and a handful of pages.
const INITIAL_BYTES: u64 = 128 * 1024;

/// How to open a data file.
#[derive(Clone, Copy, Debug)]
pub struct PagerOptions {
    /// Memory for pages, in bytes. At least [`MIN_FRAMES`](Self::MIN_FRAMES) pages are allowed.
    pub cache_bytes: u64,
    /// How pages are read.
    pub read_path: ReadPath,
    /// Called once for each page that enters memory.
    pub verify: VerifyPage,
}

/// How pages of the data file are read; the results are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReadPath {
    /// Into memory of our own, past the cache of the kernel where it allows
    /// that: the budget is exact, and whatever is wrong with the file or the
    /// disk is an error.
    #[default]
    Pool,
    /// The kernel's cache is looked at directly, through a map of the file:
    /// nothing is copied, and the kernel decides what stays. A page is verified
    /// at its first use all the same. The file is then written through that
    /// cache too. Where the disk has no map, the pool takes over, and says so.
    ///
    /// What cannot be excluded: if another program cuts the file, or the disk
    /// fails when the kernel fetches a page, the process is sent SIGBUS, which
    /// ends it. The length is checked before anything is mapped, and the lock of
    /// the directory keeps out all who ask for it.
    Map,
}

impl PagerOptions {
    /// Pages that fit into any budget: a few paths from root to leaf.
    pub const MIN_FRAMES: u64 = 16;
}

/// A data file that was opened.
#[derive(Debug)]
pub struct Opened {
    /// Its pages.
    pub pager: Pager,
    /// The version after the newest meta's, to be written.
    pub shadow: Shadow,
    /// The metas found.
    pub metas: Metas,
}

/// Whether the directory has a data file.
///
/// # Errors
/// It could not be listed.
pub fn exists(disk: &dyn Disk) -> Result<bool> {
    let names = disk
        .list()
        .map_err(PagerError::io("listing the directory"))?;
    Ok(names.iter().any(|name| name == DATA_FILE))
}

/// Makes an empty data file whose log is in this incarnation (0: it has none).
/// When it returns, the file is durable.
///
/// # Errors
/// [`PagerError::NoSpace`], or what the system said; nothing is left under the final name.
pub fn create(
    disk: &dyn Disk,
    file_id: FileId,
    page_size: u32,
    log_incarnation: Incarnation,
) -> Result<()> {
    if !valid_page_size(page_size) {
        return Err(PagerError::InvalidOption(format!(
            "page size: expected a power of two from 4096 to 65536, found {page_size}"
        )));
    }
    build(disk, file_id, page_size, log_incarnation).map_err(|source| {
        if is_no_space(&source) {
            PagerError::NoSpace {
                pages: INITIAL_BYTES / u64::from(page_size),
            }
        } else {
            PagerError::Io {
                doing: "making the file".into(),
                source,
            }
        }
    })
}

fn build(
    disk: &dyn Disk,
    file_id: FileId,
    page_size: u32,
    log_incarnation: Incarnation,
) -> io::Result<()> {
    if disk.list()?.iter().any(|name| name == DATA_FILE_NEW) {
        disk.remove(DATA_FILE_NEW)?;
    }
    let file = disk.open(DATA_FILE_NEW, OpenMode::Create)?;
    file.allocate(0, INITIAL_BYTES.max(META_BYTES))?;
    let mut root = RootRecord::empty();
    root.page_count = first_page(page_size).0;
    root.log_incarnation = log_incarnation;
    for (sequence, offset) in (1..).zip(META_OFFSETS) {
        let membership = Membership::default();
        let meta = Meta {
            file: file_id,
            page_size,
            sequence,
            membership,
            root,
        };
        file.write_at(&meta.encode(), offset)?;
    }
    file.sync()?;
    disk.rename(DATA_FILE_NEW, DATA_FILE)?;
    disk.sync_directory()
}

/// Reads both metas of a data file, valid or not: slot, and the meta or what is wrong.
///
/// # Errors
/// The file could not be read.
pub fn read_metas(file: &dyn File) -> Result<[Result<Meta, String>; 2]> {
    Ok(find_metas(file)?.map(|meta| meta.map_err(|bad| bad.to_string())))
}

fn find_metas(file: &dyn File) -> Result<[Result<Meta, BadMeta>; 2]> {
    let unread = || Err(BadMeta::Damaged(String::new()));
    let mut metas = [unread(), unread()];
    for (meta, offset) in metas.iter_mut().zip(META_OFFSETS) {
        let mut block = [0; BLOCK_SIZE];
        let read = file
            .read_at(&mut block, offset)
            .map_err(PagerError::io("reading a meta"))?;
        *meta = if read < BLOCK_SIZE {
            let what = format!("the file ends inside the meta at byte {offset}");
            Err(BadMeta::Damaged(what))
        } else {
            Meta::decode(&block)
        };
    }
    Ok(metas)
}

/// Opens the data file at its newest valid meta.
///
/// # Errors
/// [`PagerError::Damaged`] or [`PagerError::Unsupported`] if no meta is valid or they contradict each other
/// or the file; [`PagerError::Corrupt`] if the allocation map is damaged.
pub fn open(disk: &dyn Disk, options: PagerOptions, mode: OpenMode) -> Result<Opened> {
    let file = disk
        .open(DATA_FILE, mode)
        .map_err(PagerError::io("opening it"))?;
    let (slots, page_size) = choose_metas(find_metas(&*file)?)?;
    let metas = Metas::new(slots);
    let newest = *metas.newest();
    if mode == OpenMode::ReadWrite {
        // After a crash of the process the newest meta may be in the page cache
        // alone: a crash of the machine would bring back the one before it,
        // whose pages are about to be handed out.
        file.sync()
            .map_err(PagerError::io("making the metas durable"))?;
        if newest.root.log_incarnation == Incarnation(0) {
            // The same of the name, if the crash came amid the creation. A log
            // sees to it when it is recovered.
            disk.sync_directory()
                .map_err(PagerError::io("syncing the directory"))?;
        }
    }
    let bytes = file.len().map_err(PagerError::io("asking for its size"))?;
    let capacity = bytes / u64::from(page_size);
    let root = &newest.root;
    if root.page_count > capacity || root.page_count < first_page(page_size).0 {
        return Err(PagerError::Damaged(format!(
            "the newest meta tells of {} pages of {page_size} bytes, the file has {bytes} bytes",
            root.page_count
        )));
    }
    let pager = Pager::new(file, newest.file, page_size, &options);
    let map = load_map(&pager, root)?;
    let older = match metas.older().map(|meta| &meta.root) {
        None => None,
        Some(root) => match load_map(&pager, root) {
            Ok(map) => Some((root.version, map)),
            // To a state that is damaged nobody could go back anyway. A read
            // that was refused is another matter: it may succeed next time.
            Err(error) if error.is_corruption() => None,
            Err(error) => return Err(error),
        },
    };
    pager.pin_on_disk(root.version);
    if let Some(older) = metas.older() {
        pager.pin_on_disk(older.root.version);
    }
    pager.set_visible(root.version);
    let shadow = Shadow::new(root, map, older, page_size, capacity);
    Ok(Opened {
        pager,
        shadow,
        metas,
    })
}

fn choose_metas(found: [Result<Meta, BadMeta>; 2]) -> Result<([Option<Meta>; 2], u32)> {
    if let [Ok(a), Ok(b)] = &found
        && (a.file != b.file || a.page_size != b.page_size || a.sequence == b.sequence)
    {
        return Err(PagerError::Damaged(format!(
            "its two metas contradict each other: file ids {} and {}, page sizes {} and {}, sequences {} and {}",
            a.file, b.file, a.page_size, b.page_size, a.sequence, b.sequence
        )));
    }
    match found {
        // Going back to the other would undo what a newer program has written.
        [Err(BadMeta::Newer(what)), _] | [_, Err(BadMeta::Newer(what))] => {
            Err(PagerError::Unsupported(what))
        }
        [Err(BadMeta::Unsupported(what)), Err(_)] | [Err(_), Err(BadMeta::Unsupported(what))] => {
            Err(PagerError::Unsupported(what))
        }
        [Err(a), Err(b)] => Err(PagerError::Damaged(format!(
            "neither meta is valid: first, {a}; second, {b}"
        ))),
        [a, b] => {
            let slots = [a.ok(), b.ok()];
            let page_size = slots.iter().flatten().map(|meta| meta.page_size).next();
            Ok((slots, page_size.unwrap_or_default()))
        }
    }
}

/// Reads the allocation map of a state.
///
/// # Errors
/// A page of it is damaged, or what it says contradicts the root.
pub(crate) fn load_map(pager: &Pager, root: &RootRecord) -> Result<AllocationMap> {
    let mut map = AllocationMap::new(pager.page_size as u32);
    let shape = match root.allocation.is_none() {
        true => Vec::new(),
        false => map.shape(root.page_count),
    };
    let top = root.allocation.page;
    if usize::from(root.allocation_levels) != shape.len() {
        let found = root.allocation_levels;
        return Err(PagerError::corrupt(
            top,
            "levels of the allocation map",
            shape.len(),
            found,
        ));
    }
    if shape.is_empty() {
        return Ok(map);
    }
    map.reshape(&shape);
    map.set_at(shape.len() - 1, 0, root.allocation);
    for level in (0..shape.len()).rev() {
        for position in 0..shape[level] {
            let at = map.at(level, position);
            let page = read_map_page(pager, root, at, level)?;
            let body = &page[PAGE_HEADER..];
            if level == 0 {
                map.read_bits(position, body);
            } else {
                let children = map.read_index(body);
                let room = children.len();
                for (offset, child) in children.into_iter().enumerate() {
                    let below = position * room + offset;
                    if below < shape[level - 1] {
                        map.set_at(level - 1, below, child);
                    }
                }
            }
        }
    }
    if map.reaches_beyond(root.page_count) {
        let found = "a bit beyond it";
        return Err(PagerError::corrupt(
            top,
            "pages in the map",
            root.page_count,
            found,
        ));
    }
    Ok(map)
}

fn read_map_page(
    pager: &Pager,
    root: &RootRecord,
    at: PageRef,
    level: usize,
) -> Result<cs_io::PageBuf> {
    check_inside(root, at.page, at.version)?;
    let bytes = pager.read_page(at)?;
    let kind = if level == 0 {
        PageKind::AllocationMap
    } else {
        PageKind::AllocationIndex
    };
    let header = PageHeader::of(&bytes);
    if header.kind != kind as u8 || usize::from(header.level) != level {
        return Err(PagerError::corrupt(
            at.page,
            "kind",
            format!("{kind:?}"),
            header.kind,
        ));
    }
    Ok(bytes)
}

fn check_inside(root: &RootRecord, page: PageId, version: Version) -> Result<()> {
    if page.0 == 0 || page.0 >= root.page_count || version > root.version {
        let found = format!("page {page} of version {version}");
        let expected = format!("one below {} and {}", root.page_count, root.version);
        return Err(PagerError::corrupt(
            page,
            "pointer of the allocation map",
            expected,
            found,
        ));
    }
    Ok(())
}

/// A handle on the file for tools that look at pages one by one.
///
/// # Errors
/// It could not be opened.
pub fn open_file(disk: &dyn Disk) -> Result<Arc<dyn File>> {
    disk.open(DATA_FILE, OpenMode::ReadOnly)
        .map_err(PagerError::io("opening it"))
}

#[cfg(test)]
mod tests;
