use bson::{Document, RawDocumentBuf, doc};

use crate::ErrorKind;
use crate::update::{Update, UpdateOptions};

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

#[track_caller]
fn refused(code: i32, update: &Document) {
    let error = Update::parse(&raw(update), &UpdateOptions::default()).unwrap_err();
    assert_eq!(error.code(), Some(code), "{update}: {error}");
}

#[track_caller]
fn refused_with(code: i32, update: &Document, filters: &[Document]) {
    let options = UpdateOptions {
        array_filters: filters.iter().map(raw).collect(),
        ..UpdateOptions::default()
    };
    let error = Update::parse(&raw(update), &options).unwrap_err();
    assert_eq!(
        error.code(),
        Some(code),
        "{update} with {filters:?}: {error}"
    );
}

#[track_caller]
fn accepted(update: &Document) {
    Update::parse(&raw(update), &UpdateOptions::default()).unwrap();
}

#[test]
fn an_update_consists_of_known_operators_over_fields() {
    accepted(&doc! { "$set": {} });
    accepted(&doc! { "$set": {}, "$unset": { "a": 1 } });
    refused(9, &doc! {});
    refused(9, &doc! { "a": 1 });
    refused(9, &doc! { "$set": { "a": 1 }, "b": 1 });
    refused(9, &doc! { "$increment": { "a": 1 } });
    refused(9, &doc! { "$set": 1 });
    refused(9, &doc! { "$set": [1] });
}

#[test]
fn paths_that_meet_conflict() {
    refused(40, &doc! { "$set": { "a": 1 }, "$inc": { "a": 1 } });
    refused(40, &doc! { "$set": { "a.b": 1, "a": 2 } });
    refused(40, &doc! { "$set": { "a": 1, "a.b.c": 2 } });
    refused(40, &doc! { "$set": { "a.$[]": 1, "a.0": 2 } });
    refused(40, &doc! { "$set": { "a.$": 1, "a.$.b": 2 } });
    refused(40, &doc! { "$rename": { "a": "b" }, "$set": { "a.c": 2 } });
    refused(40, &doc! { "$rename": { "a": "b", "b": "c" } });
    accepted(&doc! { "$set": { "a.b": 1, "a.c": 2, "ab": 3, "a.$": 4 } });
}

#[test]
fn a_conflict_says_where() {
    let update = raw(&doc! { "$set": { "a.b": 1 }, "$inc": { "a.b.c": 1 } });
    let error = Update::parse(&update, &UpdateOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadValue);
    assert_eq!(
        error.message(),
        "updating the path 'a.b.c' would create a conflict at 'a.b'"
    );
}

#[test]
fn paths_have_names_and_not_too_many() {
    refused(56, &doc! { "$set": { "": 1 } });
    refused(56, &doc! { "$set": { "a..b": 1 } });
    refused(56, &doc! { "$set": { "a.": 1 } });
    refused(56, &doc! { "$rename": { "a": ".b" } });
    accepted(&doc! { "$set": { ["a"; 100].join("."): 1 } });
    refused(15, &doc! { "$set": { ["a"; 101].join("."): 1 } });
    refused(15, &doc! { "$unset": { "a.".repeat(1_000_000) + "a": 1 } });
    refused(2, &doc! { "$set": { "$": 1 } });
    refused(2, &doc! { "$set": { "$[]": 1 } });
    refused(2, &doc! { "$set": { "a.$.b.$": 1 } });
}

#[test]
fn array_filters_are_named_and_used() {
    let set = doc! { "$set": { "a.$[x].b": 1 } };
    refused(2, &set);
    refused_with(9, &set, &[doc! {}]);
    refused_with(9, &set, &[doc! { "x": 1, "y": 1 }]);
    refused_with(9, &set, &[doc! { "x": 1 }, doc! { "x.a": 1 }]);
    refused_with(9, &set, &[doc! { "x": 1 }, doc! { "y": 1 }]);
    refused_with(2, &set, &[doc! { "X": 1 }]);
    refused_with(2, &set, &[doc! { "x": { "$foo": 1 } }]);
    let options = UpdateOptions {
        array_filters: vec![raw(
            &doc! { "$or": [{ "x.a": 1 }, { "x": { "$exists": true } }] },
        )],
        ..UpdateOptions::default()
    };
    Update::parse(&raw(&set), &options).unwrap();
    let replacement = Update::parse_or_replacement(&raw(&doc! { "a": 1 }), &options);
    assert_eq!(replacement.unwrap_err().code(), Some(9));
}

