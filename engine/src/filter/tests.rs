use bson::{Bson, Document, RawDocumentBuf, bson, doc};

use super::{Filter, IdBounds};
use crate::error::{Error, ErrorKind};
use crate::key;
use crate::values::OwnedValue;

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn filter(document: &Document) -> Filter {
    Filter::compile(&raw(document)).unwrap()
}

#[track_caller]
fn yes(query: &Document, document: &Document) {
    assert!(
        filter(query).matches(&raw(document)).unwrap(),
        "{query} should match {document}"
    );
}

#[track_caller]
fn no(query: &Document, document: &Document) {
    assert!(
        !filter(query).matches(&raw(document)).unwrap(),
        "{query} should not match {document}"
    );
}

fn refused(query: &Document) -> Error {
    let error = Filter::compile(&raw(query)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadValue, "{query}");
    error
}

#[test]
fn equality_is_by_value_across_numeric_types() {
    yes(&doc! { "a": 1 }, &doc! { "a": 1.0 });
    yes(
        &doc! { "a": 1_i64 },
        &doc! { "a": "1.00".parse::<bson::Decimal128>().unwrap() },
    );
    no(
        &doc! { "a": 9_007_199_254_740_993_i64 },
        &doc! { "a": 9_007_199_254_740_992_f64 },
    );
    no(&doc! { "a": 1 }, &doc! { "a": "1" });
    yes(
        &doc! { "a": { "b": 1, "c": 2 } },
        &doc! { "a": { "b": 1.0, "c": 2 } },
    );
    no(
        &doc! { "a": { "b": 1, "c": 2 } },
        &doc! { "a": { "c": 2, "b": 1 } },
    );
}

#[test]
fn an_array_matches_by_element_or_as_a_whole() {
    let document = doc! { "a": [1, [2, 3], "x"] };
    yes(&doc! { "a": 1 }, &document);
    yes(&doc! { "a": [2, 3] }, &document);
    yes(&doc! { "a": [1, [2, 3], "x"] }, &document);
    no(&doc! { "a": 2 }, &document);
    no(&doc! { "a": [1] }, &document);
    yes(&doc! { "a": { "$in": ["y", "x"] } }, &document);
}

#[test]
fn dotted_paths_go_through_arrays_of_documents_one_level_deep() {
    let document = doc! { "a": [{ "b": 1 }, { "b": [5, 6] }, [{ "b": 9 }], 7] };
    yes(&doc! { "a.b": 1 }, &document);
    yes(&doc! { "a.b": 6 }, &document);
    no(&doc! { "a.b": 9 }, &document);
    yes(&doc! { "a.2.b": 9 }, &document);
    yes(&doc! { "a.0.b": 1 }, &document);
    no(&doc! { "a.1.b": 1 }, &document);
    yes(&doc! { "a.3": 7 }, &document);
    no(&doc! { "a.03": 7 }, &document);
    yes(&doc! { "a.0": 5 }, &doc! { "a": [{ "0": 5 }] });
}

#[test]
fn two_comparisons_may_be_satisfied_by_two_elements_but_not_under_elem_match() {
    let document = doc! { "a": [{ "b": 0 }, { "b": 10 }] };
    yes(&doc! { "a.b": { "$gt": 5, "$lt": 5 } }, &document);
    no(
        &doc! { "a": { "$elemMatch": { "b": { "$gt": 5, "$lt": 5 } } } },
        &document,
    );
    yes(
        &doc! { "a": { "$elemMatch": { "b": { "$gt": 5 } } } },
        &document,
    );
    yes(
        &doc! { "a": { "$elemMatch": { "$gt": 5, "$lt": 9 } } },
        &doc! { "a": [1, 7] },
    );
    no(
        &doc! { "a": { "$elemMatch": { "$gt": 5, "$lt": 7 } } },
        &doc! { "a": [1, 7] },
    );
    no(
        &doc! { "a": { "$elemMatch": { "$gt": 5 } } },
        &doc! { "a": 7 },
    );
}

