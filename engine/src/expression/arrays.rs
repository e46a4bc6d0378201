//! Operators over arrays as a whole: positions, slices, joins.

use super::arguments::{coded, kind_name, null, number};
use super::environment::Environment;
use super::node::{Call, Node, argument};
use super::operators::{ANY, Entry, call};
use super::parse::Parser;
use super::value::Value;
use super::{compare, limits};
use crate::error::Result;
use crate::values::{Elements, Kind, Numeric, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$isArray" => call("$isArray", 1, 1, |a, e| {
            let value = argument(a, 0).evaluate(e)?;
            Ok(Some(Value::boolean(
                value.is_some_and(|value| value.kind() == Kind::Array),
            )))
        }),
        "$size" => call("$size", 1, 1, size),
        "$arrayElemAt" => call("$arrayElemAt", 2, 2, array_elem_at),
        "$first" => call("$first", 1, 1, |a, e| end(a, e, "$first", 0)),
        "$last" => call("$last", 1, 1, |a, e| end(a, e, "$last", -1)),
        "$concatArrays" => call("$concatArrays", 0, ANY, concat_arrays),
        "$in" => call("$in", 2, 2, is_in),
        "$indexOfArray" => call("$indexOfArray", 2, 4, index_of_array),
        "$range" => call("$range", 2, 3, range),
        "$reverseArray" => call("$reverseArray", 1, 1, reverse_array),
        "$slice" => call("$slice", 2, 3, slice),
        "$zip" => Entry::Special(parse_zip),
        _ => return None,
    })
}

pub(super) fn is_array(value: &Value<'_>) -> bool {
    value.kind() == Kind::Array
}

fn size<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let value = argument(arguments, 0).evaluate(environment)?;
    match value {
        Some(array) if is_array(&array) => Ok(Some(Value::count(array.array_len()))),
        other => {
            let kind = other.as_ref().map_or("missing", kind_name);
            let message = format!("the argument to $size must be an array, but was {kind}");
            Err(coded(17124, message))
        }
    }
}

fn element_at<'a>(array: &Value<'a>, position: i64) -> Option<Value<'a>> {
    let position = if position < 0 {
        let len = i64::try_from(array.array_len()).unwrap_or(i64::MAX);
        len + position
    } else {
        position
    };
    array.elements().nth(usize::try_from(position).ok()?)
}

fn array_elem_at<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let array = argument(arguments, 0).or_null(environment)?;
    let position = argument(arguments, 1).or_null(environment)?;
    if array.is_nullish() || position.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("$arrayElemAt's first argument must be an array, but is {kind}");
        return Err(coded(28689, message));
    }
    let Some(position) = number(&position) else {
        let kind = kind_name(&position);
        let message = format!("$arrayElemAt's second argument must be a number, but is {kind}");
        return Err(coded(28690, message));
    };
    let Some(position) = position.exact_i32() else {
        return Err(coded(
            28691,
            "$arrayElemAt's second argument must be representable as a 32-bit integer",
        ));
    };
    Ok(element_at(&array, i64::from(position)))
}

fn end<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
    position: i64,
) -> Result<Option<Value<'a>>> {
    let array = argument(arguments, 0).or_null(environment)?;
    if array.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("{operator}'s argument must be an array, but is {kind}");
        return Err(coded(28689, message));
    }
    Ok(element_at(&array, position))
}

fn concat_arrays<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut all = Vec::new();
    for argument in arguments {
        let array = argument.or_null(environment)?;
        if array.is_nullish() {
            return null();
        }
        if !is_array(&array) {
            let kind = kind_name(&array);
            return Err(coded(
                28664,
                format!("$concatArrays only supports arrays, not {kind}"),
            ));
        }
        all.extend(array.elements());
        limits::elements(all.len())?;
    }
    Value::array(all).map(Some)
}

fn is_in<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let wanted = argument(arguments, 0).evaluate(environment)?;
    let array = argument(arguments, 1).or_null(environment)?;
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("$in requires an array as a second argument, found {kind}");
        return Err(coded(40081, message));
    }
    let is_it =
        |element: Value<'_>| compare::compare_missing(wanted.as_ref(), Some(&element)).is_eq();
    let found = array.elements().any(is_it);
    Ok(Some(Value::boolean(found)))
}

