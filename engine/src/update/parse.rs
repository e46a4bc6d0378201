//! From an update document to the tree of its paths.

use bson::{RawDocument, RawDocumentBuf};

use super::Checks;
use super::arithmetic::{Arithmetic, Bitwise};
use super::array_filters::ArrayFilters;
use super::members::{Matcher, parse_add_to_set, parse_pull_all};
use super::operator::{Operator, wrong_type};
use super::path::{Step, UpdatePath};
use super::push::Push;
use super::rename::Rename;
use super::tree::{Fields, Tree};
use crate::error::{Error, ErrorKind, Result};
use crate::values::{Element, Elements, Kind, MAX_DEPTH, Number, Numeric, RawValue};

/// The operators there are.
const OPERATORS: [&[u8]; 15] = [
    b"$set",
    b"$setOnInsert",
    b"$unset",
    b"$inc",
    b"$mul",
    b"$min",
    b"$max",
    b"$currentDate",
    b"$bit",
    b"$push",
    b"$addToSet",
    b"$pull",
    b"$pullAll",
    b"$pop",
    b"$rename",
];

/// An update of operators, compiled.
#[derive(Clone, Debug)]
pub(super) struct Modifiers {
    pub(super) tree: Tree,
    pub(super) renames: Vec<Rename>,
    pub(super) filters: ArrayFilters,
    /// Whether a path holds `$`.
    pub(super) needs_position: bool,
    /// What the paths begin with.
    pub(super) checks: Checks,
}

/// Whether it is one of the operators.
pub(super) fn is_operator(name: &[u8]) -> bool {
    OPERATORS.contains(&name)
}

/// Compiles a document of operators, which has passed validation.
pub(super) fn modifiers(update: &RawDocument, filters: &[RawDocumentBuf]) -> Result<Modifiers> {
    let mut parser = Parser {
        modifiers: Modifiers {
            tree: Tree::Fields(Fields::default()),
            renames: Vec::new(),
            filters: ArrayFilters::parse(filters)?,
            needs_position: false,
            checks: Checks::default(),
        },
        used: Vec::new(),
    };
    for modifier in Elements::new(update.as_bytes()) {
        let name = String::from_utf8_lossy(modifier.name);
        if !is_operator(modifier.name) {
            return Err(failed(format!(
                "unknown modifier: {name}; expected a valid update modifier"
            )));
        }
        if modifier.value.kind() != Kind::Document {
            return Err(failed(format!(
                "modifiers operate on fields but {name} has a value of type {}; for example: \
                 {{ $mod: {{ field: … }} }}",
                modifier.value.kind().name()
            )));
        }
        for element in Elements::new(modifier.value.bytes()) {
            parser.modifier(&name, element)?;
        }
    }
    parser.modifiers.filters.check_used(&parser.used)?;
    Ok(parser.modifiers)
}

struct Parser {
    modifiers: Modifiers,
    /// The places of the array filters that paths named.
    used: Vec<usize>,
}

impl Parser {
    /// `path: operand`, of one operator.
    fn modifier(&mut self, name: &str, element: Element<'_>) -> Result<()> {
        if name == "$rename" {
            let rename = Rename::parse(element.name, element.value)?;
            let target = element.value.text().unwrap_or_default();
            self.insert(rename.from.clone(), element.name, Operator::Reserved)?;
            // A value that goes no further down stays within the levels.
            let (from, to) = (rename.from.steps.len(), rename.to.steps.len());
            self.modifiers.checks.may_deepen |= to > from;
            let index = self.modifiers.renames.len();
            self.insert(rename.to.clone(), target, Operator::Renamed { index })?;
            self.modifiers.renames.push(rename);
            return Ok(());
        }
        let path = UpdatePath::parse(element.name)?;
        let operator = operator(name, element)?;
        // One level more for the array that an operator may make.
        let depth = path.steps.len() + 1 + levels(element.value);
        self.modifiers.checks.may_deepen |= depth > MAX_DEPTH;
        self.insert(path, element.name, operator)
    }

    fn insert(&mut self, path: UpdatePath, text: &[u8], operator: Operator) -> Result<()> {
        self.modifiers.checks.has_id |= path.is_id();
        self.modifiers.checks.has_part_of_id |= path.is_id() && path.steps.len() > 1;
        self.modifiers.checks.has_dollar |= text.starts_with(b"$");
        self.modifiers.needs_position |= path.steps.contains(&Step::Positional);
        let (filters, used) = (&self.modifiers.filters, &mut self.used);
        self.modifiers
            .tree
            .insert(&path, text, operator, &mut |identifier| {
                let at = filters.find(identifier).ok_or_else(|| {
                    Error::bad_value(format!(
                        "no array filter found for identifier '{}' in path '{}'",
                        String::from_utf8_lossy(identifier),
                        String::from_utf8_lossy(text)
                    ))
                })?;
                if !used.contains(&at) {
                    used.push(at);
                }
                Ok(at)
            })
    }
}

