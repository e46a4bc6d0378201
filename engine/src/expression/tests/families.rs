//! One or two facts of each family; the golden cases have the thousands.

use bson::{Bson, DateTime, bson, rawdoc};

use super::{fails, gives};

fn decimal(text: &str) -> Bson {
    Bson::Decimal128(text.parse().unwrap())
}

fn date(text: &str) -> Bson {
    Bson::DateTime(DateTime::parse_rfc3339_str(text).unwrap())
}

#[test]
fn integers_grow_where_they_overflow() {
    gives(
        rawdoc! { "e": { "$add": ["$a", i32::MAX] } },
        bson!(1_i64 << 31),
    );
    let sum = i64::MAX as f64 + 1.0;
    gives(rawdoc! { "e": { "$add": ["$a", i64::MAX] } }, bson!(sum));
    gives(
        rawdoc! { "e": { "$multiply": ["$a", i64::MIN, 1] } },
        bson!(i64::MIN),
    );
    gives(rawdoc! { "e": { "$subtract": ["$a", 2.5] } }, bson!(-1.5));
    let half: bson::Decimal128 = "0.50".parse().unwrap();
    gives(rawdoc! { "e": { "$add": ["$a", half] } }, decimal("1.50"));
    gives(rawdoc! { "e": { "$divide": ["$a", 4] } }, bson!(0.25));
    gives(rawdoc! { "e": { "$mod": [-7, 3] } }, bson!(-1));
    gives(rawdoc! { "e": { "$add": ["$n", "$x"] } }, Bson::Null);
    fails(rawdoc! { "e": { "$add": ["$a", "x"] } }, 14);
    fails(rawdoc! { "e": { "$mod": ["$a", 0] } }, 16610);
}

#[test]
fn rounding_takes_halves_to_the_even_neighbour() {
    gives(rawdoc! { "e": { "$round": [2.5] } }, bson!(2.0));
    gives(rawdoc! { "e": { "$round": [1234, -2] } }, bson!(1200));
    gives(rawdoc! { "e": { "$trunc": [-1.75, 1] } }, bson!(-1.7));
    gives(rawdoc! { "e": { "$ceil": 1.2 } }, bson!(2.0));
    fails(rawdoc! { "e": { "$round": ["$a", 101] } }, 51083);
}

#[test]
fn powers_are_whole_as_long_as_they_fit() {
    gives(
        rawdoc! { "e": { "$pow": [3, 30] } },
        bson!(205_891_132_094_649_i64),
    );
    gives(rawdoc! { "e": { "$pow": [2, 63] } }, bson!(2_f64.powi(63)));
    gives(rawdoc! { "e": { "$pow": [-1, 3] } }, bson!(-1));
    fails(rawdoc! { "e": { "$pow": [0, -1] } }, 28764);
    fails(rawdoc! { "e": { "$acos": 2 } }, 50989);
}

#[test]
fn arrays_are_taken_apart_and_joined() {
    gives(
        rawdoc! { "e": { "$arrayElemAt": [[1, 2, 3], -1] } },
        bson!(3),
    );
    gives(
        rawdoc! { "e": { "$slice": [[1, 2, 3], 1, 5] } },
        bson!([2, 3]),
    );
    gives(rawdoc! { "e": { "$range": [5, 0, -2] } }, bson!([5, 3, 1]));
    gives(
        rawdoc! { "e": { "$zip": { "inputs": [[1], [2, 3]], "useLongestLength": true } } },
        bson!([[1, 2], [null, 3]]),
    );
    gives(
        rawdoc! { "e": { "$filter": { "input": "$b.c.d", "cond": { "$gt": ["$$this", 1] } } } },
        bson!([2]),
    );
    gives(
        rawdoc! { "e": { "$sortArray": { "input": [{ "x": 2 }, 5, { "x": 1 }], "sortBy": { "x": -1 } } } },
        bson!([{ "x": 2 }, { "x": 1 }, 5]),
    );
    fails(rawdoc! { "e": { "$size": "$a" } }, 17124);
}

