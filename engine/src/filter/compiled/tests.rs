use bson::{Document, RawDocumentBuf, doc, rawdoc};

use super::cache::PlanCache;
use crate::filter::{Filter, FilterMode};

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

/// What both forms answer.
#[track_caller]
fn answer(filter: &Document, document: &RawDocumentBuf) -> bool {
    let modes = [FilterMode::Compiled, FilterMode::Interpreted];
    let [compiled, interpreted] = modes.map(|mode| {
        let filter = Filter::compile_with(&raw(filter), mode).unwrap();
        assert_eq!(filter.plan().mode, mode);
        filter.matches(document).unwrap()
    });
    assert_eq!(compiled, interpreted, "{filter} on {document:?}");
    compiled
}

#[track_caller]
fn check(filter: &Document, yes: &[Document], no: &[Document]) {
    for (documents, expected) in [(yes, true), (no, false)] {
        for document in documents {
            assert_eq!(
                answer(filter, &raw(document)),
                expected,
                "{filter} on {document}"
            );
        }
    }
}

#[test]
fn several_fields_are_found_in_one_pass_whatever_their_order() {
    check(
        &doc! { "name": "Ada", "born": { "$gt": 1800, "$lt": 1900 }, "a_rather_long_name": true },
        &[
            doc! { "name": "Ada", "born": 1815, "a_rather_long_name": true },
            doc! { "a_rather_long_name": true, "x": 1, "born": 1815_i64, "name": "Ada" },
        ],
        &[
            doc! { "name": "Ada", "born": 1815 },
            doc! { "name": "Ada", "born": 1815, "a_rather_long_namx": true },
            doc! { "name": "Bob", "born": 1815, "a_rather_long_name": true },
            doc! {},
        ],
    );
}

#[test]
fn names_are_told_apart_by_length_and_by_every_byte() {
    let names = ["", "a", "aaaaaaa", "aaaaaaaa", "aaaaaaaaa", "aaaaaaaab"];
    for name in names {
        for other in names {
            let mut document = RawDocumentBuf::new();
            document.append(bson::raw::CString::try_from(other).unwrap(), 1);
            assert_eq!(
                answer(&doc! { name: 1 }, &document),
                name == other,
                "{name} {other}"
            );
        }
    }
}

#[test]
fn paths_with_a_common_beginning_are_looked_for_together_but_not_in_arrays() {
    check(
        &doc! { "a.b": 1, "a.c.d": 2, "a.c.e": { "$exists": false } },
        &[
            doc! { "a": { "c": { "d": 2 }, "b": 1 } },
            // Two elements may satisfy one condition each.
            doc! { "a": [{ "b": 1 }, { "c": { "d": 2 } }] },
        ],
        &[
            doc! { "a": { "c": { "d": 2, "e": 1 }, "b": 1 } },
            doc! { "a": { "b": 1 } },
            doc! { "a": 1 },
            doc! {},
        ],
    );
    check(
        &doc! { "a.b": null, "a.c": { "$ne": 1 } },
        &[
            doc! {},
            doc! { "a": 1 },
            doc! { "a": {} },
            doc! { "a": [{ "c": 2 }] },
        ],
        &[
            doc! { "a": [] },
            doc! { "a": [1] },
            doc! { "a": { "c": 1 } },
        ],
    );
}

#[test]
fn what_combines_fields_waits_until_all_are_found() {
    check(
        &doc! { "$or": [{ "a": 1 }, { "$nor": [{ "b": 1 }, { "c": /* a pattern */ { "$regex": "^x" } }] }], "d": 1 },
        &[
            doc! { "a": 1, "b": 1, "d": 1 },
            doc! { "d": 1 },
            doc! { "d": 1, "c": "y" },
        ],
        &[
            doc! { "b": 1, "d": 1 },
            doc! { "d": 1, "c": "x" },
            doc! { "a": 1 },
        ],
    );
}

#[test]
fn of_fields_with_one_name_the_first_counts() {
    let mut document = rawdoc! { "a": 1, "b": 1 };
    document.append(bson::raw::cstr!("a"), 2);
    assert!(answer(&doc! { "a": 1, "b": 1 }, &document));
    assert!(!answer(&doc! { "a": 2 }, &document));
    assert!(!answer(&doc! { "a": 2, "c": null }, &document));
}

#[test]
fn numbers_compare_exactly() {
    let large = 9_007_199_254_740_993_i64;
    check(
        &doc! { "a": large },
        &[doc! { "a": large }],
        &[doc! { "a": 9_007_199_254_740_992.0 }],
    );
    check(
        &doc! { "a": { "$gt": 9_007_199_254_740_992.0 } },
        &[doc! { "a": large }],
        &[doc! { "a": large - 1 }, doc! { "a": f64::NAN }],
    );
    check(
        &doc! { "a": { "$in": [1, 2, 3] } },
        &[doc! { "a": 2.0 }, doc! { "a": [7, 3_i64] }],
        &[doc! { "a": 2.5 }, doc! { "a": "2" }],
    );
    check(
        &doc! { "a": { "$gte": 1 } },
        &[doc! { "a": 1.5 }],
        &[doc! { "a": f64::NAN }, doc! { "a": "2" }],
    );
}

