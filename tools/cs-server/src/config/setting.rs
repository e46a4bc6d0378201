//! The one table of settings.

use super::Config;
use super::value::Value;

/// One setting.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its name in files: `section.name`, or `name` alone.
    pub key: &'static str,
    /// What it is, for the help.
    pub about: &'static str,
    /// What its value looks like.
    pub expected: &'static str,
    /// Whether it is a switch, which as a flag needs no value.
    pub is_switch: bool,
    set: fn(&mut Config, &str) -> bool,
    show: fn(&Config) -> String,
}

impl Setting {
    /// Its name as a flag, without the dashes.
    #[must_use]
    pub fn flag(&self) -> String {
        self.key.replace(['.', '_'], "-")
    }

    /// Its name in the environment.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("CS_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// Its value, as it would be written.
    #[must_use]
    pub fn show(&self, config: &Config) -> String {
        (self.show)(config)
    }

    /// Whether the text was a value for it.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> bool {
        (self.set)(config, text)
    }
}

const fn expected<T: Value>(_: fn(&Config) -> &T) -> &'static str {
    T::EXPECTED
}

macro_rules! settings {
    ($($key:literal $kind:ident $($field:ident).+ : $about:literal;)*) => {
        /// All settings, in the order in which they are shown.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: $key,
            about: $about,
            expected: expected(|config| &config.$($field).+),
            is_switch: settings!(@$kind),
            set: |config, text| match Value::read(text) {
                Some(value) => {
                    config.$($field).+ = value;
                    true
                }
                None => false,
            },
            show: |config| Value::show(&config.$($field).+),
        }),*];
    };
    (@switch) => { true };
    (@value) => { false };
}

settings! {
    "dev" switch dev: "for trying out and developing: no authentication, loopback alone, in memory unless told where";
    "data_dir" value data_dir: "where the database lies; empty: in memory, and lost at the end";
    "bind" value bind: "the address to listen at";
    "port" value port: "the port to listen at; 0 lets the system choose";
    "unix_socket" value unix_socket: "a Unix socket to listen at, too";
    "advertise" value advertise: "host:port as clients reach the server; they are told so";
    "replica_set" value replica_set: "the name of the replica set that clients see";
    "test_commands" switch test_commands: "whether commands for tests (configureFailPoint) are there";
    "stop_timeout" value stop_timeout: "how long running operations get when the server is told to stop";
    "engine.cache" value engine.cache: "memory for pages";
    "engine.durability" value engine.durability: "what acknowledged writes survive, unless a command says otherwise";
    "engine.flush_interval" value engine.flush_interval: "the longest that an async write stays unsynced";
    "engine.expire_interval" value engine.expire_interval: "how often expired documents are looked for";
    "engine.keep_changes" value engine.keep_changes: "bytes of log kept for change streams that go on later";
    "engine.keep_changes_age" value engine.keep_changes_age: "… and nothing older than this";
    "tls.certificate" value tls.certificate: "the certificate chain (PEM)";
    "tls.key" value tls.key: "its private key (PEM)";
    "tls.client_ca" value tls.client_ca: "who signs certificates of clients (PEM)";
    "tls.require_client_certificate" switch tls.require_client_certificate: "whether a client without a certificate is refused";
    "security.authentication" switch security.authentication: "whether clients have to say who they are";
    "security.scram_iterations" value security.scram_iterations: "iterations of SCRAM-SHA-256 for passwords set from now on";
    "security.localhost_exception" switch security.localhost_exception: "whether a client of this host may make the first user while there is none";
    "security.bootstrap_user" value security.bootstrap_user: "the first user, with role root, made when there is none";
    "security.bootstrap_password_file" value security.bootstrap_password_file: "the file with its password";
    "security.unsafe_no_tls_off_host" switch security.unsafe_no_tls_off_host: "UNSAFE: listen off-host without TLS";
    "security.unsafe_no_authentication_off_host" switch security.unsafe_no_authentication_off_host: "UNSAFE: listen off-host without authentication";
    "limits.connections" value limits.connections: "connections at once";
    "limits.unauthenticated_connections" value limits.unauthenticated_connections: "connections at once that have not said who they are";
    "limits.authentication_timeout" value limits.authentication_timeout: "the time in which they have to";
    "limits.idle_timeout" value limits.idle_timeout: "connections without a command for so long are closed";
    "limits.unauthenticated_message" value limits.unauthenticated_message: "the largest message before it is known who sends";
    "limits.message" value limits.message: "the largest message";
    "limits.cursors" value limits.cursors: "open cursors of all clients together";
    "limits.cursor_timeout" value limits.cursor_timeout: "a cursor that nobody asks for so long is closed";
    "limits.operation_memory" value limits.operation_memory: "memory that one operation may hold";
    "limits.commands_per_second" value limits.commands_per_second: "commands a second that one connection may send; 0: any";
    "http.enabled" switch http.enabled: "whether there is a listener of figures and health";
    "http.bind" value http.bind: "its address";
    "http.port" value http.port: "its port; 0 lets the system choose";
    "http.unsafe_off_host" switch http.unsafe_off_host: "UNSAFE: let it answer off-host, to everybody, unencrypted";
    "log.level" value log.level: "the least severe that is written";
    "log.format" value log.format: "how lines of the log look";
    "log.slow" value log.slow: "operations that take longer are written, with their plan";
    "alerts.latency" value alerts.latency: "alert when the 99th percentile of commands is above this; 0: never";
    "alerts.throughput" value alerts.throughput: "alert above so many commands a second; 0: never";
    "alerts.error_percent" value alerts.error_percent: "alert above so many failed commands in a hundred; 0: never";
    "alerts.memory" value alerts.memory: "alert above so much memory of the process; 0: never";
}
