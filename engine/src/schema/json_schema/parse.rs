//! From the operand of `$jsonSchema` to rules.

use super::matches::compare_unordered;
use super::{Limit, Rest, Rule, Schema, numbers};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Comparison, KindSet};
use crate::pattern::Pattern;
use crate::values::{Class, Decimal, Element, Elements, Kind, Number, RawValue};

/// MongoDB's code for an operand of a type that makes no sense.
const TYPE_MISMATCH: i32 = 14;
/// Keywords of JSON Schema that MongoDB knows and does not support.
const UNSUPPORTED: [&str; 6] = ["$ref", "$schema", "default", "definitions", "format", "id"];

/// The keywords of one schema, each at most once.
struct Keywords<'a> {
    all: Vec<(&'a str, RawValue<'a>)>,
}

impl<'a> Keywords<'a> {
    fn read(schema: Elements<'a>) -> Result<Self> {
        const KNOWN: [&str; 29] = [
            "additionalItems",
            "additionalProperties",
            "allOf",
            "anyOf",
            "bsonType",
            "dependencies",
            "description",
            "enum",
            "exclusiveMaximum",
            "exclusiveMinimum",
            "items",
            "maxItems",
            "maxLength",
            "maxProperties",
            "maximum",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "multipleOf",
            "not",
            "oneOf",
            "pattern",
            "patternProperties",
            "properties",
            "required",
            "title",
            "type",
            "uniqueItems",
        ];
        let mut all: Vec<(&str, RawValue<'_>)> = Vec::new();
        for Element { name, value } in schema {
            let name = std::str::from_utf8(name).unwrap_or_default();
            if UNSUPPORTED.contains(&name) {
                let message = format!("$jsonSchema keyword '{name}' is not currently supported");
                return Err(failed(message));
            }
            if !KNOWN.contains(&name) {
                return Err(failed(format!("unknown $jsonSchema keyword: '{name}'")));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(failed(format!("duplicate $jsonSchema keyword: '{name}'")));
            }
            all.push((name, value));
        }
        Ok(Self { all })
    }

    fn get(&self, name: &str) -> Option<RawValue<'a>> {
        let found = self.all.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| *value)
    }
}

/// The whole operand.
pub(super) fn root(operand: RawValue<'_>) -> Result<Schema> {
    match operand.elements() {
        Some(elements) if operand.kind() == Kind::Document => schema(elements),
        _ => Err(mismatch("$jsonSchema must be an object")),
    }
}

fn schema(elements: Elements<'_>) -> Result<Schema> {
    let keywords = Keywords::read(elements)?;
    let mut rules = Vec::new();
    for name in ["title", "description"] {
        if let Some(value) = keywords.get(name) {
            string(name, value)?;
        }
    }
    types(&keywords, &mut rules)?;
    scalars(&keywords, &mut rules)?;
    objects(&keywords, &mut rules)?;
    arrays(&keywords, &mut rules)?;
    logic(&keywords, &mut rules)?;
    Ok(Schema { rules })
}

fn types(keywords: &Keywords<'_>, rules: &mut Vec<Rule>) -> Result<()> {
    let (name, value) = match (keywords.get("type"), keywords.get("bsonType")) {
        (Some(_), Some(_)) => {
            let message = "cannot specify both $jsonSchema keywords 'type' and 'bsonType'";
            return Err(failed(message.to_owned()));
        }
        (Some(value), None) => ("type", value),
        (None, Some(value)) => ("bsonType", value),
        (None, None) => return Ok(()),
    };
    let mut set = KindSet::default();
    if value.kind() == Kind::String {
        add_type(name, string(name, value)?, &mut set)?;
    } else {
        for one in strings(name, value)? {
            add_type(name, one, &mut set)?;
        }
    }
    rules.push(Rule::Type(set));
    Ok(())
}

fn add_type(keyword: &str, name: &str, set: &mut KindSet) -> Result<()> {
    let kind = if keyword == "type" {
        match name {
            "array" => Some(Kind::Array),
            "boolean" => Some(Kind::Boolean),
            "null" => Some(Kind::Null),
            "object" => Some(Kind::Document),
            "string" => Some(Kind::String),
            "integer" => {
                let message = "$jsonSchema type 'integer' is not currently supported";
                return Err(failed(message.to_owned()));
            }
            _ => None,
        }
    } else {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    };
    match kind {
        Some(kind) => set.insert(kind),
        None if name == "number" => set.insert_numbers(),
        None => return Err(Error::bad_value(format!("unknown type name alias: {name}"))),
    }
    Ok(())
}

