//! `$median $percentile`: of the numbers in an array, or of one number.
//!
//! All numbers are at hand, so the answer is exact whatever the method: for
//! `approximate` and `discrete` one of the numbers, for `continuous` one between
//! two of them.

use super::arguments::{coded, kind_name, number};
use super::arrays::is_array;
use super::environment::Environment;
use super::node::{Node, Special};
use super::operators::Entry;
use super::parse::{Parser, show};
use super::value::Value;
use crate::error::Result;
use crate::values::{Elements, Kind, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$median" => Entry::Special(|value, parser| parse(value, parser, "$median")),
        "$percentile" => Entry::Special(|value, parser| parse(value, parser, "$percentile")),
        _ => return None,
    })
}

#[derive(Debug)]
struct Quantiles {
    input: Node,
    /// Which ones, from 0 to 1; the median is a single value, not an array.
    wanted: Vec<f64>,
    is_median: bool,
    is_continuous: bool,
}

fn parse(value: RawValue<'_>, parser: &mut Parser<'_>, operator: &str) -> Result<Node> {
    let is_median = operator == "$median";
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let code = if is_median { 7_436_100 } else { 7_436_200 };
        let message = format!("{operator} only supports an object as argument, found {kind}");
        return Err(coded(code, message));
    }
    let (mut input, mut wanted, mut method) = (None, None, None);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"input" => input = Some(parser.operand(element.value)?),
            b"p" if !is_median => wanted = Some(parse_wanted(element.value, parser)?),
            b"method" => method = Some(element.value),
            other => {
                let message = format!("{operator} found an unknown field: {}", show(other));
                return Err(coded(40415, message));
            }
        }
    }
    let missing = |name: &str| coded(40414, format!("{operator} lacks its field '{name}'"));
    let input = input.ok_or_else(|| missing("input"))?;
    let method = method.ok_or_else(|| missing("method"))?;
    let wanted = match wanted {
        Some(wanted) => wanted,
        None if is_median => vec![0.5],
        None => return Err(missing("p")),
    };
    let is_continuous = match method.text() {
        Some(b"approximate" | b"discrete") => false,
        Some(b"continuous") => true,
        _ => {
            let message =
                format!("{operator}: 'method' must be 'approximate', 'discrete' or 'continuous'");
            return Err(coded(2, message));
        }
    };
    Ok(Node::Special(Box::new(Quantiles {
        input,
        wanted,
        is_median,
        is_continuous,
    })))
}

/// A constant array of numbers from 0 to 1.
fn parse_wanted(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Vec<f64>> {
    let node = super::optimise::optimise(parser.operand(value)?)?;
    let array = match &node {
        Node::Constant(array) if is_array(array) => array,
        _ => {
            let message = "$percentile requires 'p' to be a constant array of numbers";
            return Err(coded(7_750_300, message));
        }
    };
    let mut wanted = Vec::new();
    for element in array.elements() {
        let Some(number) = number(&element) else {
            let kind = kind_name(&element);
            let message = format!("$percentile requires numbers in 'p', found {kind}");
            return Err(coded(7_750_302, message));
        };
        let part = number.to_f64();
        if !(0.0..=1.0).contains(&part) {
            let message = format!("$percentile requires numbers from 0 to 1 in 'p', found {part}");
            return Err(coded(7_750_303, message));
        }
        wanted.push(part);
    }
    if wanted.is_empty() {
        return Err(coded(
            7_750_301,
            "$percentile requires a number or more in 'p'",
        ));
    }
    Ok(wanted)
}

impl Special for Quantiles {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        let mut numbers: Vec<f64> = if is_array(&input) {
            let numbers = input.elements().filter_map(|element| number(&element));
            numbers.map(|number| number.to_f64()).collect()
        } else {
            number(&input)
                .map(|number| number.to_f64())
                .into_iter()
                .collect()
        };
        numbers.retain(|number| !number.is_nan());
        numbers.sort_by(f64::total_cmp);
        let mut found =
            self.wanted
                .iter()
                .map(|part| match quantile(&numbers, *part, self.is_continuous) {
                    Some(number) => Value::double(number),
                    None => Value::null(),
                });
        if self.is_median {
            return Ok(found.next());
        }
        Value::array(found.collect()).map(Some)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input]
    }
}

/// The number below which a part of the sorted numbers lies.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "positions in an array that fits in memory"
)]
fn quantile(numbers: &[f64], part: f64, is_continuous: bool) -> Option<f64> {
    let last = numbers.len().checked_sub(1)?;
    if is_continuous {
        let rank = part * last as f64;
        let (low, high) = (rank.floor(), rank.ceil());
        let (below, above) = (numbers.get(low as usize)?, numbers.get(high as usize)?);
        return Some(below + (above - below) * (rank - low));
    }
    let rank = (part * numbers.len() as f64).ceil() as usize;
    numbers.get(rank.saturating_sub(1).min(last)).copied()
}
