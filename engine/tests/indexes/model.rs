//! What an index finds is what is found without one: for generated documents, indexes and
//! filters, with every index forced in turn, and with the one that is chosen.

use bson::{Bson, Document, doc};
use collection_store::{Collection, Database, ErrorKind, IndexModel};

use crate::agrees;
use crate::generate::{Rng, document, filter, key, partial};

const COLLECTIONS: u64 = 110;
const FILTERS: usize = 20;

fn ids(collection: &Collection, filter: &Document, hint: Option<Bson>) -> Vec<i32> {
    let find = collection.find(filter.clone());
    let find = match hint {
        None => find,
        Some(Bson::String(name)) => find.hint(name),
        Some(key) => find.hint(key.as_document().unwrap().clone()),
    };
    let found = find.run().unwrap();
    let mut ids: Vec<i32> = found
        .map(|document| document.unwrap().get_i32("_id").unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

struct Made {
    name: String,
    has_all: bool,
}

/// A collection with indexes, and documents from before and after them.
fn make(rng: &mut Rng, collection: &Collection) -> Vec<Made> {
    collection.drop_collection().unwrap();
    let mut next = 0;
    let mut insert = |rng: &mut Rng, count: usize| {
        for _ in 0..count {
            next += 1;
            match collection.insert_one(document(rng, next)) {
                Ok(_) => {}
                // Parallel arrays, a position that is a name too, a key that is taken.
                Err(error) => assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::CannotIndex | ErrorKind::DuplicateKey
                    ),
                    "{error}"
                ),
            }
        }
    };
    insert(rng, 8);
    let mut made = Vec::new();
    for number in 0..4 {
        let name = format!("index {number}");
        let model = IndexModel::new(key(rng)).name(name.clone());
        let (model, has_all) = match rng.below(5) {
            0 => (model.sparse(true), false),
            1 => (model.partial_filter(partial(rng)), false),
            _ => (model, true),
        };
        match collection.create_index(model) {
            Ok(_) => made.push(Made { name, has_all }),
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    ErrorKind::CannotIndex
                        | ErrorKind::IndexConflict
                        | ErrorKind::CannotCreateIndex
                        | ErrorKind::BadValue
                ),
                "{error}"
            ),
        }
    }
    insert(rng, 8);
    for _ in 0..6 {
        let id = rng.below(16) as i32 + 1;
        let changed = match rng.below(3) {
            0 => collection.delete_one(doc! { "_id": id }).map(drop),
            1 => {
                let mut new = document(rng, id);
                new.remove("_id");
                collection.replace_one(doc! { "_id": id }, new).map(drop)
            }
            _ => {
                let from = document(rng, id);
                let value = from.get("a").cloned().unwrap_or(Bson::Null);
                let filter = filter(rng, 0);
                collection
                    .update_many(filter, doc! { "$set": { "a": value } })
                    .map(drop)
            }
        };
        if let Err(error) = changed {
            assert_eq!(error.kind(), ErrorKind::CannotIndex, "{error}");
        }
    }
    made
}

#[test]
fn a_query_finds_the_same_with_any_index_and_with_none() {
    let seed = std::env::var("CS_INDEX_SEED").ok();
    let seed: u64 = seed.and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("seed {seed}");
    let database = Database::open_in_memory().unwrap();
    let collection = database.collection("c");
    let (mut cases, mut forced) = (0, 0);
    for round in 0..COLLECTIONS {
        let mut rng = Rng(seed.wrapping_mul(1_000_003).wrapping_add(round));
        let made = make(&mut rng, &collection);
        agrees(&collection);
        for number in 0..FILTERS {
            let filter = filter(&mut rng, 1);
            let about = || {
                let all: Vec<String> = collection
                    .find(doc! {})
                    .run()
                    .unwrap()
                    .map(|one| Document::try_from(&*one.unwrap()).unwrap().to_string())
                    .collect();
                format!(
                    "seed {seed} round {round} filter {number}: {filter}\n{:#?}\n{}",
                    collection.list_indexes().unwrap(),
                    all.join("\n")
                )
            };
            let natural = Bson::Document(doc! { "$natural": 1 });
            let expected = ids(&collection, &filter, Some(natural));
            assert_eq!(ids(&collection, &filter, None), expected, "{}", about());
            cases += 1;
            for Made { name, has_all } in &made {
                let found = ids(&collection, &filter, Some(Bson::String(name.clone())));
                forced += 1;
                if *has_all {
                    assert_eq!(found, expected, "with {name}: {}", about());
                } else {
                    assert!(
                        found.iter().all(|id| expected.contains(id)),
                        "with {name}: {}",
                        about()
                    );
                }
            }
            sorted(&collection, &mut rng, &filter, &about);
            covered(&collection, &filter, &about);
        }
    }
    println!("{cases} filters, {forced} with a forced index");
    assert!(cases + forced >= 2000);
}

/// What an index tells alone is what the documents say, types included.
fn covered(collection: &Collection, filter: &Document, about: &dyn Fn() -> String) {
    for index in collection.list_indexes().unwrap().into_iter().skip(1) {
        if index.sparse || index.partial_filter.is_some() {
            continue;
        }
        let key = Document::try_from(&*index.key).unwrap();
        let mut projection = doc! { "_id": 0 };
        for name in key.keys().filter(|name| !name.contains('.')) {
            projection.insert(name, 1);
        }
        let all = |hint: collection_store::Hint| -> Vec<String> {
            let find = collection.find(filter.clone()).hint(hint);
            let found = find.projection(projection.clone()).run().unwrap();
            // The order of fields is that of the index, or of the document.
            let mut found: Vec<String> = found
                .map(|document| {
                    let document = Document::try_from(&*document.unwrap()).unwrap();
                    let mut fields: Vec<String> = document
                        .iter()
                        .map(|(name, value)| format!("{name} {value:?}"))
                        .collect();
                    fields.sort();
                    fields.join(" ")
                })
                .collect();
            found.sort();
            found
        };
        let expected = all(doc! { "$natural": 1 }.into());
        assert_eq!(all(index.name.into()), expected, "{}", about());
    }
}

/// An order that an index gives is the one that sorting gives.
fn sorted(collection: &Collection, rng: &mut Rng, filter: &Document, about: &dyn Fn() -> String) {
    let mut sort = key(rng);
    sort.insert("_id", if rng.below(2) == 0 { 1 } else { -1 });
    let run = |find: collection_store::Find| {
        find.sort(sort.clone())
            .run()
            .and_then(|found| {
                found
                    .map(|document| Ok(document?.get_i32("_id").unwrap()))
                    .collect::<Result<Vec<i32>, collection_store::Error>>()
            })
            .map_err(|error| error.code())
    };
    let natural = doc! { "$natural": 1 };
    let expected = run(collection.find(filter.clone()).hint(natural));
    // Sorting by two arrays is an error for whoever sorts, and nothing to an index.
    if let Ok(expected) = expected {
        let found = run(collection.find(filter.clone()));
        assert_eq!(found, Ok(expected), "sort {sort} {}", about());
    }
}
