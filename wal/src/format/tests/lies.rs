//! Headers and states whose checksum is sound and whose numbers are not.

use zerocopy::{FromBytes, IntoBytes};

use super::*;

/// What is said of a header after a change.
fn said(change: impl FnOnce(&mut RawSegmentHeader)) -> String {
    let mut raw = RawSegmentHeader::read_from_bytes(&header().encode()).unwrap();
    change(&mut raw);
    let block = raw.as_bytes();
    let sum = crc32c::crc32c_append(crc32c::crc32c(&block[..12]), &block[16..]);
    raw.checksum = sum.into();
    match SegmentHeader::decode("wal-x", raw.as_bytes()) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn corrupt(expected: &str, found: &str) -> String {
    format!("segment wal-x is corrupt: expected {expected}, found {found}")
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_what_was_expected() {
    assert_eq!(said(|_| ()), "accepted");
    let block = said(|raw| raw.block_size = 512.into());
    assert_eq!(block, corrupt("block size 4096", "512"));
    let record = said(|raw| raw.record_header_bytes = 63.into());
    assert_eq!(record, corrupt("record header 64", "63"));

    let whole = "base and capacity in whole blocks, at most 1099511627776 bytes";
    let limit = 1_u64 << 40;
    for (base, capacity) in [
        (8192, 0),
        (8192, 4095),
        (8191, 65_536),
        (8192, limit + 4096),
        (u64::MAX - 2 * limit + 1, 65_536),
    ] {
        let found = said(|raw| (raw.base_lsn, raw.capacity) = (base.into(), capacity.into()));
        let expected = corrupt(whole, &format!("base {base}, capacity {capacity}"));
        assert_eq!(found, expected);
    }

    for (sequence, previous, incarnation) in [(8, 8, 3), (7, 8, 3), (9, 8, 0)] {
        let found = said(|raw| {
            (raw.sequence, raw.incarnation) = (sequence.into(), incarnation.into());
        });
        let expected = corrupt(
            "sequence after the previous one, incarnation from 1",
            &format!("sequence {sequence}, previous {previous}, incarnation {incarnation}"),
        );
        assert_eq!(found, expected);
    }

    let before = "durable lsn, then last end in the block before base 8192";
    for (durable, last_end) in [(4096, 8193), (4096, 4096), (8001, 8000)] {
        let found = said(|raw| {
            (raw.durable_lsn, raw.last_end) = (durable.into(), last_end.into());
        });
        let expected = corrupt(
            before,
            &format!("durable lsn {durable}, last end {last_end}"),
        );
        assert_eq!(found, expected);
    }

    let index = said(|raw| raw.first_index = 0.into());
    assert_eq!(index, corrupt("first index from 1", "0"));
}

#[test]
fn reserved_bytes_and_what_lies_behind_the_membership_are_zero() {
    let most = MAX_MEMBERSHIP_BYTES;
    for found in [
        said(|raw| raw.reserved[1887] = 1),
        said(|raw| raw.membership_len = (most as u32 - 1).into()),
        said(|raw| raw.membership_len = (most as u32 + 1).into()),
    ] {
        assert!(found.contains("expected zero reserved bytes"), "{found}");
    }
    let shorter = said(|raw| {
        raw.membership_len = (most as u32 - 1).into();
        raw.membership[most - 1] = 0;
    });
    assert_eq!(shorter, "accepted");
}

#[test]
fn feature_bits_are_refused_by_their_mask() {
    let unknown = said(|raw| raw.incompatible = 6.into());
    assert_eq!(
        unknown,
        "segment wal-x has incompatible features 0x6, this version knows 0x0"
    );
    let compatible = said(|raw| raw.compatible = 6.into());
    assert_eq!(compatible, "accepted");
    let header = SegmentHeader {
        read_only_compatible: 4,
        ..header()
    };
    let error = header.check_writable("wal-x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "segment wal-x has features 0x4 that allow reading only, this version knows 0x0"
    );
}

#[test]
fn a_hard_state_says_the_length_of_its_membership_and_reserves_nothing() {
    let state = |len: u32, reserved: u32, membership: usize| {
        let raw = RawHardState {
            term: 1.into(),
            voted_for: 2.into(),
            commit: 3.into(),
            membership_len: len.into(),
            reserved: reserved.into(),
        };
        let bytes = [raw.as_bytes(), &vec![9; membership]].concat();
        HardState::decode(&bytes).map(|state| state.membership.len())
    };
    assert_eq!(state(5, 0, 5), Ok(5));
    for (len, reserved, membership) in [(4, 0, 5), (2049, 0, 2049), (5, 1, 5)] {
        let refused = format!("membership length {len} in {membership} bytes");
        assert_eq!(state(len, reserved, membership), Err(refused));
    }
}
