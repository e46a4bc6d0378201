//! Statements of a session: writes that may be sent again, and happen once.
//!
//! A caller that does not know what became of a write (its connection broke, its
//! process ended, the machine did) sends it again under the same name, a session
//! and a number. The number and what the write came to are stored with its effects
//! in one record of the log, so that it was carried out and answered, or neither.
//!
//! A statement is a transaction of its own, tried again when it lost: one that
//! writes many documents writes all of them or none. An update by `_id` is
//! evaluated where it commits, like one without a name (`update.rs`).
//!
//! ## Invariants
//! * Looked up on the snapshot before anything is done, and again where the commit
//!   is: of two at once one is carried out, and both hear what that one came to.
//! * A statement that fails leaves nothing behind, so that it may be sent again.
//! * A session keeps its last statement only; one before it is refused by number.

use std::sync::Arc;
use std::time::Duration;

use bson::{Bson, Document, doc};
use cs_kv::SessionStatement;

use super::insert::InsertMany;
use super::update::UpdateResult;
use super::write::{ReplaceResult, lost};
use super::{Collection, MAX_ATTEMPTS};
use crate::context::{OperationContext, Statement};
use crate::error::{Error, ErrorKind, Result};
use crate::stats::Counters;
use crate::transaction::session::{End, Session};
use crate::transaction::{last_of, pause};
use crate::values::validate_document;

/// How long a statement without a deadline is tried again when it loses.
const TRIED_FOR: Duration = Duration::from_secs(30);
/// MongoDB's code for what comes too late in its session.
const TOO_OLD: i32 = 225;

/// What a statement comes to, as it is kept for whoever asks again.
pub(super) trait Answer: Sized {
    /// What sort of write it is.
    const OPERATION: &'static str;

    fn to_fields(&self) -> Document;

    fn of_fields(fields: &Document) -> Option<Self>;
}

/// The bytes that are kept.
pub(super) fn encode<R: Answer>(answer: &R) -> Result<Vec<u8>> {
    let mut fields = doc! { "operation": R::OPERATION };
    fields.extend(answer.to_fields());
    let mut bytes = Vec::new();
    fields.to_writer(&mut bytes)?;
    let (found, limit) = (bytes.len(), cs_kv::limits::MAX_RESULTS);
    if found > limit {
        let message = format!(
            "the results of a statement take {found} bytes, the limit is {limit}: it inserts too many documents"
        );
        return Err(Error::new(ErrorKind::TooLarge, message));
    }
    Ok(bytes)
}

/// What the statement came to when it was carried out; `kept` is the last of its
/// session.
pub(super) fn repeated<R: Answer>(statement: Statement, number: u64, kept: &[u8]) -> Result<R> {
    let asked = statement.number;
    if number > asked {
        let message =
            format!("statement {asked} of the session comes too late: {number} was the last");
        return Err(Error::new(ErrorKind::AlreadyApplied, message).with_code(TOO_OLD));
    }
    let fields = validate_document(kept)
        .ok()
        .and_then(|()| Document::from_reader(kept).ok());
    let operation = fields
        .as_ref()
        .and_then(|fields| fields.get_str("operation").ok());
    if operation != Some(R::OPERATION) {
        let message = format!(
            "statement {asked} of the session was carried out before as {}, and is now {}",
            operation.unwrap_or("a transaction"),
            R::OPERATION
        );
        return Err(Error::new(ErrorKind::AlreadyApplied, message));
    }
    let answer = fields.as_ref().and_then(R::of_fields);
    answer.ok_or_else(|| {
        let message = format!("what statement {number} of a session came to is damaged");
        Error::new(ErrorKind::Corruption, message)
    })
}

impl Statement {
    /// For the commit that carries it out.
    pub(super) fn with_results(self, results: Vec<u8>) -> SessionStatement {
        SessionStatement {
            session: self.session,
            number: self.number,
            results,
        }
    }
}

impl Collection {
    /// A statement is no part of a transaction.
    pub(super) fn refuse_statement_within(&self) -> Result<()> {
        if self.session.is_none() {
            return Ok(());
        }
        let message = "a statement of a session cannot be part of a transaction: \
                       give it to the transaction";
        Err(Error::new(ErrorKind::NotInTransaction, message))
    }

