//! A batch as its writer means it: changes, what some of them demand, and some as
//! operations that are evaluated where they commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use cs_base::TreeId;
use cs_io::sim::Rng;
use cs_kv::{Batch, Declined, Evaluate, Expect, Outcome};

use crate::model::{Bytes, Change, State};

/// A batch, and what is wrong with it.
pub(super) struct Meant {
    pub(super) batch: Batch,
    /// The first operation that demands what does not hold.
    pub(super) broken: Option<usize>,
    /// The first that declines; it does so before anything is demanded.
    pub(super) declines: Option<usize>,
    pub(super) evaluated: u64,
}

/// Demands to be shown the value that the model has, and leaves what it was told to.
#[derive(Debug)]
struct Replace {
    current: Option<Bytes>,
    outcome: Outcome,
    declines: bool,
}

impl Evaluate for Replace {
    fn evaluate(&self, current: Option<&[u8]>) -> Result<Outcome, Declined> {
        // Shown another value than the newest it declines, which nobody expects.
        if self.declines || current != self.current.as_deref() {
            return Err(Declined);
        }
        Ok(self.outcome.clone())
    }
}

/// Values as they are between two operations of a batch.
struct Between<'a> {
    state: &'a State,
    changed: BTreeMap<(TreeId, Bytes), Option<Bytes>>,
}

impl Between<'_> {
    fn get(&self, tree: TreeId, key: &Bytes) -> Option<Bytes> {
        let changed = self.changed.get(&(tree, Arc::clone(key)));
        changed.map_or_else(|| self.state.get(tree, key).cloned(), Clone::clone)
    }

    fn set(&mut self, tree: TreeId, key: &Bytes, value: Option<&Bytes>) {
        self.changed
            .insert((tree, Arc::clone(key)), value.map(Arc::clone));
    }
}

/// The batch of these changes on this state.
pub(super) fn batch_of(rng: &mut Rng, state: &State, changes: &[Change]) -> Meant {
    let mut meant = Meant {
        batch: Batch::new(),
        broken: None,
        declines: None,
        evaluated: 0,
    };
    let mut between = Between {
        state,
        changed: BTreeMap::new(),
    };
    let tells_before = rng.percent(10);
    for change in changes {
        let (tree, key, value) = match change {
            Change::Create(tree) => {
                meant.batch.create_tree(*tree);
                continue;
            }
            Change::Drop(tree) => {
                meant.batch.drop_tree(*tree);
                continue;
            }
            Change::Statement(..) => continue,
            Change::Put(tree, key, value) => (*tree, key, Some(value)),
            Change::Delete(tree, key) => (*tree, key, None),
        };
        if tells_before {
            meant.batch.tell_before(tree);
        }
        if rng.percent(6) {
            let keeps = rng.percent(20);
            let current = between.get(tree, key);
            evaluate(
                rng,
                &mut meant,
                tree,
                key,
                value.filter(|_| !keeps),
                current,
                keeps,
            );
            if keeps {
                // And then the change itself, so that the model need not know.
                put_or_delete(&mut meant.batch, tree, key, value, Expect::Any);
            }
            between.set(tree, key, value);
            continue;
        }
        between.set(tree, key, value);
        let there = state.get(tree, key).is_some();
        let expect = match rng.below(40) {
            // Mostly what holds, once in a while what does not.
            0..4 if there => Expect::Present,
            0..4 => Expect::Absent,
            4 => Expect::Present,
            _ => Expect::Any,
        };
        let holds = match expect {
            Expect::Any => true,
            Expect::Present => there,
            Expect::Absent => !there,
        };
        if !holds && meant.broken.is_none() {
            meant.broken = Some(meant.batch.len());
        }
        put_or_delete(&mut meant.batch, tree, key, value, expect);
    }
    meant
}

fn put_or_delete(
    batch: &mut Batch,
    tree: TreeId,
    key: &Bytes,
    value: Option<&Bytes>,
    expect: Expect,
) {
    match value {
        Some(value) => batch.put(tree, key.to_vec(), value.to_vec(), expect),
        None => batch.delete(tree, key.to_vec(), expect),
    }
}

fn evaluate(
    rng: &mut Rng,
    meant: &mut Meant,
    tree: TreeId,
    key: &Bytes,
    value: Option<&Bytes>,
    current: Option<Bytes>,
    keeps: bool,
) {
    let outcome = match value {
        _ if keeps => Outcome::Keep,
        Some(value) => Outcome::Put(value.to_vec()),
        None => Outcome::Delete,
    };
    let declines = rng.percent(3);
    if declines && meant.declines.is_none() {
        meant.declines = Some(meant.batch.len());
    }
    let replace = Replace {
        current,
        outcome,
        declines,
    };
    meant.batch.evaluate(tree, key.to_vec(), Arc::new(replace));
    meant.evaluated += 1;
}
