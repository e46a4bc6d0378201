//! From a document to its key: what the paths reach, expanded where they go
//! through an array, and the first combination in the order of the pattern.
//!
//! The rules are those of MongoDB's index keys: missing is null, an empty array is
//! undefined; digits are a position where the array has it, and the element there
//! stands for itself, even if it is an array.
//!
//! Recursion goes down paths of at most 200 steps, in documents of at most 100 levels.

use std::cmp::Ordering;

use super::pattern::Part;
use crate::error::{Error, Result};
use crate::key::{append_unbounded, descend};
use crate::values::{Elements, Kind, RawValue, compare};

const NULL: RawValue<'static> = RawValue {
    kind: Kind::Null,
    bytes: &[],
};
const UNDEFINED: RawValue<'static> = RawValue {
    kind: Kind::Undefined,
    bytes: &[],
};
/// Ends a key: below what continues an ascending encoding, above what continues a
/// descending one.
const END: u8 = 0x80;

/// The key of a document.
pub(super) fn of(parts: &[Part], document: &[u8]) -> Result<Vec<u8>> {
    let mut values = Vec::with_capacity(parts.len());
    for part in parts {
        match plain(&part.steps, document) {
            Some(value) => values.push(value),
            None => {
                values = first_of_all(parts, document)?;
                break;
            }
        }
    }
    let mut key = Vec::with_capacity(16 * parts.len());
    for (part, value) in parts.iter().zip(values) {
        let start = key.len();
        append_unbounded(value, &mut key);
        if let (true, Some(new)) = (part.is_descending, key.get_mut(start..)) {
            descend(new);
        }
    }
    key.push(END);
    Ok(key)
}

/// What a path reaches if no array is on it.
fn plain<'a>(steps: &[Box<[u8]>], document: &'a [u8]) -> Option<RawValue<'a>> {
    let mut elements = Elements::new(document);
    for (at, step) in steps.iter().enumerate() {
        let Some(value) = elements.find_name(step) else {
            return Some(NULL);
        };
        match value.kind() {
            Kind::Array => return None,
            _ if at + 1 == steps.len() => return Some(value),
            Kind::Document => elements = Elements::new(value.bytes()),
            _ => return Some(NULL),
        }
    }
    Some(NULL)
}

/// A path on its way down.
#[derive(Clone, Copy)]
struct Walker<'a> {
    /// The steps that are still to be taken.
    rest: &'a [Box<[u8]>],
    /// What it has come to, once none are left.
    value: RawValue<'a>,
}

/// An element that a step of digits names.
#[derive(Clone, Copy)]
struct Positional<'a> {
    element: RawValue<'a>,
    /// What the path reaches below it, and the steps left there.
    reached: Option<RawValue<'a>>,
    rest: &'a [Box<[u8]>],
}

/// The first combination of values in the order of the pattern.
fn first_of_all<'a>(parts: &'a [Part], document: &'a [u8]) -> Result<Vec<RawValue<'a>>> {
    let walkers = parts.iter().map(|part| Walker {
        rest: &part.steps,
        value: NULL,
    });
    let mut search = Search { parts, best: None };
    let none = vec![None; parts.len()];
    search.expand(walkers.collect(), Some(document), &none)?;
    Ok(search.best.unwrap_or_else(|| vec![NULL; parts.len()]))
}

struct Search<'a> {
    parts: &'a [Part],
    best: Option<Vec<RawValue<'a>>>,
}

