//! What is known before any document is seen.
//!
//! Constant parts are evaluated here, so that an error in one refuses the whole
//! expression, as MongoDB does, whether or not a document would reach it.

use super::environment::Environment;
use super::node::{Call, Node};
use super::operators::Grouping;
use super::value::Value;
use super::{boolean, conditional, dates, operators, sets};
use crate::error::Result;

/// An empty document, as what constants are evaluated over.
const NOTHING: &[u8] = &[5, 0, 0, 0, 0];

/// The same expression with its constant parts evaluated.
pub(super) fn optimise(node: Node) -> Result<Node> {
    match node {
        Node::Document(fields) => {
            let mut optimised = Vec::with_capacity(fields.len());
            for (name, node) in fields {
                optimised.push((name, optimise(node)?));
            }
            let is_constant = optimised.iter().all(|(_, node)| node.is_constant());
            fold_if(is_constant, Node::Document(optimised))
        }
        Node::Array(nodes) => {
            let nodes = all(nodes)?;
            let is_constant = nodes.iter().all(Node::is_constant);
            fold_if(is_constant, Node::Array(nodes))
        }
        Node::Call(call) => optimise_call(call),
        Node::Special(mut special) => {
            if !special.optimises_itself() {
                for child in special.children() {
                    *child = optimise(std::mem::replace(child, Node::Missing))?;
                }
            }
            special.prepare()?;
            Ok(special.replacement().unwrap_or(Node::Special(special)))
        }
        other => Ok(other),
    }
}

fn all(nodes: Vec<Node>) -> Result<Vec<Node>> {
    nodes.into_iter().map(optimise).collect()
}

fn fold_if(is_constant: bool, node: Node) -> Result<Node> {
    if !is_constant {
        return Ok(node);
    }
    let value = match node.evaluate(&mut Environment::new(NOTHING))? {
        Some(value) => Some(value.into_static()?),
        None => None,
    };
    Ok(value.map_or(Node::Missing, Node::Constant))
}

fn optimise_call(mut call: Call) -> Result<Node> {
    call.arguments = all(call.arguments)?;
    if call.arguments.iter().all(Node::is_constant) && operators::folds(call.name) {
        return fold_if(true, Node::Call(call));
    }
    if let Some(node) = dates::check_constants(&call)? {
        return Ok(node);
    }
    sets::check_constants(&call)?;
    match operators::grouping(call.name) {
        Grouping::None => {}
        Grouping::Ordered => group_constants(&mut call, false)?,
        Grouping::Any => group_constants(&mut call, true)?,
    }
    Ok(match call.name {
        "$and" | "$or" => boolean::simplify(call),
        "$cond" | "$ifNull" => conditional::simplify(call),
        "$setIntersection" => sets::simplify(call),
        _ => Node::Call(call),
    })
}

/// Takes the operands of inner calls of the same operator for its own, and
/// brings constants together: all of them, at the end, where order does not
/// matter, else those that stand beside each other.
fn group_constants(call: &mut Call, is_commutative: bool) -> Result<()> {
    let mut arguments = Vec::with_capacity(call.arguments.len());
    for node in std::mem::take(&mut call.arguments) {
        match node {
            Node::Call(inner) if inner.name == call.name => arguments.extend(inner.arguments),
            other => arguments.push(other),
        }
    }
    let mut constants = Vec::new();
    for node in arguments {
        if node.is_constant() {
            constants.push(node);
            continue;
        }
        if !is_commutative {
            flush(call, &mut constants)?;
        }
        call.arguments.push(node);
    }
    flush(call, &mut constants)
}

/// Appends the one value of these constants.
fn flush(call: &mut Call, constants: &mut Vec<Node>) -> Result<()> {
    let constants = std::mem::take(constants);
    if constants.len() < 2 {
        call.arguments.extend(constants);
        return Ok(());
    }
    let folded = Node::Call(Call {
        name: call.name,
        evaluate: call.evaluate,
        arguments: constants,
    });
    call.arguments.push(fold_if(true, folded)?);
    Ok(())
}

/// The value of a node that is constant.
pub(super) fn constant(node: &Node) -> Option<Option<&Value<'static>>> {
    match node {
        Node::Constant(value) => Some(Some(value)),
        Node::Missing | Node::Absent => Some(None),
        _ => None,
    }
}
