//! Whether a value is the one that is expected, under the marks of its case.

use bson::{RawDocument, RawDocumentBuf};
use collection_store::values::{Elements, Kind, RawValue};

use crate::case::Case;

/// Largest relative difference of doubles that depend on the mathematics library.
const TOLERANCE: f64 = 1e-13;

/// What a case lets pass.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    is_approximate: bool,
    /// The `_id` that was made; the case has zeroes in its place.
    pub(crate) generated: Option<Vec<u8>>,
    now_paths: Vec<Vec<u8>>,
    pub(crate) any_field_order: bool,
}

impl Marks {
    pub(crate) fn of(case: &Case<'_>) -> Self {
        Self {
            is_approximate: case.flag("approx"),
            generated: None,
            now_paths: case
                .values("nowPaths")
                .iter()
                .map(|path| path.text().unwrap().to_vec())
                .collect(),
            any_field_order: case.flag("anyFieldOrder"),
        }
    }

    pub(crate) fn value(&self, found: RawValue<'_>, expected: RawValue<'_>) -> bool {
        self.value_at(found, expected, b"")
    }

    pub(crate) fn value_at(
        &self,
        found: RawValue<'_>,
        expected: RawValue<'_>,
        path: &[u8],
    ) -> bool {
        if found.kind() != expected.kind() {
            return false;
        }
        if self.now_paths.iter().any(|now| now == path) {
            return true;
        }
        match found.kind() {
            Kind::Document | Kind::Array => self.elements(
                Elements::new(found.bytes()),
                Elements::new(expected.bytes()),
                path,
            ),
            Kind::Double => {
                let (a, b) = (found.double().unwrap(), expected.double().unwrap());
                let is_close = || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs());
                a.to_bits() == b.to_bits()
                    || (a.is_nan() && b.is_nan())
                    || (self.is_approximate && is_close())
            }
            Kind::Decimal128 if found.is_nan() => expected.is_nan(),
            Kind::ObjectId => {
                let is_generated = self.generated.as_deref() == Some(found.bytes());
                found.bytes() == expected.bytes()
                    || (is_generated && expected.bytes().iter().all(|byte| *byte == 0))
            }
            Kind::CodeWithScope => {
                let (text, scope) = found.code_with_scope().unwrap();
                let (other_text, other_scope) = expected.code_with_scope().unwrap();
                text == other_text
                    && self.elements(Elements::new(scope), Elements::new(other_scope), path)
            }
            _ => found.bytes() == expected.bytes(),
        }
    }

    fn elements(&self, mut found: Elements<'_>, mut expected: Elements<'_>, path: &[u8]) -> bool {
        loop {
            match (found.next(), expected.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.name == b.name => {
                    let mut below = path.to_vec();
                    if !below.is_empty() {
                        below.push(b'.');
                    }
                    below.extend_from_slice(a.name);
                    if !self.value_at(a.value, b.value, &below) {
                        return false;
                    }
                }
                _ => return false,
            }
        }
    }

    /// Whether a document is the expected one; `path` leads to it.
    pub(crate) fn document(
        &self,
        found: &RawDocument,
        expected: &RawDocument,
        path: &[u8],
    ) -> bool {
        let (found, expected) = (found.as_bytes(), expected.as_bytes());
        if self.elements(Elements::new(found), Elements::new(expected), path) {
            return true;
        }
        self.any_field_order && {
            let count = Elements::new(found).count();
            count == Elements::new(expected).count()
                && Elements::new(found).all(|field| {
                    let other = Elements::new(expected).find_name(field.name);
                    let below = [path, field.name].join(&b'.');
                    other.is_some_and(|other| self.value_at(field.value, other, &below))
                })
        }
    }

    /// Whether documents are the expected ones, in order; a path begins with the position.
    pub(crate) fn all(&self, found: &[RawDocumentBuf], expected: &[RawDocumentBuf]) -> bool {
        let pairs = || found.iter().zip(expected).enumerate();
        found.len() == expected.len()
            && pairs().all(|(at, (found, expected))| {
                self.document(found, expected, at.to_string().as_bytes())
            })
    }

    /// Whether documents are the expected ones, in any order.
    pub(crate) fn as_sets(&self, found: &[RawDocumentBuf], expected: &[RawDocumentBuf]) -> bool {
        let mut left: Vec<&RawDocumentBuf> = expected.iter().collect();
        found.len() == expected.len()
            && found.iter().all(|one| {
                let at = left.iter().position(|other| self.document(one, other, b""));
                at.map(|at| left.swap_remove(at)).is_some()
            })
    }

    /// Whether values are the expected ones, in any order.
    pub(crate) fn values_as_sets(&self, found: &[RawValue<'_>], expected: &[RawValue<'_>]) -> bool {
        let mut left: Vec<RawValue<'_>> = expected.to_vec();
        found.len() == expected.len()
            && found.iter().all(|one| {
                let at = left.iter().position(|other| self.value(*one, *other));
                at.map(|at| left.swap_remove(at)).is_some()
            })
    }
}
