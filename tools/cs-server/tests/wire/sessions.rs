//! Sessions, retryable writes and transactions: each state and its code.

use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, doc};

use crate::support::TestServer;

fn lsid(number: u8) -> Document {
    let bytes = vec![number; 16];
    let subtype = BinarySubtype::Uuid;
    doc! { "id": Binary { subtype, bytes } }
}

fn with(mut command: Document, more: Document) -> Document {
    command.extend(more);
    command
}

/// A command of a transaction.
fn within(number: i64, command: Document) -> Document {
    let fields = doc! { "lsid": lsid(1), "txnNumber": number, "autocommit": false };
    with(with(command, fields), doc! { "$db": "shop" })
}

fn beginning(number: i64, command: Document) -> Document {
    with(within(number, command), doc! { "startTransaction": true })
}

fn ending(number: i64, name: &str) -> Document {
    let mut command = doc! { name: 1 };
    command.extend(doc! { "lsid": lsid(1), "txnNumber": number, "autocommit": false });
    with(command, doc! { "$db": "admin" })
}

fn insert(id: i32) -> Document {
    doc! { "insert": "c", "documents": [{ "_id": id }] }
}

fn find() -> Document {
    doc! { "find": "c" }
}

fn labels(reply: &Document) -> Vec<&str> {
    let labels = reply.get_array("errorLabels");
    labels.map_or_else(
        |_| Vec::new(),
        |labels| labels.iter().filter_map(Bson::as_str).collect(),
    )
}

#[test]
fn what_a_transaction_writes_is_seen_by_it_alone_until_it_is_committed() {
    let server = TestServer::start();
    let (mut client, mut other) = (server.client(), server.client());
    let count = |reply: &Document| {
        let cursor = reply.get_document("cursor").unwrap();
        cursor.get_array("firstBatch").unwrap().len()
    };
    client.ok(beginning(1, insert(1)));
    assert_eq!(count(&client.ok(within(1, find()))), 1);
    let outside = with(find(), doc! { "$db": "shop" });
    assert_eq!(count(&other.ok(outside.clone())), 0);
    client.ok(ending(1, "commitTransaction"));
    client.ok(ending(1, "commitTransaction"));
    assert_eq!(count(&other.ok(outside)), 1);
}

#[test]
fn each_state_of_a_transaction_has_its_code() {
    let server = TestServer::start();
    let mut client = server.client();
    assert_eq!(client.code(within(2, find())), 251, "never begun");
    assert_eq!(client.code(ending(2, "commitTransaction")), 251);
    assert_eq!(client.code(ending(2, "abortTransaction")), 251);
    client.ok(beginning(2, insert(1)));
    assert_eq!(client.code(beginning(2, insert(2))), 50911, "begun");
    assert_eq!(client.code(within(1, find())), 225);
    assert_eq!(client.code(within(3, find())), 251);
    client.ok(ending(2, "commitTransaction"));
    assert_eq!(client.code(within(2, find())), 256, "committed");
    assert_eq!(client.code(ending(2, "abortTransaction")), 256);
    client.ok(beginning(3, insert(2)));
    client.ok(ending(3, "abortTransaction"));
    assert_eq!(client.code(ending(3, "abortTransaction")), 251, "aborted");
    assert_eq!(client.code(ending(3, "commitTransaction")), 251);
    let gone = client.run(within(3, find()));
    assert_eq!(labels(&gone), ["TransientTransactionError"]);
}

#[test]
fn a_newer_transaction_ends_the_one_before() {
    let server = TestServer::start();
    let mut client = server.client();
    client.ok(beginning(1, insert(1)));
    client.ok(beginning(2, insert(1)));
    assert_eq!(server.server.sessions.open_transactions(), 1);
    client.ok(ending(2, "commitTransaction"));
    assert_eq!(server.server.database.list_transactions().unwrap(), []);
}

