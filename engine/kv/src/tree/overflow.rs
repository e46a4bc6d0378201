//! Overflow runs: adjacent pages that hold one large key or value.
//!
//! The run of a value begins with the digest that the entry adds to its tree's
//! hash sum, so that replacing it reads one page and not all of it. Behind it
//! comes the value, or, where the reference says so, a codec block of it: the
//! digest is that of the value either way.

use cs_base::codec::{BLOCK_HEADER, CodecError, decode, inspect};
use cs_base::{PageId, TreeId};
use cs_pager::{
    PAGE_HEADER, PageHeader, PageIdentity, PageKind, PageRef, Pager, PagerError, ReadGuard, Shadow,
};

use super::read::PageSource;
use crate::error::{Error, Result};
use crate::limits::{MAX_KEY, MAX_VALUE};
use crate::node::OverflowRef;
use crate::tree_root::digest;

/// Bytes of the digest at the start of a value's run.
pub(crate) const DIGEST: usize = 16;

/// How many pages a run of `bytes` takes.
pub(crate) fn run_pages(bytes: usize, page_size: usize) -> u32 {
    bytes.div_ceil(page_size - PAGE_HEADER).max(1) as u32
}

/// Writes a run of the pieces, one behind the other.
pub(crate) fn write_run(
    pager: &Pager,
    shadow: &mut Shadow,
    tree: TreeId,
    pieces: [&[u8]; 2],
) -> OverflowRef {
    let total = pieces[0].len() + pieces[1].len();
    let pages = run_pages(total, pager.page_size());
    let identity = PageIdentity {
        kind: PageKind::Overflow,
        level: 0,
        tree,
    };
    let first = shadow.allocate_run(pager, pages, identity);
    let [mut head, mut tail] = pieces;
    for offset in 0..u64::from(pages) {
        let at = PageRef {
            page: PageId(first.page.0 + offset),
            ..first
        };
        let mut body = &mut shadow.page_mut(at)[PAGE_HEADER..];
        for piece in [&mut head, &mut tail] {
            let len = piece.len().min(body.len());
            let (now, later) = piece.split_at(len);
            let (here, rest) = std::mem::take(&mut body).split_at_mut(len);
            here.copy_from_slice(now);
            (*piece, body) = (later, rest);
        }
    }
    OverflowRef {
        total_len: total as u64,
        first: first.page,
        version: first.version,
        pages,
    }
}

/// A value on its way into a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewValue<'a> {
    /// The value, or a block of it.
    pub(crate) bytes: &'a [u8],
    /// `bytes` is a block, and goes into a run however short it is.
    pub(crate) is_packed: bool,
    /// Bytes of the value.
    pub(crate) len: u64,
    /// What the entry adds to the hash sum of its tree.
    pub(crate) digest: u128,
}

impl<'a> NewValue<'a> {
    /// A value as it is.
    pub(crate) fn plain(key: &[u8], value: &'a [u8]) -> Self {
        Self {
            bytes: value,
            is_packed: false,
            len: value.len() as u64,
            digest: digest(key, value),
        }
    }

    /// A block of a value whose digest is known.
    pub(crate) fn packed(block: &'a [u8], digest: u128) -> Result<Self> {
        let info = inspect(block).map_err(|error| Error::Damaged(error.to_string()))?;
        Ok(Self {
            bytes: block,
            is_packed: true,
            len: info.plain_len as u64,
            digest,
        })
    }
}

/// Writes the run of a value that is packed.
pub(crate) fn write_packed(
    pager: &Pager,
    shadow: &mut Shadow,
    tree: TreeId,
    value: &NewValue<'_>,
) -> OverflowRef {
    let head: [u8; DIGEST] = value.digest.to_le_bytes();
    let mut run = write_run(pager, shadow, tree, [&head, value.bytes]);
    run.total_len |= OverflowRef::PACKED;
    run
}

/// Gives up the pages of a run.
pub(crate) fn free_run(pager: &Pager, shadow: &mut Shadow, run: &OverflowRef) {
    shadow.free_run(pager, start(run), run.pages);
}

/// The first page of a run.
pub(crate) fn start(run: &OverflowRef) -> PageRef {
    PageRef {
        page: run.first,
        version: run.version,
    }
}

