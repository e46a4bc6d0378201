//! bulkWrite: writes to several collections in one command.

use bson::raw::cstr;
use bson::{RawBson, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::{Collection, OperationContext};

use super::read::{Opening, open};
use super::statement::{Delete, Update};
use super::write::{check_batch, ends_command};
use super::{CommandSpec, Context, Privilege};
use crate::cursor::Listed;
use crate::error::{CommandError, Result, code, code_name};
use crate::fields::{Fields, documents_of};
use crate::namespace::Namespace;
use crate::reply::{Reply, count};
use crate::wire::validate_outer;

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "bulkWrite",
    // Of each collection that it writes to; see `collections`.
    role: Privilege::Authenticated,
    before_auth: false,
    in_txn: true,
    waits: true,
    fields: &[
        "ops",
        "nsInfo",
        "ordered",
        "bypassDocumentValidation",
        "let",
        "errorsOnly",
        "cursor",
    ],
    run: bulk_write,
}];

/// What one of the writes came to.
enum Written {
    Inserted,
    Updated {
        matched: u64,
        modified: u64,
        upserted: Option<RawBson>,
    },
    Deleted(u64),
}

/// The sums that the reply tells.
#[derive(Debug, Default)]
struct Sums {
    errors: u64,
    inserted: u64,
    matched: u64,
    modified: u64,
    upserted: u64,
    deleted: u64,
}

fn bulk_write(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let collections = collections(context)?;
    let operations = documents_of(&context.fields, &context.sequences, "ops")?;
    check_batch(operations.len())?;
    let fields = &context.fields;
    let variables = fields.document("let")?;
    let is_ordered = fields.boolean("ordered")? != Some(false);
    let only_errors = fields.boolean("errorsOnly")? == Some(true);
    let cursor = fields.document("cursor")?.unwrap_or(crate::fields::empty());
    let cursor = Fields::within("bulkWrite.cursor", cursor, &["batchSize"])?;
    let (mut sums, mut told) = (Sums::default(), Vec::new());
    for (index, operation) in operations.into_iter().enumerate() {
        let limits = context.write_operation(index)?;
        match write(operation, &collections, variables, &limits) {
            Ok(written) => {
                let fields = sums.add(&written);
                if !only_errors {
                    told.push(success(index, fields, written));
                }
            }
            Err(error) if ends_command(&error) => return Err(error),
            Err(error) => {
                sums.errors += 1;
                told.push(failure(index, &error));
                if is_ordered {
                    break;
                }
            }
        }
    }
    let namespace = "admin.$cmd.bulkWrite".to_owned();
    let wanted = cursor.natural("batchSize")?.or(Some(u64::MAX));
    let opening = Opening::new(namespace, wanted);
    let mut reply = open(context, Box::new(Listed::new(told)), opening)?;
    sums.append_to(&mut reply.document);
    Ok(reply)
}

/// The collections of `nsInfo`, each authorised.
fn collections(context: &Context<'_>) -> Result<Vec<Collection>> {
    let bypasses = context.fields.boolean("bypassDocumentValidation")? == Some(true);
    let mut collections = Vec::new();
    for info in documents_of(&context.fields, &context.sequences, "nsInfo")? {
        let known = ["ns", "collectionUUID", "encryptionInformation"];
        let fields = Fields::within("bulkWrite.nsInfo", info, &known)?;
        fields.refuse(&["collectionUUID", "encryptionInformation"])?;
        let RawBsonRef::String(name) = fields.required("ns")? else {
            return Err(CommandError::new(
                code::TYPE_MISMATCH,
                "'ns' has to be a string",
            ));
        };
        let namespace = Namespace::parse(name)?;
        context.demand(Privilege::ReadWrite, &namespace)?;
        let collection = context.collection(&namespace)?;
        collections.push(match bypasses {
            true => collection.bypassing_validation(),
            false => collection,
        });
    }
    Ok(collections)
}

