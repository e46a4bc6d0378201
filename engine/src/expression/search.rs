//! Operators that look for text in text: `$indexOfBytes $indexOfCP $split
//! $replaceOne $replaceAll`.

use super::arguments::{Named, coded, kind_name, null, text};
use super::arrays::index_operand;
use super::environment::Environment;
use super::limits;
use super::node::{Call, Node, argument};
use super::operators::{Entry, call};
use super::value::Value;
use crate::error::Result;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$indexOfBytes" => call("$indexOfBytes", 2, 4, index_of_bytes),
        "$indexOfCP" => call("$indexOfCP", 2, 4, index_of_code_points),
        "$split" => call("$split", 2, 2, split),
        "$replaceOne" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$replaceOne",
                evaluate: replace_one,
                arguments: REPLACE_ONE.parse(value, parser)?,
            }))
        }),
        "$replaceAll" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$replaceAll",
                evaluate: replace_all,
                arguments: REPLACE_ALL.parse(value, parser)?,
            }))
        }),
        _ => return None,
    })
}

/// The codes of a position that is no integer, and of one below zero.
const INDEX_CODES: (i32, i32) = (40096, 40097);

fn index_of_bytes<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    if input.is_nullish() {
        return null();
    }
    let Some(text_in) = text(&input) else {
        return Err(not_text("$indexOfBytes", "first", 40091, &input));
    };
    let token = argument(arguments, 1).or_null(environment)?;
    let Some(token) = text(&token) else {
        return Err(not_text("$indexOfBytes", "second", 40092, &token));
    };
    let operand = |position, environment: &mut Environment<'a>| {
        index_operand(
            argument(arguments, position),
            environment,
            "$indexOfBytes",
            INDEX_CODES,
        )
    };
    let start = operand(2, environment)?.unwrap_or(0);
    let end = operand(3, environment)?.unwrap_or(usize::MAX);
    let bytes = text_in.as_bytes();
    let found = bytes
        .get(start..end.min(bytes.len()))
        .and_then(|part| find_bytes(part, token.as_bytes()));
    Ok(Some(match found {
        Some(position) => Value::count(start + position),
        None => Value::int32(-1),
    }))
}

fn find_bytes(text: &[u8], token: &[u8]) -> Option<usize> {
    if token.is_empty() {
        return Some(0);
    }
    text.windows(token.len()).position(|part| part == token)
}

fn index_of_code_points<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    if input.is_nullish() {
        return null();
    }
    let Some(text_in) = text(&input) else {
        return Err(not_text("$indexOfCP", "first", 40093, &input));
    };
    let token = argument(arguments, 1).or_null(environment)?;
    let Some(token) = text(&token) else {
        return Err(not_text("$indexOfCP", "second", 40094, &token));
    };
    let operand = |position, environment: &mut Environment<'a>| {
        index_operand(
            argument(arguments, position),
            environment,
            "$indexOfCP",
            INDEX_CODES,
        )
    };
    let start = operand(2, environment)?.unwrap_or(0);
    let end = operand(3, environment)?.unwrap_or(usize::MAX);
    if text_in.is_empty() && token.is_empty() && start == 0 {
        return Ok(Some(Value::int32(0)));
    }
    // Where a match may begin: before `end`, whatever it runs into.
    let found = text_in
        .char_indices()
        .enumerate()
        .take(end)
        .skip(start)
        .find(|(_, (byte, _))| {
            text_in
                .get(*byte..)
                .is_some_and(|rest| rest.starts_with(token))
        });
    Ok(Some(match found {
        Some((position, _)) => Value::count(position),
        None => Value::int32(-1),
    }))
}

fn not_text(operator: &str, which: &str, code: i32, value: &Value<'_>) -> crate::error::Error {
    let kind = kind_name(value);
    coded(
        code,
        format!("{operator} requires a string as the {which} argument, found: {kind}"),
    )
}

fn split<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    let separator = argument(arguments, 1).or_null(environment)?;
    if input.is_nullish() || separator.is_nullish() {
        return null();
    }
    let Some(input) = text(&input) else {
        return Err(not_text("$split", "first", 40085, &input));
    };
    let Some(separator) = text(&separator) else {
        return Err(not_text("$split", "second", 40086, &separator));
    };
    if separator.is_empty() {
        return Err(coded(40087, "$split requires a non-empty separator"));
    }
    let mut parts = Vec::new();
    for part in input.split(separator) {
        parts.push(Value::text(part));
        limits::elements(parts.len())?;
    }
    Value::array(parts).map(Some)
}

const REPLACE_ONE: Named = Named {
    operator: "$replaceOne",
    names: &["input", "find", "replacement"],
    required: &[51749, 51748, 51747],
    not_document: 51751,
    unknown: 51750,
};
const REPLACE_ALL: Named = Named {
    operator: "$replaceAll",
    ..REPLACE_ONE
};

fn replace_one<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    replace(a, e, "$replaceOne", 1)
}

fn replace_all<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    replace(a, e, "$replaceAll", usize::MAX)
}

fn replace<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    count: usize,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    let wanted = argument(arguments, 1).or_null(environment)?;
    let replacement = argument(arguments, 2).or_null(environment)?;
    let check = |value: &Value<'_>, name: &str, code: i32| {
        if value.is_nullish() || text(value).is_some() {
            return Ok(());
        }
        let kind = kind_name(value);
        let message = format!("{operator} requires that '{name}' be a string, found: {kind}");
        Err(coded(code, message))
    };
    check(&input, "input", 10_503_904)?;
    check(&wanted, "find", 10_503_903)?;
    check(&replacement, "replacement", 10_503_902)?;
    let (Some(input), Some(wanted), Some(replacement)) =
        (text(&input), text(&wanted), text(&replacement))
    else {
        return null();
    };
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    for _ in 0..count {
        let Some(at) = rest.find(wanted) else { break };
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        out.push_str(replacement);
        limits::document_len(out.len())?;
        rest = found.get(wanted.len()..).unwrap_or_default();
        if wanted.is_empty() {
            // Nothing was found between two characters: the next one stays.
            let Some(next) = rest.chars().next() else {
                break;
            };
            out.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    limits::document_len(out.len())?;
    Ok(Some(Value::text(&out)))
}
