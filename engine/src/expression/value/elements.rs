//! The elements of an array, wherever its bytes lie.

use std::sync::Arc;

use super::{Shared, Value};
use crate::values::Elements;

/// The elements of an array; see [`Value::elements`].
#[derive(Clone, Debug)]
pub struct ValueElements<'a>(Inner<'a>);

#[derive(Clone, Debug)]
pub(super) enum Inner<'a> {
    Raw(Elements<'a>),
    Shared {
        at: usize,
        shared: Shared,
    },
    Array {
        next: usize,
        elements: Arc<Vec<Value<'a>>>,
    },
}

impl<'a> ValueElements<'a> {
    pub(super) fn new(inner: Inner<'a>) -> Self {
        Self(inner)
    }
}

impl<'a> Iterator for ValueElements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        match &mut self.0 {
            Inner::Raw(elements) => Some(Value::from_raw(elements.next()?.value)),
            Inner::Shared { at, shared } => {
                let bytes = shared.raw().bytes;
                let element = Elements::from(bytes, *at).next()?;
                let value = shared.inner(element.value);
                *at = element.value.bytes.as_ptr().addr() - bytes.as_ptr().addr()
                    + element.value.bytes.len();
                Some(value)
            }
            Inner::Array { next, elements } => {
                let value = elements.get(*next)?.clone();
                *next += 1;
                Some(value)
            }
        }
    }
}
