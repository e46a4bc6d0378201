//! What compression saves on documents like those that people keep.

use std::sync::Arc;

use bson::{Document, doc};
use collection_store::io::memory::MemoryDisk;
use collection_store::io::sim::Rng;
use collection_store::io::{Disk, RealRuntime};
use collection_store::{Compression, CompressionOptions, Database};

/// Makes one document with this number.
type Make = fn(&mut Rng, i64) -> Document;

const SYLLABLES: [&str; 16] = [
    "bar", "ton", "wood", "field", "mill", "ash", "ford", "ham", "new", "green", "lake", "port",
    "ville", "spring", "bridge", "stone",
];
const STATES: [&str; 12] = [
    "AL", "CA", "FL", "IL", "MI", "MN", "NY", "OH", "PA", "TX", "VT", "WA",
];

fn word(rng: &mut Rng) -> String {
    let syllables = 2 + rng.below(2);
    (0..syllables)
        .map(|_| SYLLABLES[rng.below(16) as usize])
        .collect()
}

fn state(rng: &mut Rng) -> &'static str {
    STATES[rng.below(12) as usize]
}

fn coordinate(rng: &mut Rng) -> f64 {
    rng.below(180_000_000) as f64 / 1e6 - 90.0
}

/// A post office, as the ZIP codes of a country have it.
fn post_office(rng: &mut Rng, number: i64) -> Document {
    doc! {
        "_id": format!("{number:05}"),
        "city": word(rng).to_uppercase(),
        "loc": [coordinate(rng), coordinate(rng)],
        "pop": rng.below(60_000) as i32,
        "state": state(rng),
    }
}

/// A cinema with an address inside an address.
fn cinema(rng: &mut Rng, number: i64) -> Document {
    doc! {
        "_id": number,
        "theaterId": 1000 + number,
        "location": {
            "address": {
                "street1": format!("{} {} Street", rng.below(9_999), word(rng)),
                "city": word(rng),
                "state": state(rng),
                "zipcode": format!("{:05}", rng.below(100_000)),
            },
            "geo": { "type": "Point", "coordinates": [coordinate(rng), coordinate(rng)] },
        },
    }
}

/// An account and what it may be used for.
fn account(rng: &mut Rng, number: i64) -> Document {
    let products = ["Brokerage", "Commodity", "Derivatives", "InvestmentStock"];
    let held = &products[..1 + rng.below(4) as usize];
    doc! {
        "_id": number,
        "account_id": rng.below(999_999) as i32,
        "limit": 10_000,
        "products": held.to_vec(),
    }
}

/// A feed of short texts, kept as one document.
fn feed(rng: &mut Rng, number: i64) -> Document {
    let entry = |rng: &mut Rng| {
        let words: Vec<String> = (0..12).map(|_| word(rng)).collect();
        doc! { "user": word(rng), "text": words.join(" "), "likes": rng.below(900) as i32 }
    };
    let entries: Vec<Document> = (0..300).map(|_| entry(rng)).collect();
    doc! { "_id": number, "entries": entries }
}

fn open(disk: &Arc<MemoryDisk>, compression: Compression) -> Database {
    Database::options()
        .compression(CompressionOptions::of(compression))
        .checkpoint_log_bytes(1 << 40)
        .open_on(Arc::clone(disk) as Arc<dyn Disk>, RealRuntime::new())
        .unwrap()
}

#[test]
fn the_log_of_documents_like_the_samples_is_shorter_by_a_third() {
    let samples: [(&str, Make); 3] = [
        ("post offices", post_office),
        ("cinemas", cinema),
        ("accounts", account),
    ];
    for (name, make) in samples {
        let mut log_bytes = Vec::new();
        for compression in [
            Compression::None,
            Compression::Lz4,
            Compression::Auto,
            Compression::Gzip(6),
        ] {
            let disk = MemoryDisk::new();
            let database = open(&disk, compression);
            let collection = database.collection("c");
            let mut rng = Rng::new(7);
            let documents: Vec<Document> = (0..3_000).map(|n| make(&mut rng, n)).collect();
            collection.insert_many(&documents).unwrap();
            let store = database.stats().unwrap().store;
            log_bytes.push(store.log_bytes);
            if compression != Compression::None {
                let log = store.compression.log;
                assert!(log.saving() >= 0.3, "{name}, {compression:?}: {log:?}");
            }
            // Nothing was closed: it all comes out of the log again.
            drop((collection, database));
            let collection = open(&disk, Compression::None).collection("c");
            assert_eq!(collection.count(doc! {}).unwrap(), 3_000);
            let found = collection.find_by_id(documents[1234].get("_id").unwrap().clone());
            let found = Document::try_from(&found.unwrap().unwrap()).unwrap();
            assert_eq!(found, documents[1234]);
        }
        for (position, &bytes) in log_bytes.iter().enumerate().skip(1) {
            let plain = log_bytes[0];
            assert!(bytes * 10 <= plain * 7, "{name}, {position}: {log_bytes:?}");
        }
    }
}

#[test]
fn large_documents_take_less_of_the_data_file_and_read_the_same() {
    let mut used = Vec::new();
    for compression in [Compression::None, Compression::Auto] {
        let disk = MemoryDisk::new();
        let database = open(&disk, compression);
        let mut rng = Rng::new(8);
        let feeds: Vec<Document> = (0..40).map(|n| feed(&mut rng, n)).collect();
        database.collection("feeds").insert_many(&feeds).unwrap();
        database.checkpoint().unwrap();
        database.checkpoint().unwrap();
        let store = database.stats().unwrap().store;
        used.push(store.space.used);
        let found = database.collection("feeds").find(doc! {}).run().unwrap();
        let found: Vec<Document> = found
            .map(|document| Document::try_from(&document.unwrap()).unwrap())
            .collect();
        assert_eq!(found, feeds);
        database.close().unwrap();
    }
    assert!(used[1] * 10 <= used[0] * 7, "{used:?}");
}
