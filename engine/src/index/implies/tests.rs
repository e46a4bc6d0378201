use bson::{Document, RawDocumentBuf, doc};

use super::implies_all;
use crate::filter::Filter;

fn implied(query: Document, wanted: Document) -> bool {
    let compile =
        |filter: Document| Filter::compile(&RawDocumentBuf::try_from(&filter).unwrap()).unwrap();
    let (query, wanted) = (compile(query), compile(wanted));
    implies_all(&query.conjuncts(), &wanted.conjuncts())
}

#[test]
fn a_narrower_condition_implies_a_wider_one() {
    let wide = || doc! { "a": { "$gte": 5 } };
    assert!(implied(doc! { "a": 5 }, wide()));
    assert!(implied(doc! { "a": { "$gt": 5.0 } }, wide()));
    assert!(implied(doc! { "a": { "$gte": 5 }, "b": 1 }, wide()));
    assert!(implied(doc! { "a": { "$in": [6, 7] } }, wide()));
    assert!(implied(
        doc! { "$or": [{ "a": 6 }, { "a": { "$gt": 9 } }] },
        wide()
    ));
    assert!(!implied(doc! { "a": { "$gte": 4 } }, wide()));
    assert!(!implied(doc! { "a": { "$gt": "x" } }, wide()));
    assert!(!implied(doc! { "a": { "$in": [6, 4] } }, wide()));
    assert!(!implied(doc! { "a": { "$in": [] } }, wide()));
    assert!(!implied(doc! { "b": 6 }, wide()));
    assert!(!implied(doc! { "$or": [{ "a": 6 }, { "b": 1 }] }, wide()));
    assert!(!implied(doc! { "a": f64::NAN }, wide()));
    assert!(implied(
        doc! { "a": { "$lt": 3 } },
        doc! { "a": { "$lte": 3 } }
    ));
    assert!(!implied(
        doc! { "a": { "$lte": 3 } },
        doc! { "a": { "$lt": 3 } }
    ));
}

#[test]
fn what_is_there_is_told_from_what_may_be_missing() {
    let there = || doc! { "a": { "$exists": true } };
    for query in [
        doc! { "a": 1 },
        doc! { "a": { "$gt": 1 } },
        doc! { "a": { "$in": [1, "x"] } },
        doc! { "a": { "$ne": null } },
        doc! { "a": { "$size": 1 } },
        doc! { "a": { "$type": "string" } },
    ] {
        assert!(implied(query.clone(), there()), "{query}");
    }
    for query in [
        doc! { "a": null },
        doc! { "a": { "$in": [1, null] } },
        doc! { "a": { "$gte": bson::Bson::MinKey } },
        doc! { "a": { "$ne": 1 } },
        doc! { "a.b": 1 },
    ] {
        assert!(!implied(query.clone(), there()), "{query}");
    }
    assert!(!implied(
        doc! { "a.b": { "$ne": null } },
        doc! { "a.b": { "$exists": true } }
    ));
}

#[test]
fn a_branch_or_a_type_is_implied_by_one_within() {
    let either = || doc! { "$or": [{ "a": { "$gt": 5 } }, { "b": "x" }] };
    assert!(implied(doc! { "b": "x" }, either()));
    assert!(implied(doc! { "a": 9, "c": 1 }, either()));
    assert!(!implied(doc! { "b": "y" }, either()));
    let number = || doc! { "a": { "$type": "number" } };
    assert!(implied(doc! { "a": 1 }, number()));
    assert!(implied(doc! { "a": { "$type": "int" } }, number()));
    assert!(!implied(doc! { "a": 1 }, doc! { "a": { "$type": "int" } }));
}
