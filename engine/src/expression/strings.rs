//! Operators over text as a whole: case, length, parts, joins.

use std::borrow::Cow;

use super::arguments::{Named, coded, kind_name, null, number, text};
use super::environment::Environment;
use super::limits;
use super::node::{Call, Evaluate, Node, argument};
use super::operators::{ANY, Entry, call};
use super::texts::coerce;
use super::value::Value;
use crate::error::Result;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$concat" => call("$concat", 0, ANY, concat),
        "$toLower" => call("$toLower", 1, 1, |a, e| {
            cased(a, e, str::make_ascii_lowercase)
        }),
        "$toUpper" => call("$toUpper", 1, 1, |a, e| {
            cased(a, e, str::make_ascii_uppercase)
        }),
        "$strcasecmp" => call("$strcasecmp", 2, 2, strcasecmp),
        "$strLenBytes" => call("$strLenBytes", 1, 1, |a, e| {
            len(a, e, "$strLenBytes", 34473, str::len)
        }),
        "$strLenCP" => call("$strLenCP", 1, 1, |a, e| {
            len(a, e, "$strLenCP", 34471, |text| text.chars().count())
        }),
        "$substr" | "$substrBytes" => call("$substrBytes", 3, 3, substr_bytes),
        "$substrCP" => call("$substrCP", 3, 3, substr_code_points),
        "$binarySize" => call("$binarySize", 1, 1, binary_size),
        "$trim" => {
            Entry::Special(|value, parser| trim_call(&TRIM, trim_both, TRIM.parse(value, parser)?))
        }
        "$ltrim" => Entry::Special(|value, parser| {
            trim_call(&LTRIM, trim_left, LTRIM.parse(value, parser)?)
        }),
        "$rtrim" => Entry::Special(|value, parser| {
            trim_call(&RTRIM, trim_right, RTRIM.parse(value, parser)?)
        }),
        _ => return None,
    })
}

fn concat<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut all = String::new();
    for argument in arguments {
        let value = argument.or_null(environment)?;
        if value.is_nullish() {
            return null();
        }
        let Some(text) = text(&value) else {
            let kind = kind_name(&value);
            return Err(coded(
                16702,
                format!("$concat only supports strings, not {kind}"),
            ));
        };
        all.push_str(text);
        limits::document_len(all.len())?;
    }
    Ok(Some(Value::text(&all)))
}

fn cased<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    change: fn(&mut str),
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    let mut text = coerce(&value)?.into_owned();
    change(&mut text);
    Ok(Some(Value::text(&text)))
}

fn strcasecmp<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let left = argument(arguments, 0).or_null(environment)?;
    let right = argument(arguments, 1).or_null(environment)?;
    let (left, right) = (coerce(&left)?, coerce(&right)?);
    let upper = |text: &str| {
        text.bytes()
            .map(|byte| byte.to_ascii_uppercase())
            .collect::<Vec<_>>()
    };
    let order = upper(&left).cmp(&upper(&right));
    Ok(Some(Value::int32(order as i32)))
}

fn len<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    code: i32,
    measure: fn(&str) -> usize,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).evaluate(environment)?;
    match value.as_ref().and_then(text) {
        Some(text) => Ok(Some(Value::count(measure(text)))),
        None => {
            let kind = value.as_ref().map_or("missing", kind_name);
            let message = format!("{operator} requires a string argument, found: {kind}");
            Err(coded(code, message))
        }
    }
}

fn binary_size<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    if value.is_nullish() {
        return null();
    }
    if let Some(text) = text(&value) {
        return Ok(Some(Value::count(text.len())));
    }
    match value.raw().and_then(|raw| raw.binary()) {
        Some((_, content)) => Ok(Some(Value::count(content.len()))),
        None => {
            let kind = kind_name(&value);
            let message =
                format!("$binarySize requires a string or BinData argument, found {kind}");
            Err(coded(51276, message))
        }
    }
}

