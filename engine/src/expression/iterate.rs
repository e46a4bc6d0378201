//! `$map $filter $reduce`: an expression for each element of an array.

use super::arguments::{coded, kind_name, null, number};
use super::arrays::is_array;
use super::boolean::is_true;
use super::environment::{Environment, Slot, check_name};
use super::node::{Node, Special};
use super::operators::Entry;
use super::parse::{Parser, show, text_of};
use super::value::Value;
use crate::error::Result;
use crate::values::{Elements, Kind, Numeric, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$map" => Entry::Special(parse_map),
        "$filter" => Entry::Special(parse_filter),
        "$reduce" => Entry::Special(parse_reduce),
        _ => return None,
    })
}

#[derive(Debug)]
struct Map {
    input: Node,
    element: Slot,
    /// Where the position of the element goes, if it has a name.
    index: Option<Slot>,
    inside: Node,
}

#[derive(Debug)]
struct Filter {
    input: Node,
    element: Slot,
    index: Option<Slot>,
    condition: Node,
    limit: Node,
}

#[derive(Debug)]
struct Reduce {
    input: Node,
    initial: Node,
    element: Slot,
    value: Slot,
    index: Option<Slot>,
    inside: Node,
}

/// Parts of an operator by their names.
struct Parts<'v, const N: usize> {
    values: [Option<RawValue<'v>>; N],
}

impl<'v, const N: usize> Parts<'v, N> {
    fn new(
        value: RawValue<'v>,
        operator: &str,
        names: [&str; N],
        not_document: i32,
        unknown: i32,
    ) -> Result<Self> {
        if value.kind() != Kind::Document {
            let kind = value.kind().name();
            let message = format!("{operator} only supports an object as argument, found {kind}");
            return Err(coded(not_document, message));
        }
        let mut values = [None; N];
        for element in Elements::new(value.bytes()) {
            let position = names
                .iter()
                .position(|name| name.as_bytes() == element.name);
            let Some(place) = position.and_then(|position| values.get_mut(position)) else {
                let name = show(element.name);
                let message = format!("unrecognized parameter to {operator}: {name}");
                return Err(coded(unknown, message));
            };
            *place = Some(element.value);
        }
        Ok(Self { values })
    }

    fn optional(&self, position: usize) -> Option<RawValue<'v>> {
        self.values.get(position).copied().flatten()
    }

    fn required(
        &self,
        position: usize,
        operator: &str,
        name: &str,
        code: i32,
    ) -> Result<RawValue<'v>> {
        self.optional(position)
            .ok_or_else(|| coded(code, format!("missing '{name}' parameter to {operator}")))
    }
}

/// The name of a variable that is chosen, or the one it has unless told.
fn variable_name<'v>(value: Option<RawValue<'v>>, default: &'v str) -> Result<&'v str> {
    let Some(value) = value else {
        return Ok(default);
    };
    let name = if value.kind() == Kind::String {
        text_of(value)?
    } else {
        ""
    };
    check_name(name)?;
    Ok(name)
}

fn parse_map(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let names = ["input", "as", "in", "arrayIndexAs"];
    let parts = Parts::new(value, "$map", names, 16878, 16879)?;
    let input = parts.required(0, "$map", "input", 16880)?;
    let inside = parts.required(2, "$map", "in", 16882)?;
    let name = variable_name(parts.optional(1), "this")?;
    let index = index_name(parts.optional(3))?;
    let input = parser.operand(input)?;
    with_element(parser, name, index, |parser, element, index| {
        Ok(Node::Special(Box::new(Map {
            input,
            element,
            index,
            inside: parser.operand(inside)?,
        })))
    })
}

/// The name under which the position of an element is seen.
fn index_name(value: Option<RawValue<'_>>) -> Result<Option<&str>> {
    value
        .map(|value| variable_name(Some(value), ""))
        .transpose()
}

fn with_element(
    parser: &mut Parser<'_>,
    name: &str,
    index: Option<&str>,
    parse: impl FnOnce(&mut Parser<'_>, Slot, Option<Slot>) -> Result<Node>,
) -> Result<Node> {
    let names: Vec<&str> = std::iter::once(name).chain(index).collect();
    parser.with_variables(&names, |parser, slots| {
        let element = slots.first().copied().unwrap_or(Slot(0));
        parse(parser, element, slots.get(1).copied())
    })
}

/// Binds an element, and its position where that has a name.
fn bind<'a>(
    environment: &mut Environment<'a>,
    slot: Slot,
    element: Value<'a>,
    index: Option<Slot>,
    position: usize,
) {
    environment.set(slot, element);
    if let Some(index) = index {
        environment.set(index, Value::count(position));
    }
}

