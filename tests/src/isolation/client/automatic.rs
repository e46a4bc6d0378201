//! Operations that are evaluated where they commit: on the newest list there is.

use std::sync::{Arc, Mutex, PoisonError};

use cs_kv::{Batch, Declined, Evaluate, Outcome};

use super::super::history::{Key, Level, Number, Step};
use super::super::keys::{self, decode, encode};
use super::Client;
use crate::Verdict;

impl Client<'_> {
    /// Appends to a few lists, or looks at them, or thinks better of it.
    pub(super) fn automatic(&mut self, name: String) -> Verdict {
        let mut draft = self.round.record.begin(name, Level::Serializable);
        let looks_only = self.rng.percent(30);
        let mut operations: Vec<(Key, Arc<Operation>)> = Vec::new();
        for _ in 0..=self.rng.below(3) {
            let key = self.key();
            if operations.iter().any(|(other, _)| *other == key) {
                continue;
            }
            let appends = !looks_only && self.rng.percent(80);
            operations.push((
                key,
                Arc::new(Operation {
                    number: appends.then(|| self.round.record.new_number()),
                    declines: self.rng.percent(5),
                    seen: Mutex::default(),
                }),
            ));
        }
        let mut batch = Batch::new();
        for (key, operation) in &operations {
            batch.evaluate(
                self.round.tree(*key),
                keys::bytes(*key),
                Arc::clone(operation) as _,
            );
        }
        let options = self.options(&mut draft);
        let answer = if self.rng.percent(50) {
            self.round.store.write_and_wait(batch, &options).map(drop)
        } else {
            let ticket = self.round.store.write(&batch, &options);
            ticket.and_then(|ticket| ticket.wait())
        };
        for (key, operation) in operations {
            let seen = operation
                .seen
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if let Some(list) = &*seen {
                draft.steps.push(Step::Read(key, list.clone()));
            }
            draft
                .steps
                .extend(operation.number.map(|number| Step::Append(key, number)));
        }
        self.end(draft, answer)
    }
}

/// Appends to the newest list, or only looks at it.
#[derive(Debug)]
struct Operation {
    number: Option<Number>,
    declines: bool,
    seen: Mutex<Option<Vec<Number>>>,
}

impl Evaluate for Operation {
    fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
        let mut list = decode(current);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some(list.clone());
        if self.declines {
            return Err(Declined);
        }
        let Some(number) = self.number else {
            return Ok(Outcome::Keep);
        };
        list.push(number);
        Ok(Outcome::Put(encode(&list)))
    }
}
