//! From the shape of a filter to the names to look for and what is asked of each.
//!
//! Nothing here looks at an operand but to tell how dear a question is, which
//! `shape` puts into the key: plans of one shape are equal.

use std::sync::Arc;

use super::MAX_STORED;
use super::scan::{Check, Name, Scan};
use crate::filter::ast::{Expression, Predicate};
use crate::filter::path::Path;

/// Names in one scan: one bit of a word for each.
const MAX_NAMES: usize = 64;
/// Members of an `$in` above which it is asked last.
const LONG_LIST: usize = 64;

/// How a filter is carried out.
#[derive(Debug)]
pub(super) struct Plan {
    scan: Scan,
    later: Option<Later>,
    /// Values that `later` asks for.
    stored: usize,
    leaf_count: usize,
    scan_count: usize,
}

/// What is asked once all fields are found.
#[derive(Debug)]
pub(super) enum Later {
    Always(bool),
    And(Box<[Later]>),
    Or(Box<[Later]>),
    Not(Box<Later>),
    /// A condition on a field whose value was stored.
    Value {
        leaf: usize,
        path: Arc<Path>,
        place: usize,
    },
    /// A condition on the whole document.
    Document {
        leaf: usize,
    },
}

/// How much a question costs: in this order they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Cost {
    /// Asked as soon as the value is there.
    Cheap,
    /// A part of something that combines fields.
    Combined,
    /// Patterns, long lists, elements.
    Dear,
    /// Schemas.
    Document,
    /// What may fail: last, so that errors depend on no order.
    MayFail,
}

impl Cost {
    pub(super) fn of(predicate: &Predicate) -> Self {
        match predicate {
            Predicate::In(set) if set.values().len() > LONG_LIST || !set.patterns().is_empty() => {
                Self::Dear
            }
            Predicate::Matches(_)
            | Predicate::ElementMatches(_)
            | Predicate::ElementSatisfies(_) => Self::Dear,
            _ => Self::Cheap,
        }
    }
}

impl Plan {
    /// `None` if there is no room for all fields.
    pub(super) fn new(root: &Expression) -> Option<Self> {
        let mut builder = Builder::default();
        let mut later = Vec::new();
        builder.conjunct(root, &mut later)?;
        later.sort_by_key(|(cost, _)| *cost);
        let mut later: Vec<Later> = later.into_iter().map(|(_, one)| one).collect();
        let later = match later.len() {
            0 => None,
            1 => later.pop(),
            _ => Some(Later::And(later.into())),
        };
        let mut scan_count = 0;
        let scan = Scan::build(builder.names, 0, &mut scan_count)?;
        Some(Self {
            scan,
            later,
            stored: builder.stored,
            leaf_count: builder.leaves,
            scan_count,
        })
    }

    pub(super) fn scan(&self) -> &Scan {
        &self.scan
    }

    pub(super) fn later(&self) -> Option<&Later> {
        self.later.as_ref()
    }

    pub(super) fn stored(&self) -> usize {
        self.stored
    }

    pub(super) fn leaf_count(&self) -> usize {
        self.leaf_count
    }

    pub(super) fn scan_count(&self) -> usize {
        self.scan_count
    }

    /// The names that it looks for in a document, in the order of the filter.
    pub(super) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.scan.names().iter().map(Name::text)
    }
}

/// Puts the parts of a filter where they belong.
#[derive(Default)]
struct Builder {
    names: Vec<Wanted>,
    stored: usize,
    leaves: usize,
}

/// A name, and what is asked of its value.
pub(super) struct Wanted {
    pub(super) name: Box<[u8]>,
    pub(super) checks: Vec<Check>,
    pub(super) place: Option<usize>,
}

impl Builder {
    /// A condition that must hold.
    fn conjunct(&mut self, expression: &Expression, later: &mut Vec<(Cost, Later)>) -> Option<()> {
        match expression {
            Expression::Always(true) => {}
            Expression::And(all) => {
                for one in all {
                    self.conjunct(one, later)?;
                }
            }
            Expression::Field { path, predicate } if Cost::of(predicate) == Cost::Cheap => {
                self.check(path, false)?;
            }
            Expression::Not(inner) => match &**inner {
                Expression::Field { path, predicate } if Cost::of(predicate) == Cost::Cheap => {
                    self.check(path, true)?;
                }
                _ => later.push(self.later(expression)?),
            },
            _ => later.push(self.later(expression)?),
        }
        Some(())
    }

    fn check(&mut self, path: &Arc<Path>, negated: bool) -> Option<()> {
        let check = Check {
            leaf: self.leaves,
            path: Arc::clone(path),
            negated,
        };
        self.leaves += 1;
        let at = self.wanted(path)?;
        self.names.get_mut(at)?.checks.push(check);
        Some(())
    }

    /// The place of the path's first step among the names.
    fn wanted(&mut self, path: &Path) -> Option<usize> {
        let first = &path.steps().first()?.name;
        if let Some(at) = self.names.iter().position(|wanted| wanted.name == *first) {
            return Some(at);
        }
        if self.names.len() == MAX_NAMES {
            return None;
        }
        self.names.push(Wanted {
            name: first.clone(),
            checks: Vec::new(),
            place: None,
        });
        Some(self.names.len() - 1)
    }

    /// A condition that is asked later.
    fn later(&mut self, expression: &Expression) -> Option<(Cost, Later)> {
        Some(match expression {
            Expression::Always(answer) => (Cost::Combined, Later::Always(*answer)),
            Expression::And(all) => {
                let (cost, all) = self.all_later(all)?;
                (cost, Later::And(all))
            }
            Expression::Or(any) => {
                let (cost, any) = self.all_later(any)?;
                (cost, Later::Or(any))
            }
            Expression::Not(inner) => {
                let (cost, inner) = self.later(inner)?;
                (cost, Later::Not(Box::new(inner)))
            }
            Expression::Field { path, predicate } => {
                let leaf = self.next_leaf();
                let at = self.wanted(path)?;
                let stored = &mut self.stored;
                let wanted = self.names.get_mut(at)?;
                let place = *wanted.place.get_or_insert_with(|| {
                    *stored += 1;
                    *stored - 1
                });
                if place >= MAX_STORED {
                    return None;
                }
                let later = Later::Value {
                    leaf,
                    path: Arc::clone(path),
                    place,
                };
                (Cost::of(predicate).max(Cost::Combined), later)
            }
            Expression::Computed(_) => {
                let leaf = self.next_leaf();
                (Cost::MayFail, Later::Document { leaf })
            }
            Expression::Schema(_) => {
                let leaf = self.next_leaf();
                (Cost::Document, Later::Document { leaf })
            }
        })
    }

    /// The parts of `$and` or `$or`, the cheapest first; what they cost is the dearest's cost.
    fn all_later(&mut self, all: &[Expression]) -> Option<(Cost, Box<[Later]>)> {
        let mut parts = Vec::with_capacity(all.len());
        for one in all {
            parts.push(self.later(one)?);
        }
        parts.sort_by_key(|(cost, _)| *cost);
        let cost = parts.last().map_or(Cost::Combined, |(cost, _)| *cost);
        Some((cost, parts.into_iter().map(|(_, part)| part).collect()))
    }

    fn next_leaf(&mut self) -> usize {
        self.leaves += 1;
        self.leaves - 1
    }
}
