//! What queries do to arrays after all else: `$slice` and the positional `$`.

use crate::error::{Error, Result};
use crate::values::{DocumentBuilder, Elements, Kind, Number, PositionName, RawValue};

/// A `$slice` of an array at a path.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) path: Box<[Box<[u8]>]>,
    /// Where it begins, from the end if negative; of one number alone none.
    pub(super) skip: Option<i64>,
    pub(super) limit: i64,
}

/// Skip and limit, if the operand has the form of a query's `$slice`.
pub(super) fn slice_operand(operand: RawValue<'_>) -> Option<(Option<i64>, i64)> {
    let whole = |value: RawValue<'_>| -> Option<i64> {
        #[allow(clippy::cast_possible_truncation, reason = "saturating is right here")]
        if let Some(double) = value.double() {
            return Some(double as i64);
        }
        let number = value.number()?;
        Some(Number::to_i64(number).unwrap_or(0))
    };
    if operand.number().is_some() {
        return Some((None, whole(operand)?));
    }
    if operand.kind() != Kind::Array {
        return None;
    }
    let mut parts = Elements::new(operand.bytes());
    let (skip, limit) = (parts.next()?.value, parts.next()?.value);
    if parts.next().is_some() {
        return None;
    }
    let (skip, limit) = (whole(skip)?, whole(limit)?);
    (limit > 0).then_some((Some(skip), limit))
}

impl Slice {
    pub(super) fn apply(&self, document: &[u8]) -> Vec<u8> {
        let mut out = DocumentBuilder::with_capacity(document.len());
        self.fields(document, &self.path, &mut out);
        out.finish()
    }

    fn fields(&self, document: &[u8], path: &[Box<[u8]>], out: &mut DocumentBuilder) {
        let Some((first, rest)) = path.split_first() else {
            return;
        };
        for field in Elements::new(document) {
            if *field.name != **first {
                out.append(field.name, field.value);
                continue;
            }
            match field.value.kind() {
                Kind::Array if rest.is_empty() => {
                    out.open_array(field.name);
                    self.slice(field.value, out);
                    out.close();
                }
                Kind::Array => {
                    out.open_array(field.name);
                    self.elements(field.value, rest, out);
                    out.close();
                }
                Kind::Document if !rest.is_empty() => {
                    out.open_document(field.name);
                    self.fields(field.value.bytes(), rest, out);
                    out.close();
                }
                _ => out.append(field.name, field.value),
            }
        }
    }

    /// The documents of an array that lies on the path.
    fn elements(&self, array: RawValue<'_>, path: &[Box<[u8]>], out: &mut DocumentBuilder) {
        for element in Elements::new(array.bytes()) {
            if element.value.kind() == Kind::Document {
                out.open_document(element.name);
                self.fields(element.value.bytes(), path, out);
                out.close();
            } else {
                out.append(element.name, element.value);
            }
        }
    }

    fn slice(&self, array: RawValue<'_>, out: &mut DocumentBuilder) {
        let len = Elements::new(array.bytes()).count();
        let from_end = |number: i64| {
            let distance = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
            len.saturating_sub(distance)
        };
        let whole = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let (start, count) = match self.skip {
            Some(skip) if skip < 0 => (from_end(skip), whole(self.limit)),
            Some(skip) => (whole(skip), whole(self.limit)),
            None if self.limit < 0 => (from_end(self.limit), len),
            None => (0, whole(self.limit)),
        };
        let elements = Elements::new(array.bytes()).skip(start).take(count);
        for (position, element) in elements.enumerate() {
            out.append(PositionName::new(position).as_bytes(), element.value);
        }
    }
}

/// Of the first array on the path only the element at `position`.
pub(super) fn positional(
    document: &[u8],
    path: &[Box<[u8]>],
    position: Option<usize>,
) -> Result<Vec<u8>> {
    let mut out = DocumentBuilder::with_capacity(document.len());
    element_of(document, path, position, &mut out)?;
    Ok(out.finish())
}

fn element_of(
    document: &[u8],
    path: &[Box<[u8]>],
    position: Option<usize>,
    out: &mut DocumentBuilder,
) -> Result<()> {
    let Some((first, rest)) = path.split_first() else {
        return Ok(());
    };
    for field in Elements::new(document) {
        let value = field.value;
        match value.kind() {
            Kind::Array if *field.name == **first => {
                let Some(position) = position else {
                    let message = "the positional projection found no matching element in an array";
                    return Err(Error::bad_value(message).with_code(51246));
                };
                let Some(element) = Elements::new(value.bytes()).nth(position) else {
                    let message = format!(
                        "the positional projection found element {position}, which the \
                         projected array does not have"
                    );
                    return Err(Error::bad_value(message).with_code(51247));
                };
                out.open_array(field.name);
                out.append(b"0", element.value);
                out.close();
            }
            Kind::Document if *field.name == **first && !rest.is_empty() => {
                out.open_document(field.name);
                element_of(value.bytes(), rest, position, out)?;
                out.close();
            }
            _ => out.append(field.name, value),
        }
    }
    Ok(())
}
