//! What all expressions of one operation see besides their documents: the time, and
//! the variables of whoever surrounds them.

use crate::expression::{Environment, Expression, Scope, Slot, Value};
use crate::filter::Variables;
use crate::values::{Elements, OwnedValue};

/// The time of an operation, and its variables.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surroundings {
    now_ms: i64,
    scope: Scope,
    variables: Vec<(Slot, Option<OwnedValue>)>,
}

impl Surroundings {
    /// At this time, with no variables.
    pub(crate) fn at(now_ms: i64) -> Self {
        Self {
            now_ms,
            ..Self::default()
        }
    }

    /// The same, with one more variable.
    pub(crate) fn define(&mut self, name: &str) -> crate::error::Result<Slot> {
        let slot = self.scope.define(name)?;
        self.variables.push((slot, None));
        Ok(slot)
    }

    /// The names of its variables.
    pub(crate) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The same, with the variables of a `let`: constants, which see no document.
    pub(crate) fn with_constants(mut self, variables: &[u8]) -> crate::error::Result<Self> {
        for variable in Elements::new(variables) {
            let name = String::from_utf8_lossy(variable.name);
            let expression = Expression::parse(variable.value, &Scope::new())?;
            let nothing = [5, 0, 0, 0, 0];
            let mut environment = Environment::new(&nothing).now(self.now_ms);
            let value = expression.evaluate(&mut environment)?;
            let value = value.map(|value| value.to_owned_value()).transpose()?;
            let slot = self.define(&name)?;
            self.set(slot, value);
        }
        Ok(self)
    }

    /// Gives a variable its value; `None` is missing.
    pub(crate) fn set(&mut self, slot: Slot, value: Option<OwnedValue>) {
        for variable in &mut self.variables {
            if variable.0 == slot {
                variable.1 = value;
                return;
            }
        }
    }

    /// The same for the expressions in filters.
    pub(crate) fn variables(&self) -> Variables {
        let variables = if self.variables.is_empty() {
            Variables::default()
        } else {
            Variables::new(self.variables.iter().cloned())
        };
        variables.at(self.now_ms)
    }

    /// What an expression is evaluated over.
    pub(crate) fn environment<'a>(&'a self, document: &'a [u8]) -> Environment<'a> {
        let mut environment = Environment::new(document).now(self.now_ms);
        for (slot, value) in &self.variables {
            let value = value.as_ref().map(|value| Value::from_raw(value.as_raw()));
            environment.set(*slot, value);
        }
        environment
    }
}
