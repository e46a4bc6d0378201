//! `info`: what a database is, where it stands, who has it open.

use std::io::{self, Write};

use cs_base::{FileId, Lsn};
use cs_kv::TreeStats;
use cs_pager::Meta;
use cs_pager::format::FORMAT_VERSION;
use serde_json::{Value, json};

use crate::catalog;
use crate::cli::{DirectoryArgs, Global};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::lock::Holder;
use crate::log_state::LogState;
use crate::output::{self, Report, code_of_findings, size, table, time, write_table};
use crate::pages::PageFile;
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::view::{Log, View};

struct Info {
    directory: String,
    pages: PageFile,
    log: Option<LogState>,
    holder: Holder,
    collections: Option<Vec<(catalog::Entry, TreeStats)>>,
    findings: Vec<Finding>,
}

impl Suspects for Info {
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
    let info = settle(global.timeout, || look(&place))?;
    output::print(&info, global.format)
}

fn look(place: &Place) -> Result<Info> {
    let disk = place.disk();
    let pages = PageFile::open(&*disk)?;
    let mut findings = pages.metas.findings();
    let log = LogState::look(&disk, &pages.meta, &mut findings);
    let collections = match collections(place) {
        Ok(collections) => Some(collections),
        Err(InspectError::Suspect(text)) => {
            if findings
                .iter()
                .all(|finding| finding.code == "meta-invalid")
            {
                findings.push(Finding::unreadable(text));
            }
            None
        }
        Err(other) => return Err(other),
    };
    let holder = Holder::look(place.path());
    let directory = place.path().display().to_string();
    Ok(Info {
        directory,
        pages,
        log,
        holder,
        collections,
        findings,
    })
}

/// All collections, as an open would find them.
fn collections(place: &Place) -> Result<Vec<(catalog::Entry, TreeStats)>> {
    let view = View::open(place, Log::Replay)?;
    let snapshot = view.snapshot()?;
    let entries = catalog::all(&view)?.into_iter();
    entries
        .map(|entry| {
            let stats = entry.stats(&snapshot)?.unwrap_or_default();
            Ok((entry, stats))
        })
        .collect()
}

/// A file id as people compare it.
fn file_id(file: FileId) -> String {
    format!("{:016x}", file.0)
}

impl Info {
    fn meta_json(&self, slot: usize) -> Value {
        let newest = self.pages.metas.newest_slot() == Some(slot);
        match &self.pages.metas.slots[slot] {
            Err(error) => json!({ "slot": slot, "valid": false, "newest": false, "error": error }),
            Ok(meta) => json!({
                "slot": slot,
                "valid": true,
                "newest": newest,
                "sequence": meta.sequence,
                "version": meta.root.version.0,
                "pages": meta.root.page_count,
                "checkpoint_lsn": meta.root.lsn.0,
                "log_incarnation": meta.root.log_incarnation.0,
                "term": meta.root.term.0,
                "index": meta.root.index.0,
                "time": time(meta.root.time),
            }),
        }
    }

    fn meta_line(&self, slot: usize) -> String {
        let newest = self.pages.metas.newest_slot() == Some(slot);
        let mark = if newest { ", newest" } else { "" };
        match &self.pages.metas.slots[slot] {
            Err(error) => format!("not valid: {error}"),
            Ok(Meta { sequence, root, .. }) => format!(
                "valid{mark}, sequence {sequence}, version {}, {} pages, checkpoint lsn {}, \
                 term {}, index {}, {}",
                root.version,
                root.page_count,
                root.lsn,
                root.term,
                root.index,
                time(root.time).unwrap_or_else(|| "no commit yet".to_owned()),
            ),
        }
    }

    fn collections_json(&self) -> Option<Vec<Value>> {
        let collections = self.collections.as_ref()?.iter();
        let objects = collections.map(|(entry, stats)| {
            json!({
                "database": entry.database,
                "collection": entry.name,
                "tree": entry.tree.0,
                "documents": stats.count,
                "bytes": stats.bytes,
                "hash": format!("{:032x}", stats.hash),
            })
        });
        Some(objects.collect())
    }
}

impl Report for Info {
    fn json(&self) -> Value {
        let meta = &self.pages.meta;
        let membership = (!meta.membership.is_standalone()).then(|| {
            json!({
                "cluster": format!("{:016x}", meta.membership.cluster),
                "node": meta.membership.node,
                "incarnation": meta.membership.incarnation,
            })
        });
        json!({
            "directory": self.directory,
            "format_version": FORMAT_VERSION,
            "file_id": file_id(meta.file),
            "page_size": meta.page_size,
            "data_file_bytes": self.pages.bytes,
            "membership": membership,
            "metas": [self.meta_json(0), self.meta_json(1)],
            "log": self.log.as_ref().map(LogState::json),
            "lock": self.holder.json(),
            "collections_count": self.collections.as_ref().map(Vec::len),
            "collections": self.collections_json(),
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let meta = &self.pages.meta;
        writeln!(out, "database     {}", self.directory)?;
        writeln!(
            out,
            "format       version {FORMAT_VERSION}, pages of {} bytes, file id {}",
            meta.page_size,
            file_id(meta.file)
        )?;
        writeln!(
            out,
            "data file    {}, {} pages of {}",
            size(self.pages.bytes),
            meta.root.page_count,
            self.pages.pages()
        )?;
        if !meta.membership.is_standalone() {
            let member = &meta.membership;
            writeln!(
                out,
                "member       node {} of cluster {}",
                member.node, member.cluster
            )?;
        }
        for slot in 0..2 {
            writeln!(out, "meta {slot}       {}", self.meta_line(slot))?;
        }
        match &self.log {
            None => writeln!(out, "log          none")?,
            Some(log) => {
                writeln!(out, "log          {}", log.line(self.holder.may_be_live()))?;
                let clean = if log.is_clean() { "clean" } else { "not clean" };
                let behind = log
                    .end
                    .map_or(0, |end: Lsn| end.0.saturating_sub(meta.root.lsn.0));
                writeln!(
                    out,
                    "state        {clean}, log {} beyond the checkpoint",
                    size(behind)
                )?;
            }
        }
        writeln!(out, "lock         {}", self.holder.line())?;
        match &self.collections {
            None => writeln!(out, "collections  unknown")?,
            Some(list) => {
                writeln!(out, "collections  {}", list.len())?;
                if !list.is_empty() {
                    let mut rows = table(&["collection", "tree", "documents", "bytes"], &[1, 2, 3]);
                    for (entry, stats) in list {
                        let name = entry.full_name();
                        let row = [
                            name,
                            entry.tree.to_string(),
                            stats.count.to_string(),
                            stats.bytes.to_string(),
                        ];
                        rows.add_row(row);
                    }
                    write_table(out, &rows)?;
                }
            }
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
