//! Blocks as they come out of a file or a stream, one by one.
//!
//! Invariant: a block is handed out only if its checksum, its sequence number
//! and the hash of everything before it are those expected.

use std::io::{self, Read};

use cs_base::TreeId;
use xxhash_rust::xxh3::Xxh3;
use zerocopy::{FromZeros, IntoBytes};

use super::error::BackupError;
use super::format::{BlockKind, FILE_HASH, RawBlock, RawHead};

/// One block, whose bytes are those that were written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    /// Where it begins.
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
    pub(crate) kind: BlockKind,
    pub(crate) tree: TreeId,
    pub(crate) body: &'a [u8],
}

/// A place between two blocks.
#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    /// Of the last block before it.
    pub(crate) sequence: u64,
    /// Over every byte before it.
    pub(crate) hasher: Xxh3,
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({}, block {})", self.offset, self.sequence)
    }
}

/// Reads blocks.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    source: R,
    place: Place,
    /// Where the end block began, once it was read.
    before_end: Option<Place>,
    /// What the end says of all bytes before it; 0 before it was read.
    hash: u128,
    body: Vec<u8>,
}

/// Reads until `into` is full or nothing more comes; how many bytes came.
fn read_up_to(source: &mut impl Read, into: &mut [u8]) -> Result<usize, BackupError> {
    let mut len = 0;
    while len < into.len() {
        match source.read(&mut into[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(BackupError::Source(error)),
        }
    }
    Ok(len)
}

impl<R: Read> Frames<R> {
    /// Reads the head.
    pub(crate) fn begin(mut source: R) -> Result<Self, BackupError> {
        let mut head = RawHead::new_zeroed();
        let len = read_up_to(&mut source, head.as_mut_bytes())?;
        if len < size_of::<RawHead>()
            && RawHead::new()
                .as_bytes()
                .starts_with(&head.as_bytes()[..len])
        {
            return Err(BackupError::Incomplete { len: len as u64 });
        }
        head.check()?;
        let mut place = Place::default();
        place.hasher.update(head.as_bytes());
        place.offset = len as u64;
        Ok(Self {
            source,
            place,
            before_end: None,
            hash: 0,
            body: Vec::new(),
        })
    }

    /// Behind the last block that was handed out.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// XXH3-128 of the whole but the hash itself, once the end was read.
    pub(crate) fn hash(&self) -> u128 {
        self.hash
    }

    /// Where another attempt may go on: nothing follows an end.
    pub(crate) fn resume_at(self) -> Place {
        self.before_end.unwrap_or(self.place)
    }

    /// The next block, or `None` where the bytes end between two.
    pub(crate) fn next(&mut self) -> Result<Option<Frame<'_>>, BackupError> {
        let offset = self.place.offset;
        let damaged = |what: String| BackupError::damaged(offset, what);
        let mut raw = RawBlock::new_zeroed();
        let len = read_up_to(&mut self.source, raw.as_mut_bytes())?;
        if len > 0 && self.before_end.is_some() {
            return Err(damaged(
                "expected nothing behind the end, found more bytes".into(),
            ));
        }
        if len == 0 {
            return Ok(None);
        }
        if len < size_of::<RawBlock>() {
            let len = offset + len as u64;
            return Err(BackupError::Incomplete { len });
        }
        // Nothing is believed of a length before it is known to be one of its kind.
        let kind = BlockKind::from_u8(raw.kind).ok_or_else(|| {
            damaged(format!(
                "expected a block of kind 1 to 5, found {}",
                raw.kind
            ))
        })?;
        let body_len = raw.body_len.get() as usize;
        if !kind.takes(body_len) {
            return Err(damaged(format!(
                "a block of kind {kind:?} with a body of {body_len} bytes"
            )));
        }
        self.body.clear();
        // Grows with what there is, not with what is said.
        let mut body = (&mut self.source).take(body_len as u64);
        body.read_to_end(&mut self.body)
            .map_err(BackupError::Source)?;
        if self.body.len() < body_len {
            let len = offset + (len + self.body.len()) as u64;
            return Err(BackupError::Incomplete { len });
        }
        let place = &mut self.place;
        check_block(&raw, &self.body, place).map_err(damaged)?;
        let mut hasher = place.hasher.clone();
        hasher.update(raw.as_bytes());
        if kind == BlockKind::End {
            let (end, hash) = self.body.split_at(body_len - FILE_HASH);
            hasher.update(end);
            let found = hasher.digest128();
            if hash != found.to_le_bytes() {
                return Err(damaged(format!("hash of the whole, computed {found:032x}")));
            }
            hasher.update(hash);
            self.hash = found;
            self.before_end = Some(place.clone());
        } else {
            hasher.update(&self.body);
        }
        place.hasher = hasher;
        place.sequence += 1;
        place.offset += (size_of::<RawBlock>() + body_len) as u64;
        Ok(Some(Frame {
            offset,
            sequence: place.sequence,
            kind,
            tree: TreeId(raw.tree.get()),
            body: &self.body,
        }))
    }
}

fn check_block(raw: &RawBlock, body: &[u8], place: &Place) -> Result<(), String> {
    let (expected, found) = (raw.checksum.get(), raw.computed(body));
    if expected != found {
        return Err(format!(
            "checksum, expected {expected:08x}, found {found:08x}"
        ));
    }
    let (expected, found) = (place.sequence + 1, raw.sequence.get());
    if expected != found {
        return Err(format!("expected block {expected}, found block {found}"));
    }
    if raw.chain != place.hasher.digest128().to_le_bytes() {
        return Err("the hash of what comes before it is another".into());
    }
    if raw.reserved != [0; 3] || raw.reserved2 != [0; 8] {
        return Err("reserved bytes are not zero".into());
    }
    let has_tree = matches!(
        BlockKind::from_u8(raw.kind),
        Some(BlockKind::Tree | BlockKind::Entries | BlockKind::Kept)
    );
    if !has_tree && raw.tree.get() != 0 {
        return Err(format!("expected no tree, found {}", raw.tree));
    }
    Ok(())
}
