//! Documents of values.

use super::Value;
use crate::error::Result;
use crate::expression::limits;
use crate::values::{DocumentBuilder, Element, Kind};

/// Writes a document of values.
#[derive(Debug, Default)]
pub(in crate::expression) struct Fields {
    builder: DocumentBuilder,
    depth: u8,
}

impl Fields {
    pub(in crate::expression) fn append(&mut self, name: &[u8], value: &Value<'_>) -> Result<()> {
        self.depth = self.depth.max(value.depth_inside()?);
        value.append_to(name, &mut self.builder)
    }

    pub(in crate::expression) fn append_element(&mut self, element: Element<'_>) -> Result<()> {
        self.builder.append(element.name, element.value);
        limits::document_len(self.builder.len())
    }

    /// What `document`'s fields lie in, so far as they were computed.
    pub(in crate::expression) fn deepen(&mut self, document: &Value<'_>) {
        self.depth = self.depth.max(document.computed_depth());
    }

    pub(in crate::expression) fn finish<'a>(self) -> Value<'a> {
        Value::shared(Kind::Document, self.builder.finish(), self.depth.max(1))
    }
}
