//! The walk over a document that applies the tree of an update to it.
//!
//! Where paths meet only in this document (`a.0` and `a.$`, `a.$[x]` and
//! `a.$[y]`), several trees belong to one value: they are walked side by side,
//! and it is a conflict if one of them is an operator.
//!
//! A path that leads nowhere is made, if its operator makes anything: in a
//! document as documents, in an array at a position, with nulls before it.
//! What a scalar stands in the way of is an error.

use std::collections::BTreeMap;

use super::node::{Node, position_of};
use super::operator::{Operator, Outcome};
use super::scene::{MAX_PADDING, Scene};
use super::tree::{Fields, Name, Selector, Tree, conflict_at, order};
use crate::error::{Error, Result};
use crate::values::Kind;

/// The trees that belong to one value.
type Trees<'a> = Vec<&'a Tree>;

/// Applies `trees` to a value.
pub(super) fn apply<'a>(
    trees: &[&'a Tree],
    node: &mut Node<'a>,
    scene: &mut Scene<'a>,
) -> Result<Outcome> {
    match trees {
        [] => Ok(Outcome::Unchanged),
        [Tree::Leaf(operator)] => {
            scene.charge(1)?;
            let outcome = operator.apply(node, scene)?;
            if outcome == Outcome::Changed {
                node.touch();
            }
            Ok(outcome)
        }
        [Tree::Fields(_), ..] => fields(trees, node, scene),
        [Tree::Elements(_), ..] => elements(trees, node, scene),
        [Tree::Leaf(_), ..] => Err(conflict(scene)),
    }
}

fn conflict(scene: &Scene<'_>) -> Error {
    let place = scene.place();
    conflict_at(&place, &place)
}

/// The children of trees that name fields, in order of application.
fn children<'a>(trees: &[&'a Tree], scene: &Scene<'a>) -> Result<Vec<(&'a [u8], Trees<'a>)>> {
    let mut children: Vec<(&'a [u8], Trees<'a>)> = Vec::new();
    for tree in trees {
        let Tree::Fields(Fields { named, positional }) = tree else {
            return Err(conflict(scene));
        };
        for (Name(name), child) in named {
            children.push((&**name, vec![child]));
        }
        if let Some(child) = positional {
            let Some(position) = scene.position else {
                return Err(scene.bad_value(
                    "the positional operator did not find the match needed from the query",
                ));
            };
            children.push((position, vec![&**child]));
        }
    }
    // One tree without `$` is in order, and each name once.
    let is_plain = matches!(trees, [Tree::Fields(fields)] if fields.positional.is_none());
    if !is_plain {
        children.sort_by(|(left, _), (right, _)| order(left, right));
        children.dedup_by(|(name, trees), (kept, merged)| {
            let is_same = name == kept;
            if is_same {
                merged.append(trees);
            }
            is_same
        });
    }
    Ok(children)
}

/// Trees that name fields, on a value.
fn fields<'a>(trees: &[&'a Tree], node: &mut Node<'a>, scene: &mut Scene<'a>) -> Result<Outcome> {
    let mut changed = false;
    let in_array = usize::from(node.kind() == Kind::Array);
    let children = children(trees, scene)?;
    // No name comes twice: places hold while fields are added, and those that go
    // go together at the end.
    let index = node.index(children.len());
    let mut gone = Vec::new();
    for (name, trees) in children {
        scene.arrays_above += in_array;
        let place = match &index {
            Some(index) => index.get(name).copied(),
            None => node.child_at(name),
        };
        let child_changed = if let Some(at) = place {
            scene.path.push(name);
            let outcome = match node.child_mut(at) {
                Some(child) => apply(&trees, child, scene)?,
                None => Outcome::Unchanged,
            };
            scene.path.pop();
            if outcome == Outcome::Remove && in_array == 0 {
                gone.push(at);
                true
            } else {
                settle(node, at, outcome)
            }
        } else {
            missing(&trees, node, name, scene)?
        };
        scene.arrays_above -= in_array;
        changed |= child_changed;
    }
    if !gone.is_empty() {
        node.remove_fields(gone);
    }
    Ok(Outcome::changed(changed))
}

/// Does to an array what the outcome at an element asks for, and marks any parent of
/// a child that changed; whether one did.
fn settle(node: &mut Node<'_>, at: usize, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Unchanged => return false,
        Outcome::Changed => node.touch(),
        Outcome::Remove => {
            // Taken out of an array, an element leaves null: it may be that already.
            let was_null = matches!(node, Node::Array(_))
                && node.child_mut(at).map(|child| child.kind()) == Some(Kind::Null);
            if was_null {
                return false;
            }
            node.remove_child(at);
        }
    }
    true
}

