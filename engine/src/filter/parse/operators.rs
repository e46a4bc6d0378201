//! Operators on a path.

use super::operands::{bit_test, kinds, modulo, pattern, size, value_set};
use super::{
    Context, NO_PLANS, about, at, conjunction, document, is_operators, is_top_level, not, text,
    unsupported,
};
use crate::error::{Error, Result};
use crate::filter::ast::{Comparison, Expression, Predicate};
use crate::pattern::Pattern;
use crate::values::{Element, Elements, Kind, RawValue};

/// Operators of MongoDB on paths that are not here.
const UNSUPPORTED: [&str; 5] = [
    "$geoIntersects",
    "$geoWithin",
    "$within",
    "$encStrStartsWith",
    "$encStrEndsWith",
];
/// Operators of MongoDB on paths that need an index of a kind that is not here.
const NEAR: [&str; 5] = [
    "$near",
    "$nearSphere",
    "$geoNear",
    "$maxDistance",
    "$minDistance",
];

/// The operators in `operators`, each as an expression about `path`.
pub(super) fn operators(
    path: &[u8],
    operators: &[u8],
    context: Context<'_>,
    all: &mut Vec<Expression>,
) -> Result<()> {
    for element in Elements::new(operators) {
        all.extend(operator(path, element, operators, context)?);
    }
    Ok(())
}

/// One operator; `siblings` is the document that it is in. `None` for one that
/// says something about another.
fn operator(
    path: &[u8],
    element: Element<'_>,
    siblings: &[u8],
    context: Context<'_>,
) -> Result<Option<Expression>> {
    let name = text(element.name);
    let value = element.value;
    let has = |name: &[u8]| Elements::new(siblings).find_name(name).is_some();
    let predicate = match name.as_str() {
        "$eq" => return comparison(path, Comparison::Equal, value).map(Some),
        "$lt" => return ordering(path, &name, Comparison::Less, value).map(Some),
        "$lte" => return ordering(path, &name, Comparison::LessOrEqual, value).map(Some),
        "$gt" => return ordering(path, &name, Comparison::Greater, value).map(Some),
        "$gte" => return ordering(path, &name, Comparison::GreaterOrEqual, value).map(Some),
        "$ne" => return Ok(Some(not(ordering(path, &name, Comparison::Equal, value)?))),
        "$in" => Predicate::In(value_set(path, &name, value)?),
        "$nin" => {
            let predicate = Predicate::In(value_set(path, &name, value)?);
            return Ok(Some(not(about(path, predicate))));
        }
        "$not" => return negation(path, value, context).map(Some),
        "$exists" if value.is_truthy() => Predicate::Exists,
        "$exists" => return Ok(Some(not(about(path, Predicate::Exists)))),
        "$type" => Predicate::Type(kinds(path, value)?),
        "$size" => Predicate::Size(size(path, value)?),
        "$mod" => modulo(path, value)?,
        "$bitsAllSet" => Predicate::Bits(bit_test(path, &name, value, true, true)?),
        "$bitsAllClear" => Predicate::Bits(bit_test(path, &name, value, false, true)?),
        "$bitsAnySet" => Predicate::Bits(bit_test(path, &name, value, true, false)?),
        "$bitsAnyClear" => Predicate::Bits(bit_test(path, &name, value, false, false)?),
        "$regex" => Predicate::Matches(pattern(path, siblings)?),
        "$options" if has(b"$regex") => return Ok(None),
        "$options" => return Err(at(path, "$options needs a $regex")),
        "$all" => return every(path, value).map(Some),
        "$elemMatch" => element_match(path, value)?,
        other if NEAR.contains(&other) => return Err(unsupported(other, path).with_code(NO_PLANS)),
        other if UNSUPPORTED.contains(&other) => return Err(unsupported(other, path)),
        other => {
            let message = format!("unknown operator: {other} at path '{}'", text(path));
            return Err(Error::bad_value(message));
        }
    };
    Ok(Some(about(path, predicate)))
}

pub(super) fn comparison(
    path: &[u8],
    comparison: Comparison,
    value: RawValue<'_>,
) -> Result<Expression> {
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

fn negation(path: &[u8], value: RawValue<'_>, context: Context<'_>) -> Result<Expression> {
    if let Some((pattern, options)) = value.regex() {
        let pattern = Pattern::new(pattern, options).map_err(|error| error.at(text(path)))?;
        return Ok(not(about(path, Predicate::Matches(pattern))));
    }
    if value.kind() != Kind::Document {
        return Err(at(path, "$not needs a regex or a document"));
    }
    if Elements::new(value.bytes()).next().is_none() {
        return Err(at(path, "$not cannot be empty"));
    }
    let mut all = Vec::new();
    operators(path, value.bytes(), context, &mut all)?;
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
        } else if let Some((pattern, options)) = member.value.regex() {
            let pattern = Pattern::new(pattern, options).map_err(|error| error.at(text(path)))?;
            all.push(about(path, Predicate::Matches(pattern)));
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
    let context = Context { scope: None };
    // Operators on the element itself, unless the first is one over documents.
    let first = Elements::new(value.bytes()).next();
    let over_documents = first.is_some_and(|first| is_top_level(first.name));
    if !over_documents && is_operators(value, true) {
        let mut all = Vec::new();
        operators(b"", value.bytes(), context, &mut all).map_err(|error| error.at(text(path)))?;
        return Ok(Predicate::ElementSatisfies(Box::new(conjunction(all))));
    }
    let inner = document(value.bytes(), context)?;
    Ok(Predicate::ElementMatches(Box::new(inner)))
}
