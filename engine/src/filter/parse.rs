//! From a filter document to an expression.
//!
//! The document has passed validation: its depth is bounded, and so is the
//! recursion here. Codes and, where it helps, words are MongoDB's.

use super::ast::{Comparison, Expression, KindSet, Predicate, ValueSet};
use super::path::Path;
use crate::error::{Error, ErrorKind, Result};
use crate::values::{Class, Element, Elements, Kind, Number, OwnedValue, RawValue};

/// Top-level operators of MongoDB that are not here yet.
const UNSUPPORTED_AT_TOP: [&str; 5] = ["$expr", "$jsonSchema", "$text", "$where", "$sampleRate"];
/// Operators on paths of MongoDB that are not here yet.
const UNSUPPORTED_ON_PATH: [&str; 21] = [
    "$regex",
    "$options",
    "$mod",
    "$bitsAllSet",
    "$bitsAllClear",
    "$bitsAnySet",
    "$bitsAnyClear",
    "$geoIntersects",
    "$geoWithin",
    "$within",
    "$near",
    "$nearSphere",
    "$geoNear",
    "$maxDistance",
    "$minDistance",
    "$expr",
    "$jsonSchema",
    "$where",
    "$encStrStartsWith",
    "$sampleRate",
    "$text",
];

/// A whole filter.
pub(super) fn document(bytes: &[u8]) -> Result<Expression> {
    let mut all = Vec::new();
    for element in Elements::new(bytes) {
        if element.name.starts_with(b"$") {
            all.extend(top_level(element)?);
        } else {
            field(element, &mut all)?;
        }
    }
    Ok(conjunction(all))
}

/// All of `all`: none of them is always true, one is itself.
fn conjunction(mut all: Vec<Expression>) -> Expression {
    match all.len() {
        0 => Expression::Always(true),
        1 => all.remove(0),
        _ => Expression::And(all),
    }
}

/// An element of a filter whose name is an operator.
fn top_level(element: Element<'_>) -> Result<Option<Expression>> {
    let name = text(element.name);
    Ok(Some(match name.as_str() {
        "$and" => Expression::And(filters(element)?),
        "$or" => Expression::Or(filters(element)?),
        "$nor" => Expression::Not(Box::new(Expression::Or(filters(element)?))),
        "$comment" => return Ok(None),
        "$alwaysTrue" | "$alwaysFalse" => {
            if element.value.number().and_then(Number::to_i64) != Some(1) {
                let message = format!("{name} must be an integer value of 1");
                return Err(Error::new(ErrorKind::FailedToParse, message));
            }
            Expression::Always(name == "$alwaysTrue")
        }
        // The fields of a DBRef are fields.
        "$ref" | "$id" | "$db" => comparison(element.name, Comparison::Equal, element.value)?,
        other if UNSUPPORTED_AT_TOP.contains(&other) => {
            return Err(Error::bad_value(format!(
                "operator {other} is not supported"
            )));
        }
        other => {
            return Err(Error::bad_value(format!(
                "unknown top level operator: {other}"
            )));
        }
    }))
}

/// The filters in the array of `$and`, `$or`, `$nor`.
fn filters(element: Element<'_>) -> Result<Vec<Expression>> {
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
        all.push(document(member.value.bytes())?);
    }
    if all.is_empty() {
        return Err(Error::bad_value(format!("{name} must be a nonempty array")));
    }
    Ok(all)
}