#[test]
fn texts_and_dates_compare_by_value() {
    check(
        &doc! { "a": { "$in": ["b", "ab", "c"] } },
        &[doc! { "a": "ab" }, doc! { "a": ["x", "c"] }],
        &[doc! { "a": "a" }, doc! { "a": 1 }],
    );
    check(
        &doc! { "a": { "$lt": "b" } },
        &[doc! { "a": "ab" }],
        &[doc! { "a": "b" }, doc! { "a": 1 }],
    );
    let at = bson::DateTime::from_millis;
    check(
        &doc! { "a": { "$gte": at(5) } },
        &[doc! { "a": at(5) }],
        &[doc! { "a": at(4) }, doc! { "a": 9 }],
    );
}

#[test]
fn a_filter_with_too_many_fields_is_interpreted() {
    let names = (0..70).map(|number| (format!("f{number}"), bson::bson!(1)));
    let source: Document = names.collect();
    let filter = Filter::compile(&raw(&source)).unwrap();
    assert_eq!(filter.plan().mode, FilterMode::Interpreted);
    assert!(filter.matches(&raw(&source)).unwrap());
}

#[test]
fn an_error_does_not_depend_on_the_form_or_on_the_order_of_conditions() {
    for source in [
        doc! { "$expr": { "$toInt": "$b" }, "a": 1 },
        doc! { "a": 1, "$expr": { "$toInt": "$b" } },
    ] {
        for mode in [FilterMode::Compiled, FilterMode::Interpreted] {
            let Ok(filter) = Filter::compile_with(&raw(&source), mode) else {
                return; // the operator has not come yet
            };
            assert!(filter.matches(&rawdoc! { "a": 1, "b": "x" }).is_err());
            assert!(!filter.matches(&rawdoc! { "a": 2, "b": "x" }).unwrap());
        }
    }
}

#[test]
fn filters_of_one_shape_share_a_plan_and_keep_their_operands() {
    let cache = PlanCache::default();
    let mut filters = Vec::new();
    for number in 0..10 {
        let filter = Filter::compile(&raw(&doc! { "a": number, "b": { "$lt": "x" } })).unwrap();
        filter.prepare(&cache);
        filters.push(filter);
    }
    for (number, filter) in (0..10).zip(&filters) {
        assert!(filter.matches(&rawdoc! { "a": number, "b": "w" }).unwrap());
        assert!(
            !filter
                .matches(&rawdoc! { "a": number + 1, "b": "w" })
                .unwrap()
        );
    }
    let figures = cache.figures();
    assert_eq!((figures.shapes, figures.reused, figures.planned), (1, 9, 1));
}

#[test]
fn the_cache_is_bounded_and_forgets_the_oldest() {
    let cache = PlanCache::default();
    for number in 0..2000 {
        let filter = Filter::compile(&raw(&doc! { format!("f{number}"): 1 })).unwrap();
        filter.prepare(&cache);
        // In use all the time, and so never forgotten.
        Filter::compile(&raw(&doc! { "f0": 7 }))
            .unwrap()
            .prepare(&cache);
    }
    let figures = cache.figures();
    assert!(figures.shapes <= 512, "{figures:?}");
    assert_eq!(figures.planned, 2000);
}

#[test]
fn a_database_says_how_many_filters_shared_a_plan() {
    let database = crate::Database::open_in_memory().unwrap();
    let numbers = database.collection("numbers");
    numbers
        .insert_many((0..5).map(|n| doc! { "n": n, "m": n * 2 }))
        .unwrap();
    for n in 0..4 {
        assert_eq!(
            numbers
                .find(doc! { "n": n, "m": { "$gte": n } })
                .count()
                .unwrap(),
            1
        );
    }
    let figures = database.stats().unwrap().filters;
    assert_eq!((figures.shapes, figures.planned), (1, 1));
    assert_eq!(figures.reused, 3);
}

#[test]
fn more_conditions_than_there_is_room_for_are_interpreted() {
    for count in [3, 4, 16, 17] {
        let any: Vec<_> = (0..count).map(|n| doc! { format!("f{n}"): n }).collect();
        let filter = Filter::compile(&raw(&doc! { "$or": any })).unwrap();
        let compiled = filter.plan().mode == FilterMode::Compiled;
        assert_eq!(compiled, count <= 16);
        for n in 0..count {
            assert!(filter.matches(&raw(&doc! { format!("f{n}"): n })).unwrap());
            assert!(
                !filter
                    .matches(&raw(&doc! { format!("f{n}"): n + 1 }))
                    .unwrap()
            );
        }
    }
}

#[test]
fn explain_tells_how_the_filter_is_carried_out() {
    let database = crate::Database::open_in_memory().unwrap();
    let things = database.collection("things");
    things
        .insert_one(doc! { "_id": 1, "a": 1, "b": "x" })
        .unwrap();
    for (query, expected) in [
        (doc! { "a": 1, "b": "x" }, "compiled, one pass for a, b"),
        (
            doc! { "a": 1, "$or": [{ "b": 1 }, { "a": 1 }] },
            "compiled, one pass for a, b, then what combines them or is dear",
        ),
        (doc! { "_id": 1 }, "interpreted"),
        (doc! {}, "without conditions"),
    ] {
        let explain = things.find(query).explain().unwrap();
        assert_eq!(explain.filter.to_string(), expected);
        assert!(
            explain
                .to_string()
                .contains(&format!("filter {expected}\n")),
            "{explain}"
        );
    }
}
