//! The tree meets a document: what comes out is written in one pass.
//!
//! Recursion goes down the tree, which has at most 100 levels, and arrays in arrays of
//! the document, which has as many.

use super::tree::{Child, Computed, Mode, Node};
use crate::error::{Error, ErrorKind, Result};
use crate::expression::Value;
use crate::surroundings::Surroundings;
use crate::values::{
    DocumentBuilder, Element, Elements, Kind, MAX_DEPTH, MAX_DOCUMENT_LEN, PositionName, RawValue,
    depth,
};

/// What a document becomes.
pub(super) fn write(
    mode: Mode,
    root: &Node,
    document: &[u8],
    surroundings: &Surroundings,
) -> Result<Vec<u8>> {
    let mut writer = Writer {
        mode,
        document,
        surroundings,
        out: DocumentBuilder::with_capacity(document.len().min(4096)),
        may_be_deep: false,
    };
    writer.fields(root, Some(Elements::new(document)))?;
    if writer.out.len() >= MAX_DOCUMENT_LEN {
        let message = format!("a document would exceed {MAX_DOCUMENT_LEN} bytes");
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    let may_be_deep = writer.may_be_deep;
    let bytes = writer.out.finish();
    if may_be_deep {
        let whole = RawValue {
            kind: Kind::Document,
            bytes: &bytes,
        };
        if depth(whole, MAX_DEPTH + 1) > MAX_DEPTH {
            let message = format!("a computed document has more than {MAX_DEPTH} levels");
            return Err(Error::new(ErrorKind::TooLarge, message).with_code(15));
        }
    }
    Ok(bytes)
}

struct Writer<'a> {
    mode: Mode,
    document: &'a [u8],
    surroundings: &'a Surroundings,
    out: DocumentBuilder,
    may_be_deep: bool,
}

impl Writer<'_> {
    /// The fields of one level; `None` where there was no document.
    fn fields(&mut self, node: &Node, elements: Option<Elements<'_>>) -> Result<()> {
        let mut is_written = Vec::new();
        if node.has_computed {
            is_written.resize(node.children.len(), false);
        }
        for element in elements.into_iter().flatten() {
            let Some(at) = node.position(element.name) else {
                if self.mode != Mode::Include {
                    self.out.append(element.name, element.value);
                }
                continue;
            };
            let Some((_, child)) = node.children.get(at) else {
                continue;
            };
            let written = match child {
                Child::Keep => {
                    self.out.append(element.name, element.value);
                    true
                }
                Child::Drop => true,
                Child::Nested(inner) => self.nested(inner, element)?,
                Child::Computed(_) if self.mode == Mode::Include => false,
                Child::Computed(computed) => {
                    self.computed(element.name, computed)?;
                    true
                }
            };
            if let Some(flag) = is_written.get_mut(at) {
                *flag |= written;
            }
        }
        let rest = node.children.iter().zip(is_written);
        for ((name, child), _) in rest.filter(|(_, is_written)| !is_written) {
            match child {
                Child::Computed(computed) => self.computed(name, computed)?,
                Child::Nested(inner) if inner.has_computed => {
                    self.may_be_deep = true;
                    self.out.open_document(name);
                    self.fields(inner, None)?;
                    self.out.close();
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A value of which more is said; whether it left anything.
    fn nested(&mut self, node: &Node, element: Element<'_>) -> Result<bool> {
        let Element { name, value } = element;
        match value.kind() {
            Kind::Document => {
                self.out.open_document(name);
                self.fields(node, Some(Elements::new(value.bytes())))?;
                self.out.close();
            }
            Kind::Array => {
                self.out.open_array(name);
                let mut position = 0;
                for element in Elements::new(value.bytes()) {
                    let name = PositionName::new(position);
                    let element = Element {
                        name: name.as_bytes(),
                        value: element.value,
                    };
                    position += usize::from(self.nested(node, element)?);
                }
                self.out.close();
            }
            _ => match self.mode {
                Mode::Include if !node.has_computed => return Ok(false),
                Mode::Exclude => self.out.append(name, value),
                Mode::Include | Mode::Add => {
                    self.may_be_deep = true;
                    self.out.open_document(name);
                    self.fields(node, None)?;
                    self.out.close();
                }
            },
        }
        Ok(true)
    }

    fn computed(&mut self, name: &[u8], computed: &Computed) -> Result<()> {
        match computed {
            Computed::Expression(expression) => {
                let mut environment = self.surroundings.environment(self.document);
                let value: Option<Value<'_>> = expression.evaluate(&mut environment)?;
                if let Some(value) = value {
                    self.may_be_deep |= matches!(value.kind(), Kind::Document | Kind::Array);
                    value.append_to(name, &mut self.out)?;
                }
            }
            Computed::ElementMatch(field, filter) => {
                let document = bson::RawDocument::from_bytes(self.document)?;
                let array = Elements::new(self.document).find_name(field);
                let array = array.filter(|array| array.kind() == Kind::Array);
                let found = filter.matched_position(document)?.and_then(|at| {
                    let mut elements = Elements::new(array?.bytes());
                    elements.nth(at)
                });
                if let Some(found) = found {
                    self.out.open_array(name);
                    self.out.append(b"0", found.value);
                    self.out.close();
                }
            }
        }
        Ok(())
    }
}