/// How many levels a value has: none if it is a scalar. Recursion is bounded, for
/// the update has passed validation.
fn levels(value: RawValue<'_>) -> usize {
    let elements = match value.code_with_scope() {
        Some((_, scope)) => Some(Elements::new(scope)),
        None => value.elements(),
    };
    elements.map_or(0, |elements| {
        1 + elements
            .map(|element| levels(element.value))
            .max()
            .unwrap_or(0)
    })
}

/// One operator with its operand.
fn operator(name: &str, element: Element<'_>) -> Result<Operator> {
    let value = element.value;
    let place = |error: Error| error.at(String::from_utf8_lossy(element.name));
    Ok(match name {
        "$set" | "$setOnInsert" => Operator::Set {
            value: value.into(),
            only_on_insert: name == "$setOnInsert",
        },
        "$unset" => Operator::Unset,
        "$inc" | "$mul" => Operator::Arithmetic {
            operation: if name == "$inc" {
                Arithmetic::Add
            } else {
                Arithmetic::Multiply
            },
            operand: Numeric::of(value).ok_or_else(|| {
                place(wrong_type(format!(
                    "cannot apply {name} with a non-numeric argument of type {}",
                    value.kind().name()
                )))
            })?,
        },
        "$min" | "$max" => Operator::Extreme {
            value: value.into(),
            largest: name == "$max",
        },
        "$currentDate" => Operator::CurrentDate {
            as_timestamp: current_date(value).map_err(place)?,
        },
        "$bit" => Operator::Bit(bit(value).map_err(place)?),
        "$push" => Operator::Push(Push::parse(value).map_err(place)?),
        "$addToSet" => Operator::AddToSet(parse_add_to_set(value).map_err(place)?),
        "$pull" => Operator::Pull(Matcher::parse(value).map_err(place)?),
        "$pullAll" => Operator::PullAll(parse_pull_all(value).map_err(place)?),
        "$pop" => Operator::Pop {
            first: match value.number().and_then(Number::to_i64) {
                Some(1) => false,
                Some(-1) => true,
                _ => return Err(place(failed("$pop expects 1 or -1".to_owned()))),
            },
        },
        other => return Err(failed(format!("unknown modifier: {other}"))),
    })
}

/// The operand of `$currentDate`: whether it asks for a timestamp.
fn current_date(value: RawValue<'_>) -> Result<bool> {
    if value.kind() == Kind::Boolean {
        return Ok(false);
    }
    let Some(options) = value.elements().filter(|_| value.kind() == Kind::Document) else {
        return Err(Error::bad_value(format!(
            "{} is not a valid type for $currentDate; use a boolean ('true') or a $type \
             expression ({{ $type: 'timestamp' | 'date' }})",
            value.kind().name()
        )));
    };
    let mut found = None;
    for option in options {
        if option.name != b"$type" {
            return Err(Error::bad_value(format!(
                "unrecognized $currentDate option: {}",
                String::from_utf8_lossy(option.name)
            )));
        }
        found = match option.value.text() {
            Some(b"date") => Some(false),
            Some(b"timestamp") => Some(true),
            _ => None,
        };
        if found.is_none() {
            break;
        }
    }
    found.ok_or_else(|| {
        Error::bad_value("the '$type' string field is required to be 'date' or 'timestamp'")
    })
}

/// The operand of `$bit`.
fn bit(value: RawValue<'_>) -> Result<Vec<(Bitwise, Numeric)>> {
    let Some(parts) = value.elements().filter(|_| value.kind() == Kind::Document) else {
        return Err(Error::bad_value(format!(
            "the $bit modifier is not compatible with a {}; you must pass in an embedded \
             document: {{ $bit: {{ field: {{ and/or/xor: # }} }} }}",
            value.kind().name()
        )));
    };
    let mut operations = Vec::new();
    for part in parts {
        let operation = match part.name {
            b"and" => Bitwise::And,
            b"or" => Bitwise::Or,
            b"xor" => Bitwise::Xor,
            other => {
                return Err(Error::bad_value(format!(
                    "the $bit modifier only supports 'and', 'or', and 'xor', not '{}'",
                    String::from_utf8_lossy(other)
                )));
            }
        };
        match Numeric::of(part.value) {
            Some(number @ (Numeric::Int32(_) | Numeric::Int64(_))) => {
                operations.push((operation, number));
            }
            _ => {
                return Err(Error::bad_value(format!(
                    "the $bit modifier field must be an integer (32/64 bit); a '{}' is not \
                     supported here",
                    part.value.kind().name()
                )));
            }
        }
    }
    if operations.is_empty() {
        return Err(Error::bad_value(
            "you must pass in at least one bitwise operation to $bit",
        ));
    }
    Ok(operations)
}

pub(super) fn failed(message: String) -> Error {
    Error::new(ErrorKind::FailedToParse, message)
}

#[cfg(test)]
mod tests;
