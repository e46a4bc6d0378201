//! Backups whose checksums are all right and which lie all the same.

use cs_base::codec::{Codec, encode};
use zerocopy::IntoBytes;

use super::super::chunk::ChunkBuilder;
use super::super::format::{BLOCK_HEAD, HEAD, MAX_BODY, RawBlock};
use super::super::outgoing::Outgoing;
use super::super::verify_backup;
use super::*;

/// Puts a backup together, block by block.
struct Forge {
    out: Outgoing,
    snapshot: RawSnapshot,
    trees: Vec<(TreeId, TreeStats)>,
    chunks: u64,
    kept: u64,
    attempts: u32,
}

const TREE: TreeId = TreeId(16);

fn chunk(keys: &[&str]) -> ChunkBuilder {
    let mut chunk = ChunkBuilder::default();
    for key in keys {
        chunk.push(key.as_bytes(), b"value", 1 << 20);
    }
    chunk
}

impl Forge {
    fn begin(trees: u32, entries: u64) -> Self {
        let mut out = Outgoing::default();
        out.head();
        let snapshot = RawSnapshot {
            file: 7.into(),
            incarnation: 1.into(),
            term: 1.into(),
            index: 9.into(),
            time: 0.into(),
            ordinal: 0.into(),
            page_size: 4096.into(),
            next_tree: 20.into(),
            trees: trees.into(),
            entries: entries.into(),
            bytes: (6 * entries).into(),
            has_log: 1,
            reserved: [0; 7],
        };
        let mut forge = Self {
            out,
            snapshot,
            trees: Vec::new(),
            chunks: 0,
            kept: 0,
            attempts: 0,
        };
        forge.attempt();
        forge
    }

    fn attempt(&mut self) -> &mut Self {
        self.out
            .block(BlockKind::Snapshot, TreeId(0), self.snapshot.as_bytes());
        self.attempts += 1;
        (self.chunks, self.kept) = (0, 0);
        self.trees.clear();
        self
    }

    fn tree(&mut self, tree: TreeId, stats: TreeStats) -> &mut Self {
        let raw = RawTree {
            count: stats.count.into(),
            bytes: stats.bytes.into(),
            hash: stats.hash.to_le_bytes(),
        };
        self.out.block(BlockKind::Tree, tree, raw.as_bytes());
        self.trees.push((tree, stats));
        self
    }

    fn plain(&mut self, tree: TreeId, plain: &[u8]) -> &mut Self {
        let mut body = Vec::new();
        encode(plain, Codec::Lz4, 0, &mut body);
        self.out.block(BlockKind::Entries, tree, &body);
        self.chunks += 1;
        self
    }

    fn entries(&mut self, tree: TreeId, keys: &[&str]) -> &mut Self {
        self.plain(tree, &chunk(keys).plain)
    }

    fn keep(&mut self, tree: TreeId, first: u64, count: u32) -> &mut Self {
        let raw = RawKept {
            first: first.into(),
            count: count.into(),
            reserved: 0.into(),
        };
        self.out.block(BlockKind::Kept, tree, raw.as_bytes());
        self.chunks += u64::from(count);
        self.kept += u64::from(count);
        self
    }

    fn totals(&self) -> RawEnd {
        RawEnd {
            trees: (self.trees.len() as u32).into(),
            attempts: self.attempts.into(),
            chunks: self.chunks.into(),
            kept: self.kept.into(),
            entries: self.snapshot.entries,
            bytes: self.snapshot.bytes,
            content: content_hash(&self.trees).to_le_bytes(),
        }
    }

    fn end(&mut self) -> Vec<u8> {
        let totals = self.totals();
        self.out.end(totals.as_bytes());
        self.out.waiting().to_vec()
    }
}

fn verify(bytes: &[u8]) -> Result<BackupSummary> {
    verify_backup(bytes, &mut |_| ControlFlow::Continue(()))
}

/// What is said of a backup that must be refused.
fn refused(forge: &mut Forge) -> String {
    let error = verify(&forge.end()).unwrap_err();
    assert!(error.is_corruption(), "{error}");
    error.to_string()
}

