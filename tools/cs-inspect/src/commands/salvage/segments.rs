//! The records of the log, by their own word: also those behind a header or a
//! record that is damaged.
//!
//! ## Invariants
//! * A record is one whose checksum, which begins with the file id, is right.
//! * In each file only the records of its present life are looked at: those of
//!   an earlier one lie at lower positions.
//! * Records that a later segment has cut off do not count.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::{BLOCK_SIZE, FileId, HybridTime, Index, Lsn, Term, round_up};
use cs_io::{Disk, File, OpenMode};
use cs_wal::{
    LogReader, MAX_RECORD_PAYLOAD, RECORD_HEADER_BYTES, RecordHead, RecordKind, SegmentRole,
};

use crate::error::{InspectError, Result};
use crate::pages::number;

const BLOCK: u64 = BLOCK_SIZE as u64;

/// A record, and where its payload lies.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) lsn: Lsn,
    pub(super) end: Lsn,
    pub(super) head: RecordHead,
    /// Its checksum, and that of the record before it.
    pub(super) chain: u32,
    pub(super) previous: u32,
    incarnation: u64,
    file: Arc<dyn File>,
    payload_at: u64,
    payload_len: usize,
}

impl Record {
    /// Reads the payload again.
    pub(super) fn payload(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.payload_len];
        let read = self
            .file
            .read_at(&mut bytes, self.payload_at)
            .map_err(InspectError::suspect)?;
        if read == bytes.len() {
            return Ok(bytes);
        }
        let lsn = self.lsn;
        Err(InspectError::Suspect(format!(
            "record at lsn {lsn}: its file ends before it does"
        )))
    }
}

/// All records, and how far the log is known to have been durable.
#[derive(Default)]
pub(super) struct Scan {
    /// By position; of the same position the one of the newest life first.
    pub(super) records: BTreeMap<Lsn, Vec<Record>>,
    pub(super) durable: Lsn,
    /// Files whose header cannot be read, and why.
    pub(super) broken: Vec<String>,
    /// A segment was there.
    pub(super) has_log: bool,
}

/// Reads all segments of the log of `file_id`.
pub(super) fn scan(disk: &Arc<dyn Disk>, file_id: FileId) -> Result<Scan> {
    let mut scan = Scan::default();
    let reports = LogReader::new(Arc::clone(disk), file_id).segments();
    // Segments that contradict each other are looked at one by one all the same.
    let reports = reports.unwrap_or_default();
    let mut bases: Vec<(u64, Lsn)> = Vec::new();
    let mut files = Vec::new();
    for name in disk.list().map_err(InspectError::suspect)? {
        let Some(sequence) = sequence_of(&name) else {
            continue;
        };
        scan.has_log = true;
        let report = reports.iter().find(|report| report.name == name);
        let header = report.and_then(|report| match &report.header {
            Ok(header) if header.file_id == file_id => Some(header),
            Ok(_) => None,
            Err(error) => {
                scan.broken.push(format!("{name}: {error}"));
                None
            }
        });
        if let Some(header) = header {
            scan.durable = scan.durable.max(header.durable);
            let live = report.is_some_and(|report| report.role == SegmentRole::Live);
            if live {
                bases.push((header.sequence, header.base));
            }
        }
        files.push((sequence, name, header.map(|header| header.base)));
    }
    for (sequence, name, base) in files {
        let file = disk
            .open(&name, OpenMode::ReadOnly)
            .map_err(InspectError::suspect)?;
        for (record, durable) in read_segment(&file, file_id, base)? {
            let is_cut = bases
                .iter()
                .any(|(later, base)| *later > sequence && record.lsn >= *base);
            if !is_cut {
                scan.durable = scan.durable.max(durable);
                scan.records.entry(record.lsn).or_default().push(record);
            }
        }
    }
    for same in scan.records.values_mut() {
        same.sort_by_key(|record| std::cmp::Reverse(record.incarnation));
    }
    Ok(scan)
}

/// The number in the name of a segment.
fn sequence_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("wal-")?.strip_suffix(".log")?;
    digits.parse().ok()
}

/// The records of one file that were written at its present place in the log,
/// and how far each says that the log was durable.
fn read_segment(
    file: &Arc<dyn File>,
    file_id: FileId,
    base: Option<Lsn>,
) -> Result<Vec<(Record, Lsn)>> {
    let len = file.len().map_err(InspectError::suspect)?;
    // Segments are bounded by their writer: at most a few times a transaction.
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    let read = file.read_at(&mut bytes, 0).map_err(InspectError::suspect)?;
    bytes.truncate(read);
    let mut found: Vec<(u64, Record, Lsn)> = Vec::new();
    let mut at = BLOCK_SIZE;
    while at + RECORD_HEADER_BYTES <= bytes.len() {
        let lsn = number(&bytes[at + 16..]);
        let Some(own_base) = (lsn + BLOCK).checked_sub(at as u64) else {
            at += 8;
            continue;
        };
        let fits = base.is_none_or(|base| base.0 == own_base) && own_base.is_multiple_of(BLOCK);
        let record = fits.then(|| parse(&bytes, at, file_id, file)).flatten();
        match record {
            Some((record, durable)) => {
                at += (record.end.0 - record.lsn.0) as usize;
                found.push((own_base, record, durable));
            }
            None => at += 8,
        }
    }
    // A file is used again only for higher positions than it had.
    let newest = found.iter().map(|(base, ..)| *base).max();
    found.retain(|(base, ..)| Some(*base) == newest);
    Ok(found
        .into_iter()
        .map(|(_, record, durable)| (record, durable))
        .collect())
}

/// The record that begins at `at`; see the FORMAT.md of cs-wal.
fn parse(bytes: &[u8], at: usize, file_id: FileId, file: &Arc<dyn File>) -> Option<(Record, Lsn)> {
    let head = &bytes[at..at + RECORD_HEADER_BYTES];
    let word = |from: usize| {
        let mut raw = [0; 4];
        raw.copy_from_slice(&head[from..from + 4]);
        u32::from_le_bytes(raw)
    };
    let kind = RecordKind::from_number(head[4])?;
    let payload_len = word(8) as usize;
    let payload_at = at + RECORD_HEADER_BYTES;
    if head[6..8] != [0, 0] || payload_len > MAX_RECORD_PAYLOAD {
        return None;
    }
    let payload = bytes.get(payload_at..payload_at + payload_len)?;
    let sum = crc32c::crc32c(&file_id.0.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(sum, &head[4..]), payload);
    if sum != word(0) {
        return None;
    }
    let lsn = Lsn(number(&head[16..]));
    let record = Record {
        lsn,
        end: lsn.advance(round_up((RECORD_HEADER_BYTES + payload_len) as u64, 8)),
        head: RecordHead {
            kind,
            flags: head[5],
            term: Term(number(&head[32..])),
            index: Index(number(&head[40..])),
            time: HybridTime(number(&head[56..])),
        },
        chain: sum,
        previous: word(12),
        incarnation: number(&head[24..]),
        file: Arc::clone(file),
        payload_at: payload_at as u64,
        payload_len,
    };
    Some((record, Lsn(number(&head[48..]))))
}
