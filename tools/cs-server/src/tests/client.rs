//! A client that says what it is told to, and not what drivers would.

use std::net::SocketAddr;
use std::sync::Arc;

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::config::Config;
use crate::security::scram_client;
use crate::security::{Grant, MECHANISM, Role};
use crate::server::{Running, Server};

/// The password of all users.
pub(super) const PASSWORD: &str = "pencil";

/// A server in memory that asks who is there, with a user `root`.
pub(super) async fn guarded() -> Running {
    guarded_with(Config::in_memory()).await
}

pub(super) async fn guarded_with(mut config: Config) -> Running {
    config.security.authentication = true;
    let running = Server::start(config).await.unwrap();
    add_user(&running.server, "root", Role::Root, "admin");
    running
}

/// Over a collection `c` of thousands: every document with every document with every document,
/// which takes longer than anybody waits.
pub(super) fn endless() -> Document {
    let join = |deeper: Vec<Document>| {
        doc! { "$lookup": { "from": "c", "as": "x", "let": { "y": "$_id" }, "pipeline": deeper } }
    };
    let never = doc! { "$match": { "$expr": { "$eq": ["$$y", -1] } } };
    let pipeline = vec![join(vec![join(vec![never]), doc! { "$match": { "x": 1 } }])];
    doc! { "aggregate": "c", "pipeline": pipeline, "cursor": {} }
}

/// A user of the database `admin`.
pub(super) fn add_user(server: &Arc<Server>, name: &str, role: Role, database: &str) {
    let grant = Grant {
        role,
        database: database.to_owned(),
    };
    server
        .users
        .create("admin", name, PASSWORD, vec![grant], None)
        .unwrap();
}

pub(super) struct Client {
    pub(super) stream: TcpStream,
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
        }
    }

    pub(super) async fn as_user(address: SocketAddr, name: &str) -> Self {
        let mut client = Self::connect(address).await;
        let reply = client.login(name, PASSWORD).await;
        assert_eq!(code(&reply), 0, "{reply}");
        client
    }

    /// What the server answers; nothing if it closes the connection.
    pub(super) async fn ask(&mut self, database: &str, mut command: Document) -> Option<Document> {
        command.insert("$db", database);
        let body = command.to_vec().unwrap();
        let mut message = Vec::new();
        message.extend_from_slice(&[0; 5]);
        message.extend_from_slice(&body);
        self.send(2013, &message).await;
        self.receive().await
    }

    pub(super) async fn run(&mut self, database: &str, command: Document) -> Document {
        let answered = self.ask(database, command).await;
        answered.expect("the server answers")
    }

    /// Runs a command that succeeds.
    pub(super) async fn done(&mut self, database: &str, command: Document) -> Document {
        let reply = self.run(database, command.clone()).await;
        assert_eq!(code(&reply), 0, "{command}: {reply}");
        reply
    }

    /// A message of any kind. That the other side has closed is seen when it is read from.
    pub(super) async fn send(&mut self, op_code: i32, body: &[u8]) {
        let length = i32::try_from(16 + body.len()).unwrap();
        let mut bytes = Vec::new();
        for number in [length, 7, 0, op_code] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(body);
        let _ = self.stream.write_all(&bytes).await;
    }

    async fn receive(&mut self) -> Option<Document> {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).await.ok()?;
        let length = i32::from_le_bytes(header[..4].try_into().unwrap());
        let mut body = vec![0; usize::try_from(length).unwrap() - 16];
        self.stream.read_exact(&mut body).await.ok()?;
        Some(Document::from_reader(&body[5..]).unwrap())
    }

    /// Returns when the server has closed the connection.
    pub(super) async fn closed(&mut self) {
        let mut rest = Vec::new();
        // A reset is an end, too.
        let _ = self.stream.read_to_end(&mut rest).await;
    }

    /// Logs in; what the server said last.
    pub(super) async fn login(&mut self, name: &str, password: &str) -> Document {
        let client = scram_client::Client::new(name, password);
        let start = doc! {
            "saslStart": 1,
            "mechanism": MECHANISM,
            "payload": binary(client.first()),
            "options": { "skipEmptyExchange": true },
        };
        let reply = self.run("admin", start).await;
        if code(&reply) != 0 {
            return reply;
        }
        let (last, signature) = client.last(reply.get_binary_generic("payload").unwrap());
        let conversation = reply.get_i32("conversationId").unwrap();
        let proceed = doc! {
            "saslContinue": 1,
            "conversationId": conversation,
            "payload": binary(last),
        };
        let reply = self.run("admin", proceed).await;
        if code(&reply) == 0 {
            assert_eq!(reply.get_binary_generic("payload").unwrap(), &signature);
        }
        reply
    }
}

pub(super) fn binary(bytes: Vec<u8>) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    }
}

/// The code of a reply; 0 if all went well.
pub(super) fn code(reply: &Document) -> i32 {
    match reply.get_f64("ok") {
        Ok(1.0) => 0,
        _ => reply.get_i32("code").unwrap(),
    }
}
