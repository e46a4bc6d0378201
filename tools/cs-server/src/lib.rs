#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod changes;
pub mod clock;
pub mod command;
mod concern;
pub mod config;
pub mod connection;
pub mod cursor;
pub mod error;
mod failpoint;
pub mod fields;
mod hello;
mod http;
mod listener;
pub mod namespace;
pub mod observe;
pub mod reply;
pub mod security;
pub mod server;
pub mod session;
pub mod transaction;
pub mod wire;

pub use command::{CommandSpec, Context, Privilege};
pub use config::Config;
pub use connection::{ConnectionState, Peer};
pub use cursor::Cursors;
pub use namespace::Namespace;
pub use observe::start_logs;
pub use reply::{BatchWriter, Reply, count};
pub use server::{Running, Server};
pub use session::Envelope;

/// The version of MongoDB that the server presents itself as.
pub const MONGODB_VERSION: [i32; 4] = [8, 0, 0, 0];
/// The newest wire version that it speaks: that of MongoDB 8.0.
pub const MAX_WIRE_VERSION: i32 = 25;

#[cfg(test)]
mod tests;
