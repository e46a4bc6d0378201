//! Retryable writes: what a client that does not know what became of a command sends again.
//!
//! A command of one plain write is a statement of the engine's own, which finds the fastest way.
//! Any other is carried out in a transaction of its own, whose commit keeps the whole answer, and
//! that is tried anew when it lost to another writer. Either way writes and answer are one record
//! of the log.

use std::time::{Duration, Instant};

use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Binary, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::{
    Database, ErrorKind, OperationContext, SessionStatement, Transaction, TransactionOptions,
    UpdateOptions,
};

use super::within::engine_number;
use crate::command::Context;
use crate::error::{CommandError, Result, code};
use crate::fields::{Fields, documents_of};
use crate::namespace::INTERNAL_DATABASE;
use crate::reply::Reply;
use crate::session::{Session, SessionId};

/// How long a write that loses to others is tried anew where the client says nothing.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// How long a retryable write may take: its transaction is nobody's who could forget it.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Answers beyond this are kept in a collection, and not beside the session.
const MAX_KEPT: usize = 48 * 1024;
/// Where larger answers are: by the session.
const ANSWERS: &str = "answers";

/// Carries the command out, or answers what it came to before.
pub(super) fn run(context: &mut Context<'_>, session: &Session, number: i64) -> Result<Reply> {
    let _turn = session.turn();
    let asked = engine_number(number)?;
    // A transaction under way would have ended when this came.
    if session.state().phase(number)?.is_none() {
        session.abort(&context.server.database);
    }
    session.state().write(number)?;
    if is_plain(context)? {
        context.part.statement = Some((session.id, asked));
        return (context.spec.run)(context);
    }
    let give_up = Instant::now() + context.envelope.max_time.unwrap_or(TRIED_FOR);
    let mut attempt = 0_u32;
    loop {
        if let Some(reply) = before(&context.server.database, &session.id, asked)? {
            return Ok(reply);
        }
        match try_once(context, session.id, asked) {
            Err(error) if error.code == 112 && Instant::now() < give_up => {
                std::thread::sleep(pause(attempt));
                attempt += 1;
            }
            // Another server of the same data was first; what it answered is there now.
            Err(error) if error.code == code::TRANSACTION_TOO_OLD => {
                let before = before(&context.server.database, &session.id, asked)?;
                return before.ok_or(error);
            }
            other => return other,
        }
    }
}

/// Between two attempts, longer each time and never the same for two sessions.
fn pause(attempt: u32) -> Duration {
    let longest = 100_u64 << attempt.min(7);
    let id = bson::oid::ObjectId::new().bytes();
    let random = u64::from(id[11]) << 8 | u64::from(id[10]);
    Duration::from_micros(longest / 2 + random % longest)
}

/// What the command came to when it was carried out, if it was.
fn before(database: &Database, session: &SessionId, asked: u64) -> Result<Option<Reply>> {
    let Some(last) = database.last_statement(session)? else {
        return Ok(None);
    };
    if last.number > asked {
        let message = format!(
            "Cannot use txnNumber {asked}: the session has already begun {}",
            last.number
        );
        return Err(CommandError::new(code::TRANSACTION_TOO_OLD, message));
    }
    if last.number < asked {
        return Ok(None);
    }
    let elsewhere = || CommandError::new(217, "the txnNumber was that of another write before");
    let kept = RawDocument::from_bytes(&last.results).map_err(|_| elsewhere())?;
    if let Ok(reply) = kept.get_document("reply") {
        return Ok(Some(as_reply(reply)));
    }
    if !matches!(kept.get("elsewhere"), Ok(Some(_))) {
        return Err(elsewhere());
    }
    let answers = database.database(INTERNAL_DATABASE).collection(ANSWERS);
    let found = answers.find_by_id(key(session))?.ok_or_else(elsewhere)?;
    match found.get_document("reply") {
        Ok(reply) => Ok(Some(as_reply(reply))),
        Err(_) => Err(elsewhere()),
    }
}

fn as_reply(document: &RawDocument) -> Reply {
    Reply {
        document: document.to_owned(),
        cursor: 0,
    }
}

