//! What holds after every event of every script.
//!
//! - Election safety: one leader in a term.
//! - A node's term, and while it is up its commit index, never go back.
//! - State-machine safety: what is applied at an index is the same everywhere and for ever.
//! - Leader completeness, of what scripts can see: what is committed anywhere is in the log of a
//!   node that leads in a later term.

use std::collections::BTreeMap;

use cs_raft::{LogId, Role};

use crate::driver::Driver;

/// What was seen so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Checks {
    leaders: BTreeMap<u64, u64>,
    terms: BTreeMap<u64, u64>,
    commits: BTreeMap<u64, u64>,
    committed: BTreeMap<u64, LogId>,
    applied: BTreeMap<u64, String>,
}

impl Checks {
    /// Looks at a node after an event.
    pub(crate) fn look(&mut self, driver: &Driver) -> Result<(), String> {
        let id = driver.config.id.0;
        let Some(status) = driver.status() else {
            return Ok(());
        };
        let term = status.term.0;
        let before = self.terms.insert(id, term).unwrap_or(0);
        if term < before {
            return Err(format!(
                "the term of node {id} goes back from {before} to {term}"
            ));
        }
        if status.role == Role::Leader {
            let leader = *self.leaders.entry(term).or_insert(id);
            if leader != id {
                return Err(format!("nodes {leader} and {id} lead in term {term}"));
            }
            self.look_at_leader(driver, term)?;
        }
        self.look_at_commit(driver, status.commit.0)?;
        for (&index, text) in &driver.state {
            let known = self.applied.entry(index).or_insert_with(|| text.clone());
            if known != text {
                return Err(format!(
                    "node {id} applies {text} at {index}, another {known}"
                ));
            }
        }
        Ok(())
    }

    /// A node went down.
    pub(crate) fn forget(&mut self, id: u64) {
        self.commits.remove(&id);
    }

    fn look_at_leader(&self, driver: &Driver, term: u64) -> Result<(), String> {
        for (&index, committed) in &self.committed {
            let known = index <= driver.base.index.0
                || driver
                    .log
                    .get(&index)
                    .is_some_and(|entry| entry.id == *committed);
            if committed.term.0 < term && !known {
                let id = driver.config.id;
                return Err(format!("leader {id} of term {term} lacks {committed}"));
            }
        }
        Ok(())
    }

    fn look_at_commit(&mut self, driver: &Driver, commit: u64) -> Result<(), String> {
        let id = driver.config.id.0;
        let before = self.commits.insert(id, commit).unwrap_or(0);
        if commit < before {
            return Err(format!(
                "the commit index of node {id} goes back to {commit}"
            ));
        }
        for (&index, entry) in driver.log.range(before..=commit) {
            let known = *self.committed.entry(index).or_insert(entry.id);
            if known != entry.id {
                return Err(format!("node {id} commits {}, another {known}", entry.id));
            }
        }
        Ok(())
    }
}
