use std::mem::offset_of;

use cs_base::{BLOCK_SIZE, FileId, HybridTime, Incarnation, Index, Lsn, Term};

use super::hard_state::RawHardState;
use super::segment::RawSegmentHeader;
use super::*;

mod lies;

/// Rows `| offset | size | name |` of the table under a heading of FORMAT.md.
fn documented(heading: &str) -> Vec<(usize, usize, String)> {
    let text = include_str!("../../FORMAT.md");
    let section = text
        .split("\n## ")
        .find(|part| part.starts_with(heading))
        .expect(heading);
    section
        .lines()
        .filter_map(|line| {
            let mut cells = line.trim_matches('|').split('|').map(str::trim);
            let offset = cells.next()?.parse().ok()?;
            let size = cells.next()?.parse().ok()?;
            Some((offset, size, cells.next()?.trim_matches('`').to_owned()))
        })
        .collect()
}

macro_rules! fields {
    ($type:ty: $($field:ident),* $(,)?) => {
        [$((offset_of!($type, $field), field_size(|value: &$type| size_of_val(&value.$field)),
            stringify!($field).to_owned())),*]
    };
}

fn field_size<T: zerocopy::FromZeros>(measure: impl Fn(&T) -> usize) -> usize {
    measure(&T::new_zeroed())
}

#[test]
fn the_document_agrees_with_the_structs() {
    assert_eq!(
        documented("Segment header"),
        fields!(RawSegmentHeader: magic, format_version, checksum, compatible, read_only_compatible,
            incompatible, block_size, record_header_bytes, file_id, sequence, previous, base_lsn,
            capacity, incarnation, first_index, durable_lsn, last_time, last_end, chain, membership_len, term,
            voted_for, commit, membership, reserved)
    );
    assert_eq!(
        documented("Record"),
        fields!(RawRecordHeader: checksum, kind, flags, reserved, payload_len, previous, lsn,
            incarnation, term, index, durable_lsn, time)
    );
    assert_eq!(
        documented("Hard state"),
        fields!(RawHardState: term, voted_for, commit, membership_len, reserved)
    );
}

#[test]
fn the_document_names_every_kind() {
    let text = include_str!("../../FORMAT.md");
    for kind in RecordKind::ALL {
        let row = format!("| {} | {kind:?} |", kind as u8);
        assert!(text.contains(&row), "{row}");
        assert_eq!(RecordKind::from_number(kind as u8), Some(kind));
    }
    assert_eq!(RecordKind::from_number(0), None);
    assert_eq!(RecordKind::from_number(11), None);
}

fn header() -> SegmentHeader {
    SegmentHeader {
        file_id: FileId(1),
        sequence: 9,
        previous: 8,
        base: Lsn(8192),
        capacity: 65_536,
        incarnation: Incarnation(3),
        first_index: Index(4),
        durable: Lsn(4096),
        last_time: HybridTime(77),
        last_end: Lsn(8000),
        chain: 5,
        hard_state: HardState {
            term: Term(6),
            voted_for: 7,
            commit: Index(2),
            membership: vec![1; MAX_MEMBERSHIP_BYTES],
        },
        read_only_compatible: 0,
    }
}

#[test]
fn a_segment_header_reads_back() {
    let block = header().encode();
    assert_eq!(block.len(), BLOCK_SIZE);
    assert_eq!(SegmentHeader::decode("x", &block).unwrap(), header());
}

#[test]
fn any_bit_changed_in_a_segment_header_is_found() {
    let block = header().encode();
    for bit in 0..BLOCK_SIZE * 8 {
        let mut changed = block.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(SegmentHeader::decode("x", &changed).is_err(), "bit {bit}");
    }
    assert!(SegmentHeader::decode("x", &block[..4000]).is_err());
}

#[test]
fn an_unknown_version_is_refused_by_number() {
    let mut block = header().encode();
    block[8] = 9;
    let error = SegmentHeader::decode("wal-x", &block).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn features_that_forbid_writing_are_refused_for_writing_only() {
    let header = SegmentHeader {
        read_only_compatible: 4,
        ..header()
    };
    let read = SegmentHeader::decode("x", &header.encode()).unwrap();
    assert!(read.check_writable("x").is_err());
}

#[test]
fn a_hard_state_reads_back_and_lies_are_refused() {
    let state = header().hard_state;
    let bytes = state.encode();
    assert_eq!(HardState::decode(&bytes).unwrap(), state);
    assert!(HardState::decode(&bytes[..bytes.len() - 1]).is_err());
    assert!(HardState::decode(&bytes[..10]).is_err());
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(
        mut block in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2 * BLOCK_SIZE),
    ) {
        let _ = HardState::decode(&block);
        block.resize(BLOCK_SIZE, 0);
        proptest::prop_assert!(SegmentHeader::decode("x", &block).is_err());
    }

    #[test]
    fn lies_behind_a_good_checksum_are_refused_without_a_panic(
        offset in 16_usize..160, value in proptest::prelude::any::<u64>(),
    ) {
        let mut block = header().encode();
        block[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        let sum = crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..]);
        block[12..16].copy_from_slice(&sum.to_le_bytes());
        if let Ok(read) = SegmentHeader::decode("x", &block) {
            proptest::prop_assert!(read.base.0.checked_add(read.capacity).is_some());
            proptest::prop_assert!(read.durable <= read.last_end && read.last_end <= read.base);
        }
    }
}
