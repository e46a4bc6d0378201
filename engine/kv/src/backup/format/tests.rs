use std::mem::offset_of;
use std::ops::ControlFlow;

use cs_base::TreeId;
use cs_io::SimRuntime;
use cs_io::memory::MemoryDisk;
use zerocopy::FromZeros;

use super::super::{BackupOptions, verify_backup};
use super::*;
use crate::{Batch, CommitOptions, Compression, Expect, Store, StoreOptions};

fn section(heading: &str) -> &'static str {
    let text = include_str!("../../../FORMAT.md");
    let mut parts = text.split("\n### ");
    parts.find(|part| part.starts_with(heading)).expect(heading)
}

/// Rows `| offset | size | name |` of the table under a heading of FORMAT.md.
fn documented(heading: &str) -> Vec<(usize, usize, String)> {
    let lines = section(heading).lines();
    lines
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let offset = cells.next()?.parse().ok()?;
            let size = cells.next()?.parse().ok()?;
            Some((offset, size, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect()
}

fn field_size<T: FromZeros>(measure: impl Fn(&T) -> usize) -> usize {
    measure(&T::new_zeroed())
}

macro_rules! fields {
    ($type:ty: $($field:ident),* $(,)?) => {
        [$((offset_of!($type, $field), field_size(|value: &$type| size_of_val(&value.$field)),
            stringify!($field).to_owned())),*]
    };
}

#[test]
fn the_document_agrees_with_the_structs() {
    assert_eq!(
        documented("Backup head"),
        fields!(RawHead: magic, format_version, checksum, compatible, read_only_compatible,
            incompatible, reserved)
    );
    assert_eq!(
        documented("Backup block"),
        fields!(RawBlock: checksum, kind, reserved, sequence, chain, tree, body_len, reserved2)
    );
    assert_eq!(
        documented("Backup snapshot"),
        fields!(RawSnapshot: file, incarnation, term, index, time, ordinal, page_size, next_tree,
            trees, entries, bytes, has_log, reserved)
    );
    assert_eq!(
        documented("Backup tree"),
        fields!(RawTree: count, bytes, hash)
    );
    assert_eq!(
        documented("Backup kept"),
        fields!(RawKept: first, count, reserved)
    );
    assert_eq!(
        documented("Backup end"),
        fields!(RawEnd: trees, attempts, chunks, kept, entries, bytes, content)
    );
}

#[test]
fn the_document_names_every_kind_and_limit() {
    let kinds = section("Backup block");
    let of = |kind: BlockKind| {
        format!(
            "| {} | {} |",
            kind as u8,
            format!("{kind:?}").to_lowercase()
        )
    };
    for number in 1..=5 {
        let kind = BlockKind::from_u8(number).unwrap();
        assert!(kinds.contains(&of(kind)), "{kind:?}");
    }
    assert!(BlockKind::from_u8(0).is_none() && BlockKind::from_u8(6).is_none());
    assert_eq!(MAX_CHUNK, 50_397_192);
    assert!(kinds.contains("50,397,192"));
    let limits = section("Backup limits");
    for (name, value) in [
        ("HEAD", HEAD),
        ("BLOCK_HEAD", BLOCK_HEAD),
        ("ENTRY_HEAD", ENTRY_HEAD),
        ("FILE_HASH", FILE_HASH),
        ("MIN_CHUNK_BYTES", MIN_CHUNK_BYTES as usize),
        ("MAX_CHUNK_BYTES", MAX_CHUNK_BYTES as usize),
        ("MAX_CHUNK", MAX_CHUNK),
        ("MAX_BODY", MAX_BODY),
    ] {
        assert!(
            limits.contains(&format!("| `{name}` | {value} |")),
            "{name} {value}"
        );
    }
}

/// The backup of the example.
fn example() -> Vec<u8> {
    let options = StoreOptions {
        page_size: 4096,
        ..StoreOptions::default()
    };
    let store = Store::open(MemoryDisk::new(), SimRuntime::new(1), options).unwrap();
    let mut batch = Batch::new();
    batch.create_tree(TreeId(16));
    batch.put(TreeId(16), b"k".to_vec(), b"v".to_vec(), Expect::Absent);
    store
        .write(&batch, &CommitOptions::default())
        .unwrap()
        .wait()
        .unwrap();
    let options = BackupOptions {
        compression: Compression::None,
        ..BackupOptions::default()
    };
    let mut backup = store.backup(Vec::new(), &options).unwrap();
    backup.run(&mut |_| ControlFlow::Continue(())).unwrap();
    backup.into_sink()
}

/// Bytes as the example shows them: sixteen on each line, blocks apart.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    let mut show = |len: usize, what: &str| {
        for (line, row) in bytes[at..at + len].chunks(16).enumerate() {
            let hex: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            let note = if line == 0 { what } else { "" };
            let row = format!("{:4}  {:47}  {note}", at + 16 * line, hex.join(" "));
            text.push_str(row.trim_end());
            text.push('\n');
        }
        at += len;
    };
    show(HEAD, "head");
    for (what, len) in [("snapshot", 80), ("tree", 32), ("entries", 18), ("end", 56)] {
        show(BLOCK_HEAD, &format!("block: {what}"));
        show(len, what);
    }
    show(FILE_HASH, "hash of the file");
    assert_eq!(at, bytes.len());
    text
}

#[test]
fn the_example_is_what_the_code_writes_and_reads() {
    let bytes = example();
    let text = section("Backup example");
    let expected = shown(&bytes);
    assert!(
        text.contains(&format!("; {} bytes:", bytes.len())),
        "{}",
        bytes.len()
    );
    assert!(
        text.contains(&format!("```text\n{expected}```")),
        "\n{expected}"
    );
    let summary = verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((summary.entries, summary.bytes, summary.chunks), (1, 2, 1));
}
