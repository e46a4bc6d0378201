//! What indexes cost writers and save readers, on a database in memory: inserts with 0, 1
//! and 5 of them; finding by `_id`, by an index, and from an index alone.
//!
//! `cargo bench -p cs-benches --bench indexes`

use std::hint::black_box;

use bson::{Document, doc};
use collection_store::{Collection, Database, IndexModel};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

const DOCUMENTS: i32 = 20_000;

fn keys() -> [Document; 5] {
    [
        doc! { "number": 1 },
        doc! { "city": 1, "born": -1 },
        doc! { "tags": 1 },
        doc! { "born": 1 },
        doc! { "name": 1 },
    ]
}

fn document(number: i32) -> Document {
    doc! {
        "_id": number,
        "number": number.wrapping_mul(7919) % DOCUMENTS,
        "name": format!("person {number}"),
        "city": format!("city {}", number % 100),
        "born": 1900 + number % 120,
        "tags": [number % 7, number % 11],
    }
}

fn collection(indexes: usize) -> Collection {
    let database = Database::open_in_memory().expect("a database");
    let people = database.collection("people");
    for key in keys().into_iter().take(indexes) {
        people.create_index(IndexModel::new(key)).expect("an index");
    }
    people
}

fn insert(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("insert a hundred");
    for indexes in [0, 1, 5] {
        let people = collection(indexes);
        let mut next = 0;
        group.bench_function(format!("{indexes} indexes"), |bencher| {
            bencher.iter_batched(
                || {
                    next += 100;
                    (next - 100..next).map(document).collect::<Vec<_>>()
                },
                |documents| people.insert_many(documents).expect("an insert"),
                BatchSize::SmallInput,
            );
        });
    }
}

fn find(criterion: &mut Criterion) {
    let people = collection(5);
    people
        .insert_many((0..DOCUMENTS).map(document))
        .expect("an insert");
    let mut next = 0;
    let mut draw = move || {
        next = (next + 7907) % DOCUMENTS;
        next
    };
    let mut group = criterion.benchmark_group("find one");
    group.bench_function("by _id", |bencher| {
        bencher.iter(|| black_box(people.find_one(doc! { "_id": draw() }).expect("a read")));
    });
    group.bench_function("by an index", |bencher| {
        bencher.iter(|| black_box(people.find_one(doc! { "number": draw() }).expect("a read")));
    });
    group.bench_function("from an index alone", |bencher| {
        bencher.iter(|| {
            let found = people
                .find(doc! { "number": draw() })
                .projection(doc! { "number": 1, "_id": 0 });
            black_box(found.run().expect("a read").next())
        });
    });
    group.finish();
    criterion.bench_function("find twenty in the order of an index", |bencher| {
        bencher.iter(|| {
            let city = format!("city {}", draw() % 100);
            let found = people.find(doc! { "city": city }).sort(doc! { "born": -1 });
            black_box(found.limit(20).run().expect("a read").count())
        });
    });
}

criterion_group!(benches, insert, find);
criterion_main!(benches);
