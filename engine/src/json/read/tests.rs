use bson::{Bson, RawDocumentBuf, doc, rawdoc};

use super::parse;
use crate::error::ErrorKind;
use crate::values::MAX_DEPTH;

#[test]
fn plain_json_takes_the_smallest_type() {
    let document =
        parse(r#"{"a":1,"b":3000000000,"c":1.0,"d":[true,null,"x\u0000y"],"e":{}}"#).unwrap();
    let expected = rawdoc! {
        "a": 1, "b": 3_000_000_000_i64, "c": 1.0, "d": [true, null, "x\0y"], "e": {},
    };
    assert_eq!(document, expected);
    let document = parse(r#"{"a":9223372036854775808}"#).unwrap();
    assert_eq!(document.get_f64("a").unwrap(), 9_223_372_036_854_775_808.0);
}

#[test]
fn wrapped_values_have_their_types() {
    let document = parse(
        r#"{"o":{"$oid":"0102030405060708090a0b0c"},"l":{"$numberLong":"1"},
            "n":{"$numberDouble":"NaN"},"d":{"$date":"1970-01-01T00:00:01Z"},
            "m":{"$numberDecimal":"1E+400"},"b":{"$binary":{"base64":"AQI=","subType":"05"}},
            "s":{"$code":"f","$scope":{"v":{"$numberInt":"1"}}},"k":{"$minKey":1},
            "t":{"$timestamp":{"t":1,"i":2}},"u":{"$undefined":true}}"#,
    )
    .unwrap();
    assert_eq!(document.get_i64("l").unwrap(), 1);
    assert!(document.get_f64("n").unwrap().is_nan());
    assert_eq!(document.get_datetime("d").unwrap().timestamp_millis(), 1000);
    assert_eq!(document.get_binary("b").unwrap().bytes, [1, 2]);
    let kinds: Vec<u8> = crate::values::Elements::new(document.as_bytes())
        .map(|e| e.value.kind() as u8)
        .collect();
    assert_eq!(kinds, [7, 0x12, 1, 9, 0x13, 5, 0x0F, 0xFF, 0x11, 6]);
}

#[test]
fn operators_of_filters_stay_documents() {
    let document = parse(r#"{"a":{"$regex":"x","$options":"i"},"b":{"$gt":{"$numberInt":"5"}}}"#);
    let expected = rawdoc! { "a": { "$regex": "x", "$options": "i" }, "b": { "$gt": 5 } };
    assert_eq!(document.unwrap(), expected);
}

#[test]
fn malformed_text_is_refused_with_its_place() {
    for text in [
        "",
        "[1]",
        "{",
        r#"{"a":}"#,
        r#"{"a":1e999}"#,
        "{\"a\":\"\u{1}\"}",
    ] {
        assert_eq!(
            parse(text).unwrap_err().kind(),
            ErrorKind::FailedToParse,
            "{text}"
        );
    }
    for text in [
        r#"{"a":{"$oid":"zz"}}"#,
        r#"{"a":{"$numberInt":1}}"#,
        r#"{"a":{"$numberInt":"1","b":2}}"#,
        r#"{"a":{"$date":"yesterday"}}"#,
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FailedToParse);
        assert!(
            error
                .to_string()
                .starts_with("field \"a\": invalid extended JSON"),
            "{error}"
        );
    }
    assert!(
        parse("{\"a\\u0000b\":1}")
            .unwrap_err()
            .to_string()
            .contains("contains NUL")
    );
}

#[test]
fn depth_is_limited_and_never_overflows_the_stack() {
    let nested = |levels: usize| {
        format!("{}{}", r#"{"a":"#.repeat(levels - 1), "{}") + &"}".repeat(levels - 1)
    };
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert_eq!(
        parse(&nested(MAX_DEPTH + 1)).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(
        parse(&nested(1_000_000)).unwrap_err().kind(),
        ErrorKind::FailedToParse
    );
    let scopes = format!(
        "{}1{}",
        r#"{"a":{"$code":"","$scope":"#.repeat(100),
        "}}".repeat(100)
    );
    assert!(parse(&scopes).is_err());
}

#[test]
fn what_is_written_is_read_back_the_same() {
    use crate::json::{Form, to_string};
    let document = doc! {
        "double": -0.0, "tiny": 5e-324, "large": 1e300, "nan": f64::INFINITY, "whole": 3.0,
        "text": "a\"\\\n\u{7f}\0é", "long": i64::MIN, "int": -1, "nested": [[{}], { "": [] }],
        "date": bson::DateTime::from_millis(-1), "late": bson::DateTime::MAX,
        "oid": bson::oid::ObjectId::from_bytes([9; 12]),
        "decimal": "-1.50E-6000".parse::<bson::Decimal128>().unwrap(),
        "regex": bson::Regex { pattern: "a/b".try_into().unwrap(), options: "im".try_into().unwrap() },
        "binary": bson::Binary { subtype: 2.into(), bytes: vec![0, 255] },
        "min": Bson::MinKey, "undefined": Bson::Undefined,
        "symbol": Bson::Symbol("s".into()), "code": Bson::JavaScriptCode("c".into()),
    };
    let document = RawDocumentBuf::try_from(&document).unwrap();
    let text = to_string(&document, Form::Canonical).unwrap();
    assert_eq!(parse(&text).unwrap(), document, "{text}");
    let relaxed = to_string(&document, Form::Relaxed).unwrap();
    let again = to_string(&parse(&relaxed).unwrap(), Form::Relaxed).unwrap();
    assert_eq!(relaxed, again);
}

#[test]
fn fields_of_the_same_name_are_kept_but_not_in_wrapped_values() {
    let text = r#"{"a":1,"b":{"c":1,"c":"x"},"a":2,"s":{"$code":"","$scope":{"v":1,"v":2}}}"#;
    let document = parse(text).unwrap();
    let written = crate::json::to_string(&document, crate::json::Form::Relaxed).unwrap();
    assert_eq!(written, text);
    for text in [
        r#"{"a":{"$numberInt":"1","$numberInt":"2"}}"#,
        r#"{"a":{"$timestamp":{"t":1,"t":2,"i":1}}}"#,
        r#"{"a":{"$code":"x","$code":"y"}}"#,
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("occurs twice"), "{error}");
    }
}

#[test]
fn scopes_are_read_to_the_depth_that_is_documented() {
    let scopes = |count: usize| {
        let (open, close) = (r#"{"a":{"$code":"","$scope":"#, "}}");
        format!("{}{{}}{}", open.repeat(count), close.repeat(count))
    };
    let document = parse(&scopes(63)).unwrap();
    let written = crate::json::to_string(&document, crate::json::Form::Canonical).unwrap();
    assert_eq!(written, scopes(63));
    assert_eq!(
        parse(&scopes(64)).unwrap_err().kind(),
        ErrorKind::FailedToParse
    );
}
