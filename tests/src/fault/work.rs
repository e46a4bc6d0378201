//! Long work amid the fixed life: bulk loads, compaction, a backup.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use cs_kv::{
    BackupOptions, BulkOptions, BulkProgress, CompactOptions, Duplicates, Error, verify_backup,
};

use super::life::Life;
use crate::model::{Bytes, Change};
use crate::verdict::ensure;
use crate::{Failure, Verdict};

/// Entries of a load.
const LOADED: u64 = 60;

impl Life {
    /// Compacts all of it. Whatever fails, what is there stays.
    pub(super) fn compact(&mut self) -> Verdict {
        let mut options = CompactOptions::default();
        options.pages_per_step = 8;
        let compacted = self
            .store
            .compact(&options, &mut |_| ControlFlow::Continue(()));
        self.stands(compacted).map(drop)
    }

    /// Loads into the first tree: behind its end, or among its keys and in no order.
    pub(super) fn load(&mut self, among: bool) -> Verdict {
        let newest = Arc::clone(&self.lived.history[self.lived.history.len() - 1]);
        let Some(&tree) = newest.trees.keys().next() else {
            return Ok(());
        };
        let mut entries: BTreeMap<Bytes, Bytes> = BTreeMap::new();
        for number in 0..LOADED {
            let name = if among { "key" } else { "load" };
            let key = format!("{name}-{number:03}").into_bytes().into();
            let len = [20, 200, 5_000][usize::from(number % 8 == 0) + usize::from(number == 40)];
            entries.insert(key, self.value(len));
        }
        let changes: Vec<Change> = entries
            .iter()
            .map(|(key, value)| Change::Put(tree, Arc::clone(key), Arc::clone(value)))
            .collect();
        let next = Arc::new(newest.after(&changes));
        let mut coming: Vec<_> = entries.iter().collect();
        let mut options = BulkOptions::default();
        if among {
            coming.reverse();
            options.duplicates = Duplicates::Replace;
        }
        let mut is_committed = false;
        let mut told = |progress: &BulkProgress| {
            is_committed |= progress.committed > 0;
            ControlFlow::Continue(())
        };
        let coming = coming.into_iter().map(Ok::<_, Error>);
        let loaded = self.store.bulk_load(tree, coming, &options, &mut told);
        let index = loaded.as_ref().map(|report| report.index.0).ok();
        if is_committed {
            self.lived.history.push(Arc::clone(&next));
        }
        if self.stands(loaded)? {
            let last = self.lived.history.len() as u64 - 1;
            ensure(index == Some(last) && is_committed, || {
                format!("a load ended with commit {index:?}, expected {last}")
            })?;
            if self.has_log() {
                self.lived.acknowledged = last;
            }
        } else if self.over && !is_committed {
            self.lived.maybe = Some((*next).clone());
        }
        Ok(())
    }

    /// Backs up to memory. A read that fails is done again when the backup goes on.
    pub(super) fn back_up(&mut self) -> Verdict {
        let mut options = BackupOptions::default();
        options.chunk_bytes = 4096;
        let begin = || self.store.backup(Vec::new(), &options);
        let mut go_on = |_: &_| ControlFlow::Continue(());
        let fired = self.lived.disk.fault_fired();
        let backup = begin().and_then(|mut backup| match backup.run(&mut go_on) {
            Err(_) if fired != self.lived.disk.fault_fired() => {
                backup.run(&mut go_on)?;
                Ok(backup)
            }
            other => other.map(|_| backup),
        });
        let backup = match backup {
            Err(_) if fired != self.lived.disk.fault_fired() => {
                // Not even begun: the next one is.
                let mut backup = begin()?;
                backup.run(&mut go_on)?;
                backup
            }
            other => other?,
        };
        let index = backup.position().index.0;
        let state = self.lived.history.get(index as usize);
        let state = state.ok_or_else(|| Failure(format!("a backup of commit {index}")))?;
        let bytes = backup.into_sink();
        let summary = verify_backup(bytes.as_slice(), &mut |_| ControlFlow::Continue(()))?;
        let has = |tree| summary.trees.contains(tree);
        ensure(state.figures().iter().all(has), || {
            format!(
                "a backup of commit {index}: expected {:?}, found {:?}",
                state.figures(),
                summary.trees
            )
        })
    }
}
