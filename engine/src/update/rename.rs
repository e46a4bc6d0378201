//! `$rename`: a value goes from one path to another.
//!
//! The source is taken out before anything else is done. No other operator of
//! the update reaches it or lies above it (that would be a conflict), so the
//! order makes no difference to the result; only where a source lies beyond the
//! end of an array that the same update lengthens does MongoDB refuse (2, 28)
//! what is no change here.

use super::node::{Node, position_of};
use super::path::{Step, UpdatePath};
use super::scene::Source;
use crate::error::{Error, Result};
use crate::values::{Kind, RawValue};

/// How many fields the renames of one update may look at in a document: a second's
/// work. (A thousand renames in a document of a thousand fields take a million.)
const MAX_VISITED: usize = 1 << 30;

/// From where to where.
#[derive(Clone, Debug)]
pub(super) struct Rename {
    /// Where the value is.
    pub(super) from: UpdatePath,
    /// Where it shall be.
    pub(super) to: UpdatePath,
}

impl Rename {
    /// `from: "to"`.
    pub(super) fn parse(from: &[u8], operand: RawValue<'_>) -> Result<Self> {
        let text = match operand.text() {
            Some(text) if operand.kind() == Kind::String => text,
            _ => {
                return Err(Error::bad_value(format!(
                    "the 'to' field for $rename must be a string, found {}",
                    operand.kind().name()
                )));
            }
        };
        if text.contains(&0) {
            return Err(Error::bad_value(
                "the 'to' field for $rename cannot contain an embedded null byte",
            ));
        }
        let rename = Self {
            from: UpdatePath::parse(from)?,
            to: UpdatePath::parse(text)?,
        };
        let (shown_from, shown_to) = (String::from_utf8_lossy(from), String::from_utf8_lossy(text));
        if !rename.from.is_plain() {
            return Err(Error::bad_value(format!(
                "the source field for $rename may not be dynamic: {shown_from}"
            )));
        }
        if !rename.to.is_plain() {
            return Err(Error::bad_value(format!(
                "the destination field for $rename may not be dynamic: {shown_to}"
            )));
        }
        if rename.from == rename.to {
            return Err(Error::bad_value(format!(
                "the source and target field for $rename must differ: {shown_from}"
            )));
        }
        if rename.from.is_prefix_of(&rename.to) || rename.to.is_prefix_of(&rename.from) {
            return Err(Error::bad_value(format!(
                "the source and target field for $rename must not be on the same path: \
                 {shown_from} and {shown_to}"
            )));
        }
        Ok(rename)
    }

    /// Takes the value out of the document, if it is there. What all renames of an
    /// update look at is counted in `visited`.
    pub(super) fn take<'a>(&self, root: &mut Node<'a>, visited: &mut usize) -> Source<'a> {
        match self.is_there(root, visited) {
            Ok(true) => take(root, &self.from.steps).map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Whether there is a source, which must not lie in an array.
    fn is_there(&self, root: &mut Node<'_>, visited: &mut usize) -> Result<bool> {
        let mut node = root;
        let mut in_array = false;
        for step in &self.from.steps {
            let Step::Name(name) = step else {
                return Ok(false);
            };
            let kind = node.kind();
            let is_viable = match kind {
                Kind::Document => true,
                Kind::Array => position_of(name).is_some(),
                _ => false,
            };
            if !is_viable {
                return Err(Error::bad_value(format!(
                    "cannot use the part '{}' of the source of $rename to traverse an element of \
                     type {}",
                    String::from_utf8_lossy(name),
                    kind.name()
                ))
                .with_code(28));
            }
            in_array |= kind == Kind::Array;
            let place = node.child_at(name);
            *visited = visited.saturating_add(node.children());
            if *visited > MAX_VISITED {
                return Err(Error::bad_value(format!(
                    "the renames of the update look at more than {MAX_VISITED} fields"
                )));
            }
            let Some(at) = place else {
                return Ok(false);
            };
            let Some(child) = node.child_mut(at) else {
                return Ok(false);
            };
            node = child;
        }
        if in_array {
            return Err(Error::bad_value(
                "the source field of $rename cannot be an array element",
            ));
        }
        Ok(true)
    }
}

fn take<'a>(node: &mut Node<'a>, steps: &[Step]) -> Option<Node<'a>> {
    let (Step::Name(name), rest) = steps.split_first()? else {
        return None;
    };
    let at = node.child_at(name)?;
    let taken = if rest.is_empty() {
        node.remove_child(at)
    } else {
        take(node.child_mut(at)?, rest)
    };
    node.touch();
    taken
}
