//! Operands of operators.

use super::{at, is_operators, text};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::ast::{KindSet, Predicate, ValueSet};
use crate::filter::bit_test::BitTest;
use crate::pattern::Pattern;
use crate::values::{Class, Elements, Kind, Number, OwnedValue, RawValue};

pub(super) fn value_set(path: &[u8], name: &str, value: RawValue<'_>) -> Result<ValueSet> {
    if value.kind() != Kind::Array {
        return Err(at(path, &format!("{name} needs an array")));
    }
    let (mut values, mut patterns) = (Vec::new(), Vec::new());
    for element in Elements::new(value.bytes()) {
        if let Some((pattern, options)) = element.value.regex() {
            let pattern = Pattern::new(pattern, options).map_err(|error| error.at(text(path)))?;
            patterns.push(pattern);
            continue;
        }
        match element.value.kind() {
            Kind::Undefined => return Err(at(path, &format!("{name} cannot hold undefined"))),
            _ if is_operators(element.value, false) => {
                return Err(at(path, "cannot nest $ under $in"));
            }
            _ => values.push(OwnedValue::from(element.value)),
        }
    }
    Ok(ValueSet::new(values, patterns))
}

pub(super) fn size(path: &[u8], value: RawValue<'_>) -> Result<usize> {
    let Some(number) = value.number() else {
        return Err(at(
            path,
            &format!("$size must be a number, found {}", value.kind().name()),
        ));
    };
    let size = number.to_i64().and_then(|size| i32::try_from(size).ok());
    let size = size.and_then(|size| usize::try_from(size).ok());
    size.ok_or_else(|| at(path, "$size must be a whole number from 0 to 2147483647"))
}

pub(super) fn kinds(path: &[u8], value: RawValue<'_>) -> Result<KindSet> {
    let mut set = KindSet::default();
    if value.kind() == Kind::Array {
        for element in Elements::new(value.bytes()) {
            add_kind(path, element.value, &mut set)?;
        }
        if set == KindSet::default() {
            let message = format!(
                "$type at path '{}' must match at least one type",
                text(path)
            );
            return Err(Error::new(ErrorKind::FailedToParse, message));
        }
    } else {
        add_kind(path, value, &mut set)?;
    }
    Ok(set)
}

fn add_kind(path: &[u8], value: RawValue<'_>, set: &mut KindSet) -> Result<()> {
    if value.kind() == Kind::String {
        let name = text(value.text().unwrap_or_default());
        if name == "number" {
            set.insert_numbers();
            return Ok(());
        }
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        set.insert(kind.ok_or_else(|| at(path, &format!("unknown type name alias: {name}")))?);
        return Ok(());
    }
    if value.kind().class() != Class::Number {
        let message = format!("$type at path '{}' needs numbers or strings", text(path));
        return Err(Error::bad_value(message).with_code(14));
    }
    let code = value.number().and_then(Number::to_i64);
    let kind = match code {
        Some(-1) => Some(Kind::MinKey),
        Some(code) => u8::try_from(code)
            .ok()
            .filter(|byte| *byte != 0xFF)
            .and_then(Kind::from_byte),
        None => None,
    };
    set.insert(kind.ok_or_else(|| at(path, "invalid numerical type code"))?);
    Ok(())
}

/// `$mod: [divisor, remainder]`; both lose what is behind the point.
pub(super) fn modulo(path: &[u8], value: RawValue<'_>) -> Result<Predicate> {
    if value.kind() != Kind::Array {
        return Err(at(path, "malformed $mod, needs to be an array"));
    }
    let mut numbers = Vec::new();
    for element in Elements::new(value.bytes()) {
        let Some(number) = element.value.number() else {
            return Err(at(
                path,
                "malformed $mod, divisor and remainder are numbers",
            ));
        };
        let whole = number.truncate_to_i64();
        let message = "malformed $mod, a number is not finite or out of range";
        numbers.push(whole.ok_or_else(|| at(path, message))?);
    }
    match *numbers.as_slice() {
        [0, _] => Err(at(path, "the divisor of $mod cannot be 0")),
        [divisor, remainder] => Ok(Predicate::Modulo(divisor, remainder)),
        _ => Err(at(path, "malformed $mod, needs divisor and remainder")),
    }
}

/// The operand of the four operators on bits: a mask, bytes, or positions.
pub(super) fn bit_test(
    path: &[u8],
    name: &str,
    value: RawValue<'_>,
    want_set: bool,
    all: bool,
) -> Result<BitTest> {
    let positions = match value.kind() {
        Kind::Array => {
            let mut positions = Vec::new();
            for element in Elements::new(value.bytes()) {
                let number = element.value.number().and_then(Number::to_i64);
                let position = number.and_then(|number| i32::try_from(number).ok());
                let position = position.and_then(|position| u32::try_from(position).ok());
                let message = format!("bit positions of {name} must be integers from 0 on");
                positions.push(position.ok_or_else(|| at(path, &message))?);
            }
            positions
        }
        Kind::Binary => {
            let (_, bytes) = value.binary().unwrap_or_default();
            BitTest::positions_of(bytes)
        }
        kind if kind.class() == Class::Number => {
            let number = value.number().and_then(Number::to_i64);
            let Some(mask) = number.and_then(|number| u64::try_from(number).ok()) else {
                let message = format!(
                    "the mask of {name} at path '{}' must be a whole number, not negative",
                    text(path)
                );
                return Err(Error::new(ErrorKind::FailedToParse, message));
            };
            BitTest::positions_of(&mask.to_le_bytes())
        }
        other => {
            let message = format!(
                "{name} takes an array, a number or binary data, found {}",
                other.name()
            );
            return Err(at(path, &message));
        }
    };
    Ok(BitTest::new(want_set, all, positions))
}

/// `$regex` with the `$options` beside it, before or behind.
pub(super) fn pattern(path: &[u8], siblings: &[u8]) -> Result<Pattern> {
    /// MongoDB's codes for options that are given twice, by which came last.
    const OPTIONS_IN_REGEX: i32 = 51074;
    const OPTIONS_BESIDE: i32 = 51075;
    let (mut source, mut options): (&[u8], &[u8]) = (b"", b"");
    let twice = |code| at(path, "options set in both $regex and $options").with_code(code);
    for element in Elements::new(siblings) {
        let value = element.value;
        match (element.name, value.kind()) {
            (b"$regex", Kind::String) => source = value.text().unwrap_or_default(),
            (b"$regex", Kind::Regex) => {
                let (own_source, own_options) = value.regex().unwrap_or_default();
                source = own_source;
                if !own_options.is_empty() {
                    if !options.is_empty() {
                        return Err(twice(OPTIONS_IN_REGEX));
                    }
                    options = own_options;
                }
            }
            (b"$regex", _) => return Err(at(path, "$regex has to be a string")),
            (b"$options", Kind::String) => {
                if !options.is_empty() {
                    return Err(twice(OPTIONS_BESIDE));
                }
                options = value.text().unwrap_or_default();
            }
            (b"$options", _) => return Err(at(path, "$options has to be a string")),
            _ => {}
        }
    }
    Pattern::new(source, options).map_err(|error| error.at(text(path)))
}
