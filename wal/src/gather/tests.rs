use super::*;
use crate::log::tests::*;

#[test]
fn buffers_are_used_again() {
    let pool = BufferPool::new(8192, 1);
    let buf = pool.take(1);
    let address = buf.as_ptr();
    pool.give_back(Arc::new(GroupBytes { buf, len: 4096 }));
    assert_eq!(pool.take(8192).as_ptr(), address);
}

#[test]
fn a_buffer_still_in_use_elsewhere_is_not_pooled() {
    let pool = BufferPool::new(8192, 1);
    let bytes = Arc::new(GroupBytes {
        buf: pool.take(1),
        len: 4096,
    });
    let held = bytes.clone();
    pool.give_back(bytes);
    assert!(pool.free.lock().is_empty());
    drop(held);
}

#[test]
fn the_rest_of_a_groups_last_block_is_zero() {
    let log = create(&memory());
    append(&log, &[0xFF; 100]);
    let mut appender = log.appender.lock();
    let (mut chunks, records) = appender.gather.cut();
    assert_eq!(records, 1);
    let (_, start, bytes) = chunks.remove(0).close();
    assert_eq!(start, Lsn(0));
    assert_eq!(bytes.stable_bytes().len(), 4096);
    assert!(bytes.stable_bytes()[168..].iter().all(|&byte| byte == 0));
    assert!(appender.gather.chunks.is_empty());
}

#[test]
fn a_full_buffer_begins_another_chunk_on_a_block() {
    let log = create(&memory());
    append(&log, &[1; 5000]);
    let second = append(&log, &[2; 5000]);
    assert_eq!(second.lsn, Lsn(8192));
    assert_eq!(log.appender.lock().gather.chunks.len(), 2);
}
