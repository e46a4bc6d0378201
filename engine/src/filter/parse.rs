//! From a filter document to an expression.
//!
//! The document has passed validation: its depth is bounded, and so is the
//! recursion here. Codes and, where it helps, words are MongoDB's.

mod operands;
mod operators;

use std::sync::Arc;

use super::ast::{Comparison, Expression, Predicate};
use super::path::Path;
use crate::error::{Error, ErrorKind, Result};
use crate::expression::{self, Scope};
use crate::pattern::Pattern;
use crate::schema::json_schema::JsonSchema;
use crate::values::{Element, Elements, Kind, Number, RawValue};

/// MongoDB's code for a query that needs an index of a kind that there is not.
const INDEX_NOT_FOUND: i32 = 27;
/// MongoDB's code for a query that no plan answers.
const NO_PLANS: i32 = 291;

/// Where in a filter the parser is.
#[derive(Clone, Copy, Debug)]
struct Context<'s> {
    /// The variables that an `$expr` may name; none inside of `$elemMatch`, where
    /// what is about whole documents has no place.
    scope: Option<&'s Scope>,
}

/// A whole filter.
pub(super) fn filter(bytes: &[u8], scope: &Scope) -> Result<Expression> {
    let scope = Some(scope);
    document(bytes, Context { scope })
}

/// A filter, or a part of one that is a filter itself.
fn document(bytes: &[u8], context: Context<'_>) -> Result<Expression> {
    let mut all = Vec::new();
    for element in Elements::new(bytes) {
        if element.name.starts_with(b"$") {
            all.extend(top_level(element, context)?);
        } else {
            field(element, context, &mut all)?;
        }
    }
    Ok(conjunction(all))
}

/// All of `all`: none of them is always true, one is itself. Conjunctions in it
/// are one with it.
fn conjunction(parts: Vec<Expression>) -> Expression {
    let mut all = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Expression::And(inner) => all.extend(inner),
            other => all.push(other),
        }
    }
    match all.len() {
        0 => Expression::Always(true),
        1 => all.remove(0),
        _ => Expression::And(failing_last(all)),
    }
}

/// What may fail comes last, so that an error does not depend on the order in
/// which conditions are asked that only say yes or no.
fn failing_last(mut all: Vec<Expression>) -> Vec<Expression> {
    all.sort_by_key(may_fail);
    all
}

/// Whether a document may make it fail.
fn may_fail(expression: &Expression) -> bool {
    match expression {
        Expression::Always(_) | Expression::Field { .. } | Expression::Schema(_) => false,
        Expression::And(all) | Expression::Or(all) => all.iter().any(may_fail),
        Expression::Not(inner) => may_fail(inner),
        Expression::Computed(_) => true,
    }
}

/// An element of a filter whose name is an operator.
fn top_level(element: Element<'_>, context: Context<'_>) -> Result<Option<Expression>> {
    let name = text(element.name);
    let no_variables = Scope::new();
    Ok(Some(match name.as_str() {
        "$and" => conjunction(filters(element, context)?),
        "$or" => Expression::Or(filters(element, context)?),
        "$nor" => Expression::Not(Box::new(Expression::Or(filters(element, context)?))),
        "$comment" => return Ok(None),
        "$alwaysTrue" | "$alwaysFalse" => {
            if element.value.number().and_then(Number::to_i64) != Some(1) {
                let message = format!("{name} must be an integer value of 1");
                return Err(Error::new(ErrorKind::FailedToParse, message));
            }
            Expression::Always(name == "$alwaysTrue")
        }
        // The fields of a DBRef are fields.
        "$ref" | "$id" | "$db" => {
            operators::comparison(element.name, Comparison::Equal, element.value)?
        }
        "$expr" | "$where" | "$text" if context.scope.is_none() => {
            return Err(Error::bad_value(format!(
                "{name} can only be applied to the top-level document"
            )));
        }
        "$expr" => {
            let scope = context.scope.unwrap_or(&no_variables);
            Expression::Computed(expression::Expression::parse(element.value, scope)?)
        }
        "$jsonSchema" => Expression::Schema(JsonSchema::parse(element.value)?),
        "$text" => {
            let message = "operator $text needs a text index, which are not supported";
            return Err(Error::bad_value(message).with_code(INDEX_NOT_FOUND));
        }
        "$where" | "$sampleRate" => {
            return Err(Error::bad_value(format!(
                "operator {name} is not supported"
            )));
        }
        other => {
            return Err(Error::bad_value(format!(
                "unknown top level operator: {other}"
            )));
        }
    }))
}

/// Whether an operator is one over whole documents, and not on a path.
fn is_top_level(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 13] = [
        b"$and",
        b"$or",
        b"$nor",
        b"$comment",
        b"$alwaysTrue",
        b"$alwaysFalse",
        b"$ref",
        b"$id",
        b"$db",
        b"$expr",
        b"$jsonSchema",
        b"$where",
        b"$text",
    ];
    NAMES.contains(&name)
}

/// The filters in the array of `$and`, `$or`, `$nor`.
fn filters(element: Element<'_>, context: Context<'_>) -> Result<Vec<Expression>> {
    let name = text(element.name);
    if element.value.kind() != Kind::Array {
        return Err(Error::bad_value(format!("{name} must be an array")));
    }
    let mut all = Vec::new();
    for member in Elements::new(element.value.bytes()) {
        if member.value.kind() != Kind::Document {
            return Err(Error::bad_value(format!(
                "{name} needs an array of documents, found {}",
                member.value.kind().name()
            )));
        }
        all.push(document(member.value.bytes(), context)?);
    }
    if all.is_empty() {
        return Err(Error::bad_value(format!("{name} must be a nonempty array")));
    }
    Ok(failing_last(all))
}

/// `path: value` or `path: { $operator: operand, … }`.
fn field(element: Element<'_>, context: Context<'_>, all: &mut Vec<Expression>) -> Result<()> {
    let Element { name, value } = element;
    if let Some((pattern, options)) = value.regex() {
        let pattern = Pattern::new(pattern, options).map_err(|error| error.at(text(name)))?;
        all.push(about(name, Predicate::Matches(pattern)));
    } else if is_operators(value, false) {
        operators::operators(name, value.bytes(), context, all)?;
    } else {
        all.push(operators::comparison(name, Comparison::Equal, value)?);
    }
    Ok(())
}

/// Whether the value is a document that starts with an operator. A DBRef is
/// not; `any_part` tells whether one of its fields is enough to be one.
fn is_operators(value: RawValue<'_>, any_part: bool) -> bool {
    if value.kind() != Kind::Document {
        return false;
    }
    let elements = Elements::new(value.bytes());
    if !elements
        .clone()
        .next()
        .is_some_and(|first| first.name.starts_with(b"$"))
    {
        return false;
    }
    let has = |name: &[u8]| elements.clone().any(|element| element.name == name);
    let (reference, id) = (has(b"$ref"), has(b"$id"));
    let is_dbref = if any_part {
        reference || id || has(b"$db")
    } else {
        reference && id
    };
    !is_dbref
}

fn about(path: &[u8], predicate: Predicate) -> Expression {
    Expression::Field {
        path: Arc::new(Path::new(path)),
        predicate: Arc::new(predicate),
    }
}

fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

fn at(path: &[u8], message: &str) -> Error {
    Error::bad_value(format!("{message} at path '{}'", text(path)))
}

fn unsupported(operator: &str, path: &[u8]) -> Error {
    Error::bad_value(format!(
        "operator {operator} at path '{}' is not supported",
        text(path)
    ))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
