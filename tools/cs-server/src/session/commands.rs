//! Commands about sessions: begun, used, ended, killed.

use bson::spec::BinarySubtype;
use bson::{Binary, RawBsonRef, RawDocument, rawdoc};

use super::{SESSION_TIMEOUT, SessionId, session_id};
use crate::command::{CommandSpec, Context, Handler, Privilege};
use crate::error::{CommandError, Result};
use crate::reply::Reply;
use crate::server::Server;

/// How many sessions one command may name, as in MongoDB.
const MAX_NAMED: usize = 10_000;

const fn spec(name: &'static str, role: Privilege, before_auth: bool, run: Handler) -> CommandSpec {
    CommandSpec {
        before_auth,
        ..CommandSpec::new(name, role, &[], run)
    }
}

/// The family.
pub(crate) const COMMANDS: &[CommandSpec] = &[
    spec("startSession", Privilege::None, false, start),
    spec("refreshSessions", Privilege::None, false, refresh),
    // Clients say goodbye also before they have said who they are.
    spec("endSessions", Privilege::None, true, end),
    spec("killSessions", Privilege::ClusterAdmin, false, kill),
    spec("killAllSessions", Privilege::ClusterAdmin, false, kill_all),
    spec(
        "killAllSessionsByPattern",
        Privilege::ClusterAdmin,
        false,
        kill_all,
    ),
];

/// Ends what a session has begun; it stays.
pub(crate) fn abandon(server: &Server, id: &SessionId) {
    if let Some(session) = server.sessions.find(id) {
        session.abort(&server.database);
        server.cursors.kill_session(id, None);
    }
}

/// Ends a session, and all it has begun.
pub(crate) fn end_session(server: &Server, id: &SessionId) {
    if let Some(session) = server.sessions.end(id) {
        session.abort(&server.database);
        server.cursors.kill_session(id, None);
    }
}

/// Ends sessions that nobody uses, and has the engine forget what it keeps of those that ended.
pub(crate) fn reap(server: &Server) {
    for id in server.sessions.unused_for(SESSION_TIMEOUT) {
        end_session(server, &id);
    }
    server.sessions.forget(&server.database);
    // Whoever looks at transactions ends those whose time is up.
    let _ = server.database.list_transactions();
}

/// The sessions that the first field of a command names.
fn named(context: &Context<'_>) -> Result<Vec<SessionId>> {
    let Some((name, value)) = context.fields.first() else {
        return Ok(Vec::new());
    };
    let RawBsonRef::Array(array) = value else {
        return Err(context.fields.mismatch(name, value, "array"));
    };
    let mut ids = Vec::new();
    for element in array {
        if ids.len() == MAX_NAMED {
            let message = format!("'{name}' names more than {MAX_NAMED} sessions");
            return Err(CommandError::bad_value(message));
        }
        match element? {
            RawBsonRef::Document(lsid) => ids.push(of(context, lsid)?),
            other => return Err(context.fields.mismatch(name, other, "object")),
        }
    }
    Ok(ids)
}

fn of(context: &Context<'_>, lsid: &RawDocument) -> Result<SessionId> {
    Ok(context.owned(session_id(lsid)?))
}

fn start(context: &mut Context<'_>) -> Result<Reply> {
    let id = bson::uuid::Uuid::new().bytes();
    context.server.sessions.enter(context.owned(id))?;
    let id = Binary {
        subtype: BinarySubtype::Uuid,
        bytes: id.to_vec(),
    };
    let minutes = i32::try_from(SESSION_TIMEOUT.as_secs() / 60).unwrap_or(i32::MAX);
    Ok(rawdoc! { "id": { "id": id }, "timeoutMinutes": minutes }.into())
}

fn refresh(context: &mut Context<'_>) -> Result<Reply> {
    for id in named(context)? {
        context.server.sessions.enter(id)?;
    }
    Ok(Reply::ok())
}

fn end(context: &mut Context<'_>) -> Result<Reply> {
    for id in named(context)? {
        end_session(context.server, &id);
    }
    Ok(Reply::ok())
}

fn kill(context: &mut Context<'_>) -> Result<Reply> {
    let ids = named(context)?;
    if ids.is_empty() {
        return kill_everything(context);
    }
    for id in ids {
        abandon(context.server, &id);
    }
    Ok(Reply::ok())
}

/// Kills all sessions; patterns are not honoured, but for the empty list, which is all.
fn kill_all(context: &mut Context<'_>) -> Result<Reply> {
    match context.fields.first() {
        Some((_, RawBsonRef::Array(patterns))) if patterns.is_empty() => kill_everything(context),
        Some((name, RawBsonRef::Array(_))) => {
            let message = format!("'{name}' is supported with an empty list only: all sessions");
            Err(CommandError::new(72, message))
        }
        Some((name, other)) => Err(context.fields.mismatch(name, other, "array")),
        None => Ok(Reply::ok()),
    }
}

fn kill_everything(context: &Context<'_>) -> Result<Reply> {
    for id in context.server.sessions.all() {
        abandon(context.server, &id);
    }
    Ok(Reply::ok())
}