/// `path: value` or `path: { $operator: operand, … }`.
fn field(element: Element<'_>, all: &mut Vec<Expression>) -> Result<()> {
    if element.value.kind() == Kind::Regex {
        return Err(unsupported("$regex", element.name));
    }
    if is_operators(element.value, false) {
        operators(element.name, element.value.bytes(), all)
    } else {
        all.push(comparison(element.name, Comparison::Equal, element.value)?);
        Ok(())
    }
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

/// The operators in `operators`, each as an expression about `path`.
fn operators(path: &[u8], operators: &[u8], all: &mut Vec<Expression>) -> Result<()> {
    for element in Elements::new(operators) {
        all.push(operator(path, element)?);
    }
    Ok(())
}

fn operator(path: &[u8], element: Element<'_>) -> Result<Expression> {
    let name = text(element.name);
    let value = element.value;
    let predicate = match name.as_str() {
        "$eq" => return comparison(path, Comparison::Equal, value),
        "$lt" => return ordering(path, &name, Comparison::Less, value),
        "$lte" => return ordering(path, &name, Comparison::LessOrEqual, value),
        "$gt" => return ordering(path, &name, Comparison::Greater, value),
        "$gte" => return ordering(path, &name, Comparison::GreaterOrEqual, value),
        "$ne" => return Ok(not(ordering(path, &name, Comparison::Equal, value)?)),
        "$in" => Predicate::In(value_set(path, &name, value)?),
        "$nin" => {
            let predicate = Predicate::In(value_set(path, &name, value)?);
            return Ok(not(about(path, predicate)));
        }
        "$not" => return negation(path, value),
        "$exists" if value.is_truthy() => Predicate::Exists,
        "$exists" => return Ok(not(about(path, Predicate::Exists))),
        "$type" => Predicate::Type(kinds(path, value)?),
        "$size" => Predicate::Size(size(path, value)?),
        "$all" => return every(path, value),
        "$elemMatch" => element_match(path, value)?,
        other if UNSUPPORTED_ON_PATH.contains(&other) => return Err(unsupported(other, path)),
        other => {
            let message = format!("unknown operator: {other} at path '{}'", text(path));
            return Err(Error::bad_value(message));
        }
    };
    Ok(about(path, predicate))
}

fn about(path: &[u8], predicate: Predicate) -> Expression {
    Expression::Field {
        path: Path::new(path),
        predicate,
    }
}

fn not(inner: Expression) -> Expression {
    Expression::Not(Box::new(inner))
}

fn comparison(path: &[u8], comparison: Comparison, value: RawValue<'_>) -> Result<Expression> {
    if value.kind() == Kind::Undefined {
        return Err(at(path, "cannot compare to undefined"));
    }
    Ok(about(path, Predicate::Compare(comparison, value.into())))
}

/// A comparison that takes no regular expression.
fn ordering(
    path: &[u8],
    name: &str,
    accepted: Comparison,
    value: RawValue<'_>,
) -> Result<Expression> {
    if value.kind() == Kind::Regex {
        return Err(at(
            path,
            &format!("can't have a regular expression as operand of {name}"),
        ));
    }
    comparison(path, accepted, value)
}

fn value_set(path: &[u8], name: &str, value: RawValue<'_>) -> Result<ValueSet> {
    if value.kind() != Kind::Array {
        return Err(at(path, &format!("{name} needs an array")));
    }
    let mut values = Vec::new();
    for element in Elements::new(value.bytes()) {
        match element.value.kind() {
            Kind::Regex => return Err(unsupported("$regex", path)),
            Kind::Undefined => return Err(at(path, &format!("{name} cannot hold undefined"))),
            _ if is_operators(element.value, false) => {
                return Err(at(path, "cannot nest $ under $in"));
            }
            _ => values.push(OwnedValue::from(element.value)),
        }
    }
    Ok(ValueSet::new(values))
}

fn negation(path: &[u8], value: RawValue<'_>) -> Result<Expression> {
    match value.kind() {
        Kind::Regex => return Err(unsupported("$regex", path)),
        Kind::Document => {}
        _ => return Err(at(path, "$not needs a regex or a document")),
    }
    let mut all = Vec::new();
    operators(path, value.bytes(), &mut all)?;
    if all.is_empty() {
        return Err(at(path, "$not cannot be empty"));
    }
    Ok(not(conjunction(all)))
}

/// `$all: [a, b]` is `a` and `b`; `$all: [{ $elemMatch: … }, …]` likewise.
fn every(path: &[u8], value: RawValue<'_>) -> Result<Expression> {
    if value.kind() != Kind::Array {
        return Err(at(path, "$all needs an array"));
    }
    let is_match = |element: &Element<'_>| {
        element.value.kind() == Kind::Document
            && Elements::new(element.value.bytes())
                .next()
                .is_some_and(|first| first.name == b"$elemMatch")
    };
    let members = Elements::new(value.bytes());
    let first_is_match = members.clone().next().is_some_and(|first| is_match(&first));
    let mut all = Vec::new();
    for member in members {
        if first_is_match {
            if !is_match(&member) {
                return Err(at(path, "$all/$elemMatch has to be consistent"));
            }
            let inner = Elements::new(member.value.bytes()).next();
            let Some(inner) = inner else { continue };
            all.push(about(path, element_match(path, inner.value)?));
        } else if member.value.kind() == Kind::Regex {
            return Err(unsupported("$regex", path));
        } else if is_operators(member.value, false) {
            return Err(at(path, "no $ expressions in $all"));
        } else {
            all.push(comparison(path, Comparison::Equal, member.value)?);
        }
    }
    if all.is_empty() {
        return Ok(Expression::Always(false));
    }
    Ok(conjunction(all))
}

