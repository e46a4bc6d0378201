use bson::{RawDocumentBuf, doc, rawdoc};

use crate::Database;

/// What an accumulator makes of the field `v` of documents.
fn of(accumulator: bson::Document, values: bson::Array) -> RawDocumentBuf {
    let database = Database::open_in_memory().unwrap();
    let all = database.collection("all");
    let documents = (0_i32..)
        .zip(values)
        .map(|(n, v)| doc! { "_id": n, "v": v });
    all.insert_many(documents).unwrap();
    let pipeline = [
        doc! { "$group": { "_id": null, "r": accumulator } },
        doc! { "$project": { "_id": 0 } },
    ];
    all.aggregate(pipeline).unwrap().next().unwrap().unwrap()
}

#[test]
fn sums_take_the_widest_type_and_grow_where_they_must() {
    let sum = doc! { "$sum": "$v" };
    let values = bson::bson!([1, 2, "no number"]);
    assert_eq!(
        of(sum.clone(), values.as_array().unwrap().clone()),
        rawdoc! { "r": 3 }
    );
    let values = vec![i32::MAX.into(), 1.into()];
    assert_eq!(of(sum.clone(), values), rawdoc! { "r": 2_147_483_648_i64 });
    let values = vec![0.1.into(), 0.2.into(), (-0.3).into()];
    let exact = of(sum, values).get_f64("r").unwrap();
    assert!(exact.abs() < 3e-17, "{exact}");
}

#[test]
fn the_first_and_last_few_are_in_order() {
    let values = || vec![5.into(), 1.into(), bson::Bson::Null, 9.into(), 3.into()];
    let few = |name: &str| of(doc! { name: { "input": "$v", "n": 2 } }, values());
    assert_eq!(few("$firstN"), rawdoc! { "r": [5, 1] });
    assert_eq!(few("$lastN"), rawdoc! { "r": [9, 3] });
    assert_eq!(few("$minN"), rawdoc! { "r": [1, 3] });
    assert_eq!(few("$maxN"), rawdoc! { "r": [9, 5] });
    let ends = |name: &str| {
        let spec = doc! { name: { "n": 2, "sortBy": { "v": -1 }, "output": "$_id" } };
        of(spec, values())
    };
    assert_eq!(ends("$topN"), rawdoc! { "r": [3, 0] });
    assert_eq!(ends("$bottomN"), rawdoc! { "r": [1, 2] });
    let top = doc! { "$top": { "sortBy": { "v": 1 }, "output": "$v" } };
    assert_eq!(of(top, values()), rawdoc! { "r": null });
}

#[test]
fn percentiles_are_numbers_that_came() {
    let values: bson::Array = (1..=10).map(Into::into).collect();
    let spec = doc! { "$percentile": { "input": "$v", "p": [0.0, 0.25, 0.9, 1.0], "method": "approximate" } };
    assert_eq!(
        of(spec, values.clone()),
        rawdoc! { "r": [1.0, 3.0, 9.0, 10.0] }
    );
    let spec = doc! { "$median": { "input": "$v", "method": "approximate" } };
    assert_eq!(of(spec, values), rawdoc! { "r": 5.0 });
}

#[test]
fn sets_keep_one_of_equal_values() {
    let values = vec![1.into(), 1.0.into(), 1_i64.into(), "1".into()];
    assert_eq!(
        of(doc! { "$addToSet": "$v" }, values),
        rawdoc! { "r": [1, "1"] }
    );
}
