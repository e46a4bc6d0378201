//! `$and $or $not`.

use super::environment::Environment;
use super::node::{Call, Node, argument};
use super::operators::{ANY, Entry, call};
use super::optimise::constant;
use super::value::Value;
use crate::error::Result;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$and" => call("$and", 0, ANY, and),
        "$or" => call("$or", 0, ANY, or),
        "$not" => call("$not", 1, 1, |a, e| {
            Ok(Some(Value::boolean(!is_true(argument(a, 0), e)?)))
        }),
        _ => return None,
    })
}

/// Whether an expression's value is taken for true; none is false.
#[inline]
pub(super) fn is_true<'a>(node: &'a Node, environment: &mut Environment<'a>) -> Result<bool> {
    let value = node.evaluate(environment)?;
    Ok(value.is_some_and(|value| value.is_truthy()))
}

fn and<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    for argument in arguments {
        if !is_true(argument, environment)? {
            return Ok(Some(Value::boolean(false)));
        }
    }
    Ok(Some(Value::boolean(true)))
}

fn or<'a>(arguments: &'a [Node], environment: &mut Environment<'a>) -> Result<Option<Value<'a>>> {
    for argument in arguments {
        if is_true(argument, environment)? {
            return Ok(Some(Value::boolean(true)));
        }
    }
    Ok(Some(Value::boolean(false)))
}

/// Leaves out what a constant among the operands decides; the constants stand
/// at the end. An operand that would fail is not reached then, as in MongoDB.
pub(super) fn simplify(mut call: Call) -> Node {
    let decides = match call.name {
        "$and" => false,
        "$or" => true,
        _ => return Node::Call(call),
    };
    let Some(last) = call.arguments.last().and_then(constant) else {
        return Node::Call(call);
    };
    if last.is_some_and(Value::is_truthy) == decides {
        return Node::Constant(Value::boolean(decides));
    }
    call.arguments.pop();
    Node::Call(call)
}