fn key(session: &SessionId) -> Binary {
    Binary {
        subtype: BinarySubtype::Uuid,
        bytes: session.to_vec(),
    }
}

/// Rolls back what is not committed: a handle of a detached transaction would not.
struct Attempt<'d> {
    database: &'d Database,
    id: u64,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if let Ok(transaction) = self.database.transaction(self.id) {
            let _ = transaction.rollback();
        }
    }
}

fn try_once(context: &mut Context<'_>, session: SessionId, number: u64) -> Result<Reply> {
    let server = std::sync::Arc::clone(context.server);
    let database = &server.database;
    let begin = TransactionOptions::new().timeout(TIMEOUT);
    let id = database.begin_with(&begin)?.detach();
    let attempt = Attempt { database, id };
    context.part.transaction = Some(database.transaction(id)?);
    let outcome = (context.spec.run)(context);
    context.part.transaction = None;
    let reply = outcome?;
    let mut options = begin;
    options.durability = context.part.durability;
    options.statement = Some(SessionStatement {
        session,
        number,
        results: keep(&attempt, &session, &reply.document)?,
    });
    let transaction = database.transaction_with(id, &options)?;
    match transaction.commit() {
        Ok(()) => Ok(reply),
        Err(error) if error.kind() == ErrorKind::AlreadyApplied => Err(CommandError::new(
            code::TRANSACTION_TOO_OLD,
            error.message(),
        )),
        Err(error) => Err(error.into()),
    }
}

/// The bytes to keep of an answer; one that is too large goes into a collection, within the
/// transaction.
fn keep(attempt: &Attempt<'_>, session: &SessionId, reply: &RawDocument) -> Result<Vec<u8>> {
    if reply.as_bytes().len() <= MAX_KEPT {
        return Ok(rawdoc! { "reply": reply.to_owned() }.into_bytes());
    }
    let transaction: Transaction = attempt.database.transaction(attempt.id)?;
    let answers = transaction.collection_in(INTERNAL_DATABASE, ANSWERS);
    let kept = rawdoc! { "_id": key(session), "reply": reply.to_owned() };
    let filter = rawdoc! { "_id": key(session) };
    let upsert = UpdateOptions::upsert();
    answers.replace_one_or_insert(&OperationContext::new(), filter, kept, &upsert)?;
    let mut bytes = RawDocumentBuf::new();
    bytes.append(cstr!("elsewhere"), true);
    Ok(bytes.into_bytes())
}

/// Forgets what is kept of a session in the collection.
pub(crate) fn forget(database: &Database, session: &SessionId) {
    let answers = database.database(INTERNAL_DATABASE).collection(ANSWERS);
    let _ = answers.delete_one(rawdoc! { "_id": key(session) });
}

/// Whether the command is one write that the engine can carry out once by itself.
fn is_plain(context: &Context<'_>) -> Result<bool> {
    let (list, is_plain): (_, fn(&RawDocument) -> bool) = match context.spec.name {
        "insert" => ("documents", |_| true),
        "update" => ("updates", is_plain_update),
        "delete" => ("deletes", is_plain_delete),
        _ => return Ok(false),
    };
    let writes = documents_of(&context.fields, &context.sequences, list)?;
    if list != "documents" {
        refuse_many(&writes)?;
    }
    Ok(matches!(*writes, [write] if is_plain(write)))
}

/// Writes of any number of documents are not sent again by drivers, nor taken as such.
fn refuse_many(writes: &[&RawDocument]) -> Result<()> {
    for write in writes {
        let fields = Fields::read("write", write, |_| true)?;
        let is_many = fields.boolean("multi")? == Some(true) || fields.integer("limit")? == Some(0);
        if is_many {
            let message = "Cannot use retryable writes with multi=true or limit=0";
            return Err(CommandError::new(code::INVALID_OPTIONS, message));
        }
    }
    Ok(())
}

/// What is found by index or in an order is looked for beforehand.
fn is_plain_update(update: &RawDocument) -> bool {
    let has = |name| matches!(update.get(name), Ok(Some(_)));
    !has("hint") && !has("sort")
}

fn is_plain_delete(delete: &RawDocument) -> bool {
    !matches!(delete.get("hint"), Ok(Some(_)))
}
