//! `$convert` and its short forms `$toInt`, `$toString` and so on; the
//! conversions themselves are in `conversions`.

use super::arguments::{Named, coded, kind_name, null, number, text};
use super::conversions::{ByteOrder, CONVERSION_FAILURE, Format, Target, convert_value};
use super::environment::Environment;
use super::node::{Call, Node, argument};
use super::operators::Entry;
use super::parse::Parser;
use super::value::Value;
use crate::error::{Error, Result};
use crate::values::{Kind, Numeric, RawValue};

const FAILED_TO_PARSE: i32 = 9;
const BAD_VALUE: i32 = 2;

/// The subtype of a UUID.
const UUID: u8 = 4;

pub(super) fn find(name: &str) -> Option<Entry> {
    Some(match name {
        "$convert" => Entry::Special(|value, parser| {
            Ok(Node::Call(Call {
                name: "$convert",
                evaluate: convert,
                arguments: CONVERT.parse(value, parser)?,
            }))
        }),
        "$toString" => Entry::Special(|v, p| short(v, p, "$toString", "string")),
        "$toObjectId" => Entry::Special(|v, p| short(v, p, "$toObjectId", "objectId")),
        "$toDate" => Entry::Special(|v, p| short(v, p, "$toDate", "date")),
        "$toDouble" => Entry::Special(|v, p| short(v, p, "$toDouble", "double")),
        "$toInt" => Entry::Special(|v, p| short(v, p, "$toInt", "int")),
        "$toLong" => Entry::Special(|v, p| short(v, p, "$toLong", "long")),
        "$toDecimal" => Entry::Special(|v, p| short(v, p, "$toDecimal", "decimal")),
        "$toBool" => Entry::Special(|v, p| short(v, p, "$toBool", "bool")),
        "$toUUID" => Entry::Special(|v, p| short(v, p, "$toUUID", "binData")),
        _ => return None,
    })
}

const CONVERT: Named = Named {
    operator: "$convert",
    names: &["input", "to", "onError", "onNull", "format", "byteOrder"],
    required: &[FAILED_TO_PARSE, FAILED_TO_PARSE],
    not_document: FAILED_TO_PARSE,
    unknown: FAILED_TO_PARSE,
};

/// A short form: one operand, converted to a fixed type.
fn short(
    value: RawValue<'_>,
    parser: &mut Parser<'_>,
    name: &'static str,
    target: &str,
) -> Result<Node> {
    let mut arguments = parser.arguments(value)?;
    if arguments.len() != 1 {
        let message = format!("{name} requires a single argument, got {}", arguments.len());
        return Err(coded(50723, message));
    }
    let format = match name {
        "$toString" => Node::Constant(Value::text("auto")),
        "$toUUID" => Node::Constant(Value::text("uuid")),
        _ => Node::Absent,
    };
    let to = if name == "$toUUID" {
        let mut fields = super::value::Fields::default();
        fields.append(b"type", &Value::text(target))?;
        fields.append(b"subtype", &Value::int32(i32::from(UUID)))?;
        Node::Constant(fields.finish())
    } else {
        Node::Constant(Value::text(target))
    };
    arguments.extend([to, Node::Absent, Node::Absent, format, Node::Absent]);
    Ok(Node::Call(Call {
        name,
        evaluate: convert,
        arguments,
    }))
}

fn convert<'a>(
    arguments: &'a [Node],
    environment: &mut Environment<'a>,
) -> Result<Option<Value<'a>>> {
    let to = argument(arguments, 1).or_null(environment)?;
    let input = argument(arguments, 0).or_null(environment)?;
    let target = if to.is_nullish() {
        None
    } else {
        Some(target(&to)?)
    };
    let format = format(argument(arguments, 4), environment)?;
    let order = byte_order(argument(arguments, 5), environment)?;
    if input.is_nullish() {
        let on_null = argument(arguments, 3);
        return if on_null.is_absent() {
            null()
        } else {
            on_null.evaluate(environment)
        };
    }
    let Some(target) = target else { return null() };
    match convert_value(input, target, format, order) {
        Err(error) if error.code() == Some(CONVERSION_FAILURE) => {
            let on_error = argument(arguments, 2);
            if on_error.is_absent() {
                Err(error)
            } else {
                on_error.evaluate(environment)
            }
        }
        other => other.map(Some),
    }
}

