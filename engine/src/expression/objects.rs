//! Operators over documents: `$mergeObjects $objectToArray $arrayToObject
//! $getField $setField $unsetField`.

use super::arguments::{coded, kind_name, null, text};
use super::arrays::is_array;
use super::environment::Environment;
use super::node::{Call, Node, argument};
use super::operators::{ANY, Entry, call};
use super::optimise::constant;
use super::parse::{Parser, show};
use super::path::Path;
use super::value::{Fields, Value};
use crate::error::Result;
use crate::values::{Element, Elements, Kind, RawValue};

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$mergeObjects" => call("$mergeObjects", 0, ANY, merge_objects),
        "$objectToArray" => call("$objectToArray", 1, 1, object_to_array),
        "$arrayToObject" => call("$arrayToObject", 1, 1, array_to_object),
        "$getField" => Entry::Special(parse_get_field),
        "$setField" => {
            Entry::Special(|value, parser| parse_set_field(value, parser, "$setField", true))
        }
        "$unsetField" => {
            Entry::Special(|value, parser| parse_set_field(value, parser, "$unsetField", false))
        }
        _ => return None,
    })
}

/// The fields of a document that has its bytes at hand, as all have.
pub(super) fn fields<'v>(document: &'v Value<'_>) -> impl Iterator<Item = Element<'v>> {
    let bytes = document.raw().map_or(&[][..], |raw| raw.bytes());
    Elements::new(bytes)
}

fn merge_objects<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let mut documents: Vec<Value<'a>> = Vec::new();
    let mut add = |value: Value<'a>| {
        if value.is_nullish() {
            return Ok(());
        }
        if value.kind() != Kind::Document {
            let kind = kind_name(&value);
            let message = format!("$mergeObjects requires object inputs, but found {kind}");
            return Err(coded(40400, message));
        }
        documents.push(value);
        Ok(())
    };
    // The one operand may be an array of documents.
    if let [only] = arguments {
        let value = only.or_null(environment)?;
        if is_array(&value) {
            value.elements().try_for_each(add)?;
        } else {
            add(value)?;
        }
    } else {
        for argument in arguments {
            add(argument.or_null(environment)?)?;
        }
    }
    merge(&documents).map(Some)
}

/// The fields of all documents: each at its first place, with its last value.
pub(super) fn merge<'a>(documents: &[Value<'_>]) -> Result<Value<'a>> {
    let mut out = Fields::default();
    let mut merged: Vec<Element<'_>> = Vec::new();
    let mut places: std::collections::HashMap<&[u8], usize> = std::collections::HashMap::new();
    for document in documents {
        out.deepen(document);
        for element in fields(document) {
            match places.get(element.name).copied() {
                Some(place) => {
                    if let Some(old) = merged.get_mut(place) {
                        old.value = element.value;
                    }
                }
                None => {
                    places.insert(element.name, merged.len());
                    merged.push(element);
                }
            }
        }
    }
    for element in merged {
        out.append_element(element)?;
    }
    Ok(out.finish())
}

fn object_to_array<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let document = argument(arguments, 0).or_null(environment)?;
    if document.is_nullish() {
        return null();
    }
    if document.kind() != Kind::Document {
        let kind = kind_name(&document);
        let message = format!("$objectToArray requires a document input, found: {kind}");
        return Err(coded(40390, message));
    }
    let mut all = Vec::new();
    for field in fields(&document) {
        let name = std::str::from_utf8(field.name).unwrap_or_default();
        let mut pair = Fields::default();
        pair.deepen(&document);
        pair.append(b"k", &Value::text(name))?;
        pair.append_element(Element {
            name: b"v",
            value: field.value,
        })?;
        all.push(pair.finish());
    }
    Value::array(all).map(Some)
}