/// Reads a whole run.
fn read_run(
    source: &impl PageSource,
    tree: TreeId,
    run: &OverflowRef,
    limit: usize,
) -> Result<Vec<u8>> {
    let room = source.page_size() - PAGE_HEADER;
    let total = usize::try_from(run.run_bytes()).unwrap_or(usize::MAX);
    if total > limit || run_pages(total, source.page_size()) != run.pages {
        return Err(PagerError::Corrupt {
            page: run.first,
            what: "length of an overflow run",
            expected: format!("at most {limit} bytes, in {} pages", run.pages),
            found: format!("{total} bytes"),
        }
        .into());
    }
    let mut bytes = Vec::with_capacity(total);
    for offset in 0..u64::from(run.pages) {
        let at = PageRef {
            page: PageId(run.first.0 + offset),
            version: run.version,
        };
        let guard = ReadGuard::enter();
        let page = source.page(&guard, at)?;
        expect_overflow(page, at, tree)?;
        let len = room.min(total - bytes.len());
        bytes.extend_from_slice(&page[PAGE_HEADER..PAGE_HEADER + len]);
    }
    Ok(bytes)
}

/// Checks that a page belongs to a run of this tree.
pub(crate) fn expect_overflow(bytes: &[u8], at: PageRef, tree: TreeId) -> Result<()> {
    let header = PageHeader::of(bytes);
    if header.kind == PageKind::Overflow as u8 && header.tree.get() == tree.0 {
        return Ok(());
    }
    let found = format!("tree {}, kind {}", header.tree.get(), header.kind);
    let expected = format!("an overflow page of tree {tree}");
    Err(PagerError::Corrupt {
        page: at.page,
        what: "place in its tree",
        expected,
        found,
    }
    .into())
}

/// The key in a run.
pub(crate) fn read_key(
    source: &impl PageSource,
    tree: TreeId,
    run: &OverflowRef,
) -> Result<Vec<u8>> {
    read_run(source, tree, run, MAX_KEY)
}

/// The value in a run, without its digest.
pub(crate) fn read_value(
    source: &impl PageSource,
    tree: TreeId,
    run: &OverflowRef,
) -> Result<Vec<u8>> {
    let (_, bytes) = read_packed(source, tree, run)?;
    if !run.is_packed() {
        return Ok(bytes);
    }
    let value = decode(&bytes, MAX_VALUE).map_err(|error| bad_block(run, &error))?;
    Ok(value.into_owned())
}

/// What is in the run of a value as it lies there: its digest, and the value or
/// a block of it.
pub(crate) fn read_packed(
    source: &impl PageSource,
    tree: TreeId,
    run: &OverflowRef,
) -> Result<(u128, Vec<u8>)> {
    let mut bytes = read_run(source, tree, run, MAX_VALUE + DIGEST)?;
    let Some(head) = bytes.first_chunk::<DIGEST>() else {
        return Err(short_run(run));
    };
    let digest = u128::from_le_bytes(*head);
    bytes.drain(..DIGEST);
    Ok((digest, bytes))
}

/// Length and digest of the value in a run, from its first page.
pub(crate) fn read_digest(
    source: &impl PageSource,
    tree: TreeId,
    run: &OverflowRef,
) -> Result<(u64, u128)> {
    let at = start(run);
    let guard = ReadGuard::enter();
    let page = source.page(&guard, at)?;
    expect_overflow(page, at, tree)?;
    let stored = run
        .run_bytes()
        .checked_sub(DIGEST as u64)
        .ok_or_else(|| short_run(run))?;
    let (head, body) = page[PAGE_HEADER..].split_at(DIGEST);
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(head);
    let digest = u128::from_le_bytes(digest);
    if !run.is_packed() {
        return Ok((stored, digest));
    }
    // A page always has room for the header behind the digest.
    let block = &body[..BLOCK_HEADER.min(stored as usize)];
    let info = inspect(block).map_err(|error| bad_block(run, &error))?;
    Ok((info.plain_len as u64, digest))
}

#[cold]
fn bad_block(run: &OverflowRef, error: &CodecError) -> Error {
    PagerError::Corrupt {
        page: run.first,
        what: "value in an overflow run",
        expected: format!("a compressed block of at most {MAX_VALUE} bytes"),
        found: error.to_string(),
    }
    .into()
}

#[cold]
fn short_run(run: &OverflowRef) -> crate::Error {
    PagerError::Corrupt {
        page: run.first,
        what: "length of an overflow run",
        expected: format!("at least {DIGEST} bytes"),
        found: run.run_bytes().to_string(),
    }
    .into()
}
