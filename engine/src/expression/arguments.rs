//! What most operators do with their operands: named ones, numbers, texts.

use super::environment::Environment;
use super::node::{Node, argument};
use super::parse::{Parser, show};
use super::value::Value;
use crate::error::{Error, ErrorKind, Result};
use crate::values::{Elements, Kind, Numeric, RawValue};

/// Operands that are given by name.
pub(super) struct Named {
    pub(super) operator: &'static str,
    /// Their names; the arguments come in this order.
    pub(super) names: &'static [&'static str],
    /// How many of them, the first ones, have to be there, with MongoDB's code
    /// for each that is not.
    pub(super) required: &'static [i32],
    /// The code for what is no document.
    pub(super) not_document: i32,
    /// The code for another name.
    pub(super) unknown: i32,
}

impl Named {
    /// The operands, [`Node::Absent`] where there is none.
    pub(super) fn parse(&self, value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Vec<Node>> {
        if value.kind() != Kind::Document {
            let (operator, kind) = (self.operator, value.kind().name());
            let message = format!("{operator} only supports an object as argument, found {kind}");
            return Err(coded(self.not_document, message));
        }
        let mut arguments: Vec<Node> = self.names.iter().map(|_| Node::Absent).collect();
        for element in Elements::new(value.bytes()) {
            let position = self
                .names
                .iter()
                .position(|name| name.as_bytes() == element.name);
            let Some(place) = position.and_then(|position| arguments.get_mut(position)) else {
                let message = format!(
                    "{} found an unknown argument: {}",
                    self.operator,
                    show(element.name)
                );
                return Err(coded(self.unknown, message));
            };
            *place = parser.operand(element.value)?;
        }
        for (position, code) in self.required.iter().enumerate() {
            if argument(&arguments, position).is_absent() {
                let name = self.names.get(position).copied().unwrap_or_default();
                let message = format!("missing '{name}' parameter to {}", self.operator);
                return Err(coded(*code, message));
            }
        }
        Ok(arguments)
    }
}

/// An error of a code; those below a hundred have a kind of their own.
#[cold]
pub(super) fn coded(code: i32, message: impl Into<String>) -> Error {
    let kind = match code {
        9 => ErrorKind::FailedToParse,
        146 => ErrorKind::MemoryExceeded,
        _ => ErrorKind::BadValue,
    };
    Error::new(kind, message).with_code(code)
}

/// The name of a value's type; of none it is `missing`.
pub(super) fn kind_name(value: &Value<'_>) -> &'static str {
    value.kind().name()
}

/// The number, if the value is one.
#[inline]
pub(super) fn number(value: &Value<'_>) -> Option<Numeric> {
    Numeric::of(value.raw()?)
}

/// The text of a string, not of a symbol.
pub(super) fn text<'v>(value: &'v Value<'_>) -> Option<&'v str> {
    let raw = value.raw()?;
    if raw.kind() != Kind::String {
        return None;
    }
    std::str::from_utf8(raw.text()?).ok()
}

/// The values of two operands; null where one has none.
pub(super) fn pair<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<(Value<'a>, Value<'a>)> {
    let left = argument(arguments, 0).or_null(environment)?;
    let right = argument(arguments, 1).or_null(environment)?;
    Ok((left, right))
}

/// [`pair`], the right one first: where MongoDB's compiler has it so, it decides
/// which error is given.
pub(super) fn pair_from_right<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<(Value<'a>, Value<'a>)> {
    let right = argument(arguments, 1).or_null(environment)?;
    let left = argument(arguments, 0).or_null(environment)?;
    Ok((left, right))
}

/// A number as a value.
pub(super) fn number_value<'a>(number: Numeric) -> Value<'a> {
    match number {
        Numeric::Int32(number) => Value::int32(number),
        Numeric::Int64(number) => Value::int64(number),
        Numeric::Double(number) => Value::double(number),
        Numeric::Decimal(number) => Value::decimal(number),
    }
}

/// An operand of one of the four types of numbers; `None` where it is null or
/// has no value.
pub(super) fn numeric_operand<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    code: i32,
) -> Result<Option<Numeric>> {
    let value = argument(arguments, 0).or_null(environment)?;
    if value.is_nullish() {
        return Ok(None);
    }
    match number(&value) {
        Some(number) => Ok(Some(number)),
        None => Err(coded(
            code,
            format!(
                "{operator} only supports numeric types, not {}",
                kind_name(&value)
            ),
        )),
    }
}

/// Null, as what an operator gives for null.
#[allow(
    clippy::unnecessary_wraps,
    reason = "it stands at the end of operators"
)]
pub(super) fn null<'a>() -> Result<Option<Value<'a>>> {
    Ok(Some(Value::null()))
}
