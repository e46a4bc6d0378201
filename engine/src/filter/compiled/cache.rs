//! Plans by shape: a filter whose like was seen before is not planned again.
//!
//! ## Invariants
//! * At most [`CAPACITY`] shapes are kept in each of two generations, and none
//!   whose key is longer than [`MAX_SHAPE_LEN`]; the older generation goes when
//!   the younger is full.
//! * A plan that is in use stays, whatever the cache forgets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::plan::Plan;
use super::{Compiled, shape};
use crate::filter::ast::Expression;
use crate::stats::FilterStats;

/// Shapes in a generation.
const CAPACITY: usize = 256;
/// Bytes of a key: longer filters are planned each time.
const MAX_SHAPE_LEN: usize = 4096;

/// The plans of a database's filters; none for a shape that has no room in one.
#[derive(Debug, Default)]
pub(crate) struct PlanCache {
    generations: Mutex<Generations>,
    hits: AtomicU64,
    misses: AtomicU64,
}

type Plans = HashMap<Box<[u8]>, Option<Arc<Plan>>>;

#[derive(Debug, Default)]
struct Generations {
    young: Plans,
    old: Plans,
}

impl Generations {
    fn get(&mut self, shape: &[u8]) -> Option<Option<Arc<Plan>>> {
        if let Some(plan) = self.young.get(shape) {
            return Some(plan.clone());
        }
        let (shape, plan) = self.old.remove_entry(shape)?;
        self.put(shape, plan.clone());
        Some(plan)
    }

    fn put(&mut self, shape: Box<[u8]>, plan: Option<Arc<Plan>>) {
        if self.young.len() >= CAPACITY {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(shape, plan);
    }
}

impl PlanCache {
    /// Compiles a filter, with a plan that is known where there is one.
    pub(in crate::filter) fn compile(&self, root: &Expression) -> Option<Compiled> {
        let shape = shape::of(root);
        let known = self.generations.lock().get(&shape);
        let plan = if let Some(plan) = known {
            self.hits.fetch_add(1, Ordering::Relaxed);
            plan
        } else {
            self.misses.fetch_add(1, Ordering::Relaxed);
            let plan = Plan::new(root).map(Arc::new);
            if shape.len() <= MAX_SHAPE_LEN {
                self.generations.lock().put(shape, plan.clone());
            }
            plan
        };
        Some(Compiled::bind(plan?, root))
    }

    /// Its figures.
    pub(crate) fn figures(&self) -> FilterStats {
        let generations = self.generations.lock();
        FilterStats {
            shapes: (generations.young.len() + generations.old.len()) as u64,
            reused: self.hits.load(Ordering::Relaxed),
            planned: self.misses.load(Ordering::Relaxed),
        }
    }
}