impl<'a> Search<'a> {
    fn expand(
        &mut self,
        mut walkers: Vec<Walker<'a>>,
        object: Option<&'a [u8]>,
        positions: &[Option<Positional<'a>>],
    ) -> Result<()> {
        let mut array: Option<RawValue<'a>> = None;
        let mut through = Vec::new();
        let mut is_nested = false;
        for (at, walker) in walkers.iter_mut().enumerate() {
            if walker.rest.is_empty() {
                continue;
            }
            let position = positions.get(at).copied().flatten();
            let (found, nested) = next_value(walker, object, position)?;
            is_nested |= nested;
            match found {
                None => {
                    *walker = Walker {
                        rest: &[],
                        value: NULL,
                    };
                }
                Some(value) if value.kind() == Kind::Array => {
                    through.push(at);
                    match array {
                        None => array = Some(value),
                        Some(first) if std::ptr::eq(first.bytes(), value.bytes()) => {}
                        Some(_) => return Err(parallel_arrays()),
                    }
                }
                Some(value) => walker.value = value,
            }
        }
        let Some(array) = array else {
            self.offer(walkers);
            return Ok(());
        };
        let mut elements = Elements::new(array.bytes()).peekable();
        if elements.peek().is_none() {
            return self.expand_element(&walkers, UNDEFINED, &through, &[]);
        }
        let below: Vec<Option<Positional<'a>>> = walkers
            .iter()
            .map(|walker| positional(array, walker.rest))
            .collect();
        for element in elements {
            let value = if is_nested { array } else { element.value };
            let object = element.value;
            for at in &through {
                if let Some(walker) = walkers.get_mut(*at)
                    && walker.rest.is_empty()
                {
                    walker.value = value;
                }
            }
            let object = (object.kind() == Kind::Document).then(|| object.bytes());
            self.expand(walkers.clone(), object, &below)?;
        }
        Ok(())
    }

    /// One more round in which `value` stands for the array.
    fn expand_element(
        &mut self,
        walkers: &[Walker<'a>],
        value: RawValue<'a>,
        through: &[usize],
        positions: &[Option<Positional<'a>>],
    ) -> Result<()> {
        let mut walkers = walkers.to_vec();
        for at in through {
            if let Some(walker) = walkers.get_mut(*at)
                && walker.rest.is_empty()
            {
                walker.value = value;
            }
        }
        self.expand(walkers, None, positions)
    }

    /// A combination is complete.
    fn offer(&mut self, walkers: Vec<Walker<'a>>) {
        let new: Vec<RawValue<'a>> = walkers.iter().map(|walker| walker.value).collect();
        let is_better = self.best.as_ref().is_none_or(|best| {
            let parts = self.parts.iter().zip(new.iter().zip(best));
            let order = parts
                .map(|(part, (new, best))| {
                    let order = compare(*new, *best);
                    if part.is_descending {
                        order.reverse()
                    } else {
                        order
                    }
                })
                .find(|order| order.is_ne());
            order == Some(Ordering::Less)
        });
        if is_better {
            self.best = Some(new);
        }
    }
}

/// The next value of a path: an array, or the end; and whether it is an array that is
/// itself an element.
fn next_value<'a>(
    walker: &mut Walker<'a>,
    object: Option<&'a [u8]>,
    position: Option<Positional<'a>>,
) -> Result<(Option<RawValue<'a>>, bool)> {
    let Some(first) = walker.rest.first() else {
        return Ok((None, false));
    };
    let has_field = object.is_some_and(|object| Elements::new(object).find_name(first).is_some());
    match (has_field, position) {
        (true, Some(_)) => {
            let message = format!(
                "ambiguous field name found in array: '{}' is a position and a name",
                String::from_utf8_lossy(first)
            );
            Err(Error::bad_value(message).with_code(16746))
        }
        (true, None) => {
            let (found, rest) = descend_to(object.unwrap_or_default(), walker.rest);
            walker.rest = rest;
            Ok((found, false))
        }
        (false, Some(position)) => {
            walker.rest = position.rest;
            Ok((position.reached, position.element.kind() == Kind::Array))
        }
        (false, None) => Ok((None, false)),
    }
}

/// Goes down documents until an array or the end of the path.
fn descend_to<'a>(
    document: &'a [u8],
    mut steps: &'a [Box<[u8]>],
) -> (Option<RawValue<'a>>, &'a [Box<[u8]>]) {
    let mut elements = Elements::new(document);
    while let Some((step, rest)) = steps.split_first() {
        let Some(value) = elements.find_name(step) else {
            return (None, rest);
        };
        steps = rest;
        match value.kind() {
            Kind::Array => return (Some(value), rest),
            _ if rest.is_empty() => return (Some(value), rest),
            Kind::Document => elements = Elements::new(value.bytes()),
            _ => return (None, rest),
        }
    }
    (None, steps)
}

fn positional<'a>(array: RawValue<'a>, rest: &'a [Box<[u8]>]) -> Option<Positional<'a>> {
    let element = Elements::new(array.bytes()).find_name(rest.first()?)?;
    let (reached, rest) = descend_to(array.bytes(), rest);
    Some(Positional {
        element,
        reached,
        rest,
    })
}

fn parallel_arrays() -> Error {
    Error::bad_value("cannot sort with keys that are parallel arrays")
}
