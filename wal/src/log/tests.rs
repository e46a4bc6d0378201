//! What the unit tests of this crate share, and the tests of the log's state.

use cs_base::Term;
use cs_io::memory::MemoryDisk;
use cs_io::{RealRuntime, SimRuntime};

use zerocopy::{FromBytes, IntoBytes};

use super::*;
use crate::format::{
    RECORD_HEADER_BYTES, RawRecordHeader, RecordHead, RecordKind, SEGMENT_HEADER_BYTES,
    SegmentHeader,
};
use crate::group::LogOwner;
use crate::names::segment_name;
use crate::recover::Recovered;

pub(crate) const FILE_ID: FileId = FileId(0xC0FFEE);

/// An owner that notes what it is told.
#[derive(Debug, Default)]
pub(crate) struct TestOwner {
    pub(crate) writer: Mutex<()>,
    pub(crate) advanced: Mutex<Vec<Lsn>>,
    pub(crate) failed: AtomicU64,
}

impl LogOwner for TestOwner {
    fn seal_and_cut(&self, cut: &mut dyn FnMut()) {
        let _writer = self.writer.lock();
        cut();
    }

    fn durable_advanced(&self, durable: Lsn) {
        let mut advanced = self.advanced.lock();
        assert!(advanced.last().is_none_or(|&last| last < durable));
        advanced.push(durable);
    }

    fn log_failed(&self, _error: &LogError) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }
}

/// Small sizes, so that a few records need several segments.
pub(crate) fn small() -> LogOptions {
    LogOptions {
        segment_bytes_min: 16 << 10,
        segment_bytes_max: 64 << 10,
        group_bytes_max: 8 << 10,
        spare_segments: 2,
        ..LogOptions::default()
    }
}

pub(crate) fn head(index: u64) -> RecordHead {
    RecordHead {
        kind: RecordKind::Transaction,
        flags: 0,
        term: Term(1),
        index: Index(index),
        time: HybridTime(index),
    }
}

pub(crate) fn memory() -> Arc<dyn Disk> {
    MemoryDisk::new()
}

pub(crate) fn create(disk: &Arc<dyn Disk>) -> Arc<Log> {
    Arc::new(Log::create(disk.clone(), SimRuntime::new(1), FILE_ID, small()).unwrap())
}

pub(crate) fn create_threaded(disk: &Arc<dyn Disk>) -> Arc<Log> {
    Arc::new(Log::create(disk.clone(), RealRuntime::new(), FILE_ID, small()).unwrap())
}

pub(crate) fn recover_from(disk: &Arc<dyn Disk>, start: StartPoint) -> Result<Recovered> {
    Log::recover(disk.clone(), SimRuntime::new(1), FILE_ID, small(), start)
}

pub(crate) fn recover(disk: &Arc<dyn Disk>) -> Recovered {
    recover_from(disk, StartPoint::default()).unwrap()
}

/// Appends the next index with this payload.
pub(crate) fn append(log: &Log, payload: &[u8]) -> Appended {
    let reservation = log.reserve(payload.len()).unwrap();
    log.append(reservation, head(log.last_index().0 + 1), &[payload])
}

/// Appends and waits until it is durable.
pub(crate) fn commit(log: &Log, owner: &TestOwner, payload: &[u8]) -> Appended {
    let appended = append(log, payload);
    log.wait_durable(owner, appended.end).unwrap();
    appended
}

/// Index and payload of everything that survives.
pub(crate) fn contents(recovered: &Recovered) -> Vec<(u64, Vec<u8>)> {
    let mut list = Vec::new();
    recovered
        .for_each(|record| {
            list.push((record.head.index.0, record.payload.to_vec()));
            Ok::<_, LogError>(())
        })
        .unwrap();
    list
}

/// Changes bytes of a file behind the log's back.
pub(crate) fn overwrite(disk: &Arc<dyn Disk>, name: &str, offset: u64, bytes: &[u8]) {
    let file = disk.open(name, cs_io::OpenMode::ReadWrite).unwrap();
    file.write_at(bytes, offset).unwrap();
}

/// Rewrites the record at `lsn` of the first segment, with a sound checksum.
pub(crate) fn forge(
    disk: &Arc<dyn Disk>,
    lsn: u64,
    change: impl FnOnce(&mut RawRecordHeader, &mut Vec<u8>),
) {
    let name = segment_name(1);
    let file = disk.open(&name, cs_io::OpenMode::ReadOnly).unwrap();
    let offset = SEGMENT_HEADER_BYTES + lsn;
    let mut bytes = [0; RECORD_HEADER_BYTES];
    file.read_at(&mut bytes, offset).unwrap();
    let mut raw = RawRecordHeader::read_from_bytes(&bytes).unwrap();
    let mut payload = vec![0; raw.payload_len.get() as usize];
    file.read_at(&mut payload, offset + RECORD_HEADER_BYTES as u64)
        .unwrap();
    change(&mut raw, &mut payload);
    raw.checksum = raw.sum(checksum_seed(FILE_ID), [&payload[..]]).into();
    let record = [raw.as_bytes(), &payload].concat();
    overwrite(disk, &name, offset, &record);
}

