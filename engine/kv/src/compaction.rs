//! Compaction: giving space back to the file system while others read and write.
//!
//! ```text
//! begin ──> walk ──> release ──> cut ──> release ──> trim ──> log ──> done
//!            ^ │ no free number            (two checkpoints)      │ still too long
//!            │ └──> release ──┐                                   │
//!            └────────────────┘ <─────────────────────────────────┘
//! ```
//! *Walk* goes over all trees window by window (`tree/compact.rs`): a sealed
//! state is searched without a lock, then a bounded number of pages is changed
//! under the writer's. *Release* is two checkpoints: what moved is free only when
//! neither meta reaches it. *Cut* takes back the free numbers at the end, *trim*
//! shortens the file once both metas tell of fewer pages.
//!
//! ## Invariants
//! * Nothing of it is logged, and nothing of it changes what the database
//!   holds: a crash anywhere leaves the state of some checkpoint and the log.
//! * Compaction takes only numbers that are free: it never makes the file longer.
//! * A pinned version keeps its pages, and with them the end of the file.

mod auto;
mod step;

use std::ops::ControlFlow;
use std::sync::Arc;

use cs_base::PageId;
use cs_base::mutants::{Mutant, planted};
use cs_pager::format::first_page;

use crate::core::Core;
use crate::error::{Error, Result};
use crate::tree::Goal;

pub use auto::AutoCompact;
pub(crate) use auto::Compaction;

/// Times that all trees are walked at most: a second walk takes up what was
/// pinned during the first, more gain little.
const MAX_PASSES: u32 = 4;

/// How compaction is done.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CompactOptions {
    /// How full leaves are made that are written anew, in percent from 50 to 100.
    pub fill_percent: u8,
    /// Pages changed under the writer's lock in one go, about; a large value
    /// moves as a whole.
    pub pages_per_step: usize,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            // Room for one entry in ten, so that the first inserts that come
            // do not undo it.
            fill_percent: 90,
            // About a third of a millisecond.
            pages_per_step: 128,
        }
    }
}

/// How far compaction has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactProgress {
    /// Which walk over all trees this is, from 1.
    pub pass: u32,
    /// Trees walked in this pass.
    pub trees: u64,
    /// Pages written anew so far.
    pub pages: u64,
    /// Bytes of the data file now.
    pub data_bytes: u64,
}

/// What compaction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Bytes of data file and log before …
    pub bytes_before: u64,
    /// … and after.
    pub bytes_after: u64,
    /// Walks over all trees.
    pub passes: u32,
    /// Pages written anew.
    pub pages: u64,
    /// Checkpoints made.
    pub checkpoints: u32,
}

/// What comes after two checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Measure,
    Walk,
    Cut,
    Trim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begin,
    Release { left: u32, then: Then },
    Walk,
    Cut,
    Trim,
    Log,
    Done,
}

/// A compaction under way: one step after the other.
#[derive(Debug)]
pub(crate) struct Compactor {
    options: CompactOptions,
    stage: Stage,
    goal: Goal,
    /// The window to look at next: tree, and key in it.
    tree: u32,
    key: Vec<u8>,
    /// The last release gave nothing to go on with.
    fruitless: bool,
    pages_in_pass: u64,
    trees: u64,
    report: CompactReport,
}

impl Compactor {
    pub(crate) fn new(options: CompactOptions) -> Result<Self> {
        if !(50..=100).contains(&options.fill_percent) || options.pages_per_step == 0 {
            return Err(Error::InvalidOption(format!(
                "compaction: expected fill_percent from 50 to 100 and pages_per_step above 0, \
                 found {} and {}",
                options.fill_percent, options.pages_per_step
            )));
        }
        Ok(Self {
            options,
            stage: Stage::Begin,
            goal: Goal {
                limit: PageId(0),
                fill_percent: usize::from(options.fill_percent),
            },
            tree: 0,
            key: Vec::new(),
            fruitless: false,
            pages_in_pass: 0,
            trees: 0,
            report: CompactReport::default(),
        })
    }

    /// Goes on for a bounded piece; true when nothing is left to do. The caller
    /// holds no lock but that of compaction.
    pub(crate) fn step(&mut self, core: &Arc<Core>) -> Result<bool> {
        core.check_writable()?;
        core.lock_writer().shadow.prefer_low(true);
        let stepped = self.try_step(core);
        core.lock_writer().shadow.prefer_low(false);
        stepped?;
        Ok(self.stage == Stage::Done)
    }