fn substr_bytes<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    let start = argument(arguments, 1).or_null(environment)?;
    let len = argument(arguments, 2).or_null(environment)?;
    let text = coerce(&value)?;
    let whole = |value: &Value<'_>, what: &str, code: i32| match number(value) {
        Some(number) => Ok(number.truncate()),
        None => Err(coded(
            code,
            format!(
                "$substrBytes: {what} must be a numeric type, found {}",
                kind_name(value)
            ),
        )),
    };
    let start = whole(&start, "starting index", 16034)?;
    let len = whole(&len, "length", 16035)?;
    let Ok(start) = usize::try_from(start) else {
        let message = format!("$substrBytes: starting index must be non-negative, found {start}");
        return Err(coded(50752, message));
    };
    // A negative length is the rest.
    let len = usize::try_from(len).unwrap_or(text.len());
    if start < text.len() && !text.is_char_boundary(start) {
        return Err(coded(
            28656,
            "$substrBytes: starting index is a UTF-8 continuation byte",
        ));
    }
    let end = start.saturating_add(len);
    if end < text.len() && !text.is_char_boundary(end) {
        return Err(coded(
            28657,
            "$substrBytes: ending index is in the middle of a UTF-8 character",
        ));
    }
    let part = text.get(start..end.min(text.len())).unwrap_or_default();
    Ok(Some(Value::text(part)))
}

fn substr_code_points<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).or_null(environment)?;
    let start = argument(arguments, 1).or_null(environment)?;
    let len = argument(arguments, 2).or_null(environment)?;
    let text = coerce(&value)?;
    let whole = |value: &Value<'_>, what: &str, codes: (i32, i32)| {
        let Some(number) = number(value) else {
            let kind = kind_name(value);
            let message = format!("$substrCP: {what} must be a numeric type, found {kind}");
            return Err(coded(codes.0, message));
        };
        number.exact_i32().ok_or_else(|| {
            let message = format!("$substrCP: {what} must be a 32-bit integer");
            coded(codes.1, message)
        })
    };
    let start = whole(&start, "starting index", (34450, 34451))?;
    let len = whole(&len, "length", (34452, 34453))?;
    let Ok(len) = usize::try_from(len) else {
        return Err(coded(34454, "$substrCP: length must be non-negative"));
    };
    let Ok(start) = usize::try_from(start) else {
        return Err(coded(
            34455,
            "$substrCP: starting index must be non-negative",
        ));
    };
    let part: Cow<'_, str> = if text.is_ascii() {
        let end = start.saturating_add(len).min(text.len());
        Cow::Borrowed(text.get(start..end).unwrap_or_default())
    } else {
        Cow::Owned(text.chars().skip(start).take(len).collect())
    };
    Ok(Some(Value::text(&part)))
}

const TRIM: Named = trim_operands("$trim");
const LTRIM: Named = trim_operands("$ltrim");
const RTRIM: Named = trim_operands("$rtrim");

const fn trim_operands(operator: &'static str) -> Named {
    Named {
        operator,
        names: &["input", "chars"],
        required: &[50695],
        not_document: 50696,
        unknown: 50694,
    }
}

#[allow(clippy::unnecessary_wraps, reason = "it ends functions that fail")]
fn trim_call(operands: &Named, evaluate: Evaluate, arguments: Vec<Node>) -> Result<Node> {
    Ok(Node::Call(Call {
        name: operands.operator,
        evaluate,
        arguments,
    }))
}

fn trim_both<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    trim(a, e, "$trim", true, true)
}

fn trim_left<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    trim(a, e, "$ltrim", true, false)
}

fn trim_right<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    trim(a, e, "$rtrim", false, true)
}

/// What MongoDB takes for white space.
fn is_space(character: char) -> bool {
    matches!(
        character,
        '\0' | ' ' | '\t' | '\n' | '\u{B}' | '\u{C}' | '\r' | '\u{A0}' | '\u{1680}' | '\u{2000}'
            ..='\u{200A}'
    )
}

fn trim<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    left: bool,
    right: bool,
) -> Result<Option<Value<'a>>> {
    let input = argument(arguments, 0).or_null(environment)?;
    if input.is_nullish() {
        return null();
    }
    let Some(mut rest) = text(&input) else {
        let kind = kind_name(&input);
        let message = format!("{operator} requires its input to be a string, found {kind}");
        return Err(coded(50699, message));
    };
    let characters = argument(arguments, 1);
    let wanted: Option<Vec<char>> = if characters.is_absent() {
        None
    } else {
        let characters = characters.or_null(environment)?;
        if characters.is_nullish() {
            return null();
        }
        let Some(characters) = text(&characters) else {
            let kind = kind_name(&characters);
            let message = format!("{operator} requires 'chars' to be a string, found {kind}");
            return Err(coded(50700, message));
        };
        Some(characters.chars().collect())
    };
    let goes = |character: char| match &wanted {
        Some(wanted) => wanted.contains(&character),
        None => is_space(character),
    };
    if left {
        rest = rest.trim_start_matches(goes);
    }
    if right {
        rest = rest.trim_end_matches(goes);
    }
    if rest.len() == text(&input).map_or(0, str::len) {
        return Ok(Some(input));
    }
    Ok(Some(Value::text(rest)))
}
