//! The log as a whole: where it ends, and what an open would replay.

use std::sync::Arc;

use cs_base::{Incarnation, Index, Lsn};
use cs_io::{Disk, RealRuntime};
use cs_pager::Meta;
use cs_wal::{Log, LogError, LogOptions, LogReader, RecordKind, SegmentRole, StartPoint, Verdict};
use serde_json::{Value, json};

use crate::finding::Finding;
use crate::output::{count, size};

/// What the log of a database came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogState {
    /// Files of the log, spares included.
    pub(crate) files: u64,
    /// Their bytes.
    pub(crate) file_bytes: u64,
    /// First position that is still there.
    pub(crate) first: Option<Lsn>,
    /// End of the last record that counts.
    pub(crate) end: Option<Lsn>,
    /// How far it is known to be durable.
    durable: Lsn,
    last_index: Index,
    /// Transactions behind the checkpoint.
    pub(crate) to_replay: u64,
    /// Their bytes.
    bytes_to_replay: u64,
    /// Bytes of a torn tail, which an open would cut.
    torn: u64,
}

impl LogState {
    /// Looks at the log that continues `meta`; `None` if the database has none.
    /// What is wrong with it is added to `findings`.
    pub(crate) fn look(
        disk: &Arc<dyn Disk>,
        meta: &Meta,
        findings: &mut Vec<Finding>,
    ) -> Option<Self> {
        if meta.root.log_incarnation == Incarnation(0) {
            return None;
        }
        let mut state = Self::default();
        if let Err(error) = state.read(disk, meta, findings) {
            findings.push(Finding::of_log(&error));
        }
        Some(state)
    }

    fn read(
        &mut self,
        disk: &Arc<dyn Disk>,
        meta: &Meta,
        findings: &mut Vec<Finding>,
    ) -> Result<(), LogError> {
        let reader = LogReader::new(Arc::clone(disk), meta.file);
        for segment in reader.segments()? {
            self.files += 1;
            self.file_bytes += segment.file_bytes;
            if let (SegmentRole::Live, Ok(header)) = (segment.role, &segment.header) {
                self.first = Some(
                    self.first
                        .map_or(header.base, |first| first.min(header.base)),
                );
            }
        }
        self.recover(disk, meta)?;
        // Recovery looks at what lies behind the newest checkpoint; what leads
        // there from the older one has to be whole as well.
        let mut broken = None;
        reader.for_each_record(|report| {
            if let Verdict::End { expected, found } = &report.verdict {
                broken = Some((report.lsn, expected.clone(), found.clone()));
            }
            broken.is_none()
        })?;
        if let (Some((lsn, expected, found)), Some(end)) = (broken, self.end)
            && lsn < end
        {
            findings.push(Finding::of_log(&LogError::Corrupt {
                lsn,
                expected,
                found,
            }));
        }
        Ok(())
    }

    /// Whether an open could begin at the older meta, if the newer one were
    /// lost: the log has to reach back to it. If not, a finding.
    pub(crate) fn check_older(
        &self,
        disk: &Arc<dyn Disk>,
        older: &Meta,
        findings: &mut Vec<Finding>,
    ) {
        let lsn = older.root.lsn;
        // Where a live segment begins at or before it, reading the log as a
        // whole has judged what follows.
        if self.first.is_some_and(|first| first <= lsn) {
            return;
        }
        if let Err(error) = Self::default().recover(disk, older) {
            let text = format!(
                "the log does not lead on from the older meta (sequence {}, lsn {lsn}), which could not replace the newer one: {error}",
                older.sequence
            );
            findings.push(Finding {
                lsn: Some(lsn.0),
                ..Finding::new("older-meta-unreachable", text)
            });
        }
    }

    /// What an open would do, without doing it: this reads and judges only.
    fn recover(&mut self, disk: &Arc<dyn Disk>, meta: &Meta) -> Result<(), LogError> {
        let root = &meta.root;
        let start = StartPoint {
            lsn: root.lsn,
            chain: root.chain,
            index: root.index,
            incarnation: root.log_incarnation,
        };
        // Recovery asks for files that it may write to.
        let overlay = cs_io::overlay::OverlayDisk::new(Arc::clone(disk));
        let options = LogOptions::default();
        let recovered = Log::recover(overlay, RealRuntime::new(), meta.file, options, start)?;
        self.end = Some(recovered.end());
        self.durable = recovered.durable();
        self.last_index = recovered.last_index();
        self.torn = recovered.torn().map_or(0, |torn| torn.bytes);
        let mut records = recovered.records();
        while let Some(record) = records.next()? {
            self.bytes_to_replay += record.payload.len() as u64;
            self.to_replay += u64::from(record.head.kind == RecordKind::Transaction);
        }
        Ok(())
    }

    /// Whether an open would have nothing to do.
    pub(crate) fn is_clean(&self) -> bool {
        self.end.is_some() && self.to_replay == 0 && self.torn == 0
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "files": self.files,
            "file_bytes": self.file_bytes,
            "first_lsn": self.first.map(Lsn::get),
            "end_lsn": self.end.map(Lsn::get),
            "durable_lsn": self.end.map(|_| self.durable.0),
            "last_index": self.end.map(|_| self.last_index.0),
            "clean": self.is_clean(),
            "records_to_replay": self.to_replay,
            "bytes_to_replay": self.bytes_to_replay,
            "torn_bytes": self.torn,
        })
    }

    /// As a sentence; a torn tail of a database in use is one being written.
    pub(crate) fn line(&self, in_use: bool) -> String {
        let files = format!("{}, {}", count(self.files, "file"), size(self.file_bytes));
        let (Some(first), Some(end)) = (self.first, self.end) else {
            return format!("{files}, cannot be read to its end");
        };
        let mut state = match self.to_replay {
            0 => "nothing to replay".to_owned(),
            records => {
                format!(
                    "{} ({}) to replay",
                    count(records, "record"),
                    size(self.bytes_to_replay)
                )
            }
        };
        if self.torn > 0 && !in_use {
            state.push_str(&format!(", then a torn tail of {}", size(self.torn)));
        }
        format!("lsn {first} to {end}, {files}, {state}")
    }
}