fn array_to_object<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let array = argument(arguments, 0).or_null(environment)?;
    if array.is_nullish() {
        return null();
    }
    if !is_array(&array) {
        let kind = kind_name(&array);
        let message = format!("$arrayToObject requires an array input, found: {kind}");
        return Err(coded(40386, message));
    }
    let mut pairs: Vec<(String, Value<'a>)> = Vec::new();
    let mut places: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    let mut of_arrays = None;
    for element in array.elements() {
        let of_arrays = *of_arrays.get_or_insert(is_array(&element));
        let (key, value) = if of_arrays {
            pair_of_array(&element)?
        } else {
            pair_of_document(&element)?
        };
        match places.get(&key).copied() {
            Some(place) => {
                if let Some(old) = pairs.get_mut(place) {
                    old.1 = value;
                }
            }
            None => {
                places.insert(key.clone(), pairs.len());
                pairs.push((key, value));
            }
        }
    }
    let mut out = Fields::default();
    for (key, value) in &pairs {
        out.append(key.as_bytes(), value)?;
    }
    Ok(Some(out.finish()))
}

/// The key of a pair; a name of a field holds no NUL.
fn key_of(value: &Value<'_>, not_text: i32, has_nul: i32) -> Result<String> {
    let Some(key) = text(value) else {
        let kind = kind_name(value);
        let message = format!("$arrayToObject requires keys of type string, found: {kind}");
        return Err(coded(not_text, message));
    };
    if key.contains('\0') {
        return Err(coded(has_nul, "a key of $arrayToObject contains NUL"));
    }
    Ok(key.to_owned())
}

fn pair_of_array<'a>(element: &Value<'a>) -> Result<(String, Value<'a>)> {
    if !is_array(element) {
        let kind = kind_name(element);
        let message = format!("$arrayToObject: elements must all be arrays, found: {kind}");
        return Err(coded(40396, message));
    }
    let mut parts = element.elements();
    let (Some(key), Some(value), None) = (parts.next(), parts.next(), parts.next()) else {
        let message = "$arrayToObject requires an array of size 2 arrays";
        return Err(coded(40397, message));
    };
    Ok((key_of(&key, 40395, 4_940_400)?, value))
}

fn pair_of_document<'a>(element: &Value<'a>) -> Result<(String, Value<'a>)> {
    if element.kind() != Kind::Document {
        // What the first element is decides which of the two forms is meant.
        let kind = kind_name(element);
        let message = format!("$arrayToObject: unrecognised element of type {kind}");
        return Err(coded(40398, message));
    }
    let count = fields(element).count();
    if count != 2 {
        let message = format!("$arrayToObject requires objects of 'k' and 'v', found {count} keys");
        return Err(coded(40392, message));
    }
    let (Some(key), Some(value)) = (element.field(b"k"), element.field(b"v")) else {
        return Err(coded(
            40393,
            "$arrayToObject requires objects with keys 'k' and 'v'",
        ));
    };
    Ok((key_of(&key, 40394, 4_940_401)?, value))
}

fn parse_get_field(value: RawValue<'_>, parser: &mut Parser<'_>) -> Result<Node> {
    let (mut field, mut input) = (Node::Absent, Node::Absent);
    if value.kind() == Kind::Document
        && !Elements::new(value.bytes())
            .next()
            .is_some_and(|first| first.name.starts_with(b"$"))
    {
        for element in Elements::new(value.bytes()) {
            match element.name {
                b"field" => field = parser.operand(element.value)?,
                b"input" => input = parser.operand(element.value)?,
                other => {
                    let message = format!("$getField found an unknown argument: {}", show(other));
                    return Err(coded(3_041_701, message));
                }
            }
        }
        if field.is_absent() {
            return Err(coded(
                3_041_702,
                "$getField requires 'field' to be specified",
            ));
        }
        if input.is_absent() {
            return Err(coded(
                3_041_703,
                "$getField requires 'input' to be specified",
            ));
        }
    } else {
        field = parser.operand(value)?;
        input = Node::Path(Path {
            base: parser.current(),
            steps: Box::default(),
        });
    }
    // A path where a name is wanted is most likely a mistake: MongoDB asks for `$literal`.
    if let Node::Constant(name) = &field
        && name.kind() != Kind::String
    {
        let kind = kind_name(name);
        let message = format!("$getField requires 'field' to evaluate to a string, found {kind}");
        return Err(coded(5_654_602, message));
    }
    Ok(Node::Call(Call {
        name: "$getField",
        evaluate: get_field,
        arguments: vec![field, input],
    }))
}

