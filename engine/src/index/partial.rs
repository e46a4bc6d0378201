//! Which filters a partial index may have: those of which it can be told that a
//! query implies them.

use bson::RawDocument;

use super::definition::cannot;
use crate::error::{Error, Result};
use crate::values::{Elements, Kind, RawValue};

/// Refuses what MongoDB refuses in a `partialFilterExpression`, which is a valid filter.
pub(super) fn check_partial(filter: &RawDocument) -> Result<()> {
    conditions(Elements::new(filter.as_bytes()))
}

/// Recursion is bounded: the document has passed validation.
fn conditions(filter: Elements<'_>) -> Result<()> {
    for element in filter {
        match element.name {
            b"$and" | b"$or" => {
                for branch in element.value.elements().into_iter().flatten() {
                    conditions(branch.value.elements().unwrap_or(Elements::new(&[])))?;
                }
            }
            b"$comment" => {}
            name if name.starts_with(b"$") => return Err(unsupported(name)),
            _ => predicate(element.value)?,
        }
    }
    Ok(())
}

fn predicate(value: RawValue<'_>) -> Result<()> {
    if value.kind() == Kind::Regex {
        return Err(unsupported(b"$regex"));
    }
    let is_operators = value.kind() == Kind::Document
        && Elements::new(value.bytes())
            .next()
            .is_some_and(|first| first.name.starts_with(b"$"));
    if !is_operators {
        return Ok(());
    }
    for operator in Elements::new(value.bytes()) {
        match operator.name {
            b"$eq" | b"$lt" | b"$lte" | b"$gt" | b"$gte" | b"$type" => {}
            b"$in" => {
                let mut members = operator.value.elements().into_iter().flatten();
                if members.any(|member| member.value.kind() == Kind::Regex) {
                    return Err(unsupported(b"$in with a regular expression"));
                }
            }
            b"$exists" if operator.value.is_truthy() => {}
            b"$exists" => return Err(unsupported(b"$exists: false")),
            other => return Err(unsupported(other)),
        }
    }
    Ok(())
}

fn unsupported(what: &[u8]) -> Error {
    let what = String::from_utf8_lossy(what).into_owned();
    cannot(format!(
        "expression not supported in a partial index: {what}"
    ))
}
