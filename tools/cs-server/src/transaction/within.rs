//! Commands of transactions; commit and abort.

use std::time::Duration;

use bson::RawDocument;
use collection_store::{Database, ErrorKind, SessionStatement, TransactionOptions};

use super::Part;
use crate::command::{CommandSpec, Context, Handler, Privilege};
use crate::error::{CommandError, Result, code};
use crate::reply::Reply;
use crate::session::{Phase, Session, State};

/// After which time a transaction is rolled back, as in MongoDB.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// What the driver may do: begin the whole transaction anew.
const TRANSIENT: &str = "TransientTransactionError";
/// Databases that no transaction has to do with.
const OUTSIDE: [&str; 3] = ["admin", "config", "local"];

const fn spec(name: &'static str, run: Handler) -> CommandSpec {
    CommandSpec {
        in_txn: true,
        ..CommandSpec::new(name, Privilege::None, &["recoveryToken"], run)
    }
}

/// The family.
pub(crate) const COMMANDS: &[CommandSpec] = &[
    spec("commitTransaction", outside),
    spec("abortTransaction", outside),
];

/// Whether the command of this name ends transactions.
pub(super) fn is_end(name: &str) -> bool {
    matches!(name, "commitTransaction" | "abortTransaction")
}

/// Neither comes without a session.
fn outside(context: &mut Context<'_>) -> Result<Reply> {
    let message = format!("'{}' must be run within a transaction", context.spec.name);
    Err(CommandError::new(code::INVALID_OPTIONS, message))
}

/// Carries out a command of the transaction of this number.
pub(super) fn run(context: &mut Context<'_>, session: &Session, number: i64) -> Result<Reply> {
    let _turn = session.turn();
    let ended = match context.spec.name {
        "commitTransaction" => Some(commit(context, session, number)),
        "abortTransaction" => Some(abort(context, session, number)),
        _ => None,
    };
    if let Some(ended) = ended {
        kill_cursors(context, session, number);
        return ended.map(|()| Reply::ok()).map_err(labelled_end);
    }
    // What cannot even begin leaves the transaction as it is.
    enter(context, session, number).map_err(labelled)?;
    let outcome = (context.spec.run)(context).map_err(expired);
    let has_failed = match &outcome {
        Ok(reply) => tells_of_failure(&reply.document),
        Err(_) => true,
    };
    context.part = Part::default();
    if has_failed && session.state().open().is_some_and(|open| open.0 == number) {
        session.abort(&context.server.database);
        kill_cursors(context, session, number);
    }
    outcome.map_err(labelled)
}

/// Whether a write of the command failed, though the command as a whole did not.
fn tells_of_failure(reply: &RawDocument) -> bool {
    let has = |name| reply.get(name).ok().flatten();
    let errors = has("nErrors").and_then(crate::fields::integer);
    has("writeErrors").is_some() || errors.is_some_and(|errors| errors > 0)
}

/// Makes the command part of the transaction, which may begin with it.
fn enter(context: &mut Context<'_>, session: &Session, number: i64) -> Result<()> {
    let name = context.spec.name;
    if !context.spec.in_txn {
        let message = format!("Cannot run '{name}' in a multi-document transaction.");
        return Err(CommandError::new(code::NOT_IN_TRANSACTION, message));
    }
    let names_cursor = matches!(name, "getMore" | "killCursors");
    if OUTSIDE.contains(&context.database) && !names_cursor && name != "bulkWrite" {
        let message = format!(
            "Cannot run command against the '{}' database in a transaction.",
            context.database
        );
        return Err(CommandError::new(code::NOT_IN_TRANSACTION, message));
    }
    if context.envelope.write_concern.is_some() {
        let message = "writeConcern is not allowed within a multi-statement transaction";
        return Err(CommandError::new(code::INVALID_OPTIONS, message));
    }
    let database = &context.server.database;
    let id = if context.envelope.start_transaction == Some(true) {
        begin(database, session, number)?
    } else {
        if context.envelope.read_concern.is_some() {
            let message = "Only the first command in a transaction may specify a readConcern";
            return Err(CommandError::new(code::INVALID_OPTIONS, message));
        }
        session.state().transaction(number)?
    };
    context.part.transaction = Some(database.transaction(id).map_err(gone)?);
    context.part.number = Some(number);
    Ok(())
}

