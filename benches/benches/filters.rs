//! A filter of three conditions over documents: compiled, interpreted, and as one
//! would do it with the crate `bson` alone, by decoding and comparing.
//!
//! `cargo bench -p cs-benches --bench filters`
//!
//! The small document has 20 fields and about 460 bytes, the large one also a
//! text of 3.5 KiB. Of "rare" one document in twenty matches, and most are refused by the
//! first condition; of "all" each one does.

use std::hint::black_box;

use bson::raw::cstr;
use bson::{Bson, Document, RawDocumentBuf, doc};
use collection_store::filter::{Filter, FilterMode};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Documents that are matched in turn: more than the processor's inner caches hold.
const DOCUMENTS: usize = 20_000;
const STATUSES: [&str; 20] = [
    "active", "archived", "blocked", "closed", "draft", "expired", "failed", "frozen", "hidden",
    "idle", "lost", "moved", "new", "open", "paused", "pending", "queued", "sent", "spent", "void",
];

fn document(random: &mut oorandom::Rand64, matches: bool, filling: usize) -> RawDocumentBuf {
    let number = random.rand_range(0..1_000_000);
    let status = if matches {
        0
    } else {
        random.rand_range(1..20) as usize
    };
    let mut out = RawDocumentBuf::new();
    out.append(cstr!("_id"), i64::try_from(number).unwrap_or_default());
    out.append(cstr!("name"), format!("customer number {number:08}"));
    out.append(cstr!("email"), format!("customer.{number}@example.com"));
    out.append(cstr!("status"), STATUSES[status]);
    out.append(cstr!("street"), "12 Long Street of Some Town");
    out.append(cstr!("city"), "Some Town");
    if filling > 0 {
        out.append(cstr!("notes"), "n".repeat(filling));
    }
    out.append(cstr!("zip"), 12_345);
    out.append(cstr!("country"), "GB");
    out.append(cstr!("age"), 18 + (number % 50) as i32);
    out.append(cstr!("balance"), number as f64 / 100.0);
    out.append(cstr!("limit"), 500_i64);
    out.append(cstr!("active"), true);
    out.append(cstr!("score"), 7.5);
    out.append(
        cstr!("created"),
        bson::DateTime::from_millis(1_700_000_000_000),
    );
    out.append(
        cstr!("updated"),
        bson::DateTime::from_millis(1_700_000_000_001),
    );
    let mut tags = bson::RawArrayBuf::new();
    for tag in ["blue", "green", "red"] {
        tags.push(tag);
    }
    out.append(cstr!("tags"), tags);
    out.append(cstr!("visits"), 12);
    out.append(cstr!("referrer"), "search");
    out.append(cstr!("language"), "en");
    out.append(cstr!("version"), 3);
    out
}

fn filter() -> Document {
    doc! { "status": "active", "age": { "$gte": 18, "$lt": 90 }, "tags": "red" }
}

/// What a program does that has no filters: decode, and compare.
fn by_hand(document: &RawDocumentBuf) -> bool {
    let Ok(document) = Document::try_from(document.as_ref()) else {
        return false;
    };
    let age = document.get_i32("age").unwrap_or_default();
    let has_tag = |tags: &Vec<Bson>| tags.iter().any(|tag| tag.as_str() == Some("red"));
    document
        .get_str("status")
        .is_ok_and(|status| status == "active")
        && (18..90).contains(&age)
        && document.get_array("tags").is_ok_and(has_tag)
}

fn filters(criterion: &mut Criterion) {
    let source = RawDocumentBuf::try_from(&filter()).expect("a filter");
    for (size, filling) in [("458 B", 0), ("4 KiB", 3_500)] {
        for (share, every) in [("rare", 20), ("all", 1)] {
            let mut random = oorandom::Rand64::new(7);
            let documents: Vec<_> = (0..DOCUMENTS)
                .map(|at| document(&mut random, at % every == 0, filling))
                .collect();
            let mut group = criterion.benchmark_group(format!("filter {share} {size}"));
            group.throughput(Throughput::Elements(1));
            for (name, mode) in [
                ("compiled", FilterMode::Compiled),
                ("interpreted", FilterMode::Interpreted),
            ] {
                let filter = Filter::compile_with(&source, mode).expect("a filter");
                let mut next = documents.iter().cycle();
                group.bench_function(name, |bencher| {
                    bencher.iter(|| {
                        let document = next.next().expect("a cycle has no end");
                        black_box(filter.matches(document).expect("an answer"))
                    });
                });
            }
            let mut next = documents.iter().cycle();
            group.bench_function("decoded by bson", |bencher| {
                bencher.iter(|| black_box(by_hand(next.next().expect("a cycle has no end"))));
            });
        }
    }
}

fn compiling(criterion: &mut Criterion) {
    let source = RawDocumentBuf::try_from(&filter()).expect("a filter");
    criterion.bench_function("filter compile", |bencher| {
        bencher.iter(|| Filter::compile(black_box(&source)).expect("a filter"));
    });
}

criterion_group!(benches, filters, compiling);
criterion_main!(benches);
