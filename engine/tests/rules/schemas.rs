//! Schemas of collections.

use bson::{Bson, DateTime, doc, oid::ObjectId, rawdoc};
use collection_store::{
    Database, ErrorKind, FieldFault, OperationContext, Schema, SchemaField as Field, UpdateOptions,
};

use crate::{all, is_refused};

fn with(schema: Schema) -> (Database, collection_store::Collection) {
    let database = Database::open_in_memory().unwrap();
    let collection = database.collection("c");
    collection.set_schema(schema).unwrap();
    (database, collection)
}

fn rules(faults: &[FieldFault]) -> Vec<(&str, &str)> {
    faults
        .iter()
        .map(|fault| (&*fault.path, &*fault.rule))
        .collect()
}

#[test]
fn one_error_lists_every_field_at_fault() {
    let (_database, items) = with(
        Schema::new()
            .field("name", Field::string().required().min(2).max(5))
            .field("age", Field::int().min(0).max(150))
            .field("born", Field::date().max(DateTime::from_millis(1_000)))
            .field("kind", Field::string().one_of(["a", "b"]))
            .field("mail", Field::string().pattern("@"))
            .field("tags", Field::array_of(Field::string()).max(2))
            .field("address.city", Field::string().required())
            .field(
                "lines",
                Field::array_of(Field::document(
                    Schema::new()
                        .field("sku", Field::string().required())
                        .field("n", Field::number().min(1)),
                )),
            )
            .strict(),
    );
    let error = is_refused(items.insert_one(doc! {
        "_id": 1,
        "age": 151,
        "born": DateTime::from_millis(1_001),
        "kind": "c",
        "mail": "nowhere",
        "tags": ["x", 5, "z"],
        "address": { "street": "s" },
        "lines": [{ "sku": "a", "n": 1 }, { "n": 0 }],
        "other": true,
    }));
    assert_eq!(
        rules(error.faults()),
        [
            ("name", "required"),
            ("age", "max"),
            ("born", "max"),
            ("kind", "enum"),
            ("mail", "pattern"),
            ("tags", "max"),
            ("tags.1", "type"),
            ("address.city", "required"),
            ("address.street", "unknown"),
            ("lines.1.sku", "required"),
            ("lines.1.n", "min"),
            ("other", "unknown"),
        ]
    );
    let fault = &error.faults()[1];
    assert_eq!((&*fault.expected, &*fault.found), ("at most 150", "151"));
    assert!(
        !error.message().contains("nowhere"),
        "no contents in messages: {error}"
    );
    let good = doc! { "_id": 1, "name": "Ada", "address": { "city": "x" }, "lines": [] };
    items.insert_one(good).unwrap();
    let error = is_refused(items.update_one(doc! { "_id": 1 }, doc! { "$set": { "name": "x" } }));
    assert_eq!(rules(error.faults()), [("name", "min")]);
    let error = is_refused(items.update_one(doc! { "_id": 1 }, doc! { "$unset": { "name": 1 } }));
    assert_eq!(rules(error.faults()), [("name", "required")]);
    is_refused(items.update_many(doc! {}, doc! { "$set": { "address.city": 5 } }));
    is_refused(items.replace_one(doc! { "_id": 1 }, doc! { "name": "Ada" }));
}

#[test]
fn values_are_coerced_before_they_are_checked() {
    let id = ObjectId::from_bytes([7; 12]);
    let (_database, items) = with(
        Schema::new()
            .field("int", Field::int().coerce().max(30))
            .field("long", Field::long().coerce())
            .field("double", Field::double().coerce())
            .field("bool", Field::bool().coerce())
            .field("date", Field::date().coerce())
            .field("id", Field::object_id().coerce())
            .field("text", Field::string().coerce())
            .field("list", Field::array_of(Field::int().coerce())),
    );
    items
        .insert_one(doc! {
            "_id": 1, "int": " 25 ", "long": 7.0, "double": "1.5", "bool": "False",
            "date": "1970-01-01T00:00:01Z", "id": id.to_hex(), "text": 5, "list": ["1", 2, 3_i64],
        })
        .unwrap();
    assert_eq!(
        all(&items),
        [rawdoc! {
            "_id": 1, "int": 25, "long": 7_i64, "double": 1.5, "bool": false,
            "date": DateTime::from_millis(1000), "id": id, "text": "5", "list": [1, 2, 3],
        }]
    );
    // Evaluated at the commit, and in a transaction.
    items
        .update_one(
            doc! { "_id": 1 },
            doc! { "$set": { "int": "26", "long": "8" } },
        )
        .unwrap();
    items
        .update_many(doc! { "text": "5" }, doc! { "$set": { "double": 2 } })
        .unwrap();
    let found = items
        .find_one(doc! { "int": 26, "long": 8_i64, "double": 2.0 })
        .unwrap()
        .unwrap();
    assert!(matches!(
        found.get("long").unwrap(),
        Some(bson::RawBsonRef::Int64(8))
    ));
    let error = is_refused(items.insert_one(doc! {
        "int": 2.5, "long": "x", "double": true, "bool": "maybe", "date": "soon", "id": "7",
        "text": [], "list": ["x"],
    }));
    let faults = rules(error.faults());
    assert!(faults.iter().all(|(_, rule)| *rule == "type"), "{faults:?}");
    assert_eq!(faults.len(), 8);
    let error = is_refused(items.insert_one(doc! { "int": "31" }));
    assert_eq!(rules(error.faults()), [("int", "max")]);
}

