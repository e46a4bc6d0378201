//! The configuration: what may be said, where it was said, and whether it makes sense.
//!
//! Built-in defaults < file (TOML) < environment (`CS_…`) < flags. One [table](SETTINGS) names
//! every setting once; file, environment, flags, `config show` and the README's table come from it.
//!
//! ## Invariants
//! * A key that nobody knows is an error that names the nearest one, wherever it was written.
//! * No secret is a setting: passwords and keys are in files, whose paths are.
//! * [`Config::check`] has passed before anything is opened: what is off-host has TLS and
//!   authentication, unless an option whose name says `unsafe` was set.

mod check;
mod flags;
mod load;
mod origin;
mod setting;
mod value;

pub use flags::{Invocation, Request, command_line, read_command_line};
pub use load::{ConfigError, Loaded, Sources, load};
pub use origin::Origin;
pub use setting::{SETTINGS, Setting};
pub use value::ByteSize;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use collection_store::Durability;

/// MongoDB's port.
const DEFAULT_PORT: u16 = 27017;
/// The listener of figures and health.
const DEFAULT_HTTP_PORT: u16 = 27018;
/// The default of MongoDB, and the least that is accepted.
pub const MIN_SCRAM_ITERATIONS: u32 = 15_000;
/// More would let one login take seconds of a core.
pub const MAX_SCRAM_ITERATIONS: u32 = 1_000_000;

/// Everything that can be configured, as it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// For trying out and developing: no authentication, loopback alone, in memory unless told where.
    pub dev: bool,
    /// Where the database lies; in memory if nowhere.
    pub data_dir: Option<PathBuf>,
    /// The address that the server listens at.
    pub bind: IpAddr,
    /// The port that the server listens at; 0 lets the system choose.
    pub port: u16,
    /// A Unix socket to listen at, too.
    pub unix_socket: Option<PathBuf>,
    /// `host:port` as clients reach it; they are told so in each hello.
    pub advertise: Option<String>,
    /// The name of the replica set that clients see.
    pub replica_set: String,
    /// Whether commands for tests (`configureFailPoint`) are there.
    pub test_commands: bool,
    /// How long running operations get when the server is told to stop.
    pub stop_timeout: Duration,
    /// The engine beneath.
    pub engine: EngineConfig,
    /// Encrypted connections.
    pub tls: TlsConfig,
    /// Who may come in.
    pub security: SecurityConfig,
    /// What clients may take.
    pub limits: LimitsConfig,
    /// The listener of figures and health.
    pub http: HttpConfig,
    /// Logs.
    pub log: LogConfig,
    /// When the server raises an alert.
    pub alerts: AlertsConfig,
}

/// The engine beneath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Memory for pages.
    pub cache: ByteSize,
    /// What acknowledged writes survive, unless a command says otherwise.
    pub durability: Durability,
    /// The longest that an `async` write stays unsynced.
    pub flush_interval: Duration,
    /// How often documents that have expired are looked for.
    pub expire_interval: Duration,
    /// Bytes of log kept for change streams that go on later.
    pub keep_changes: ByteSize,
    /// … and nothing older than this.
    pub keep_changes_age: Duration,
}

/// Encrypted connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// The certificate chain, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM.
    pub key: Option<PathBuf>,
    /// Who signs certificates of clients, PEM; with it, a client that shows one is checked.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is refused.
    pub require_client_certificate: bool,
}

/// Who may come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityConfig {
    /// Whether clients have to say who they are.
    pub authentication: bool,
    /// Iterations of SCRAM-SHA-256 for passwords that are set from now on.
    pub scram_iterations: u32,
    /// Whether a client of this host may make the first user while there is none.
    pub localhost_exception: bool,
    /// The first user, with role root, made when there is none.
    pub bootstrap_user: Option<String>,
    /// The file with its password.
    pub bootstrap_password_file: Option<PathBuf>,
    /// Listens off-host without TLS: everybody on the way can read and change everything.
    pub unsafe_no_tls_off_host: bool,
    /// Listens off-host without authentication: everybody may do everything.
    pub unsafe_no_authentication_off_host: bool,
}

