//! `free`: the free space of the data file.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::census::{Census, State};
use crate::cli::{FreeArgs, Global};
use crate::error::Result;
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings, count, size, table, write_table};
use crate::pages::PageFile;
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::progress::Progress;

/// Adjacent pages in the same state.
#[derive(Debug, Default)]
struct Runs {
    /// First page and length, the longest first.
    runs: Vec<(u64, u64)>,
    pages: u64,
}

impl Runs {
    fn of(mut runs: Vec<(u64, u64)>) -> Self {
        let pages = runs.iter().map(|(_, count)| count).sum();
        runs.sort_by_key(|&(first, count)| (std::cmp::Reverse(count), first));
        Self { runs, pages }
    }

    fn largest(&self) -> u64 {
        self.runs.first().map_or(0, |(_, count)| *count)
    }

    /// By length, in steps of a power of two: the shortest length of the step,
    /// how many runs, how many pages.
    fn histogram(&self) -> Vec<(u64, u64, u64)> {
        let mut steps: Vec<(u64, u64, u64)> = Vec::new();
        for &(_, pages) in self.runs.iter().rev() {
            let from = 1 << pages.ilog2();
            match steps.last_mut() {
                Some((step, runs, sum)) if *step == from => {
                    *runs += 1;
                    *sum += pages;
                }
                _ => steps.push((from, 1, pages)),
            }
        }
        steps
    }

    fn json(&self, limit: usize) -> Value {
        let histogram: Vec<Value> = self
            .histogram()
            .iter()
            .map(|(from, runs, pages)| {
                json!({ "pages_from": from, "pages_to": from * 2 - 1, "runs": runs, "pages": pages })
            })
            .collect();
        let runs = self.runs.iter().take(limit);
        json!({
            "pages": self.pages,
            "runs_count": self.runs.len(),
            "largest_run": self.largest(),
            "histogram": histogram,
            "runs": runs.map(|(first, count)| json!({ "first": first, "pages": count })).collect::<Vec<_>>(),
        })
    }
}

struct Free {
    limit: usize,
    census: Census,
    free: Runs,
    pending: Runs,
    /// The meta that keeps what is pending: slot, sequence, version.
    keeper: Option<(usize, u64, u64)>,
}

impl Suspects for Free {
    fn identities(&self) -> Vec<String> {
        self.census.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.census.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &FreeArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let progress = Progress::new(global.progress);
    let free = settle(global.timeout, || look(&place, arguments, &progress))?;
    drop(progress);
    output::print(&free, global.format)
}

fn look(place: &Place, arguments: &FreeArgs, progress: &Progress) -> Result<Free> {
    let file = PageFile::open(&*place.disk())?;
    let census = Census::take(&file, progress, &mut |_, _, _| {})?;
    let newest = file.metas.newest_slot().unwrap_or_default();
    let older = file.metas.older();
    Ok(Free {
        limit: arguments.limit,
        free: Runs::of(census.runs(&|state| state == State::Free)),
        pending: Runs::of(census.runs(&|state| state == State::Pending)),
        keeper: older.map(|meta| (1 - newest, meta.sequence, meta.root.version.0)),
        census,
    })
}

impl Free {
    fn tail_bytes(&self) -> u64 {
        let census = &self.census;
        census.file_bytes - census.facts.len() as u64 * census.page_size
    }

    /// Part of the file, in percent.
    fn share(&self, pages: u64) -> f64 {
        (pages * self.census.page_size) as f64 / self.census.file_bytes.max(1) as f64 * 100.0
    }
}

impl Report for Free {
    fn json(&self) -> Value {
        let census = &self.census;
        let keeper = self.keeper.map(|(slot, sequence, version)| {
            json!({ "slot": slot, "sequence": sequence, "version": version })
        });
        json!({
            "page_size": census.page_size,
            "page_count": census.facts.len(),
            "file_bytes": census.file_bytes,
            "free": self.free.json(self.limit),
            "free_percent": self.share(self.free.pages),
            "pending": self.pending.json(self.limit),
            "pending_percent": self.share(self.pending.pages),
            "pending_for_meta": keeper,
            "preallocated_bytes": self.tail_bytes(),
            "findings": census.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let page_size = self.census.page_size;
        let line = |runs: &Runs| {
            format!(
                "{} in {}, {}, {:.1} % of the file, the longest {}",
                count(runs.pages, "page"),
                count(runs.runs.len() as u64, "run"),
                size(runs.pages * page_size),
                self.share(runs.pages),
                count(runs.largest(), "page"),
            )
        };
        writeln!(out, "free     {}", line(&self.free))?;
        write!(out, "pending  {}", line(&self.pending))?;
        match self.keeper {
            Some((slot, sequence, version)) => writeln!(
                out,
                "; kept by meta {slot}, sequence {sequence}, version {version}, until the next checkpoint"
            )?,
            None => writeln!(out, "; the older meta is not valid and keeps nothing")?,
        }
        let tail = self.tail_bytes();
        writeln!(
            out,
            "tail     {}, {:.1} % of the file, preallocated behind page {}",
            size(tail),
            tail as f64 / self.census.file_bytes.max(1) as f64 * 100.0,
            self.census.facts.len().saturating_sub(1)
        )?;
        if self.free.pages > 0 {
            writeln!(out)?;
            let mut rows = table(&["length", "free runs", "pages", "bytes"], &[0, 1, 2, 3]);
            for (from, runs, pages) in self.free.histogram() {
                let length = if from == 1 {
                    "1".to_owned()
                } else {
                    format!("{from} to {}", from * 2 - 1)
                };
                rows.add_row([
                    length,
                    runs.to_string(),
                    pages.to_string(),
                    size(pages * page_size),
                ]);
            }
            write_table(out, &rows)?;
        }
        for (name, runs) in [("free", &self.free), ("pending", &self.pending)] {
            for (first, pages) in runs.runs.iter().take(self.limit) {
                let last = first + pages - 1;
                writeln!(out, "{name} {first} to {last}: {}", count(*pages, "page"))?;
            }
            let hidden = runs.runs.len().saturating_sub(self.limit);
            if hidden > 0 && self.limit > 0 {
                writeln!(
                    out,
                    "{name}: {} more, see --limit",
                    count(hidden as u64, "run")
                )?;
            }
        }
        for finding in &self.census.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.census.findings.is_empty())
    }
}