fn element_match(path: &[u8], value: RawValue<'_>) -> Result<Predicate> {
    if value.kind() != Kind::Document {
        return Err(at(path, "$elemMatch needs an Object"));
    }
    // Operators on the element itself, unless the first is one over filters.
    let first = Elements::new(value.bytes()).next();
    let over_filters =
        first.is_some_and(|first| matches!(first.name, b"$and" | b"$or" | b"$nor" | b"$where"));
    if !over_filters && is_operators(value, true) {
        let mut all = Vec::new();
        operators(b"", value.bytes(), &mut all).map_err(|error| error.at(text(path)))?;
        return Ok(Predicate::ElementSatisfies(Box::new(conjunction(all))));
    }
    Ok(Predicate::ElementMatches(Box::new(document(
        value.bytes(),
    )?)))
}

fn size(path: &[u8], value: RawValue<'_>) -> Result<usize> {
    let Some(number) = value.number() else {
        return Err(at(
            path,
            &format!("$size must be a number, found {}", value.kind().name()),
        ));
    };
    let size = number.to_i64().and_then(|size| i32::try_from(size).ok());
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| at(path, "$size must be a whole number from 0 to 2147483647"))
}

fn kinds(path: &[u8], value: RawValue<'_>) -> Result<KindSet> {
    let mut set = KindSet::default();
    if value.kind() == Kind::Array {
        for element in Elements::new(value.bytes()) {
            add_kind(path, element.value, &mut set)?;
        }
        if set == KindSet::default() {
            let message = format!(
                "$type at path '{}' must match at least one type",
                text(path)
            );
            return Err(Error::new(ErrorKind::FailedToParse, message));
        }
    } else {
        add_kind(path, value, &mut set)?;
    }
    Ok(set)
}

fn add_kind(path: &[u8], value: RawValue<'_>, set: &mut KindSet) -> Result<()> {
    if value.kind() == Kind::String {
        let name = text(value.text().unwrap_or_default());
        if name == "number" {
            set.insert_numbers();
            return Ok(());
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        set.insert(kind.ok_or_else(|| at(path, &format!("unknown type name alias: {name}")))?);
        return Ok(());
    }
    if value.kind().class() != Class::Number {
        let message = format!("$type at path '{}' needs numbers or strings", text(path));
        return Err(Error::bad_value(message).with_code(14));
    }
    let code = value.number().and_then(Number::to_i64);
    let kind = match code {
        Some(-1) => Some(Kind::MinKey),
        Some(code) => u8::try_from(code)
            .ok()
            .filter(|byte| *byte != 0xFF)
            .and_then(Kind::from_byte),
        None => None,
    };
    set.insert(kind.ok_or_else(|| at(path, "invalid numerical type code"))?);
    Ok(())
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
