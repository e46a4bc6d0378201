use std::sync::Arc;

use bson::{RawDocumentBuf, doc, rawdoc};
use cs_kv::io::memory::MemoryDisk;
use cs_kv::io::{Disk, RealRuntime};

use super::*;
use crate::Database;

fn pattern(document: &bson::RawDocument) -> SortPattern {
    SortPattern::parse(document).unwrap()
}

/// The positions of the documents, in order.
fn order(pattern: &SortPattern, documents: &[RawDocumentBuf]) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..documents.len()).collect();
    positions.sort_by_key(|at| pattern.key(&documents[*at]).unwrap());
    positions
}

fn code(document: &bson::RawDocument) -> Option<i32> {
    SortPattern::parse(document).unwrap_err().code()
}

#[test]
fn an_array_stands_for_its_smallest_element_ascending_and_its_largest_descending() {
    let documents = [
        rawdoc! { "v": [5, 1] },
        rawdoc! { "v": 3 },
        rawdoc! { "v": [] },
        rawdoc! {},
        rawdoc! { "v": [2, 9] },
    ];
    assert_eq!(
        order(&pattern(&rawdoc! { "v": 1 }), &documents),
        [2, 3, 0, 4, 1]
    );
    assert_eq!(
        order(&pattern(&rawdoc! { "v": -1 }), &documents),
        [4, 0, 1, 3, 2]
    );
}

#[test]
fn a_string_sorts_before_what_continues_it_and_behind_it_descending() {
    let documents = [
        rawdoc! { "v": "a\0b", "w": 1 },
        rawdoc! { "v": "a", "w": 2 },
        rawdoc! { "v": "a\0", "w": 0 },
    ];
    assert_eq!(order(&pattern(&rawdoc! { "v": 1 }), &documents), [1, 2, 0]);
    assert_eq!(order(&pattern(&rawdoc! { "v": -1 }), &documents), [0, 2, 1]);
    assert_eq!(
        order(&pattern(&rawdoc! { "v": -1, "w": -1 }), &documents),
        [0, 2, 1]
    );
}

#[test]
fn a_combination_of_one_array_is_chosen_as_a_whole() {
    let documents = [
        rawdoc! { "a": [{ "b": 1, "c": 1 }, { "b": 2, "c": 9 }] },
        rawdoc! { "a": [{ "b": 1, "c": 5 }] },
    ];
    // 9 lies in another element than the smallest b.
    assert_eq!(
        order(&pattern(&rawdoc! { "a.b": 1, "a.c": -1 }), &documents),
        [1, 0]
    );
}

#[test]
fn a_position_in_an_array_stands_for_itself() {
    let documents = [
        rawdoc! { "a": [[9, 1], 3] },
        rawdoc! { "a": [[8], 0] },
        rawdoc! { "a": [7] },
    ];
    assert_eq!(
        order(&pattern(&rawdoc! { "a.0": 1 }), &documents),
        [2, 1, 0]
    );
}

#[test]
fn arrays_beside_each_other_are_refused() {
    let pattern = pattern(&rawdoc! { "a": 1, "b": 1 });
    let refused = pattern.key(&rawdoc! { "a": [1], "b": [2] }).unwrap_err();
    assert_eq!(refused.code(), Some(2));
    assert!(pattern.key(&rawdoc! { "a": [1], "b": 2 }).is_ok());
}

#[test]
fn malformed_patterns_are_refused_with_mongodb_codes() {
    assert_eq!(code(&rawdoc! { "a": 2 }), Some(15975));
    assert_eq!(code(&rawdoc! { "a": "x" }), Some(15974));
    assert_eq!(code(&rawdoc! { "a": { "$meta": "x" } }), Some(31138));
    assert_eq!(code(&rawdoc! { "a": {} }), Some(17312));
    assert_eq!(code(&rawdoc! { "": 1 }), Some(40352));
    assert_eq!(code(&rawdoc! { "a.": 1 }), Some(40353));
    assert_eq!(code(&rawdoc! { "a..b": 1 }), Some(15998));
    assert_eq!(code(&rawdoc! { "a.$b": 1 }), Some(16410));
}

#[test]
fn a_sort_beyond_its_budget_goes_to_the_disk_and_leaves_nothing_there() {
    let disk = MemoryDisk::new();
    let database = Database::options()
        .open_on(Arc::clone(&disk) as Arc<dyn Disk>, RealRuntime::new())
        .unwrap();
    let mut sorter = Sorter::new(SorterOptions {
        budget: 256 * 1024,
        ..SorterOptions::default()
    });
    let environment = database.environment();
    for n in 0..20_000_u32 {
        let key = (n.wrapping_mul(2_654_435_761) % 5_000)
            .to_be_bytes()
            .to_vec();
        let value = vec![7; 40];
        sorter.push(environment, key, value).unwrap();
    }
    let mut sorted = sorter.finish().unwrap();
    assert!(sorted.spilled() > 1);
    let (mut last, mut count) = (Vec::new(), 0);
    while let Some((key, _)) = sorted.next().unwrap() {
        assert!(last <= key);
        (last, count) = (key, count + 1);
    }
    assert_eq!(count, 20_000);
    drop(sorted);
    let left = disk.list().unwrap().into_iter();
    let left: Vec<String> = left.filter(|name| name.contains("sort")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_sort_with_a_limit_holds_no_more_than_it() {
    let database = Database::open_in_memory().unwrap();
    let mut sorter = Sorter::new(SorterOptions {
        limit: Some(3),
        ..SorterOptions::default()
    });
    for n in (0..1_000_u32).rev() {
        let key = n.to_be_bytes().to_vec();
        sorter
            .push(database.environment(), key, vec![0; 1_000])
            .unwrap();
        assert!(sorter.held() < 5_000);
    }
    let mut sorted = sorter.finish().unwrap();
    let mut keys = Vec::new();
    while let Some((key, _)) = sorted.next().unwrap() {
        keys.push(key[3]);
    }
    assert_eq!(keys, [0, 1, 2]);
}

#[test]
fn a_sort_that_may_not_use_the_disk_ends_with_an_error() {
    let database = Database::open_in_memory().unwrap();
    let numbers = database.collection("numbers");
    let text = "x".repeat(2_000);
    numbers
        .insert_many((0..500).map(|n| doc! { "_id": n, "text": &text }))
        .unwrap();
    let limited = crate::OperationContext::new().memory_limit(400 * 1024);
    let find = || numbers.find(doc! {}).sort(doc! { "text": -1 });
    let refused = find()
        .context(limited.clone())
        .allow_disk_use(false)
        .run()
        .unwrap()
        .next()
        .unwrap()
        .unwrap_err();
    assert_eq!(refused.code(), Some(292));
    let sorted = find().context(limited).run().unwrap();
    let ids: Vec<i32> = sorted
        .map(|one| one.unwrap().get_i32("_id").unwrap())
        .collect();
    assert_eq!(ids, (0..500).collect::<Vec<i32>>());
}