fn says(forge: &mut Forge, what: &str) {
    let text = refused(forge);
    assert!(text.contains(what), "expected {what:?}, found {text:?}");
}

fn stats(keys: &[&str]) -> TreeStats {
    chunk(keys).stats
}

#[test]
fn a_forged_backup_that_tells_the_truth_is_accepted() {
    let mut forge = Forge::begin(2, 5);
    forge.tree(TREE, stats(&["a", "b", "c"]));
    forge.entries(TREE, &["a", "b"]).entries(TREE, &["c"]);
    forge
        .tree(TreeId(17), stats(&["x", "y"]))
        .entries(TreeId(17), &["x", "y"]);
    let summary = verify(&forge.end()).unwrap();
    assert_eq!(
        (summary.entries, summary.chunks, summary.position.index.0),
        (5, 3, 9)
    );
    // The same content, kept from an attempt that came to nothing.
    let mut forge = Forge::begin(1, 3);
    forge.tree(TREE, stats(&["a", "b", "c"]));
    forge
        .entries(TREE, &["a"])
        .entries(TREE, &["bb"])
        .entries(TREE, &["c"]);
    forge.attempt().tree(TREE, stats(&["a", "b", "c"]));
    forge
        .keep(TREE, 3, 1)
        .entries(TREE, &["b"])
        .keep(TREE, 5, 1);
    let summary = verify(&forge.end()).unwrap();
    assert_eq!(
        (summary.attempts, summary.chunks, summary.kept_chunks),
        (2, 3, 2)
    );
}

#[test]
fn a_tree_that_is_not_what_the_source_said_is_refused() {
    let wanted = stats(&["a", "b"]);
    let of = |keys: &[&str]| {
        let mut forge = Forge::begin(1, 2);
        forge.tree(TREE, wanted).entries(TREE, keys);
        forge
    };
    says(&mut of(&["a"]), "tree 16: expected");
    says(&mut of(&["a", "c"]), "tree 16: expected");
    says(&mut of(&["a", "b", "c"]), "tree 16: expected");
    says(Forge::begin(1, 2).tree(TREE, wanted), "tree 16: expected");
    let mut early = Forge::begin(2, 2);
    early
        .tree(TREE, wanted)
        .tree(TreeId(17), TreeStats::default());
    says(&mut early, "tree 16: expected");
    says(&mut Forge::begin(1, 0), "expected 1 trees");
    let mut more = Forge::begin(1, 0);
    more.tree(TREE, TreeStats::default())
        .tree(TreeId(17), TreeStats::default());
    says(&mut more, "expected 1 trees, found more");
}

#[test]
fn what_is_out_of_order_is_refused() {
    let all = stats(&["a", "b"]);
    says(
        Forge::begin(1, 2)
            .tree(TREE, all)
            .entries(TREE, &["b"])
            .entries(TREE, &["a"]),
        "out of order",
    );
    says(
        Forge::begin(1, 2)
            .tree(TREE, all)
            .entries(TREE, &["a"])
            .entries(TREE, &["a"]),
        "out of order",
    );
    says(
        Forge::begin(1, 2)
            .tree(TREE, all)
            .entries(TREE, &["b", "a"]),
        "out of order",
    );
    says(
        Forge::begin(1, 2)
            .tree(TREE, all)
            .entries(TreeId(17), &["a", "b"]),
        "has not begun",
    );
    says(
        Forge::begin(1, 2).entries(TREE, &["a", "b"]),
        "has not begun",
    );
    says(
        Forge::begin(1, 2).tree(TREE, all).plain(TREE, &[]),
        "without entries",
    );
    says(
        Forge::begin(1, 2)
            .tree(TREE, all)
            .plain(TREE, &[1, 0, 0, 0, 9]),
        "cut off",
    );
    let none = TreeStats::default();
    says(
        Forge::begin(2, 0).tree(TreeId(17), none).tree(TREE, none),
        "out of order",
    );
    says(
        Forge::begin(2, 0).tree(TREE, none).tree(TREE, none),
        "out of order",
    );
    for tree in [system::DIRECTORY, system::DROPPED, TreeId(20)] {
        says(
            Forge::begin(1, 0).tree(tree, none),
            "none that a backup has",
        );
    }
    let mut out = Outgoing::default();
    out.head();
    out.block(BlockKind::Tree, TREE, &[0; 32]);
    let error = verify(out.waiting()).unwrap_err().to_string();
    assert!(error.contains("before any snapshot"), "{error}");
}

