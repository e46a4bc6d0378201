//! The bytes of the log, by segment.

use std::io::{self, Write};

use cs_base::Lsn;
use cs_wal::{LogReader, RECORD_HEADER_BYTES, SegmentReport, SegmentRole, Verdict};
use serde_json::{Value, json};

use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::log_state::LogState;
use crate::output::{table, write_table};
use crate::place::Place;

use super::Part;

/// Bytes before the records.
const SEGMENT_HEADER: u64 = cs_base::BLOCK_SIZE as u64;

/// What one file of the log is made of.
#[derive(Clone, Debug)]
pub(super) struct LogFile {
    pub(super) name: String,
    role: SegmentRole,
    bytes: u64,
    /// Positions of its first byte and just after its last.
    extent: Option<(Lsn, Lsn)>,
    header: u64,
    record_headers: u64,
    /// Payload of records below the checkpoint.
    before: u64,
    /// The same of records that an open would replay.
    after: u64,
    /// From the end of a record to where the next one may begin.
    padding: u64,
    end: Option<Lsn>,
}

impl LogFile {
    fn of(report: &SegmentReport) -> Self {
        let live = report.role == SegmentRole::Live;
        let header = report.header.as_ref().ok().filter(|_| live);
        Self {
            name: report.name.clone(),
            role: report.role,
            bytes: report.file_bytes,
            extent: header.map(|header| (header.base, Lsn(header.base.0 + header.capacity))),
            header: header.map_or(0, |_| SEGMENT_HEADER.min(report.file_bytes)),
            record_headers: 0,
            before: 0,
            after: 0,
            padding: 0,
            end: None,
        }
    }

    /// Whatever is none of the others: never written yet, or old.
    fn unused(&self) -> u64 {
        let used = self.header + self.record_headers + self.before + self.after + self.padding;
        self.bytes.saturating_sub(used)
    }

    fn role_name(&self) -> &'static str {
        match self.role {
            SegmentRole::Live => "live",
            SegmentRole::Dead => "dead",
            SegmentRole::Spare => "spare",
            SegmentRole::Temporary => "temporary",
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "role": self.role_name(),
            "bytes": self.bytes,
            "header": self.header,
            "record_headers": self.record_headers,
            "payload_before_checkpoint": self.before,
            "payload_after_checkpoint": self.after,
            "padding": self.padding,
            "unused": self.unused(),
        })
    }
}

/// Reads the log of a state.
pub(super) fn look(
    place: &Place,
    checkpoint: Lsn,
    findings: &mut Vec<Finding>,
) -> Result<Vec<LogFile>> {
    let disk = place.disk();
    let metas = place.metas()?;
    let meta = metas.newest()?;
    LogState::look(&disk, meta, findings);
    let reader = LogReader::new(disk, meta.file);
    let segments = reader.segments().map_err(InspectError::suspect)?;
    let mut files: Vec<LogFile> = segments.iter().map(LogFile::of).collect();
    let read = reader.for_each_record(|report| {
        let (Verdict::Good, Some(record)) = (&report.verdict, &report.record) else {
            return false;
        };
        let within = |file: &&mut LogFile| {
            file.extent
                .is_some_and(|(base, limit)| (base..limit).contains(&record.lsn))
        };
        // A segment that was cut keeps its size: what lies behind the base of
        // the next one belongs to that.
        if let Some(file) = files.iter_mut().filter(within).last() {
            let payload = record.payload.len() as u64;
            // A group begins on a block: what lies between is padding.
            let from = file.end.or(file.extent.map(|(base, _)| base));
            file.padding += record.lsn.0 - from.unwrap_or(record.lsn).0.min(record.lsn.0);
            file.record_headers += RECORD_HEADER_BYTES as u64;
            file.padding += record.end.0 - record.lsn.0 - RECORD_HEADER_BYTES as u64 - payload;
            *if record.lsn < checkpoint {
                &mut file.before
            } else {
                &mut file.after
            } += payload;
            file.end = Some(record.end);
        }
        true
    });
    read.map_err(InspectError::suspect)?;
    Ok(files)
}

/// The same summed up.
pub(super) fn parts(files: &[LogFile]) -> Vec<Part> {
    let sum = |part: &dyn Fn(&LogFile) -> u64| files.iter().map(part).sum();
    let unused = |role: SegmentRole| {
        let files = files.iter().filter(|file| file.role == role);
        files.map(LogFile::unused).sum::<u64>()
    };
    let parts: [(&'static str, u64); 9] = [
        ("segment headers", sum(&|file| file.header)),
        ("record headers", sum(&|file| file.record_headers)),
        ("payload before the checkpoint", sum(&|file| file.before)),
        ("payload to replay", sum(&|file| file.after)),
        ("padding of groups", sum(&|file| file.padding)),
        ("preallocated in segments", unused(SegmentRole::Live)),
        ("spare segments", unused(SegmentRole::Spare)),
        ("dead segments", unused(SegmentRole::Dead)),
        ("unfinished segments", unused(SegmentRole::Temporary)),
    ];
    let parts = parts.into_iter().map(|(name, bytes)| Part {
        group: "log",
        name,
        bytes,
    });
    parts.collect()
}

/// As a table for people.
pub(super) fn write(files: &[LogFile], out: &mut dyn Write) -> io::Result<()> {
    let header = [
        "segment",
        "role",
        "bytes",
        "headers",
        "before checkpoint",
        "to replay",
        "padding",
        "unused",
    ];
    let mut rows = table(&header, &[2, 3, 4, 5, 6, 7]);
    for file in files {
        rows.add_row([
            file.name.clone(),
            file.role_name().to_owned(),
            file.bytes.to_string(),
            (file.header + file.record_headers).to_string(),
            file.before.to_string(),
            file.after.to_string(),
            file.padding.to_string(),
            file.unused().to_string(),
        ]);
    }
    write_table(out, &rows)
}
