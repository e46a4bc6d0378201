//! Filters and documents that have much in common: few names, few values, each
//! of the kind at which code often thinks otherwise.

use bson::oid::ObjectId;
use bson::raw::CString;
use bson::spec::BinarySubtype;
use bson::{Binary, DateTime, Decimal128, RawArrayBuf, RawBson, RawDocumentBuf, Regex, Timestamp};
use oorandom::Rand64;

/// Names of fields: short, of eight bytes, and longer with a common beginning.
const NAMES: [&str; 9] = [
    "a",
    "b",
    "c",
    "0",
    "1",
    "",
    "eight_by",
    "eight_bytes",
    "eight_bytez",
];
/// Levels of documents and arrays within each other.
const DEPTH: u32 = 3;
/// Patterns, none with a fault.
const PATTERNS: [&str; 7] = ["^a", "a$", "b", "^$", "[ab]+", "(?m)^b", "a|\\d"];

/// A number below `end`.
fn below(rng: &mut Rand64, end: usize) -> usize {
    rng.rand_range(0..end as u64) as usize
}

fn one_in(rng: &mut Rand64, count: u64) -> bool {
    rng.rand_range(0..count) == 0
}

fn pick<T: Clone>(rng: &mut Rand64, all: &[T]) -> T {
    all[below(rng, all.len())].clone()
}

fn name(rng: &mut Rand64) -> &'static str {
    // Mostly the first three: else nothing would ever meet.
    if one_in(rng, 3) {
        pick(rng, &NAMES)
    } else {
        NAMES[below(rng, 3)]
    }
}

/// None of the texts here holds NUL.
fn text(plain: &str) -> CString {
    CString::try_from(plain).unwrap_or_else(|_| bson::raw::cstr!("").to_owned())
}

fn append(document: &mut RawDocumentBuf, name: &str, value: RawBson) {
    let name = text(name);
    document.append(name, value);
}

/// A document; now and then with two fields of one name.
pub(super) fn document(rng: &mut Rand64, id: u64) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
    append(
        &mut out,
        "_id",
        RawBson::Int64(i64::try_from(id).unwrap_or_default()),
    );
    fields(rng, DEPTH, &mut out);
    out
}

fn fields(rng: &mut Rand64, depth: u32, out: &mut RawDocumentBuf) {
    let mut taken: Vec<&str> = Vec::new();
    for _ in 0..below(rng, 5) {
        let name = name(rng);
        if taken.contains(&name) && !one_in(rng, 4) {
            continue;
        }
        taken.push(name);
        let value = value(rng, depth);
        append(out, name, value);
    }
}

fn value(rng: &mut Rand64, depth: u32) -> RawBson {
    match rng.rand_range(0..10) {
        0..=1 if depth > 0 => {
            let mut inner = RawDocumentBuf::new();
            fields(rng, depth - 1, &mut inner);
            RawBson::Document(inner)
        }
        2..=3 if depth > 0 => {
            let mut array = RawArrayBuf::new();
            for _ in 0..below(rng, 4) {
                array.push(value(rng, depth - 1));
            }
            RawBson::Array(array)
        }
        _ => scalar(rng),
    }
}

fn scalar(rng: &mut Rand64) -> RawBson {
    if one_in(rng, 2) {
        return number(rng);
    }
    match rng.rand_range(0..16) {
        0..=4 => {
            RawBson::String(pick(rng, &["", "a", "ab", "b", "a\n", "A", "é", "a\0"]).to_owned())
        }
        5 => RawBson::Symbol(pick(rng, &["a", "b"]).to_owned()),
        6 => RawBson::Null,
        7 => RawBson::Boolean(one_in(rng, 2)),
        8 => RawBson::DateTime(DateTime::from_millis(below(rng, 3) as i64 - 1)),
        9 => RawBson::ObjectId(ObjectId::from_bytes([below(rng, 2) as u8; 12])),
        10 => RawBson::Binary(Binary {
            subtype: BinarySubtype::Generic,
            bytes: vec![1; below(rng, 3)],
        }),
        11 => RawBson::Timestamp(Timestamp {
            time: 0,
            increment: below(rng, 2) as u32,
        }),
        12 => RawBson::RegularExpression(regex(rng)),
        13 => RawBson::Undefined,
        14 => RawBson::MinKey,
        _ => RawBson::MaxKey,
    }
}

