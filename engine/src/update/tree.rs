//! All paths of an update, merged into one tree with an operator at each leaf.
//!
//! ## Invariants
//! * No leaf lies above another, and none twice in one place: such paths
//!   conflict. (Two that meet only in a certain document, as `a.0` and `a.$`,
//!   are found while that document is updated.)
//! * Children are in the order in which they are applied and in which new
//!   fields appear: by name, numbers by value.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::operator::Operator;
use super::path::{Step, UpdatePath};
use crate::error::{Error, Result};

/// A part of the tree of paths.
#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Fields of a document, or elements of an array by their positions.
    Fields(Fields),
    /// Elements of an array: all, or those of an array filter.
    Elements(BTreeMap<Selector, Tree>),
    /// What to do with the value.
    Leaf(Operator),
}

/// The children of a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields {
    /// Those that have a name.
    pub(super) named: BTreeMap<Name, Tree>,
    /// The one whose name the filter's match gives.
    pub(super) positional: Option<Box<Tree>>,
}

/// Which elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Selector {
    /// `$[]`.
    All,
    /// `$[x]`: those that match the array filter at this place of the list.
    Filter(usize),
}

/// A name in the order of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) Box<[u8]>);

/// The order in which children are applied: numbers by value; names among
/// numbers as if the number began with `0`, so that the order is a total one.
pub(super) fn order(left: &[u8], right: &[u8]) -> Ordering {
    let is_number = |name: &[u8]| !name.is_empty() && name.iter().all(u8::is_ascii_digit);
    let before_numbers = |name: &[u8]| name < b"0".as_slice();
    match (is_number(left), is_number(right)) {
        (true, true) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
        (false, false) => left.cmp(right),
        (true, false) if before_numbers(right) => Ordering::Greater,
        (true, false) => Ordering::Less,
        (false, true) if before_numbers(left) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        order(&self.0, &other.0)
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Tree {
    /// Puts an operator at the end of a path.
    ///
    /// `text` is the path as it was written; `selector` gives the array filter
    /// of an identifier, or says that there is none.
    pub(super) fn insert(
        &mut self,
        path: &UpdatePath,
        text: &[u8],
        operator: Operator,
        selector: &mut dyn FnMut(&[u8]) -> Result<usize>,
    ) -> Result<()> {
        let mut current = self;
        for (at, step) in path.steps.iter().enumerate() {
            let next = path.steps.get(at + 1);
            let clash = || conflict(text, path, at);
            // What the steps so far lead to: as the next step needs it, or the end.
            let make = |next: Option<&Step>| match next {
                Some(next) if next.is_array() => Tree::Elements(BTreeMap::new()),
                _ => Tree::Fields(Fields::default()),
            };
            let child = match (current, step) {
                (Self::Fields(fields), Step::Name(name)) => {
                    let entry = fields.named.entry(Name(name.clone()));
                    if next.is_none() {
                        if matches!(entry, std::collections::btree_map::Entry::Occupied(_)) {
                            return Err(clash());
                        }
                        entry.or_insert(Self::Leaf(operator));
                        return Ok(());
                    }
                    entry.or_insert_with(|| make(next))
                }
                (Self::Fields(fields), Step::Positional) => {
                    if next.is_none() {
                        if fields.positional.is_some() {
                            return Err(clash());
                        }
                        fields.positional = Some(Box::new(Self::Leaf(operator)));
                        return Ok(());
                    }
                    fields
                        .positional
                        .get_or_insert_with(|| Box::new(make(next)))
                        .as_mut()
                }
                (Self::Elements(elements), Step::All | Step::Filtered(_)) => {
                    let key = match step {
                        Step::Filtered(identifier) => Selector::Filter(selector(identifier)?),
                        _ => Selector::All,
                    };
                    let entry = elements.entry(key);
                    if next.is_none() {
                        if matches!(entry, std::collections::btree_map::Entry::Occupied(_)) {
                            return Err(clash());
                        }
                        entry.or_insert(Self::Leaf(operator));
                        return Ok(());
                    }
                    entry.or_insert_with(|| make(next))
                }
                _ => return Err(clash()),
            };
            let fits = match (&*child, next) {
                (Self::Leaf(_), _) => false,
                (Self::Elements(_), Some(next)) => next.is_array(),
                (Self::Fields(_), Some(next)) => !next.is_array(),
                _ => true,
            };
            if !fits {
                return Err(clash());
            }
            current = child;
        }
        Ok(())
    }
}

/// Two operators at one place, or one above another.
fn conflict(text: &[u8], path: &UpdatePath, at: usize) -> Error {
    let text = String::from_utf8_lossy(text);
    let steps: Vec<&str> = text.split('.').take(at.min(path.steps.len()) + 1).collect();
    let place = steps.join(".");
    conflict_at(&text, &place)
}

/// See [`conflict`].
pub(super) fn conflict_at(text: &str, place: &str) -> Error {
    Error::bad_value(format!(
        "updating the path '{text}' would create a conflict at '{place}'"
    ))
    .with_code(40)
}
