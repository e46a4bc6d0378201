//! Reads, writes, syncs, lengths.

use super::*;

#[test]
fn a_write_that_the_kernel_accepts_and_does_not_make_is_an_error() {
    let place = place(DirectIo::Off);
    let nothing = Refusal::of(libc::SYS_pwrite64, 0);
    let error = within(&[nothing], || place.file.write_at(b"abc", 5)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WriteZero);
    let text = error.to_string();
    assert!(
        text.starts_with("writing 3 bytes to a at offset 5: "),
        "{text}"
    );
}

#[test]
fn a_kernel_that_says_not_now_for_ever_is_an_error_at_last() {
    let place = place(DirectIo::Off);
    let refusals = [
        Refusal::of(libc::SYS_pwrite64, libc::EAGAIN),
        Refusal::of(libc::SYS_pread64, libc::EAGAIN),
    ];
    within(&refusals, || {
        let write = place.file.write_at(b"abc", 0).unwrap_err();
        let read = place.file.read_at(&mut [0; 4], 9).unwrap_err();
        for error in [&write, &read] {
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        }
        let text = read.to_string();
        assert!(
            text.starts_with("reading 4 bytes of a at offset 9: "),
            "{text}"
        );
    });
}

#[test]
fn errors_of_writes_reads_and_syncs_say_which_file_and_where() {
    let place = place(DirectIo::Off);
    place.file.write_at(&[1; 100], 0).unwrap();
    let calls = [
        libc::SYS_pwrite64,
        libc::SYS_pread64,
        libc::SYS_fsync,
        libc::SYS_fdatasync,
    ];
    let refusals = calls.map(|call| Refusal::of(call, libc::EIO));
    let durable = || {
        place
            .file
            .start_write(Arc::new(block()), 0, WriteMode::Durable)
    };
    within(&refusals, || {
        for (result, start) in [
            (
                place.file.write_at(&[2; 9], 7),
                "writing 9 bytes to a at offset 7: ",
            ),
            (durable().wait(), "writing 4096 bytes to a at offset 0: "),
            (
                place.file.read_at(&mut [0; 8], 3).map(drop),
                "reading 8 bytes of a at offset 3: ",
            ),
            (place.file.sync(), "syncing a: "),
        ] {
            assert!(text(result).starts_with(start), "{start}");
        }
    });
    // What failed was not done in part, and nothing is held against the file.
    let mut bytes = [0; 100];
    assert_eq!(place.file.read_at(&mut bytes, 0).unwrap(), 100);
    assert_eq!(bytes, [1; 100]);
    place.file.sync().unwrap();
    place.file.write_at(&[3; 1], 0).unwrap();
    // The length is known by now, so that the data alone is synced.
    let data = [Refusal::of(libc::SYS_fdatasync, libc::EIO)];
    let again = within(&data, || place.file.sync());
    assert!(text(again).starts_with("syncing a: "));
}

#[test]
fn a_durable_write_whose_sync_fails_is_not_durable() {
    let place = place(DirectIo::Off);
    let refusals = [libc::SYS_fsync, libc::SYS_fdatasync].map(|call| Refusal::of(call, libc::EIO));
    let write = || place.file.write_durable(Arc::new(block()), 0);
    assert!(text(within(&refusals, write)).starts_with("syncing a: "));
}

#[test]
fn without_the_flag_a_durable_direct_write_is_a_write_and_a_sync() {
    let place = place(DirectIo::Auto);
    if place.direct_descriptor().is_none() {
        return;
    }
    let flag = [Refusal::of(libc::SYS_pwritev2, libc::EOPNOTSUPP)];
    within(&flag, || {
        place.file.write_durable(Arc::new(block()), 0).unwrap();
        // It is asked for once only.
        place.file.write_durable(Arc::new(block()), 4096).unwrap();
    });
    let report = place.report();
    assert!(report.direct_io, "direct I/O goes on: {report:?}");
    assert_eq!(report.syscall_writes, 2);
    assert_eq!(report.fallbacks.len(), 1, "{report:?}");
    assert!(
        report.fallbacks[0].starts_with("RWF_DSYNC refused when writing a: "),
        "{report:?}"
    );
    assert_eq!(place.file.len().unwrap(), 8192);
    // Without the flag, a sync that fails is what says that it is not durable.
    let syncs = [libc::SYS_fsync, libc::SYS_fdatasync].map(|call| Refusal::of(call, libc::EIO));
    let write = || place.file.write_durable(Arc::new(block()), 0);
    assert!(text(within(&syncs, write)).starts_with("syncing a: "));
}

#[test]
fn a_direct_write_that_is_refused_goes_through_the_page_cache() {
    let place = place(DirectIo::Auto);
    if place.direct_descriptor().is_none() {
        return;
    }
    let write = || place.file.write_durable(Arc::new(block()), 4096);
    let broken = [Refusal::of(libc::SYS_pwritev2, libc::EIO)];
    let error = text(within(&broken, write));
    assert!(
        error.starts_with("writing 4096 bytes to a at offset 4096: "),
        "a failure is no refusal: {error}"
    );
    let refusal = [Refusal::of(libc::SYS_pwritev2, libc::EINVAL)];
    within(&refusal, write).unwrap();
    let report = place.report();
    assert!(!report.direct_io);
    assert_eq!(report.fallbacks.len(), 1, "{report:?}");
    assert!(
        report.fallbacks[0].starts_with("direct I/O refused when writing a: "),
        "{report:?}"
    );
    let mut back = AlignedBuf::zeroed(8192);
    assert_eq!(place.file.read_at(&mut back, 0).unwrap(), 8192);
    assert_eq!(back[4096..], *block());
}

