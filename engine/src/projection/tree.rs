//! What a projection is parsed into: a tree of names.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::expression::Expression;
use crate::filter::Filter;

/// What becomes of fields that the projection does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// They are left out; computed fields come last.
    Include,
    /// They are kept.
    Exclude,
    /// They are kept; computed fields take the place of what was there.
    Add,
}

/// One level of names.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    /// In the order in which the projection names them.
    pub(super) children: Vec<(Box<[u8]>, Child)>,
    /// Where names are, if they are many.
    index: HashMap<Box<[u8]>, usize>,
    /// Whether anything below is computed.
    pub(super) has_computed: bool,
}

/// What a projection says about a name.
#[derive(Clone, Debug)]
pub(super) enum Child {
    /// It is kept.
    Keep,
    /// It is left out.
    Drop,
    /// More about what is in it.
    Nested(Node),
    /// It is computed.
    Computed(Box<Computed>),
}

/// How a field is computed.
#[derive(Clone, Debug)]
pub(super) enum Computed {
    Expression(Expression),
    /// The first element of the array that matches.
    ElementMatch(Box<[u8]>, Filter),
}

/// Names beyond which a level has an index.
const MANY: usize = 8;

impl Node {
    pub(super) fn is_empty(&self) -> bool {
        self.children.is_empty()
    }

    /// Where a name is.
    #[inline]
    pub(super) fn position(&self, name: &[u8]) -> Option<usize> {
        if self.children.len() > MANY {
            return self.index.get(name).copied();
        }
        self.children.iter().position(|(other, _)| **other == *name)
    }

    fn push(&mut self, name: &[u8], child: Child) {
        let at = self.children.len();
        self.children.push((name.into(), child));
        self.index.insert(name.into(), at);
    }

    /// Adds a leaf; `collision` makes the error where paths overlap of whether the new
    /// path goes on below a leaf.
    pub(super) fn add(
        &mut self,
        steps: &[Box<[u8]>],
        leaf: Child,
        collision: &dyn Fn(bool) -> Error,
    ) -> Result<()> {
        self.has_computed |= matches!(leaf, Child::Computed(_));
        let Some((first, rest)) = steps.split_first() else {
            return Err(collision(false));
        };
        match (self.position(first), rest.is_empty()) {
            (Some(_), true) => Err(collision(false)),
            (None, true) => {
                self.push(first, leaf);
                Ok(())
            }
            (Some(at), false) => match self.children.get_mut(at) {
                Some((_, Child::Nested(node))) => node.add(rest, leaf, collision),
                _ => Err(collision(true)),
            },
            (None, false) => {
                let mut node = Self::default();
                node.add(rest, leaf, collision)?;
                self.push(first, Child::Nested(node));
                Ok(())
            }
        }
    }
}