    fn try_step(&mut self, core: &Arc<Core>) -> Result<()> {
        match self.stage {
            Stage::Begin => {
                if self.report.passes == 0 {
                    self.report.bytes_before = core.file_bytes()?;
                }
                core.flush()?;
                core.shorten_log()?;
                while core.reclaim_dropped_tree()? {}
                self.release(Then::Measure);
            }
            Stage::Release { left: 0, then } => {
                core.reclaim();
                self.stage = match then {
                    Then::Measure => {
                        self.begin_pass(core);
                        Stage::Walk
                    }
                    Then::Walk => Stage::Walk,
                    Then::Cut => Stage::Cut,
                    Then::Trim => Stage::Trim,
                };
            }
            Stage::Release { left, then } => {
                // Also where nothing changed: the older meta must go.
                core.lock_writer().touch();
                core.checkpoint_now()?;
                self.report.checkpoints += 1;
                self.stage = Stage::Release {
                    left: left - 1,
                    then,
                };
            }
            Stage::Walk => self.walk(core)?,
            Stage::Cut => {
                let space = {
                    let mut writer = core.lock_writer();
                    writer.shadow.cut();
                    if planted(Mutant::CutBelowMeta) {
                        writer.shadow.trim(&core.pager, 0)?;
                    }
                    writer.shadow.space()
                };
                if space.capacity > space.page_count {
                    self.release(Then::Trim);
                } else {
                    self.stage = Stage::Log;
                }
            }
            Stage::Trim => {
                core.trim()?;
                let page_count = core.lock_writer().shadow.space().page_count;
                let enough = self.limit_now(core);
                let again = self.pages_in_pass > 0
                    && self.report.passes < MAX_PASSES
                    && page_count > enough + (enough / 16).max(64);
                self.stage = if again { Stage::Begin } else { Stage::Log };
            }
            Stage::Log => {
                if let Some(log) = &core.log {
                    core.must(log.trim_spares().map_err(Into::into))?;
                }
                self.report.bytes_after = core.file_bytes()?;
                self.stage = Stage::Done;
            }
            Stage::Done => {}
        }
        Ok(())
    }

    fn release(&mut self, then: Then) {
        self.stage = Stage::Release { left: 2, then };
    }

    /// Where the file could end: all pages in use, and some room for the paths
    /// that are copied on the way.
    fn limit_now(&self, core: &Core) -> u64 {
        let used = core.lock_writer().shadow.used_pages();
        first_page(core.pager.page_size() as u32).0 + used + used / 32 + 16
    }

    fn begin_pass(&mut self, core: &Core) {
        self.goal.limit = PageId(self.limit_now(core));
        self.report.passes += 1;
        (self.tree, self.pages_in_pass, self.trees) = (0, 0, 0);
        self.key.clear();
        self.fruitless = false;
    }

    /// There was no free number below the limit: frees what moved so far, or
    /// ends the pass if that helped nothing the last time.
    fn exhausted(&mut self) {
        if std::mem::replace(&mut self.fruitless, true) {
            self.release(Then::Cut);
        } else {
            self.release(Then::Walk);
        }
    }

    fn progress(&self, core: &Core) -> CompactProgress {
        let space = core.lock_writer().shadow.space();
        CompactProgress {
            pass: self.report.passes,
            trees: self.trees,
            pages: self.report.pages,
            data_bytes: space.capacity * core.pager.page_size() as u64,
        }
    }
}

impl Core {
    /// Compacts to the end.
    pub(crate) fn compact(
        self: &Arc<Self>,
        options: &CompactOptions,
        progress: &mut dyn FnMut(&CompactProgress) -> ControlFlow<()>,
    ) -> Result<CompactReport> {
        self.check_writable()?;
        self.start_background()?;
        let mut compaction = self.compaction.lock();
        let mut compactor = Compactor::new(*options)?;
        while !compactor.step(self)? {
            self.flush_if_due()?;
            if progress(&compactor.progress(self)).is_break() {
                return Err(Error::Cancelled);
            }
        }
        compaction.ended(self);
        Ok(compactor.report)
    }

    /// Bytes of the data file and the log.
    pub(crate) fn file_bytes(&self) -> Result<u64> {
        let log = self.log.as_ref().map_or(0, |log| log.files().total());
        Ok(self.pager.file_bytes()? + log)
    }

    /// Frees what no version needs any more.
    fn reclaim(&self) {
        let mut writer = self.lock_writer();
        writer.shadow.reclaim(&self.pager);
    }
}
