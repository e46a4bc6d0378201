//! `load` of collection files of the TypeScript library.

use std::fs;

use bson::{DateTime, Document, doc};
use collection_store::Database;
use serde_json::json;

use crate::support::{Scratch, all_text, code, inspect, inspect_with_input, json};

/// A collection of three plants, as the library writes it.
fn plants() -> serde_json::Value {
    json!({
        "list": {
            "_count": 3,
            "_counter": 5,
            "hash": {
                "0": { "id": 10, "name": "Fern", "height": 0.5, "where": { "room": "hall" } },
                "2": { "id": 12, "name": "Moss", "height": 4_000_000_000_i64, "tags": ["wet", null] },
                "4": { "id": "x", "name": "Palm", "height": 3, "bought": "2024-05-01T00:00:00.000Z" }
            }
        },
        "indexes": { "id": { "10": 0, "12": 2, "x": 4 }, "name": { "Fern": [0] } },
        "indexDefs": {
            "id": { "key": "id", "auto": true, "unique": true, "required": true, "gen": "autoIncIdGen",
                    "process": "(item) => get(item, field.key)" },
            "name": { "key": "name", "unique": false, "sparse": true, "order": "desc" },
            "where.room": { "key": "where.room", "unique": true, "sparse": true },
            "both": { "keys": ["name", { "key": "height", "order": "desc" }], "separator": "\u{0}" },
            "loud": { "key": "name", "ignoreCase": true },
            "made": { "key": "name", "process": "(v) => v.length" }
        },
        "id": "id",
        "ttl": false,
        "rotate": 1000,
        "owner": "me"
    })
}

fn load(scratch: &Scratch, text: &str) -> std::process::Output {
    let file = scratch.path().with_extension("json");
    fs::write(&file, text).unwrap();
    inspect(&["load", &scratch.text(), "plants", file.to_str().unwrap()])
}

fn documents(scratch: &Scratch, collection: &str) -> Vec<Document> {
    let database = Database::open_read_only(scratch.path()).unwrap();
    let found = database.collection(collection).find(doc! {}).run().unwrap();
    found
        .map(|document| Document::try_from(&document.unwrap()).unwrap())
        .collect()
}

#[test]
fn documents_and_indexes_of_a_collection_file_are_carried_over_and_the_rest_is_told() {
    let scratch = Scratch::closed(1);
    let text = serde_json::to_string_pretty(&plants()).unwrap();
    let output = load(&scratch, &text);
    let told = all_text(&output);
    assert_eq!(code(&output), 0, "{told}");
    for part in [
        "3 documents loaded into main.plants",
        "a collection file: id field 'id'",
        "index made   id_1",
        "index made   name_-1",
        "index made   where.room_1",
        "index made   name_1_height_-1",
        "not carried  the field 'rotate'",
        "not carried  the field 'owner'",
        "not carried  index 'id': that its field is required",
        "not carried  index 'loud': it ignores case",
        "not carried  index 'made': a function of its own makes its keys",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let expected = [
        doc! { "_id": 10, "id": 10, "name": "Fern", "height": 0.5, "where": { "room": "hall" } },
        doc! { "_id": 12, "id": 12, "name": "Moss", "height": 4_000_000_000_i64,
        "tags": ["wet", bson::Bson::Null] },
        doc! { "_id": "x", "id": "x", "name": "Palm", "height": 3,
        "bought": "2024-05-01T00:00:00.000Z" },
    ];
    assert_eq!(documents(&scratch, "plants"), expected);
    let database = Database::open_read_only(scratch.path()).unwrap();
    let indexes = database.collection("plants").list_indexes().unwrap();
    let room = indexes.iter().find(|it| it.name == "where.room_1").unwrap();
    assert!(room.unique && room.sparse);
}

#[test]
fn the_same_on_one_line_from_standard_input_as_json() {
    let scratch = Scratch::closed(1);
    let text = plants().to_string();
    let output = inspect_with_input(
        &["--format", "json", "load", &scratch.text(), "plants", "-"],
        text.as_bytes(),
    );
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["form"], "collection-file");
    assert_eq!(report["documents"], 3);
    assert_eq!(report["bytes"], text.len());
    assert_eq!(report["indexes"].as_array().unwrap().len(), 4);
    assert_eq!(report["failed"], json!([]));

    // Told to, it takes the same text as a document.
    let arguments = ["load", &scratch.text(), "texts", "-", "--input", "lines"];
    let output = inspect_with_input(&arguments, text.as_bytes());
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    assert_eq!(documents(&scratch, "texts").len(), 1);
}

