//! Operators that make one value of many: of their operands, or of the elements
//! of the array that is the only one.

use std::cmp::Ordering;

use super::arguments::{coded, kind_name, number, number_value};
use super::arrays::is_array;
use super::compare::compare_missing;
use super::environment::Environment;
use super::node::{Call, Evaluate, Node, argument};
use super::operators::{ANY, Entry, call};
use super::parse::{Parser, show};
use super::value::Value;
use crate::error::Result;
use crate::values::{Deviation, Elements, Kind, Numeric, RawValue, Summation};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$sum" => call("$sum", 0, ANY, sum),
        "$avg" => call("$avg", 0, ANY, average),
        "$min" => call("$min", 0, ANY, |a, e| extreme(a, e, false)),
        "$max" => call("$max", 0, ANY, |a, e| extreme(a, e, true)),
        "$stdDevPop" => call("$stdDevPop", 0, ANY, |a, e| deviation(a, e, false)),
        "$stdDevSamp" => call("$stdDevSamp", 0, ANY, |a, e| deviation(a, e, true)),
        "$firstN" => Entry::Special(|v, p| parse_n(v, p, "$firstN", first_n)),
        "$lastN" => Entry::Special(|v, p| parse_n(v, p, "$lastN", last_n)),
        "$minN" => Entry::Special(|v, p| parse_n(v, p, "$minN", min_n)),
        "$maxN" => Entry::Special(|v, p| parse_n(v, p, "$maxN", max_n)),
        _ => return None,
    })
}

/// Calls `take` with each value; one that is missing is left out.
fn each<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    mut take: impl FnMut(Value<'a>),
) -> Result<()> {
    if let [only] = arguments {
        if let Some(value) = only.evaluate(environment)? {
            if is_array(&value) {
                value.elements().for_each(take);
            } else {
                take(value);
            }
        }
        return Ok(());
    }
    for argument in arguments {
        if let Some(value) = argument.evaluate(environment)? {
            take(value);
        }
    }
    Ok(())
}

fn sum<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let mut sum = Summation::default();
    each(arguments, environment, |value| {
        if let Some(number) = number(&value) {
            sum.add(number);
        }
    })?;
    Ok(Some(number_value(sum.total())))
}

fn average<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut sum = Summation::default();
    each(arguments, environment, |value| {
        if let Some(number) = number(&value) {
            sum.add(number);
        }
    })?;
    Ok(Some(sum.average().map_or_else(Value::null, number_value)))
}

fn extreme<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    largest: bool,
) -> Result<Option<Value<'a>>> {
    let mut best: Option<Value<'a>> = None;
    each(arguments, environment, |value| {
        if value.is_nullish() {
            return;
        }
        let order = compare_missing(Some(&value), best.as_ref());
        if best.is_none() || (largest && order.is_gt()) || (!largest && order.is_lt()) {
            best = Some(value);
        }
    })?;
    Ok(Some(best.unwrap_or_else(Value::null)))
}

fn deviation<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    is_sample: bool,
) -> Result<Option<Value<'a>>> {
    let mut deviation = Deviation::default();
    each(arguments, environment, |value| {
        if let Some(number) = number(&value) {
            deviation.add(number);
        }
    })?;
    Ok(Some(match deviation.result(is_sample) {
        Some(result) => Value::double(result),
        None => Value::null(),
    }))
}

fn parse_n(
    value: RawValue<'_>,
    parser: &mut Parser<'_>,
    operator: &'static str,
    evaluate: Evaluate,
) -> Result<Node> {
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let message = format!("specification must be an object, {operator} found {kind}");
        return Err(coded(5_787_801, message));
    }
    let (mut n, mut input) = (None, None);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"n" => n = Some(parser.operand(element.value)?),
            b"input" => input = Some(parser.operand(element.value)?),
            other => {
                let message = format!("unknown argument for {operator}: {}", show(other));
                return Err(coded(5_787_901, message));
            }
        }
    }
    let n = n.ok_or_else(|| coded(5_787_906, format!("missing 'n' of {operator}")))?;
    let input = input.ok_or_else(|| coded(5_787_907, format!("missing 'input' of {operator}")))?;
    Ok(Node::Call(Call {
        name: operator,
        evaluate,
        arguments: vec![n, input],
    }))
}

/// How many are wanted, of a value that has to be an integer above zero.
pub(super) fn wanted(value: &Value<'_>, operator: &str) -> Result<usize> {
    let Some(number) = number(value) else {
        let kind = kind_name(value);
        let message = format!("value for 'n' of {operator} must be of integral type, found {kind}");
        return Err(coded(5_787_902, message));
    };
    let Some(whole) = Numeric::exact_i64(number) else {
        let message = format!("value for 'n' of {operator} must be of integral type");
        return Err(coded(5_787_903, message));
    };
    match usize::try_from(whole) {
        Ok(count) if count > 0 => Ok(count),
        _ => Err(coded(
            5_787_908,
            format!("'n' of {operator} must be greater than 0, found {whole}"),
        )),
    }
}

fn operands<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
    operator: &str,
) -> Result<(usize, Value<'a>)> {
    let n = argument(arguments, 0).or_null(environment)?;
    let n = wanted(&n, operator)?;
    let input = argument(arguments, 1).or_null(environment)?;
    if !is_array(&input) {
        let kind = kind_name(&input);
        let message = format!("input of {operator} must be an array, found {kind}");
        return Err(coded(5_788_200, message));
    }
    Ok((n, input))
}

fn first_n<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (n, input) = operands(a, e, "$firstN")?;
    Value::array(input.elements().take(n).collect()).map(Some)
}

fn last_n<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (n, input) = operands(a, e, "$lastN")?;
    let skipped = input.array_len().saturating_sub(n);
    Value::array(input.elements().skip(skipped).collect()).map(Some)
}

fn min_n<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (n, input) = operands(a, e, "$minN")?;
    Value::array(best(n, &input, false)).map(Some)
}

fn max_n<'a>(a: &'a [Node], e: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let (n, input) = operands(a, e, "$maxN")?;
    Value::array(best(n, &input, true)).map(Some)
}

/// The smallest or largest values, the best one first. Of equal ones MongoDB
/// keeps the first that came, and gives the largest in the reverse order.
fn best<'a>(n: usize, input: &Value<'a>, largest: bool) -> Vec<Value<'a>> {
    // In ascending order, a new one after those it equals.
    let mut kept: Vec<Value<'a>> = Vec::new();
    for value in input.elements().filter(|value| !value.is_nullish()) {
        if kept.len() == n {
            let worst = if largest { kept.first() } else { kept.last() };
            let order = worst.map_or(Ordering::Equal, |worst| value.compare(worst));
            if (largest && order.is_le()) || (!largest && order.is_ge()) {
                continue;
            }
            if largest {
                kept.remove(0);
            } else {
                kept.pop();
            }
        }
        let place = kept.partition_point(|other| other.compare(&value).is_le());
        kept.insert(place, value);
    }
    if largest {
        kept.reverse();
    }
    kept
}
