//! `$cond $ifNull $switch`.

use super::boolean::is_true;
use super::environment::Environment;
use super::node::{Call, Node, Special, argument};
use super::operators::{ANY, Entry, call};
use super::optimise::{constant, optimise};
use super::parse::{Parser, refuse, show, wrong_number};
use super::value::Value;
use crate::error::Result;
use crate::values::{Elements, Kind, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$cond" => Entry::Special(parse_cond),
        "$ifNull" => Entry::Special(parse_if_null),
        "$switch" => Entry::Special(parse_switch),
        _ => return None,
    })
}

fn parse_cond(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let arguments = if value.kind() == Kind::Document {
        let mut parts = [Node::Absent, Node::Absent, Node::Absent];
        for element in Elements::new(value.bytes()) {
            let at = match element.name {
                b"if" => 0,
                b"then" => 1,
                b"else" => 2,
                other => {
                    let message = format!("unrecognized parameter to $cond: {}", show(other));
                    return Err(refuse(17083, message));
                }
            };
            parts[at] = parser.operand(element.value)?;
        }
        for (part, (name, code)) in
            parts
                .iter()
                .zip([("if", 17080), ("then", 17081), ("else", 17082)])
        {
            if part.is_absent() {
                return Err(refuse(code, format!("missing '{name}' parameter to $cond")));
            }
        }
        parts.into()
    } else {
        let arguments = parser.arguments(value)?;
        if arguments.len() != 3 {
            return Err(wrong_number("$cond", 3, 3, arguments.len()));
        }
        arguments
    };
    Ok(Node::Call(Call {
        name: "$cond",
        evaluate: cond,
        arguments,
    }))
}

fn cond<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    let chosen = if is_true(argument(arguments, 0), environment)? {
        1
    } else {
        2
    };
    argument(arguments, chosen).evaluate(environment)
}

fn parse_if_null(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let Entry::Call {
        name,
        least,
        evaluate,
        ..
    } = call("$ifNull", 2, ANY, if_null)
    else {
        return Ok(Node::Missing);
    };
    let arguments = parser.arguments(value)?;
    if arguments.len() < least {
        let message = format!(
            "$ifNull needs at least two arguments, had: {}",
            arguments.len()
        );
        return Err(refuse(1257300, message));
    }
    Ok(Node::Call(Call {
        name,
        evaluate,
        arguments,
    }))
}

fn if_null<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let Some((last, others)) = arguments.split_last() else {
        return Ok(None);
    };
    for other in others {
        if let Some(value) = other.evaluate(environment)?
            && !value.is_nullish()
        {
            return Ok(Some(value));
        }
    }
    last.evaluate(environment)
}

/// Cases with what they lead to, and what is left where none holds.
#[derive(Debug)]
struct Switch {
    branches: Vec<(Node, Node)>,
    default: Option<Node>,
}

fn parse_switch(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        return Err(refuse(
            40060,
            format!("$switch requires an object, found {kind}"),
        ));
    }
    let mut switch = Switch {
        branches: Vec::new(),
        default: None,
    };
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"branches" => {
                if element.value.kind() != Kind::Array {
                    let kind = element.value.kind().name();
                    let message = format!("$switch expects an array of branches, found {kind}");
                    return Err(refuse(40061, message));
                }
                for branch in Elements::new(element.value.bytes()) {
                    switch.branches.push(parse_branch(branch.value, parser)?);
                }
            }
            b"default" => switch.default = Some(parser.operand(element.value)?),
            other => {
                let message = format!("$switch found an unknown argument: {}", show(other));
                return Err(refuse(40067, message));
            }
        }
    }
    if switch.branches.is_empty() {
        return Err(refuse(40068, "$switch requires at least one branch"));
    }
    Ok(Node::Special(Box::new(switch)))
}

fn parse_branch(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<(Node, Node)> {
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let message = format!("$switch expects each branch to be an object, found {kind}");
        return Err(refuse(40062, message));
    }
    let (mut case, mut then) = (None, None);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"case" => case = Some(parser.operand(element.value)?),
            b"then" => then = Some(parser.operand(element.value)?),
            other => {
                let message = format!("$switch found an unknown argument: {}", show(other));
                return Err(refuse(40063, message));
            }
        }
    }
    let case = case.ok_or_else(|| refuse(40064, "a branch of $switch lacks its 'case'"))?;
    let then = then.ok_or_else(|| refuse(40065, "a branch of $switch lacks its 'then'"))?;
    Ok((case, then))
}

impl Special for Switch {
    fn evaluate<'a>(&'a self, environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
        for (case, then) in &self.branches {
            if is_true(case, environment)? {
                return then.evaluate(environment);
            }
        }
        match &self.default {
            Some(default) => default.evaluate(environment),
            None => Err(refuse(
                40066,
                "$switch has no branch that holds, and no default",
            )),
        }
    }

    fn children(&mut self) -> Vec<&mut Node> {
        let branches = self.branches.iter_mut();
        branches
            .flat_map(|(case, then)| [case, then])
            .chain(&mut self.default)
            .collect()
    }

    fn optimises_itself(&self) -> bool {
        true
    }

    /// Branches that never hold go, and so do those after one that always does;
    /// what goes is not looked into.
    fn prepare(&mut self) -> Result<()> {
        self.default = self.default.take().map(optimise).transpose()?;
        let mut kept = Vec::with_capacity(self.branches.len());
        for (case, then) in std::mem::take(&mut self.branches) {
            let case = optimise(case)?;
            match constant(&case) {
                None => kept.push((case, optimise(then)?)),
                Some(value) if value.is_some_and(Value::is_truthy) => {
                    self.default = Some(optimise(then)?);
                    break;
                }
                Some(_) => {}
            }
        }
        self.branches = kept;
        if self.branches.is_empty() && self.default.is_none() {
            let message = "no case of $switch can hold, and there is no default";
            return Err(refuse(40069, message));
        }
        Ok(())
    }

    fn replacement(&mut self) -> Option<Node> {
        if self.branches.is_empty() {
            self.default.take()
        } else {
            None
        }
    }
}

/// Drops what constants decide of a `$cond` or an `$ifNull`.
pub(super) fn simplify(mut call: Call) -> Node {
    match call.name {
        "$cond" => {
            if let Some(condition) = constant(argument(&call.arguments, 0)) {
                let chosen = if condition.is_some_and(Value::is_truthy) {
                    1
                } else {
                    2
                };
                if chosen < call.arguments.len() {
                    return call.arguments.swap_remove(chosen);
                }
            }
        }
        "$ifNull" => {
            let last = call.arguments.pop();
            call.arguments.retain(|node| match constant(node) {
                Some(value) => value.is_some_and(|value| !value.is_nullish()),
                None => true,
            });
            call.arguments.extend(last);
            if call.arguments.len() == 1
                && let Some(only) = call.arguments.pop()
            {
                return only;
            }
        }
        _ => {}
    }
    Node::Call(call)
}
