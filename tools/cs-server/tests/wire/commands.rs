//! Commands: types of replies, codes of refusals, hello.

use bson::{Bson, Document, doc};

use crate::support::TestServer;

#[test]
fn hello_presents_a_replica_set_of_one_by_its_advertised_name() {
    let server = TestServer::start_with(|config| {
        config.advertise = Some("db.example:27017".to_owned());
        config.replica_set = "ours".to_owned();
    });
    let hello = server
        .client()
        .ok(doc! { "hello": 1, "nobody": "knows", "$db": "admin" });
    assert!(hello.get_bool("isWritablePrimary").unwrap());
    assert!(!hello.contains_key("helloOk"));
    assert_eq!(hello.get_str("setName").unwrap(), "ours");
    assert_eq!(
        hello.get_array("hosts").unwrap(),
        &["db.example:27017".into()]
    );
    assert_eq!(
        hello.get_str("me").unwrap(),
        hello.get_str("primary").unwrap()
    );
    assert_eq!(hello.get_i32("logicalSessionTimeoutMinutes").unwrap(), 30);
    assert_eq!(hello.get_i32("maxMessageSizeBytes").unwrap(), 48_000_000);
    assert_eq!(hello.get_i32("maxWriteBatchSize").unwrap(), 100_000);
    let version = hello.get_document("topologyVersion").unwrap();
    assert_eq!(version.get("counter"), Some(&Bson::Int64(0)));
}

#[test]
fn a_hello_that_goes_on_is_answered_at_once_and_again_when_the_server_stops() {
    const EXHAUST_ALLOWED: u32 = 1 << 16;
    let mut server = TestServer::start();
    let mut client = server.client();
    let version = doc! { "processId": bson::oid::ObjectId::new(), "counter": 0_i64 };
    let waiting = doc! {
        "hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60_000_i64, "$db": "admin",
    };
    client.send_command(EXHAUST_ALLOWED, &waiting);
    let (first, _, has_more) = client.reply();
    assert!(has_more, "it goes on");
    server.stop();
    let (last, _, has_more) = client.reply();
    assert_eq!(last.response_to, first.request_id);
    assert!(!has_more && client.receive().is_none());
}

#[test]
fn a_hello_that_knows_another_server_is_answered_at_once() {
    let server = TestServer::start();
    let version = doc! { "processId": bson::oid::ObjectId::new(), "counter": 0_i64 };
    let hello = doc! {
        "hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 60_000_i64, "$db": "admin",
    };
    server.client().ok(hello);
}

#[test]
fn replies_are_typed_as_drivers_insist() {
    let server = TestServer::start();
    let mut client = server.client();
    let inserted =
        client.ok(doc! { "insert": "c", "documents": [{ "_id": 1 }, { "_id": 2 }], "$db": "shop" });
    assert_eq!(inserted, doc! { "n": 2, "ok": 1.0 });
    let found = client.ok(doc! { "find": "c", "batchSize": 1, "$db": "shop" });
    let cursor = found.get_document("cursor").unwrap();
    assert!(cursor.get_i64("id").unwrap() > 0);
    assert_eq!(cursor.get_str("ns").unwrap(), "shop.c");
    assert_eq!(cursor.get_array("firstBatch").unwrap().len(), 1);
    let update = doc! { "q": { "_id": 3 }, "u": { "$set": { "x": 1 } }, "upsert": true };
    let updated = client.ok(doc! { "update": "c", "updates": [update], "$db": "shop" });
    let upserted = doc! { "index": 0, "_id": 3 };
    assert_eq!(
        updated,
        doc! { "n": 1, "nModified": 0, "upserted": [upserted], "ok": 1.0 }
    );
    let deleted =
        client.ok(doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 0 }], "$db": "shop" });
    assert_eq!(deleted, doc! { "n": 3, "ok": 1.0 });
    let modified =
        client.ok(doc! { "findAndModify": "c", "query": {}, "remove": true, "$db": "shop" });
    assert_eq!(
        modified,
        doc! { "lastErrorObject": { "n": 0 }, "value": null, "ok": 1.0 }
    );
}

#[test]
fn a_write_error_stays_within_an_ok_reply() {
    let server = TestServer::start();
    let mut client = server.client();
    let documents = [doc! { "_id": 1 }, doc! { "_id": 1 }, doc! { "_id": 2 }];
    let reply = client.ok(doc! { "insert": "c", "documents": documents.to_vec(), "$db": "shop" });
    assert_eq!(reply.get_i32("n").unwrap(), 1);
    let errors = reply.get_array("writeErrors").unwrap();
    let error = errors[0].as_document().unwrap();
    assert_eq!(
        (
            error.get_i32("index").unwrap(),
            error.get_i32("code").unwrap()
        ),
        (1, 11000)
    );
    assert_eq!(error.get_document("keyValue").unwrap(), &doc! { "_id": 1 });
}