#[test]
fn defaults_fill_what_is_missing() {
    let (database, items) = with(
        Schema::new()
            .field("n", Field::int().default(5))
            .field("settings.theme", Field::string().default("dark"))
            .field("at", Field::date().default_from("now"))
            .field("key", Field::of(["binData"]).default_from("uuid"))
            .field("serial", Field::string().default_from("serial")),
    );
    let error = items.insert_one(doc! { "_id": 1 }).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotRegistered, "{error}");
    assert!(error.message().contains("'serial'"));
    database.register_default("serial", || "S1".into());
    items.insert_one(doc! { "_id": 1 }).unwrap();
    let stored = &all(&items)[0];
    assert_eq!(stored.get_i32("n").unwrap(), 5);
    let settings = stored.get_document("settings").unwrap();
    assert_eq!(settings.get_str("theme").unwrap(), "dark");
    assert_eq!(stored.get_str("serial").unwrap(), "S1");
    assert!(stored.get_datetime("at").is_ok() && stored.get_binary("key").is_ok());
    // A field with a default is never missing in what is written.
    items
        .update_one(doc! { "_id": 1 }, doc! { "$unset": { "n": 1 } })
        .unwrap();
    assert_eq!(items.count(doc! { "n": 5 }).unwrap(), 1);
    let context = OperationContext::new();
    let upsert = UpdateOptions {
        upsert: true,
        ..UpdateOptions::default()
    };
    items
        .update_one_with(
            &context,
            doc! { "_id": 2 },
            doc! { "$set": { "n": 6 } },
            &upsert,
        )
        .unwrap();
    assert_eq!(items.count(doc! { "settings.theme": "dark" }).unwrap(), 2);
}

#[test]
fn unknown_fields_are_kept_refused_or_removed() {
    let fields = || {
        Schema::new()
            .field("a", Field::int())
            .field("b.c", Field::int())
    };
    let document = doc! { "_id": 1, "a": 1, "x": 1, "b": { "c": 1, "y": 1 } };
    let (_database, lax) = with(fields());
    lax.insert_one(document.clone()).unwrap();
    let (_database, strict) = with(fields().strict());
    let error = is_refused(strict.insert_one(document.clone()));
    assert_eq!(
        rules(error.faults()),
        [("x", "unknown"), ("b.y", "unknown")]
    );
    let (_database, removing) = with(fields().removing_unknown());
    removing.insert_one(document).unwrap();
    removing
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "z": 1, "a": 2 } })
        .unwrap();
    assert_eq!(
        all(&removing),
        [rawdoc! { "_id": 1, "a": 2, "b": { "c": 1 } }]
    );
}

#[test]
fn validators_of_the_process_are_asked_and_must_be_registered() {
    let (database, items) = with(
        Schema::new()
            .field("n", Field::int().validator("even"))
            .validator("whole"),
    );
    for outcome in [
        items.insert_one(doc! { "n": 2 }).unwrap_err(),
        items.validate_document(doc! { "n": 2 }).unwrap_err(),
    ] {
        assert_eq!(outcome.kind(), ErrorKind::NotRegistered);
    }
    database.register_validator("even", |value| match value {
        Bson::Int32(number) if number % 2 == 0 => Ok(()),
        _ => Err("odd".into()),
    });
    database.register_validator("whole", |value| match value.as_document() {
        Some(document) if document.len() < 4 => Ok(()),
        _ => Err("too many fields".into()),
    });
    items.insert_one(doc! { "_id": 1, "n": 2 }).unwrap();
    let error = is_refused(items.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }));
    assert_eq!(rules(error.faults()), [("n", "validator")]);
    assert_eq!(error.faults()[0].found, "odd");
    let error = is_refused(items.insert_one(doc! { "n": 2, "a": 1, "b": 1 }));
    assert_eq!(rules(error.faults()), [("", "validator")]);
    items
        .update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 2 } })
        .unwrap();
    items
        .replace_one(doc! { "_id": 1 }, doc! { "n": 8 })
        .unwrap();
    is_refused(items.replace_one(doc! { "_id": 1 }, doc! { "n": 9 }));
    assert_eq!(all(&items), [rawdoc! { "_id": 1, "n": 8 }]);
}

