//! Writing: insert, update, delete.

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBson, rawdoc};
use collection_store::{Collection, ErrorKind, InsertManyOptions};

use super::statement::{Delete, Update};
use super::{CommandSpec, Context, Handler, Privilege};
use crate::error::{CommandError, Result};
use crate::fields::documents_of;
use crate::reply::{Reply, count};
use crate::wire::MAX_SEQUENCE_DOCUMENTS;

const fn spec(name: &'static str, fields: &'static [&'static str], run: Handler) -> CommandSpec {
    CommandSpec {
        in_txn: true,
        ..CommandSpec::new(name, Privilege::ReadWrite, fields, run)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    spec(
        "insert",
        &["documents", "ordered", "bypassDocumentValidation"],
        insert,
    ),
    spec(
        "update",
        &["updates", "ordered", "bypassDocumentValidation", "let"],
        update,
    ),
    spec("delete", &["deletes", "ordered", "let"], delete),
];

/// The collection to write to, judged by its validator or not.
pub(super) fn target(context: &Context<'_>) -> Result<Collection> {
    let collection = context.collection(&context.namespace()?)?;
    let bypasses = context.fields.boolean("bypassDocumentValidation")?;
    Ok(match bypasses {
        Some(true) => collection.bypassing_validation(),
        _ => collection,
    })
}

pub(super) fn check_batch(len: usize) -> Result<()> {
    if (1..=MAX_SEQUENCE_DOCUMENTS).contains(&len) {
        return Ok(());
    }
    let message = format!(
        "Write batch sizes must be between 1 and {MAX_SEQUENCE_DOCUMENTS}. Got {len} operations."
    );
    Err(CommandError::new(16, message))
}

/// What became of the writes of a batch, as replies tell it.
#[derive(Debug, Default)]
struct Outcome {
    count: u64,
    modified: Option<u64>,
    upserted: RawArrayBuf,
    has_upserted: bool,
    errors: RawArrayBuf,
    failed: usize,
}

impl Outcome {
    /// A write failed. An error that is the server's, and not the write's, ends the command.
    fn fail(&mut self, index: usize, error: CommandError) -> Result<()> {
        if ends_command(&error) {
            return Err(error);
        }
        self.errors.push(error.to_write_error(index));
        self.failed += 1;
        Ok(())
    }

    fn into_reply(self) -> Reply {
        let mut reply = rawdoc! { "n": count(self.count) };
        if let Some(modified) = self.modified {
            reply.append(cstr!("nModified"), count(modified));
        }
        if self.has_upserted {
            reply.append(cstr!("upserted"), self.upserted);
        }
        if self.failed > 0 {
            reply.append(cstr!("writeErrors"), self.errors);
        }
        reply.into()
    }
}

/// Errors that are no single write's: of time, of being stopped, of a transaction, of the store.
pub(super) fn ends_command(error: &CommandError) -> bool {
    const WHOLE: [i32; 12] = [13, 50, 73, 91, 112, 225, 237, 251, 263, 290, 11600, 11601];
    WHOLE.contains(&error.code) || !error.labels.is_empty()
}

fn insert(context: &mut Context<'_>) -> Result<Reply> {
    let collection = target(context)?;
    let documents = documents_of(&context.fields, &context.sequences, "documents")?;
    check_batch(documents.len())?;
    let is_ordered = context.fields.boolean("ordered")? != Some(false);
    let mut options = InsertManyOptions::default();
    options.ordered = is_ordered;
    let operation = context.write_operation(0)?;
    let total = documents.len() as u64;
    let mut outcome = Outcome::default();
    if let [document] = *documents {
        match collection.insert_one_with(&operation, document) {
            Ok(_) => outcome.count = 1,
            Err(error) => outcome.fail(0, error.into())?,
        }
        return Ok(outcome.into_reply());
    }
    match collection.insert_many_with(&operation, documents, options) {
        Ok(_) => outcome.count = total,
        Err(error) if error.kind() == ErrorKind::BulkWrite => {
            outcome.count = error.written();
            for failed in error.write_errors() {
                let index = usize::try_from(failed.index).unwrap_or(usize::MAX);
                outcome.fail(index, failed.into())?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(outcome.into_reply())
}

fn update(context: &mut Context<'_>) -> Result<Reply> {
    let collection = target(context)?;
    let updates = documents_of(&context.fields, &context.sequences, "updates")?;
    check_batch(updates.len())?;
    for update in &updates {
        Update::check(update)?;
    }
    let variables = context.fields.document("let")?;
    let is_ordered = context.fields.boolean("ordered")? != Some(false);
    let mut outcome = Outcome {
        modified: Some(0),
        ..Outcome::default()
    };
    for (index, update) in updates.into_iter().enumerate() {
        let operation = context.write_operation(index)?;
        let updated = Update::of_update(update, variables)
            .and_then(|update| update.run(&collection, &operation));
        match updated {
            Ok(updated) => {
                outcome.count += updated.matched + u64::from(updated.upserted_id.is_some());
                let modified = outcome.modified.get_or_insert(0);
                *modified += updated.modified;
                if let Some(id) = updated.upserted_id {
                    outcome.has_upserted = true;
                    outcome.upserted.push(rawdoc! {
                        "index": i32::try_from(index).unwrap_or(i32::MAX),
                        "_id": RawBson::try_from(id)?,
                    });
                }
            }
            Err(error) => {
                outcome.fail(index, error)?;
                if is_ordered {
                    break;
                }
            }
        }
    }
    Ok(outcome.into_reply())
}

fn delete(context: &mut Context<'_>) -> Result<Reply> {
    let collection = context.collection(&context.namespace()?)?;
    let deletes = documents_of(&context.fields, &context.sequences, "deletes")?;
    check_batch(deletes.len())?;
    for delete in &deletes {
        Delete::check(delete)?;
    }
    let variables = context.fields.document("let")?;
    let is_ordered = context.fields.boolean("ordered")? != Some(false);
    let mut outcome = Outcome::default();
    for (index, delete) in deletes.into_iter().enumerate() {
        let operation = context.write_operation(index)?;
        let deleted = Delete::of_delete(delete, variables)
            .and_then(|delete| delete.run(&collection, &operation));
        match deleted {
            Ok(deleted) => outcome.count += deleted,
            Err(error) => {
                outcome.fail(index, error)?;
                if is_ordered {
                    break;
                }
            }
        }
    }
    Ok(outcome.into_reply())
}