#[test]
fn a_direct_read_that_is_refused_goes_through_the_page_cache_and_one_that_fails_does_not() {
    let place = place(DirectIo::Auto);
    place.file.write_at(&block(), 0).unwrap();
    let Some(direct) = place.direct_descriptor() else {
        return;
    };
    let mut back = AlignedBuf::zeroed(BLOCK_SIZE);
    let answered = |error| [Refusal::of(libc::SYS_pread64, error).where_equal(0, direct)];
    let failed = within(&answered(libc::EIO), || place.file.read_at(&mut back, 0));
    assert!(text(failed).starts_with("reading 4096 bytes of a at offset 0: "));
    assert_eq!(place.report().fallbacks, Vec::<String>::new());
    let read = within(&answered(libc::EINVAL), || place.file.read_at(&mut back, 0));
    assert_eq!((read.unwrap(), &back[..]), (BLOCK_SIZE, &block()[..]));
    let report = place.report();
    assert!(!report.direct_io);
    assert!(
        report.fallbacks[0].starts_with("direct I/O refused when reading a: "),
        "{report:?}"
    );
}

#[test]
fn errors_of_lengths_and_maps_say_which_file_and_what_was_asked_for() {
    let place = place(DirectIo::Off);
    place.file.write_at(&[1; 5000], 0).unwrap();
    let refusals = [
        Refusal::of(libc::SYS_lseek, libc::EOVERFLOW),
        Refusal::of(libc::SYS_ftruncate, libc::EFBIG),
    ];
    within(&refusals, || {
        assert!(text(place.file.len()).starts_with("measuring a: "));
        assert!(text(place.file.sync()).starts_with("measuring a: "));
        assert!(text(place.file.map_read_only(0, 4096)).starts_with("measuring a: "));
        assert!(text(place.file.allocate(0, 4096)).starts_with("measuring a: "));
        let set = place.file.set_len(77);
        assert!(text(set).starts_with("setting the length of a to 77: "));
    });
    let length = Refusal::of(libc::SYS_mmap, libc::ENODEV).where_equal(1, 4096);
    let map = || place.file.map_read_only(0, 4096).map(drop);
    let refused = within(&[length], map);
    assert!(text(refused).starts_with("mapping 4096 bytes of a at offset 0: "));
    assert!(
        !place.file.mapped.load(Ordering::Relaxed),
        "nobody reads through a map"
    );
    let beyond = place.file.map_read_only(4096, 4096).map(drop);
    assert_eq!(
        text(beyond),
        "mapping 4096 bytes of a at offset 4096: the file has 5000 bytes"
    );
}

#[test]
fn ranges_beyond_the_largest_file_are_refused_before_the_kernel_is_asked() {
    let place = place(DirectIo::Off);
    let largest = i64::MAX as u64;
    let file = &place.file;
    for result in [
        file.read_at(&mut [0; 2], largest).map(drop),
        file.write_at(&[0; 2], largest),
        file.set_len(largest + 1),
        file.allocate(largest, 1),
        file.map_read_only(largest, 1).map(drop),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(
            error.to_string().contains("end beyond the largest file"),
            "{error}"
        );
    }
    assert_eq!(file.len().unwrap(), 0);
}

#[test]
fn an_empty_range_is_allocated_by_doing_nothing() {
    let place = place(DirectIo::Off);
    let refusals = [Refusal::of(libc::SYS_fallocate, libc::EIO)];
    within(&refusals, || place.file.allocate(4096, 0)).unwrap();
    assert_eq!(place.file.len().unwrap(), 0);
}

#[test]
fn where_the_file_system_cannot_allocate_zeroes_are_written_and_the_report_says_so() {
    for error in [libc::EOPNOTSUPP, libc::ENOSYS] {
        let place = place(DirectIo::Off);
        place.file.write_at(&[9; 100], 0).unwrap();
        let refusals = [Refusal::of(libc::SYS_fallocate, error)];
        within(&refusals, || place.file.allocate(0, 200_000)).unwrap();
        let mut bytes = vec![1; 200_001];
        assert_eq!(place.file.read_at(&mut bytes, 0).unwrap(), 200_000);
        assert_eq!(bytes[..100], [9; 100]);
        assert!(bytes[100..200_000].iter().all(|&byte| byte == 0));
        let report = place.report();
        assert!(
            report.fallbacks[0].starts_with("no fallocate, writing zeroes: "),
            "{report:?}"
        );
    }
}

#[test]
fn an_allocation_that_finds_no_space_gives_back_what_it_got() {
    let place = place(DirectIo::Off);
    place.file.write_at(&[9; 100], 0).unwrap();
    let full = [Refusal::of(libc::SYS_fallocate, libc::ENOSPC)];
    let error = within(&full, || place.file.allocate(0, 200_000)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    let text = error.to_string();
    assert!(
        text.starts_with("allocating 200000 bytes of a at offset 0: "),
        "{text}"
    );
    // The same half-way through the zeroes.
    let second_piece = 100 + ZEROES as u32;
    let refusals = [
        Refusal::of(libc::SYS_fallocate, libc::EOPNOTSUPP),
        Refusal::of(libc::SYS_pwrite64, libc::ENOSPC).where_equal(3, second_piece),
    ];
    let error = within(&refusals, || place.file.allocate(0, 200_000)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(place.file.len().unwrap(), 100);
}