/// Rules about numbers and strings, and `enum`.
fn scalars(keywords: &Keywords<'_>, rules: &mut Vec<Rule>) -> Result<()> {
    for (name, exclusive, inside, at) in [
        (
            "minimum",
            "exclusiveMinimum",
            Comparison::Greater,
            Comparison::GreaterOrEqual,
        ),
        (
            "maximum",
            "exclusiveMaximum",
            Comparison::Less,
            Comparison::LessOrEqual,
        ),
    ] {
        match (keywords.get(name), keywords.get(exclusive)) {
            (Some(bound), exclusive_value) => {
                number(name, bound)?;
                let is_exclusive = match exclusive_value {
                    Some(value) => boolean(exclusive, value)?,
                    None => false,
                };
                let comparison = if is_exclusive { inside } else { at };
                rules.push(Rule::Bound(comparison, bound.into()));
            }
            (None, Some(_)) => {
                return Err(failed(format!(
                    "$jsonSchema keyword '{name}' must be present where '{exclusive}' is"
                )));
            }
            (None, None) => {}
        }
    }
    if let Some(value) = keywords.get("multipleOf") {
        number("multipleOf", value)?;
        let unit = numbers::decimal(value).unwrap_or(Decimal::Nan);
        let is_positive = match unit {
            Decimal::Nan => true,
            Decimal::Infinite { negative } => !negative,
            Decimal::Finite {
                negative,
                coefficient,
                ..
            } => !negative && coefficient != 0,
        };
        if !is_positive {
            return Err(failed(
                "$jsonSchema keyword 'multipleOf' must be positive".to_owned(),
            ));
        }
        rules.push(Rule::MultipleOf(unit));
    }
    counts(keywords, "Length", Rule::Length, rules)?;
    if let Some(value) = keywords.get("pattern") {
        let pattern = string("pattern", value)?;
        rules.push(Rule::Pattern(Pattern::new(pattern.as_bytes(), b"")?));
    }
    if let Some(value) = keywords.get("enum") {
        let mut values: Vec<crate::values::OwnedValue> = Vec::new();
        for element in array("enum", value)? {
            let is_there = |one: &crate::values::OwnedValue| {
                compare_unordered(one.as_raw(), element.value).is_eq()
            };
            if values.iter().any(is_there) {
                return Err(failed(
                    "$jsonSchema keyword 'enum' has a duplicate".to_owned(),
                ));
            }
            values.push(element.value.into());
        }
        if values.is_empty() {
            return Err(failed(
                "$jsonSchema keyword 'enum' cannot be empty".to_owned(),
            ));
        }
        rules.push(Rule::Enum(values));
    }
    Ok(())
}

/// `min…` and `max…` of something that is counted.
fn counts(
    keywords: &Keywords<'_>,
    what: &str,
    rule: fn(Limit) -> Rule,
    rules: &mut Vec<Rule>,
) -> Result<()> {
    for (prefix, limit) in [
        ("max", Limit::AtMost as fn(u64) -> Limit),
        ("min", Limit::AtLeast),
    ] {
        let name = format!("{prefix}{what}");
        let Some(value) = keywords.get(&name) else {
            continue;
        };
        let count = value.number().and_then(Number::to_i64);
        let Some(count) = count.and_then(|count| u64::try_from(count).ok()) else {
            return Err(failed(format!(
                "$jsonSchema keyword '{name}' must be a whole number, not negative"
            )));
        };
        rules.push(rule(limit(count)));
    }
    Ok(())
}

fn objects(keywords: &Keywords<'_>, rules: &mut Vec<Rule>) -> Result<()> {
    counts(keywords, "Properties", Rule::PropertyCount, rules)?;
    if let Some(value) = keywords.get("required") {
        let names = strings("required", value)?;
        rules.push(Rule::Required(boxed(names)));
    }
    let mut known: Vec<Box<[u8]>> = Vec::new();
    if let Some(value) = keywords.get("properties") {
        let mut properties = Vec::new();
        for element in object("properties", value)? {
            known.push(element.name.into());
            let inner = nested("properties", element.value)?;
            properties.push((element.name.into(), inner));
        }
        rules.push(Rule::Properties(properties));
    }
    known.sort();
    let mut patterns = Vec::new();
    if let Some(value) = keywords.get("patternProperties") {
        for element in object("patternProperties", value)? {
            let pattern = Pattern::new(element.name, b"")?;
            patterns.push((pattern, nested("patternProperties", element.value)?));
        }
    }
    let rest = rest("additionalProperties", keywords.get("additionalProperties"))?;
    if !patterns.is_empty() || !matches!(rest, Rest::Anything) {
        rules.push(Rule::OtherProperties {
            known,
            patterns,
            rest,
        });
    }
    if let Some(value) = keywords.get("dependencies") {
        for element in object("dependencies", value)? {
            let name = element.name.into();
            rules.push(match element.value.kind() {
                Kind::Document => {
                    Rule::DependentSchema(name, nested("dependencies", element.value)?)
                }
                Kind::Array => {
                    let others = strings("dependencies", element.value)?;
                    Rule::DependentRequired(name, boxed(others))
                }
                _ => {
                    let message = "a dependency in $jsonSchema must be an object or an array";
                    return Err(mismatch(message));
                }
            });
        }
    }
    Ok(())
}