#[test]
fn null_equals_missing_but_not_undefined_nor_a_path_below_scalars_in_an_array() {
    yes(&doc! { "a": null }, &doc! {});
    yes(&doc! { "a": null }, &doc! { "a": null });
    yes(&doc! { "a": null }, &doc! { "a": [1, null] });
    no(&doc! { "a": null }, &doc! { "a": Bson::Undefined });
    yes(&doc! { "a.b": null }, &doc! { "a": 5 });
    no(&doc! { "a.b": null }, &doc! { "a": [] });
    no(&doc! { "a.b": null }, &doc! { "a": [1, 2] });
    yes(&doc! { "a.b": null }, &doc! { "a": [{ "b": 1 }, {}] });
    yes(&doc! { "a": { "$lte": null } }, &doc! {});
    no(&doc! { "a": { "$gt": null } }, &doc! { "a": 1 });
    yes(&doc! { "a": { "$in": [null] } }, &doc! {});
    yes(&doc! { "a": { "$exists": false } }, &doc! {});
    yes(&doc! { "a": { "$exists": 1 } }, &doc! { "a": null });
}

#[test]
fn comparisons_stay_in_the_class_of_the_operand() {
    no(&doc! { "a": { "$gt": 5 } }, &doc! { "a": "9" });
    no(&doc! { "a": { "$lt": "" } }, &doc! { "a": 1 });
    for value in [bson!(1), bson!("x"), bson!({}), Bson::Null, bson!([])] {
        yes(
            &doc! { "a": { "$gt": Bson::MinKey, "$lt": Bson::MaxKey } },
            &doc! { "a": value },
        );
    }
    yes(&doc! { "a": { "$gte": [1, 2] } }, &doc! { "a": [1, 3] });
}

#[test]
fn nan_equals_itself_and_is_neither_above_nor_below() {
    let nan = doc! { "a": f64::NAN };
    yes(&doc! { "a": f64::NAN }, &nan);
    yes(&doc! { "a": { "$gte": f64::NAN } }, &nan);
    no(&doc! { "a": { "$lt": f64::NAN } }, &nan);
    no(&doc! { "a": { "$lt": 0 } }, &nan);
    no(&doc! { "a": { "$gte": f64::NAN } }, &doc! { "a": 1 });
}

#[test]
fn negations_negate_the_whole_of_any() {
    let document = doc! { "a": [1, 2] };
    no(&doc! { "a": { "$ne": 1 } }, &document);
    yes(&doc! { "a": { "$ne": 3 } }, &document);
    no(&doc! { "a": { "$nin": [2, 9] } }, &document);
    no(&doc! { "a": { "$not": { "$gt": 1 } } }, &document);
    yes(
        &doc! { "a": { "$not": { "$gt": 1, "$lt": 1 } } },
        &doc! { "a": [1] },
    );
    yes(&doc! { "$nor": [{ "a": 3 }, { "b": 1 }] }, &document);
    yes(&doc! { "a": { "$ne": 1 } }, &doc! {});
}

#[test]
fn filters_combine() {
    let document = doc! { "a": 1, "b": 2 };
    yes(
        &doc! { "$and": [{ "a": 1 }, { "$or": [{ "b": 1 }, { "b": 2 }] }] },
        &document,
    );
    no(&doc! { "a": 1, "b": 3 }, &document);
    yes(&doc! { "$comment": "why", "a": 1 }, &document);
    yes(&doc! { "$alwaysTrue": 1 }, &document);
    no(&doc! { "$alwaysFalse": 1 }, &document);
    assert!(filter(&doc! {}).is_all() && !filter(&doc! { "a": 1 }).is_all());
}

#[test]
fn size_type_and_all_are_here() {
    let document = doc! { "a": [1, "x", [2]], "b": 1.5 };
    yes(&doc! { "a": { "$size": 3 } }, &document);
    no(&doc! { "a": { "$size": 2.0 } }, &document);
    no(&doc! { "b": { "$size": 1 } }, &document);
    yes(&doc! { "a": { "$type": "string" } }, &document);
    yes(&doc! { "a": { "$type": "array" } }, &document);
    yes(&doc! { "b": { "$type": ["bool", "number"] } }, &document);
    yes(&doc! { "b": { "$type": 1 } }, &document);
    no(&doc! { "b": { "$type": 16 } }, &document);
    yes(&doc! { "a": { "$all": ["x", 1] } }, &document);
    no(&doc! { "a": { "$all": ["x", 2] } }, &document);
    no(&doc! { "a": { "$all": [] } }, &document);
    yes(
        &doc! { "a": { "$all": [{ "$elemMatch": { "$gt": 0 } }, { "$elemMatch": { "$eq": "x" } }] } },
        &document,
    );
}

