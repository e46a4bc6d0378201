//! The keys of a document in an index: one pure function of definition and bytes.
//!
//! The rules are those of MongoDB's generator of keys, by its sources and answers:
//! * a path that reaches nothing has the key null;
//! * a path that ends at an array has a key for each element, and undefined for an empty
//!   array; one that goes on below an array has the keys of each document in it;
//! * a step of digits that meets an array takes the element at that position, which then
//!   stands for itself even if it is an array;
//! * two paths may only meet the same array (171), and a step may not be both a position
//!   and a name in one of the elements (16746);
//! * a sparse index leaves out a key in which all fields are missing, a partial one a
//!   document that its filter does not match;
//! * equal keys of one document are one.
//!
//! ## Invariants
//! * Keys come in ascending order, each once.
//! * Recursion goes no deeper than paths have steps, and paths have at most 100.

use super::definition::{Definition, KeyField};
use super::entry::note_remark;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{descend, encode_into};
use crate::values::{Elements, Kind, OwnedValue, RawValue};

/// Number of the meaning of all this: a change of it is a new number, and a rebuild.
pub(crate) const DERIVATION: i32 = 1;

/// One key, without the primary key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DerivedKey {
    /// The encoded fields.
    pub(crate) fields: Vec<u8>,
    /// What of the values the encoding does not tell.
    pub(crate) remarks: Vec<u8>,
}

/// What a document has in an index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    pub(crate) keys: Vec<DerivedKey>,
    /// A bit for each field whose path met an array.
    pub(crate) multikey: u32,
}

/// What a field has come to.
#[derive(Clone, Copy)]
pub(super) enum Fixed<'a> {
    Missing,
    /// Of an empty array.
    Undefined,
    Value(RawValue<'a>),
}

/// A field on its way down.
#[derive(Clone, Copy)]
struct Field<'p, 'a> {
    /// Steps still to be taken; none once it has its value.
    rest: &'p [Box<[u8]>],
    fixed: Fixed<'a>,
}

/// The element that a step of digits stands for in the array above, if it does.
#[derive(Clone, Copy)]
struct Position<'p, 'a> {
    element: RawValue<'a>,
    /// What the whole rest of the path reaches from there.
    reached: Option<RawValue<'a>>,
    rest: &'p [Box<[u8]>],
}

/// The keys that the document has.
///
/// # Errors
/// Code 171 or 16746, see the module's text; or a key is too long (17280).
pub(crate) fn derive(index: &Definition, document: &[u8]) -> Result<Derived> {
    if let Some((_, filter)) = &index.partial
        && !filter.matches_bytes(document)?
    {
        return Ok(Derived::default());
    }
    let mut walk = Walk {
        index,
        derived: Derived::default(),
    };
    let fields = index.fields.iter().map(|field| Field {
        rest: &field.steps,
        fixed: Fixed::Missing,
    });
    let fields: Vec<Field<'_, '_>> = fields.collect();
    walk.down(fields, Some(document), 0, &[])?;
    let mut derived = walk.derived;
    if derived.keys.len() > 1 {
        // Of equal keys the first one's remarks count.
        derived
            .keys
            .sort_by(|one, other| one.fields.cmp(&other.fields));
        derived
            .keys
            .dedup_by(|one, other| one.fields == other.fields);
    }
    Ok(derived)
}

struct Walk<'i> {
    index: &'i Definition,
    derived: Derived,
}

