use std::cmp::Ordering;

use bson::{Bson, bson, doc};
use proptest::prelude::*;

use super::{MAX_KEY_LEN, decode, descend, encode};
use crate::values::{OwnedValue, compare};

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

fn key_of(value: &Bson) -> Vec<u8> {
    encode(OwnedValue::try_from(value).unwrap().as_raw()).unwrap()
}

/// Values whose order is easy to get wrong.
fn nasty() -> Vec<Bson> {
    let mut values = vec![
        Bson::MinKey,
        Bson::MaxKey,
        Bson::Undefined,
        Bson::Null,
        bson!(true),
        bson!(false),
        bson!({}),
        bson!([]),
        bson!([[]]),
        bson!([{}]),
        bson!([null]),
        bson!([1, 2]),
        bson!([1, 2.0, 3]),
        bson!([1.5]),
        bson!(["a"]),
        bson!(["a\0"]),
        bson!(["a", ""]),
        bson!({"a": 1}),
        bson!({"a": 1.0}),
        bson!({"a": 1, "b": 1}),
        bson!({"b": 0}),
        bson!({"a": "x"}),
        bson!({"": {}}),
        bson!({"a": {"b": []}}),
        bson!({"a": [{"b": null}]}),
        bson!({"aa": 1}),
    ];
    for text in [
        "",
        "\0",
        "\0\0",
        "a",
        "a\0",
        "a\0b",
        "aa",
        "\u{1}",
        "\u{7f}",
        "é",
        "日本",
        "\u{10FFFF}",
    ] {
        values.push(text.into());
        values.push(Bson::Symbol(text.into()));
        values.push(Bson::JavaScriptCode(text.into()));
        values.push(Bson::JavaScriptCodeWithScope(
            bson::JavaScriptCodeWithScope {
                code: text.into(),
                scope: doc! { "v": text },
            },
        ));
        values.push(bson!({ "v": text, "w": 1 }));
        values.push(bson!([text, 1]));
        let bytes = text.as_bytes().to_vec();
        for subtype in [0, 2, 4, 255_u8] {
            values.push(Bson::Binary(bson::Binary {
                subtype: subtype.into(),
                bytes: bytes.clone(),
            }));
        }
        values.push(bson!([text]));
    }
    for (pattern, options) in [("", ""), ("a", ""), ("a", "i"), ("a", "im"), ("ab", "")] {
        values.push(Bson::RegularExpression(bson::Regex {
            pattern: pattern.try_into().unwrap(),
            options: options.try_into().unwrap(),
        }));
    }
    for ms in [i64::MIN, -1, 0, 1, i64::MAX] {
        values.push(Bson::DateTime(bson::DateTime::from_millis(ms)));
        values.push(ms.into());
    }
    for (time, increment) in [(0, 0), (0, u32::MAX), (1, 0), (u32::MAX, u32::MAX)] {
        values.push(Bson::Timestamp(bson::Timestamp { time, increment }));
    }
    for byte in [0, 1, 127, 128, 255] {
        values.push(Bson::ObjectId(bson::oid::ObjectId::from_bytes([byte; 12])));
    }
    values.extend(nasty_numbers());
    values
}

fn nasty_numbers() -> Vec<Bson> {
    let mut values = Vec::new();
    for power in [0, 1, 2, 6, 7, 8, 13, 14, 30, 31, 32, 52, 53, 54, 61, 62] {
        for offset in [-1, 0, 1] {
            let value = (1_i64 << power) + offset;
            for value in [value, -value] {
                values.push(Bson::Int64(value));
                values.push(Bson::Double(value as f64));
                values.push(decimal(&value.to_string()));
                if let Ok(small) = i32::try_from(value) {
                    values.push(Bson::Int32(small));
                }
            }
        }
    }
    for value in [
        0.0,
        0.1,
        0.3,
        0.5,
        1.5,
        1e-5,
        1e15,
        1e16 + 2.0,
        1e23,
        1e300,
        5e-324,
        1e-310,
        f64::MIN_POSITIVE,
        f64::EPSILON,
        1.0 + f64::EPSILON,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
    ] {
        values.push(Bson::Double(value));
        values.push(Bson::Double(-value));
    }
    for text in [
        "0",
        "0E+3",
        "0E-6176",
        "0.1",
        "0.10",
        "0.3",
        "0.5",
        "1",
        "1.0",
        "1.00",
        "1E+1",
        "10",
        "1E-6176",
        "9.99E-6170",
        "1E+400",
        "1E+6144",
        "9.999999999999999999999999999999999E+6144",
        "1.000000000000000000000000000000001",
        "0.9999999999999999999999999999999999",
        "0.1000000000000000055511151231257827",
        "0.1000000000000000055511151231257828",
        "9007199254740993",
        "9007199254740993.1",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551617",
        "36893488147419103232",
        "36893488147419103233",
        "9999999999999999999999999999999999",
        "1E-324",
        "5E-324",
        "1.797693134862315708E+308",
        "Infinity",
        "NaN",
    ] {
        values.push(decimal(text));
        if text != "NaN" {
            values.push(decimal(&format!("-{text}")));
        }
    }
    values.extend([Bson::Int64(i64::MAX), Bson::Int64(i64::MIN)]);
    values
}