/// A position among the operands of the `$indexOf…` operators; `None` if it is
/// not given.
pub(super) fn index_operand<'a>(
    node: &'a Node,
    environment: &mut Environment<'a>,
    operator: &str,
    codes: (i32, i32),
) -> Result<Option<usize>> {
    if node.is_absent() {
        return Ok(None);
    }
    let value = node.or_null(environment)?;
    let Some(position) = number(&value).and_then(Numeric::exact_i32) else {
        let kind = kind_name(&value);
        let message = format!("{operator} requires an integral index, found {kind}");
        return Err(coded(codes.0, message));
    };
    match usize::try_from(position) {
        Ok(position) => Ok(Some(position)),
        Err(_) => Err(coded(
            codes.1,
            format!("{operator} requires a nonnegative index, found {position}"),
        )),
    }
}

fn index_of_array<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    const CODES: (i32, i32) = (9_711_600, 9_711_601);
    let array = argument(arguments, 0).or_null(environment)?;
    if array.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("$indexOfArray requires an array as a first argument, found {kind}");
        return Err(coded(40090, message));
    }
    let start = index_operand(argument(arguments, 2), environment, "$indexOfArray", CODES)?;
    let end = index_operand(argument(arguments, 3), environment, "$indexOfArray", CODES)?;
    let wanted = argument(arguments, 1).evaluate(environment)?;
    let start = start.unwrap_or(0);
    let len = end.unwrap_or(usize::MAX).saturating_sub(start);
    let position = array
        .elements()
        .skip(start)
        .take(len)
        .position(|element| compare::compare_missing(wanted.as_ref(), Some(&element)).is_eq());
    Ok(Some(match position {
        Some(position) => Value::count(start + position),
        None => Value::int32(-1),
    }))
}

fn range_operand<'a>(
    node: &'a Node,
    environment: &mut Environment<'a>,
    what: &str,
    codes: (i32, i32),
) -> Result<i64> {
    let value = node.or_null(environment)?;
    let Some(number) = number(&value) else {
        let kind = kind_name(&value);
        let message = format!("$range requires a numeric {what}, found {kind}");
        return Err(coded(codes.0, message));
    };
    match number.exact_i32() {
        Some(whole) => Ok(i64::from(whole)),
        None => Err(coded(
            codes.1,
            format!("$range requires a {what} that is a 32-bit integer"),
        )),
    }
}

fn range<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    // MongoDB evaluates both before it looks at either.
    let start = range_operand(
        argument(arguments, 0),
        environment,
        "starting value",
        (34443, 34444),
    )?;
    let end = range_operand(
        argument(arguments, 1),
        environment,
        "ending value",
        (34445, 34446),
    )?;
    let step = argument(arguments, 2);
    let step = if step.is_absent() {
        1
    } else {
        range_operand(step, environment, "step", (34447, 34448))?
    };
    if step == 0 {
        return Err(coded(34449, "$range requires a non-zero step value"));
    }
    let distance = if step > 0 { end - start } else { start - end };
    let count = usize::try_from(distance)
        .unwrap_or_default()
        .div_ceil(usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX));
    limits::elements(count)?;
    let mut all = Vec::with_capacity(count);
    let mut current = start;
    for _ in 0..count {
        all.push(Value::integer(current));
        current += step;
    }
    Value::array(all).map(Some)
}

fn reverse_array<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let array = argument(arguments, 0).or_null(environment)?;
    if array.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("the argument to $reverseArray must be an array, but was {kind}");
        return Err(coded(34435, message));
    }
    let mut all: Vec<_> = array.elements().collect();
    all.reverse();
    Value::array(all).map(Some)
}

fn slice<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let whole = |value: &Value<'_>, which: &str, codes: (i32, i32)| -> Result<i64> {
        let Some(number) = number(value) else {
            let kind = kind_name(value);
            let message = format!("{which} argument to $slice must be a number, but is {kind}");
            return Err(coded(codes.0, message));
        };
        number.exact_i32().map(i64::from).ok_or_else(|| {
            let message = format!("{which} argument to $slice must be a 32-bit integer");
            coded(codes.1, message)
        })
    };
    let array = argument(arguments, 0).or_null(environment)?;
    let second = argument(arguments, 1).or_null(environment)?;
    if array.is_nullish() || second.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("first argument to $slice must be an array, but is {kind}");
        return Err(coded(28724, message));
    }
    let second = whole(&second, "second", (28725, 28726))?;
    let len = i64::try_from(array.array_len()).unwrap_or(i64::MAX);
    let from_end = |position: i64| {
        if position < 0 {
            (len + position).max(0)
        } else {
            position.min(len)
        }
    };
    let third = argument(arguments, 2);
    let (start, end) = if third.is_absent() {
        if second >= 0 {
            (0, second.min(len))
        } else {
            (from_end(second), len)
        }
    } else {
        let start = from_end(second);
        let count = third.or_null(environment)?;
        if count.is_nullish() {
            return null();
        }
        let count = whole(&count, "third", (28727, 28728))?;
        if count <= 0 {
            let message = format!("third argument to $slice must be positive, found {count}");
            return Err(coded(28729, message));
        }
        (start, (start + count).min(len))
    };
    let start = usize::try_from(start).unwrap_or_default();
    let end = usize::try_from(end).unwrap_or_default();
    let all = array.elements().skip(start).take(end.saturating_sub(start));
    Value::array(all.collect()).map(Some)
}