impl<'i> Walk<'i> {
    fn down<'a>(
        &mut self,
        mut fields: Vec<Field<'i, 'a>>,
        document: Option<&'a [u8]>,
        mut missing: usize,
        positions: &[Option<Position<'i, 'a>>],
    ) -> Result<()> {
        let mut array: Option<RawValue<'a>> = None;
        let mut on_array = 0_u32;
        let mut expands = true;
        for (at, field) in fields.iter_mut().enumerate() {
            if field.rest.is_empty() {
                continue;
            }
            let position = positions.get(at).copied().flatten();
            match self.next(field, document, position)? {
                None => {
                    *field = Field {
                        rest: &[],
                        fixed: Fixed::Missing,
                    };
                    missing += 1;
                }
                Some(value) if value.kind() == Kind::Array => {
                    on_array |= 1 << at;
                    let is_same = |other: RawValue<'_>| std::ptr::eq(other.bytes(), value.bytes());
                    if !is_same(*array.get_or_insert(value)) {
                        return Err(self.parallel());
                    }
                    expands &= position.is_none_or(|it| it.element.kind() != Kind::Array);
                }
                Some(value) => field.fixed = Fixed::Value(value),
            }
        }
        let Some(array) = array else {
            if !(self.index.sparse && missing == fields.len()) {
                self.emit(&fields)?;
            }
            return Ok(());
        };
        self.derived.multikey |= on_array;
        let is_here = |at: usize| on_array & (1 << at) != 0;
        let mut elements = Elements::new(array.bytes()).peekable();
        if elements.peek().is_none() {
            for (at, field) in fields.iter_mut().enumerate() {
                if field.rest.is_empty() && is_here(at) {
                    field.fixed = Fixed::Undefined;
                }
            }
            return self.down(fields, None, missing, &[]);
        }
        let positions: Vec<_> = fields
            .iter()
            .map(|field| position_in(array, field.rest))
            .collect();
        for element in elements {
            let mut fields = fields.clone();
            for (at, field) in fields.iter_mut().enumerate() {
                if field.rest.is_empty() && is_here(at) {
                    field.fixed = Fixed::Value(if expands { element.value } else { array });
                }
            }
            let is_document = element.value.kind() == Kind::Document;
            let document = is_document.then(|| element.value.bytes());
            self.down(fields, document, missing, &positions)?;
        }
        Ok(())
    }

    /// What the field reaches from here: its value, or an array on its way.
    fn next<'a>(
        &self,
        field: &mut Field<'i, 'a>,
        document: Option<&'a [u8]>,
        position: Option<Position<'i, 'a>>,
    ) -> Result<Option<RawValue<'a>>> {
        let name = field.rest.first().map_or(&[][..], |step| step);
        let has_name =
            document.is_some_and(|document| Elements::new(document).find_name(name).is_some());
        match (document, position) {
            (Some(_), Some(_)) if has_name => {
                let message = format!(
                    "index '{}': '{}' is a position in an array and a field of one of its elements",
                    self.index.name,
                    String::from_utf8_lossy(name)
                );
                Err(Error::new(ErrorKind::CannotIndex, message).with_code(16746))
            }
            (Some(document), _) if has_name => Ok(reach(document, &mut field.rest)),
            (_, Some(position)) => {
                field.rest = position.rest;
                Ok(position.reached)
            }
            _ => Ok(None),
        }
    }

    fn parallel(&self) -> Error {
        let message = format!("index '{}': cannot index parallel arrays", self.index.name);
        Error::new(ErrorKind::CannotIndex, message)
    }

    fn emit(&mut self, fields: &[Field<'_, '_>]) -> Result<()> {
        let mut key = Vec::with_capacity(16 * fields.len());
        let mut remarks = Vec::new();
        for (at, (field, KeyField { descending, .. })) in
            fields.iter().zip(&self.index.fields).enumerate()
        {
            let start = key.len();
            append(field.fixed, &mut key)?;
            if *descending {
                descend(&mut key[start..]);
            }
            note_remark(field.fixed, at, &mut remarks);
        }
        self.derived.keys.push(DerivedKey {
            fields: key,
            remarks,
        });
        Ok(())
    }
}

fn append(fixed: Fixed<'_>, key: &mut Vec<u8>) -> Result<()> {
    match fixed {
        Fixed::Value(value) => encode_into(value, key),
        Fixed::Missing => encode_into(OwnedValue::null().as_raw(), key),
        Fixed::Undefined => encode_into(undefined(), key),
    }
}

pub(crate) fn undefined() -> RawValue<'static> {
    RawValue {
        kind: Kind::Undefined,
        bytes: &[],
    }
}

/// Follows the steps through documents to their end, or to an array; takes those it
/// went from `rest`.
fn reach<'a>(mut document: &'a [u8], rest: &mut &[Box<[u8]>]) -> Option<RawValue<'a>> {
    loop {
        let (step, after) = rest.split_first()?;
        let value = Elements::new(document).find_name(step)?;
        *rest = after;
        if after.is_empty() || value.kind() == Kind::Array {
            return Some(value);
        }
        if value.kind() != Kind::Document {
            return None;
        }
        document = value.bytes();
    }
}

/// What the next step means as a position in the array, if there is such an element.
fn position_in<'p, 'a>(array: RawValue<'a>, rest: &'p [Box<[u8]>]) -> Option<Position<'p, 'a>> {
    let step = rest.first()?;
    let element = Elements::new(array.bytes()).find_name(step)?;
    let mut after = rest;
    let reached = reach(array.bytes(), &mut after);
    Some(Position {
        element,
        reached,
        rest: after,
    })
}

#[cfg(test)]
mod tests;
