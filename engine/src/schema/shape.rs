//! What a schema makes of a document before it is checked: values coerced, defaults filled
//! in, fields that nobody named taken out.
//!
//! ## Invariants
//! * Fields keep their order; those with defaults come last in their document.
//! * A field with a default is never missing in what is written.
//! * Shaping what was shaped changes nothing.

use super::coerce::coerce;
use super::plan::{Level, Node, Plan, Source, Unknown};
use crate::error::Result;
use crate::functions::Draw;
use crate::values::{DocumentBuilder, Element, Elements, Kind, OwnedValue, PositionName, RawValue};

/// Writes the shaped document.
struct Shaper<'a> {
    out: DocumentBuilder,
    unknown: Unknown,
    draw: &'a Draw<'a>,
}

impl Plan {
    /// What becomes of a document; `None` if it stays as it is.
    ///
    /// # Errors
    /// A default comes from a function that is not registered.
    pub(crate) fn shape(&self, document: &[u8], draw: &Draw<'_>) -> Result<Option<Vec<u8>>> {
        if !self.shapes {
            return Ok(None);
        }
        let mut shaper = Shaper {
            out: DocumentBuilder::with_capacity(document.len() + 64),
            unknown: self.unknown,
            draw,
        };
        shaper.level(&self.root, Elements::new(document), true)?;
        let shaped = shaper.out.finish();
        if shaped == document {
            return Ok(None);
        }
        crate::values::validate_document(&shaped)?;
        Ok(Some(shaped))
    }
}

impl Shaper<'_> {
    fn level(&mut self, level: &Level, fields: Elements<'_>, is_root: bool) -> Result<()> {
        for Element { name, value } in fields.clone() {
            match level.node(name) {
                Some(node) => self.value(node, name, value)?,
                None if is_root && name == b"_id" => self.out.append(name, value),
                None if self.unknown == Unknown::Remove => {}
                None => self.out.append(name, value),
            }
        }
        for node in &level.nodes {
            if fields.clone().find_name(&node.name).is_some() {
                continue;
            }
            if let Some(default) = &node.default {
                let value = self.default(default)?;
                self.value(node, &node.name, value.as_raw())?;
            } else if let (true, Some(inner)) = (node.is_made(), &node.inner) {
                self.out.open_document(&node.name);
                self.level(inner, Elements::new(&[]), false)?;
                self.out.close();
            }
        }
        Ok(())
    }

    fn value(&mut self, node: &Node, name: &[u8], value: RawValue<'_>) -> Result<()> {
        if node.coerce
            && !node.accepts(value.kind())
            && let Some(new) = coerce(value, &node.kinds)
        {
            self.out.append(name, new.as_raw());
            return Ok(());
        }
        match (value.kind(), &node.items, &node.inner) {
            (Kind::Document, _, Some(inner)) => {
                self.out.open_document(name);
                self.level(inner, Elements::new(value.bytes()), false)?;
                self.out.close();
            }
            (Kind::Array, Some(items), _) => {
                self.out.open_array(name);
                for (place, element) in Elements::new(value.bytes()).enumerate() {
                    let position = PositionName::new(place);
                    self.value(items, position.as_bytes(), element.value)?;
                }
                self.out.close();
            }
            (Kind::Array, None, Some(inner)) => {
                self.out.open_array(name);
                for (place, element) in Elements::new(value.bytes()).enumerate() {
                    let position = PositionName::new(place);
                    if element.value.kind() == Kind::Document {
                        self.out.open_document(position.as_bytes());
                        self.level(inner, Elements::new(element.value.bytes()), false)?;
                        self.out.close();
                    } else {
                        self.out.append(position.as_bytes(), element.value);
                    }
                }
                self.out.close();
            }
            _ => self.out.append(name, value),
        }
        Ok(())
    }

    fn default(&self, default: &Source) -> Result<OwnedValue> {
        match default {
            Source::Value(value) => Ok(value.clone()),
            Source::Function(name) => self.draw.default(name),
        }
    }
}