fn parse_zip(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    // Not by `Named`: its parts are no expressions, but arrays of them.
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let message = format!("$zip only supports an object as an argument, found {kind}");
        return Err(coded(34460, message));
    }
    let (mut inputs, mut defaults, mut use_longest) = (Vec::new(), Vec::new(), false);
    for element in Elements::new(value.bytes()) {
        let kind = element.value.kind();
        let is_array = |code| {
            let name = super::parse::show(element.name);
            let message = format!(
                "{name} must be an array of expressions, found {}",
                kind.name()
            );
            (kind == Kind::Array)
                .then_some(())
                .ok_or_else(|| coded(code, message))
        };
        match element.name {
            b"inputs" => {
                is_array(34461)?;
                inputs = parser.arguments(element.value)?;
            }
            b"defaults" => {
                is_array(34462)?;
                defaults = parser.arguments(element.value)?;
            }
            b"useLongestLength" => match element.value.boolean() {
                Some(flag) => use_longest = flag,
                None => {
                    let message = format!("useLongestLength must be a bool, found {}", kind.name());
                    return Err(coded(34463, message));
                }
            },
            other => {
                let name = super::parse::show(other);
                let message = format!("$zip found an unknown argument: {name}");
                return Err(coded(34464, message));
            }
        }
    }
    if inputs.is_empty() {
        return Err(coded(34465, "$zip requires at least one input array"));
    }
    if !use_longest && !defaults.is_empty() {
        return Err(coded(
            34466,
            "cannot specify defaults unless useLongestLength is true",
        ));
    }
    if !defaults.is_empty() && defaults.len() != inputs.len() {
        return Err(coded(
            34467,
            "defaults and inputs must have the same length",
        ));
    }
    defaults.resize_with(inputs.len(), || Node::Absent);
    inputs.extend(defaults);
    Ok(Node::Call(Call {
        name: "$zip",
        evaluate: if use_longest {
            zip_longest
        } else {
            zip_shortest
        },
        arguments: inputs,
    }))
}

fn zip_longest<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    zip(arguments, environment, true)
}

fn zip_shortest<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    zip(arguments, environment, false)
}

fn zip<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    use_longest: bool,
) -> Result<Option<Value<'a>>> {
    let (inputs, defaults) = arguments.split_at(arguments.len() / 2);
    let mut columns = Vec::with_capacity(inputs.len());
    for input in inputs {
        let array = input.or_null(environment)?;
        if array.is_nullish() {
            return null();
        }
        if !is_array(&array) {
            let kind = kind_name(&array);
            let message = format!("$zip found a non-array expression in input: {kind}");
            return Err(coded(34468, message));
        }
        columns.push(array.elements().collect::<Vec<_>>());
    }
    let lens = || columns.iter().map(Vec::len);
    let (shortest, longest) = (lens().min().unwrap_or(0), lens().max().unwrap_or(0));
    let mut fillers = Vec::with_capacity(defaults.len());
    if shortest != longest {
        for default in defaults {
            fillers.push(default.or_null(environment)?);
        }
    }
    let rows = if use_longest { longest } else { shortest };
    limits::elements(rows.saturating_mul(columns.len()))?;
    let mut all = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut cells = Vec::with_capacity(columns.len());
        for (column, cells_of) in columns.iter().enumerate() {
            let cell = cells_of.get(row).or_else(|| fillers.get(column));
            cells.push(cell.cloned().unwrap_or_else(Value::null));
        }
        all.push(Value::array(cells)?);
    }
    Value::array(all).map(Some)
}
