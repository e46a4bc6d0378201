//! A connection: reads messages, has them carried out, writes replies.
//!
//! ## Invariants
//! * One request of a connection is carried out at a time, and answered before the next is read.
//! * An idle connection holds its read buffer and little else; a large message gives its memory
//!   back when it is answered.
//! * What comes in is read as it comes: a length that is stated allocates nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use bson::RawDocumentBuf;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Notify;

use crate::command::{self, Request};
use crate::hello;
use crate::reply::Reply;
use crate::server::Server;
use crate::wire::{
    Compressor, Header, MAX_MESSAGE_LEN, Message, OpCode, WireError, compress, decompress,
    encode_query_reply, encode_reply,
};

/// What is read at once.
const READ_BUFFER: usize = 8 * 1024;
/// A message buffer that has grown beyond this is not kept for the next message.
const KEEP_BUFFER: usize = 16 * 1024;
/// Replies to one request; a cursor that never ends would hold the connection for ever.
const MAX_EXHAUST_REPLIES: usize = 1 << 20;

/// What the server knows of one connection.
#[derive(Debug)]
pub struct ConnectionState {
    /// Its number, as `hello` and `whatsmyuri` tell it.
    pub id: i32,
    /// The address of the other side.
    pub peer: String,
    /// What the driver said of itself.
    pub client: Option<RawDocumentBuf>,
}

/// All connections.
#[derive(Debug)]
pub struct Connections {
    limit: usize,
    last_id: AtomicI32,
    open: Mutex<HashMap<i32, String>>,
    one_gone: Notify,
}

impl Connections {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            last_id: AtomicI32::new(0),
            open: Mutex::default(),
            one_gone: Notify::new(),
        }
    }

    /// How many there are now.
    #[must_use]
    pub fn current(&self) -> usize {
        self.open.lock().len()
    }

    /// How many more there may be.
    #[must_use]
    pub fn available(&self) -> usize {
        self.limit.saturating_sub(self.current())
    }

    /// How many there have been.
    #[must_use]
    pub fn created(&self) -> i32 {
        self.last_id.load(Ordering::Relaxed)
    }

    /// `None` if there are too many.
    fn enter(&self, peer: &str) -> Option<i32> {
        let mut open = self.open.lock();
        if open.len() >= self.limit {
            return None;
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        open.insert(id, peer.to_owned());
        Some(id)
    }

    fn leave(&self, id: i32) {
        self.open.lock().remove(&id);
        self.one_gone.notify_waiters();
    }

    /// Waits until none is left.
    pub(crate) async fn all_gone(&self) {
        loop {
            let gone = self.one_gone.notified();
            if self.current() == 0 {
                return;
            }
            gone.await;
        }
    }
}

/// Says that the connection is gone, also where its task was ended.
struct Place(Arc<Server>, i32);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.leave(self.1);
    }
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves a connection in a task of its own; one too many is closed.
pub(crate) fn serve<S>(server: &Arc<Server>, stream: S, peer: String)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Some(id) = server.connections.enter(&peer) else {
        return;
    };
    let place = Place(Arc::clone(server), id);
    let state = ConnectionState {
        id,
        peer,
        client: None,
    };
    tokio::spawn(async move {
        let server = Arc::clone(&place.0);
        // Whatever it is, the other side sees it: the connection is closed.
        let _ended = Connection::new(server, state, stream).run().await;
        drop(place);
    });
}

struct Connection<S> {
    server: Arc<Server>,
    state: ConnectionState,
    reader: BufReader<tokio::io::ReadHalf<S>>,
    writer: tokio::io::WriteHalf<S>,
    last_request_id: i32,
}

/// What a reply is put into.
#[derive(Clone, Copy)]
struct Envelope {
    response_to: i32,
    compressor: Compressor,
    is_query: bool,
}

