//! One pass over everything that can expire.
//!
//! ## Invariants
//! * All of a pass is judged by the time at which it began: so it comes to an end, however
//!   fast documents expire.
//! * What goes wrong with one collection holds up no other.

use std::collections::VecDeque;
use std::sync::Arc;

use cs_kv::base::TreeId;
use cs_kv::{KeyRange, system};

use crate::catalog::{decode_entry, parse_key};
use crate::collection::{Collection, Expiring};
use crate::context::{OperationContext, Watch};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::names::Namespace;
use crate::stats::Counters;

/// By what documents of a collection expire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// The index of this tree.
    Index(TreeId),
    /// The option `ttlField`.
    Option,
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Pass {
    left: VecDeque<(Namespace, Rule)>,
    current: Option<(Namespace, Expiring)>,
    watch: Watch,
    now_ms: i64,
    /// Documents deleted so far.
    pub(crate) deleted: u64,
    /// The first thing that went wrong.
    pub(crate) error: Option<Error>,
}

impl Pass {
    /// Begins one. It ends early when `context` says so.
    ///
    /// # Errors
    /// The database may not be written to, or the catalog could not be read.
    pub(crate) fn begin(environment: &Environment, context: &OperationContext) -> Result<Self> {
        environment.writable()?;
        let runtime = &environment.runtime;
        let watch = context.start(runtime);
        Ok(Self {
            left: rules(environment, &watch)?,
            current: None,
            watch,
            now_ms: i64::try_from(runtime.unix_ms()).unwrap_or(i64::MAX),
            deleted: 0,
            error: None,
        })
    }

    /// Whether there is nothing that could expire.
    pub(crate) fn is_empty(&self) -> bool {
        self.left.is_empty() && self.current.is_none()
    }

    /// Deletes some of what has expired; false when that was all.
    pub(crate) fn step(&mut self, environment: &Arc<Environment>) -> bool {
        if self.watch.check().is_err() {
            return false;
        }
        if self.current.is_none() {
            let Some((namespace, rule)) = self.left.pop_front() else {
                return false;
            };
            self.current = Some((namespace, Expiring::new(rule, self.now_ms)));
        }
        let Some((namespace, expiring)) = &mut self.current else {
            return false;
        };
        // Made for each step: a handle that is kept would keep the database open.
        let collection = Collection::new(Arc::clone(environment), namespace.clone());
        let counters = &environment.counters;
        match collection.expire_some(&self.watch, expiring) {
            Ok(deleted) => {
                self.deleted += deleted;
                Counters::add(&counters.expired, deleted);
                Counters::add(&counters.deleted, deleted);
                if expiring.is_done() {
                    self.current = None;
                }
            }
            Err(error) => {
                self.current = None;
                if self.watch.check().is_ok() {
                    Counters::add(&counters.expiry_failures, 1);
                }
                self.error.get_or_insert(error);
            }
        }
        true
    }

    /// Carries it out to its end.
    pub(crate) fn run(&mut self, environment: &Arc<Environment>) {
        while self.step(environment) {}
    }
}

/// What can expire in all databases of the directory.
fn rules(environment: &Environment, watch: &Watch) -> Result<VecDeque<(Namespace, Rule)>> {
    let mut rules = VecDeque::new();
    let mut entries = environment
        .state()?
        .cursor(system::CATALOG, KeyRange::all())?;
    while let Some((key, value)) = entries.next()? {
        watch.check()?;
        // One that this program cannot read is refused where it is used.
        let Ok(entry) = decode_entry(key, value) else {
            continue;
        };
        let namespace = parse_key(key)?;
        for index in entry.indexes.iter().filter(|index| index.expires()) {
            rules.push_back((namespace.clone(), Rule::Index(index.tree)));
        }
        if entry.ttl.is_some() {
            rules.push_back((namespace, Rule::Option));
        }
    }
    Ok(rules)
}