fn arrays(keywords: &Keywords<'_>, rules: &mut Vec<Rule>) -> Result<()> {
    counts(keywords, "Items", Rule::ItemCount, rules)?;
    if let Some(value) = keywords.get("uniqueItems")
        && boolean("uniqueItems", value)?
    {
        rules.push(Rule::UniqueItems);
    }
    let rest = rest("additionalItems", keywords.get("additionalItems"))?;
    match keywords.get("items") {
        Some(value) if value.kind() == Kind::Array => {
            let mut schemas = Vec::new();
            for element in array("items", value)? {
                schemas.push(nested("items", element.value)?);
            }
            rules.push(Rule::Tuple(schemas, rest));
        }
        Some(value) => rules.push(Rule::Items(nested("items", value)?)),
        None => {}
    }
    Ok(())
}

fn logic(keywords: &Keywords<'_>, rules: &mut Vec<Rule>) -> Result<()> {
    for (name, rule) in [
        ("allOf", Rule::AllOf as fn(Vec<Schema>) -> Rule),
        ("anyOf", Rule::AnyOf),
        ("oneOf", Rule::OneOf),
    ] {
        let Some(value) = keywords.get(name) else {
            continue;
        };
        let mut schemas = Vec::new();
        for element in array(name, value)? {
            schemas.push(nested(name, element.value)?);
        }
        if schemas.is_empty() {
            let message = format!("$jsonSchema keyword '{name}' must be a nonempty array");
            return Err(Error::bad_value(message));
        }
        rules.push(rule(schemas));
    }
    if let Some(value) = keywords.get("not") {
        rules.push(Rule::Not(nested("not", value)?));
    }
    Ok(())
}

/// `additionalItems`, `additionalProperties`.
fn rest(name: &str, value: Option<RawValue<'_>>) -> Result<Rest> {
    let Some(value) = value else {
        return Ok(Rest::Anything);
    };
    match value.kind() {
        Kind::Boolean if boolean(name, value)? => Ok(Rest::Anything),
        Kind::Boolean => Ok(Rest::Nothing),
        _ => nested(name, value).map(Rest::Obeys),
    }
}

fn nested(keyword: &str, value: RawValue<'_>) -> Result<Schema> {
    schema(object(keyword, value)?)
}

fn object<'a>(keyword: &str, value: RawValue<'a>) -> Result<Elements<'a>> {
    match value.elements() {
        Some(elements) if value.kind() == Kind::Document => Ok(elements),
        _ => Err(wanted(keyword, "an object", value)),
    }
}

fn array<'a>(keyword: &str, value: RawValue<'a>) -> Result<Elements<'a>> {
    match value.elements() {
        Some(elements) if value.kind() == Kind::Array => Ok(elements),
        _ => Err(wanted(keyword, "an array", value)),
    }
}

fn string<'a>(keyword: &str, value: RawValue<'a>) -> Result<&'a str> {
    let text = value.text().filter(|_| value.kind() == Kind::String);
    let text = text.and_then(|text| std::str::from_utf8(text).ok());
    text.ok_or_else(|| wanted(keyword, "a string", value))
}

/// Strings, at least one, none of them twice.
fn strings<'a>(keyword: &str, value: RawValue<'a>) -> Result<Vec<&'a str>> {
    let mut all: Vec<&str> = Vec::new();
    for element in array(keyword, value)? {
        let one = string(keyword, element.value)?;
        if all.contains(&one) {
            let message = format!("$jsonSchema keyword '{keyword}' has '{one}' twice");
            return Err(failed(message));
        }
        all.push(one);
    }
    if all.is_empty() {
        let message = format!("$jsonSchema keyword '{keyword}' cannot be an empty array");
        return Err(failed(message));
    }
    Ok(all)
}

fn boxed(names: Vec<&str>) -> Vec<Box<[u8]>> {
    names
        .into_iter()
        .map(|name| name.as_bytes().into())
        .collect()
}

fn boolean(keyword: &str, value: RawValue<'_>) -> Result<bool> {
    value
        .boolean()
        .ok_or_else(|| wanted(keyword, "a boolean", value))
}

fn number(keyword: &str, value: RawValue<'_>) -> Result<()> {
    if value.kind().class() == Class::Number {
        return Ok(());
    }
    Err(wanted(keyword, "a number", value))
}

fn wanted(keyword: &str, what: &str, found: RawValue<'_>) -> Error {
    mismatch(&format!(
        "$jsonSchema keyword '{keyword}' must be {what}, found {}",
        found.kind().name()
    ))
}

fn mismatch(message: &str) -> Error {
    Error::bad_value(message).with_code(TYPE_MISMATCH)
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::FailedToParse, message)
}
