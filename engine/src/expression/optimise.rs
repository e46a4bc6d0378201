//! What is known before any document is seen.
//!
//! Constant parts are evaluated here, so that an error in one refuses the whole
//! expression, as MongoDB does, whether or not a document would reach it.

use super::environment::Environment;
use super::node::{Call, Node};
use super::value::Value;
use super::{boolean, operators};
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
            let mut is_constant = special.folds();
            for child in special.children() {
                *child = optimise(std::mem::replace(child, Node::Missing))?;
                is_constant &= child.is_constant();
            }
            special.prepare()?;
            fold_if(is_constant, Node::Special(special))
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
    let is_constant = call.arguments.iter().all(Node::is_constant);
    if is_constant {
        return fold_if(true, Node::Call(call));
    }
    if operators::is_associative(call.name) {
        gather_constants(&mut call)?;
    }
    Ok(boolean::simplify(call))
}

/// Brings the constants among the operands of an operator that is associative
/// and commutative together, at the end.
fn gather_constants(call: &mut Call) -> Result<()> {
    let arguments = std::mem::take(&mut call.arguments);
    let (constants, mut others): (Vec<Node>, Vec<Node>) =
        arguments.into_iter().partition(Node::is_constant);
    match constants.len() {
        0 => {}
        1 => others.extend(constants),
        _ => others.push(fold_if(
            true,
            Node::Call(Call {
                name: call.name,
                evaluate: call.evaluate,
                arguments: constants,
            }),
        )?),
    }
    call.arguments = others;
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
