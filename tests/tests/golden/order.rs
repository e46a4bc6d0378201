//! `order`: the order of whole values, and that of a sort.

use std::cmp::Ordering;

use bson::doc;
use collection_store::Database;
use collection_store::values::{RawValue, compare};

use crate::case::{Case, NAME, Verdict};

fn positions(case: &Case<'_>, name: &str) -> Vec<i64> {
    let values = case.values(name).into_iter();
    values.map(|value| value.integer().unwrap()).collect()
}

pub(crate) fn judge(database: &Database, case: &Case<'_>) -> Verdict {
    let values: Vec<RawValue<'_>> = case.values("values");
    for (line, row) in values.iter().zip(case.values("compare")) {
        let found: Vec<u8> = values
            .iter()
            .map(|column| match compare(*line, *column) {
                Ordering::Less => b'<',
                Ordering::Equal => b'=',
                Ordering::Greater => b'>',
            })
            .collect();
        if Some(found.as_slice()) != row.text() {
            return Verdict::wrong("a comparison");
        }
    }
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| compare(values[*a], values[*b]));
    let order: Vec<i64> = order.into_iter().map(|at| at as i64).collect();
    if order != positions(case, "order") {
        return Verdict::wrong("the stable order");
    }
    let collection = database.collection(NAME);
    collection.drop_collection().unwrap();
    for (id, value) in (0_i64..).zip(&values) {
        let value = value.to_bson().unwrap();
        collection
            .insert_one(doc! { "_id": id, "v": value })
            .unwrap();
    }
    for (direction, name) in [(1, "sortAsc"), (-1, "sortDesc")] {
        let sort = doc! { "v": direction, "_id": 1 };
        let found: Vec<i64> = collection
            .find(doc! {})
            .sort(sort)
            .run()
            .unwrap()
            .map(|document| document.unwrap().get_i64("_id").unwrap())
            .collect();
        if found != positions(case, name) {
            return Verdict::wrong(format!("{name}: {found:?}"));
        }
    }
    Verdict::Right
}
