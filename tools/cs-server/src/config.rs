//! What a server is told.

use std::path::PathBuf;

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the data is; in memory if nowhere.
    pub data_dir: Option<PathBuf>,
    /// The address to listen on.
    pub bind: String,
    /// The port to listen on; 0 is any that is free.
    pub port: u16,
    /// A Unix socket to listen on as well.
    pub unix_socket: Option<PathBuf>,
    /// The name of the replica set that the server is the one member of.
    pub replica_set: String,
    /// The address by which clients reach it, where that is not the one it listens on.
    pub advertised: Option<String>,
    /// How many connections there may be.
    pub max_connections: usize,
    /// Whether commands that only tests need may be used.
    pub test_commands: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: None,
            bind: "127.0.0.1".to_owned(),
            port: 27017,
            unix_socket: None,
            replica_set: "cs".to_owned(),
            advertised: None,
            max_connections: 10_000,
            test_commands: false,
        }
    }
}