#[test]
fn chunks_that_are_not_there_or_not_the_trees_are_not_kept() {
    let all = stats(&["a", "b"]);
    let begun = || {
        let mut forge = Forge::begin(1, 2);
        forge
            .tree(TREE, all)
            .entries(TREE, &["a"])
            .entries(TREE, &["b"]);
        forge.attempt().tree(TREE, all);
        forge
    };
    verify(&begun().keep(TREE, 3, 2).end()).unwrap();
    says(begun().keep(TREE, 3, 0), "keeps none");
    says(begun().keep(TREE, 2, 1), "is no chunk");
    says(begun().keep(TREE, 3, u32::MAX), "is no chunk");
    says(begun().keep(TREE, u64::MAX, 2), "is no chunk");
    says(begun().keep(TREE, 4, 1).keep(TREE, 3, 1), "out of order");
    says(begun().keep(TREE, 3, 1).keep(TREE, 3, 1), "out of order");
    let mut other = Forge::begin(1, 2);
    other.tree(TREE, all).entries(TREE, &["a", "b"]);
    other.attempt().tree(TreeId(17), all).keep(TreeId(17), 3, 1);
    says(&mut other, "out of order");
}

#[test]
fn another_database_and_other_totals_are_refused() {
    let mut forge = Forge::begin(0, 0);
    forge.snapshot.file = 8.into();
    forge.attempt();
    says(&mut forge, "expected database 7, found 8");
    let changes: [fn(&mut RawSnapshot); 4] = [
        |snapshot| snapshot.reserved[3] = 1,
        |snapshot| snapshot.has_log = 2,
        |snapshot| snapshot.next_tree = 3.into(),
        |snapshot| snapshot.trees = 1.into(),
    ];
    for change in changes {
        let mut forge = Forge::begin(0, 0);
        change(&mut forge.snapshot);
        forge.attempt();
        refused(&mut forge);
    }
    let changes: [fn(&mut Forge); 4] = [
        |forge| forge.chunks += 1,
        |forge| forge.kept += 1,
        |forge| forge.attempts += 1,
        |forge| forge.snapshot.bytes = 1.into(),
    ];
    for change in changes {
        let mut forge = Forge::begin(0, 0);
        change(&mut forge);
        says(&mut forge, "totals");
    }
}

#[test]
fn no_length_is_believed_before_it_is_held_against_its_limit() {
    let bytes = Forge::begin(0, 0).end();
    let at = HEAD + BLOCK_HEAD + 80;
    for (kind, len) in [
        (BlockKind::Entries, MAX_BODY as u32 + 1),
        (BlockKind::Entries, 3),
        (BlockKind::Tree, u32::MAX),
        (BlockKind::End, 0),
    ] {
        let mut bytes = bytes.clone();
        bytes[at + std::mem::offset_of!(RawBlock, kind)] = kind as u8;
        bytes[at + 36..at + 40].copy_from_slice(&len.to_le_bytes());
        let error = verify(&bytes).unwrap_err().to_string();
        assert!(error.contains(&format!("a body of {len} bytes")), "{error}");
    }
    // A chunk that would unpack to more than any chunk has.
    let mut forge = Forge::begin(1, 0);
    forge.tree(TREE, TreeStats::default());
    let mut body = vec![3, 0, 0, 0];
    body.extend_from_slice(&(1_u32 << 29).to_le_bytes());
    body.resize(1 << 20, 0);
    forge.out.block(BlockKind::Entries, TREE, &body);
    says(&mut forge, "at most");
}