/// Writes the header of a segment anew, with a sound checksum.
pub(crate) fn forge_header(
    disk: &Arc<dyn Disk>,
    name: &str,
    change: impl FnOnce(&mut SegmentHeader),
) {
    let file = disk.open(name, cs_io::OpenMode::ReadOnly).unwrap();
    let mut block = [0; cs_base::BLOCK_SIZE];
    file.read_at(&mut block, 0).unwrap();
    let mut header = SegmentHeader::decode(name, &block).unwrap();
    change(&mut header);
    overwrite(disk, name, 0, &header.encode());
}

#[test]
fn what_is_shown_for_debugging_names_positions_and_no_payload() {
    let disk = memory();
    let log = create(&disk);
    commit(&log, &TestOwner::default(), b"SECRET");
    append(&log, b"SECRET");
    log.on_durable(Lsn::MAX, Box::new(|_| {}));
    let shown = format!("{log:?} {:?} {:?}", log.appender(), log.durable_waiters);
    for part in ["appended", "Chunk(4096 + 72 bytes)", "Segment", "Callback"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    drop(log);
    let recovered = recover(&disk);
    let mut records = recovered.records();
    let record = records.next().unwrap().unwrap();
    let again = format!("{recovered:?} {record:?}");
    for part in ["durable", "RecordRef(0 ", "6 bytes"] {
        assert!(again.contains(part), "{part}: {again}");
    }
    // A payload as text, and as a list of numbers.
    for secret in ["SECRET", "83, 69, 67"] {
        assert!(!shown.contains(secret) && !again.contains(secret));
    }
}

#[test]
fn the_last_time_is_the_highest_of_all_records() {
    let log = create(&memory());
    for (index, time) in [(1, 70), (2, 50)] {
        let head = RecordHead {
            time: HybridTime(time),
            ..head(index)
        };
        log.append(log.reserve(0).unwrap(), head, &[]);
    }
    assert_eq!(log.last_time(), HybridTime(70));
}

#[test]
fn a_new_log_is_empty_and_durable() {
    let disk = memory();
    let log = create(&disk);
    assert_eq!(log.appended_lsn(), Lsn::ZERO);
    assert_eq!(log.durable_lsn(), Lsn::ZERO);
    assert_eq!(log.last_appended().index, Index::ZERO);
    assert_eq!(log.segments().len(), 1);
    assert!(!log.is_poisoned());
}

#[test]
fn a_poisoned_log_refuses_and_keeps_the_first_reason() {
    let log = create(&memory());
    log.poison("first");
    log.poison("second");
    assert!(matches!(log.reserve(1), Err(LogError::Poisoned { reason }) if &*reason == "first"));
    assert!(log.step().is_err());
    assert!(log.recycle_below(Lsn::MAX).is_err());
}

#[test]
fn pins_are_listed_and_removed() {
    let log = create(&memory());
    log.pin("backup", Lsn(0), None);
    log.pin("stream", Lsn(0), Some(10));
    append(&log, &[1; 100]);
    let pins = log.pins();
    assert_eq!(
        pins.iter()
            .map(|pin| (pin.name.as_str(), pin.lost))
            .collect::<Vec<_>>(),
        [("backup", false), ("stream", true)]
    );
    assert!(log.unpin("backup"));
    assert!(!log.unpin("backup"));
}

/// Registers a callback that wants the owner's lock, and counts if all is well.
fn wants_the_lock(log: &Log, owner: &Arc<TestOwner>, end: Lsn) -> Arc<AtomicU64> {
    let called = Arc::new(AtomicU64::new(0));
    let (owner, counter) = (owner.clone(), called.clone());
    log.on_durable(
        end,
        Box::new(move |outcome| {
            // A panic in here would be swallowed: only the count tells.
            let is_free = owner.writer.try_lock().is_some();
            if is_free && matches!(outcome, Err(LogError::Poisoned { .. })) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }),
    );
    called
}

/// Symptom: a store hung when a change could not be applied. Cause: poisoning,
/// done under the writer's lock, ran callbacks that wanted that lock. Cure:
/// poisoning only wakes; callbacks run later, with no lock held.
#[test]
fn poison_runs_no_callback_under_the_callers_lock() {
    let log = create(&memory());
    let owner = Arc::new(TestOwner::default());
    let end = append(&log, b"x").end;
    let called = wants_the_lock(&log, &owner, end);
    let waiter = log.durable_waiters.register(end.0);
    log.fail_waiters();
    assert!(!waiter.is_complete(), "a sound log fails nobody");
    {
        let _writer = owner.writer.lock();
        log.poison("test");
        assert!(waiter.is_complete(), "who waits is woken at once");
        assert_eq!(called.load(Ordering::Relaxed), 0);
    }
    log.fail_waiters();
    log.fail_waiters();
    assert_eq!(called.load(Ordering::Relaxed), 1);
    assert_eq!(owner.failed.load(Ordering::Relaxed), 0, "the owner knows");
}

#[test]
fn whoever_next_waits_or_drives_tells_the_owner_and_the_callbacks() {
    for drives in [false, true] {
        let log = create(&memory());
        let owner = Arc::new(TestOwner::default());
        let end = append(&log, b"x").end;
        let called = wants_the_lock(&log, &owner, end);
        log.poison("test");
        if drives {
            log.drive(owner.as_ref());
        } else {
            assert!(log.wait_durable(owner.as_ref(), end).is_err());
        }
        assert_eq!(called.load(Ordering::Relaxed), 1);
        assert_eq!(owner.failed.load(Ordering::Relaxed), 1);
    }
}
