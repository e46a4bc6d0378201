//! The listener of figures and health, apart from the one of clients: `/metrics`, `/livez`, `/readyz`,
//! `/status`.
//!
//! ## Invariants
//! * It tells numbers, and nothing of documents; it changes nothing.
//! * It answers while clients' connections are exhausted: connections, memory and time of its own
//!   are bounded apart from theirs.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::server::{Server, StartError};

/// Who watches are few.
const MAX_CONNECTIONS: usize = 64;
/// The time in which a request has to come.
const REQUEST_TIME: Duration = Duration::from_secs(10);
/// Of a request, all of which is headers.
const MAX_REQUEST_BYTES: usize = 16 * 1024;
/// How long accepting rests when the system has no descriptors left.
const PAUSE: Duration = Duration::from_millis(100);
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// A socket that is bound, and not listened to yet.
#[derive(Debug)]
pub(crate) struct HttpListener {
    pub(crate) address: SocketAddr,
    listener: TcpListener,
}

impl HttpListener {
    /// None where none is wanted.
    pub(crate) async fn bind(config: &Config) -> Result<Option<Self>, StartError> {
        let http = &config.http;
        if !http.enabled {
            return Ok(None);
        }
        let wanted = SocketAddr::new(http.bind, http.port);
        let refused = |error| StartError::Listen(wanted.to_string(), error);
        let listener = TcpListener::bind(wanted).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Some(Self { address, listener }))
    }

    pub(crate) fn accept(self, server: &Arc<Server>) -> JoinHandle<()> {
        let server = Arc::clone(server);
        tokio::spawn(async move {
            let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
            loop {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                    return;
                };
                let Ok((stream, _)) = self.listener.accept().await else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let server = Arc::clone(&server);
                tokio::spawn(async move {
                    let service = service_fn(|request| {
                        let reply = answer(&server, &request);
                        async { Ok::<_, Infallible>(reply) }
                    });
                    let served = http1::Builder::new()
                        .timer(TokioTimer::new())
                        .header_read_timeout(REQUEST_TIME)
                        .max_buf_size(MAX_REQUEST_BYTES)
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service);
                    // Whoever does not read the answer does not keep the place.
                    let _ = tokio::time::timeout(2 * REQUEST_TIME, served).await;
                    drop(place);
                });
            }
        })
    }
}

fn answer(server: &Arc<Server>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut reply = text(
            StatusCode::METHOD_NOT_ALLOWED,
            PLAIN,
            "GET or HEAD\n".to_owned(),
        );
        reply
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return reply;
    }
    match request.uri().path() {
        "/metrics" => metrics(server),
        // Whoever answers is alive.
        "/livez" => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
        "/readyz" => match not_ready(server) {
            None => text(StatusCode::OK, PLAIN, "ok\n".to_owned()),
            Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n")),
        },
        "/status" => {
            let status = format!("{:#}\n", status(server));
            text(StatusCode::OK, "application/json", status)
        }
        _ => {
            let known = "/metrics, /livez, /readyz, /status\n".to_owned();
            text(StatusCode::NOT_FOUND, PLAIN, known)
        }
    }
}

fn metrics(server: &Server) -> Response<Full<Bytes>> {
    server.observer.refresh(server);
    match tokio::task::block_in_place(|| server.database.metrics_text()) {
        Ok(figures) => text(StatusCode::OK, PROMETHEUS, figures),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{error}\n")),
    }
}

/// Why clients should not be sent here, if they should not.
fn not_ready(server: &Server) -> Option<String> {
    if *server.stopping().borrow() {
        return Some("the server is stopping".to_owned());
    }
    let poisoned = server.database.store().stats().poisoned;
    poisoned.map(|why| format!("writes are refused until the server is started anew: {why}"))
}

fn status(server: &Server) -> Value {
    let config = &server.config;
    let not_ready = not_ready(server);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": not_ready.is_none(),
        "reason": not_ready,
        "uptime_seconds": server.started.elapsed().as_secs(),
        "address": server.advertised,
        "replica_set": config.replica_set,
        "connections": server.connections.current(),
        "connections_available": server.connections.available(),
        "operations": server.operations.running(),
        "cursors": server.cursors.open(),
        "commands": server.observer.total(),
        "in_memory": config.data_dir.is_none(),
        "tls": config.has_tls(),
        "authentication": config.security.authentication,
        "unsafe": config.unsafe_settings(),
    })
}

fn text(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
