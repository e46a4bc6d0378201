//! Variables: their names while an expression is parsed, their values while it
//! is evaluated.
//!
//! ## Invariants
//! * A name is looked up while parsing, once; evaluation knows slots.
//! * The slots of the caller's variables come first, in the order in which they
//!   were defined; those of `$let`, `$map` and the like follow.

use super::value::Value;
use crate::error::{Error, ErrorKind, Result};

/// Which variables of its surroundings an expression may name.
///
/// ```
/// use collection_store::expression::{Environment, Expression, Scope, Value};
/// use collection_store::values::Elements;
/// let mut scope = Scope::new();
/// let limit = scope.define("limit")?;
/// let source = bson::rawdoc! { "e": { "$gt": ["$n", "$$limit"] } };
/// let operand = Elements::new(source.as_bytes()).find_name(b"e").unwrap();
/// let expression = Expression::parse(operand, &scope)?;
///
/// let document = bson::rawdoc! { "n": 5 };
/// let mut environment = Environment::new(document.as_bytes());
/// environment.set(limit, Value::int32(3));
/// assert!(expression.evaluate(&mut environment)?.is_some_and(|value| value.is_truthy()));
/// # Ok::<(), collection_store::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Scope {
    names: Vec<Box<str>>,
    in_redact: bool,
    is_plain: bool,
}

/// The place of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) usize);

impl Scope {
    /// No variables but the system's.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a variable, such as one of an update's or a `$lookup`'s `let`.
    ///
    /// # Errors
    /// No variable may be named so (code 9).
    pub fn define(&mut self, name: &str) -> Result<Slot> {
        check_name(name)?;
        self.names.push(name.into());
        Ok(Slot(self.names.len() - 1))
    }

    /// Allows `$$DESCEND`, `$$PRUNE` and `$$KEEP`, whose values are texts.
    #[must_use]
    pub fn in_redact(mut self) -> Self {
        self.in_redact = true;
        self
    }

    /// Leaves constant parts as they are while parsing, so that only malformed
    /// expressions are errors.
    #[must_use]
    pub(crate) fn plain(mut self) -> Self {
        self.is_plain = true;
        self
    }

    /// Evaluates constant parts while parsing, as usual.
    #[must_use]
    pub(crate) fn folding(&self) -> Self {
        Self {
            is_plain: false,
            ..self.clone()
        }
    }

    pub(super) fn is_plain(&self) -> bool {
        self.is_plain
    }

    pub(super) fn names(&self) -> &[Box<str>] {
        &self.names
    }

    pub(super) fn is_in_redact(&self) -> bool {
        self.in_redact
    }
}

fn failed_to_parse(message: String) -> Error {
    Error::new(ErrorKind::FailedToParse, message)
}

/// Whether a user's variable may be named so.
pub(super) fn check_name(name: &str) -> Result<()> {
    if name == "CURRENT" {
        return Ok(());
    }
    let first = name.bytes().next();
    if first.is_some_and(|first| first.is_ascii_lowercase() || !first.is_ascii()) {
        return check_letters(name);
    }
    Err(match first {
        None => failed_to_parse("the name of a variable is empty".to_owned()),
        Some(_) => failed_to_parse(format!(
            "variable {name:?} begins with a character that it may not begin with"
        )),
    })
}

/// Whether a variable that is read may be named so.
pub(super) fn check_read_name(name: &str) -> Result<()> {
    let first = name.bytes().next();
    if first.is_some_and(|first| first.is_ascii_alphabetic() || !first.is_ascii()) {
        return check_letters(name);
    }
    Err(match first {
        None => failed_to_parse("the name of a variable is empty".to_owned()),
        Some(_) => failed_to_parse(format!(
            "variable {name:?} begins with a character that it may not begin with"
        )),
    })
}

fn check_letters(name: &str) -> Result<()> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii();
    if name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(failed_to_parse(format!(
        "variable {name:?} has a character that none may have"
    )))
}

/// What an expression is evaluated over: a document, and values of variables.
#[derive(Debug)]
pub struct Environment<'a> {
    root: Value<'a>,
    now: Option<i64>,
    slots: Vec<Option<Value<'a>>>,
}

impl<'a> Environment<'a> {
    /// Over this document, which is valid.
    #[must_use]
    pub fn new(document: &'a [u8]) -> Self {
        Self {
            root: Value::from_document(document),
            now: None,
            slots: Vec::new(),
        }
    }

    /// What `$$NOW` is, in milliseconds since 1970.
    #[must_use]
    pub fn now(mut self, milliseconds: i64) -> Self {
        self.now = Some(milliseconds);
        self
    }

    /// Gives a variable its value.
    pub fn set(&mut self, slot: Slot, value: impl Into<Option<Value<'a>>>) {
        if self.slots.len() <= slot.0 {
            self.slots.resize_with(slot.0 + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot.0) {
            *place = value.into();
        }
    }

    /// The value of a variable; `None` if it is missing.
    #[must_use]
    pub fn get(&self, slot: Slot) -> Option<&Value<'a>> {
        self.slots.get(slot.0)?.as_ref()
    }

    /// The document.
    pub(crate) fn document(&self) -> Option<crate::values::RawValue<'_>> {
        self.root.raw()
    }

    pub(super) fn root(&self) -> &Value<'a> {
        &self.root
    }

    pub(super) fn now_ms(&self) -> Result<i64> {
        self.now.ok_or_else(|| {
            Error::new(
                ErrorKind::BadValue,
                "builtin variable '$$NOW' is not available",
            )
            .with_code(51144)
        })
    }
}
