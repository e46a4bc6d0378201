//! Documents and arrays written into one buffer, field by field.
//!
//! ## Invariants
//! * What comes out of [`DocumentBuilder::finish`] is one whole document: every
//!   level that was opened is closed, each with its length in front.
//! * Nothing is looked into: names hold no NUL and values are whole, as those
//!   of a validated document are. Size and depth are the caller's to check
//!   ([`DocumentBuilder::len`], [`depth`]).

use super::kind::Kind;
use super::scan::{Elements, RawValue};

/// Writes a document.
///
/// ```
/// use collection_store::values::{DocumentBuilder, Elements};
/// let source = bson::rawdoc! { "a": 1 };
/// let one = Elements::new(source.as_bytes()).find_name(b"a").unwrap();
/// let mut builder = DocumentBuilder::new();
/// builder.append(b"x", one);
/// builder.open_array(b"y");
/// builder.append(b"0", one);
/// builder.close();
/// assert_eq!(builder.finish(), bson::rawdoc! { "x": 1, "y": [1] }.into_bytes());
/// ```
#[derive(Debug)]
pub struct DocumentBuilder {
    bytes: Vec<u8>,
    /// Where each level that is open begins.
    open: Vec<usize>,
}

impl Default for DocumentBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl DocumentBuilder {
    /// An empty document.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(64)
    }

    /// An empty document with room for so many bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut builder = Self {
            bytes: Vec::with_capacity(capacity),
            open: Vec::new(),
        };
        builder.bytes.extend_from_slice(&[0; 4]);
        builder
    }

    /// Bytes written so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no field was written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= 4
    }

    /// Appends a field.
    #[inline]
    pub fn append(&mut self, name: &[u8], value: RawValue<'_>) {
        self.name(value.kind, name);
        self.bytes.extend_from_slice(value.bytes);
    }

    /// Appends a field whose value is these parts, one after the other.
    pub(crate) fn append_parts(&mut self, name: &[u8], kind: Kind, parts: &[&[u8]]) {
        self.name(kind, name);
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
    }

    /// Appends a string.
    pub fn append_text(&mut self, name: &[u8], text: &[u8]) {
        let len = i32::try_from(text.len() + 1).unwrap_or(i32::MAX);
        self.append_parts(name, Kind::String, &[&len.to_le_bytes(), text, &[0]]);
    }

    /// Begins a document; the fields that follow are its own, up to [`Self::close`].
    pub fn open_document(&mut self, name: &[u8]) {
        self.name(Kind::Document, name);
        self.open_level();
    }

    /// Begins an array; the fields that follow are its elements, up to [`Self::close`].
    pub fn open_array(&mut self, name: &[u8]) {
        self.name(Kind::Array, name);
        self.open_level();
    }

    /// Ends the innermost document or array that is open.
    pub fn close(&mut self) {
        if let Some(start) = self.open.pop() {
            self.end(start);
        }
    }

    /// The whole document; levels that are open are closed.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        while !self.open.is_empty() {
            self.close();
        }
        self.end(0);
        self.bytes
    }

    fn open_level(&mut self) {
        self.open.push(self.bytes.len());
        self.bytes.extend_from_slice(&[0; 4]);
    }

    #[inline]
    fn name(&mut self, kind: Kind, name: &[u8]) {
        debug_assert!(!name.contains(&0), "a name with NUL");
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
    }

    fn end(&mut self, start: usize) {
        self.bytes.push(0);
        let len = i32::try_from(self.bytes.len() - start).unwrap_or(i32::MAX);
        if let Some(prefix) = self.bytes.get_mut(start..start + 4) {
            prefix.copy_from_slice(&len.to_le_bytes());
        }
    }
}

/// The name of the element at a position of an array.
#[derive(Debug)]
pub struct PositionName {
    digits: [u8; 20],
    start: usize,
}

impl PositionName {
    /// Of this position.
    #[must_use]
    pub fn new(mut position: usize) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            #[allow(clippy::cast_possible_truncation, reason = "below ten")]
            let digit = (position % 10) as u8;
            digits[start] = b'0' + digit;
            position /= 10;
            if position == 0 || start == 0 {
                return Self { digits, start };
            }
        }
    }

    /// The digits.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.digits.get(self.start..).unwrap_or_default()
    }
}

/// How many levels a value has: none for a scalar, one for a document of
/// scalars. Nothing beyond `limit` is looked for.
pub(crate) fn depth(value: RawValue<'_>, limit: usize) -> usize {
    let Some(elements) = value.elements() else {
        return 0;
    };
    // Without recursion: what is computed may be deeper than any document.
    let mut levels: Vec<Elements<'_>> = vec![elements];
    let mut deepest = 1;
    while let Some(level) = levels.last_mut() {
        match level.next() {
            None => {
                levels.pop();
            }
            Some(element) => {
                if let Some(inner) = element.value.elements()
                    && levels.len() < limit
                {
                    levels.push(inner);
                    deepest = deepest.max(levels.len());
                }
            }
        }
    }
    deepest
}

#[cfg(test)]
mod tests;
