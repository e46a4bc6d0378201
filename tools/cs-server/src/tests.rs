//! The server as a client of few words sees it: over a socket, message by message.

mod client;
mod figures;
mod hostile;
mod limits;
mod login;
mod secrets;
mod stop;
