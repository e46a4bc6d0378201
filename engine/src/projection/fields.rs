//! `$addFields` and `$unset`.

use bson::RawDocument;

use super::Projection;
use super::parse::{steps, text};
use super::tree::{Child, Computed, Mode, Node};
use crate::error::{Error, Result};
use crate::expression::{Expression, Scope};
use crate::values::{Elements, Kind, RawValue};

fn refused(code: i32, message: impl Into<String>) -> Error {
    Error::bad_value(message).with_code(code)
}

pub(super) fn add_fields(fields: &RawDocument, scope: &Scope) -> Result<Projection> {
    let mut root = Node::default();
    for field in Elements::new(fields.as_bytes()) {
        add(&mut root, &[], field.name, field.value, scope)?;
    }
    Ok(Projection {
        mode: Mode::Add,
        root,
        slices: Vec::new(),
        positional: None,
    })
}

fn add(
    root: &mut Node,
    parent: &[Box<[u8]>],
    name: &[u8],
    value: RawValue<'_>,
    scope: &Scope,
) -> Result<()> {
    if !parent.is_empty() && name.contains(&b'.') {
        let message = format!("a nested name must not have dots: '{}'", text(name));
        return Err(refused(40183, message));
    }
    let steps = steps(parent, name)?;
    if value.kind() == Kind::Document {
        let names: Vec<&[u8]> = Elements::new(value.bytes())
            .map(|field| field.name)
            .collect();
        if names.is_empty() {
            let message = format!("an empty document is not a valid value of '{}'", text(name));
            return Err(refused(40180, message));
        }
        if !names.iter().any(|name| name.starts_with(b"$")) {
            for field in Elements::new(value.bytes()) {
                add(root, &steps, field.name, field.value, scope)?;
            }
            return Ok(());
        }
        if names.len() > 1 {
            let message = format!(
                "an expression has exactly one operator, at '{}'",
                text(name)
            );
            return Err(refused(40181, message));
        }
    }
    let computed = Computed::Expression(Expression::parse(value, scope)?);
    root.add(&steps, Child::Computed(Box::new(computed)), &|_| {
        let path = text(&steps.join(&b'.'));
        refused(
            40176,
            format!("two paths of the specification conflict at '{path}'"),
        )
    })
}

pub(super) fn unset(operand: RawValue<'_>) -> Result<Projection> {
    let paths: Vec<&[u8]> = match (operand.kind(), operand.text()) {
        (Kind::String, Some(path)) => vec![path],
        (Kind::Array, _) => {
            let mut paths = Vec::new();
            for element in Elements::new(operand.bytes()) {
                match (element.value.kind(), element.value.text()) {
                    (Kind::String, Some(path)) => paths.push(path),
                    _ => return Err(refused(31120, "$unset expects strings in its array")),
                }
            }
            if paths.is_empty() {
                return Err(refused(31119, "$unset expects an array that is not empty"));
            }
            paths
        }
        _ => {
            return Err(refused(
                31002,
                "$unset expects a string or an array of strings",
            ));
        }
    };
    let mut root = Node::default();
    for path in paths {
        let steps = steps(&[], path)?;
        root.add(&steps, Child::Drop, &|is_below| {
            let code = if is_below { 31249 } else { 31250 };
            refused(code, format!("path collision at '{}'", text(path)))
        })?;
    }
    Ok(Projection {
        mode: Mode::Exclude,
        root,
        slices: Vec::new(),
        positional: None,
    })
}
