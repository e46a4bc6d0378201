//! The metas, and making a file.

use super::*;

#[test]
fn a_page_size_that_no_page_may_have_is_refused_by_number() {
    for bytes in [0, 2048, 4095, 12_288, 131_072] {
        let disk = MemoryDisk::new();
        let error = create(&*disk, FileId(1), bytes, Incarnation(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("page size: expected a power of two from 4096 to 65536, found {bytes}")
        );
        assert!(disk.list().unwrap().is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_made_leaves_none_under_its_name() {
    let full = MemoryDisk::with_capacity(10_000);
    let error = create(&*full, FileId(1), PAGE, Incarnation(0)).unwrap_err();
    assert!(matches!(error, PagerError::NoSpace { .. }), "{error}");
    assert!(!exists(&*full).unwrap());
    let failing = SimDisk::new(1, SimOptions::default());
    for operation in 0..8 {
        failing.plan_fault(Some(FaultPlan {
            at_operation: failing.operations() + operation,
            fault: Fault::Eio,
        }));
        let error = create(&*failing, FileId(1), PAGE, Incarnation(0)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("making the file: "), "{operation}: {text}");
        assert!(!exists(&*failing).unwrap(), "{operation}");
    }
    // What they left is in nobody's way.
    assert_eq!(failing.list().unwrap(), [DATA_FILE_NEW]);
    drop(made(&*failing));
    assert_eq!(failing.list().unwrap(), [DATA_FILE]);
}

#[test]
fn metas_that_contradict_each_other_are_damage_and_say_in_what() {
    for (change, what) in [
        (
            (|meta| meta.file = FileId(9)) as fn(&mut Meta),
            "file ids 0000000000000001 and 0000000000000009",
        ),
        (|meta| meta.page_size = 8192, "page sizes 4096 and 8192"),
        (|meta| meta.sequence = 1, "sequences 1 and 1"),
    ] {
        let disk = MemoryDisk::new();
        drop(made(&*disk));
        forge_meta(&*disk, 1, change);
        let text = said(&*disk);
        assert!(
            text.starts_with("the data file is damaged: its two metas contradict each other"),
            "{text}"
        );
        let what = what.replace("0000000000000001", &FileId(1).to_string());
        let what = what.replace("0000000000000009", &FileId(9).to_string());
        assert!(text.contains(&what), "{what}: {text}");
    }
}

#[test]
fn a_meta_of_a_later_format_beside_a_damaged_one_is_not_supported() {
    for later in [0, 1] {
        let disk = MemoryDisk::new();
        drop(made(&*disk));
        forge_block(&*disk, later, 8, 99);
        let file = data(&*disk);
        file.write_at(b"!", META_OFFSETS[1 - later] + 100).unwrap();
        let error = reopen(&*disk).map(drop).unwrap_err();
        assert!(matches!(error, PagerError::Unsupported(_)), "{error}");
        assert!(error.to_string().contains("the file has 99"), "{error}");
        assert!(!error.is_corruption());
    }
}

#[test]
fn a_file_that_a_newer_program_has_written_to_is_refused_although_an_older_meta_is_known() {
    for (offset, what) in [
        (8, "the file has 99"),
        (24, "masks 0x0, 0x63"),
        (32, "masks 0x63, 0x0"),
    ] {
        for later in [0, 1] {
            let disk = MemoryDisk::new();
            drop(made(&*disk));
            forge_block(&*disk, later, offset, 99);
            let error = reopen(&*disk).map(drop).unwrap_err();
            assert!(matches!(error, PagerError::Unsupported(_)), "{error}");
            assert!(error.to_string().contains(what), "{error}");
        }
    }
    // A version that is damaged is no newer program's.
    let disk = MemoryDisk::new();
    drop(made(&*disk));
    let file = data(&*disk);
    file.write_at(&[99], META_OFFSETS[1] + 8).unwrap();
    reopen(&*disk).unwrap();
}

#[test]
fn features_are_refused_by_their_masks() {
    // The masks lie at 24 (readers may go on) and 32 (nobody may).
    for (offset, masks) in [(24, "(masks 0x0, 0x5)"), (32, "(masks 0x5, 0x0)")] {
        let disk = MemoryDisk::new();
        drop(made(&*disk));
        for slot in [0, 1] {
            forge_block(&*disk, slot, offset, 5);
        }
        let text = said(&*disk);
        assert!(text.contains(masks), "{text}");
    }
    // At 16 they are nobody's business.
    let disk = MemoryDisk::new();
    drop(made(&*disk));
    forge_block(&*disk, 0, 16, 5);
    reopen(&*disk).unwrap();
}

#[test]
fn a_file_that_ends_inside_a_meta_is_damaged_there() {
    let disk = MemoryDisk::new();
    drop(made(&*disk));
    let file = data(&*disk);
    for len in [META_OFFSETS[1] + 100, 100, 0] {
        file.set_len(len).unwrap();
        let [first, second] = read_metas(&*file).unwrap();
        let ends = |offset: u64| format!("the file ends inside the meta at byte {offset}");
        assert_eq!(second.unwrap_err(), ends(META_OFFSETS[1]));
        if len < 4096 {
            assert_eq!(first.unwrap_err(), ends(META_OFFSETS[0]));
        } else {
            first.unwrap();
        }
        assert!(reopen(&*disk).map(drop).unwrap_err().is_corruption());
    }
}

#[test]
fn a_meta_that_tells_of_more_pages_than_the_file_has_or_of_too_few_is_damage() {
    for pages in [1_u64 << 40, first_page(PAGE).0 - 1, 0] {
        let disk = MemoryDisk::new();
        let mut opened = made(&*disk);
        grown(&mut opened);
        let slot = opened.metas.newest_slot();
        drop(opened);
        forge_meta(&*disk, slot, |meta| meta.root.page_count = pages);
        let text = said(&*disk);
        let start = format!(
            "the data file is damaged: the newest meta tells of {pages} pages of 4096 bytes"
        );
        assert!(text.starts_with(&start), "{text}");
    }
}

#[test]
fn opening_says_what_could_not_be_done() {
    let disk = SimDisk::new(1, SimOptions::default());
    let text = said(&*disk);
    assert!(text.contains("on the data file, opening it: "), "{text}");
    drop(made(&*disk));
    let mut seen = Vec::new();
    // One operation after the other, until none is left to fail.
    for operation in 0.. {
        disk.plan_fault(Some(FaultPlan {
            at_operation: disk.operations() + operation,
            fault: Fault::Eio,
        }));
        let Err(error) = reopen(&*disk) else { break };
        let PagerError::Io { doing, .. } = error else {
            panic!("{error}");
        };
        seen.push(doing);
    }
    assert_eq!(
        seen,
        [
            "opening it",
            "reading a meta",
            "reading a meta",
            "making the metas durable",
            // For a file without a log.
            "syncing the directory",
        ]
    );
}

#[test]
fn a_file_opened_for_tools_changes_nothing() {
    let disk = MemoryDisk::new();
    assert!(open_file(&*disk).is_err());
    drop(made(&*disk));
    let file = open_file(&*disk).unwrap();
    assert!(file.write_at(b"x", 0).is_err());
    let opened = open(&*disk, options(), OpenMode::ReadOnly).unwrap();
    assert_eq!(opened.metas.newest().file, FileId(1));
}
