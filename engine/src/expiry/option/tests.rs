use bson::oid::ObjectId;
use bson::{DateTime, Decimal128, RawDocumentBuf, doc, rawdoc};

use super::TtlOption;

/// A beginning, in milliseconds since 1970.
const BEGAN: i64 = 1_000_000_000_000;

fn option(options: RawDocumentBuf) -> TtlOption {
    TtlOption::of(&options).unwrap().unwrap()
}

#[track_caller]
fn assert_ends(option: &TtlOption, document: bson::Document, end_ms: Option<i64>) {
    let bytes = RawDocumentBuf::try_from(&document).unwrap();
    let has_expired = |now_ms| option.has_expired(bytes.as_bytes(), now_ms);
    match end_ms {
        Some(end_ms) => {
            assert!(!has_expired(end_ms - 1), "{document}");
            assert!(has_expired(end_ms), "{document}");
        }
        None => assert!(!has_expired(i64::MAX), "{document}"),
    }
}

#[test]
fn a_document_lives_for_its_seconds_after_its_date() {
    let option = option(rawdoc! { "ttlField": "ttl", "ttlFrom": "times.began" });
    let times = doc! { "began": DateTime::from_millis(BEGAN) };
    for (seconds, ms) in [
        (bson::Bson::from(60), 60_000),
        (60_i64.into(), 60_000),
        (0.into(), 0),
        (1.5.into(), 1500),
        ("2.5".parse::<Decimal128>().unwrap().into(), 2500),
    ] {
        let document = doc! { "ttl": seconds, "times": times.clone() };
        assert_ends(&option, document, Some(BEGAN + ms));
    }
    for seconds in [
        bson::Bson::from(-1),
        (-0.5).into(),
        f64::NAN.into(),
        f64::INFINITY.into(),
        i64::MAX.into(),
        "60".into(),
        bson::Bson::Null,
        bson::bson!([60]),
    ] {
        assert_ends(
            &option,
            doc! { "ttl": seconds, "times": times.clone() },
            None,
        );
    }
    assert_ends(&option, doc! { "times": times }, None);
    assert_ends(
        &option,
        doc! { "ttl": 1, "times": { "began": BEGAN } },
        None,
    );
    let many = doc! { "ttl": 1, "times": [{ "began": DateTime::from_millis(BEGAN) }] };
    assert_ends(&option, many, None);
}

#[test]
fn without_a_field_of_a_date_the_time_in_the_object_id_is_the_beginning() {
    let option = option(rawdoc! { "ttlField": "ttl" });
    let mut id = [7; 12];
    id[..4].copy_from_slice(&1_000_000_000_u32.to_be_bytes());
    let document = doc! { "_id": ObjectId::from_bytes(id), "ttl": 1 };
    assert_ends(&option, document, Some(BEGAN + 1000));
    assert_ends(&option, doc! { "_id": 5, "ttl": 1 }, None);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    assert!(TtlOption::of(&rawdoc! { "other": 1 }).unwrap().is_none());
    for options in [
        rawdoc! { "ttlField": 5 },
        rawdoc! { "ttlField": "" },
        rawdoc! { "ttlField": "a..b" },
        rawdoc! { "ttlField": "$a" },
        rawdoc! { "ttlField": "a", "ttlFrom": true },
        rawdoc! { "ttlFrom": "a" },
    ] {
        let error = TtlOption::of(&options).unwrap_err();
        assert!(error.to_string().contains("the option 'ttl"), "{error}");
    }
}
