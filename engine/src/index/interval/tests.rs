use bson::{Bson, RawDocumentBuf, doc};

use super::{Cut, Interval, Intervals};
use crate::filter::{Conjunct, Filter};
use crate::key::{descend, encode};
use crate::values::OwnedValue;

fn key(value: impl Into<Bson>) -> Vec<u8> {
    encode(OwnedValue::try_from(&value.into()).unwrap().as_raw()).unwrap()
}

fn of(condition: bson::Document) -> Option<Intervals> {
    let filter = RawDocumentBuf::try_from(&doc! { "a": condition }).unwrap();
    let filter = Filter::compile(&filter).unwrap();
    let mut all: Option<Intervals> = None;
    for conjunct in filter.conjuncts() {
        if let Conjunct::Path { asked, .. } = conjunct
            && let Some(one) = Intervals::of(&asked, true)
        {
            all = Some(all.map_or_else(|| one.clone(), |all| all.and(&one)));
        }
    }
    all
}

/// Whether a key with this value in front lies in a range, ascending and descending.
fn holds(intervals: &Intervals, value: &Bson) -> bool {
    let ascending = [key(value.clone()), vec![0x58]].concat();
    let mut inverted = key(value.clone());
    descend(&mut inverted);
    let descending = [inverted, vec![0x58]].concat();
    let within = |key: &[u8], from: Vec<u8>, to: Vec<u8>| *key >= *from && *key < *to;
    let forward = intervals
        .0
        .iter()
        .any(|one| within(&ascending, one.lower.ascending(), one.upper.ascending()));
    let backward = intervals
        .0
        .iter()
        .any(|one| within(&descending, one.upper.descending(), one.lower.descending()));
    assert_eq!(forward, backward, "{value} in {intervals:?}");
    forward
}

#[test]
fn a_range_holds_what_the_condition_accepts_in_both_directions() {
    let values: Vec<Bson> = vec![
        Bson::MinKey,
        Bson::Null,
        Bson::Double(f64::NAN),
        (-1).into(),
        0.into(),
        1.into(),
        1.5.into(),
        2.into(),
        "".into(),
        "\0".into(),
        "\0\0".into(),
        "a".into(),
        "a\0".into(),
        "ab".into(),
        "b".into(),
        doc! {}.into(),
        true.into(),
        Bson::MaxKey,
    ];
    let accepts = |condition: bson::Document| -> Vec<Bson> {
        let intervals = of(condition).unwrap_or_else(Intervals::all);
        values
            .iter()
            .filter(|value| holds(&intervals, value))
            .cloned()
            .collect()
    };
    assert_eq!(accepts(doc! { "$eq": 1 }), [Bson::Int32(1)]);
    assert_eq!(accepts(doc! { "$eq": "" }), [Bson::from("")]);
    assert_eq!(accepts(doc! { "$gt": 1 }), [Bson::from(1.5), 2.into()]);
    assert_eq!(
        accepts(doc! { "$gte": 1, "$lt": 2 }),
        [Bson::from(1), 1.5.into()]
    );
    assert_eq!(accepts(doc! { "$lte": "" }), [Bson::from("")]);
    assert_eq!(
        accepts(doc! { "$gt": "" })[..2],
        [Bson::from("\0"), "\0\0".into()]
    );
    assert_eq!(
        accepts(doc! { "$lt": "\0\0" }),
        [Bson::from(""), "\0".into()]
    );
    assert_eq!(
        accepts(doc! { "$regex": "^a" }),
        [Bson::from("a"), "a\0".into(), "ab".into()]
    );
    assert_eq!(
        accepts(doc! { "$in": [2, "b", 1] }),
        [Bson::from(1), 2.into(), "b".into()]
    );
    assert_eq!(accepts(doc! { "$type": "bool" }), [Bson::from(true)]);
    assert_eq!(accepts(doc! { "$ne": null }).len(), values.len() - 1);
    assert_eq!(accepts(doc! { "$exists": false }), [Bson::Null]);
    assert_eq!(accepts(doc! { "$gt": Bson::MinKey }).len(), values.len());
}

#[test]
fn what_is_in_both_is_what_lies_between_the_later_and_the_earlier_cut() {
    let one = of(doc! { "$in": [1, 2, 3] }).unwrap();
    assert!(one.is_points() && one.single().is_none());
    let both = one.and(&of(doc! { "$gt": 1, "$lte": 2 }).unwrap());
    assert_eq!(both.single(), Some(&*key(2)));
    assert!(one.and(&of(doc! { "$gt": 3 }).unwrap()).0.is_empty());
    assert!(Intervals::all().and(&Intervals::all()).is_all());
    assert!(Cut::Before(key("a")) < Cut::After(key("a")));
    assert!(Cut::After(key("")) < Cut::Before(key("a")));
    assert!(Interval::all().lower < Interval::all().upper);
}

#[test]
fn an_array_is_sought_whole_and_by_its_first_element() {
    let found = of(doc! { "$eq": [1, 2] }).unwrap();
    assert_eq!(found.0.len(), 2);
    assert!(holds(&found, &1.into()) && !holds(&found, &2.into()));
    assert!(of(doc! { "$gt": [1] }).is_none());
}
