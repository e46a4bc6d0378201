use super::*;

#[test]
fn a_buffer_is_aligned_whole_blocks_and_zero_behind_what_it_was_given() {
    for len in [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1] {
        let buffer = AlignedBuf::copy_of(&vec![7; len]);
        assert!(buffer.as_ptr().addr().is_multiple_of(BLOCK_SIZE));
        assert_eq!(buffer.len(), len.max(1).next_multiple_of(BLOCK_SIZE));
        let (given, rest) = buffer.split_at(len);
        assert!(given.iter().all(|&byte| byte == 7));
        assert!(rest.iter().all(|&byte| byte == 0));
    }
}

#[test]
fn parts_lie_one_behind_the_other() {
    let parts = [&b"ab"[..], b"", b"c"];
    let buffer = AlignedBuf::joined(10, parts.into_iter());
    assert_eq!(buffer[..4], *b"abc\0");
}

#[test]
#[should_panic(expected = "the parts are longer than told")]
fn parts_that_are_longer_than_told_are_a_defect() {
    let _ = AlignedBuf::joined(10, [&[0; BLOCK_SIZE][..], b"x"].into_iter());
}

#[test]
fn a_copy_has_memory_of_its_own_and_shows_no_bytes_for_debugging() {
    let mut buffer = AlignedBuf::copy_of(b"SECRET");
    let copy = buffer.clone();
    buffer[0] = b'!';
    assert_eq!(copy[..6], *b"SECRET");
    assert_eq!(format!("{copy:?}"), "AlignedBuf(4096 bytes)");
}
