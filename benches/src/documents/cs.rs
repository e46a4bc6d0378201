//! Collection Store, with the options that it has unless told.

use std::ops::Range;
use std::path::Path;

use bson::raw::cstr;
use bson::{Document, RawDocumentBuf, doc};
use collection_store::{Collection, Database, IndexModel};

use super::{Engine, Fields, INDEXED, Store, email};

/// See the module's text.
#[derive(Debug)]
pub struct CollectionStore;

struct Open {
    collection: Collection,
    prepared: std::vec::IntoIter<RawDocumentBuf>,
}

/// A document as BSON.
#[must_use]
fn document(fields: &Fields) -> RawDocumentBuf {
    let mut out = RawDocumentBuf::new();
    out.append(cstr!("_id"), fields.id);
    out.append(cstr!("name"), fields.name.as_str());
    out.append(cstr!("email"), fields.email.as_str());
    out.append(cstr!("status"), fields.status);
    out.append(cstr!("street"), "12 Long Street of Some Town");
    out.append(cstr!("city"), fields.city.as_str());
    out.append(cstr!("zip"), 12_345);
    out.append(cstr!("country"), "GB");
    out.append(cstr!("age"), fields.age);
    out.append(cstr!("balance"), fields.balance);
    out.append(cstr!("limit"), 500_i64);
    out.append(cstr!("active"), true);
    out.append(cstr!("score"), 7.5);
    let created = bson::DateTime::from_millis(1_700_000_000_000);
    out.append(cstr!("created"), created);
    out.append(cstr!("updated"), created);
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

impl Engine for CollectionStore {
    fn name(&self) -> &'static str {
        "collection-store"
    }

    fn open(&self, directory: &Path, indexes: usize) -> Box<dyn Store> {
        let database = Database::open(directory.join("db")).expect("a database");
        let collection = database.collection("bench");
        collection.create().expect("a collection");
        for field in INDEXED.iter().take(indexes) {
            let index = IndexModel::new(doc! { *field: 1 });
            collection.create_index(index).expect("an index");
        }
        let prepared = Vec::new().into_iter();
        Box::new(Open {
            collection,
            prepared,
        })
    }
}

impl Open {
    fn by_id(&self, number: u64) -> RawDocumentBuf {
        let found = self.collection.find_by_id(number.cast_signed());
        found.expect("a read").expect("a document")
    }

    fn by_email(&self, number: u64) -> RawDocumentBuf {
        let found = self.collection.find_one(doc! { "email": email(number) });
        found.expect("a read").expect("a document")
    }
}

fn decoded(document: &RawDocumentBuf) -> usize {
    Document::try_from(document.as_ref())
        .expect("a document")
        .len()
}

impl Store for Open {
    fn prepare(&mut self, numbers: Range<u64>) {
        let documents = numbers.map(|number| document(&Fields::of(number)));
        self.prepared = documents.collect::<Vec<_>>().into_iter();
    }

    fn insert(&mut self, count: usize) {
        match count {
            1 => {
                let document = self.prepared.next().expect("a document");
                self.collection.insert_one(document).expect("an insert");
            }
            _ => {
                let documents = self.prepared.by_ref().take(count);
                self.collection.insert_many(documents).expect("inserts");
            }
        }
    }

    fn find_by_id(&mut self, number: u64) -> usize {
        self.by_id(number).as_bytes().len()
    }

    fn decode_by_id(&mut self, number: u64) -> usize {
        decoded(&self.by_id(number))
    }

    fn find_by_index(&mut self, number: u64) -> usize {
        self.by_email(number).as_bytes().len()
    }

    fn decode_by_index(&mut self, number: u64) -> usize {
        decoded(&self.by_email(number))
    }

    fn count_matching(&mut self) -> u64 {
        let filter = doc! {
            "status": "active", "age": { "$gte": 18, "$lt": 40 }, "balance": { "$lt": 5000.0 },
        };
        self.collection.count(filter).expect("a count")
    }

    fn group(&mut self) -> Option<u64> {
        let group = doc! {
            "$group": { "_id": "$city", "n": { "$sum": 1 }, "sum": { "$sum": "$balance" } },
        };
        let groups = self.collection.aggregate([group]).expect("groups");
        let sums = groups.map(|group| group.expect("a group").get_f64("sum").is_ok());
        Some(sums.filter(|is_sum| *is_sum).count() as u64)
    }
}
