//! The paths of an update.
//!
//! ## Invariants
//! * A path has 1 to `MAX_DEPTH` steps, none of them empty; so recursion along
//!   it is bounded.
//! * The first step is a plain name; at most one step is the positional `$`.

use crate::error::{Error, ErrorKind, Result};
use crate::values::MAX_DEPTH;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field, or the position in an array.
    Name(Box<[u8]>),
    /// `$`: the element that the filter found.
    Positional,
    /// `$[]`: each element.
    All,
    /// `$[x]`: each element that the array filter `x` matches.
    Filtered(Box<[u8]>),
}

impl Step {
    /// Whether it stands for elements of an array.
    pub(super) fn is_array(&self) -> bool {
        matches!(self, Self::All | Self::Filtered(_))
    }
}

/// A path, in steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UpdatePath {
    /// The steps, in order.
    pub(super) steps: Vec<Step>,
}

impl UpdatePath {
    /// Takes the path apart and looks at each step.
    pub(super) fn parse(text: &[u8]) -> Result<Self> {
        let shown = String::from_utf8_lossy(text);
        if text.is_empty() || text.split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
            let message = if text.is_empty() {
                "an empty update path is not valid".to_owned()
            } else {
                format!(
                    "the update path '{shown}' contains an empty field name, which is not allowed"
                )
            };
            return Err(Error::bad_value(message).with_code(56));
        }
        let count = text.iter().filter(|byte| **byte == b'.').count() + 1;
        if count > MAX_DEPTH {
            let message =
                format!("an update path has {count} steps, the limit is {MAX_DEPTH} levels");
            return Err(Error::new(ErrorKind::TooLarge, message).with_code(15));
        }
        let steps: Vec<Step> = text.split(|byte| *byte == b'.').map(step).collect();
        match steps.first() {
            Some(Step::Positional) => {
                return Err(Error::bad_value(format!(
                    "cannot have positional (i.e. '$') element in the first position in path '{shown}'"
                )));
            }
            Some(Step::All | Step::Filtered(_)) => {
                return Err(Error::bad_value(format!(
                    "cannot have array filter identifier (i.e. '$[<id>]') element in the first \
                     position in path '{shown}'"
                )));
            }
            _ => {}
        }
        let positional = steps.iter().filter(|step| **step == Step::Positional);
        if positional.count() > 1 {
            return Err(Error::bad_value(format!(
                "too many positional (i.e. '$') elements found in path '{shown}'"
            )));
        }
        Ok(Self { steps })
    }

    /// Whether each step is a name.
    pub(super) fn is_plain(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Name(_)))
    }

    /// Whether `other` starts with all of these steps.
    pub(super) fn is_prefix_of(&self, other: &Self) -> bool {
        other.steps.starts_with(&self.steps)
    }

    /// Whether it names the `_id` or something in it.
    pub(super) fn is_id(&self) -> bool {
        matches!(self.steps.first(), Some(Step::Name(name)) if **name == *b"_id")
    }
}

/// A name at the top of a document that starts with a dollar.
pub(super) fn dollar_prefixed(name: &[u8]) -> Error {
    let name = String::from_utf8_lossy(name);
    Error::bad_value(format!(
        "the dollar ($) prefixed field '{name}' is not allowed in the context of an update"
    ))
    .with_code(52)
}

fn step(text: &[u8]) -> Step {
    if text == b"$" {
        return Step::Positional;
    }
    let identifier = text
        .strip_prefix(b"$[")
        .and_then(|rest| rest.strip_suffix(b"]"));
    match identifier {
        Some(b"") => Step::All,
        Some(name) => Step::Filtered(name.into()),
        None => Step::Name(text.into()),
    }
}
