//! The compiled form of a filter: one pass over a document's bytes.
//!
//! ```text
//! filter ─ shape ─> plan      names to look for, what is asked of each    (shared, cached)
//!        └ operands ─> leaves each question with its operand, made ready  (this filter's)
//! ```
//!
//! The pass looks at each field's name once ([`scan`]). A name that the filter
//! asks for gives its value to the conditions on it at once: the first that does
//! not hold ends everything. What is dear (patterns, long lists, `$elemMatch`), and what
//! combines several fields (`$or`), waits until all fields are found and only
//! then is asked, the cheapest first. Once nothing is missing the pass ends.
//!
//! ## Invariants
//! * It answers as the interpreter (`matcher`) does, also with errors: that is
//!   the oracle, and `cs-torture filters` compares them.
//! * Of fields with one name the first counts, as for the interpreter.
//! * Nothing is decoded and nothing allocated while a document is matched, but
//!   by an `$expr`, by patterns (working memory, once for each thread) and by
//!   the rules of a `$jsonSchema` that compare whole values.
//! * A leaf is the condition that the plan means: both number leaves in the order
//!   in which they are met in the tree.
//!
//! What this form does not know is a leaf that the interpreter answers; a filter with
//! more fields than the plan has room for is the interpreter's as a whole.

pub(super) mod cache;
mod leaf;
mod plan;
mod scan;
mod shape;
mod test;

use std::sync::Arc;

use self::leaf::Leaf;
use self::plan::{Later, Plan};
use super::ast::Expression;
use super::variables::Variables;
use crate::error::Result;
use crate::values::RawValue;

/// Values that wait until all fields are found: at most so many.
const MAX_STORED: usize = 16;
/// As many as most filters have.
const FEW_STORED: usize = 3;

/// A plan with the operands of one filter.
#[derive(Debug)]
pub(super) struct Compiled {
    plan: Arc<Plan>,
    leaves: Box<[Leaf]>,
    /// For each scan of the plan the names that must be there, as bits: without
    /// them a condition fails.
    required: Box<[u64]>,
}

impl Compiled {
    /// Compiles a filter on its own. `None` if it has more fields than there is room for.
    pub(super) fn new(root: &Expression) -> Option<Self> {
        let plan = Plan::new(root)?;
        Some(Self::bind(Arc::new(plan), root))
    }

    /// Gives a plan the operands of a filter, which is of the plan's shape.
    fn bind(plan: Arc<Plan>, root: &Expression) -> Self {
        let mut leaves = Vec::with_capacity(plan.leaf_count());
        leaf::collect(root, &mut leaves);
        let mut required = vec![0; plan.scan_count()].into_boxed_slice();
        scan::require(plan.scan(), &leaves, &mut required);
        Self {
            plan,
            leaves: leaves.into(),
            required,
        }
    }

    /// Whether a document matches.
    #[inline]
    pub(super) fn matches(&self, document: &[u8], variables: &Variables) -> Result<bool> {
        let Some(later) = self.plan.later() else {
            return Ok(scan::run(self, self.plan.scan(), document, &mut []));
        };
        // Few are the rule, and room for many takes time to clear.
        if self.plan.stored() <= FEW_STORED {
            self.matches_with::<FEW_STORED>(later, document, variables)
        } else {
            self.matches_with::<MAX_STORED>(later, document, variables)
        }
    }

    #[inline]
    fn matches_with<const N: usize>(
        &self,
        later: &Later,
        document: &[u8],
        variables: &Variables,
    ) -> Result<bool> {
        let mut stored = [None; N];
        if !scan::run(self, self.plan.scan(), document, &mut stored) {
            return Ok(false);
        }
        self.later(later, &stored, document, variables)
    }

    /// What had to wait.
    fn later(
        &self,
        later: &Later,
        stored: &[Option<RawValue<'_>>],
        document: &[u8],
        variables: &Variables,
    ) -> Result<bool> {
        match later {
            Later::Always(answer) => Ok(*answer),
            Later::And(all) => {
                for one in all {
                    if !self.later(one, stored, document, variables)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Later::Or(any) => {
                for one in any {
                    if self.later(one, stored, document, variables)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Later::Not(inner) => Ok(!self.later(inner, stored, document, variables)?),
            Later::Value { leaf, path, place } => {
                let value = stored.get(*place).copied().flatten();
                let leaf = self.leaves.get(*leaf);
                Ok(leaf.is_some_and(|leaf| leaf.holds(value, path, 1)))
            }
            Later::Document { leaf } => match self.leaves.get(*leaf) {
                Some(Leaf::Computed(expression)) => variables.is_true(expression, document),
                Some(Leaf::Schema(schema)) => Ok(schema.matches(document)),
                _ => Ok(false),
            },
        }
    }

    /// The fields that it looks for, in the order of the filter.
    pub(super) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        self.plan.names()
    }

    /// Whether something waits until all fields are found.
    pub(super) fn has_later_part(&self) -> bool {
        self.plan.later().is_some()
    }
}

#[cfg(test)]
mod tests;
