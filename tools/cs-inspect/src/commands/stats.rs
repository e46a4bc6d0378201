//! `stats`: what every byte of the directory is for.
//!
//! Invariant: each byte of each file is in one part. The parts are counted from
//! what the files hold, and compared with the sizes that the system tells; a
//! difference is a finding.

mod data;
mod log;
mod snapshots;

use std::fs;
use std::io::{self, Write};

use collection_store::SnapshotInfo;
use cs_base::Lsn;
use cs_pager::format::DATA_FILE;
use serde_json::{Value, json};

use crate::cli::{DirectoryArgs, Global};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings, size, table, write_table};
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::progress::Progress;

use data::Data;
use log::LogFile;

/// Bytes for one purpose.
#[derive(Clone, Debug)]
struct Part {
    /// `data`, `log` or `other`.
    group: &'static str,
    name: &'static str,
    bytes: u64,
}

struct Stats {
    directory: String,
    /// As the system tells it.
    directory_bytes: u64,
    data: Data,
    log: Vec<LogFile>,
    snapshots: Vec<SnapshotInfo>,
    /// Files that are neither.
    other: Vec<(String, u64)>,
    findings: Vec<Finding>,
}

impl Suspects for Stats {
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
    let progress = Progress::new(global.progress);
    let stats = settle(global.timeout, || look(&place, &progress))?;
    drop(progress);
    output::print(&stats, global.format)
}

fn look(place: &Place, progress: &Progress) -> Result<Stats> {
    let mut findings = Vec::new();
    let data = Data::look(place, progress, &mut findings)?;
    let checkpoint = data.root.map_or(Lsn::ZERO, |root| root.lsn);
    let log = log::look(place, checkpoint, &mut findings)?;
    let (mut other, mut directory_bytes) = (Vec::new(), 0);
    for (name, bytes) in files(place)? {
        directory_bytes += bytes;
        if name != DATA_FILE && log.iter().all(|file| file.name != name) {
            other.push((name, bytes));
        }
    }
    let mut snapshots = Vec::new();
    if data.has_snapshots() {
        match snapshots::look(place) {
            Ok(list) => snapshots = list,
            Err(error) => findings.push(Finding::unreadable(error.to_string())),
        }
    }
    let mut stats = Stats {
        directory: place.path().display().to_string(),
        directory_bytes,
        data,
        log,
        snapshots,
        other,
        findings,
    };
    let sum = stats.sum();
    if sum != directory_bytes {
        let text = format!("the parts sum to {sum} bytes, the files have {directory_bytes}");
        stats.findings.push(Finding::new("unexplained-bytes", text));
    }
    Ok(stats)
}

/// All files of the directory, and their sizes.
fn files(place: &Place) -> Result<Vec<(String, u64)>> {
    let path = place.path();
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(InspectError::at("listing", path))? {
        let entry = entry.map_err(InspectError::at("listing", path))?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => {
                let name = entry.file_name().to_string_lossy().into_owned();
                files.push((name, metadata.len()));
            }
            Ok(_) => {}
            // Whoever has the database has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(InspectError::at("measuring", &entry.path())(error)),
        }
    }
    files.sort();
    Ok(files)
}

impl Stats {
    fn parts(&self) -> Vec<Part> {
        let mut parts = self.data.parts();
        parts.extend(log::parts(&self.log));
        let other = self.other.iter();
        let (lock, foreign): (Vec<_>, Vec<_>) = other.partition(|(name, _)| name == "lock");
        let bytes = |files: &[&(String, u64)]| files.iter().map(|(_, bytes)| bytes).sum();
        parts.push(Part {
            group: "other",
            name: "lock file",
            bytes: bytes(&lock),
        });
        parts.push(Part {
            group: "other",
            name: "files of somebody else",
            bytes: bytes(&foreign),
        });
        parts
    }

    fn sum(&self) -> u64 {
        self.parts().iter().map(|part| part.bytes).sum()
    }

    fn percent(&self, bytes: u64) -> f64 {
        bytes as f64 / self.directory_bytes.max(1) as f64 * 100.0
    }
}

impl Report for Stats {
    fn json(&self) -> Value {
        let parts: Vec<Value> = self
            .parts()
            .iter()
            .map(|part| {
                json!({
                    "group": part.group,
                    "part": part.name,
                    "bytes": part.bytes,
                    "percent": self.percent(part.bytes),
                })
            })
            .collect();
        let sum = self.sum();
        json!({
            "directory": self.directory,
            "directory_bytes": self.directory_bytes,
            "sum_bytes": sum,
            "exact": sum == self.directory_bytes,
            "payload_bytes": self.data.payload(),
            "parts": parts,
            "owners": self.data.owners_json(),
            "log": self.log.iter().map(LogFile::json).collect::<Vec<_>>(),
            "snapshots": snapshots::json(&self.snapshots),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = table(&["", "part", "bytes", "", "share"], &[2, 3, 4]);
        for part in self.parts().iter().filter(|part| part.bytes > 0) {
            rows.add_row([
                part.group.to_owned(),
                part.name.to_owned(),
                part.bytes.to_string(),
                size(part.bytes),
                format!("{:.1} %", self.percent(part.bytes)),
            ]);
        }
        write_table(out, &rows)?;
        let (sum, whole) = (self.sum(), self.directory_bytes);
        if sum == whole {
            writeln!(out, "sum {sum} bytes: the size of the directory, exactly")?;
        } else {
            writeln!(out, "sum {sum} bytes, of {whole} of the directory")?;
        }
        let payload = self.data.payload();
        if payload > 0 {
            writeln!(
                out,
                "{:.2} bytes in the directory for each byte of keys and values",
                whole as f64 / payload as f64
            )?;
        }
        writeln!(out)?;
        self.data.write_owners(out)?;
        if !self.log.is_empty() {
            writeln!(out)?;
            log::write(&self.log, out)?;
        }
        if !self.snapshots.is_empty() {
            writeln!(out)?;
            snapshots::write(&self.snapshots, out)?;
        }
        for (name, bytes) in self.other.iter().filter(|(name, _)| name != "lock") {
            writeln!(out, "somebody else's: {name}, {}", size(*bytes))?;
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