#[test]
fn what_expired_in_the_library_expires_here() {
    let scratch = Scratch::closed(1);
    let file = json!({
        "list": { "hash": { "0": { "name": "a", "__ttltime": 1_640_000_000_000_i64 } }, "_count": 1 },
        "indexes": {},
        "indexDefs": { "__ttltime": { "key": "__ttltime", "auto": true, "required": true } },
        "id": "name",
        "ttl": 1500
    });
    let output = load(&scratch, &file.to_string());
    assert_eq!(code(&output), 0, "{}", all_text(&output));
    let date = DateTime::from_millis(1_640_000_000_000);
    let expected = doc! { "_id": "a", "name": "a", "__ttltime": date };
    assert_eq!(documents(&scratch, "plants"), [expected]);
    let database = Database::open(scratch.path()).unwrap();
    let indexes = database.collection("plants").list_indexes().unwrap();
    assert_eq!(indexes[1].expire_after_seconds, Some(2));
    assert_eq!(database.expire_now().unwrap(), 1);
}

#[test]
fn documents_in_files_of_their_own_are_read_from_beside_the_collection_file() {
    let scratch = Scratch::closed(1);
    let directory = tempfile::tempdir().unwrap();
    let put = |name: &str, text: String| fs::write(directory.path().join(name), text).unwrap();
    put("a.json", json!({ "_id": 1, "n": 1 }).to_string());
    put(
        "b.json",
        json!({ "id": 2, "version": 1, "history": [], "data": { "_id": 2, "n": 2 } }).to_string(),
    );
    let gone = json!({ "version": 2, "history": [], "deleted": 17, "data": { "_id": 3 } });
    put("c.json", gone.to_string());
    let list = |pointers: serde_json::Value| {
        let nodes =
            json!([{ "leaf": true, "pointers": pointers }, { "leaf": false, "children": [1] }]);
        json!({ "list": { "counter": 3, "tree": { "nodes": nodes } }, "indexDefs": {}, "id": "_id" })
    };
    let names = json!(["a.json", "b.json", "c.json"]);
    put("metadata.json", list(names).to_string());
    let file = directory.path().join("metadata.json");
    let report = json(&["load", &scratch.text(), "plants", file.to_str().unwrap()]);
    assert_eq!(report["documents"], 2, "{report}");
    let expected = [doc! { "_id": 1, "n": 1 }, doc! { "_id": 2, "n": 2 }];
    assert_eq!(documents(&scratch, "plants"), expected);

    put("metadata.json", list(json!(["../a.json"])).to_string());
    let output = inspect(&["load", &scratch.text(), "new", file.to_str().unwrap()]);
    assert_eq!(code(&output), 1);
    assert!(all_text(&output).contains("no name of a file"));
}

#[test]
fn wrong_files_are_refused_and_leave_nothing_behind() {
    let without = |name: &str| {
        let mut plants = plants();
        plants.as_object_mut().unwrap().remove(name);
        plants
    };
    let with = |name: &str, value: serde_json::Value| {
        let mut plants = plants();
        plants[name] = value;
        plants
    };
    let mut miscounted = plants();
    miscounted["list"]["_count"] = json!(4);
    let mut no_object = plants();
    no_object["list"]["hash"]["2"] = json!(5);
    for (text, expected) in [
        (without("indexDefs").to_string(), "'indexDefs' is missing"),
        (without("id").to_string(), "'id' is missing"),
        (with("id", json!(5)).to_string(), "'id' names the field"),
        (with("ttl", json!("x")).to_string(), "'ttl': expected"),
        (
            with("indexDefs", json!([])).to_string(),
            "'indexDefs': expected an object, found an array",
        ),
        (miscounted.to_string(), "says 4 documents, found 3"),
        (
            no_object.to_string(),
            "the document at '2' in 'list.hash': expected an object, found a number",
        ),
        (plants().to_string().replace("\"ttl\"", "ttl"), "no JSON"),
        (
            "{\n  \"users\": {} \n}\n".to_owned(),
            "a JSON value over several lines",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let file = directory.path().join("plants.json");
        fs::write(&file, text).unwrap();
        let (path, file) = (path.to_str().unwrap(), file.to_str().unwrap());
        let output = inspect(&["load", path, "plants", file]);
        assert_eq!(code(&output), 1, "{}", all_text(&output));
        assert!(
            all_text(&output).contains(expected),
            "{expected}: {}",
            all_text(&output)
        );
        assert!(!fs::exists(path).unwrap(), "{expected}");
    }
}

#[test]
fn an_index_that_cannot_be_made_is_told_and_the_documents_stay() {
    let scratch = Scratch::closed(1);
    let mut file = plants();
    file["indexDefs"]["name"]["unique"] = json!(true);
    file["list"]["hash"]["2"]["name"] = json!("Fern");
    let output = load(&scratch, &file.to_string());
    assert_eq!(code(&output), 1, "{}", all_text(&output));
    assert!(all_text(&output).contains("not made     index 'name': "));
    assert_eq!(documents(&scratch, "plants").len(), 3);
}
