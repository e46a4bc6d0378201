//! A connection: reads messages, has them carried out, writes replies.
//!
//! ## Invariants
//! * One request of a connection is carried out at a time, and answered before the next is read.
//! * An idle connection holds its read buffer and little else; a large message gives its memory
//!   back when it is answered.
//! * What comes in is read as it comes: a length that is stated allocates nothing.
//! * Of somebody unknown, where clients have to say who they are: small messages, each whole within
//!   the time, none compressed, few connections, few wrong passwords.

mod pace;
mod register;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bson::RawDocumentBuf;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;

use crate::command::{self, Request};
use crate::hello;
use crate::reply::Reply;
use crate::security::{Login, MAX_FAILED_LOGINS, User};
use crate::server::Server;
use crate::wire::{
    Compressor, Header, Message, OpCode, WireError, compress, decompress, encode_query_reply,
    encode_reply,
};

use register::Place;
pub use register::{Connections, Peer};

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
    /// The other side.
    pub peer: Peer,
    /// Who the other side is, and how many changes of users there had been when that was read;
    /// nobody yet, if none.
    pub user: Option<(User, u64)>,
    /// How it says so.
    pub login: Login,
    /// It has said hello, as drivers do that only watch the server and never say who they are.
    pub has_said_hello: bool,
    /// What the driver said of itself.
    pub client: Option<RawDocumentBuf>,
    /// A fail point says so.
    pub(crate) must_close: bool,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("a fail point closes it")]
    Asked,
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("{0}, before it was known who it is")]
    TooEarly(&'static str),
    #[error("nothing came in time")]
    TooSlow,
    #[error("{0} logins failed")]
    FailedLogins(u32),
}

/// Serves a connection in a task of its own, as soon as it is there (behind a handshake, perhaps);
/// one too many is closed.
pub(crate) fn serve<S>(
    server: &Arc<Server>,
    peer: Peer,
    stream: impl Future<Output = std::io::Result<S>> + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let Some(id) = server.connections.enter(&peer) else {
        tracing::warn!(
            peer = peer.address,
            "connection refused: there are too many"
        );
        return;
    };
    let place = Place::new(server, id);
    let state = ConnectionState {
        id,
        peer,
        user: None,
        login: Login::default(),
        has_said_hello: false,
        client: None,
        must_close: false,
    };
    let server = Arc::clone(server);
    tokio::spawn(async move {
        let patience = server.config.limits.authentication_timeout;
        let peer = state.peer.address.clone();
        tracing::debug!(connection = id, peer, "connection opened");
        // Whatever it is, the other side sees it: the connection is closed.
        let ended = match timeout(patience, stream).await {
            Ok(Ok(stream)) => Connection::new(server, place, state, stream).run().await,
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(Ended::TooSlow),
        };
        match ended {
            Ok(()) => tracing::debug!(connection = id, peer, "connection closed"),
            Err(Ended::Io(error)) if is_hang_up(&error) => {
                tracing::debug!(connection = id, peer, "connection closed");
            }
            Err(ended) => {
                let reason = ended.to_string();
                tracing::info!(connection = id, peer, reason, "connection closed");
            }
        }
    });
}

/// Whether the other side has just gone, as clients do that are ended, or think little of manners.
fn is_hang_up(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

struct Connection<S> {
    server: Arc<Server>,
    place: Place,
    pace: pace::Pace,
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
    fn new(server: Arc<Server>, place: Place, state: ConnectionState, stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self {
            pace: pace::Pace::new(server.config.limits.commands_per_second),
            server,
            place,
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
            self.pace.keep().await;
            self.answer(header, &body).await?;
            let failures = self.state.login.failures();
            if failures >= MAX_FAILED_LOGINS {
                return Err(Ended::FailedLogins(failures));
            }
        }
    }

    /// Whether it has to be known who it is, and is not.
    fn is_unknown(&self) -> bool {
        self.server.config.security.authentication && self.state.user.is_none()
    }

    /// How long the next message may take to begin, and then to be whole.
    fn patience(&self) -> (Duration, Duration) {
        let limits = &self.server.config.limits;
        match (self.is_unknown(), self.state.has_said_hello) {
            (true, false) => (limits.authentication_timeout, limits.authentication_timeout),
            (true, true) => (limits.idle_timeout, limits.authentication_timeout),
            (false, _) => (limits.idle_timeout, limits.idle_timeout),
        }
    }

    /// Reads a message; `None` where the other side has closed.
    async fn read(&mut self, body: &mut Vec<u8>) -> Result<Option<Header>, Ended> {
        let (begin, whole) = self.patience();
        let begun = timeout(begin, self.reader.fill_buf()).await;
        if begun.map_err(|_| Ended::TooSlow)??.is_empty() {
            return Ok(None);
        }
        let read = timeout(whole, self.read_whole(body)).await;
        read.map_err(|_| Ended::TooSlow)?
    }

    /// Reads a message that has begun.
    async fn read_whole(&mut self, body: &mut Vec<u8>) -> Result<Option<Header>, Ended> {
        let mut header = [0; Header::LEN];
        match self.reader.read_exact(&mut header).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let limits = &self.server.config.limits;
        let limit = match self.is_unknown() {
            true => limits.unauthenticated_message,
            false => limits.message,
        };
        let header = Header::parse(&header, usize::try_from(limit.get()).unwrap_or(usize::MAX))?;
        let len = header.body_len();
        let mut limited = (&mut self.reader).take(len as u64);
        let read = limited.read_to_end(body).await?;
        self.server.connections.came(Header::LEN + read);
        Ok((read == len).then_some(header))
    }

    async fn answer(&mut self, header: Header, body: &[u8]) -> Result<(), Ended> {
        if header.op_code != OpCode::Compressed {
            return self.answer_plain(header, body, Compressor::None).await;
        }
        if self.is_unknown() {
            return Err(Ended::TooEarly("a compressed message came"));
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
            self.state.has_said_hello = true;
        }
        let mut reply = self.carry_out(&request);
        if self.state.must_close {
            return Err(Ended::Asked);
        }
        match self.is_unknown() {
            true => self.place.unknown(),
            false => self.place.known(),
        }
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
                hello::wait_for_next(&self.server, request.body).await;
            }
            reply = self.carry_out(request);
            if self.state.must_close {
                return Err(Ended::Asked);
            }
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
        self.server.connections.went(bytes.len());
        Ok(id)
    }
}