#[test]
fn unknown_operators_are_refused_by_name_and_path() {
    let error = refused(&doc! { "a.b": { "$foo": 1 } });
    assert_eq!(error.to_string(), "unknown operator: $foo at path 'a.b'");
    assert_eq!(error.code(), Some(2));
    assert_eq!(
        refused(&doc! { "$foo": 1 }).to_string(),
        "unknown top level operator: $foo"
    );
    assert_eq!(refused(&doc! { "a": { "$gt": 1, "b": 2 } }).code(), Some(2));
    for operator in ["$geoWithin", "$near"] {
        let error = refused(&doc! { "a": { operator: 1 } });
        assert_eq!(
            error.to_string(),
            format!("operator {operator} at path 'a' is not supported")
        );
    }
}

#[test]
fn operands_that_make_no_sense_are_refused() {
    for query in [
        doc! { "a": { "$in": 1 } },
        doc! { "a": { "$in": [{ "$gt": 1 }] } },
        doc! { "a": { "$not": {} } },
        doc! { "a": { "$not": 1 } },
        doc! { "a": { "$size": -1 } },
        doc! { "a": { "$size": 1.5 } },
        doc! { "a": { "$size": "1" } },
        doc! { "a": { "$type": "nonsense" } },
        doc! { "a": { "$type": 99 } },
        doc! { "a": { "$elemMatch": 1 } },
        doc! { "a": { "$all": 1 } },
        doc! { "a": { "$all": [{ "$gt": 1 }] } },
        doc! { "a": Bson::Undefined },
        doc! { "$and": [] },
        doc! { "$or": {} },
        doc! { "$nor": [1] },
    ] {
        refused(&query);
    }
    let error = Filter::compile(&raw(&doc! { "a": { "$type": [] } })).unwrap_err();
    assert_eq!(error.code(), Some(9));
}

#[test]
fn a_filter_that_is_not_valid_bson_is_refused() {
    let mut bytes = raw(&doc! { "a": true }).into_bytes();
    let at = bytes.len() - 2;
    bytes[at] = 7;
    let document = RawDocumentBuf::from_bytes(bytes).unwrap();
    assert_eq!(
        Filter::compile(&document).unwrap_err().kind(),
        ErrorKind::InvalidDocument
    );
}

#[test]
fn bounds_of_the_id_hold_what_can_match() {
    let key = |value: Bson| key::encode(OwnedValue::try_from(&value).unwrap().as_raw()).unwrap();
    let bounds = |query: Document| filter(&query).id_bounds().unwrap();
    assert_eq!(bounds(doc! {}), IdBounds::All);
    assert_eq!(bounds(doc! { "a": 1 }), IdBounds::All);
    assert_eq!(
        bounds(doc! { "_id": 5, "a": 1 }),
        IdBounds::Keys(vec![key(bson!(5))])
    );
    assert_eq!(
        bounds(doc! { "_id": { "$in": [7, 5, 5.0] } }),
        IdBounds::Keys(vec![key(bson!(5)), key(bson!(7))])
    );
    assert_eq!(
        bounds(doc! { "_id": { "$in": [7, 5], "$gt": 5.5 } }),
        IdBounds::Keys(vec![key(bson!(7))])
    );
    assert_eq!(
        bounds(doc! { "_id": { "$gt": Bson::MinKey } }),
        IdBounds::All
    );
    assert_eq!(
        bounds(doc! { "$or": [{ "_id": 1 }, { "a": 1 }] }),
        IdBounds::All
    );
    assert_eq!(
        bounds(doc! { "_id": 1, "$and": [{ "_id": 2 }] }),
        IdBounds::Keys(vec![])
    );
    let IdBounds::Range(from, to) = bounds(doc! { "_id": { "$gte": 2, "$lte": 4 } }) else {
        panic!("expected a range");
    };
    for (value, inside) in [
        (bson!(2), true),
        (bson!(4.0), true),
        (bson!(1.9), false),
        (bson!(4.1), false),
        (bson!("3"), false),
    ] {
        assert_eq!(
            from <= key(value.clone()) && key(value.clone()) < to,
            inside,
            "{value}"
        );
    }
}

