//! `$sortArray`.

use super::arguments::{coded, kind_name, null};
use super::arrays::is_array;
use super::environment::Environment;
use super::node::{Node, Special};
use super::operators::Entry;
use super::parse::{Parser, show};
use super::value::Value;
use crate::error::Result;
use crate::sort::SortPattern;
use crate::values::{Elements, Kind, Number, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    match name {
        "$sortArray" => Some(Entry::Special(parse)),
        _ => None,
    }
}

#[derive(Debug)]
struct SortArray {
    input: Node,
    order: Order,
}

/// What elements are sorted by.
#[derive(Debug)]
enum Order {
    /// The whole of each.
    Whole { is_descending: bool },
    /// Its fields; what is no document has none.
    Fields(SortPattern),
}

fn parse(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let message = format!("$sortArray requires an object as an argument, found: {kind}");
        return Err(coded(2_942_500, message));
    }
    let (mut input, mut sort_by) = (None, None);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"input" => input = Some(parser.operand(element.value)?),
            b"sortBy" => sort_by = Some(element.value),
            other => {
                let message = format!("$sortArray found an unknown argument: {}", show(other));
                return Err(coded(2_942_501, message));
            }
        }
    }
    let input =
        input.ok_or_else(|| coded(2_942_502, "$sortArray requires 'input' to be specified"))?;
    let sort_by =
        sort_by.ok_or_else(|| coded(2_942_503, "$sortArray requires 'sortBy' to be specified"))?;
    Ok(Node::Special(Box::new(SortArray {
        input,
        order: parse_order(sort_by)?,
    })))
}

fn parse_order(value: RawValue<'_>) -> Result<Order> {
    if value.kind() == Kind::Document {
        let pattern = bson::RawDocument::from_bytes(value.bytes())?;
        if pattern.is_empty() {
            return Err(coded(
                2_942_505,
                "$sortArray requires 'sortBy' to have a field",
            ));
        }
        return Ok(Order::Fields(SortPattern::parse(pattern)?));
    }
    match value.number().and_then(Number::to_i64) {
        Some(1) => Ok(Order::Whole {
            is_descending: false,
        }),
        Some(-1) => Ok(Order::Whole {
            is_descending: true,
        }),
        _ => Err(coded(
            2_942_506,
            "$sortArray requires 'sortBy' to be 1, -1 or a document",
        )),
    }
}

impl Special for SortArray {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        if input.is_nullish() {
            return null();
        }
        if !is_array(&input) {
            let kind = kind_name(&input);
            let message =
                format!("the input argument to $sortArray must be an array, found {kind}");
            return Err(coded(2_942_504, message));
        }
        let mut all: Vec<_> = input.elements().collect();
        match &self.order {
            Order::Whole {
                is_descending: false,
            } => all.sort_by(Value::compare),
            Order::Whole {
                is_descending: true,
            } => all.sort_by(|left, right| right.compare(left)),
            Order::Fields(pattern) => {
                const EMPTY: &[u8] = &[5, 0, 0, 0, 0];
                let mut keyed = Vec::with_capacity(all.len());
                for element in all {
                    let document = match element.raw() {
                        Some(raw) if raw.kind() == Kind::Document => raw.bytes(),
                        _ => EMPTY,
                    };
                    let key = pattern.key_of(document)?;
                    keyed.push((key, element));
                }
                keyed.sort_by(|left, right| left.0.cmp(&right.0));
                all = keyed.into_iter().map(|(_, element)| element).collect();
            }
        }
        Value::array(all).map(Some)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input]
    }
}
