//! Compaction beside the writers of a run: each of its steps is followed by
//! turns of everybody else, and some are stopped half way.

use std::ops::ControlFlow;

use cs_kv::{CompactOptions, Error};

use super::hits::Part;
use super::life::Life;
use crate::Verdict;

impl Life {
    /// Compacts, unless it is stopped before.
    pub(super) fn compact(&mut self) -> Verdict {
        let mut options = CompactOptions::default();
        options.pages_per_step = 1 + self.rng.below(32) as usize;
        options.fill_percent = [50, 90, 100][self.rng.below(3) as usize];
        let last_step = self.rng.percent(25).then(|| 1 + self.rng.below(12));
        let begun = self.disk.event_count();
        let store = self.store.clone();
        let mut steps = 0;
        let mut beside = Ok(());
        let ended = store.compact(&options, &mut |_| {
            steps += 1;
            beside = self.turns_beside();
            if beside.is_err() || last_step == Some(steps) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        beside.map_err(|failure| failure.during("beside a compaction"))?;
        match ended {
            Ok(report) => {
                self.hits.count(Part::Compactions, 1);
                self.hits.count(Part::PagesCompacted, report.pages);
                let is_shorter = report.bytes_after < report.bytes_before;
                self.hits.count(Part::FilesCut, u64::from(is_shorter));
            }
            Err(Error::Cancelled) => self.hits.count(Part::CompactionsStopped, 1),
            Err(error) => return Err(error.into()),
        }
        self.spans(Part::CompactionStates, begun);
        Ok(())
    }
}
