//! `check`: proves that a database is sound, or lists what is not.
//!
//! 1. Both metas.
//! 2. The chain of the log, and whether it reaches back to the older meta.
//! 3. Opening, with the log; where that fails, at the last checkpoint.
//! 4. Every page in use, every tree, the allocation.
//! 5. Every document, and every index against the documents both ways.
//! 6. Every named snapshot: its pages (with 4.), catalog, counts and documents.
//!
//! What fails is a finding, and the rest goes on as far as it can.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::catalog;
use crate::cli::{CheckArgs, Global};
use crate::documents;
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::log_state::LogState;
use crate::output::{self, Report, code_of_findings, count};
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::progress::Progress;
use crate::view::{Log, View};

/// Exit code of a database that is damaged beyond opening.
const UNREADABLE: u8 = 3;

#[derive(Debug, Default)]
struct Check {
    directory: String,
    quick: bool,
    /// It could be opened, with or without its log.
    opened: bool,
    /// Its log was part of what was looked at.
    log_replayed: bool,
    has_log: bool,
    records_to_replay: u64,
    pages: u64,
    trees: u64,
    collections: u64,
    documents: u64,
    indexes: u64,
    snapshots: u64,
    findings: Vec<Finding>,
}

impl Suspects for Check {
    fn identities(&self) -> Vec<String> {
        self.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &CheckArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let progress = Progress::new(global.progress);
    let check = settle(global.timeout, || look(&place, arguments.quick, &progress))?;
    drop(progress);
    output::print(&check, global.format)
}

fn look(place: &Place, quick: bool, progress: &Progress) -> Result<Check> {
    let directory = place.path().display().to_string();
    let mut check = Check {
        directory,
        quick,
        ..Check::default()
    };
    // 1.
    let metas = place.metas()?;
    check.findings = metas.findings();
    // 2.
    let before = check.findings.len();
    let log = LogState::look(&place.disk(), metas.newest()?, &mut check.findings);
    check.has_log = log.is_some();
    check.records_to_replay = log.as_ref().map_or(0, |log| log.to_replay);
    let log_is_sound = check.findings.len() == before;
    if let (Some(log), Some(older), true) = (log, metas.older(), log_is_sound) {
        log.check_older(&place.disk(), older, &mut check.findings);
    }
    // 3.
    let Some(view) = open(place, log_is_sound, &mut check)? else {
        return Ok(check);
    };
    check.opened = true;
    // 4.
    if !quick {
        pages(&view, progress, &mut check);
    }
    // 5.
    match catalog::all(&view) {
        Ok(entries) => collections(&view, &entries, progress, &mut check)?,
        Err(error) => check.add_unreadable(&error),
    }
    // 6.
    if let Err(error) = snapshots(&view, progress, &mut check) {
        check.add_unreadable(&error);
    }
    Ok(check)
}

/// The database with its log or, where that cannot be, without.
fn open(place: &Place, log_is_sound: bool, check: &mut Check) -> Result<Option<View>> {
    for log in [Log::Replay, Log::Ignore] {
        if log == Log::Replay && !log_is_sound {
            continue;
        }
        match View::open(place, log) {
            Ok(view) => {
                check.log_replayed = log == Log::Replay;
                return Ok(Some(view));
            }
            Err(error @ InspectError::Suspect(_)) => check.add_unreadable(&error),
            Err(other) => return Err(other),
        }
    }
    Ok(None)
}

fn pages(view: &View, progress: &Progress, check: &mut Check) {
    progress.begin("pages", 0);
    let mut total = 0;
    let result = view.store().check_with_progress(&mut |done, of| {
        if total != of {
            total = of;
            progress.begin("pages", of);
        }
        progress.set(done);
    });
    match result {
        Ok(report) => {
            check.pages = report.pages;
            check.trees = report.trees.len() as u64;
            for finding in report.findings.iter().map(Finding::of_store) {
                // Both the walk and the cursor meet a page that cannot be read.
                if !check.findings.contains(&finding) {
                    check.findings.push(finding);
                }
            }
        }
        Err(error) => check.add_unreadable(&InspectError::suspect(error)),
    }
}

fn collections(
    view: &View,
    entries: &[catalog::Entry],
    progress: &Progress,
    check: &mut Check,
) -> Result<()> {
    let snapshot = view.snapshot()?;
    check.collections = entries.len() as u64;
    let mut total = 0;
    for entry in entries {
        match entry.stats(&snapshot) {
            Ok(Some(stats)) => total += stats.count,
            Ok(None) => {
                let text = format!("collection {} has no tree", entry.full_name());
                check
                    .findings
                    .push(Finding::new("missing-tree", text).in_tree(entry.tree.0));
            }
            Err(error) => check.add_unreadable(&error),
        }
    }
    if check.quick {
        return Ok(());
    }
    progress.begin("documents", total);
    for entry in entries
        .iter()
        .filter(|entry| matches!(entry.stats(&snapshot), Ok(Some(_))))
    {
        let before = check.findings.len();
        check.documents += documents::check(&snapshot, entry, progress, &mut check.findings);
        // Documents that are damaged make no keys.
        if check.findings.len() == before {
            indexes(view, entry, check);
        }
    }
    Ok(())
}

/// Each index against the documents, both ways.
fn indexes(view: &View, entry: &catalog::Entry, check: &mut Check) {
    let collection = view.database().database(&entry.database);
    let checked = collection.collection(&entry.name).check_indexes();
    match checked.map_err(InspectError::suspect) {
        Ok(found) => {
            check.indexes += found.indexes;
            for finding in found.findings {
                let text = format!("collection {}, {finding}", entry.full_name());
                let finding = Finding::new("wrong-index", text).in_tree(entry.tree.0);
                check.findings.push(finding);
            }
        }
        Err(error) => check.add_unreadable(&error),
    }
}

fn snapshots(view: &View, progress: &Progress, check: &mut Check) -> Result<()> {
    let named = view.store().list_snapshots();
    for named in named.map_err(InspectError::suspect)? {
        check.snapshots += 1;
        let opened = view.database().open_snapshot(&named.name);
        let entries = opened.map_err(InspectError::suspect);
        let entries = match entries.and_then(|opened| catalog::as_of(&opened)) {
            Ok(entries) if !check.quick => entries,
            Ok(_) => continue,
            Err(error) => {
                check.add_unreadable(&error);
                continue;
            }
        };
        let snapshot = view.store().open_snapshot(&named.name);
        let snapshot = snapshot.map_err(InspectError::suspect)?;
        for entry in &entries {
            documents::check_as_of(&snapshot, entry, progress, &mut check.findings);
        }
    }
    Ok(())
}

impl Check {
    /// A page or the like that cannot be read, unless it is known already.
    fn add_unreadable(&mut self, error: &InspectError) {
        let finding = Finding::unreadable(error.to_string());
        let known = self.findings.iter().any(|known| known.text == finding.text);
        if !known {
            self.findings.push(finding);
        }
    }
}

impl Report for Check {
    fn json(&self) -> Value {
        json!({
            "directory": self.directory,
            "sound": self.findings.is_empty(),
            "quick": self.quick,
            "opened": self.opened,
            "log_replayed": self.log_replayed,
            "records_to_replay": self.records_to_replay,
            "pages": self.pages,
            "trees": self.trees,
            "collections": self.collections,
            "documents": self.documents,
            "indexes": self.indexes,
            "snapshots": self.snapshots,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for finding in &self.findings {
            writeln!(out, "{}", finding.line())?;
        }
        if !self.opened {
            return writeln!(out, "{}: damaged beyond opening", self.directory);
        }
        let verdict = match self.findings.len() as u64 {
            0 => "sound".to_owned(),
            findings => count(findings, "finding"),
        };
        let looked_at = if self.quick {
            format!(
                "metas, log and {} looked at, no pages",
                count(self.collections, "collection")
            )
        } else {
            format!(
                "{}, {}, {}, {}{} looked at",
                count(self.pages, "page"),
                count(self.trees, "tree"),
                count(self.collections, "collection"),
                count(self.documents, "document"),
                match self.indexes {
                    0 => String::new(),
                    1 => ", 1 index".to_owned(),
                    indexes => format!(", {indexes} indexes"),
                },
            )
        };
        let log = match (self.has_log, self.log_replayed) {
            (false, _) => "no log".to_owned(),
            (true, false) => "as of the last checkpoint, since the log cannot be read".to_owned(),
            (true, true) => format!(
                "{} of the log replayed",
                count(self.records_to_replay, "record")
            ),
        };
        let named = match (self.snapshots, self.quick) {
            (0, _) => String::new(),
            (named, false) => format!("; {} too", count(named, "named snapshot")),
            (named, true) => format!("; {}: names alone", count(named, "named snapshot")),
        };
        writeln!(
            out,
            "{}: {verdict}; {looked_at}{named}; {log}",
            self.directory
        )
    }

    fn exit_code(&self) -> u8 {
        if self.opened {
            code_of_findings(self.findings.is_empty())
        } else {
            UNREADABLE
        }
    }
}
