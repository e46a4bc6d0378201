//! The server: what all its connections share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use collection_store::Database;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::Config;
use crate::connection::Connections;
use crate::cursor::Cursors;
use crate::listener::Listeners;

/// How often cursors that nobody asked for long are looked for.
const REAP_EVERY: Duration = Duration::from_secs(30);

/// What all connections share.
#[derive(Debug)]
pub struct Server {
    /// The engine. Each database of a client is one of its databases.
    pub database: Database,
    /// What it was told.
    pub config: Config,
    /// The cursors of all clients.
    pub cursors: Cursors,
    /// Who is there.
    pub connections: Connections,
    /// Since when it runs.
    pub started: Instant,
    /// Of this process, for `topologyVersion`: a client that sees another knows that all it
    /// knew of the topology is void.
    pub process_id: ObjectId,
    /// The address by which clients reach it.
    pub advertised: String,
    stopping: watch::Sender<bool>,
}

/// A server that accepts connections.
#[derive(Debug)]
pub struct Running {
    /// What it shares.
    pub server: Arc<Server>,
    /// Where it listens.
    pub address: SocketAddr,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data could not be opened.
    #[error("cannot open the data: {0}")]
    Open(#[from] collection_store::Error),
    /// The address is not to be had.
    #[error("cannot listen on {0}: {1}")]
    Listen(String, #[source] std::io::Error),
}

impl Server {
    /// Opens the data and begins to accept connections. Within a tokio runtime of several
    /// threads.
    ///
    /// # Errors
    /// The data cannot be opened, or an address is not to be had.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let listeners = Listeners::bind(&config).await?;
        let address = listeners.address;
        let database = tokio::task::block_in_place(|| match &config.data_dir {
            Some(path) => Database::open(path),
            None => Database::open_in_memory(),
        })?;
        let advertised = config
            .advertised
            .clone()
            .unwrap_or_else(|| address.to_string());
        let (stopping, _) = watch::channel(false);
        let server = Arc::new(Self {
            connections: Connections::new(config.max_connections),
            database,
            cursors: Cursors::default(),
            started: Instant::now(),
            process_id: ObjectId::new(),
            advertised,
            config,
            stopping,
        });
        let mut tasks = listeners.accept(&server);
        tasks.push(tokio::spawn(reap(Arc::clone(&server))));
        Ok(Running {
            server,
            address,
            tasks,
        })
    }

    /// Becomes `true` when the server stops.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

impl Running {
    /// Accepts nothing more, lets running commands end, and closes the data.
    ///
    /// # Errors
    /// The engine could not write its last checkpoint; what was acknowledged is safe.
    pub async fn stop(self) -> collection_store::Result<()> {
        self.server.stopping.send_replace(true);
        for task in self.tasks {
            task.abort();
        }
        self.server.connections.all_gone().await;
        self.server.cursors.clear();
        tokio::task::block_in_place(|| self.server.database.close())
    }
}

/// Ends cursors that nobody asked for long.
async fn reap(server: Arc<Server>) {
    let mut every = tokio::time::interval(REAP_EVERY);
    loop {
        every.tick().await;
        tokio::task::block_in_place(|| server.cursors.reap(Instant::now()));
    }
}
