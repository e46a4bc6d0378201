//! What parsing makes of an expression.

use std::fmt;

use super::environment::{Environment, Slot};
use super::path::{Base, Path};
use super::value::{Fields, Value};
use crate::error::Result;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node {
    /// The same value for every document.
    Constant(Value<'static>),
    /// No value, for every document.
    Missing,
    /// An argument that was not given.
    Absent,
    /// A field or a variable.
    Path(Path),
    /// `{a: …, b: …}`; fields without a value are left out.
    Document(Vec<(Box<[u8]>, Node)>),
    /// `[…, …]`; what has no value is null.
    Array(Vec<Node>),
    /// An operator with the expressions it is given.
    Call(Call),
    /// An operator with parts that are no expressions.
    Special(Box<dyn Special>),
}

/// The evaluation of an operator over its arguments.
pub(super) type Evaluate =
    for<'a> fn(&'a [Node], &mut Environment<'a>) -> Result<Option<Value<'a>>>;

/// An operator with its arguments.
pub(super) struct Call {
    pub(super) name: &'static str,
    pub(super) evaluate: Evaluate,
    pub(super) arguments: Vec<Node>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple(self.name).field(&self.arguments).finish()
    }
}

/// An operator that carries more than expressions: variables, patterns.
pub(super) trait Special: fmt::Debug + Send + Sync {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>>;

    /// Its expressions, in the order in which they are optimised.
    fn children(&mut self) -> Vec<&mut Node>;

    /// Whether [`Self::prepare`] optimises its expressions, and which.
    fn optimises_itself(&self) -> bool {
        false
    }

    /// Work that can be done once, after the expressions were optimised.
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    /// What stands in its place, if [`Self::prepare`] left nothing to decide.
    fn replacement(&mut self) -> Option<Node> {
        None
    }
}

impl Node {
    #[inline]
    pub(super) fn evaluate<'a>(
        &'a self,
        environment: &mut Environment<'a>,
    ) -> Result<Option<Value<'a>>> {
        match self {
            Self::Constant(value) => Ok(Some(value.borrow())),
            Self::Missing | Self::Absent => Ok(None),
            Self::Path(path) => path.evaluate(environment),
            Self::Call(call) => (call.evaluate)(&call.arguments, environment),
            Self::Special(special) => special.evaluate(environment),
            Self::Document(fields) => {
                let mut out = Fields::default();
                for (name, node) in fields {
                    if let Some(value) = node.evaluate(environment)? {
                        out.append(name, &value)?;
                    }
                }
                Ok(Some(out.finish()))
            }
            Self::Array(nodes) => {
                let mut elements = Vec::with_capacity(nodes.len());
                for node in nodes {
                    elements.push(node.evaluate(environment)?.unwrap_or_else(Value::null));
                }
                Value::array(elements).map(Some)
            }
        }
    }

    /// The value, with null in the place of none.
    #[inline]
    pub(super) fn or_null<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Value<'a>> {
        Ok(self.evaluate(environment)?.unwrap_or_else(Value::null))
    }

    /// Whether it, or a part of it, reads a variable.
    pub(super) fn reads(&mut self, slot: Slot) -> bool {
        match self {
            Self::Path(path) => path.base == Base::Slot(slot),
            Self::Call(call) => call.arguments.iter_mut().any(|node| node.reads(slot)),
            Self::Special(special) => special.children().into_iter().any(|node| node.reads(slot)),
            Self::Document(fields) => fields.iter_mut().any(|(_, node)| node.reads(slot)),
            Self::Array(nodes) => nodes.iter_mut().any(|node| node.reads(slot)),
            Self::Constant(_) | Self::Missing | Self::Absent => false,
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Whether it has the same value, or none, for every document.
    pub(super) fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_) | Self::Missing | Self::Absent)
    }
}

/// The argument at a position, for operators whose number of arguments was
/// checked while parsing.
#[inline]
pub(super) fn argument(arguments: &[Node], position: usize) -> &Node {
    arguments.get(position).unwrap_or(&Node::Absent)
}
