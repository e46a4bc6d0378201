use std::cmp::Ordering;

use bson::{Bson, bson, doc};

use super::compare;
use crate::values::OwnedValue;

fn order(left: &Bson, right: &Bson) -> Ordering {
    compare(
        OwnedValue::try_from(left).unwrap().as_raw(),
        OwnedValue::try_from(right).unwrap().as_raw(),
    )
}

#[test]
fn classes_follow_one_another_as_in_mongodb() {
    let ascending = [
        Bson::MinKey,
        Bson::Undefined,
        Bson::Null,
        bson!(1e300),
        bson!(""),
        bson!({}),
        bson!([]),
        Bson::Binary(bson::Binary {
            subtype: 0.into(),
            bytes: vec![],
        }),
        Bson::ObjectId(bson::oid::ObjectId::from_bytes([0; 12])),
        bson!(false),
        bson!(true),
        Bson::DateTime(bson::DateTime::from_millis(i64::MAX)),
        Bson::Timestamp(bson::Timestamp {
            time: 0,
            increment: 0,
        }),
        Bson::RegularExpression(bson::Regex {
            pattern: "".try_into().unwrap(),
            options: "".try_into().unwrap(),
        }),
        Bson::JavaScriptCode(String::new()),
        Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
            code: String::new(),
            scope: doc! {},
        }),
        Bson::MaxKey,
    ];
    for (i, left) in ascending.iter().enumerate() {
        for (j, right) in ascending.iter().enumerate() {
            assert_eq!(order(left, right), i.cmp(&j), "{left:?} against {right:?}");
        }
    }
}

#[test]
fn documents_compare_class_before_name_before_value() {
    let ascending = [
        bson!({}),
        bson!({"a": 1}),
        bson!({"a": 1, "b": 1}),
        bson!({"b": 0}),
        bson!({"a": "x"}),
    ];
    for pair in ascending.windows(2) {
        assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
    }
    assert_eq!(
        order(&bson!({"a": 1, "b": 1}), &bson!({"b": 1, "a": 1})),
        Ordering::Less
    );
}

#[test]
fn strings_and_symbols_compare_by_bytes_with_embedded_nul() {
    let ascending = ["", "\0", "a", "a\0b", "aa", "b", "é", "日本"];
    for (i, left) in ascending.iter().enumerate() {
        for (j, right) in ascending.iter().enumerate() {
            let symbol = Bson::Symbol((*right).to_owned());
            assert_eq!(order(&Bson::from(*left), &symbol), i.cmp(&j));
        }
    }
}

#[test]
fn binaries_compare_by_length_then_subtype_then_bytes() {
    let binary = |subtype: u8, bytes: &[u8]| {
        Bson::Binary(bson::Binary {
            subtype: subtype.into(),
            bytes: bytes.to_vec(),
        })
    };
    let ascending = [
        binary(0, &[]),
        binary(9, &[]),
        binary(0, &[9]),
        binary(1, &[0]),
        binary(1, &[1]),
        binary(0, &[0, 0]),
    ];
    for pair in ascending.windows(2) {
        assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
    }
}

#[test]
fn times_are_signed_and_timestamps_are_not() {
    let date = |ms| Bson::DateTime(bson::DateTime::from_millis(ms));
    assert_eq!(order(&date(-1), &date(0)), Ordering::Less);
    let stamp = |time, increment| Bson::Timestamp(bson::Timestamp { time, increment });
    assert_eq!(order(&stamp(1, u32::MAX), &stamp(2, 0)), Ordering::Less);
    assert_eq!(order(&stamp(0, 0), &stamp(u32::MAX, 0)), Ordering::Less);
}

#[test]
fn nesting_beyond_the_limit_compares_without_overflow() {
    // Never valid, but a comparison must survive any bytes.
    let mut bytes = vec![5, 0, 0, 0, 0];
    for _ in 0..5 * crate::values::MAX_DEPTH {
        let mut outer = i32::try_from(bytes.len() + 8)
            .unwrap()
            .to_le_bytes()
            .to_vec();
        outer.extend([3, b'a', 0]);
        outer.extend(&bytes);
        outer.push(0);
        bytes = outer;
    }
    assert_eq!(super::compare_documents(&bytes, &bytes), Ordering::Equal);
}
