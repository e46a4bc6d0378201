//! Which connections there are: how many, of whom, and of how many it is not known.
//!
//! ## Invariants
//! * No more come in than may, counted under one lock.
//! * A place is given back once, also where the connection's task was ended.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::config::Config;
use crate::server::Server;

/// The other side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: String,
    /// Whether it is on this host.
    pub is_local: bool,
}

impl Peer {
    pub(crate) fn tcp(address: SocketAddr) -> Self {
        Self {
            address: address.to_string(),
            is_local: address.ip().to_canonical().is_loopback(),
        }
    }

    pub(crate) fn unix() -> Self {
        Self {
            address: "unix socket".to_owned(),
            is_local: true,
        }
    }
}

/// All connections.
#[derive(Debug)]
pub struct Connections {
    limit: usize,
    /// How many there may be of which it is not known who they are.
    unknown_limit: usize,
    unknown: AtomicUsize,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    last_id: AtomicI32,
    open: Mutex<HashMap<i32, String>>,
    one_gone: Notify,
}

impl Connections {
    pub(crate) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        Self {
            limit: limits.connections as usize,
            unknown_limit: match config.security.authentication {
                true => limits.unauthenticated_connections as usize,
                false => usize::MAX,
            },
            unknown: AtomicUsize::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
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

    /// The other side of a connection that is open.
    #[must_use]
    pub fn peer(&self, id: i32) -> Option<String> {
        self.open.lock().get(&id).cloned()
    }

    /// Bytes that came in, and that went out, of messages.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        let get = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        (get(&self.bytes_in), get(&self.bytes_out))
    }

    /// How many there are of which it is not known who they are.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.unknown.load(Ordering::Relaxed)
    }

    /// `None` if there are too many.
    pub(super) fn enter(&self, peer: &Peer) -> Option<i32> {
        let mut open = self.open.lock();
        if open.len() >= self.limit || self.unknown() >= self.unknown_limit {
            return None;
        }
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        open.insert(id, peer.address.clone());
        // Under the lock, so that no more come in than may.
        self.unknown.fetch_add(1, Ordering::Relaxed);
        Some(id)
    }

    fn known(&self) {
        self.unknown.fetch_sub(1, Ordering::Relaxed);
    }

    /// So much of a message came in.
    pub(super) fn came(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So much of a message went out.
    pub(super) fn went(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
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
pub(super) struct Place {
    server: Arc<Server>,
    id: i32,
    is_unknown: bool,
}

impl Place {
    /// Of a connection that has entered.
    pub(super) fn new(server: &Arc<Server>, id: i32) -> Self {
        Self {
            server: Arc::clone(server),
            id,
            is_unknown: true,
        }
    }

    /// It is known who it is.
    pub(super) fn known(&mut self) {
        if std::mem::take(&mut self.is_unknown) {
            self.server.connections.known();
        }
    }

    /// It is not any more.
    pub(super) fn unknown(&mut self) {
        if !std::mem::replace(&mut self.is_unknown, true) {
            self.server
                .connections
                .unknown
                .fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.known();
        self.server.connections.leave(self.id);
    }
}