impl Special for Map {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        if input.is_nullish() {
            return null();
        }
        if !is_array(&input) {
            let kind = kind_name(&input);
            return Err(coded(
                16883,
                format!("input to $map must be an array, not {kind}"),
            ));
        }
        let mut all = Vec::with_capacity(input.array_len());
        for (position, element) in input.elements().enumerate() {
            bind(environment, self.element, element, self.index, position);
            all.push(self.inside.or_null(environment)?);
        }
        Value::array(all).map(Some)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input, &mut self.inside]
    }
}

fn parse_filter(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let names = ["input", "as", "cond", "limit", "arrayIndexAs"];
    let parts = Parts::new(value, "$filter", names, 28646, 28647)?;
    let input = parts.required(0, "$filter", "input", 28648)?;
    let condition = parts.required(2, "$filter", "cond", 28650)?;
    let name = variable_name(parts.optional(1), "this")?;
    let index = index_name(parts.optional(4))?;
    let input = parser.operand(input)?;
    let limit = match parts.optional(3) {
        Some(limit) => parser.operand(limit)?,
        None => Node::Absent,
    };
    with_element(parser, name, index, |parser, element, index| {
        Ok(Node::Special(Box::new(Filter {
            input,
            element,
            index,
            condition: parser.operand(condition)?,
            limit,
        })))
    })
}

impl Special for Filter {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        if input.is_nullish() {
            return null();
        }
        if !is_array(&input) {
            let kind = kind_name(&input);
            return Err(coded(
                28651,
                format!("input to $filter must be an array, not {kind}"),
            ));
        }
        let mut limit = usize::MAX;
        if !self.limit.is_absent() {
            let wanted = self.limit.or_null(environment)?;
            if !wanted.is_nullish() {
                let Some(wanted) = number(&wanted).and_then(Numeric::exact_i32) else {
                    let kind = kind_name(&wanted);
                    let message = format!("$filter: limit must be a 32-bit integer, found {kind}");
                    return Err(coded(327_391, message));
                };
                limit = usize::try_from(wanted).unwrap_or(0);
                if limit == 0 {
                    let message = format!("$filter: limit must be greater than 0, found {wanted}");
                    return Err(coded(327_392, message));
                }
            }
        }
        let mut all = Vec::new();
        for (position, element) in input.elements().enumerate() {
            bind(
                environment,
                self.element,
                element.clone(),
                self.index,
                position,
            );
            if is_true(&self.condition, environment)? {
                all.push(element);
                if all.len() == limit {
                    break;
                }
            }
        }
        Value::array(all).map(Some)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input, &mut self.condition, &mut self.limit]
    }
}

fn parse_reduce(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let names = [
        "input",
        "initialValue",
        "in",
        "as",
        "valueAs",
        "arrayIndexAs",
    ];
    let parts = Parts::new(value, "$reduce", names, 40075, 40076)?;
    let input = parts.required(0, "$reduce", "input", 40077)?;
    let initial = parts.required(1, "$reduce", "initialValue", 40078)?;
    let inside = parts.required(2, "$reduce", "in", 40079)?;
    let element = variable_name(parts.optional(3), "this")?;
    let name = variable_name(parts.optional(4), "value")?;
    let index = index_name(parts.optional(5))?;
    let input = parser.operand(input)?;
    let initial = parser.operand(initial)?;
    let names: Vec<&str> = [element, name].into_iter().chain(index).collect();
    parser.with_variables(&names, |parser, slots| {
        let slot = |position: usize| slots.get(position).copied().unwrap_or(Slot(0));
        Ok(Node::Special(Box::new(Reduce {
            input,
            initial,
            element: slot(0),
            value: slot(1),
            index: slots.get(2).copied(),
            inside: parser.operand(inside)?,
        })))
    })
}

impl Special for Reduce {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        let input = self.input.or_null(environment)?;
        if input.is_nullish() {
            return null();
        }
        if !is_array(&input) {
            let kind = kind_name(&input);
            return Err(coded(
                40080,
                format!("$reduce requires that 'input' be an array, found {kind}"),
            ));
        }
        let mut value = self.initial.evaluate(environment)?;
        for (position, element) in input.elements().enumerate() {
            bind(environment, self.element, element, self.index, position);
            environment.set(self.value, value);
            value = self.inside.evaluate(environment)?;
        }
        Ok(value)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        vec![&mut self.input, &mut self.initial, &mut self.inside]
    }
}