#[test]
fn a_commit_that_lost_to_another_write_can_be_tried_anew_as_a_whole() {
    let server = TestServer::start();
    let (mut client, mut other) = (server.client(), server.client());
    client.fill(1);
    let change = |n: i32| doc! { "update": "c", "updates": [{ "q": { "_id": 0 }, "u": { "$set": { "n": n } } }] };
    client.ok(beginning(1, change(1)));
    other.ok(with(change(2), doc! { "$db": "shop" }));
    let lost = client.run(ending(1, "commitTransaction"));
    assert_eq!(lost.get_i32("code").unwrap(), 112);
    assert_eq!(labels(&lost), ["TransientTransactionError"]);
    assert_eq!(client.code(ending(1, "commitTransaction")), 251);
}

#[test]
fn what_cannot_be_part_of_a_transaction_is_refused() {
    let server = TestServer::start();
    let mut client = server.client();
    for command in [
        doc! { "count": "c" },
        doc! { "drop": "c" },
        doc! { "ping": 1 },
    ] {
        assert_eq!(client.code(beginning(1, command)), 263);
    }
    let admin = with(beginning(1, insert(1)), doc! {});
    let admin: Document = admin
        .into_iter()
        .map(|(name, value)| match name.as_str() {
            "$db" => (name, "admin".into()),
            _ => (name, value),
        })
        .collect();
    assert_eq!(client.code(admin), 263);
    let concern = doc! { "writeConcern": { "w": 1 } };
    assert_eq!(client.code(with(beginning(1, insert(1)), concern)), 72);
    client.ok(beginning(1, insert(1)));
    let concern = doc! { "readConcern": { "level": "majority" } };
    assert_eq!(client.code(with(within(1, find()), concern)), 72);
    let stream = doc! { "aggregate": "c", "pipeline": [{ "$changeStream": {} }], "cursor": {} };
    assert_eq!(client.code(within(1, stream)), 263);
}

#[test]
fn fields_of_sessions_that_make_no_sense_together_are_refused() {
    let server = TestServer::start();
    let mut client = server.client();
    let wrong = [
        doc! { "txnNumber": 1_i64 },
        doc! { "lsid": lsid(1), "txnNumber": -1_i64 },
        doc! { "lsid": lsid(1), "autocommit": false },
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "autocommit": true },
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "startTransaction": true },
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "autocommit": false, "startTransaction": false },
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "stmtIds": [3, 4] },
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "stmtId": 3 },
    ];
    for fields in wrong {
        let command = with(with(insert(1), fields.clone()), doc! { "$db": "shop" });
        assert_eq!(client.code(command), 72, "{fields}");
    }
    let command = doc! { "find": "c", "lsid": lsid(1), "txnNumber": 1_i64, "$db": "shop" };
    assert_eq!(client.code(command), 50768);
    let command = doc! { "ping": 1, "lsid": { "id": "no" }, "$db": "shop" };
    assert_eq!(client.code(command), 14);
}

#[test]
fn a_write_that_is_sent_again_is_answered_the_same_and_happens_once() {
    let server = TestServer::start();
    let mut client = server.client();
    let retried = |number: i64, command: Document| {
        with(
            command,
            doc! { "lsid": lsid(1), "txnNumber": number, "$db": "shop" },
        )
    };
    let increment =
        |id: i32| doc! { "q": { "_id": id }, "u": { "$inc": { "n": 1 } }, "upsert": true };
    let writes = [
        doc! { "update": "c", "updates": [increment(1)] },
        doc! { "update": "c", "updates": [increment(1), increment(2)] },
        doc! { "findAndModify": "c", "query": { "_id": 1 }, "update": { "$inc": { "n": 1 } } },
    ];
    for (number, write) in (1..).zip(writes) {
        let first = client.ok(retried(number, write.clone()));
        for _ in 0..2 {
            assert_eq!(client.ok(retried(number, write.clone())), first);
        }
        assert_eq!(client.code(retried(number - 1, write)), 225);
    }
    let found = client.ok(doc! { "find": "c", "filter": { "_id": 1 }, "$db": "shop" });
    let cursor = found.get_document("cursor").unwrap();
    let batch = cursor.get_array("firstBatch").unwrap();
    assert_eq!(batch, &[Bson::from(doc! { "_id": 1, "n": 3 })]);
}

