//! Saying hello: who the server is, what it can do, how it may be reached. It is always the one
//! member, and so the primary, of a replica set: drivers send retryable writes, transactions and
//! change streams to nothing less.

use std::sync::Arc;
use std::time::Duration;

use bson::raw::cstr;
use bson::{DateTime, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, Timestamp, rawdoc};
use collection_store::values::MAX_DOCUMENT_LEN;

use crate::MAX_WIRE_VERSION;
use crate::command::{ANY_FIELD, CommandSpec, Context, Privilege, login};
use crate::error::Result;
use crate::fields::integer;
use crate::reply::Reply;
use crate::security::MECHANISM;
use crate::server::Server;
use crate::wire::{Compressor, MAX_MESSAGE_LEN, MAX_SEQUENCE_DOCUMENTS};

/// How long a client may wait for the topology to change; drivers ask for ten seconds.
const MAX_AWAIT: Duration = Duration::from_secs(60);
/// After which time without use a session is forgotten.
pub(crate) const SESSION_TIMEOUT_MINUTES: i32 = 30;

const fn spec(name: &'static str) -> CommandSpec {
    // Drivers may say more than anybody knows: the handshake demands that it be ignored.
    CommandSpec {
        before_auth: true,
        waits: false,
        ..CommandSpec::new(name, Privilege::None, ANY_FIELD, hello)
    }
}

/// The three names of hello.
pub(crate) const COMMANDS: &[CommandSpec] = &[spec("hello"), spec("isMaster"), spec("ismaster")];

/// Whether a command is a hello.
pub(crate) fn is_hello(name: &str) -> bool {
    matches!(name, "hello" | "isMaster" | "ismaster")
}

/// Whether the client waits for a change, and takes replies as they come.
pub(crate) fn awaits(body: &RawDocument) -> bool {
    matches!(body.get("maxAwaitTimeMS"), Ok(Some(_)))
}

/// Waits until the topology is another than the client knows, or its time is up. There is one
/// topology for as long as the server runs, so that only the end of the server is waited for.
pub(crate) async fn wait(server: &Arc<Server>, body: &RawDocument) {
    let Ok(Some(asked)) = body.get("maxAwaitTimeMS") else {
        return;
    };
    let known = body.get_document("topologyVersion");
    let is_current = known.is_ok_and(|known| {
        known
            .get_object_id("processId")
            .is_ok_and(|id| id == server.process_id)
            && known.get("counter").ok().flatten().and_then(integer) == Some(0)
    });
    if is_current {
        wait_again(server, asked).await;
    }
}

/// Waits for the next change: what a client that takes replies as they come was told last is
/// what there is.
pub(crate) async fn wait_for_next(server: &Arc<Server>, body: &RawDocument) {
    if let Ok(Some(asked)) = body.get("maxAwaitTimeMS") {
        wait_again(server, asked).await;
    }
}

async fn wait_again(server: &Arc<Server>, asked: RawBsonRef<'_>) {
    let asked = integer(asked).and_then(|ms| u64::try_from(ms).ok());
    let longest = Duration::from_millis(asked.unwrap_or(0)).min(MAX_AWAIT);
    let mut stopping = server.stopping();
    let _ = tokio::time::timeout(longest, stopping.wait_for(|stopping| *stopping)).await;
}

/// Errors that drivers take for news of the topology.
pub(crate) fn sounds_like_news(code: i32) -> bool {
    matches!(
        code,
        91 | 189 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436
    )
}

/// Which topology it is: a driver that knows it need not look anew, as it else would for as long
/// as its hello waits.
pub(crate) fn tell_topology(server: &Server, reply: &mut RawDocumentBuf) {
    reply.append(
        cstr!("topologyVersion"),
        rawdoc! { "processId": server.process_id, "counter": 0_i64 },
    );
}

fn hello(context: &mut Context<'_>) -> Result<Reply> {
    let (server, body) = (Arc::clone(context.server), context.body);
    let is_new = context.spec.name == "hello";
    let name = if is_new {
        cstr!("isWritablePrimary")
    } else {
        cstr!("ismaster")
    };
    let mut reply = RawDocumentBuf::new();
    if matches!(body.get("helloOk")?, Some(RawBsonRef::Boolean(true))) {
        reply.append(cstr!("helloOk"), true);
    }
    reply.append(name, true);
    tell_topology(&server, &mut reply);
    let mut hosts = RawArrayBuf::new();
    hosts.push(server.advertised.as_str());
    let now = DateTime::now();
    let op_time = rawdoc! { "ts": timestamp(now), "t": 1_i64 };
    let set = rawdoc! {
        "hosts": hosts,
        "setName": server.config.replica_set.as_str(),
        "setVersion": 1,
        "secondary": false,
        "primary": server.advertised.as_str(),
        "me": server.advertised.as_str(),
        "electionId": bson::oid::ObjectId::from_bytes([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]),
        "lastWrite": {
            "opTime": op_time.clone(),
            "lastWriteDate": now,
            "majorityOpTime": op_time,
            "majorityWriteDate": now,
        },
        "maxBsonObjectSize": as_i32(MAX_DOCUMENT_LEN),
        "maxMessageSizeBytes": as_i32(MAX_MESSAGE_LEN),
        "maxWriteBatchSize": as_i32(MAX_SEQUENCE_DOCUMENTS),
        "localTime": now,
        "logicalSessionTimeoutMinutes": SESSION_TIMEOUT_MINUTES,
        "connectionId": context.connection.id,
        "minWireVersion": 0,
        "maxWireVersion": MAX_WIRE_VERSION,
        "readOnly": false,
    };
    for (name, value) in set.iter().flatten() {
        reply.append(name, value);
    }
    if let Ok(Some(RawBsonRef::Array(wanted))) = body.get("compression") {
        reply.append(cstr!("compression"), agreed(wanted));
    }
    if let Ok(wanted) = body.get_str("saslSupportedMechs") {
        // The same for whoever it is: it tells nothing of who is there.
        let mut mechanisms = RawArrayBuf::new();
        if wanted.contains('.') {
            mechanisms.push(MECHANISM);
        }
        reply.append(cstr!("saslSupportedMechs"), mechanisms);
    }
    if let Ok(speculative) = body.get_document("speculativeAuthenticate") {
        // One that cannot be answered is left out; the client then asks in the usual way.
        if let Some(challenge) = login::speculate(context, speculative) {
            reply.append(cstr!("speculativeAuthenticate"), challenge);
        }
    }
    if let Ok(client) = body.get_document("client") {
        context.connection.client = Some(client.to_owned());
    }
    Ok(reply.into())
}

/// The compressors that both sides know, in the client's order.
fn agreed(wanted: &bson::RawArray) -> RawArrayBuf {
    let mut agreed = RawArrayBuf::new();
    for name in wanted.into_iter().flatten() {
        let offered = Compressor::OFFERED
            .iter()
            .find(|offered| name.as_str() == Some(offered.name()));
        if let Some(offered) = offered {
            agreed.push(offered.name());
        }
    }
    agreed
}

/// A moment as a timestamp.
pub(crate) fn timestamp(time: DateTime) -> Timestamp {
    Timestamp {
        time: u32::try_from(time.timestamp_millis() / 1000).unwrap_or(u32::MAX),
        increment: 1,
    }
}

fn as_i32(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
