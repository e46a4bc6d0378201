use std::mem::{offset_of, size_of};

use super::*;

const TEXT: &str = include_str!("../../FORMAT.md");

/// Rows `| offset | size | field | …` under a heading of FORMAT.md.
fn rows(heading: &str) -> Vec<(usize, usize, String)> {
    let section = TEXT
        .split("\n## ")
        .find(|section| section.starts_with(heading))
        .unwrap();
    let cells = section
        .lines()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let rows = cells.filter_map(|cells| {
        let (offset, size) = (cells.get(1)?.parse().ok()?, cells.get(2)?.parse().ok()?);
        Some((offset, size, cells.get(3)?.trim_matches('`').to_owned()))
    });
    rows.collect()
}

macro_rules! fields {
    ($struct:ty: $($field:ident),+ $(,)?) => {{
        fn size<T, F>(_: fn(&T) -> &F) -> usize { size_of::<F>() }
        vec![$((
            offset_of!($struct, $field),
            size::<$struct, _>(|of| &of.$field),
            stringify!($field).to_owned(),
        )),+]
    }};
}

#[test]
fn the_tables_of_the_format_say_what_the_structs_are() {
    let meta = fields!(RawMeta: magic, format, checksum, compatible, read_only_compatible,
        incompatible, file, page_size, reserved_per_page, sequence, cluster, node,
        node_incarnation, version, lsn, log_incarnation, term, index, time, page_count,
        allocation_page, allocation_version, chain, allocation_levels, reserved, payload);
    assert_eq!(rows("Meta"), meta);
    let page =
        fields!(PageHeader: checksum, kind, level, flags, page, version, file, tree, reserved);
    let table = rows("Page header");
    assert_eq!(table[..page.len()], page);
}

fn sample() -> Meta {
    let mut root = RootRecord::empty();
    root.version = Version(7);
    root.page_count = 100;
    root.payload[3] = 9;
    let membership = Membership::default();
    Meta {
        file: FileId(5),
        page_size: 8192,
        sequence: 3,
        membership,
        root,
    }
}

#[test]
fn a_meta_comes_back_as_it_was_written() {
    assert_eq!(Meta::decode(&sample().encode()), Ok(sample()));
}

#[test]
fn each_flipped_bit_of_a_meta_is_refused() {
    let block = sample().encode();
    for byte in 0..block.len() {
        for bit in 0..8 {
            let mut damaged = block;
            damaged[byte] ^= 1 << bit;
            assert!(Meta::decode(&damaged).is_err(), "byte {byte}, bit {bit}");
        }
    }
}

#[test]
fn an_unknown_format_or_feature_is_refused_by_name() {
    let refused = |change: fn(&mut [u8; BLOCK_SIZE])| {
        let mut block = sample().encode();
        change(&mut block);
        block[12..16].fill(0);
        let sum = crc32c::crc32c(&block);
        block[12..16].copy_from_slice(&sum.to_le_bytes());
        Meta::decode(&block).unwrap_err().to_string()
    };
    assert!(refused(|block| block[8] = 2).contains("format version"));
    assert!(refused(|block| block[24] = 1).contains("features"));
    assert!(refused(|block| block[32] = 1).contains("features"));
    assert!(refused(|block| block[48] = 1).contains("page size"));
    // Kept free in each page, beside the levels, behind the payload.
    assert!(refused(|block| block[52] = 1).contains("reserved"));
    assert!(refused(|block| block[165] = 1).contains("reserved"));
    assert!(refused(|block| block[4000] = 1).contains("reserved"));
}

#[test]
fn a_page_of_an_unknown_kind_or_with_reserved_bytes_is_refused() {
    let at = PageRef {
        page: PageId(9),
        version: Version(4),
    };
    let identity = PageIdentity {
        kind: PageKind::Leaf,
        level: 0,
        tree: TreeId(16),
    };
    let said = |change: fn(&mut [u8])| {
        let mut page = vec![0; 4096];
        write_header(&mut page, FileId(7), at, identity);
        change(&mut page);
        seal_checksum(&mut page);
        match verify_page(&page, FileId(7), at) {
            Ok(()) => "sound".to_owned(),
            Err(error) => error.to_string(),
        }
    };
    for change in [(|page| page[4] = 0) as fn(&mut [u8]), |page| page[4] = 6] {
        let text = said(change);
        let start = "page 9 is damaged: kind, expected 1 to 5, found ";
        assert!(text.starts_with(start), "{text}");
    }
    assert_eq!(said(|page| page[4] = 5), "sound");
    // The flags, and the first and the last reserved byte of the header.
    for change in [
        (|page| page[7] = 1) as fn(&mut [u8]),
        |page| page[36] = 1,
        |page| page[63] = 1,
    ] {
        let expected = "page 9 is damaged: reserved bytes, expected zero, found something else";
        assert_eq!(said(change), expected);
    }
}

#[test]
fn a_page_is_refused_for_each_thing_it_may_lie_about() {
    let at = PageRef {
        page: PageId(9),
        version: Version(4),
    };
    let file = FileId(77);
    let mut page = vec![0; 4096];
    write_header(
        &mut page,
        file,
        at,
        PageIdentity {
            kind: PageKind::Leaf,
            level: 0,
            tree: TreeId(16),
        },
    );
    seal_checksum(&mut page);
    verify_page(&page, file, at).unwrap();
    let said = |file, at| verify_page(&page, file, at).unwrap_err().to_string();
    assert!(said(FileId(78), at).contains("file id"));
    assert!(
        said(
            file,
            PageRef {
                page: PageId(8),
                ..at
            }
        )
        .contains("page number")
    );
    assert!(
        said(
            file,
            PageRef {
                version: Version(5),
                ..at
            }
        )
        .contains("version")
    );
    assert!(
        said(
            file,
            PageRef {
                version: Version(3),
                ..at
            }
        )
        .contains("newer")
    );
    page[4000] ^= 1;
    assert!(
        verify_page(&page, file, at)
            .unwrap_err()
            .to_string()
            .contains("checksum")
    );
}
