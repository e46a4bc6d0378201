//! A server in this process, and a client that sends whatever it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use cs_server::wire::{Compressor, Header, MAX_MESSAGE_LEN, Message, OpCode, compress, decompress};
use cs_server::{Config, Running, Server};
use tokio::runtime::Runtime;

/// A server with a free port and nothing on disk; it stops when it is dropped.
pub(crate) struct TestServer {
    runtime: Runtime,
    running: Option<Running>,
    pub(crate) server: Arc<Server>,
    pub(crate) port: u16,
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::start_with(|_| ())
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let mut config = Config {
            data_dir: None,
            port: 0,
            ..Config::default()
        };
        config.security.authentication = false;
        config.http.enabled = false;
        change(&mut config);
        let started = runtime.spawn(Server::start(config));
        let running = runtime.block_on(started).unwrap().unwrap();
        Self {
            server: Arc::clone(&running.server),
            port: running.address.port(),
            running: Some(running),
            runtime,
        }
    }

    pub(crate) fn client(&self) -> Client<TcpStream> {
        Client::new(TcpStream::connect(("127.0.0.1", self.port)).unwrap())
    }

    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let stopped = self.runtime.spawn(running.stop());
            self.runtime.block_on(stopped).unwrap().unwrap();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A connection.
pub(crate) struct Client<S> {
    stream: S,
    last_id: i32,
    /// What the last reply told as the time.
    pub(crate) last_time: Option<Bson>,
}

impl Client<UnixStream> {
    pub(crate) fn unix(path: &PathBuf) -> Self {
        Self::new(UnixStream::connect(path).unwrap())
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            last_id: 0,
            last_time: None,
        }
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// A message with this header in front; returns its number.
    pub(crate) fn send_message(&mut self, op_code: OpCode, body: &[u8]) -> i32 {
        self.last_id += 1;
        let header = Header {
            len: Header::LEN + body.len(),
            request_id: self.last_id,
            response_to: 0,
            op_code,
        };
        self.send(&[&header.encode(), body].concat());
        self.last_id
    }

    /// A command with these flags.
    pub(crate) fn send_command(&mut self, flags: u32, command: &Document) -> i32 {
        let command = RawDocumentBuf::try_from(command).unwrap();
        self.send_message(OpCode::Msg, &body_of(flags, &command))
    }

    /// The next message, as header and body; `None` if the server has closed.
    pub(crate) fn receive(&mut self) -> Option<(Header, Vec<u8>)> {
        let mut header = [0; Header::LEN];
        self.stream.read_exact(&mut header).ok()?;
        let header = Header::parse(&header, MAX_MESSAGE_LEN).unwrap();
        let mut body = vec![0; header.body_len()];
        self.stream.read_exact(&mut body).ok()?;
        Some((header, body))
    }

    /// The next reply, and whether more follow it.
    pub(crate) fn reply(&mut self) -> (Header, Document, bool) {
        let (header, body) = self.receive().expect("a reply");
        let (header, body) = match header.op_code {
            OpCode::Compressed => {
                let (header, body, _) = decompress(&header, &body).unwrap();
                (header, body)
            }
            _ => (header, body),
        };
        if header.op_code == OpCode::Reply {
            let document = RawDocument::from_bytes(&body[20..]).unwrap();
            return (header, Document::try_from(document).unwrap(), false);
        }
        let Message::Msg(message) = Message::parse(&header, &body).unwrap() else {
            unreachable!("a reply is no query");
        };
        let mut document = Document::try_from(message.body).unwrap();
        // Every reply tells the time, which is no test's but that of sessions.
        self.last_time = document.remove("operationTime");
        document.remove("$clusterTime");
        (header, document, message.more_to_come)
    }

    /// Sends a command and returns its reply.
    pub(crate) fn run(&mut self, command: Document) -> Document {
        let id = self.send_command(0, &command);
        let (header, document, _) = self.reply();
        assert_eq!(header.response_to, id);
        document
    }

    /// The same, compressed.
    pub(crate) fn run_compressed(
        &mut self,
        command: &Document,
        compressor: Compressor,
    ) -> Document {
        let command = RawDocumentBuf::try_from(command).unwrap();
        let body = body_of(0, &command);
        self.last_id += 1;
        let header = Header {
            len: Header::LEN + body.len(),
            request_id: self.last_id,
            response_to: 0,
            op_code: OpCode::Msg,
        };
        let plain = [header.encode().as_slice(), &body].concat();
        self.send(&compress(plain, compressor));
        self.reply().1
    }

    /// A command that has to be carried out.
    pub(crate) fn ok(&mut self, command: Document) -> Document {
        let reply = self.run(command);
        assert_eq!(reply.get_f64("ok").unwrap(), 1.0, "{reply}");
        reply
    }

    /// The code with which a command is refused.
    pub(crate) fn code(&mut self, command: Document) -> i32 {
        let reply = self.run(command);
        assert_eq!(reply.get_f64("ok").unwrap(), 0.0, "{reply}");
        assert!(!reply.get_str("codeName").unwrap().is_empty());
        reply.get_i32("code").unwrap()
    }

    /// Inserts documents with these ids.
    pub(crate) fn fill(&mut self, count: i32) {
        let documents: Vec<Document> = (0..count).map(|n| doc! { "_id": n }).collect();
        self.ok(doc! { "insert": "c", "documents": documents, "$db": "shop" });
    }
}

/// Flags and one body.
pub(crate) fn body_of(flags: u32, command: &RawDocument) -> Vec<u8> {
    [&flags.to_le_bytes(), [0].as_slice(), command.as_bytes()].concat()
}