impl<S> Connection<S>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    fn new(server: Arc<Server>, state: ConnectionState, stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            server,
            state,
            reader: BufReader::with_capacity(READ_BUFFER, reader),
            writer,
            last_request_id: 0,
        }
    }

    async fn run(mut self) -> Result<(), Ended> {
        let mut stopping = self.server.stopping();
        let mut body = Vec::new();
        loop {
            body.clear();
            if body.capacity() > KEEP_BUFFER {
                body = Vec::new();
            }
            let header = tokio::select! {
                header = self.read(&mut body) => header?,
                // What is still coming in is not begun; what was begun is answered.
                _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
            };
            let Some(header) = header else {
                return Ok(());
            };
            self.answer(header, &body).await?;
        }
    }

    /// Reads a message; `None` where the other side has closed.
    async fn read(&mut self, body: &mut Vec<u8>) -> Result<Option<Header>, Ended> {
        let mut header = [0; Header::LEN];
        match self.reader.read_exact(&mut header).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let header = Header::parse(&header, MAX_MESSAGE_LEN)?;
        let len = header.body_len();
        let mut limited = (&mut self.reader).take(len as u64);
        let read = limited.read_to_end(body).await?;
        Ok((read == len).then_some(header))
    }

    async fn answer(&mut self, header: Header, body: &[u8]) -> Result<(), Ended> {
        if header.op_code != OpCode::Compressed {
            return self.answer_plain(header, body, Compressor::None).await;
        }
        let (header, body, compressor) = decompress(&header, body)?;
        self.answer_plain(header, &body, compressor).await
    }

    async fn answer_plain(
        &mut self,
        header: Header,
        body: &[u8],
        compressor: Compressor,
    ) -> Result<(), Ended> {
        let message = Message::parse(&header, body)?;
        let is_query = matches!(message, Message::Query(_));
        let mut envelope = Envelope {
            response_to: header.request_id,
            compressor,
            is_query,
        };
        let (request, wants_no_reply, mut takes_more) = match message {
            Message::Msg(message) => (
                Request::new(message.body, message.sequences),
                message.more_to_come,
                message.exhaust_allowed,
            ),
            Message::Query(query) => (Request::query(query.database, query.body), false, false),
        };
        if hello::is_hello(request.name()) {
            hello::wait(&self.server, request.body).await;
            takes_more &= hello::awaits(request.body);
        }
        let mut reply = self.carry_out(&request);
        if wants_no_reply {
            return Ok(());
        }
        if takes_more {
            return self.exhaust(&request, reply, envelope).await;
        }
        if request.is_never_compressed() {
            envelope.compressor = Compressor::None;
        }
        self.write(envelope, &mut reply, false).await?;
        Ok(())
    }

    /// Commands that may wait, for a disk or for their turn, leave the thread that other
    /// connections need.
    fn carry_out(&mut self, request: &Request<'_>) -> Reply {
        let (server, state) = (&self.server, &mut self.state);
        if command::may_wait(request) {
            tokio::task::block_in_place(|| command::run(server, state, request))
        } else {
            command::run(server, state, request)
        }
    }

    /// Sends replies until there is nothing more to come.
    async fn exhaust(
        &mut self,
        request: &Request<'_>,
        mut reply: Reply,
        mut envelope: Envelope,
    ) -> Result<(), Ended> {
        let mut stopping = self.server.stopping();
        for _ in 0..MAX_EXHAUST_REPLIES {
            let is_hello = hello::is_hello(request.name());
            let is_over = *stopping.borrow_and_update()
                || !reply.is_ok()
                || !(is_hello || (request.name() == "getMore" && reply.cursor != 0));
            let written = self.write(envelope, &mut reply, !is_over).await;
            let request_id = match written {
                Ok(request_id) if !is_over => request_id,
                Ok(_) => return Ok(()),
                Err(error) => {
                    // Nobody is there who could ask for the rest.
                    self.server.cursors.kill(reply.cursor);
                    return Err(error);
                }
            };
            // Each reply answers the one before it.
            envelope.response_to = request_id;
            if is_hello {
                hello::wait(&self.server, request.body).await;
            }
            reply = self.carry_out(request);
        }
        Ok(())
    }

    /// Writes a reply and returns its number.
    async fn write(
        &mut self,
        envelope: Envelope,
        reply: &mut Reply,
        more_to_come: bool,
    ) -> Result<i32, Ended> {
        self.last_request_id = self.last_request_id.wrapping_add(1);
        let id = self.last_request_id;
        let document = &reply.document;
        let bytes = if envelope.is_query {
            encode_query_reply(id, envelope.response_to, document)
        } else {
            let plain = encode_reply(id, envelope.response_to, document, more_to_come);
            compress(plain, envelope.compressor)
        };
        self.writer.write_all(&bytes).await?;
        Ok(id)
    }
}