    /// Carries a statement out once, however often it is sent. `work` writes in a
    /// transaction, and may be called more than once.
    pub(super) fn once<R: Answer>(
        &self,
        context: &OperationContext,
        statement: Statement,
        work: impl Fn(&Self, &OperationContext) -> Result<R>,
    ) -> Result<R> {
        self.refuse_statement_within()?;
        let context = context.without_statement();
        let runtime = &self.environment.runtime;
        let watch = context.start(runtime);
        let give_up = runtime.monotonic().saturating_add(TRIED_FOR);
        // In simulation time may stand still.
        let may_go_on = |conflicts| match runtime.may_block() {
            true => runtime.monotonic() < give_up,
            false => conflicts < MAX_ATTEMPTS,
        };
        let mut conflicts = 0;
        loop {
            watch.check()?;
            let transaction = self.environment.writable()?.begin()?;
            if let Some((number, kept)) = last_of(transaction.snapshot(), &statement.session)?
                && number >= statement.number
            {
                return repeated(statement, number, &kept);
            }
            let id = self.environment.transactions.next_id();
            let session = Session::new(id, transaction, runtime, Duration::MAX);
            let within = self.clone().within(Arc::clone(&session));
            let answer = work(&within, &context).map_err(nothing_written)?;
            let mut options = context.commit_options();
            options.session = Some(statement.with_results(encode(&answer)?));
            let store = session.take(End::Committed)?.store;
            match store.commit(&options).and_then(|ticket| ticket.wait()) {
                Ok(()) => return Ok(answer),
                Err(cs_kv::Error::AlreadyApplied { number, results }) => {
                    return repeated(statement, number, &results);
                }
                Err(error) if lost(&error) && may_go_on(conflicts) => {
                    Counters::add(&self.environment.counters.retries, 1);
                    pause(&**runtime, conflicts);
                    conflicts = conflicts.saturating_add(1);
                }
                // The collection was dropped and made again, all the time.
                Err(cs_kv::Error::UnknownTree(_)) => return Err(self.gave_up()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A batch of which some writes failed is rolled back as a whole.
fn nothing_written(error: Error) -> Error {
    match error.kind() {
        ErrorKind::BulkWrite => error.rolled_back(),
        _ => error,
    }
}

fn count(fields: &Document, name: &str) -> Option<u64> {
    u64::try_from(fields.get_i64(name).ok()?).ok()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The `_id` of one document that was inserted.
#[derive(Debug)]
pub(super) struct Inserted(pub(super) Bson);

impl Answer for Inserted {
    const OPERATION: &'static str = "an insert";

    fn to_fields(&self) -> Document {
        doc! { "id": self.0.clone() }
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        fields.get("id").cloned().map(Self)
    }
}

impl Answer for InsertMany {
    const OPERATION: &'static str = "an insert of many";

    fn to_fields(&self) -> Document {
        doc! { "ids": self.ids.clone() }
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        let ids = fields.get_array("ids").ok()?.clone();
        Some(Self { ids })
    }
}

impl Answer for UpdateResult {
    const OPERATION: &'static str = "an update";

    fn to_fields(&self) -> Document {
        let mut fields =
            doc! { "matched": number(self.matched), "modified": number(self.modified) };
        if let Some(id) = &self.upserted_id {
            fields.insert("upserted", id.clone());
        }
        fields
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        Some(Self {
            matched: count(fields, "matched")?,
            modified: count(fields, "modified")?,
            upserted_id: fields.get("upserted").cloned(),
        })
    }
}

impl Answer for ReplaceResult {
    const OPERATION: &'static str = "a replacement";

    fn to_fields(&self) -> Document {
        doc! { "matched": number(self.matched), "modified": number(self.modified) }
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        Some(Self {
            matched: count(fields, "matched")?,
            modified: count(fields, "modified")?,
        })
    }
}

/// How many documents were deleted.
#[derive(Debug)]
pub(super) struct Deleted(pub(super) u64);

impl Answer for Deleted {
    const OPERATION: &'static str = "a deletion";

    fn to_fields(&self) -> Document {
        doc! { "deleted": number(self.0) }
    }

    fn of_fields(fields: &Document) -> Option<Self> {
        count(fields, "deleted").map(Self)
    }
}
