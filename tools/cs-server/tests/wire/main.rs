//! The server over raw sockets: what drivers never send, and what they insist on.

#![allow(clippy::unwrap_used, reason = "a failed test panics")]

mod commands;
mod frames;
mod sessions;
mod support;