#[test]
fn a_session_that_ends_takes_its_transaction_and_cursors_along() {
    let server = TestServer::start();
    let mut client = server.client();
    client.fill(3);
    let first = with(find(), doc! { "batchSize": 1 });
    let reply = client.ok(beginning(1, first));
    let id = reply.get_document("cursor").unwrap().get_i64("id").unwrap();
    assert_ne!(id, 0);
    client.ok(doc! { "endSessions": [lsid(1)], "$db": "admin" });
    assert_eq!(server.server.sessions.count(), 0);
    assert_eq!(server.server.cursors.figures().open, 0);
    assert_eq!(server.server.database.list_transactions().unwrap(), []);
    assert_eq!(client.code(within(1, find())), 251);
}

#[test]
fn concerns_that_cannot_be_are_refused_or_told() {
    let server = TestServer::start();
    let mut client = server.client();
    let read = |concern: Document| doc! { "find": "c", "readConcern": concern, "$db": "shop" };
    for level in ["local", "majority", "available", "linearizable"] {
        client.ok(read(doc! { "level": level }));
    }
    assert_eq!(client.code(read(doc! { "level": "snapshot" })), 72);
    assert_eq!(client.code(read(doc! { "level": "best" })), 9);
    assert_eq!(client.code(read(doc! { "levle": "local" })), 40415);
    let write = |id: i32, concern: Document| {
        with(insert(id), doc! { "writeConcern": concern, "$db": "shop" })
    };
    client.ok(write(
        1,
        doc! { "w": "majority", "j": true, "wtimeout": 100 },
    ));
    assert_eq!(client.code(write(2, doc! { "w": 0, "j": true })), 2);
    assert_eq!(client.code(write(2, doc! { "w": -1 })), 9);
    let told = client.ok(write(3, doc! { "w": 2 }));
    let error = told.get_document("writeConcernError").unwrap();
    assert_eq!(error.get_i32("code").unwrap(), 100);
}

#[test]
fn fail_points_are_for_servers_with_test_commands() {
    let configure = doc! { "configureFailPoint": "failCommand", "mode": "off", "$db": "admin" };
    let server = TestServer::start();
    assert_eq!(server.client().code(configure.clone()), 59);
    let server = TestServer::start_with(|config| config.test_commands = true);
    let mut client = server.client();
    client.ok(configure);
    let fail = |data: Document| {
        doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data, "$db": "admin" }
    };
    let retried = with(
        insert(1),
        doc! { "lsid": lsid(1), "txnNumber": 1_i64, "$db": "shop" },
    );
    client.ok(fail(doc! { "failCommands": ["insert"], "errorCode": 91 }));
    let failed = client.run(retried.clone());
    assert_eq!(failed.get_i32("code").unwrap(), 91);
    assert_eq!(labels(&failed), ["RetryableWriteError"]);
    client.ok(retried);
    client.ok(fail(
        doc! { "failCommands": ["ping"], "closeConnection": true },
    ));
    let mut victim = server.client();
    victim.send_command(0, &doc! { "ping": 1, "$db": "admin" });
    assert!(victim.receive().is_none());
}

#[test]
fn every_reply_tells_the_time_and_a_write_moves_it() {
    let server = TestServer::start();
    let mut client = server.client();
    let mut times = Vec::new();
    for id in 0..3 {
        client.ok(with(insert(id), doc! { "$db": "shop" }));
        let Some(Bson::Timestamp(time)) = client.last_time else {
            unreachable!("no time in {:?}", client.last_time);
        };
        times.push((time.time, time.increment));
        client.code(doc! { "nothing": 1, "$db": "shop" });
        assert_eq!(client.last_time, Some(Bson::Timestamp(time)));
    }
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
}
