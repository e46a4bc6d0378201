//! How a command belongs to its session: by itself, as a retryable write, or as part of a
//! transaction.
//!
//! | file | what |
//! |---|---|
//! | `transaction.rs` | which of the three it is; what the command's handler asks for then |
//! | `within.rs` | commands of transactions; commit and abort |
//! | `once.rs` | retryable writes |
//!
//! ## Invariants
//! * Every command passes `run`, and every handle of a collection that a handler gets is that of
//!   the transaction which it belongs to.
//! * A retryable write and its answer are one commit of the engine: it was carried out and is
//!   answered the same for ever, or neither.
//! * A command of a transaction that fails ends the transaction.

mod once;
mod within;

use std::sync::Arc;

use collection_store::{Collection, Durability, OperationContext, Transaction};
use sha2::{Digest, Sha256};

pub(crate) use once::forget as forget_answer;
pub(crate) use within::COMMANDS;

use crate::command::Context;
use crate::concern::{self, WriteConcern};
use crate::error::{CommandError, Result, code};
use crate::failpoint;
use crate::namespace::Namespace;
use crate::reply::Reply;
use crate::session::{Session, SessionId};

/// How a command belongs to its session.
#[derive(Debug, Default)]
pub struct Part {
    /// What its reads and writes are part of.
    transaction: Option<Transaction>,
    /// The number of the client's transaction.
    number: Option<i64>,
    /// The name of its one write.
    statement: Option<(SessionId, u64)>,
    /// What its writes survive, where that is not what the database has.
    durability: Option<Durability>,
    /// A fail point said which labels its error has.
    pub(crate) keeps_labels: bool,
}

/// Commands that are retryable writes when they come with a number.
const RETRYABLE: [&str; 6] = [
    "insert",
    "update",
    "delete",
    "findAndModify",
    "findandmodify",
    "bulkWrite",
];

/// Carries a command out as what it is in its session.
pub(crate) fn run(context: &mut Context<'_>) -> Result<Reply> {
    let mishap = failpoint::befall(context).map_err(|error| labelled(context, error))?;
    concern::check_read(context)?;
    let concern = WriteConcern::of(context)?;
    context.part.durability = concern.durability();
    let mut reply = run_in_session(context)?;
    concern.judge(&mut reply);
    mishap.tell(&mut reply, is_retryable(context));
    Ok(reply)
}

/// Whether a driver may send the command once more.
fn is_retryable(context: &Context<'_>) -> bool {
    let name = context.spec.name;
    let envelope = &context.envelope;
    let is_write = envelope.txn_number.is_some() && RETRYABLE.contains(&name);
    within::is_end(name) || (is_write && !envelope.is_in_transaction())
}

/// An error that befell a command before it was carried out, unless it says which labels it has.
fn labelled(context: &Context<'_>, error: CommandError) -> CommandError {
    if context.part.keeps_labels {
        return error;
    }
    let name = context.spec.name;
    match context.envelope.is_in_transaction() {
        true if within::is_end(name) => within::labelled_end(error),
        true => within::labelled(error),
        false if is_retryable(context) => retryable(error),
        false => error,
    }
}

/// What a driver may send once more says so.
fn retryable(error: CommandError) -> CommandError {
    match error.is_retryable() {
        true => error.with_label("RetryableWriteError"),
        false => error,
    }
}

fn run_in_session(context: &mut Context<'_>) -> Result<Reply> {
    let is_unknown =
        context.server.config.security.authentication && context.connection.user.is_none();
    // Nobody makes sessions before it is known who it is.
    let lsid = context.session_id().filter(|_| !is_unknown);
    let Some(lsid) = lsid else {
        return (context.spec.run)(context);
    };
    let session = context.server.sessions.enter(lsid)?;
    match (
        context.envelope.txn_number,
        context.envelope.is_in_transaction(),
    ) {
        (Some(number), true) => within::run(context, &session, number),
        (Some(number), false) => write_once(context, &session, number),
        (None, _) => (context.spec.run)(context),
    }
}

fn write_once(context: &mut Context<'_>, session: &Arc<Session>, number: i64) -> Result<Reply> {
    let name = context.spec.name;
    if within::is_end(name) {
        let message = format!("'{name}' belongs to a transaction: 'autocommit' has to be false");
        return Err(CommandError::new(code::INVALID_OPTIONS, message));
    }
    if !RETRYABLE.contains(&name) {
        let message = format!("txnNumber may only be provided for retryable writes, not '{name}'");
        return Err(CommandError::new(50768, message));
    }
    let write = |context: &mut Context<'_>| once::run(context, session, number);
    failpoint::befall_write(context, (&session.id, number), write).map_err(retryable)
}

impl Context<'_> {
    /// The session of this UUID as the one who gives the command means it: that of another user
    /// is another one.
    pub(crate) fn owned(&self, lsid: SessionId) -> SessionId {
        let Some((user, _)) = &self.connection.user else {
            return lsid;
        };
        let mixed = Sha256::new().chain_update(lsid).chain_update(user.id());
        let mut owned = lsid;
        owned.copy_from_slice(&mixed.finalize()[..lsid.len()]);
        owned
    }

    /// The session that the command belongs to.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.envelope.lsid.map(|lsid| self.owned(lsid))
    }

    /// The engine's handle: within the transaction that the command is part of.
    ///
    /// # Errors
    /// None so far.
    pub fn collection(&self, namespace: &Namespace) -> Result<Collection> {
        let Namespace {
            database,
            collection,
        } = namespace;
        Ok(match &self.part.transaction {
            Some(transaction) => transaction.collection_in(database, collection),
            None => self
                .server
                .database
                .database(database)
                .collection(collection),
        })
    }

    /// Limits and wishes of an operation that reads, or that writes beside the command's writes
    /// proper.
    #[must_use]
    pub fn operation(&self) -> OperationContext {
        let operation = self.operation_without_time();
        match self.envelope.max_time {
            Some(time) => operation.timeout(time),
            None => operation,
        }
    }

    /// The same, where time is kept by somebody else.
    #[must_use]
    pub fn operation_without_time(&self) -> OperationContext {
        let memory = self.server.config.limits.operation_memory.get();
        let operation = OperationContext::new()
            .memory_limit(memory)
            .cancel_flag(self.cancel.clone());
        match self.part.durability {
            Some(durability) => operation.durability(durability),
            None => operation,
        }
    }

    /// Limits and wishes of the command's write at this position; the engine carries it out once.
    ///
    /// # Errors
    /// The command has more writes than it was taken for.
    pub fn write_operation(&self, index: usize) -> Result<OperationContext> {
        let operation = self.operation();
        match self.part.statement {
            None => Ok(operation),
            Some((session, number)) if index == 0 => Ok(operation.statement(session, number)),
            Some(_) => {
                let message = format!("write {index} of a command of one write");
                Err(CommandError::new(code::INTERNAL_ERROR, message))
            }
        }
    }

    /// The number of the client's transaction that the command is part of.
    #[must_use]
    pub fn transaction_number(&self) -> Option<i64> {
        self.part.number
    }

    /// Whether the command takes part in a transaction, the client's or its own.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.part.transaction.is_some()
    }
}
