//! Whether a value obeys a schema.

use std::cmp::Ordering;

use super::{Limit, Rest, Rule, Schema, numbers};
use crate::filter;
use crate::values::{Class, Element, Elements, Kind, RawValue, compare};

/// Whether the value breaks none of the rules.
pub(super) fn all(schema: &Schema, value: RawValue<'_>) -> bool {
    schema.rules.iter().all(|rule| holds(rule, value))
}

fn holds(rule: &Rule, value: RawValue<'_>) -> bool {
    match rule {
        Rule::Type(kinds) => kinds.contains(value.kind()),
        Rule::Enum(values) => values
            .iter()
            .any(|one| compare_unordered(one.as_raw(), value).is_eq()),
        Rule::Bound(comparison, bound) => {
            value.kind().class() != Class::Number
                || filter::compares(*comparison, bound.as_raw(), value)
        }
        Rule::MultipleOf(unit) => {
            numbers::decimal(value).is_none_or(|number| numbers::is_multiple(number, *unit))
        }
        Rule::Length(limit) => string(value).is_none_or(|text| has_length(text, *limit)),
        Rule::Pattern(pattern) => string(value).is_none_or(|text| pattern.is_match(text)),
        Rule::ItemCount(limit) => items(value).is_none_or(|items| limit.accepts(items.count())),
        Rule::UniqueItems => items(value).is_none_or(are_unique),
        Rule::Items(schema) => {
            items(value).is_none_or(|mut items| items.all(|item| all(schema, item.value)))
        }
        Rule::Tuple(schemas, rest) => items(value).is_none_or(|items| tuple(schemas, rest, items)),
        Rule::PropertyCount(limit) => {
            fields(value).is_none_or(|fields| limit.accepts(fields.count()))
        }
        Rule::Required(names) => fields(value).is_none_or(|fields| has_all(&fields, names)),
        Rule::Properties(properties) => fields(value).is_none_or(|fields| {
            properties
                .iter()
                .all(|(name, schema)| field(&fields, name).is_none_or(|found| all(schema, found)))
        }),
        Rule::OtherProperties {
            known,
            patterns,
            rest,
        } => fields(value).is_none_or(|mut fields| {
            fields.all(|Element { name, value }| {
                let mut is_known = known.binary_search_by(|one| (**one).cmp(name)).is_ok();
                for (pattern, schema) in patterns {
                    if pattern.is_match(name) {
                        is_known = true;
                        if !all(schema, value) {
                            return false;
                        }
                    }
                }
                is_known || obeys(rest, value)
            })
        }),
        Rule::DependentRequired(name, others) => fields(value)
            .is_none_or(|fields| field(&fields, name).is_none() || has_all(&fields, others)),
        Rule::DependentSchema(name, schema) => {
            fields(value).is_none_or(|fields| field(&fields, name).is_none() || all(schema, value))
        }
        Rule::AllOf(schemas) => schemas.iter().all(|schema| all(schema, value)),
        Rule::AnyOf(schemas) => schemas.iter().any(|schema| all(schema, value)),
        Rule::OneOf(schemas) => schemas.iter().filter(|schema| all(schema, value)).count() == 1,
        Rule::Not(schema) => !all(schema, value),
    }
}

fn obeys(rest: &Rest, value: RawValue<'_>) -> bool {
    match rest {
        Rest::Anything => true,
        Rest::Nothing => false,
        Rest::Obeys(schema) => all(schema, value),
    }
}

fn tuple(schemas: &[Schema], rest: &Rest, items: Elements<'_>) -> bool {
    let mut schemas = schemas.iter();
    for item in items {
        let holds = match schemas.next() {
            Some(schema) => all(schema, item.value),
            None => obeys(rest, item.value),
        };
        if !holds {
            return false;
        }
    }
    true
}

fn string(value: RawValue<'_>) -> Option<&[u8]> {
    value.text().filter(|_| value.kind() == Kind::String)
}

fn items(value: RawValue<'_>) -> Option<Elements<'_>> {
    value.elements().filter(|_| value.kind() == Kind::Array)
}

fn fields(value: RawValue<'_>) -> Option<Elements<'_>> {
    value.elements().filter(|_| value.kind() == Kind::Document)
}

/// The field at a path.
fn field<'a>(fields: &Elements<'a>, path: &[u8]) -> Option<RawValue<'a>> {
    let mut steps = path.split(|byte| *byte == b'.');
    let mut found = fields.clone().find_name(steps.next()?)?;
    for step in steps {
        if found.kind() != Kind::Document {
            return None;
        }
        found = found.elements()?.find_name(step)?;
    }
    Some(found)
}

fn has_all(fields: &Elements<'_>, names: &[Box<[u8]>]) -> bool {
    names.iter().all(|name| field(fields, name).is_some())
}

fn has_length(text: &[u8], limit: Limit) -> bool {
    // Bytes that do not continue a character.
    let characters = text.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    limit.accepts(characters)
}

fn are_unique(items: Elements<'_>) -> bool {
    let mut values: Vec<RawValue<'_>> = items.map(|item| item.value).collect();
    values.sort_unstable_by(|left, right| compare_unordered(*left, *right));
    values
        .windows(2)
        .all(|pair| !matches!(pair, [left, right] if compare_unordered(*left, *right).is_eq()))
}

/// The order of values in which the order of fields means nothing.
pub(crate) fn compare_unordered(left: RawValue<'_>, right: RawValue<'_>) -> Ordering {
    let kinds = (left.kind(), right.kind());
    let (Some(a), Some(b)) = (left.elements(), right.elements()) else {
        return compare(left, right);
    };
    match kinds {
        (Kind::Array, Kind::Array) => compare_members(a, b, false),
        (Kind::Document, Kind::Document) => {
            compare_members(sorted(a).into_iter(), sorted(b).into_iter(), true)
        }
        _ => compare(left, right),
    }
}

fn sorted(fields: Elements<'_>) -> Vec<Element<'_>> {
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by(|left, right| left.name.cmp(right.name));
    fields
}

fn compare_members<'a, 'b>(
    mut left: impl Iterator<Item = Element<'a>>,
    mut right: impl Iterator<Item = Element<'b>>,
    named: bool,
) -> Ordering {
    loop {
        let (a, b) = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let names = if named {
            a.name.cmp(b.name)
        } else {
            Ordering::Equal
        };
        let order = names.then_with(|| compare_unordered(a.value, b.value));
        if order.is_ne() {
            return order;
        }
    }
}
