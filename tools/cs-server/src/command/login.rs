//! Commands by which a client says who it is. The exchange is [`crate::security`]'s.

use bson::{RawBsonRef, RawDocument, RawDocumentBuf};

use super::{ANY_FIELD, CommandSpec, Context, Handler, Privilege};
use crate::error::Result;
use crate::reply::Reply;
use crate::security::{LoginReply, MECHANISM, SecurityFault};

const fn spec(
    name: &'static str,
    fields: &'static [&'static str],
    waits: bool,
    run: Handler,
) -> CommandSpec {
    CommandSpec {
        before_auth: true,
        waits,
        ..CommandSpec::new(name, Privilege::None, fields, run)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    spec(
        "saslStart",
        &["mechanism", "payload", "autoAuthorize", "options"],
        true,
        start,
    ),
    spec(
        "saslContinue",
        &["conversationId", "payload"],
        true,
        proceed,
    ),
    spec("logout", ANY_FIELD, false, logout),
];

fn start(context: &mut Context<'_>) -> Result<Reply> {
    let fields = &context.fields;
    let mechanism = fields.text("mechanism")?.unwrap_or_default();
    let payload = payload(fields.required("payload")?);
    let options = fields.document("options")?;
    let skips_empty = options.is_some_and(skips_empty);
    let started = begin(context, context.database, mechanism, payload, skips_empty);
    settle(context, started)
}

fn proceed(context: &mut Context<'_>) -> Result<Reply> {
    let payload = payload(context.fields.required("payload")?);
    let conversation = context.fields.integer("conversationId")?.unwrap_or(-1);
    let proceeded = context.connection.login.proceed(conversation, payload);
    settle(context, proceeded)
}

fn logout(context: &mut Context<'_>) -> Result<Reply> {
    context.connection.login.reset();
    context.connection.user = None;
    Ok(Reply::ok())
}

/// The first step of a login that came with a hello; none where it makes no sense.
pub(crate) fn speculate(
    context: &mut Context<'_>,
    command: &RawDocument,
) -> Option<RawDocumentBuf> {
    if !command
        .get_str("mechanism")
        .is_ok_and(|mechanism| mechanism == MECHANISM)
    {
        return None;
    }
    let database = command.get_str("db").ok()?;
    let payload = payload(command.get("payload").ok()??);
    let options = command.get_document("options").ok();
    let skips_empty = options.is_some_and(skips_empty);
    let started = begin(context, database, MECHANISM, payload, skips_empty).ok()?;
    RawDocumentBuf::try_from(&started.document).ok()
}

fn begin(
    context: &mut Context<'_>,
    database: &str,
    mechanism: &str,
    payload: &[u8],
    skips_empty: bool,
) -> Result<LoginReply, SecurityFault> {
    let users = &context.server.users;
    let login = &mut context.connection.login;
    login.start(users, database, mechanism, payload, skips_empty)
}

/// Tells the client, and the log, which is told no more than who it was.
fn settle(context: &mut Context<'_>, step: Result<LoginReply, SecurityFault>) -> Result<Reply> {
    let (connection, peer) = (
        context.connection.id,
        context.connection.peer.address.as_str(),
    );
    let step = step.inspect_err(|fault| {
        tracing::warn!(target: "audit", connection, peer, code = fault.code, "login failed");
        context.server.observer.login(false);
    })?;
    if let Some(user) = step.user {
        tracing::info!(target: "audit", connection, peer, user = user.id(), "login");
        context.server.observer.login(true);
        // No number of changes: the next command looks the user up again.
        context.connection.user = Some((user, u64::MAX));
    }
    Ok(RawDocumentBuf::try_from(&step.document)?.into())
}

fn skips_empty(options: &RawDocument) -> bool {
    options.get_bool("skipEmptyExchange").unwrap_or(false)
}

/// Binary, or the text that some shells send.
fn payload(value: RawBsonRef<'_>) -> &[u8] {
    match value {
        RawBsonRef::Binary(binary) => binary.bytes,
        RawBsonRef::String(text) => text.as_bytes(),
        _ => &[],
    }
}
