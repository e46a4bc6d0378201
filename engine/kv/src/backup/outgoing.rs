//! Blocks on their way out.
//!
//! Invariant: each block has the number and the hash that follow from all
//! before it, those of an earlier attempt included.

use cs_base::TreeId;
use zerocopy::IntoBytes;

use super::format::{BlockKind, FILE_HASH, RawBlock, RawHead};
use super::frames::Place;

/// What was produced and not yet taken by the destination.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
    /// Behind what was produced.
    place: Place,
}

impl Outgoing {
    /// Goes on behind what is there.
    pub(crate) fn behind(place: Place) -> Self {
        Self {
            place,
            ..Self::default()
        }
    }

    /// Bytes from the beginning of the file to the end of what was produced.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.place.offset
    }

    /// What the destination has still to take.
    pub(crate) fn waiting(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The destination has taken so many bytes.
    pub(crate) fn sent(&mut self, len: usize) {
        self.sent += len;
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
        }
    }

    pub(crate) fn head(&mut self) {
        self.put(RawHead::new().as_bytes());
    }

    pub(crate) fn block(&mut self, kind: BlockKind, tree: TreeId, body: &[u8]) {
        self.header(kind, tree, body);
        self.put(body);
    }

    /// The last block; the hash of the file, which ends it.
    pub(crate) fn end(&mut self, totals: &[u8]) -> u128 {
        let mut body = totals.to_vec();
        body.resize(totals.len() + FILE_HASH, 0);
        self.header(BlockKind::End, TreeId(0), &body);
        self.put(totals);
        let hash = self.place.hasher.digest128();
        self.put(&hash.to_le_bytes());
        hash
    }

    fn header(&mut self, kind: BlockKind, tree: TreeId, body: &[u8]) {
        self.place.sequence += 1;
        let mut raw = RawBlock {
            checksum: 0.into(),
            kind: kind as u8,
            reserved: [0; 3],
            sequence: self.place.sequence.into(),
            chain: self.place.hasher.digest128().to_le_bytes(),
            tree: tree.0.into(),
            body_len: (body.len() as u32).into(),
            reserved2: [0; 8],
        };
        raw.checksum = raw.computed(body).into();
        self.put(raw.as_bytes());
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.place.hasher.update(bytes);
        self.place.offset += bytes.len() as u64;
    }
}