#[test]
fn a_match_through_an_array_has_a_position() {
    let position = |query: Document, document: Document| {
        filter(&query).matched_position(&raw(&document)).unwrap()
    };
    assert_eq!(position(doc! { "a": 2 }, doc! { "a": [1, 2, 2] }), Some(1));
    assert_eq!(position(doc! { "a": 2 }, doc! { "a": 2 }), None);
    assert_eq!(position(doc! { "a": 3 }, doc! { "a": [1, 2] }), None);
    assert_eq!(position(doc! { "a": [1, 2] }, doc! { "a": [1, 2] }), None);
    // The outermost array tells.
    let nested = doc! { "a": [{ "b": [5] }, { "b": [1, 7] }] };
    assert_eq!(position(doc! { "a.b": 7 }, nested.clone()), Some(1));
    assert_eq!(position(doc! { "a.1.b": 7 }, nested.clone()), Some(1));
    let query = doc! { "a": { "$elemMatch": { "b": { "$gt": 6 } } } };
    assert_eq!(position(query, nested), Some(1));
    // Of two conditions the last one, and none under a negation.
    let two = doc! { "a": [1, 2], "b": [3, 4] };
    assert_eq!(position(doc! { "a": 1, "b": 4 }, two.clone()), Some(1));
    assert_eq!(position(doc! { "a": 2, "b": { "$ne": 5 } }, two), Some(1));
}

#[test]
fn patterns_match_texts_and_the_same_pattern() {
    let pattern = |pattern: &str, options: &str| {
        Bson::RegularExpression(bson::Regex {
            pattern: pattern.to_owned().try_into().unwrap(),
            options: options.to_owned().try_into().unwrap(),
        })
    };
    yes(
        &doc! { "a": pattern("^b", "i") },
        &doc! { "a": ["x", "Bc"] },
    );
    yes(
        &doc! { "a": pattern("^b", "i") },
        &doc! { "a": pattern("^b", "i") },
    );
    no(
        &doc! { "a": pattern("^b", "i") },
        &doc! { "a": pattern("^b", "") },
    );
    yes(
        &doc! { "a": { "$options": "i", "$regex": "B$" } },
        &doc! { "a": "ab" },
    );
    no(
        &doc! { "a": { "$not": pattern("b", "") } },
        &doc! { "a": "ab" },
    );
    yes(
        &doc! { "a": { "$in": [1, pattern("b", "")] } },
        &doc! { "a": "ab" },
    );
    no(
        &doc! { "a": { "$nin": [pattern("b", "")] } },
        &doc! { "a": "ab" },
    );
    yes(
        &doc! { "a": { "$all": [pattern("b", ""), "x"] } },
        &doc! { "a": ["x", "ab"] },
    );
    no(
        &doc! { "a": { "$eq": pattern("b", "") } },
        &doc! { "a": "ab" },
    );
    for (query, code) in [
        (doc! { "a": { "$options": "i" } }, 2),
        (doc! { "a": { "$regex": 1 } }, 2),
        (
            doc! { "a": { "$regex": pattern("a", "i"), "$options": "m" } },
            51075,
        ),
        (
            doc! { "a": { "$options": "m", "$regex": pattern("a", "i") } },
            51074,
        ),
        (doc! { "a": { "$regex": "(" } }, 51091),
        (doc! { "a": { "$regex": "a", "$options": "g" } }, 51108),
        (doc! { "a": { "$gt": pattern("a", "") } }, 2),
    ] {
        assert_eq!(refused(&query).code(), Some(code), "{query}");
    }
}

#[test]
fn remainders_are_of_what_is_before_the_point() {
    yes(&doc! { "a": { "$mod": [4, 1] } }, &doc! { "a": 5.9 });
    yes(&doc! { "a": { "$mod": [4, -1] } }, &doc! { "a": -5 });
    yes(&doc! { "a": { "$mod": [-1, 0] } }, &doc! { "a": i64::MIN });
    no(&doc! { "a": { "$mod": [4, 1] } }, &doc! { "a": "5" });
    no(&doc! { "a": { "$mod": [4, 0] } }, &doc! { "a": 1e300 });
    for operand in [
        bson!(4),
        bson!([4]),
        bson!([4, 1, 0]),
        bson!([0, 1]),
        bson!([0.5, 1]),
        bson!(["4", 1]),
    ] {
        refused(&doc! { "a": { "$mod": operand } });
    }
}