#[test]
fn sets_hold_equal_values_once() {
    gives(
        rawdoc! { "e": { "$setUnion": [[2, 1, 1.0], [2]] } },
        bson!([1, 2]),
    );
    gives(
        rawdoc! { "e": { "$setDifference": [[3, 1, 3], [1.0]] } },
        bson!([3]),
    );
    gives(
        rawdoc! { "e": { "$setEquals": [[1, 2], [2.0, 1, 1]] } },
        bson!(true),
    );
}

#[test]
fn text_is_counted_in_bytes_or_in_code_points() {
    gives(rawdoc! { "e": { "$strLenBytes": "é日" } }, bson!(5));
    gives(
        rawdoc! { "e": { "$substrCP": ["é日x", 1, 1] } },
        bson!("日"),
    );
    gives(rawdoc! { "e": { "$indexOfCP": ["é日x", "x"] } }, bson!(2));
    gives(
        rawdoc! { "e": { "$replaceAll": { "input": "aXbX", "find": "X", "replacement": "" } } },
        bson!("ab"),
    );
    gives(
        rawdoc! { "e": { "$trim": { "input": "xxaxx", "chars": "x" } } },
        bson!("a"),
    );
    fails(rawdoc! { "e": { "$substrBytes": ["é", 1, 1] } }, 28656);
    fails(rawdoc! { "e": { "$split": ["a", ""] } }, 40087);
}

#[test]
fn matches_tell_their_place_and_their_groups() {
    gives(
        rawdoc! { "e": { "$regexFindAll": { "input": "é1 b22", "regex": "[0-9](x)?" } } },
        bson!([
            { "match": "1", "idx": 1, "captures": [null] },
            { "match": "2", "idx": 4, "captures": [null] },
            { "match": "2", "idx": 5, "captures": [null] }
        ]),
    );
    fails(
        rawdoc! { "e": { "$regexMatch": { "input": "a", "regex": "(" } } },
        51111,
    );
}

#[test]
fn days_keep_the_time_on_the_clock_and_hours_do_not() {
    let add = |unit: &str| {
        rawdoc! { "e": { "$dateAdd": {
            "startDate": DateTime::parse_rfc3339_str("2020-10-31T12:00:00Z").unwrap(),
            "unit": unit, "amount": if unit == "day" { 1 } else { 24 },
            "timezone": "America/New_York"
        } } }
    };
    gives(add("day"), date("2020-11-01T13:00:00Z"));
    gives(add("hour"), date("2020-11-01T12:00:00Z"));
}

#[test]
fn local_times_that_clocks_skip_or_repeat_are_resolved() {
    let local = |month: i32, day: i32, hour: i32, zone: &str| {
        rawdoc! { "e": { "$dateFromParts": {
            "year": 2020, "month": month, "day": day, "hour": hour, "minute": 30, "timezone": zone
        } } }
    };
    // Skipped: an hour later. Repeated: the first in New York, the second in London.
    gives(
        local(3, 8, 2, "America/New_York"),
        date("2020-03-08T07:30:00Z"),
    );
    gives(
        local(11, 1, 1, "America/New_York"),
        date("2020-11-01T05:30:00Z"),
    );
    gives(
        local(3, 29, 1, "Europe/London"),
        date("2020-03-29T01:30:00Z"),
    );
    gives(
        local(10, 25, 1, "Europe/London"),
        date("2020-10-25T01:30:00Z"),
    );
}

#[test]
fn dates_are_written_and_read_in_formats() {
    let there = DateTime::parse_rfc3339_str("2020-02-29T23:05:06.007Z").unwrap();
    gives(
        rawdoc! { "e": { "$dateToString": { "date": there, "format": "%Y %j %U %G-W%V-%u %H:%M:%S.%L %z", "timezone": "+05:30" } } },
        bson!("2020 061 09 2020-W09-7 04:35:06.007 +0530"),
    );
    gives(
        rawdoc! { "e": { "$dateToString": { "date": there } } },
        bson!("2020-02-29T23:05:06.007Z"),
    );
    gives(
        rawdoc! { "e": { "$dateFromString": { "dateString": "29 Feb 2020 11:05 pm", "timezone": "Europe/London" } } },
        date("2020-02-29T23:05:00Z"),
    );
    gives(
        rawdoc! { "e": { "$dateTrunc": { "date": there, "unit": "week", "startOfWeek": "mon" } } },
        date("2020-02-24T00:00:00Z"),
    );
    fails(
        rawdoc! { "e": { "$dateFromString": { "dateString": "2021-02-29" } } },
        241,
    );
    fails(
        rawdoc! { "e": { "$year": { "date": "$x", "timezone": "europe/london" } } },
        40485,
    );
}

