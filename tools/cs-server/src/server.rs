//! The server: what all its connections share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bson::oid::ObjectId;
use collection_store::{Database, DatabaseOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::config::{Config, EngineConfig};
use crate::connection::Connections;
use crate::cursor::Cursors;
use crate::failpoint::FailPoints;
use crate::http::HttpListener;
use crate::listener::Listeners;
use crate::observe::{Observer, Operations, process_memory};
use crate::security::{SecurityFault, TlsError, TlsIdentity, Users};
use crate::session::{self, Sessions};

/// How often cursors that nobody asked for long are looked for.
const REAP_EVERY: Duration = Duration::from_secs(30);
/// How often thresholds are looked at.
const WATCH_EVERY: Duration = Duration::from_secs(5);
/// How long operations get to see that they were told to end.
const CANCEL_TIME: Duration = Duration::from_secs(5);
/// The longest file with a password.
const MAX_PASSWORD_FILE: u64 = 4096;

/// What all connections share.
#[derive(Debug)]
pub struct Server {
    /// The engine. Each database of a client is one of its databases.
    pub database: Database,
    /// What it was told.
    pub config: Config,
    /// The cursors of all clients.
    pub cursors: Cursors,
    /// The sessions of all clients.
    pub sessions: Sessions,
    /// What is to go wrong, for tests.
    pub(crate) fail_points: FailPoints,
    /// Who is there.
    pub connections: Connections,
    /// What is being done.
    pub operations: Operations,
    /// What was done.
    pub observer: Observer,
    /// Who may be there.
    pub users: Users,
    /// Who the server is; none where connections are not encrypted.
    pub tls: Option<TlsIdentity>,
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
    /// Where it tells figures and health.
    pub http_address: Option<SocketAddr>,
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
    /// Settings that do not go together.
    #[error("configuration: {0}")]
    Config(String),
    /// Certificates that cannot be used.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// Users that cannot be read, or the first of them not be made.
    #[error("users: {0}")]
    Users(#[from] SecurityFault),
}

impl Server {
    /// Opens the data and begins to accept connections. Within a tokio runtime of several
    /// threads.
    ///
    /// # Errors
    /// The data cannot be opened, or an address is not to be had.
    pub async fn start(config: Config) -> Result<Running, StartError> {
        config.check().map_err(StartError::Config)?;
        let tls = TlsIdentity::open(&config.tls)?;
        let listeners = Listeners::bind(&config).await?;
        let http = HttpListener::bind(&config).await?;
        let (address, http_address) = (listeners.address, http.as_ref().map(|http| http.address));
        let (database, users) = tokio::task::block_in_place(|| open(&config))?;
        let advertised = config
            .advertise
            .clone()
            .unwrap_or_else(|| address.to_string());
        let (stopping, _) = watch::channel(false);
        let server = Arc::new(Self {
            connections: Connections::new(&config),
            sessions: Sessions::of(&database)?,
            fail_points: FailPoints::default(),
            operations: Operations::default(),
            observer: Observer::new(&database, &config),
            users,
            tls,
            database,
            cursors: Cursors::new(config.limits.cursors as usize, config.limits.cursor_timeout),
            started: Instant::now(),
            process_id: ObjectId::new(),
            advertised,
            config,
            stopping,
        });
        let monitor = server.database.monitor();
        server.observer.watch(monitor, &server.config.alerts);
        let mut tasks = listeners.accept(&server);
        tasks.push(tokio::spawn(reap(Arc::clone(&server))));
        tasks.push(tokio::spawn(watch(Arc::clone(&server))));
        tasks.extend(http.map(|http| http.accept(&server)));
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            address = %address,
            tls = server.tls.is_some(),
            authentication = server.config.security.authentication,
            "started"
        );
        Ok(Running {
            server,
            address,
            http_address,
            tasks,
        })
    }

    /// Reads the certificates again; those that make no sense leave the old ones in use.
    pub fn reload(&self) {
        let Some(tls) = &self.tls else {
            return;
        };
        match tls.reload() {
            Ok(()) => tracing::info!(target: "audit", "certificates read again"),
            Err(error) => tracing::error!(
                target: "audit",
                error = error.to_string(),
                "certificates not read again, the old ones stay in use"
            ),
        }
    }

    /// Becomes `true` when the server stops.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }
}

impl Running {
    /// Accepts nothing more, lets running commands end, tells those to end that take longer than
    /// `stop_timeout`, and closes the data.
    ///
    /// # Errors
    /// The engine could not write its last checkpoint; what was acknowledged is safe.
    pub async fn stop(self) -> collection_store::Result<()> {
        self.server.stopping.send_replace(true);
        for task in &self.tasks {
            task.abort();
        }
        // What goes with them is gone when this returns: the file of a socket, for one.
        for task in self.tasks {
            let _ = task.await;
        }
        let server = &self.server;
        tracing::info!(connections = server.connections.current(), "stopping");
        let stop_timeout = server.config.stop_timeout;
        let gone = tokio::time::timeout(stop_timeout, server.connections.all_gone()).await;
        if gone.is_err() {
            let operations = server.operations.running();
            tracing::warn!(operations, "operations take too long, and are told to end");
            server.operations.kill_all();
            let _ = tokio::time::timeout(CANCEL_TIME, server.connections.all_gone()).await;
        }
        server.cursors.clear();
        let closed = tokio::task::block_in_place(|| server.database.close());
        tracing::info!(well = closed.is_ok(), "stopped");
        closed
    }
}

/// Looks at thresholds.
async fn watch(server: Arc<Server>) {
    let mut every = tokio::time::interval(WATCH_EVERY);
    loop {
        every.tick().await;
        let memory = process_memory().map(|memory| memory.resident);
        server.database.check_thresholds(memory);
    }
}

/// Opens the data, and makes the first user if one is to be made.
fn open(config: &Config) -> Result<(Database, Users), StartError> {
    let options = options(&config.engine);
    let database = match &config.data_dir {
        Some(path) => options.open(path)?,
        None => options.open_in_memory()?,
    };
    let security = &config.security;
    let users = Users::open(&database, security.scram_iterations);
    if let (Some(name), Some(path)) = (&security.bootstrap_user, &security.bootstrap_password_file)
    {
        let password = password(path).map_err(|error| {
            let path = path.display();
            StartError::Config(format!("security.bootstrap_password_file {path}: {error}"))
        })?;
        if users.bootstrap(name, password.trim_end_matches(['\r', '\n']))? {
            tracing::info!(target: "audit", user = name, "first user made");
        }
    }
    Ok((database, users))
}

fn password(path: &std::path::Path) -> std::io::Result<Zeroizing<String>> {
    use std::io::Read;
    let mut password = Zeroizing::new(String::new());
    let file = std::fs::File::open(path)?;
    file.take(MAX_PASSWORD_FILE).read_to_string(&mut password)?;
    Ok(password)
}

fn options(engine: &EngineConfig) -> DatabaseOptions {
    Database::options()
        .cache_bytes(engine.cache.get())
        .durability(engine.durability)
        .flush_interval(engine.flush_interval)
        .expire_interval(Some(engine.expire_interval))
        .keep_changes(engine.keep_changes.get(), engine.keep_changes_age)
}

/// Ends cursors that nobody asked for long.
async fn reap(server: Arc<Server>) {
    let mut every = tokio::time::interval(REAP_EVERY);
    loop {
        every.tick().await;
        tokio::task::block_in_place(|| {
            server.cursors.reap(Instant::now());
            session::commands::reap(&server);
        });
    }
}