/// Trees that select elements, on a value.
fn elements<'a>(trees: &[&'a Tree], node: &mut Node<'a>, scene: &mut Scene<'a>) -> Result<Outcome> {
    let mut selectors: BTreeMap<Selector, Trees<'a>> = BTreeMap::new();
    for tree in trees {
        let Tree::Elements(own) = tree else {
            return Err(conflict(scene));
        };
        for (selector, child) in own {
            selectors.entry(*selector).or_default().push(child);
        }
    }
    let kind = node.kind();
    let Some(count) = node.elements_mut().map(|elements| elements.len()) else {
        return Err(scene.bad_value(&format!(
            "cannot apply array updates to a non-array element of type {}",
            kind.name()
        )));
    };
    let mut changed = false;
    scene.arrays_above += 1;
    scene.path.push(b"$[]");
    for at in 0..count {
        let mut outcome = Outcome::Unchanged;
        if let Some(element) = node.child_mut(at) {
            let mut trees: Trees<'a> = Vec::new();
            for (selector, own) in &selectors {
                let is_selected = match selector {
                    Selector::All => true,
                    Selector::Filter(filter) => {
                        let element = element.flat()?;
                        scene.charge(1 + element.bytes().len() / 256)?;
                        scene.filters.matches(*filter, element)?
                    }
                };
                if is_selected {
                    trees.extend(own);
                }
            }
            outcome = apply(&trees, element, scene)?;
        }
        changed |= settle(node, at, outcome);
    }
    scene.path.pop();
    scene.arrays_above -= 1;
    Ok(Outcome::changed(changed))
}

/// Trees for a child that is not there; whether one was made.
fn missing<'a>(
    trees: &[&'a Tree],
    parent: &mut Node<'a>,
    name: &'a [u8],
    scene: &mut Scene<'a>,
) -> Result<bool> {
    let position = position_of(name);
    let is_viable = match parent {
        Node::Document(_) => true,
        Node::Array(_) => position.is_some(),
        _ => false,
    };
    if !is_viable {
        for tree in trees {
            impossible(tree, parent.kind(), name, scene)?;
        }
        return Ok(false);
    }
    scene.path.push(name);
    let made = make(trees, scene)?;
    scene.path.pop();
    let Some(made) = made else { return Ok(false) };
    match (&mut *parent, position) {
        (Node::Document(document), _) => document.fields.push((name.into(), made)),
        (Node::Array(array), Some(position)) => {
            let padding = position.saturating_sub(array.elements.len());
            if padding > MAX_PADDING {
                let message = format!("can't backfill more than {MAX_PADDING} elements");
                return Err(Error::bad_value(message).with_code(34));
            }
            scene.charge(padding)?;
            array.elements.resize(position, Node::null());
            array.elements.push(made);
        }
        _ => return Ok(false),
    }
    parent.touch();
    Ok(true)
}

/// What the trees make out of nothing.
fn make<'a>(trees: &[&'a Tree], scene: &mut Scene<'a>) -> Result<Option<Node<'a>>> {
    scene.charge(1)?;
    match trees {
        [] => Ok(None),
        [Tree::Leaf(operator)] => operator.create(scene),
        [Tree::Leaf(_), ..] => Err(conflict(scene)),
        [Tree::Elements(_), ..] => Err(must_exist(scene)),
        [Tree::Fields(_), ..] => {
            let mut document = None;
            for (name, trees) in children(trees, scene)? {
                scene.path.push(name);
                let made = make(&trees, scene)?;
                scene.path.pop();
                let Some(made) = made else { continue };
                if let Node::Document(document) = document.get_or_insert_with(Node::document) {
                    document.fields.push((name.into(), made));
                }
            }
            Ok(document)
        }
    }
}

fn must_exist(scene: &Scene<'_>) -> Error {
    scene.bad_value("the path must exist in the document in order to apply array updates")
}

/// A tree below a value that can have no such child: an error, but for
/// operators to which that is nothing.
fn impossible<'a>(tree: &'a Tree, kind: Kind, name: &'a [u8], scene: &mut Scene<'a>) -> Result<()> {
    match tree {
        Tree::Leaf(operator) if operator.ignores_impossible_paths(scene) => Ok(()),
        // A rename into an array is refused as such.
        Tree::Leaf(Operator::Renamed { index }) => scene
            .moved(*index)
            .and_then(|_| Err(scene.not_viable(name, kind.name()))),
        Tree::Leaf(_) => Err(scene.not_viable(name, kind.name())),
        Tree::Elements(_) => Err(must_exist(scene)),
        Tree::Fields(_) => {
            for (_, trees) in children(&[tree], scene)? {
                for tree in trees {
                    impossible(tree, kind, name, scene)?;
                }
            }
            Ok(())
        }
    }
}
