//! What holds after every step.
//!
//! - One leader in a term, and it has what was committed in older ones.
//! - One entry at a place is committed, for ever; what is acknowledged is committed.
//! - Logs match: where two have the same id, they are the same up to it.
//! - What is committed is on the disks of a majority, so that no crash of a minority takes it.

use std::rc::Rc;

use cs_raft::Role;

use super::{NODES, Place, Verdict, World};

impl World {
    /// The rules, after every step.
    pub(super) fn check(&mut self) -> Verdict {
        for at in 0..NODES {
            self.check_leader(at)?;
            self.check_commit(at)?;
        }
        self.check_logs()?;
        if self.acknowledged as usize > self.committed.len() {
            return Err("an entry is acknowledged that is not committed".to_owned());
        }
        // What is committed survives the crash of any minority, now and later.
        for (place, id) in self.committed.iter().enumerate() {
            let holds = |it: &&Rc<Place>| it.image.log.get(place).is_some_and(|it| it.id == *id);
            let holders = self.places.iter().filter(holds).count();
            // After a change the majority is of others: what a later leader lacks would show.
            if 2 * holders <= NODES && !self.has_changed {
                return Err(format!(
                    "{id} is committed and durable on {holders} of {NODES}"
                ));
            }
        }
        Ok(())
    }

    fn check_leader(&mut self, at: usize) -> Verdict {
        let node = &self.places[at].node;
        if node.role() != Role::Leader {
            return Ok(());
        }
        let term = node.vote().term.0;
        match self.leaders.iter().find(|(other, _)| *other == term) {
            None => self.leaders.push((term, at)),
            Some((_, other)) if *other == at => {}
            Some((_, other)) => {
                return Err(format!(
                    "nodes {} and {} lead in term {term}",
                    other + 1,
                    at + 1
                ));
            }
        }
        for (place, id) in self.committed.iter().enumerate() {
            let holds = self.places[at]
                .log
                .get(place)
                .is_some_and(|it| it.id == *id);
            if id.term.0 < term && !holds {
                return Err(format!("leader {} of term {term} lacks {id}", at + 1));
            }
        }
        Ok(())
    }

    fn check_commit(&mut self, at: usize) -> Verdict {
        let commit = self.places[at].node.commit_index().0 as usize;
        let log = &self.places[at].log;
        if commit > log.len() {
            return Err(format!("node {} commits what it lacks", at + 1));
        }
        for (place, entry) in log.iter().take(commit).enumerate() {
            match self.committed.get(place) {
                None => self.committed.push(entry.id),
                Some(id) if *id == entry.id => {}
                Some(id) => return Err(format!("{id} and {} are committed", entry.id)),
            }
        }
        Ok(())
    }

    /// Log matching: where two logs have the same id, they are the same up to it.
    fn check_logs(&self) -> Verdict {
        for (one, left) in self.places.iter().enumerate() {
            for (other, right) in self.places.iter().enumerate().skip(one + 1) {
                let pairs = left.log.iter().zip(&right.log);
                let last = pairs
                    .clone()
                    .filter(|(left, right)| left.id == right.id)
                    .count();
                let differ = pairs.take(last).any(|(left, right)| left != right);
                if differ {
                    return Err(format!(
                        "the logs of {} and {} do not match",
                        one + 1,
                        other + 1
                    ));
                }
            }
        }
        Ok(())
    }
}
