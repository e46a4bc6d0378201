//! `wal list`: the files of the log.

use std::io::{self, Write};
use std::sync::Arc;

use cs_base::FileId;
use cs_io::Disk;
use cs_wal::{LogError, LogReader, SegmentReport, SegmentRole};
use serde_json::{Value, json};

use crate::cli::{DirectoryArgs, Global};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::log_state::LogState;
use crate::output::{self, Report, code_of_findings, table, write_table};
use crate::passes::{Suspects, settle};
use crate::place::{Metas, Place};

struct List {
    segments: Vec<SegmentReport>,
    log: Option<LogState>,
    /// A meta is valid, so that it is known what the log has to be.
    has_metas: bool,
    findings: Vec<Finding>,
}

impl Suspects for List {
    fn identities(&self) -> Vec<String> {
        self.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &DirectoryArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let list = settle(global.timeout, || look(&place))?;
    output::print(&list, global.format)
}

fn look(place: &Place) -> Result<List> {
    let disk = place.disk();
    let metas = place.metas()?;
    let mut findings = Vec::new();
    let Ok(meta) = metas.newest() else {
        return without_metas(disk, &metas);
    };
    let log = LogState::look(&disk, meta, &mut findings);
    let reader = LogReader::new(disk, meta.file);
    let segments = reader.segments().map_err(InspectError::suspect)?;
    Ok(List {
        segments,
        log,
        has_metas: true,
        findings,
    })
}

/// The files where no meta says whose log it is: its newest readable segment
/// does. Where it has to begin and how far it has to go, nobody knows.
fn without_metas(disk: Arc<dyn Disk>, metas: &Metas) -> Result<List> {
    let reader = match LogReader::discover(Arc::clone(&disk)) {
        // No segment can be read: then none is compared with this identity.
        Err(LogError::Unreachable { .. }) => LogReader::new(disk, FileId(0)),
        reader => reader.map_err(InspectError::suspect)?,
    };
    let segments = reader.segments().map_err(InspectError::suspect)?;
    Ok(List {
        segments,
        log: None,
        has_metas: false,
        findings: metas.findings(),
    })
}

fn role_name(role: SegmentRole) -> &'static str {
    match role {
        SegmentRole::Live => "live",
        SegmentRole::Dead => "dead",
        SegmentRole::Spare => "spare",
        SegmentRole::Temporary => "temporary",
    }
}

/// Whether the header of such a file counts.
fn has_header(role: SegmentRole) -> bool {
    matches!(role, SegmentRole::Live | SegmentRole::Dead)
}

fn segment_json(segment: &SegmentReport) -> Value {
    let mut object = json!({
        "name": segment.name,
        "role": role_name(segment.role),
        "file_bytes": segment.file_bytes,
    });
    match &segment.header {
        Ok(header) if has_header(segment.role) => {
            object["header"] = json!({
                "file_id": format!("{:016x}", header.file_id.0),
                "sequence": header.sequence,
                "previous": header.previous,
                "base_lsn": header.base.0,
                "capacity": header.capacity,
                "incarnation": header.incarnation.0,
                "first_index": header.first_index.0,
                "durable_lsn": header.durable.0,
                "chain": format!("{:08x}", header.chain),
            });
        }
        Err(error) if has_header(segment.role) => object["error"] = json!(error.to_string()),
        _ => {}
    }
    object
}

impl Report for List {
    fn json(&self) -> Value {
        json!({
            "log": self.log.as_ref().map(LogState::json),
            "segments": self.segments.iter().map(segment_json).collect::<Vec<_>>(),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let header = [
            "file",
            "role",
            "bytes",
            "sequence",
            "base lsn",
            "incarnation",
            "first index",
            "durable lsn",
        ];
        let mut rows = table(&header, &[2, 3, 4, 5, 6, 7]);
        for segment in &self.segments {
            let mut row = vec![
                segment.name.clone(),
                role_name(segment.role).to_owned(),
                segment.file_bytes.to_string(),
            ];
            match &segment.header {
                Ok(header) if has_header(segment.role) => row.extend([
                    header.sequence.to_string(),
                    header.base.to_string(),
                    header.incarnation.to_string(),
                    header.first_index.to_string(),
                    header.durable.to_string(),
                ]),
                _ => row.resize(header.len(), "-".to_owned()),
            }
            rows.add_row(row);
        }
        write_table(out, &rows)?;
        for segment in self
            .segments
            .iter()
            .filter(|segment| has_header(segment.role))
        {
            if let Err(error) = &segment.header {
                writeln!(out, "{}: {error}", segment.name)?;
            }
        }
        match &self.log {
            // Spoken of as of one in use: what is being written is no torn tail.
            Some(log) => writeln!(out, "{}", log.line(true))?,
            None if !self.has_metas => {
                writeln!(
                    out,
                    "neither meta is valid: how far the log has to go is unknown"
                )?;
            }
            None => writeln!(out, "the database has no log")?,
        }
        for finding in &self.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.findings.is_empty())
    }
}
