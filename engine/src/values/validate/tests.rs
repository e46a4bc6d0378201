use bson::{doc, rawdoc};

use super::{MAX_DEPTH, MAX_DOCUMENT_LEN, Reason, validate_document};

fn reason(bytes: &[u8]) -> Reason {
    validate_document(bytes).unwrap_err().reason
}

/// `levels` documents in one another, as bytes, without recursion.
fn nested(levels: usize) -> Vec<u8> {
    let len = |remaining: usize| {
        i32::try_from(5 + 8 * (remaining - 1))
            .unwrap()
            .to_le_bytes()
    };
    let mut bytes = Vec::new();
    for level in 0..levels {
        bytes.extend(len(levels - level));
        if level + 1 < levels {
            bytes.extend([3, b'a', 0]);
        }
    }
    bytes.extend(std::iter::repeat_n(0, levels));
    bytes
}

fn every_kind() -> Vec<u8> {
    let document = doc! {
        "double": 1.5, "string": "a\0b", "document": { "x": 1 }, "array": [1, "2", [3]],
        "binary": bson::Binary { subtype: 5.into(), bytes: vec![1, 2, 3] },
        "undefined": bson::Bson::Undefined, "oid": bson::oid::ObjectId::from_bytes([7; 12]),
        "bool": true, "date": bson::DateTime::from_millis(-5), "null": null,
        "regex": bson::Regex { pattern: "a.*".try_into().unwrap(), options: "i".try_into().unwrap() },
        "code": bson::Bson::JavaScriptCode("f()".into()),
        "symbol": bson::Bson::Symbol("s".into()),
        "scoped": bson::JavaScriptCodeWithScope { code: "f()".into(), scope: doc! { "v": 1 } },
        "int": 1_i32, "stamp": bson::Timestamp { time: 1, increment: 2 }, "long": 1_i64,
        "decimal": "1.5".parse::<bson::Decimal128>().unwrap(),
        "max": bson::Bson::MaxKey, "min": bson::Bson::MinKey,
    };
    document.to_vec().unwrap()
}

#[test]
fn every_kind_of_value_passes() {
    assert_eq!(validate_document(&every_kind()), Ok(()));
    assert_eq!(validate_document(rawdoc! {}.as_bytes()), Ok(()));
}

#[test]
fn every_truncation_is_refused() {
    let whole = every_kind();
    for len in 0..whole.len() {
        assert!(
            validate_document(&whole[..len]).is_err(),
            "cut to {len} bytes"
        );
        // With the length in front made to agree, the inside is at fault.
        if len >= 5 {
            let mut cut = whole[..len].to_vec();
            cut[..4].copy_from_slice(&i32::try_from(len).unwrap().to_le_bytes());
            cut[len - 1] = 0;
            let _ = validate_document(&cut);
        }
    }
}

#[test]
fn no_single_changed_byte_makes_it_panic_nor_a_scan_after_it() {
    let whole = every_kind();
    for position in 0..whole.len() {
        for value in [0, 1, 2, 5, 0x7F, 0x80, 0xFE, 0xFF] {
            let mut changed = whole.clone();
            changed[position] = value;
            let _ = validate_document(&changed);
            for element in crate::values::Elements::new(&changed) {
                let _ = crate::values::compare(element.value, element.value);
            }
        }
    }
}

#[test]
fn depth_is_limited_exactly_and_without_recursion() {
    assert_eq!(validate_document(&nested(MAX_DEPTH)), Ok(()));
    assert_eq!(reason(&nested(MAX_DEPTH + 1)), Reason::TooDeep);
    assert_eq!(reason(&nested(1_000_000)), Reason::TooDeep);
}

#[test]
fn size_is_limited_exactly() {
    let string = |len: usize| doc! { "a": "x".repeat(len) }.to_vec().unwrap();
    let overhead = string(0).len();
    assert_eq!(
        validate_document(&string(MAX_DOCUMENT_LEN - overhead)),
        Ok(())
    );
    assert_eq!(
        reason(&string(MAX_DOCUMENT_LEN - overhead + 1)),
        Reason::TooLarge
    );
}

