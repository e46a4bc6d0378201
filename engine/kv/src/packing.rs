//! What goes to disk compressed: records of the log and large values.
//!
//! ## Invariants
//! * All of it happens before the writer's lock is taken: a value is packed
//!   once, and its block goes into the record, and from there into the tree, as
//!   it is. Recovery does the same with the same bytes.
//! * A block is kept only if it saves something: bytes of a record, at least
//!   one page of a value.
//! * Whether to try depends on options, lengths and what was tried before; never
//!   on time.

use std::sync::atomic::{AtomicU64, Ordering};

use cs_base::TreeId;
use cs_base::codec::{BLOCK_HEADER, Codec, CodecId, Sampler, encode};
use cs_base::mutants::{Mutant, planted};

use crate::effects::{Effect, EffectWriter, PACKED_VERSION};
use crate::node::max_inline_value;
use crate::options::{Compression, CompressionOptions};
use crate::tree::{DIGEST, run_pages};
use crate::tree_root::digest;

/// What compressing one kind of bytes came to, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockStats {
    /// Bytes of what was looked at; nothing is while compression is off.
    pub bytes_in: u64,
    /// Bytes that went on from there.
    pub bytes_out: u64,
    /// Blocks that went on as they were: too short, not tried, or no gain.
    pub plain: u64,
    /// Blocks made by LZ4.
    pub lz4: u64,
    /// Blocks made by gzip.
    pub gzip: u64,
}

impl BlockStats {
    /// The part of the bytes that was saved, from 0 to 1.
    #[must_use]
    pub fn saving(&self) -> f64 {
        if self.bytes_in == 0 {
            return 0.0;
        }
        1.0 - self.bytes_out as f64 / self.bytes_in as f64
    }
}

/// What compression did since the store was opened; commits that were refused
/// after they had been encoded are counted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompressionStats {
    /// Payloads of the log's transactions.
    pub log: BlockStats,
    /// Values too large for a leaf, that take more than one page.
    pub values: BlockStats,
}

/// Figures and samples of one kind of bytes, since open.
#[derive(Debug, Default)]
struct Stream {
    sampler: Sampler,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    plain: AtomicU64,
    lz4: AtomicU64,
    gzip: AtomicU64,
}

impl Stream {
    /// A block of `plain`, behind what `out` has, if it is worth trying and gets shorter.
    fn pack(
        &self,
        plain: &[u8],
        compression: Compression,
        threshold: usize,
        out: &mut Vec<u8>,
    ) -> Option<CodecId> {
        if plain.len() < threshold {
            return None;
        }
        let codec = match compression {
            Compression::None => return None,
            Compression::Lz4 => Codec::Lz4,
            Compression::Gzip(level) => Codec::Gzip { level },
            Compression::Auto if self.sampler.is_to_be_tried() => Codec::Lz4,
            Compression::Auto => return None,
        };
        let before = out.len();
        let made = encode(plain, codec, threshold, out);
        if compression == Compression::Auto {
            self.sampler
                .record(plain.len(), out.len() - before - BLOCK_HEADER);
        }
        (made != CodecId::None).then_some(made)
    }

    fn count(&self, made: Option<CodecId>, bytes_in: usize, bytes_out: usize) {
        let blocks = match made {
            None | Some(CodecId::None) => &self.plain,
            Some(CodecId::Lz4) => &self.lz4,
            Some(CodecId::Gzip) => &self.gzip,
        };
        blocks.fetch_add(1, Ordering::Relaxed);
        self.bytes_in.fetch_add(bytes_in as u64, Ordering::Relaxed);
        self.bytes_out
            .fetch_add(bytes_out as u64, Ordering::Relaxed);
    }

    fn stats(&self) -> BlockStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        BlockStats {
            bytes_in: get(&self.bytes_in),
            bytes_out: get(&self.bytes_out),
            plain: get(&self.plain),
            lz4: get(&self.lz4),
            gzip: get(&self.gzip),
        }
    }
}

/// What is known of either kind of bytes, since open.
#[derive(Debug, Default)]
pub(crate) struct Packing {
    log: Stream,
    values: Stream,
}

impl Packing {
    pub(crate) fn stats(&self) -> CompressionStats {
        CompressionStats {
            log: self.log.stats(),
            values: self.values.stats(),
        }
    }
}

/// The effects of a commit, and what the log gets of them.
#[derive(Debug)]
pub(crate) struct Payload {
    /// The effects, to be carried out.
    pub(crate) effects: Vec<u8>,
    /// The same, compressed, where that is shorter.
    packed: Option<Vec<u8>>,
}

impl Payload {
    /// The bytes of the record.
    pub(crate) fn logged(&self) -> &[u8] {
        self.packed.as_deref().unwrap_or(&self.effects)
    }
}

/// Packs for one commit.
#[derive(Debug)]
pub(crate) struct Packer<'a> {
    pub(crate) options: &'a CompressionOptions,
    pub(crate) packing: &'a Packing,
    pub(crate) page_size: usize,
    /// Bytes of the effects that are blocks already.
    packed_bytes: usize,
}

impl<'a> Packer<'a> {
    pub(crate) fn new(
        options: &'a CompressionOptions,
        packing: &'a Packing,
        page_size: usize,
    ) -> Self {
        Self {
            options,
            packing,
            page_size,
            packed_bytes: 0,
        }
    }

    fn threshold(&self) -> usize {
        self.options.threshold_bytes as usize
    }

    /// Adds the effect that gives `key` this value, packed if that saves a page.
    pub(crate) fn put(
        &mut self,
        writer: &mut EffectWriter,
        tree: TreeId,
        key: &[u8],
        value: &[u8],
    ) {
        match self.pack_value(value) {
            Some(block) => {
                self.packed_bytes += block.len();
                let summed = if planted(Mutant::DigestOfBlock) {
                    &block
                } else {
                    value
                };
                writer.push(Effect::PutPacked {
                    tree,
                    key,
                    digest: digest(key, summed),
                    block: &block,
                });
            }
            None => writer.push(Effect::Put { tree, key, value }),
        }
    }

    fn pack_value(&self, value: &[u8]) -> Option<Vec<u8>> {
        if self.options.values == Compression::None
            || value.len() <= max_inline_value(self.page_size)
        {
            return None;
        }
        let pages = run_pages(DIGEST + value.len(), self.page_size);
        if pages < 2 {
            return None;
        }
        let values = &self.packing.values;
        let mut block = Vec::new();
        let made = values
            .pack(value, self.options.values, self.threshold(), &mut block)
            .filter(|_| run_pages(DIGEST + block.len(), self.page_size) < pages);
        let out = if made.is_some() {
            block.len()
        } else {
            value.len()
        };
        values.count(made, value.len(), out);
        made.map(|_| block)
    }

    /// What the log gets of the effects. Where most of them are blocks already
    /// there is little left to gain, and it is not tried.
    pub(crate) fn finish(self, effects: Vec<u8>, has_log: bool) -> Payload {
        let mut payload = Payload {
            effects,
            packed: None,
        };
        if has_log && self.options.log != Compression::None {
            let log = &self.packing.log;
            let effects = &payload.effects;
            let mut packed = vec![PACKED_VERSION];
            let made = (self.packed_bytes <= effects.len() / 2)
                .then(|| log.pack(effects, self.options.log, self.threshold(), &mut packed))
                .flatten()
                .filter(|_| packed.len() < effects.len());
            let bytes_in = effects.len();
            payload.packed = made.map(|_| packed);
            log.count(made, bytes_in, payload.logged().len());
        }
        payload
    }
}