#[test]
fn bits_are_given_as_mask_positions_or_bytes() {
    let bytes = |bytes: &[u8]| {
        let subtype = bson::spec::BinarySubtype::Generic;
        Bson::Binary(bson::Binary {
            subtype,
            bytes: bytes.to_vec(),
        })
    };
    for operand in [bson!(34), bson!(34.0), bson!([1, 5]), bytes(&[34])] {
        yes(
            &doc! { "a": { "$bitsAllSet": operand.clone() } },
            &doc! { "a": 54 },
        );
        yes(
            &doc! { "a": { "$bitsAnySet": operand.clone() } },
            &doc! { "a": bytes(&[2]) },
        );
        no(
            &doc! { "a": { "$bitsAllClear": operand.clone() } },
            &doc! { "a": [32, "x"] },
        );
        yes(
            &doc! { "a": { "$bitsAnyClear": operand } },
            &doc! { "a": [32, "x"] },
        );
    }
    for (operand, code) in [
        (bson!(-1), 9),
        (bson!(0.5), 9),
        (bson!("x"), 2),
        (bson!([-1]), 2),
        (bson!([0.5]), 2),
    ] {
        let query = doc! { "a": { "$bitsAllSet": operand } };
        assert_eq!(
            Filter::compile(&raw(&query)).unwrap_err().code(),
            Some(code),
            "{query}"
        );
    }
}

#[test]
fn expressions_and_schemas_are_about_whole_documents() {
    yes(
        &doc! { "$expr": { "$gt": ["$a", "$b"] } },
        &doc! { "a": 2, "b": 1 },
    );
    no(
        &doc! { "$nor": [{ "$expr": { "$gt": ["$a", "$b"] } }] },
        &doc! { "a": 2, "b": 1 },
    );
    yes(
        &doc! { "$jsonSchema": { "required": ["a"] }, "a": 2 },
        &doc! { "a": 2 },
    );
    yes(
        &doc! { "a": { "$elemMatch": { "b": 1, "$jsonSchema": { "required": ["c"] } } } },
        &doc! { "a": [{ "b": 1 }, { "b": 1, "c": 1 }] },
    );
    refused(&doc! { "a": { "$elemMatch": { "b": 1, "$expr": true } } });
    refused(&doc! { "$where": "true" });
    assert_eq!(
        refused(&doc! { "$text": { "$search": "x" } }).code(),
        Some(27)
    );
    assert_eq!(
        refused(&doc! { "a": { "$near": [0, 0] } }).code(),
        Some(291)
    );
}

#[test]
fn a_filter_says_what_it_asks_of_each_path() {
    use super::{Asked, Comparison, Conjunct};
    let filter = filter(&doc! {
        "a": { "$gt": 1, "$ne": 5 },
        "$and": [{ "b.c": { "$in": [2, 1, 2] } }, { "$or": [{ "d": 1 }] }],
        "$or": [{ "e": 1 }, { "f": 2, "g": 3 }],
        "h": { "$elemMatch": { "i": 1 } },
        "$expr": "$j",
    });
    let mut told = Vec::new();
    for conjunct in filter.conjuncts() {
        told.push(match conjunct {
            Conjunct::Path { path, asked } => {
                let what = match asked {
                    Asked::Compare(Comparison::Greater, _) => "above",
                    Asked::Compare(Comparison::Equal, _) => "equal",
                    Asked::Not(inner) if matches!(*inner, Asked::Compare(..)) => "not",
                    Asked::In { values, .. } if values.len() == 2 => "in",
                    Asked::ElementMatches(part) if part.conjuncts().len() == 1 => "element",
                    _ => "?",
                };
                format!("{} {what}", String::from_utf8_lossy(path))
            }
            Conjunct::Any(parts) => {
                let counts: Vec<_> = parts.iter().map(|part| part.conjuncts().len()).collect();
                format!("any {counts:?}")
            }
            Conjunct::Never => "never".to_owned(),
            Conjunct::Other => "other".to_owned(),
        });
    }
    assert_eq!(
        told,
        [
            "a above",
            "a not",
            "b.c in",
            "d equal",
            "any [1, 2]",
            "h element",
            "other"
        ]
    );
}