#[test]
fn each_fault_names_its_place() {
    let mut bytes = rawdoc! { "a": { "b": true } }.into_bytes();
    let at = bytes.len() - 3;
    bytes[at] = 2;
    let error = validate_document(&bytes).unwrap_err();
    assert_eq!((error.offset, error.path.as_str()), (at, "a.b"));
    assert_eq!(error.reason, Reason::NotBoolean(2));

    let mut bytes = rawdoc! { "a": ["xy"] }.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'x').unwrap();
    bytes[at] = 0xFF;
    let error = validate_document(&bytes).unwrap_err();
    assert_eq!(
        (error.offset, error.path.as_str(), error.reason),
        (at, "a.0", Reason::NotUtf8)
    );
}

#[test]
fn lengths_that_lie_are_refused() {
    assert_eq!(reason(b""), Reason::TooShort);
    assert_eq!(
        reason(b"\x06\0\0\0\0"),
        Reason::WrongLength {
            stated: 6,
            available: 5
        }
    );
    assert_eq!(
        reason(b"\xff\xff\xff\xff\0"),
        Reason::WrongLength {
            stated: -1,
            available: 5
        }
    );
    assert_eq!(reason(b"\x05\0\0\0\x01"), Reason::NotNul(1));
    // A string that claims no byte at all, and one that claims too many.
    assert_eq!(reason(b"\x0c\0\0\0\x02a\0\0\0\0\0\0"), Reason::Truncated);
    assert_eq!(
        reason(b"\x0d\0\0\0\x02a\0\xff\xff\xff\x7f\0\0"),
        Reason::Truncated
    );
    // A name without an end.
    assert_eq!(reason(b"\x08\0\0\0\x0aab\0"), Reason::NoTerminator);
}

#[test]
fn names_may_repeat_and_array_names_are_free() {
    let mut document = bson::RawDocumentBuf::new();
    document.append(bson::raw::cstr!("a"), 1);
    document.append(bson::raw::cstr!("a"), 2);
    assert_eq!(validate_document(document.as_bytes()), Ok(()));
    let mut bytes = rawdoc! { "a": [1] }.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'0').unwrap();
    bytes[at] = b'q';
    assert_eq!(validate_document(&bytes), Ok(()));
}

#[test]
fn a_binary_of_subtype_2_repeats_its_length_rightly() {
    let document = |subtype: u8, bytes: &[u8]| {
        let mut element = vec![5, b'b', 0];
        element.extend(i32::try_from(bytes.len()).unwrap().to_le_bytes());
        element.push(subtype);
        element.extend(bytes);
        let mut document = i32::try_from(element.len() + 5)
            .unwrap()
            .to_le_bytes()
            .to_vec();
        document.extend(element);
        document.push(0);
        document
    };
    for bytes in [&[0_u8, 0, 0, 0][..], &[2, 0, 0, 0, 8, 9]] {
        let valid = document(2, bytes);
        assert_eq!(validate_document(&valid), Ok(()));
        // What is accepted can be written, and read again.
        let valid = bson::RawDocumentBuf::from_bytes(valid).unwrap();
        let text = crate::json::to_string(&valid, crate::json::Form::Canonical).unwrap();
        assert_eq!(crate::json::parse(&text).unwrap(), valid);
    }
    for (bytes, stated) in [
        (&[][..], None),
        (&[1, 0, 0], None),
        (&[1, 0, 0, 0], Some(1)),
        (&[0, 0, 0, 0, 7], Some(0)),
        (&[0xFF, 0xFF, 0xFF, 0xFF, 7], Some(-1)),
    ] {
        let expected = Reason::BinaryLength {
            stated,
            available: bytes.len(),
        };
        assert_eq!(reason(&document(2, bytes)), expected);
        assert_eq!(validate_document(&document(0, bytes)), Ok(()));
    }
}
