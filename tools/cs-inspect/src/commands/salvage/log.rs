//! Which records of the log count, and from where on.
//!
//! ## Invariants
//! * Records come in their order; none that a later one supersedes.
//! * Behind a break of the chain a record counts only if it lies below what is
//!   known to have been durable: all else may never have been acknowledged.

use std::collections::HashSet;
use std::sync::Arc;

use cs_base::{BLOCK_SIZE, FileId, Index, Lsn, round_up};
use cs_io::Disk;
use cs_pager::RootRecord;

use crate::error::Result;

use super::segments::{Record, Scan, scan};

/// What is missing between two records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub(super) from: Lsn,
    pub(super) to: Lsn,
}

/// The records that count.
#[derive(Default)]
pub(super) struct Log {
    pub(super) records: Vec<Record>,
    /// From here on nothing is missing up to the state that was found.
    pub(super) whole_from: Lsn,
    /// From here on records are news to that state.
    pub(super) news_from: Lsn,
    /// What is missing behind it.
    pub(super) gaps: Vec<Gap>,
    /// Why files of the log could not be used as they are.
    pub(super) broken: Vec<String>,
    pub(super) has_log: bool,
}

/// Records without a gap between them.
struct Run {
    records: Vec<Record>,
    from: Lsn,
    end: Lsn,
}

impl Log {
    /// Reads the log of a database whose state is that of `root`, if a meta says so.
    pub(super) fn read(
        disk: &Arc<dyn Disk>,
        file_id: FileId,
        root: Option<&RootRecord>,
    ) -> Result<Self> {
        let scan = scan(disk, file_id)?;
        let mut durable = scan.durable;
        let mut log = Self {
            broken: scan.broken.clone(),
            has_log: scan.has_log,
            ..Self::default()
        };
        let runs = runs(scan);
        match root {
            Some(root) => {
                log.news_from = root.lsn;
                log.whole_from = root.lsn;
                durable = durable.max(root.lsn);
                // Back to where the records that lead to the state begin.
                let leads = runs.iter().find(|run| {
                    let ends = run
                        .records
                        .iter()
                        .any(|record| record.end == root.lsn && record.chain == root.chain);
                    ends && run.from < root.lsn
                });
                if let Some(run) = leads {
                    log.whole_from = run.from;
                }
            }
            // A state that was found without a meta stands somewhere behind
            // the last gap, or at least nobody knows better.
            None => {
                let last = runs
                    .iter()
                    .rfind(|run| run.from < durable || runs.len() == 1);
                log.news_from = last.map_or(Lsn::ZERO, |run| run.from);
                log.whole_from = log.news_from;
            }
        }
        log.choose(runs, durable, root.is_some());
        log.drop_superseded();
        Ok(log)
    }

    /// Takes the runs that count, and notes what is missing between them.
    fn choose(&mut self, runs: Vec<Run>, durable: Lsn, is_known: bool) {
        let mut end = self.news_from;
        let mut is_first = true;
        for run in runs {
            if run.end <= self.news_from {
                self.records.extend(run.records);
                if !is_known {
                    self.gaps.push(Gap {
                        from: run.end,
                        to: self.news_from,
                    });
                }
                continue;
            }
            // The state's own place may be followed by padding.
            let boundary = round_up(end.0, BLOCK_SIZE as u64);
            let continues = is_first && (run.from.0 <= boundary || !is_known);
            if !continues {
                if run.from >= durable {
                    break;
                }
                self.gaps.push(Gap {
                    from: end,
                    to: run.from,
                });
            }
            is_first = false;
            end = run.end;
            let counted = run.records.into_iter();
            self.records
                .extend(counted.filter(|record| continues || record.lsn < durable));
        }
        if end < durable {
            self.gaps.push(Gap {
                from: end,
                to: durable,
            });
        }
    }

    /// A record supersedes all before it of the same or a higher index.
    fn drop_superseded(&mut self) {
        let mut lowest = Index::MAX;
        let mut gone = HashSet::new();
        for record in self.records.iter().rev() {
            if !record.head.kind.takes_index() {
                continue;
            }
            if record.head.index >= lowest {
                gone.insert(record.lsn);
            }
            lowest = lowest.min(record.head.index);
        }
        self.records.retain(|record| !gone.contains(&record.lsn));
    }
}

/// Puts records together whose checksums follow each other.
fn runs(scan: Scan) -> Vec<Run> {
    let mut records = scan.records;
    let mut runs: Vec<Run> = Vec::new();
    while let Some((_, same)) = records.pop_first() {
        let Some(first) = same.into_iter().next() else {
            continue;
        };
        let mut run = Run {
            from: first.lsn,
            end: first.end,
            records: vec![first],
        };
        loop {
            let chain = run.records.last().map_or(0, |last| last.chain);
            let boundary = Lsn(round_up(run.end.0, BLOCK_SIZE as u64));
            // The next segment comes before what is left in this one.
            let next = [boundary, run.end].into_iter().find_map(|at| {
                let same = records.get(&at)?;
                same.iter().find(|record| record.previous == chain).cloned()
            });
            let Some(next) = next else { break };
            run.end = next.end;
            run.records.push(next);
        }
        // What lies within was cut off, or is of an earlier life.
        records = records.split_off(&run.end);
        runs.push(run);
    }
    runs
}