/// Whether `left`, followed by another key, cannot be taken for `right`.
fn self_delimiting(left: &[u8], right: &[u8]) -> bool {
    right
        .strip_prefix(left)
        .is_none_or(|rest| rest.first() == Some(&0xFF))
}

fn agree(left: &Bson, right: &Bson) -> Ordering {
    let (a, b) = (
        OwnedValue::try_from(left).unwrap(),
        OwnedValue::try_from(right).unwrap(),
    );
    let expected = compare(a.as_raw(), b.as_raw());
    let (a, b) = (encode(a.as_raw()).unwrap(), encode(b.as_raw()).unwrap());
    assert_eq!(
        a.cmp(&b),
        expected,
        "{left:?} {a:02x?} against {right:?} {b:02x?}"
    );
    if expected.is_ne() {
        assert!(
            self_delimiting(&a, &b) && self_delimiting(&b, &a),
            "{left:?} and {right:?}"
        );
    }
    expected
}

#[test]
fn all_pairs_of_nasty_values_agree_with_comparison() {
    let values: Vec<(OwnedValue, Vec<u8>)> = nasty()
        .iter()
        .map(|value| (OwnedValue::try_from(value).unwrap(), key_of(value)))
        .collect();
    for (a, left) in &values {
        for (b, right) in &values {
            let expected = compare(a.as_raw(), b.as_raw());
            assert_eq!(
                left.cmp(right),
                expected,
                "{a:?} {left:02x?} against {b:?} {right:02x?}"
            );
            assert!(
                expected.is_eq() || self_delimiting(left, right),
                "{a:?} begins {b:?}"
            );
        }
        assert!(left[0] != 0 && left[0] != 0xFF);
    }
}

#[test]
fn common_integers_are_short() {
    for (value, len) in [
        (0, 1),
        (1, 2),
        (-1, 2),
        (100, 2),
        (1000, 2),
        (1001, 3),
        (1 << 40, 2),
    ] {
        assert_eq!(key_of(&Bson::Int64(value)).len(), len, "{value}");
    }
    assert_eq!(key_of(&Bson::Int32(i32::MAX)).len(), 6);
    assert_eq!(key_of(&Bson::Int64(i64::MAX)).len(), 10);
    assert_eq!(key_of(&Bson::Int64(i64::MIN)).len(), 2);
}

#[test]
fn a_key_beyond_the_limit_is_refused_and_one_at_it_is_not() {
    let at = key_of(&Bson::String("x".repeat(MAX_KEY_LEN - 2)));
    assert_eq!(at.len(), MAX_KEY_LEN);
    let beyond = OwnedValue::try_from(&Bson::String("x".repeat(MAX_KEY_LEN - 1))).unwrap();
    let error = encode(beyond.as_raw()).unwrap_err();
    assert_eq!(error.code(), Some(17280));
    assert_eq!(
        error.to_string(),
        "key too large to index: 65537 bytes, the limit is 65536"
    );
}

#[test]
fn known_values_have_known_bytes() {
    for (value, expected) in [
        (bson!(1), &[0x5A, 0x00][..]),
        (bson!(-1), &[0x56, 0xFF]),
        (bson!(1.5), &[0x5A, 0x80]),
        (bson!(300), &[0x62, 0x2C]),
        (bson!(257), &[0x62, 0x01, 0x80]),
        (bson!(0.25), &[0x59, 0x7F, 0xFE, 0x00]),
        (bson!("a\0b"), &[0xA0, b'a', 0x00, 0xFF, b'b', 0x00]),
        (bson!({"a": null}), &[0xA4, 0x0C, b'a', 0x00, 0x0C, 0x00]),
        (bson!([true]), &[0xA8, 0xB4, 0x01, 0x00]),
    ] {
        assert_eq!(key_of(&value), expected, "{value:?}");
    }
}

fn any_number() -> impl Strategy<Value = Bson> {
    prop_oneof![
        any::<i32>().prop_map(Bson::Int32),
        (-3..3_i32).prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<f64>().prop_map(Bson::Double),
        any::<i64>().prop_map(|value| Bson::Double(value as f64)),
        (-1000..1000_i32).prop_map(|value| Bson::Double(f64::from(value) / 8.0)),
        (any::<i64>(), -6000..6000_i32).prop_map(|(c, e)| decimal(&format!("{c}E{e}"))),
        (any::<i64>(), -25..25_i32).prop_map(|(c, e)| decimal(&format!("{c}E{e}"))),
        (-100..100_i32, -3..3_i32).prop_map(|(c, e)| decimal(&format!("{c}E{e}"))),
        any::<f64>().prop_filter_map("finite", |value| {
            // The decimals next to a double are the hardest neighbours.
            value
                .is_finite()
                .then(|| decimal(&format!("{value:.30e}").replace('e', "E")))
        }),
    ]
}