#[test]
fn operands_are_looked_at_before_any_document() {
    refused(14, &doc! { "$inc": { "a": "1" } });
    refused(14, &doc! { "$mul": { "a": null } });
    refused(9, &doc! { "$pop": { "a": 2 } });
    refused(9, &doc! { "$pop": { "a": 0.5 } });
    refused(2, &doc! { "$currentDate": { "a": "date" } });
    refused(2, &doc! { "$currentDate": { "a": { "$type": "time" } } });
    refused(2, &doc! { "$currentDate": { "a": {} } });
    refused(2, &doc! { "$bit": { "a": 1 } });
    refused(2, &doc! { "$bit": { "a": {} } });
    refused(2, &doc! { "$bit": { "a": { "nand": 1 } } });
    refused(2, &doc! { "$bit": { "a": { "and": 1.0 } } });
    refused(2, &doc! { "$pullAll": { "a": 1 } });
    refused(14, &doc! { "$addToSet": { "a": { "$each": 1 } } });
    refused(
        2,
        &doc! { "$addToSet": { "a": { "$each": [], "$slice": 1 } } },
    );
    refused(2, &doc! { "$pull": { "a": { "$foo": 1 } } });
    refused(2, &doc! { "$push": { "a": { "$each": 1 } } });
    refused(
        2,
        &doc! { "$push": { "a": { "$each": [], "$slice": "1" } } },
    );
    refused(
        2,
        &doc! { "$push": { "a": { "$each": [], "$slice": 0.5 } } },
    );
    refused(2, &doc! { "$push": { "a": { "$each": [], "$sort": 2 } } });
    refused(2, &doc! { "$push": { "a": { "$each": [], "$sort": {} } } });
    refused(
        2,
        &doc! { "$push": { "a": { "$each": [], "$sort": { "a.": 1 } } } },
    );
    refused(
        2,
        &doc! { "$push": { "a": { "$each": [], "$shuffle": 1 } } },
    );
    refused(2, &doc! { "$rename": { "a": 1 } });
    refused(2, &doc! { "$rename": { "a": "a" } });
    refused(2, &doc! { "$rename": { "a": "a.b" } });
    refused(2, &doc! { "$rename": { "a.$": "b" } });
    refused(2, &doc! { "$rename": { "a": "b\0c" } });
}

#[test]
fn replacements_and_pipelines_are_told_from_updates_of_operators() {
    let options = UpdateOptions::default();
    let parse = |update: &Document| Update::parse_or_replacement(&raw(update), &options);
    assert!(parse(&doc! {}).unwrap().is_replacement());
    assert!(parse(&doc! { "a": 1 }).unwrap().is_replacement());
    assert!(!parse(&doc! { "$set": {} }).unwrap().is_replacement());
    assert_eq!(
        parse(&doc! { "a": 1, "$set": {} }).unwrap_err().code(),
        Some(9)
    );
    assert_eq!(
        parse(&doc! { "a": 1, "$b": 1 }).unwrap_err().code(),
        Some(52)
    );
    let holder = raw(&doc! { "u": [{ "$set": { "a": 1 } }], "v": 1 });
    let value = |name| holder.get(name).unwrap().unwrap();
    let pipeline = Update::parse_value(value("u"), &options).unwrap();
    assert!(!pipeline.is_replacement() && pipeline.touches_id());
    let wrong = [raw(&doc! { "$match": {} })];
    let error = Update::parse_pipeline(&wrong, &options).unwrap_err();
    assert_eq!(error.code(), Some(72));
    assert_eq!(
        Update::parse_value(value("v"), &options)
            .unwrap_err()
            .code(),
        Some(9)
    );
}