/// What clients may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Connections at once.
    pub connections: u32,
    /// Connections at once that have not said who they are, where they have to.
    pub unauthenticated_connections: u32,
    /// The time in which they have to.
    pub authentication_timeout: Duration,
    /// Connections without a command for so long are closed.
    pub idle_timeout: Duration,
    /// The largest message before it is known who sends.
    pub unauthenticated_message: ByteSize,
    /// The largest message.
    pub message: ByteSize,
    /// Open cursors of all clients together.
    pub cursors: u32,
    /// A cursor that nobody asks for so long is closed.
    pub cursor_timeout: Duration,
    /// Memory that one operation may hold.
    pub operation_memory: ByteSize,
    /// Commands a second that one connection may send; 0: any.
    pub commands_per_second: u32,
}

/// The listener of figures and health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpConfig {
    /// Whether there is one.
    pub enabled: bool,
    /// Its address.
    pub bind: IpAddr,
    /// Its port; 0 lets the system choose.
    pub port: u16,
    /// Answers off-host, to everybody, unencrypted.
    pub unsafe_off_host: bool,
}

/// Logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least severe that is written.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
    /// Operations that take longer are written, with their plan.
    pub slow: Duration,
}

/// When the server raises an alert; 0: never.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertsConfig {
    /// The 99th percentile of commands above this.
    pub latency: Duration,
    /// More commands a second than this.
    pub throughput: u64,
    /// More failed commands than this in a hundred.
    pub error_percent: u8,
    /// More memory of the process than this.
    pub memory: ByteSize,
}

/// How severe a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogLevel {
    /// What somebody has to look at.
    Error,
    /// What somebody may have to.
    Warn,
    /// What happens.
    Info,
    /// Also why.
    Debug,
    /// Everything.
    Trace,
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            dev: false,
            data_dir: Some(PathBuf::from("cs-data")),
            bind: loopback,
            port: DEFAULT_PORT,
            unix_socket: None,
            advertise: None,
            replica_set: "cs".to_owned(),
            test_commands: false,
            stop_timeout: Duration::from_secs(10),
            engine: EngineConfig {
                cache: ByteSize::mebibytes(256),
                durability: Durability::Sync,
                flush_interval: Duration::from_secs(1),
                expire_interval: Duration::from_secs(60),
                keep_changes: ByteSize::mebibytes(256),
                keep_changes_age: Duration::from_secs(24 * 60 * 60),
            },
            tls: TlsConfig::default(),
            security: SecurityConfig {
                authentication: true,
                scram_iterations: MIN_SCRAM_ITERATIONS,
                localhost_exception: true,
                bootstrap_user: None,
                bootstrap_password_file: None,
                unsafe_no_tls_off_host: false,
                unsafe_no_authentication_off_host: false,
            },
            limits: LimitsConfig {
                connections: 4096,
                unauthenticated_connections: 256,
                authentication_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(60 * 60),
                unauthenticated_message: ByteSize::kibibytes(4),
                message: ByteSize::bytes(48_000_000),
                cursors: 10_000,
                cursor_timeout: Duration::from_secs(10 * 60),
                operation_memory: ByteSize::mebibytes(256),
                commands_per_second: 0,
            },
            http: HttpConfig {
                enabled: true,
                bind: loopback,
                port: DEFAULT_HTTP_PORT,
                unsafe_off_host: false,
            },
            log: LogConfig {
                level: LogLevel::Info,
                format: LogFormat::Text,
                slow: Duration::from_millis(100),
            },
            alerts: AlertsConfig::default(),
        }
    }
}

impl Config {
    /// What `--dev` changes of the defaults.
    #[must_use]
    pub fn dev() -> Self {
        let mut config = Self {
            dev: true,
            data_dir: None,
            ..Self::default()
        };
        config.security.authentication = false;
        // Several may be tried out beside each other; the port is told at the start.
        config.http.port = 0;
        config
    }

    /// As [`dev`](Self::dev), at ports that the system chooses, and without a listener
    /// of figures: for tests.
    #[must_use]
    pub fn in_memory() -> Self {
        let mut config = Self::dev();
        config.port = 0;
        config.http.enabled = false;
        config.http.port = 0;
        config
    }

    /// Whether connections over TCP are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls.certificate.is_some()
    }
}

#[cfg(test)]
mod tests;