fn regex(rng: &mut Rand64) -> Regex {
    Regex {
        pattern: text(pick(rng, &PATTERNS)),
        options: text(pick(rng, &["", "i", "m", "s"])),
    }
}

fn number(rng: &mut Rand64) -> RawBson {
    const EDGE: i64 = 1 << 53;
    match rng.rand_range(0..13) {
        0..=2 => RawBson::Int32(below(rng, 4) as i32 - 1),
        3 => RawBson::Int64(below(rng, 4) as i64),
        4 => RawBson::Double(below(rng, 4) as f64),
        5 | 10 | 11 => RawBson::Int64(pick(
            rng,
            &[EDGE - 1, EDGE, EDGE + 1, i64::MAX, i64::MIN, -EDGE - 1],
        )),
        6 | 12 => RawBson::Double(pick(
            rng,
            &[EDGE as f64, -(EDGE as f64), 9.223_372_036_854_775e18],
        )),
        7 => RawBson::Double(pick(rng, &[f64::NAN, f64::INFINITY, -0.0, 0.5, 1e300])),
        8 => RawBson::Int32(pick(rng, &[i32::MAX, i32::MIN, 5, 12])),
        _ => {
            let text = pick(
                rng,
                &["1.0", "0.5", "NaN", "-0", "9007199254740993", "1E+400", "2"],
            );
            text.parse::<Decimal128>()
                .map_or(RawBson::Null, RawBson::Decimal128)
        }
    }
}

/// A filter, which mostly makes sense.
pub(super) fn filter(rng: &mut Rand64) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
    conditions(rng, 2, false, &mut out);
    out
}

fn conditions(rng: &mut Rand64, depth: u32, in_element: bool, out: &mut RawDocumentBuf) {
    for _ in 0..=below(rng, 3) {
        match rng.rand_range(0..12) {
            0..=2 if depth > 0 => {
                let mut array = RawArrayBuf::new();
                for _ in 0..=below(rng, 2) {
                    let mut inner = RawDocumentBuf::new();
                    conditions(rng, depth - 1, in_element, &mut inner);
                    array.push(RawBson::Document(inner));
                }
                let operator = pick(rng, &["$and", "$or", "$nor"]);
                append(out, operator, RawBson::Array(array));
            }
            3 if !in_element => computed(rng, out),
            4 if one_in(rng, 4) => {
                let operator = pick(rng, &["$alwaysTrue", "$alwaysFalse"]);
                append(out, operator, RawBson::Int32(1));
            }
            5 if one_in(rng, 3) => schema(rng, out),
            _ => {
                let path = path(rng);
                let asked = asked(rng, depth);
                append(out, &path, asked);
            }
        }
    }
}

fn path(rng: &mut Rand64) -> String {
    let steps: Vec<&str> = (0..=below(rng, 3)).map(|_| name(rng)).collect();
    steps.join(".")
}

/// What is asked of the values of a path.
fn asked(rng: &mut Rand64, depth: u32) -> RawBson {
    if one_in(rng, 4) {
        return match value(rng, 1) {
            // Refused as an operand.
            RawBson::Undefined => RawBson::Null,
            other => other,
        };
    }
    let mut out = RawDocumentBuf::new();
    for _ in 0..=below(rng, 2) {
        operator(rng, depth, &mut out);
    }
    RawBson::Document(out)
}

