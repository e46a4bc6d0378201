//! Dotted paths, and the values that they reach in a document.
//!
//! The traversal is MongoDB's:
//! * steps go down documents; a missing step, or one below a scalar, reaches
//!   "missing", once;
//! * a step that meets an array is taken in each document of that array, one
//!   level deep; elements that are not documents reach nothing at all;
//! * if the step is digits, the element of that name is taken as well;
//! * a path that ends at an array reaches each element, then the array itself,
//!   or only the array ([`Leaf::Whole`]).

use crate::values::{Elements, Kind, RawValue};

/// A dotted path, in steps.
#[derive(Clone, Debug)]
pub(super) struct Path {
    text: Box<[u8]>,
    steps: Box<[Step]>,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) name: Box<[u8]>,
    pub(super) is_digits: bool,
}

/// What a path that ends at an array reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaf {
    /// Each element, then the array.
    Elements,
    /// The array.
    Whole,
}

/// Asked for each value that a path reaches, `None` for "missing"; `true` ends the walk.
type Visit<'v, 'a> = &'v mut dyn FnMut(Option<RawValue<'a>>) -> bool;

impl Path {
    /// `text` split at its dots; empty steps are names like any other.
    pub(super) fn new(text: &[u8]) -> Self {
        let steps = text.split(|byte| *byte == b'.').map(|name| Step {
            name: name.into(),
            is_digits: !name.is_empty() && name.iter().all(u8::is_ascii_digit),
        });
        Self {
            text: text.into(),
            steps: steps.collect(),
        }
    }

    /// Whether it is this one name.
    pub(super) fn is(&self, name: &[u8]) -> bool {
        *self.text == *name
    }

    /// The steps, in order.
    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The path as it was written.
    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Walks over what all but the first `from` steps reach, where those have
    /// reached `value`, until `visit` says `true`; returns whether it did.
    pub(super) fn any_below<'a>(
        &self,
        value: RawValue<'a>,
        from: usize,
        leaf: Leaf,
        visit: Visit<'_, 'a>,
    ) -> bool {
        let steps = self.steps.get(from..).unwrap_or_default();
        below(value, steps, leaf, visit)
    }

    /// Walks over what the path reaches in the document until `visit` says
    /// `true`; returns whether it did.
    #[inline]
    pub(super) fn any<'a>(&self, document: &'a [u8], leaf: Leaf, visit: Visit<'_, 'a>) -> bool {
        in_document(Elements::new(document), &self.steps, leaf, visit)
    }
}

fn in_document<'a>(
    mut elements: Elements<'a>,
    mut steps: &[Step],
    leaf: Leaf,
    visit: Visit<'_, 'a>,
) -> bool {
    while let Some((step, rest)) = steps.split_first() {
        let Some(value) = elements.find_name(&step.name) else {
            return visit(None);
        };
        steps = rest;
        match value.kind() {
            Kind::Document if !steps.is_empty() => elements = Elements::new(value.bytes()),
            _ => return below(value, steps, leaf, visit),
        }
    }
    false
}

/// `steps` go on below `value`, if there are any.
fn below<'a>(value: RawValue<'a>, steps: &[Step], leaf: Leaf, visit: Visit<'_, 'a>) -> bool {
    match value.kind() {
        Kind::Array if !steps.is_empty() => in_array(value, steps, leaf, visit),
        Kind::Array => at_array(value, leaf, visit),
        _ if steps.is_empty() => visit(Some(value)),
        Kind::Document => in_document(Elements::new(value.bytes()), steps, leaf, visit),
        _ => visit(None),
    }
}

/// The path ends at `array`.
fn at_array<'a>(array: RawValue<'a>, leaf: Leaf, visit: Visit<'_, 'a>) -> bool {
    if leaf == Leaf::Elements {
        for element in Elements::new(array.bytes()) {
            if visit(Some(element.value)) {
                return true;
            }
        }
    }
    visit(Some(array))
}

/// `steps`, not empty, go on below `array`.
fn in_array<'a>(array: RawValue<'a>, steps: &[Step], leaf: Leaf, visit: Visit<'_, 'a>) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        return false;
    };
    for element in Elements::new(array.bytes()) {
        let value = element.value;
        let is_document = value.kind() == Kind::Document;
        if is_document && in_document(Elements::new(value.bytes()), steps, leaf, visit) {
            return true;
        }
        if !step.is_digits || *element.name != *step.name {
            continue;
        }
        let found = if rest.is_empty() {
            // A position is named: the element stands for itself, even if it is an array.
            visit(Some(value))
        } else if is_document {
            in_document(Elements::new(value.bytes()), rest, leaf, visit)
        } else if value.kind() == Kind::Array {
            in_array(value, rest, leaf, visit)
        } else {
            false
        };
        if found {
            return true;
        }
    }
    false
}
