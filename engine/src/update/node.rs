//! A document that is being changed.
//!
//! ## Invariants
//! * What no operator touched is written as the bytes it came as: a document
//!   or an array keeps its `original` until something below it changes.
//! * Only what a path goes through is taken apart, one level at a time.
//! * Nothing is written before its length is known to be within the limit.
//!
//! Recursion is bounded: stored documents have at most `MAX_DEPTH` levels, and
//! so have the paths of an update.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};
use crate::values::{Elements, Kind, MAX_DOCUMENT_LEN, OwnedValue, RawValue};

/// A value: bytes as they lie, a scalar that was worked out, or one taken apart.
/// (In boxes, as an array of 16 MiB may have millions of elements.)
#[derive(Clone, Debug)]
pub(super) enum Node<'a> {
    /// Of the document or of an operand.
    Raw(RawValue<'a>),
    /// Worked out by an operator.
    Owned(OwnedValue),
    /// Taken apart, or made.
    Document(Box<DocumentNode<'a>>),
    /// Taken apart, or made.
    Array(Box<ArrayNode<'a>>),
}

/// A document in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct DocumentNode<'a> {
    /// Names and values, in order.
    pub(super) fields: Vec<(Cow<'a, [u8]>, Node<'a>)>,
    original: Option<RawValue<'a>>,
}

/// An array in parts.
#[derive(Clone, Debug, Default)]
pub(super) struct ArrayNode<'a> {
    /// The elements, in order.
    pub(super) elements: Vec<Node<'a>>,
    original: Option<RawValue<'a>>,
}

/// The position that a step of digits stands for in an array.
pub(super) fn position_of(step: &[u8]) -> Option<usize> {
    if step.is_empty() || !step.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(step).ok()?.parse().ok()
}

impl<'a> Node<'a> {
    /// An empty document.
    pub(super) fn document() -> Self {
        Self::Document(Box::default())
    }

    /// An array of these.
    pub(super) fn array(elements: Vec<Node<'a>>) -> Self {
        Self::Array(Box::new(ArrayNode {
            elements,
            original: None,
        }))
    }

    pub(super) fn null() -> Self {
        Self::Raw(RawValue {
            kind: Kind::Null,
            bytes: &[],
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Raw(raw) => raw.kind(),
            Self::Owned(owned) => owned.as_raw().kind(),
            Self::Document(_) => Kind::Document,
            Self::Array(_) => Kind::Array,
        }
    }

    /// The value for reading, if its bytes are at hand.
    pub(super) fn raw(&self) -> Option<RawValue<'_>> {
        match self {
            Self::Raw(raw) => Some(*raw),
            Self::Owned(owned) => Some(owned.as_raw()),
            Self::Document(document) => document.original,
            Self::Array(array) => array.original,
        }
    }

