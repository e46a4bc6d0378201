#![allow(clippy::unwrap_used, reason = "a failed test panics")]

use bson::{RawDocumentBuf, rawdoc};

use super::*;

fn names(stages: &[RawDocumentBuf]) -> Vec<String> {
    let found = touched(stages.iter().map(|stage| &**stage), "shop").unwrap();
    let name = |it: &Touched| format!("{:?} {}", it.privilege, it.namespace);
    found.iter().map(name).collect()
}

#[test]
fn everything_that_a_pipeline_touches_is_found_however_deep_it_lies() {
    let inner =
        rawdoc! { "$unionWith": { "coll": "c", "pipeline": [{ "$lookup": { "from": "d" } }] } };
    let found = names(&[
        rawdoc! { "$match": { "from": "none" } },
        rawdoc! { "$facet": { "x": [{ "$lookup": { "from": "b", "pipeline": [inner] } }] } },
        rawdoc! { "$unionWith": "e" },
        rawdoc! { "$merge": { "into": { "db": "other", "coll": "f" } } },
        rawdoc! { "$out": "g" },
    ]);
    let expected = [
        "Read shop.b",
        "Read shop.c",
        "Read shop.d",
        "Read shop.e",
        "ReadWrite other.f",
        "ReadWrite shop.g",
    ];
    assert_eq!(found, expected);
}

#[test]
fn no_stage_reaches_the_servers_own_database() {
    let out = rawdoc! { "$out": { "db": crate::namespace::INTERNAL_DATABASE, "coll": "users" } };
    assert_eq!(touched([&*out], "shop").unwrap_err().code, 73);
}