fn any_value() -> impl Strategy<Value = Bson> {
    let leaf = prop_oneof![
        4 => any_number(),
        3 => "[a\\x00b]{0,4}".prop_map(Bson::String),
        1 => Just(Bson::Null),
        1 => Just(Bson::MinKey),
        1 => Just(Bson::MaxKey),
        1 => Just(Bson::Undefined),
        1 => any::<bool>().prop_map(Bson::Boolean),
        1 => any::<i64>().prop_map(|ms| Bson::DateTime(bson::DateTime::from_millis(ms))),
        1 => any::<[u8; 12]>().prop_map(|b| Bson::ObjectId(bson::oid::ObjectId::from_bytes(b))),
        1 => (0..3_u8, prop::collection::vec(0..3_u8, 0..4)).prop_map(|(subtype, bytes)| {
            Bson::Binary(bson::Binary { subtype: subtype.into(), bytes })
        }),
        1 => "[a\\x00b]{0,3}".prop_map(Bson::JavaScriptCode),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Bson::Array),
            prop::collection::vec(("[ab]{0,2}", inner), 0..4)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn generated_values_agree_with_comparison(a in any_value(), b in any_value()) {
        let expected = agree(&a, &b);
        assert_decodes(&a);
        let (mut x, mut y) = (key_of(&a), key_of(&b));
        descend(&mut x);
        descend(&mut y);
        prop_assert_eq!(x == y, expected.is_eq());
        // Whatever follows: no encoding begins with 0x00 or 0xFF.
        for (behind_x, behind_y) in [(0x01, 0xFE), (0xFE, 0x01)] {
            x.push(behind_x);
            y.push(behind_y);
            if expected.is_ne() {
                prop_assert_eq!(x.cmp(&y), expected.reverse());
            }
            x.pop();
            y.pop();
        }
    }

    #[test]
    fn a_descending_string_that_begins_another_comes_behind_it(
        head in "[a\\x00b]{0,4}", tail in "[a\\x00b]{0,3}"
    ) {
        let longer = Bson::String(format!("{head}\0{tail}"));
        let (mut short, mut long) = (key_of(&Bson::String(head)), key_of(&longer));
        descend(&mut short);
        descend(&mut long);
        short.push(0x01);
        long.push(0xFE);
        prop_assert!(long < short);
    }

    #[test]
    fn generated_numbers_agree_with_comparison(a in any_number(), b in any_number()) {
        agree(&a, &b);
    }

    #[test]
    fn compound_keys_agree_with_comparison_part_by_part(
        a in any_value(), b in any_value(), c in any_value(), d in any_value()
    ) {
        let (mut x, mut y) = (key_of(&a), key_of(&b));
        // The second part runs the other way.
        let (mut c, mut d) = (key_of(&c), key_of(&d));
        descend(&mut c);
        descend(&mut d);
        let expected = x.cmp(&y).then(c.cmp(&d));
        x.extend(c);
        y.extend(d);
        prop_assert_eq!(x.cmp(&y), expected);
    }
}

/// Whatever a key tells is what went in.
fn assert_decodes(value: &Bson) {
    let key = key_of(value);
    let decoded = decode(&key);
    let decoded = decoded.unwrap_or_else(|| panic!("{value:?}: {key:02x?}"));
    let (one, other) = (
        OwnedValue::try_from(value).unwrap(),
        OwnedValue::try_from(&decoded).unwrap(),
    );
    let order = compare(one.as_raw(), other.as_raw());
    assert_eq!(order, Ordering::Equal, "{value:?} came back as {decoded:?}");
    assert_eq!(key_of(&decoded), key);
}

#[test]
fn a_key_gives_back_a_value_that_is_equal() {
    for value in nasty() {
        assert_decodes(&value);
    }
    for text in [
        "0.1",
        "-0.1",
        "1E+25",
        "5E-30",
        "1E+6144",
        "1E-6176",
        "9.999999999999999999999999999999999E+6144",
        "1234567890123456789012345678901234",
        "-18446744073709551615",
        "1E-20",
    ] {
        assert_decodes(&decimal(text));
    }
    for number in [f64::MIN_POSITIVE, 5e-324, f64::MAX, -1.5e300, 0.1] {
        assert_decodes(&Bson::Double(number));
    }
    assert_eq!(decode(&key_of(&Bson::Double(7.0))), Some(Bson::Int32(7)));
    assert_eq!(decode(&[]), None);
    assert_eq!(decode(&[0xA0, b'a']), None, "a text without an end");
    assert_eq!(decode(&[0x58, 0x58]), None, "two values");
}