    /// The value for reading; one that was changed is put together first.
    pub(super) fn flat(&mut self) -> Result<RawValue<'_>> {
        if self.raw().is_none() {
            let bytes = self.to_bytes()?;
            let kind = self.kind();
            *self = Self::Owned(
                RawValue {
                    kind,
                    bytes: &bytes,
                }
                .into(),
            );
        }
        self.raw()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "a value has no bytes"))
    }

    /// Takes a document or an array apart, if it is not yet.
    pub(super) fn expand(&mut self) {
        let Self::Raw(raw) = *self else { return };
        let elements = Elements::new(raw.bytes());
        *self = match raw.kind() {
            Kind::Document => Self::Document(Box::new(DocumentNode {
                fields: elements
                    .map(|element| (Cow::Borrowed(element.name), Self::Raw(element.value)))
                    .collect(),
                original: Some(raw),
            })),
            Kind::Array => Self::Array(Box::new(ArrayNode {
                elements: elements.map(|element| Self::Raw(element.value)).collect(),
                original: Some(raw),
            })),
            _ => return,
        };
    }

    /// The elements of an array, taken apart.
    pub(super) fn elements_mut(&mut self) -> Option<&mut Vec<Node<'a>>> {
        self.expand();
        match self {
            Self::Array(array) => Some(&mut array.elements),
            _ => None,
        }
    }

    /// Where the child that `step` names is: a field, or an element by its position.
    pub(super) fn child_at(&mut self, step: &[u8]) -> Option<usize> {
        self.expand();
        match self {
            Self::Document(document) => document
                .fields
                .iter()
                .position(|(name, _)| name.as_ref() == step),
            Self::Array(array) => position_of(step).filter(|at| *at < array.elements.len()),
            _ => None,
        }
    }

    /// The child at a place that [`child_at`](Self::child_at) gave.
    pub(super) fn child_mut(&mut self, at: usize) -> Option<&mut Node<'a>> {
        match self {
            Self::Document(document) => document.fields.get_mut(at).map(|(_, node)| node),
            Self::Array(array) => array.elements.get_mut(at),
            _ => None,
        }
    }

    /// How many children it has, if it was taken apart.
    pub(super) fn children(&self) -> usize {
        match self {
            Self::Document(document) => document.fields.len(),
            Self::Array(array) => array.elements.len(),
            _ => 0,
        }
    }

    /// Where the fields of a document are, if it is worth it for so many lookups.
    pub(super) fn index(&mut self, lookups: usize) -> Option<BTreeMap<Vec<u8>, usize>> {
        /// Comparisons that take about as long as making an index.
        const WORTH_IT: usize = 64 * 1024;
        self.expand();
        let Self::Document(document) = self else {
            return None;
        };
        if lookups.saturating_mul(document.fields.len()) <= WORTH_IT {
            return None;
        }
        let mut index = BTreeMap::new();
        for (at, (name, _)) in document.fields.iter().enumerate() {
            index.entry(name.to_vec()).or_insert(at);
        }
        Some(index)
    }

    /// Takes fields out of a document, by their places.
    pub(super) fn remove_fields(&mut self, mut gone: Vec<usize>) {
        let Self::Document(document) = self else {
            return;
        };
        gone.sort_unstable();
        let mut at = 0;
        document.fields.retain(|_| {
            at += 1;
            gone.binary_search(&(at - 1)).is_err()
        });
        self.touch();
    }

    /// Takes the child out of a document; in an array null stays in its place.
    pub(super) fn remove_child(&mut self, at: usize) -> Option<Node<'a>> {
        self.touch();
        match self {
            Self::Document(document) if at < document.fields.len() => {
                Some(document.fields.remove(at).1)
            }
            Self::Array(array) => {
                let element = array.elements.get_mut(at)?;
                Some(std::mem::replace(element, Self::null()))
            }
            _ => None,
        }
    }

    /// Something below has changed: the original bytes no longer hold.
    pub(super) fn touch(&mut self) {
        match self {
            Self::Document(document) => document.original = None,
            Self::Array(array) => array.original = None,
            _ => {}
        }
    }

    /// How many bytes the value takes.
    fn len(&self) -> usize {
        const FRAME: usize = 4 + 1;
        match self {
            Self::Raw(raw) => raw.bytes().len(),
            Self::Owned(owned) => owned.as_raw().bytes().len(),
            Self::Document(document) => document.original.map_or_else(
                || {
                    let fields = document.fields.iter();
                    fields.fold(FRAME, |sum, (name, node)| {
                        sum.saturating_add(2 + name.len())
                            .saturating_add(node.len())
                    })
                },
                |raw| raw.bytes().len(),
            ),
            Self::Array(array) => array.original.map_or_else(
                || {
                    let elements = array.elements.iter().enumerate();
                    elements.fold(FRAME, |sum, (position, node)| {
                        let digits = position.checked_ilog10().unwrap_or(0) as usize + 1;
                        sum.saturating_add(2 + digits).saturating_add(node.len())
                    })
                },
                |raw| raw.bytes().len(),
            ),
        }
    }

    /// The bytes of the value.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let len = self.len();
        if len > MAX_DOCUMENT_LEN {
            return Err(too_large(len));
        }
        let mut out = Vec::with_capacity(len);
        self.write(&mut out);
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Raw(raw) => out.extend_from_slice(raw.bytes()),
            Self::Owned(owned) => out.extend_from_slice(owned.as_raw().bytes()),
            Self::Document(document) => {
                if let Some(raw) = document.original {
                    return out.extend_from_slice(raw.bytes());
                }
                let start = open(out);
                for (name, node) in &document.fields {
                    node.write_element(name, out);
                }
                close(start, out);
            }
            Self::Array(array) => {
                if let Some(raw) = array.original {
                    return out.extend_from_slice(raw.bytes());
                }
                let start = open(out);
                for (position, node) in array.elements.iter().enumerate() {
                    node.write_element(position.to_string().as_bytes(), out);
                }
                close(start, out);
            }
        }
    }

    fn write_element(&self, name: &[u8], out: &mut Vec<u8>) {
        out.push(self.kind() as u8);
        out.extend_from_slice(name);
        out.push(0);
        self.write(out);
    }
}

/// A length to be filled in.
fn open(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    start
}

fn close(start: usize, out: &mut Vec<u8>) {
    out.push(0);
    // At most 16 MiB: the length was looked at before.
    let len = i32::try_from(out.len() - start).unwrap_or(i32::MAX);
    if let Some(front) = out.get_mut(start..start + 4) {
        front.copy_from_slice(&len.to_le_bytes());
    }
}

/// The result would exceed the limit of documents.
fn too_large(len: usize) -> Error {
    let message =
        format!("document after the update has {len} bytes, the limit is {MAX_DOCUMENT_LEN}");
    Error::new(ErrorKind::TooLarge, message).with_code(17419)
}