/// What is converted to: the name or the number of a type, or a document of one
/// with a subtype of binaries.
fn target(value: &Value<'_>) -> Result<Target> {
    if value.kind() != Kind::Document {
        return Ok(Target {
            kind: kind(value)?,
            subtype: 0,
        });
    }
    let Some(inner) = value.field(b"type") else {
        return Err(coded(
            FAILED_TO_PARSE,
            "$convert's 'to' document has no 'type'",
        ));
    };
    let mut subtype = 0;
    if let Some(given) = value.field(b"subtype") {
        let whole = number(&given).and_then(Numeric::exact_i32);
        let Some(whole) = whole.and_then(|whole| u8::try_from(whole).ok()) else {
            return Err(coded(
                4_341_106,
                "$convert's 'subtype' must be an integer from 0 to 255",
            ));
        };
        subtype = whole;
    }
    Ok(Target {
        kind: kind(&inner)?,
        subtype,
    })
}

/// The type; `None` for the one of what is missing.
fn kind(value: &Value<'_>) -> Result<Option<Kind>> {
    if let Some(name) = text(value) {
        if name == "missing" {
            return Ok(None);
        }
        return match Kind::ALL.iter().find(|kind| kind.name() == name) {
            Some(kind) => Ok(Some(*kind)),
            None => Err(coded(BAD_VALUE, format!("unknown type name: {name}"))),
        };
    }
    let Some(number) = number(value) else {
        let kind = kind_name(value);
        let message = format!("$convert's 'to' argument must be a string or number, but is {kind}");
        return Err(coded(FAILED_TO_PARSE, message));
    };
    let Some(whole) = number.exact_i32() else {
        let message = "in $convert, numeric 'to' argument is not an integer";
        return Err(coded(FAILED_TO_PARSE, message));
    };
    if whole == 0 {
        return Ok(None);
    }
    let byte = match whole {
        -1 => Some(0xFF),
        0xFF => None,
        other => u8::try_from(other).ok(),
    };
    match byte.and_then(Kind::from_byte) {
        Some(kind) => Ok(Some(kind)),
        None => Err(coded(
            FAILED_TO_PARSE,
            format!("in $convert, 'to' does not correspond to a BSON type: {whole}"),
        )),
    }
}

fn not_text(name: &str, code: i32, value: &Value<'_>) -> Error {
    let kind = kind_name(value);
    coded(
        code,
        format!("$convert requires that '{name}' be a string, found: {kind}"),
    )
}

fn format<'a>(node: &'a Node, environment: &mut Environment<'a>) -> Result<Option<Format>> {
    if node.is_absent() {
        return Ok(None);
    }
    let value = node.or_null(environment)?;
    if value.is_nullish() {
        return Ok(None);
    }
    let Some(name) = text(&value) else {
        return Err(not_text("format", 4_341_114, &value));
    };
    Ok(Some(match name {
        "auto" => Format::Auto,
        "base64" => Format::Base64,
        "base64url" => Format::Base64Url,
        "hex" => Format::Hex,
        "utf8" => Format::Utf8,
        "uuid" => Format::Uuid,
        other => {
            let message = format!("invalid 'format' argument for $convert: {other}");
            return Err(coded(4_341_125, message));
        }
    }))
}

fn byte_order<'a>(node: &'a Node, environment: &mut Environment<'a>) -> Result<ByteOrder> {
    if node.is_absent() {
        return Ok(ByteOrder::Little);
    }
    let value = node.or_null(environment)?;
    if value.is_nullish() {
        return Ok(ByteOrder::Little);
    }
    match text(&value) {
        Some("little") => Ok(ByteOrder::Little),
        Some("big") => Ok(ByteOrder::Big),
        Some(other) => Err(coded(
            9_130_002,
            format!("invalid 'byteOrder' argument for $convert: {other}"),
        )),
        None => Err(not_text("byteOrder", 9_130_001, &value)),
    }
}
