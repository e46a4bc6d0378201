use std::sync::Arc;

use cs_base::{Incarnation, Lsn};
use cs_io::{Disk, OpenMode};

use crate::error::LogError;
use crate::log::tests::*;
use crate::names::segment_name;
use crate::options::StartPoint;

/// A log of several segments, and their names.
fn several() -> (Arc<dyn Disk>, Vec<String>) {
    let disk = memory();
    let log = create(&disk);
    for number in 0..30_u64 {
        commit(&log, &TestOwner::default(), &number.to_le_bytes());
    }
    let names: Vec<String> = log
        .segments()
        .iter()
        .map(|info| info.name.clone())
        .collect();
    assert!(names.len() >= 3, "{names:?}");
    (disk, names)
}

fn error_of(disk: &Arc<dyn Disk>) -> LogError {
    recover_from(disk, StartPoint::default()).unwrap_err()
}

#[test]
fn segments_that_contradict_each_other_are_corruption_of_the_later_one() {
    type Change = fn(&mut crate::format::SegmentHeader);
    let moved_on: Change = |header| {
        header.base = header.base.advance(1 << 20);
        header.last_end = header.base;
    };
    let moved_back: Change = |header| {
        (header.base, header.last_end, header.durable) = (Lsn(0), Lsn(0), Lsn(0));
    };
    let earlier: Change = |header| header.incarnation = Incarnation(7);
    let last = |names: &[String]| names.len() - 1;
    for (change, of) in [(moved_on, None), (moved_back, None), (earlier, Some(0))] {
        let (disk, names) = several();
        let changed = of.unwrap_or(last(&names));
        forge_header(&disk, &names[changed], change);
        let error = error_of(&disk);
        let named = if of.is_some() {
            &names[1]
        } else {
            &names[changed]
        };
        let LogError::CorruptSegment {
            name,
            expected,
            found,
        } = &error
        else {
            panic!("{error}");
        };
        assert_eq!(name, named);
        assert!(expected.starts_with("base from "), "{expected}");
        assert!(found.starts_with("base "), "{found}");
    }
}

#[test]
fn a_segment_under_the_name_of_another_is_corruption() {
    let (disk, names) = several();
    let newest = names.last().unwrap();
    forge_header(&disk, newest, |header| header.sequence += 1);
    let error = error_of(&disk);
    assert!(
        matches!(&error, LogError::CorruptSegment { name, .. } if name == newest),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("file id 0x0000000000c0ffee"), "{text}");
}

/// One file without a header is the torn making of a segment; a second is not.
#[test]
fn two_newest_files_without_a_header_are_corruption() {
    let (disk, _) = several();
    for sequence in [900, 901] {
        let name = segment_name(sequence);
        let file = disk.open(&name, OpenMode::Create).unwrap();
        file.write_at(&[3; 10_000], 0).unwrap();
    }
    let error = error_of(&disk);
    assert!(
        matches!(&error, LogError::CorruptSegment { name, .. } if *name == segment_name(900)),
        "{error}"
    );
}

#[test]
fn where_the_only_segment_has_no_header_its_error_is_what_is_said() {
    let disk = memory();
    drop(create(&disk));
    overwrite(&disk, &segment_name(1), 100, b"!");
    let error = error_of(&disk);
    assert!(
        matches!(&error, LogError::CorruptSegment { name, .. } if *name == segment_name(1)),
        "{error}"
    );
}

#[test]
fn a_log_that_does_not_reach_back_says_what_it_has() {
    let text = error_of(&memory()).to_string();
    assert!(text.ends_with("no segment present"), "{text}");
    let (disk, names) = several();
    disk.remove(&names[0]).unwrap();
    let text = error_of(&disk).to_string();
    assert!(text.contains("to lsn 0: first lsn present is "), "{text}");
}
