//! `$bucket` and `$sortByCount`, as the groups that they stand for.

use bson::{RawDocument, RawDocumentBuf, rawdoc};

use super::accumulator::Accumulator;
use super::group::Group;
use super::parse::{as_document, refused};
use crate::error::Result;
use crate::expression::{Expression, Scope};
use crate::sort::SortPattern;
use crate::values::{DocumentBuilder, Elements, Kind, OwnedValue, PositionName, RawValue, compare};

/// The accumulators of an `output`, a count where there is none.
pub(super) fn output(
    operand: Option<RawValue<'_>>,
    scope: &Scope,
    name: &str,
    code: i32,
) -> Result<Vec<Accumulator>> {
    let count = rawdoc! { "count": { "$sum": 1 } };
    let fields = match operand {
        Some(operand) => as_document(&format!("the 'output' of {name}"), code, operand)?,
        None => &count,
    };
    Elements::new(fields.as_bytes())
        .map(|field| Accumulator::parse(field.name, field.value, scope))
        .collect()
}

/// Whether a value is a path or an expression in a document, as `groupBy` has to be.
pub(super) fn is_expression(value: RawValue<'_>) -> bool {
    match value.kind() {
        Kind::String => value.text().is_some_and(|text| text.starts_with(b"$")),
        Kind::Document => Elements::new(value.bytes())
            .next()
            .is_some_and(|first| first.name.starts_with(b"$")),
        _ => false,
    }
}

/// The value of an expression that has to be constant.
fn constant(value: RawValue<'_>, scope: &Scope) -> Result<Option<OwnedValue>> {
    let expression = Expression::parse(value, &scope.folding())?;
    let constant = expression.as_constant().flatten();
    constant
        .map(crate::expression::Value::to_owned_value)
        .transpose()
}

pub(super) fn parse(operand: RawValue<'_>, scope: &Scope) -> Result<(Group, SortPattern)> {
    as_document("$bucket", 40201, operand)?;
    let (mut by, mut bounds, mut default, mut accumulators) = (None, None, None, None);
    for field in Elements::new(operand.bytes()) {
        match field.name {
            b"groupBy" => {
                if !is_expression(field.value) {
                    let message = "$bucket expects 'groupBy' as a path or an expression";
                    return Err(refused(40202, message));
                }
                Expression::parse(field.value, scope)?;
                by = Some(field.value);
            }
            b"boundaries" => bounds = Some(boundaries(field.value, scope)?),
            b"default" => {
                let value = constant(field.value, scope)?;
                let message = "the 'default' of $bucket must be constant";
                default = Some(value.ok_or_else(|| refused(40195, message))?);
            }
            b"output" => accumulators = Some(output(Some(field.value), scope, "$bucket", 40196)?),
            other => {
                let other = String::from_utf8_lossy(other);
                return Err(refused(40197, format!("$bucket does not know '{other}'")));
            }
        }
    }
    let (Some(by), Some(bounds)) = (by, bounds) else {
        return Err(refused(40198, "$bucket expects 'groupBy' and 'boundaries'"));
    };
    if let (Some(default), Some(low), Some(high)) = (&default, bounds.first(), bounds.last()) {
        let default = default.as_raw();
        let is_outside =
            compare(default, low.as_raw()).is_lt() || compare(default, high.as_raw()).is_ge();
        if !is_outside {
            let message = "the 'default' of $bucket must lie outside of the boundaries";
            return Err(refused(40199, message));
        }
    }
    let id = RawDocumentBuf::from_bytes(switch(by, &bounds, default.as_ref()))?;
    let id = parse_in(&id, scope)?;
    let accumulators = match accumulators {
        Some(accumulators) => accumulators,
        None => output(None, scope, "$bucket", 40196)?,
    };
    let sort = SortPattern::parse(&rawdoc! { "_id": 1 })?;
    Ok((Group::new(id, accumulators), sort))
}

/// The expression under `e`.
fn parse_in(document: &RawDocument, scope: &Scope) -> Result<Expression> {
    let operand = Elements::new(document.as_bytes()).find_name(b"e");
    let missing = || refused(9, "an expression is expected");
    Expression::parse(operand.ok_or_else(missing)?, scope)
}

fn boundaries(value: RawValue<'_>, scope: &Scope) -> Result<Vec<OwnedValue>> {
    if value.kind() != Kind::Array {
        return Err(refused(40200, "$bucket expects 'boundaries' as an array"));
    }
    let mut bounds: Vec<OwnedValue> = Vec::new();
    for element in Elements::new(value.bytes()) {
        let message = "the 'boundaries' of $bucket must be constant";
        let bound = constant(element.value, scope)?.ok_or_else(|| refused(40191, message))?;
        bounds.push(bound);
    }
    if bounds.len() < 2 {
        let message = "$bucket expects at least two boundaries";
        return Err(refused(40192, message));
    }
    for pair in bounds.windows(2) {
        let [low, high] = pair else { continue };
        let (low, high) = (low.as_raw(), high.as_raw());
        if low.kind().class() != high.kind().class() {
            let message = "the 'boundaries' of $bucket must be of one type";
            return Err(refused(40193, message));
        }
        if compare(low, high).is_ge() {
            let message = "the 'boundaries' of $bucket must ascend";
            return Err(refused(40194, message));
        }
    }
    Ok(bounds)
}

/// `{ e: { $switch: … } }`, whose value is the lower boundary of a bucket.
fn switch(by: RawValue<'_>, bounds: &[OwnedValue], default: Option<&OwnedValue>) -> Vec<u8> {
    let mut out = DocumentBuilder::new();
    let literal = |name: &[u8], value: &OwnedValue, out: &mut DocumentBuilder| {
        out.open_document(name);
        out.append(b"$literal", value.as_raw());
        out.close();
    };
    out.open_document(b"e");
    out.open_document(b"$switch");
    out.open_array(b"branches");
    for (position, pair) in bounds.windows(2).enumerate() {
        let [low, high] = pair else { continue };
        out.open_document(PositionName::new(position).as_bytes());
        out.open_document(b"case");
        out.open_array(b"$and");
        for (at, operator, bound) in [(b"0", "$gte", low), (b"1", "$lt", high)] {
            out.open_document(at);
            out.open_array(operator.as_bytes());
            out.append(b"0", by);
            literal(b"1", bound, &mut out);
            out.close();
            out.close();
        }
        out.close();
        out.close();
        literal(b"then", low, &mut out);
        out.close();
    }
    out.close();
    if let Some(default) = default {
        literal(b"default", default, &mut out);
    }
    out.finish()
}

pub(super) fn sort_by_count(operand: RawValue<'_>, scope: &Scope) -> Result<(Group, SortPattern)> {
    match operand.kind() {
        Kind::Document if !is_expression(operand) => {
            let message = "$sortByCount expects a path, or an expression in a document";
            return Err(refused(40147, message));
        }
        Kind::String if !is_expression(operand) => {
            let message = "the path of $sortByCount must start with '$'";
            return Err(refused(40148, message));
        }
        Kind::Document | Kind::String => {}
        _ => {
            let message = "$sortByCount expects a path, or an expression in a document";
            return Err(refused(40149, message));
        }
    }
    let id = Expression::parse(operand, scope)?;
    let accumulators = output(None, scope, "$sortByCount", 40149)?;
    let sort = SortPattern::parse(&rawdoc! { "count": -1 })?;
    Ok((Group::new(id, accumulators), sort))
}
