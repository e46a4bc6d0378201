//! A byte of a segment of the log.

use std::io::{self, Write};

use cs_base::Lsn;
use cs_wal::{LogReader, RECORD_HEADER_BYTES, RecordHead, SegmentRole, Verdict};
use serde_json::{Value, json};

use crate::error::{InspectError, Result};
use crate::output::{Report, time};
use crate::passes::Sound;
use crate::place::Place;

/// Bytes before the records.
const SEGMENT_HEADER: u64 = cs_base::BLOCK_SIZE as u64;

/// What a byte of a segment belongs to.
enum What {
    /// A file that does not count now.
    Unused(&'static str),
    /// The header of the segment.
    Header,
    Record {
        lsn: Lsn,
        end: Lsn,
        head: RecordHead,
        part: &'static str,
        in_file: bool,
    },
    /// From the end of a record to where the next one begins.
    Padding,
    /// Behind the last record.
    Behind(Lsn),
}

pub(super) struct LogByte {
    name: String,
    offset: u64,
    lsn: Option<Lsn>,
    what: What,
}

/// Looks at one byte.
pub(super) fn look(place: &Place, name: &str, offset: u64) -> Result<Sound<LogByte>> {
    let disk = place.disk();
    let metas = place.metas()?;
    let (reader, checkpoint) = match metas.newest() {
        Ok(meta) => (LogReader::new(disk, meta.file), meta.root.lsn),
        Err(_) => {
            let reader = LogReader::discover(disk).map_err(InspectError::suspect)?;
            (reader, Lsn::ZERO)
        }
    };
    let segments = reader.segments().map_err(InspectError::suspect)?;
    let Some(segment) = segments.iter().find(|segment| segment.name == name) else {
        let known: Vec<&str> = segments
            .iter()
            .map(|segment| segment.name.as_str())
            .collect();
        return Err(InspectError::Usage(format!(
            "--file: there is no file {name} of the log; there are: {}",
            if known.is_empty() {
                "none".to_owned()
            } else {
                known.join(", ")
            }
        )));
    };
    if offset >= segment.file_bytes {
        return Err(InspectError::Usage(format!(
            "byte {offset} is beyond {name}, which has {} bytes",
            segment.file_bytes
        )));
    }
    let mut byte = LogByte {
        name: name.to_owned(),
        offset,
        lsn: None,
        what: What::Header,
    };
    let header = match (segment.role, &segment.header) {
        (SegmentRole::Live, Ok(header)) => header,
        (role, _) => {
            byte.what = What::Unused(match role {
                SegmentRole::Spare => "a spare: it waits to become a segment",
                SegmentRole::Temporary => "unfinished: its making was cut short",
                _ => "dead: no later segment continues it",
            });
            return Ok(Sound(byte));
        }
    };
    if offset < SEGMENT_HEADER {
        return Ok(Sound(byte));
    }
    let lsn = header.base.advance(offset - SEGMENT_HEADER);
    byte.lsn = Some(lsn);
    byte.what = What::Behind(header.base);
    let read = reader.for_each_record(|report| {
        let (Verdict::Good, Some(record)) = (&report.verdict, &report.record) else {
            return false;
        };
        if record.end <= lsn {
            byte.what = What::Behind(record.end);
            return true;
        }
        if record.lsn > lsn {
            // A record of this segment comes later, or it was cut here.
            let within = record.lsn.0 < header.base.0 + header.capacity;
            if within {
                byte.what = What::Padding;
            }
            return false;
        }
        let at = (lsn.0 - record.lsn.0) as usize;
        byte.what = What::Record {
            lsn: record.lsn,
            end: record.end,
            head: record.head,
            part: match at {
                at if at < RECORD_HEADER_BYTES => "header",
                at if at < RECORD_HEADER_BYTES + record.payload.len() => "payload",
                _ => "padding",
            },
            in_file: record.lsn < checkpoint,
        };
        false
    });
    read.map_err(InspectError::suspect)?;
    Ok(Sound(byte))
}

impl LogByte {
    fn name_of(&self) -> &'static str {
        match self.what {
            What::Unused(_) => "unused",
            What::Header => "segment-header",
            What::Record { .. } => "record",
            What::Padding => "padding",
            What::Behind(_) => "behind-the-end",
        }
    }
}

impl Report for Sound<LogByte> {
    fn json(&self) -> Value {
        let byte = &self.0;
        let mut object = json!({
            "file": byte.name,
            "offset": byte.offset,
            "lsn": byte.lsn.map(Lsn::get),
            "what": byte.name_of(),
        });
        match &byte.what {
            What::Unused(why) => object["why"] = json!(why),
            What::Record {
                lsn,
                end,
                head,
                part,
                in_file,
            } => {
                object["record"] = json!({
                    "lsn": lsn.0,
                    "end_lsn": end.0,
                    "part": part,
                    "kind": format!("{:?}", head.kind).to_lowercase(),
                    "term": head.term.0,
                    "index": head.index.0,
                    "time": time(head.time),
                    "in_data_file": in_file,
                });
            }
            What::Behind(end) => object["end_lsn"] = json!(end.0),
            What::Header | What::Padding => {}
        }
        object
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let byte = &self.0;
        write!(out, "byte {} of {}", byte.offset, byte.name)?;
        if let Some(lsn) = byte.lsn {
            write!(out, ", lsn {lsn}")?;
        }
        match &byte.what {
            What::Unused(why) => writeln!(out, ": {why}"),
            What::Header => writeln!(out, ": header of the segment"),
            What::Padding => writeln!(out, ": padding between two groups"),
            What::Behind(end) => {
                writeln!(out, ": behind the last record, which ends at lsn {end}")
            }
            What::Record {
                lsn,
                end,
                head,
                part,
                in_file,
            } => {
                let at = time(head.time).unwrap_or_else(|| "no time".to_owned());
                let state = if *in_file {
                    "in the data file"
                } else {
                    "not in the data file yet"
                };
                writeln!(
                    out,
                    ": {part} of the {:?} record at lsn {lsn} to {end}, term {}, index {}, {at}, {state}",
                    head.kind, head.term, head.index
                )
            }
        }
    }

    fn exit_code(&self) -> u8 {
        0
    }
}
