//! Why a value does not obey a `$jsonSchema`.

use super::{MAX_LISTED, append_number, considered, specified};
use crate::schema::json_schema::JsonSchema;
use crate::values::{DocumentBuilder, Element, Kind, PositionName, RawValue};

/// Keywords that say nothing without others.
const COMPANIONS: [(&[u8], &[&[u8]]); 4] = [
    (b"minimum", &[b"exclusiveMinimum"]),
    (b"maximum", &[b"exclusiveMaximum"]),
    (b"additionalItems", &[b"items"]),
    (
        b"additionalProperties",
        &[b"properties", b"patternProperties"],
    ),
];

/// What the author of a schema says about it.
pub(super) fn annotations(out: &mut DocumentBuilder, schema: RawValue<'_>) {
    for name in [b"title".as_slice(), b"description"] {
        if let Some(value) = fields(schema).find(|it| it.name == name) {
            out.append(name, value.value);
        }
    }
}

/// The elements of an array: one for each keyword that the value breaks.
pub(super) fn rules(out: &mut DocumentBuilder, schema: RawValue<'_>, value: RawValue<'_>) {
    let mut listed = 0;
    for keyword in fields(schema) {
        if listed == MAX_LISTED {
            return;
        }
        if matches!(
            keyword.name,
            b"title" | b"description" | b"exclusiveMinimum" | b"exclusiveMaximum"
        ) {
            continue;
        }
        let alone = alone(schema, keyword);
        if obeys(&alone, value) {
            continue;
        }
        out.open_document(PositionName::new(listed).as_bytes());
        rule(out, schema, keyword, &alone, value);
        out.close();
        listed += 1;
    }
}

/// A schema of this keyword, and of those without which it means something else.
fn alone(schema: RawValue<'_>, keyword: Element<'_>) -> Vec<u8> {
    let mut alone = DocumentBuilder::new();
    alone.append(keyword.name, keyword.value);
    let companions = COMPANIONS.iter().find(|(name, _)| *name == keyword.name);
    for &name in companions.into_iter().flat_map(|(_, others)| *others) {
        if let Some(other) = fields(schema).find(|it| it.name == name) {
            // What it asks itself is another rule; only its names count here.
            let is_rule = name == b"properties" || name == b"patternProperties";
            if !is_rule {
                alone.append(name, other.value);
                continue;
            }
            alone.open_document(name);
            for property in fields(other.value) {
                alone.open_document(property.name);
                alone.close();
            }
            alone.close();
        }
    }
    alone.finish()
}

fn rule(
    out: &mut DocumentBuilder,
    schema: RawValue<'_>,
    keyword: Element<'_>,
    alone: &[u8],
    value: RawValue<'_>,
) {
    out.append_text(b"operatorName", keyword.name);
    match keyword.name {
        b"properties" => {
            out.open_array(b"propertiesNotSatisfied");
            let broken = fields(keyword.value).filter_map(|property| {
                let found = property_of(value, property.name)?;
                (!obeys(property.value.bytes(), found)).then_some((property, found))
            });
            for (place, (property, found)) in broken.take(MAX_LISTED).enumerate() {
                out.open_document(PositionName::new(place).as_bytes());
                out.append_text(b"propertyName", property.name);
                annotations(out, property.value);
                out.open_array(b"details");
                rules(out, property.value, found);
                out.close();
                out.close();
            }
            out.close();
        }
        b"required" => {
            specified(out, alone);
            out.open_array(b"missingProperties");
            let names = fields(keyword.value).filter(|name| {
                name.value
                    .text()
                    .is_some_and(|name| property_of(value, name).is_none())
            });
            for (place, name) in names.take(MAX_LISTED).enumerate() {
                out.append(PositionName::new(place).as_bytes(), name.value);
            }
            out.close();
        }
        b"additionalProperties" if !keyword.value.is_truthy() => {
            let own = keyword.value.to_document(keyword.name);
            specified(out, &own);
            let known = fields(schema).find(|it| it.name == b"properties");
            let is_known =
                |name: &[u8]| known.is_some_and(|it| fields(it.value).any(|one| one.name == name));
            out.open_array(b"additionalProperties");
            let others = fields(value).filter(|field| !is_known(field.name));
            for (place, field) in others.take(MAX_LISTED).enumerate() {
                out.append_text(PositionName::new(place).as_bytes(), field.name);
            }
            out.close();
        }
        b"items" if keyword.value.kind() == Kind::Document => {
            out.append_text(b"reason", b"At least one item did not match the sub-schema");
            let broken = fields(value).enumerate();
            let broken = broken.filter(|(_, item)| !obeys(keyword.value.bytes(), item.value));
            if let Some((position, item)) = broken.into_iter().next() {
                append_number(out, b"itemIndex", position);
                out.open_array(b"details");
                rules(out, keyword.value, item.value);
                out.close();
            }
        }
        b"allOf" | b"anyOf" => {
            out.open_array(b"schemasNotSatisfied");
            let broken = fields(keyword.value).enumerate();
            let broken = broken.filter(|(_, one)| !obeys(one.value.bytes(), value));
            for (place, (position, one)) in broken.take(MAX_LISTED).enumerate() {
                out.open_document(PositionName::new(place).as_bytes());
                append_number(out, b"index", position);
                out.open_array(b"details");
                rules(out, one.value, value);
                out.close();
                out.close();
            }
            out.close();
        }
        name => {
            specified(out, alone);
            out.append_text(b"reason", reason(name));
            considered(out, value);
            if matches!(name, b"type" | b"bsonType") {
                out.append_text(b"consideredType", value.kind().name().as_bytes());
            }
        }
    }
}

fn reason(keyword: &[u8]) -> &'static [u8] {
    match keyword {
        b"type" | b"bsonType" => b"type did not match",
        b"minimum" | b"maximum" => b"comparison failed",
        b"multipleOf" => b"considered value is not a multiple of the specified value",
        b"minLength" | b"maxLength" => b"specified string length was not satisfied",
        b"pattern" => b"regular expression did not match",
        b"enum" => b"value was not found in enum",
        b"minItems" | b"maxItems" => b"array did not match specified length",
        b"uniqueItems" => b"found a duplicate item",
        b"minProperties" | b"maxProperties" => b"specified number of properties was not satisfied",
        b"not" => b"child expression matched",
        b"oneOf" => b"not exactly one subschema matched",
        b"dependencies" => b"a dependency was not satisfied",
        b"additionalItems" | b"items" => b"found additional items, or one that did not match",
        b"additionalProperties" | b"patternProperties" => {
            b"a property did not match its sub-schema"
        }
        _ => b"the rule was not satisfied",
    }
}

fn fields(value: RawValue<'_>) -> impl Iterator<Item = Element<'_>> {
    value.elements().into_iter().flatten()
}

fn property_of<'a>(value: RawValue<'a>, path: &[u8]) -> Option<RawValue<'a>> {
    if value.kind() != Kind::Document {
        return None;
    }
    super::value_at(value.bytes(), path)
}

/// What cannot be asked alone is taken to be obeyed.
fn obeys(schema: &[u8], value: RawValue<'_>) -> bool {
    let schema = RawValue {
        kind: Kind::Document,
        bytes: schema,
    };
    JsonSchema::parse(schema).map_or(true, |schema| schema.admits(value))
}
