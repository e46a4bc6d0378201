//! Operands of queries, as the schema has the fields that they ask for.

use super::coerce::coerce;
use super::plan::{Node, Plan};
use crate::error::{Error, Result};
use crate::values::{DocumentBuilder, Element, Elements, Kind, PositionName, RawValue};

impl Plan {
    /// The filter with its operands coerced where the schema says so; `None` if it stays.
    ///
    /// # Errors
    /// An operand of a comparison cannot be coerced to what the field is: no document
    /// could match.
    pub(crate) fn filter(&self, filter: &[u8]) -> Result<Option<Vec<u8>>> {
        if !self.coerces {
            return Ok(None);
        }
        let mut out = DocumentBuilder::with_capacity(filter.len());
        self.clauses(&mut out, Elements::new(filter))?;
        let new = out.finish();
        Ok((new != filter).then_some(new))
    }

    fn clauses(&self, out: &mut DocumentBuilder, clauses: Elements<'_>) -> Result<()> {
        for Element { name, value } in clauses {
            match name {
                b"$and" | b"$or" | b"$nor" if value.kind() == Kind::Array => {
                    out.open_array(name);
                    for part in value.elements().into_iter().flatten() {
                        if part.value.kind() == Kind::Document {
                            out.open_document(part.name);
                            self.clauses(out, Elements::new(part.value.bytes()))?;
                            out.close();
                        } else {
                            out.append(part.name, part.value);
                        }
                    }
                    out.close();
                }
                _ if name.starts_with(b"$") => out.append(name, value),
                path => match self.node_at(path).filter(|node| node.coerce) {
                    Some(node) => condition(out, node, path, value)?,
                    None => out.append(path, value),
                },
            }
        }
        Ok(())
    }

    /// The field that a path reaches; positions in arrays are passed over.
    fn node_at(&self, path: &[u8]) -> Option<&Node> {
        let mut steps = path.split(|byte| *byte == b'.');
        let mut node = self.root.node(steps.next()?)?;
        for step in steps {
            let is_position = step.iter().all(u8::is_ascii_digit);
            node = match (&node.items, &node.inner) {
                (Some(items), _) if is_position => items,
                (None, Some(_)) if is_position => node,
                (Some(items), _) => items.inner.as_ref()?.node(step)?,
                (None, Some(inner)) => inner.node(step)?,
                (None, None) => return None,
            };
        }
        Some(node)
    }
}

/// What is asked of one path.
fn condition(
    out: &mut DocumentBuilder,
    node: &Node,
    path: &[u8],
    asked: RawValue<'_>,
) -> Result<()> {
    let first = asked.elements().and_then(|mut it| it.next());
    let has_operators =
        asked.kind() == Kind::Document && first.is_some_and(|it| it.name.starts_with(b"$"));
    if !has_operators {
        return operand(out, node, path, path, asked);
    }
    out.open_document(path);
    for Element { name, value } in asked.elements().into_iter().flatten() {
        match name {
            b"$eq" | b"$ne" | b"$gt" | b"$gte" | b"$lt" | b"$lte" => {
                operand(out, node, path, name, value)?;
            }
            b"$in" | b"$nin" | b"$all" if value.kind() == Kind::Array => {
                out.open_array(name);
                for (place, one) in value.elements().into_iter().flatten().enumerate() {
                    let position = PositionName::new(place);
                    operand(out, node, path, position.as_bytes(), one.value)?;
                }
                out.close();
            }
            b"$not" if value.kind() == Kind::Document => condition(out, node, name, value)?,
            _ => out.append(name, value),
        }
    }
    out.close();
    Ok(())
}

fn operand(
    out: &mut DocumentBuilder,
    node: &Node,
    path: &[u8],
    name: &[u8],
    value: RawValue<'_>,
) -> Result<()> {
    // These ask for more than values of the field's type.
    let is_special = matches!(
        value.kind(),
        Kind::Null | Kind::Regex | Kind::MinKey | Kind::MaxKey | Kind::Document | Kind::Array
    );
    if node.accepts(value.kind()) || is_special {
        out.append(name, value);
        return Ok(());
    }
    // Numbers compare across their types: what cannot be turned is right as it is.
    let numbers = |kind: Kind| kind.class() == crate::values::Class::Number;
    match coerce(value, &node.kinds) {
        Some(new) => out.append(name, new.as_raw()),
        None if numbers(value.kind()) && node.kinds.iter().any(|kind| numbers(*kind)) => {
            out.append(name, value);
        }
        None => {
            let message = format!(
                "the operand of '{}' is of type {}, and cannot be turned into {}",
                String::from_utf8_lossy(path),
                value.kind().name(),
                node.types
            );
            return Err(Error::bad_value(message));
        }
    }
    Ok(())
}