#[test]
fn conversions_follow_their_rules_or_onerror() {
    gives(rawdoc! { "e": { "$toInt": "-12" } }, bson!(-12));
    gives(rawdoc! { "e": { "$toString": 1e20 } }, bson!("1e+20"));
    gives(rawdoc! { "e": { "$toString": 0.1 } }, bson!("0.1"));
    gives(rawdoc! { "e": { "$toDecimal": "1.50" } }, decimal("1.50"));
    gives(rawdoc! { "e": { "$toBool": "false" } }, bson!(true));
    gives(
        rawdoc! { "e": { "$convert": { "input": "x", "to": "int", "onError": "$a" } } },
        bson!(1),
    );
    gives(
        rawdoc! { "e": { "$toString": { "$toUUID": "00112233-4455-6677-8899-aabbccddeeff" } } },
        bson!("00112233-4455-6677-8899-aabbccddeeff"),
    );
    gives(
        rawdoc! { "e": { "$convert": { "input": { "$convert": { "input": "aGk=", "to": "binData", "format": "base64" } }, "to": "string", "format": "utf8" } } },
        bson!("hi"),
    );
    gives(
        rawdoc! { "e": { "$convert": { "input": { "$convert": { "input": 258, "to": "binData", "byteOrder": "big" } }, "to": "long", "byteOrder": "big" } } },
        bson!(258_i64),
    );
    fails(rawdoc! { "e": { "$toLong": "1.5" } }, 241);
    fails(rawdoc! { "e": { "$toInt": 3e9 } }, 241);
}

#[test]
fn documents_are_merged_and_changed_field_by_field() {
    gives(
        rawdoc! { "e": { "$mergeObjects": [{ "x": 1, "y": 2 }, null, { "x": 3 }] } },
        bson!({ "x": 3, "y": 2 }),
    );
    gives(
        rawdoc! { "e": { "$objectToArray": { "x": 1 } } },
        bson!([{ "k": "x", "v": 1 }]),
    );
    gives(
        rawdoc! { "e": { "$arrayToObject": [[["x", 1], ["x", 2]]] } },
        bson!({ "x": 2 }),
    );
    gives(
        rawdoc! { "e": { "$getField": { "field": { "$literal": "$q" }, "input": { "$setField": { "field": { "$literal": "$q" }, "input": {}, "value": "$a" } } } } },
        bson!(1),
    );
}

#[test]
fn many_values_become_one() {
    gives(rawdoc! { "e": { "$sum": ["$b.c.d", 5] } }, bson!(5));
    gives(rawdoc! { "e": { "$sum": "$b.c.d" } }, bson!(3));
    gives(rawdoc! { "e": { "$avg": [1, 2, "x"] } }, bson!(1.5));
    gives(
        rawdoc! { "e": { "$max": [[1, 5, null], 7] } },
        bson!([1, 5, null]),
    );
    gives(
        rawdoc! { "e": { "$maxN": { "n": 2, "input": [1, 5, 3] } } },
        bson!([5, 3]),
    );
    gives(
        rawdoc! { "e": { "$median": { "input": [1, 2, 10], "method": "approximate" } } },
        bson!(2.0),
    );
    gives(
        rawdoc! { "e": { "$percentile": { "input": [1, 2, 3, 4], "p": [0.0, 0.5, 1.0], "method": "approximate" } } },
        bson!([1.0, 2.0, 4.0]),
    );
}

#[test]
fn what_this_crate_does_not_have_is_refused_by_name() {
    fails(rawdoc! { "e": { "$function": 1 } }, 168);
    fails(rawdoc! { "e": { "$meta": "textScore" } }, 168);
    fails(rawdoc! { "e": { "$rand": {} } }, 168);
    fails(rawdoc! { "e": { "$nope": 1 } }, 168);
    fails(rawdoc! { "e": "$$USER_ROLES" }, 51144);
    fails(rawdoc! { "e": { "$$NOW": 1 } }, 168);
}