fn get_field<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let name = argument(arguments, 0).or_null(environment)?;
    let Some(name) = text(&name) else {
        let kind = kind_name(&name);
        let message = format!("$getField requires 'field' to evaluate to a string, found {kind}");
        return Err(coded(3_041_704, message));
    };
    let Some(input) = argument(arguments, 1).evaluate(environment)? else {
        return Ok(None);
    };
    if input.is_nullish() {
        return null();
    }
    // No other value has fields.
    Ok(input.field(name.as_bytes()))
}

fn parse_set_field(
    value: RawValue<'_>,
    parser: &mut Parser<'_>,
    operator: &'static str,
    sets: bool,
) -> Result<Node> {
    if value.kind() != Kind::Document {
        let kind = value.kind().name();
        let message = format!("{operator} only supports an object as its argument, found {kind}");
        return Err(coded(4_161_100, message));
    }
    let (mut field, mut input, mut new) = (Node::Absent, Node::Absent, Node::Absent);
    for element in Elements::new(value.bytes()) {
        match element.name {
            b"field" => field = parser.operand(element.value)?,
            b"input" => input = parser.operand(element.value)?,
            b"value" if sets => new = parser.operand(element.value)?,
            other => {
                let message = format!("{operator} found an unknown argument: {}", show(other));
                return Err(coded(4_161_101, message));
            }
        }
    }
    let missing = |name: &str| format!("{operator} requires '{name}' to be specified");
    if field.is_absent() {
        return Err(coded(4_161_102, missing("field")));
    }
    if sets && new.is_absent() {
        return Err(coded(4_161_103, missing("value")));
    }
    if input.is_absent() {
        return Err(coded(4_161_109, missing("input")));
    }
    // The name has to be constant: after constants are evaluated, one of an
    // expression may be, too, but not one of a path.
    let field = super::optimise::optimise(field)?;
    match constant(&field) {
        Some(Some(name)) => match text(name) {
            Some(name) if name.contains('\0') => {
                let message = format!("{operator}: 'field' contains NUL");
                return Err(coded(9_534_700, message));
            }
            Some(_) => {}
            None => {
                let kind = kind_name(name);
                let message =
                    format!("{operator} requires 'field' to evaluate to a string, found {kind}");
                return Err(coded(4_161_107, message));
            }
        },
        _ => {
            let is_path = matches!(field, Node::Path(_));
            let message = format!("{operator} requires 'field' to be a constant");
            return Err(coded(if is_path { 4_161_108 } else { 4_161_106 }, message));
        }
    }
    Ok(Node::Call(Call {
        name: operator,
        evaluate: set_field,
        arguments: vec![field, input, new],
    }))
}

fn set_field<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let name = argument(arguments, 0).or_null(environment)?;
    let name = text(&name).unwrap_or_default().as_bytes();
    let input = argument(arguments, 1).or_null(environment)?;
    if input.is_nullish() {
        return null();
    }
    if input.kind() != Kind::Document {
        let kind = kind_name(&input);
        let message = format!("$setField requires 'input' to evaluate to an object, found {kind}");
        return Err(coded(4_161_105, message));
    }
    let mut new = argument(arguments, 2).evaluate(environment)?;
    let mut out = Fields::default();
    out.deepen(&input);
    let mut is_there = false;
    for element in fields(&input) {
        if element.name != name {
            out.append_element(element)?;
        } else if !is_there {
            is_there = true;
            if let Some(new) = new.take() {
                out.append(name, &new)?;
            }
        }
    }
    if let Some(new) = new
        && !is_there
    {
        out.append(name, &new)?;
    }
    Ok(Some(out.finish()))
}
