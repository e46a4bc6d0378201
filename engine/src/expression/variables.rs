//! `$let`.

use super::environment::{Environment, Slot, check_name};
use super::node::{Node, Special};
use super::operators::Entry;
use super::parse::{Parser, refuse, show};
use super::value::Value;
use crate::error::Result;
use crate::values::{Elements, Kind, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$let" => Entry::Special(parse_let),
        _ => return None,
    })
}

#[derive(Debug)]
struct Let {
    variables: Vec<(Slot, Node)>,
    inside: Node,
}

fn parse_let(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if value.kind() != Kind::Document {
        return Err(refuse(
            16874,
            "$let only supports an object as its argument",
        ));
    }
    let (mut vars, mut inside) = (None, None);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"vars" => vars = Some(element.value),
            b"in" => inside = Some(element.value),
            other => {
                let message = format!("unrecognized parameter to $let: {}", show(other));
                return Err(refuse(16875, message));
            }
        }
    }
    let vars = vars.ok_or_else(|| refuse(16876, "missing 'vars' parameter to $let"))?;
    let inside = inside.ok_or_else(|| refuse(16877, "missing 'in' parameter to $let"))?;
    if vars.kind() != Kind::Document {
        let kind = vars.kind().name();
        return Err(refuse(
            10065,
            format!("invalid parameter: expected an object (vars), found {kind}"),
        ));
    }
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for element in Elements::new(vars.bytes()) {
        let name = std::str::from_utf8(element.name).unwrap_or_default();
        check_name(name)?;
        // Variables do not see each other: all are parsed outside of them.
        names.push(name);
        values.push(parser.operand(element.value)?);
    }
    parser.with_variables(&names, |parser, slots| {
        Ok(Node::Special(Box::new(Let {
            variables: slots.iter().copied().zip(values).collect(),
            inside: parser.operand(inside)?,
        })))
    })
}

impl Special for Let {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        for (slot, node) in &self.variables {
            let value = node.evaluate(environment)?;
            environment.set(*slot, value);
        }
        self.inside.evaluate(environment)
    }

    fn children(&mut self) -> Vec<&mut Node> {
        let values = self.variables.iter_mut().map(|(_, node)| node);
        values.chain([&mut self.inside]).collect()
    }

    /// A variable that nothing reads is not worked out, and so cannot fail.
    fn prepare(&mut self) -> Result<()> {
        let inside = &mut self.inside;
        self.variables.retain(|(slot, _)| inside.reads(*slot));
        Ok(())
    }
}