#[test]
fn a_unique_field_has_an_index() {
    let (database, items) = with(
        Schema::new()
            .field("mail", Field::string().required().unique())
            .field("phone", Field::string().unique()),
    );
    let names: Vec<_> = items
        .list_indexes()
        .unwrap()
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(names, ["_id_", "mail_1", "phone_1"]);
    items.insert_one(doc! { "mail": "a" }).unwrap();
    items.insert_one(doc! { "mail": "b" }).unwrap();
    assert_eq!(
        items.insert_one(doc! { "mail": "a" }).unwrap_err().code(),
        Some(11000)
    );
    // On documents that are there, and in a transaction.
    let others = database.collection("others");
    others
        .insert_many([doc! { "k": 1 }, doc! { "k": 1 }])
        .unwrap();
    let error = others
        .set_schema(Schema::new().field("k", Field::int().unique()))
        .unwrap_err();
    assert_eq!(error.code(), Some(11000));
    assert_eq!(others.options().unwrap(), Some(rawdoc! {}));
    others.delete_one(doc! {}).unwrap();
    others
        .set_schema(Schema::new().field("k", Field::int().unique()))
        .unwrap();
    assert_eq!(
        others.insert_one(doc! { "k": 1 }).unwrap_err().code(),
        Some(11000)
    );
}

#[test]
fn operands_of_queries_are_what_the_fields_are() {
    let (database, items) = with(
        Schema::new()
            .field("age", Field::int().coerce())
            .field("at", Field::date().coerce())
            .field("lines.n", Field::int().coerce())
            .field("plain", Field::int()),
    );
    items.insert_many([
        doc! { "_id": 1, "age": 20, "at": "1970-01-01T00:00:01Z", "lines": [{ "n": 1 }], "plain": 1 },
        doc! { "_id": 2, "age": 30, "at": "1970-01-01T00:00:09Z", "lines": [{ "n": 2 }], "plain": 2 },
    ]).unwrap();
    for (filter, count) in [
        (doc! { "age": { "$gte": "25" } }, 1),
        (doc! { "age": "20" }, 1),
        (doc! { "age": { "$in": ["20", 30, "40"] } }, 2),
        (doc! { "age": { "$not": { "$lt": "25" } } }, 1),
        (
            doc! { "$or": [{ "age": "20" }, { "at": { "$gt": "1970-01-01T00:00:05Z" } }] },
            2,
        ),
        (doc! { "lines.n": "2" }, 1),
        (doc! { "lines.0.n": "2" }, 1),
        (doc! { "plain": "1" }, 0),
        (doc! { "age": null }, 0),
        (doc! { "age": { "$gt": 20.5 } }, 1),
    ] {
        assert_eq!(items.count(filter.clone()).unwrap(), count, "{filter}");
        let within = database.begin().unwrap();
        assert_eq!(
            within.collection("c").find(filter.clone()).count().unwrap(),
            count
        );
    }
    assert_eq!(
        items.count(doc! { "age": "old" }).unwrap_err().code(),
        Some(2)
    );
    items
        .update_one(doc! { "age": "20" }, doc! { "$set": { "hit": true } })
        .unwrap();
    assert!(items.delete_one(doc! { "age": { "$eq": "30" } }).unwrap());
    assert_eq!(items.count(doc! { "hit": true }).unwrap(), 1);
}

#[test]
fn a_schema_is_there_after_a_restart_and_changes() {
    let directory = tempfile::tempdir().unwrap();
    {
        let database = Database::open(directory.path()).unwrap();
        let items = database.collection("c");
        items
            .set_schema(Schema::new().field("n", Field::int().required()))
            .unwrap();
    }
    let database = Database::open(directory.path()).unwrap();
    let items = database.collection("c");
    is_refused(items.insert_one(doc! {}));
    items
        .set_schema(Schema::new().field("m", Field::int().required()))
        .unwrap();
    items.insert_one(doc! { "m": 1 }).unwrap();
    items.modify(doc! { "schema": {} }).unwrap();
    items.insert_one(doc! {}).unwrap();
}

#[test]
fn a_schema_that_makes_no_sense_is_refused() {
    let database = Database::open_in_memory().unwrap();
    for (schema, code) in [
        (Bson::from(1), 14),
        (doc! { "fields": { "a": { "type": "sting" } } }.into(), 2),
        (doc! { "fields": { "a": { "typ": "string" } } }.into(), 9),
        (doc! { "fields": { "a": { "type": [] } } }.into(), 2),
        (doc! { "fields": { "a": { "min": "x" } } }.into(), 14),
        (doc! { "fields": { "a": { "coerce": true } } }.into(), 2),
        (
            doc! { "fields": { "a": { "default": 1, "defaultFunction": "now" } } }.into(),
            2,
        ),
        (doc! { "fields": { "a..b": {} } }.into(), 2),
        (doc! { "fields": { "a": { "pattern": "(" } } }.into(), 51091),
        (doc! { "mode": "loose" }.into(), 2),
        (doc! { "unknown": "remove" }.into(), 2),
        (doc! { "other": 1 }.into(), 9),
    ] {
        let options = doc! { "schema": schema };
        let made = database
            .collection("x")
            .create_with(&OperationContext::new(), options.clone());
        assert_eq!(made.unwrap_err().code(), Some(code), "{options}");
    }
}