fn write(
    operation: &RawDocument,
    collections: &[Collection],
    variables: Option<&RawDocument>,
    limits: &OperationContext,
) -> Result<Written> {
    validate_outer(operation).map_err(collection_store::Error::from)?;
    let kind = operation.into_iter().next().transpose()?;
    let kind = kind.map_or("", |(name, _)| name.as_str());
    let known: &[&str] = match kind {
        "insert" => &["insert", "document"],
        "update" => &[
            "update",
            "filter",
            "updateMods",
            "multi",
            "upsert",
            "upsertSupplied",
            "arrayFilters",
            "hint",
            "sort",
            "collation",
            "constants",
        ],
        "delete" => &["delete", "filter", "multi", "hint", "collation"],
        other => {
            let message = format!("'{other}' is no operation of a bulkWrite");
            return Err(CommandError::new(code::FAILED_TO_PARSE, message));
        }
    };
    let fields = Fields::within("bulkWrite.ops", operation, known)?;
    let place = fields
        .natural(kind)?
        .and_then(|at| usize::try_from(at).ok());
    let Some(collection) = place.and_then(|at| collections.get(at)) else {
        let message = "BulkWrite ops entry has an invalid nsInfo index.";
        return Err(CommandError::bad_value(message));
    };
    match kind {
        "insert" => {
            fields.required("document")?;
            let document = fields
                .document("document")?
                .unwrap_or(crate::fields::empty());
            collection.insert_one_with(limits, document)?;
            Ok(Written::Inserted)
        }
        "update" => {
            let updated = Update::of_bulk(&fields, variables)?.run(collection, limits)?;
            Ok(Written::Updated {
                matched: updated.matched,
                modified: updated.modified,
                upserted: updated.upserted_id.map(RawBson::try_from).transpose()?,
            })
        }
        _ => {
            let deleted = Delete::of_bulk(&fields, variables)?.run(collection, limits)?;
            Ok(Written::Deleted(deleted))
        }
    }
}

impl Sums {
    /// Adds what a write came to; returns its `n`.
    fn add(&mut self, written: &Written) -> u64 {
        match written {
            Written::Inserted => {
                self.inserted += 1;
                1
            }
            Written::Updated {
                matched,
                modified,
                upserted,
            } => {
                self.matched += matched;
                self.modified += modified;
                self.upserted += u64::from(upserted.is_some());
                matched + u64::from(upserted.is_some())
            }
            Written::Deleted(deleted) => {
                self.deleted += deleted;
                *deleted
            }
        }
    }

    fn append_to(&self, reply: &mut RawDocumentBuf) {
        for (name, sum) in [
            (cstr!("nErrors"), self.errors),
            (cstr!("nInserted"), self.inserted),
            (cstr!("nMatched"), self.matched),
            (cstr!("nModified"), self.modified),
            (cstr!("nUpserted"), self.upserted),
            (cstr!("nDeleted"), self.deleted),
        ] {
            reply.append(name, count(sum));
        }
    }
}

fn success(index: usize, n: u64, written: Written) -> RawDocumentBuf {
    let mut told = rawdoc! {
        "ok": 1.0,
        "idx": i32::try_from(index).unwrap_or(i32::MAX),
        "n": count(n),
    };
    if let Written::Updated {
        modified, upserted, ..
    } = written
    {
        told.append(cstr!("nModified"), count(modified));
        if let Some(id) = upserted {
            told.append(cstr!("upserted"), rawdoc! { "_id": id });
        }
    }
    told
}

fn failure(index: usize, error: &CommandError) -> RawDocumentBuf {
    let mut told = rawdoc! {
        "ok": 0.0,
        "idx": i32::try_from(index).unwrap_or(i32::MAX),
        "code": error.code,
        "codeName": code_name(error.code),
        "errmsg": error.message.as_str(),
        "n": 0,
    };
    for (name, value) in error.extra.iter().flatten() {
        told.append(name, value);
    }
    told
}
