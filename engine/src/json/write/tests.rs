use bson::{Bson, RawDocumentBuf, doc, rawdoc};

use super::{Form, to_string};
use crate::error::ErrorKind;

#[test]
fn relaxed_text_is_as_plain_as_json_allows() {
    let document = rawdoc! {
        "a": 1, "b": 1_i64, "c": 1.0, "d": f64::NAN, "e": bson::DateTime::from_millis(0),
        "f": bson::DateTime::MAX, "g": "x\ty", "h": null, "i": [true, false],
    };
    assert_eq!(
        to_string(&document, Form::Relaxed).unwrap(),
        concat!(
            r#"{"a":1,"b":1,"c":1.0,"d":{"$numberDouble":"NaN"},"#,
            r#""e":{"$date":"1970-01-01T00:00:00Z"},"f":{"$date":{"$numberLong":"9223372036854775807"}},"#,
            r#""g":"x\ty","h":null,"i":[true,false]}"#
        )
    );
}

#[test]
fn canonical_text_names_every_type() {
    let document = doc! {
        "a": 1, "b": 1_i64, "c": -0.0, "d": f64::NEG_INFINITY, "e": bson::DateTime::from_millis(0),
        "f": Bson::MaxKey, "g": bson::Timestamp { time: 1, increment: 2 },
        "h": bson::JavaScriptCodeWithScope { code: "f".into(), scope: doc! { "v": 1 } },
    };
    let document = RawDocumentBuf::try_from(&document).unwrap();
    assert_eq!(
        to_string(&document, Form::Canonical).unwrap(),
        concat!(
            r#"{"a":{"$numberInt":"1"},"b":{"$numberLong":"1"},"c":{"$numberDouble":"-0.0"},"#,
            r#""d":{"$numberDouble":"-Infinity"},"e":{"$date":{"$numberLong":"0"}},"#,
            r#""f":{"$maxKey":1},"g":{"$timestamp":{"t":1,"i":2}},"#,
            r#""h":{"$code":"f","$scope":{"v":{"$numberInt":"1"}}}}"#
        )
    );
}

#[test]
fn fields_of_the_same_name_are_all_written() {
    let mut document = RawDocumentBuf::new();
    document.append(bson::raw::cstr!("a"), 1);
    document.append(bson::raw::cstr!("a"), 2);
    assert_eq!(
        to_string(&document, Form::Relaxed).unwrap(),
        r#"{"a":1,"a":2}"#
    );
}

#[test]
fn bytes_that_are_not_valid_are_an_error() {
    let mut bytes = rawdoc! { "a": "xy" }.into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'x').unwrap();
    bytes[at] = 0xFF;
    let document = RawDocumentBuf::from_bytes(bytes).unwrap();
    let error = to_string(&document, Form::Relaxed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidDocument);
}