#[test]
fn refusals_have_the_codes_that_clients_know() {
    let server = TestServer::start();
    let mut client = server.client();
    client.fill(3);
    let update = |update: Document| doc! { "update": "c", "updates": [update], "$db": "shop" };
    let cases = [
        (doc! { "atlasVersion": 1, "$db": "admin" }, 59),
        (doc! { "ping": 1, "pong": 2, "$db": "admin" }, 40415),
        (doc! { "ping": 1 }, 40414),
        (doc! { "ping": 1, "$db": "a b" }, 73),
        (doc! { "find": "c", "tailable": true, "$db": "shop" }, 2),
        (
            doc! { "find": "c", "collation": { "locale": "fr" }, "$db": "shop" },
            72,
        ),
        (doc! { "find": "c", "returnKey": true, "$db": "shop" }, 72),
        (doc! { "find": "c", "hint": "nothing_1", "$db": "shop" }, 2),
        (doc! { "insert": "c", "documents": [], "$db": "shop" }, 16),
        (doc! { "insert": "c", "$db": "shop" }, 40414),
        (
            doc! { "delete": "c", "deletes": [{ "q": {} }], "$db": "shop" },
            40414,
        ),
        (
            doc! { "update": "c", "updates": [{ "q": {}, "u": {}, "surprise": 1 }], "$db": "shop" },
            40415,
        ),
        (
            doc! { "update": "c", "updates": [{ "q": {} }], "$db": "shop" },
            40414,
        ),
        (
            doc! { "delete": "c", "deletes": [{ "q": {}, "limit": 2 }], "$db": "shop" },
            9,
        ),
        (doc! { "listDatabases": 1, "$db": "shop" }, 13),
        (doc! { "dropDatabase": 1, "$db": "admin" }, 20),
        (doc! { "drop": "system.users", "$db": "shop" }, 73),
        (doc! { "listIndexes": "nothing", "$db": "shop" }, 26),
        (
            doc! { "dropIndexes": "c", "index": "_id_", "$db": "shop" },
            72,
        ),
        (doc! { "collMod": "nothing", "$db": "shop" }, 26),
        (
            doc! { "aggregate": "c", "pipeline": [{ "$geoNear": {} }], "cursor": {}, "$db": "shop" },
            40324,
        ),
        (
            doc! { "aggregate": 1, "pipeline": [{ "$match": {} }], "cursor": {}, "$db": "shop" },
            73,
        ),
        (
            doc! { "renameCollection": "shop.c", "to": "other.c", "$db": "admin" },
            115,
        ),
        (doc! { "create": "v", "viewOn": "c", "$db": "shop" }, 72),
        (doc! { "find": "c", "$db": "__cs_internal" }, 73),
        (
            doc! { "getMore": 1_i64, "collection": "c", "$db": "shop" },
            43,
        ),
        (doc! { "getMore": 1, "collection": "c", "$db": "shop" }, 14),
    ];
    for (command, code) in cases {
        let shown = command.to_string();
        let found = client.code(command);
        assert_eq!(found, code, "{shown}");
    }
    for (statement, code) in [
        (doc! { "q": {}, "u": { "x": 1 }, "multi": true }, 9),
        (doc! { "q": {}, "u": { "$set": { "_id": 9 } } }, 66),
        (doc! { "q": {}, "u": { "$nonsense": 1 } }, 9),
    ] {
        let shown = statement.to_string();
        let reply = client.ok(update(statement));
        let errors = reply.get_array("writeErrors").unwrap();
        let error = errors[0].as_document().unwrap();
        assert_eq!(error.get_i32("code").unwrap(), code, "{shown}: {error}");
    }
}

#[test]
fn every_command_of_the_table_refuses_a_field_that_nobody_knows() {
    let server = TestServer::start();
    let mut client = server.client();
    for spec in cs_server::command::all() {
        if spec.fields == cs_server::command::ANY_FIELD {
            continue;
        }
        let code = client.code(doc! { spec.name: "c", "surprise": 1, "$db": "admin" });
        assert_eq!(code, 40415, "{}", spec.name);
    }
}

#[test]
fn no_pipeline_reaches_the_servers_own_database() {
    let server = TestServer::start();
    let mut client = server.client();
    client.fill(1);
    let reach = doc! { "db": "__cs_internal", "coll": "users" };
    let union = doc! { "$unionWith": { "coll": "c", "pipeline": [{ "$lookup": { "from": reach.clone(), "pipeline": [], "as": "x" } }] } };
    for stage in [
        doc! { "$out": reach.clone() },
        doc! { "$merge": { "into": reach } },
        union,
    ] {
        let command = doc! { "aggregate": "c", "pipeline": [stage], "cursor": {}, "$db": "shop" };
        assert_eq!(client.code(command), 73);
    }
}

#[test]
fn a_cursor_outlives_its_connection_and_not_its_collections_name() {
    let server = TestServer::start();
    let mut client = server.client();
    client.fill(5);
    let found = client.ok(doc! { "find": "c", "batchSize": 2, "$db": "shop" });
    let id = found.get_document("cursor").unwrap().get_i64("id").unwrap();
    drop(client);
    let mut other = server.client();
    assert_eq!(
        other.code(doc! { "getMore": id, "collection": "d", "$db": "shop" }),
        13
    );
    let rest = other.ok(doc! { "getMore": id, "collection": "c", "$db": "shop" });
    let cursor = rest.get_document("cursor").unwrap();
    assert_eq!(cursor.get_array("nextBatch").unwrap().len(), 3);
    assert_eq!(cursor.get_i64("id").unwrap(), 0);
    assert_eq!(server.server.cursors.open(), 0);
}
