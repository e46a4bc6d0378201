//! Field paths: `$a.b`, `$$x.a.b`, `$$ROOT`.
//!
//! A step through an array goes to each document in it and gathers what is
//! there; positions are no steps. Recursion is bounded by the levels of the
//! value and by [`MAX_PATH_STEPS`](limits::MAX_PATH_STEPS).

use super::environment::{Environment, Slot};
use super::limits;
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::values::Kind;

/// A path from a variable.
#[derive(Clone, Debug)]
pub(super) struct Path {
    pub(super) base: Base,
    pub(super) steps: Box<[Box<[u8]>]>,
}

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Root,
    Now,
    Slot(Slot),
}

impl Path {
    #[inline]
    pub(super) fn evaluate<'a>(&self, environment: &Environment<'a>) -> Result<Option<Value<'a>>> {
        let now;
        let base = match self.base {
            Base::Root => environment.root(),
            Base::Slot(slot) => match environment.get(slot) {
                Some(value) => value,
                None => return Ok(None),
            },
            Base::Now => {
                now = Value::date(environment.now_ms()?);
                &now
            }
        };
        if let [step] = &*self.steps
            && base.kind() == Kind::Document
        {
            return Ok(base.field(step));
        }
        follow(base, &self.steps)
    }
}

fn follow<'a>(value: &Value<'a>, steps: &[Box<[u8]>]) -> Result<Option<Value<'a>>> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(Some(value.clone()));
    };
    match value.kind() {
        Kind::Document => match value.field(step) {
            Some(inner) => follow(&inner, rest),
            None => Ok(None),
        },
        Kind::Array => {
            let mut found = Vec::new();
            for element in value.elements() {
                if element.kind() == Kind::Document
                    && let Some(inner) = follow(&element, steps)?
                {
                    found.push(inner);
                }
            }
            Value::array(found).map(Some)
        }
        _ => Ok(None),
    }
}

/// The steps of a dotted path.
pub(super) fn parse_steps(path: &str) -> Result<Box<[Box<[u8]>]>> {
    let refuse = |code, what: &str| {
        Err(Error::new(ErrorKind::BadValue, format!("field path {path:?} {what}")).with_code(code))
    };
    if path.is_empty() {
        return refuse(40352, "is empty");
    }
    if path.ends_with('.') {
        return refuse(40353, "ends with a '.'");
    }
    let mut steps = Vec::new();
    for step in path.split('.') {
        if step.is_empty() {
            return refuse(15998, "has an empty step");
        }
        if step.starts_with('$') {
            return refuse(16410, "has a step that begins with '$'");
        }
        if step.contains('\0') {
            return refuse(16411, "has a step with NUL");
        }
        if steps.len() == limits::MAX_PATH_STEPS {
            return refuse(15, "has too many steps");
        }
        steps.push(step.as_bytes().into());
    }
    Ok(steps.into())
}