fn operator(rng: &mut Rand64, depth: u32, out: &mut RawDocumentBuf) {
    let (name, operand) = match rng.rand_range(0..18) {
        0..=5 => {
            let name = pick(rng, &["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]);
            (name, operand(rng))
        }
        6..=7 => (pick(rng, &["$in", "$nin"]), members(rng, true)),
        8 => ("$exists", RawBson::Boolean(one_in(rng, 2))),
        9 => {
            let name = pick(
                rng,
                &["number", "string", "array", "object", "null", "int", "bool"],
            );
            ("$type", RawBson::String(name.to_owned()))
        }
        10 => ("$size", RawBson::Int32(below(rng, 3) as i32)),
        11 => {
            let mut array = RawArrayBuf::new();
            array.push(RawBson::Int32(1 + below(rng, 3) as i32));
            array.push(RawBson::Int32(below(rng, 2) as i32));
            ("$mod", RawBson::Array(array))
        }
        12 => {
            let names = [
                "$bitsAllSet",
                "$bitsAnySet",
                "$bitsAllClear",
                "$bitsAnyClear",
            ];
            (pick(rng, &names), RawBson::Int32(below(rng, 8) as i32))
        }
        13 => ("$regex", RawBson::String(pick(rng, &PATTERNS).to_owned())),
        14 => ("$all", members(rng, false)),
        15..=16 if depth > 0 => {
            let mut inner = RawDocumentBuf::new();
            if one_in(rng, 2) {
                operator(rng, depth - 1, &mut inner);
            } else {
                conditions(rng, depth - 1, true, &mut inner);
            }
            ("$elemMatch", RawBson::Document(inner))
        }
        17 if depth > 0 => {
            let mut inner = RawDocumentBuf::new();
            operator(rng, depth - 1, &mut inner);
            ("$not", RawBson::Document(inner))
        }
        _ => ("$eq", operand(rng)),
    };
    append(out, name, operand);
}

/// An operand of a comparison: none that is refused.
fn operand(rng: &mut Rand64) -> RawBson {
    match value(rng, 1) {
        RawBson::Undefined | RawBson::RegularExpression(_) => number(rng),
        other => other,
    }
}

fn members(rng: &mut Rand64, with_patterns: bool) -> RawBson {
    let mut array = RawArrayBuf::new();
    let (texts, numbers) = (one_in(rng, 3), one_in(rng, 3));
    let count = if one_in(rng, 20) { 80 } else { below(rng, 4) };
    for _ in 0..count {
        array.push(if texts {
            RawBson::String(pick(rng, &["a", "ab", "b", ""]).to_owned())
        } else if numbers {
            RawBson::Int64(below(rng, 100) as i64 - 1)
        } else if with_patterns && one_in(rng, 6) {
            RawBson::RegularExpression(regex(rng))
        } else {
            operand(rng)
        });
    }
    RawBson::Array(array)
}

/// An `$expr` that fails for some documents.
fn computed(rng: &mut Rand64, out: &mut RawDocumentBuf) {
    let mut operands = RawArrayBuf::new();
    operands.push(RawBson::String(format!(
        "${}",
        pick(rng, &["a", "b", "a.b"])
    )));
    operands.push(number(rng));
    let operator = pick(rng, &["$gt", "$eq", "$add"]);
    let mut inner = RawDocumentBuf::new();
    append(&mut inner, operator, RawBson::Array(operands));
    append(out, "$expr", RawBson::Document(inner));
}

fn schema(rng: &mut Rand64, out: &mut RawDocumentBuf) {
    let mut rules = RawDocumentBuf::new();
    append(&mut rules, "minimum", RawBson::Int32(below(rng, 3) as i32));
    let mut properties = RawDocumentBuf::new();
    append(&mut properties, name(rng), RawBson::Document(rules));
    let mut schema = RawDocumentBuf::new();
    append(&mut schema, "properties", RawBson::Document(properties));
    append(out, "$jsonSchema", RawBson::Document(schema));
}
