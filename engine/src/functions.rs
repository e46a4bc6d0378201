//! Functions that a process registers under names, for stored rules to call.
//!
//! ## Invariants
//! * None is ever called under the lock that commits share: a collection whose rules name
//!   one is written by transactions, and none of its writes is evaluated at the commit.
//! * A name that is not registered is an error of each write; nothing is let through.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bson::Bson;
use parking_lot::RwLock;

use crate::database::Database;
use crate::environment::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::values::OwnedValue;

/// What a validator says of a value: why it does not accept it.
type Judgement = std::result::Result<(), String>;
type Validate = dyn Fn(&Bson) -> Judgement + Send + Sync;
type Generate = dyn Fn() -> Bson + Send + Sync;

/// What is registered.
#[derive(Default)]
pub(crate) struct Functions {
    validators: RwLock<HashMap<String, Arc<Validate>>>,
    defaults: RwLock<HashMap<String, Arc<Generate>>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").finish_non_exhaustive()
    }
}

impl Database {
    /// Registers a function that judges values, for this process: fields of a
    /// [`Schema`](crate::Schema) name it. It says why it does not accept a value.
    ///
    /// It may be called more than once for one write, and never where commits wait for it.
    ///
    /// ```
    /// use bson::{Bson, doc};
    /// use collection_store::{Database, Schema, SchemaField};
    ///
    /// let database = Database::open_in_memory()?;
    /// database.register_validator("even", |value: &Bson| match value.as_i32() {
    ///     Some(number) if number % 2 == 0 => Ok(()),
    ///     _ => Err("it is odd".into()),
    /// });
    /// let pairs = database.collection("pairs");
    /// pairs.set_schema(Schema::new().field("n", SchemaField::int().validator("even")))?;
    /// pairs.insert_one(doc! { "n": 2 })?;
    /// let error = pairs.insert_one(doc! { "n": 3 }).unwrap_err();
    /// assert_eq!(error.faults()[0].found, "it is odd");
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    pub fn register_validator(
        &self,
        name: impl Into<String>,
        function: impl Fn(&Bson) -> Judgement + Send + Sync + 'static,
    ) {
        let functions = &self.environment().functions;
        let function: Arc<Validate> = Arc::new(function);
        functions.validators.write().insert(name.into(), function);
    }

    /// Registers a function that gives a field its value where it is missing, for this
    /// process: [`SchemaField::default_from`](crate::SchemaField::default_from) names it.
    pub fn register_default(
        &self,
        name: impl Into<String>,
        function: impl Fn() -> Bson + Send + Sync + 'static,
    ) {
        let functions = &self.environment().functions;
        let function: Arc<Generate> = Arc::new(function);
        functions.defaults.write().insert(name.into(), function);
    }
}

/// Calls functions for one operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw<'a> {
    environment: Option<&'a Environment>,
    now_ms: i64,
}

impl<'a> Draw<'a> {
    /// At the time of the operation.
    pub(crate) fn new(environment: &'a Environment) -> Self {
        let now_ms = i64::try_from(environment.runtime.unix_ms()).unwrap_or(i64::MAX);
        Self {
            environment: Some(environment),
            now_ms,
        }
    }

    /// Where no function may be called.
    pub(crate) const fn nothing() -> Self {
        Self {
            environment: None,
            now_ms: 0,
        }
    }

    /// The value that a function gives.
    ///
    /// # Errors
    /// It is not registered.
    pub(crate) fn default(&self, name: &str) -> Result<OwnedValue> {
        let environment = self.environment.ok_or_else(out_of_place)?;
        let registered = environment.functions.defaults.read().get(name).cloned();
        let value = match (registered, name) {
            (Some(function), _) => function(),
            (None, "now") => bson::DateTime::from_millis(self.now_ms).into(),
            (None, "objectId") => environment.object_ids.next().into(),
            (None, "uuid") => environment.object_ids.next_uuid().into(),
            (None, _) => return Err(missing("default function", name)),
        };
        Ok(OwnedValue::try_from(&value)?)
    }

    /// What a validator says.
    ///
    /// # Errors
    /// It is not registered.
    pub(crate) fn validate(&self, name: &str, value: &Bson) -> Result<Judgement> {
        let environment = self.environment.ok_or_else(out_of_place)?;
        let function = environment.functions.validators.read().get(name).cloned();
        let function = function.ok_or_else(|| missing("validator", name))?;
        Ok(function(value))
    }
}

fn missing(what: &str, name: &str) -> Error {
    let message = format!("the {what} '{name}' of a schema is not registered in this process");
    Error::new(ErrorKind::NotRegistered, message)
}

fn out_of_place() -> Error {
    Error::new(
        ErrorKind::Internal,
        "a function was called where none may be",
    )
}
