//! Values turned into others that say the same.
//!
//! What `$convert` of expressions does, but for what would lose something: 2.5 is no
//! integer, and `"no"` is not true.

use crate::expression::{Environment, Expression, Scope};
use crate::values::{Class, DocumentBuilder, Elements, Kind, OwnedValue, RawValue};

/// The value as one of the first of these kinds that can say it.
pub(super) fn coerce(value: RawValue<'_>, kinds: &[Kind]) -> Option<OwnedValue> {
    kinds.iter().find_map(|kind| to_kind(value, *kind))
}

fn to_kind(value: RawValue<'_>, kind: Kind) -> Option<OwnedValue> {
    let is_number = value.kind().class() == Class::Number;
    let is_text = value.kind() == Kind::String;
    let integer = || value.number().and_then(crate::values::Number::to_i64);
    match kind {
        Kind::Boolean if is_text => {
            let text = value.text()?.to_ascii_lowercase();
            match text.as_slice() {
                b"true" | b"1" => Some(of(Kind::Boolean, &[1])),
                b"false" | b"0" => Some(of(Kind::Boolean, &[0])),
                _ => None,
            }
        }
        Kind::Boolean if is_number => match integer()? {
            0 => Some(of(Kind::Boolean, &[0])),
            1 => Some(of(Kind::Boolean, &[1])),
            _ => None,
        },
        Kind::Int32 if is_number => {
            let number = i32::try_from(integer()?).ok()?;
            Some(of(Kind::Int32, &number.to_le_bytes()))
        }
        Kind::Int64 if is_number => Some(of(Kind::Int64, &integer()?.to_le_bytes())),
        Kind::DateTime if is_number => Some(of(Kind::DateTime, &integer()?.to_le_bytes())),
        Kind::Double | Kind::Decimal128 if is_number => {
            let new = convert(value, kind)?;
            // An integer that no double has.
            (new.as_raw().number() == value.number() || value.kind() == Kind::Double).then_some(new)
        }
        Kind::Int32 | Kind::Int64 | Kind::Double | Kind::Decimal128 | Kind::DateTime if is_text => {
            convert(trimmed(value)?.as_raw(), kind)
        }
        Kind::ObjectId if is_text => convert(value, kind),
        Kind::String
            if is_number
                || matches!(
                    value.kind(),
                    Kind::Boolean | Kind::DateTime | Kind::ObjectId
                ) =>
        {
            convert(value, kind)
        }
        _ => None,
    }
}

/// A string without what is blank around it.
fn trimmed(value: RawValue<'_>) -> Option<OwnedValue> {
    let text = value.text()?.trim_ascii();
    let mut document = DocumentBuilder::new();
    document.append_text(b"", text);
    let document = document.finish();
    Elements::new(&document).next().map(|one| one.value.into())
}

/// What `$convert` makes of it.
fn convert(value: RawValue<'_>, kind: Kind) -> Option<OwnedValue> {
    let mut operator = DocumentBuilder::new();
    operator.open_document(b"e");
    operator.open_document(b"$convert");
    operator.append_text(b"input", b"$v");
    operator.append_text(b"to", kind.name().as_bytes());
    let operator = operator.finish();
    let expression = Elements::new(&operator).find_name(b"e")?;
    let expression = Expression::parse(expression, &Scope::new()).ok()?;
    let document = value.to_document(b"v");
    let found = expression
        .evaluate(&mut Environment::new(&document))
        .ok()??;
    let found = found.to_owned_value().ok()?;
    (found.as_raw().kind() == kind).then_some(found)
}

fn of(kind: Kind, bytes: &[u8]) -> OwnedValue {
    RawValue { kind, bytes }.into()
}
