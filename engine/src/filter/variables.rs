//! What an `$expr` in a filter may ask for beyond the document.

use std::sync::Arc;

use crate::error::Result;
use crate::expression::{Environment, Expression, Slot, Value};
use crate::values::OwnedValue;

/// A variable and its value, `None` if it is missing.
type Assigned = (Slot, Option<OwnedValue>);

/// The time, and values of variables; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    now_ms: Option<i64>,
    /// `None` for no variables, which costs nothing to make.
    values: Option<Arc<[Assigned]>>,
}

impl Variables {
    /// These values; `None` for one that is missing.
    pub(crate) fn new(values: impl IntoIterator<Item = Assigned>) -> Self {
        Self {
            now_ms: None,
            values: Some(values.into_iter().collect()),
        }
    }

    /// What `$$NOW` is, in milliseconds since 1970.
    #[must_use]
    pub(crate) fn at(mut self, now_ms: i64) -> Self {
        self.now_ms = Some(now_ms);
        self
    }

    /// Whether the expression's value for the document counts as true.
    pub(super) fn is_true(&self, expression: &Expression, document: &[u8]) -> Result<bool> {
        let mut environment = Environment::new(document);
        if let Some(now_ms) = self.now_ms {
            environment = environment.now(now_ms);
        }
        for (slot, value) in self.values.iter().flat_map(|all| all.iter()) {
            let value = value.as_ref().map(|value| Value::from_raw(value.as_raw()));
            environment.set(*slot, value);
        }
        let value = expression.evaluate(&mut environment)?;
        Ok(value.is_some_and(|value| value.is_truthy()))
    }
}
