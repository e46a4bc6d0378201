//! `$dateFromString`.

use super::zone::Zone;
use super::{format, free, from_format};
use crate::error::Result;
use crate::expression::arguments::{Named, coded, kind_name, null, text};
use crate::expression::environment::Environment;
use crate::expression::node::{Call, Node, argument};
use crate::expression::operators::Entry;
use crate::expression::value::Value;

/// MongoDB's `ConversionFailure`.
pub(super) const CONVERSION_FAILURE: i32 = 241;

pub(super) fn find(name: &str) -> Option<Entry> {
    match name {
        "$dateFromString" => Some(Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$dateFromString",
                evaluate: from_string,
                arguments: FROM_STRING.parse(value, parser)?,
            }))
        })),
        _ => None,
    }
}

const FROM_STRING: Named = Named {
    operator: "$dateFromString",
    names: &["dateString", "timezone", "format", "onNull", "onError"],
    required: &[40542],
    not_document: 40540,
    unknown: 40541,
};

fn from_string<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    let format = argument(arguments, 2);
    let mut wanted = None;
    if !format.is_absent() {
        let value = format.or_null(environment)?;
        if !value.is_nullish() {
            let Some(format) = text(&value) else {
                let kind = kind_name(&value);
                let message =
                    format!("$dateFromString requires that 'format' be a string, found: {kind}");
                return Err(coded(40684, message));
            };
            format::validate(format, from_format::SPECIFIERS)?;
            wanted = Some(format.to_owned());
        }
    }
    let zone = Zone::operand(argument(arguments, 1), environment)?;
    if input.is_nullish() {
        let on_null = argument(arguments, 3);
        return if on_null.is_absent() {
            null()
        } else {
            on_null.evaluate(environment)
        };
    }
    let parsed = match (text(&input), zone) {
        (Some(_), None) => return null(),
        (Some(input), Some(zone)) => match (&wanted, format.is_absent()) {
            (Some(format), _) => {
                from_format::parse(input, format).and_then(|parsed| parsed.resolve(&zone))
            }
            (None, true) => free::parse(input).and_then(|parsed| parsed.resolve(&zone)),
            (None, false) => return null(),
        },
        (None, _) => None,
    };
    if let Some(milliseconds) = parsed {
        return Ok(Some(Value::date(milliseconds)));
    }
    let on_error = argument(arguments, 4);
    if !on_error.is_absent() {
        return on_error.evaluate(environment);
    }
    Err(coded(
        CONVERSION_FAILURE,
        "error parsing a date string, or incomplete date/time string",
    ))
}
