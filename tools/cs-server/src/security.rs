//! Who may do what.
//!
//! | question | where |
//! |---|---|
//! | may this user do this? (asked at one place, for each command) | `authorize.rs` |
//! | who is it? | `scram.rs` (the exchange), `login.rs` (its conversations) |
//! | who is there? | `users.rs` (as stored), `manage.rs` (the commands), `role.rs` |
//! | is the line secret? | `tls.rs` |
//!
//! ## Invariants
//! * Denied unless a role says otherwise; one function, [`authorize`], says so, for every command.
//! * A password is never stored: what is stored proves a password, and serves to prove the server's
//!   knowledge of it. None of it is in a log, an error or a figure, and it is wiped from memory.
//! * An unknown user costs what a known one costs, and is told the same.
//! * A change of users holds from the next command on, on connections that are open, too.
//! * No command of a client reaches the internal database.

mod authorize;
mod fault;
mod login;
mod manage;
mod role;
mod scram;
#[cfg(test)]
pub(crate) mod scram_client;
mod tls;
mod users;

pub use authorize::{Ask, authorize, is_sensitive, may_see_database};
pub use fault::SecurityFault;
pub use login::{Login, LoginReply, MAX_FAILED_LOGINS};
pub use manage::{USER_COMMANDS, UserCommand, manage};
pub use role::{Grant, Role};
pub use scram::{Credentials, MAX_PAYLOAD_BYTES, MECHANISM};
pub use tls::{TlsError, TlsIdentity};
pub use users::{User, Users};

use crate::namespace::INTERNAL_DATABASE;

/// Whether a database is the server's own: no client reaches it or sees its name.
fn is_internal(database: &str) -> bool {
    database == INTERNAL_DATABASE
}