/// Begins it; one of an older number is rolled back.
fn begin(database: &Database, session: &Session, number: i64) -> Result<u64> {
    session.state().check_new(number)?;
    session.abort(database);
    let options = options(session, number)?;
    let id = database.begin_with(&options)?.detach();
    session.state().set(number, Phase::Open(id));
    Ok(id)
}

/// The commit is a statement of the session: asked for again, also after a restart, it is known.
fn options(session: &Session, number: i64) -> Result<TransactionOptions> {
    Ok(TransactionOptions::new()
        .timeout(LIFETIME)
        .statement(SessionStatement {
            session: session.id,
            number: engine_number(number)?,
            results: Vec::new(),
        }))
}

/// A number of a session, as the engine counts.
pub(super) fn engine_number(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| CommandError::bad_value("a txnNumber is not negative"))
}

fn commit(context: &Context<'_>, session: &Session, number: i64) -> Result<()> {
    let database = &context.server.database;
    let phase = session.state().phase(number)?;
    match phase {
        Some(Phase::Committed) => return Ok(()),
        None if was_committed(database, session, number)? => return Ok(()),
        _ => {}
    }
    let id = session.state().transaction(number)?;
    let mut options = options(session, number)?;
    options.durability = context.part.durability;
    let transaction = database.transaction_with(id, &options).map_err(|error| {
        session.state().set(number, Phase::Aborted);
        gone(error)
    })?;
    let committed = transaction.commit();
    let phase = match &committed {
        Ok(()) => Phase::Committed,
        Err(_) => Phase::Aborted,
    };
    let mut state = session.state();
    // Killed meanwhile, it may have begun another.
    if state.open().is_some_and(|open| open == (number, id)) || phase == Phase::Committed {
        settle(&mut state, number, phase);
    }
    committed.map_err(|error| expired(error.into()))
}

fn settle(state: &mut State, number: i64, phase: Phase) {
    if state.phase(number).is_ok() {
        state.set(number, phase);
    }
}

/// Whether a server before this one committed it.
fn was_committed(database: &Database, session: &Session, number: i64) -> Result<bool> {
    let asked = engine_number(number)?;
    Ok(match database.last_statement(&session.id)? {
        Some(last) if last.number == asked && last.results.is_empty() => {
            settle(&mut session.state(), number, Phase::Committed);
            true
        }
        _ => false,
    })
}

fn abort(context: &Context<'_>, session: &Session, number: i64) -> Result<()> {
    session.state().transaction(number)?;
    session.abort(&context.server.database);
    Ok(())
}

/// The cursors of a transaction end with it.
fn kill_cursors(context: &Context<'_>, session: &Session, number: i64) {
    context
        .server
        .cursors
        .kill_session(&session.id, Some(number));
}

/// The engine does not know the transaction any more: its time was up.
fn gone(error: collection_store::Error) -> CommandError {
    match error.kind() {
        ErrorKind::NoSuchTransaction => {
            let message = format!(
                "Transaction took longer than {} seconds and was rolled back.",
                LIFETIME.as_secs()
            );
            CommandError::new(code::NO_SUCH_TRANSACTION, message)
        }
        _ => error.into(),
    }
}

/// What a driver is told of a transaction whose time is up is that it is gone: it may begin anew.
fn expired(mut error: CommandError) -> CommandError {
    if error.code == 290 {
        error.code = code::NO_SUCH_TRANSACTION;
    }
    error
}

/// What failed within a transaction can be tried anew as a whole, where that may help.
pub(super) fn labelled(error: CommandError) -> CommandError {
    let helps = error.is_retryable()
        || matches!(
            error.code,
            24 | 112 | 239 | 246 | 267 | code::NO_SUCH_TRANSACTION
        );
    match helps {
        true => error.with_label(TRANSIENT),
        false => error,
    }
}

/// The same of a commit or abort, which may be sent again by itself.
pub(super) fn labelled_end(error: CommandError) -> CommandError {
    if error.is_retryable() {
        return error.with_label("RetryableWriteError");
    }
    match error.code {
        24 | 112 | 246 | 267 | code::NO_SUCH_TRANSACTION => error.with_label(TRANSIENT),
        _ => error,
    }
}
