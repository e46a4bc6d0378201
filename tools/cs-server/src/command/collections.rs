//! Collections: made, listed, changed, renamed, proved, dropped.

use bson::raw::cstr;
use bson::spec::BinarySubtype;
use bson::{Binary, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use collection_store::CollectionInfo;
use collection_store::filter::Filter;

use super::indexes::number_of;
use super::read::listed;
use super::{ANY_FIELD, CommandSpec, Context, Privilege};
use crate::error::{CommandError, Result, code};
use crate::namespace::{Namespace, check_client_database};
use crate::reply::{Reply, count};
use crate::session::is_generic;

/// Options of a collection: those of MongoDB, of which the engine refuses by name what it has
/// not, and those that are the engine's own.
const CREATE_FIELDS: &[&str] = &[
    "capped",
    "size",
    "max",
    "autoIndexId",
    "idIndex",
    "storageEngine",
    "validator",
    "validationLevel",
    "validationAction",
    "indexOptionDefaults",
    "viewOn",
    "pipeline",
    "collation",
    "timeseries",
    "expireAfterSeconds",
    "clusteredIndex",
    "changeStreamPreAndPostImages",
    "encryptedFields",
    "schema",
    "idGeneration",
    "primaryKey",
    "ttlField",
    "ttlFrom",
];

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    CommandSpec {
        in_txn: true,
        ..CommandSpec::new("create", Privilege::Shape, CREATE_FIELDS, create)
    },
    CommandSpec::new("drop", Privilege::Shape, &[], drop_collection),
    CommandSpec::new(
        "listCollections",
        Privilege::Inspect,
        &["filter", "nameOnly", "authorizedCollections", "cursor"],
        list_collections,
    ),
    CommandSpec::new("collMod", Privilege::DbAdmin, ANY_FIELD, modify),
    CommandSpec::new(
        "renameCollection",
        Privilege::Authenticated,
        &["to", "dropTarget", "stayTemp"],
        rename,
    ),
    CommandSpec::new(
        "validate",
        Privilege::DbAdmin,
        &[
            "full",
            "scandata",
            "repair",
            "metadata",
            "checkBSONConformance",
            "background",
        ],
        validate,
    ),
    CommandSpec::new("dropDatabase", Privilege::DbAdmin, &[], drop_database),
    CommandSpec::new(
        "listDatabases",
        Privilege::Authenticated,
        &["filter", "nameOnly", "authorizedDatabases"],
        list_databases,
    ),
];

/// The fields of the command that are options of the collection.
fn options_of(context: &Context<'_>) -> Result<RawDocumentBuf> {
    let mut options = RawDocumentBuf::new();
    for field in context.body {
        let (name, value) = field?;
        let is_option = name.as_str() != context.spec.name && !is_generic(name.as_str());
        if is_option && value != RawBsonRef::Null {
            options.append(name, value);
        }
    }
    Ok(options)
}

fn create(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    context
        .fields
        .refuse(&["viewOn", "pipeline", "collation", "autoIndexId"])?;
    let mut options = RawDocumentBuf::new();
    for (name, value) in options_of(context)?.iter().flatten() {
        // These say what is so in any case, once they are not refused.
        if !["collation", "pipeline", "autoIndexId", "idIndex"].contains(&name.as_str()) {
            options.append(name, value);
        }
    }
    match collection.create_with(&context.operation(), &options) {
        Ok(()) => Ok(Reply::ok()),
        Err(error) => {
            let exists = error.code() == Some(code::NAMESPACE_EXISTS);
            // As in MongoDB: it is no error to make what is there just so.
            if exists && collection.options()?.is_some_and(|there| there == options) {
                return Ok(Reply::ok());
            }
            Err(error.into())
        }
    }
}

fn drop_collection(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    if !collection.exists_now()? {
        return Ok(Reply::ok());
    }
    let indexes = number_of(&collection)?;
    collection.drop_collection_with(&context.operation())?;
    let reply = rawdoc! { "nIndexesWas": count(indexes), "ns": namespace.to_string() };
    Ok(reply.into())
}

/// Collections have no UUID; this one is made of what does not change while they are there.
fn uuid_of(context: &Context<'_>, info: &CollectionInfo) -> Binary {
    let mut bytes = [0; 16];
    let name = context
        .database
        .as_bytes()
        .iter()
        .chain(info.name.as_bytes());
    let sum = name.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    for (place, byte) in bytes.iter_mut().zip(sum.to_be_bytes()) {
        *place = byte;
    }
    for (place, byte) in bytes.iter_mut().skip(12).zip(info.id.to_be_bytes()) {
        *place = byte;
    }
    // Version 8 is for whoever makes their own.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = 0x80;
    Binary {
        subtype: BinarySubtype::Uuid,
        bytes: bytes.to_vec(),
    }
}

/// The filter by which drivers and tools leave out MongoDB's own collections. It looks ahead, which
/// no pattern here can, and there are no such collections.
fn is_no_system(filter: &RawDocument) -> bool {
    const NO_SYSTEM: &str = r"^(?!system\.)";
    let mut fields = filter.into_iter();
    match (fields.next(), fields.next()) {
        (Some(Ok((name, value))), None) if name.as_str() == "name" => match value {
            RawBsonRef::RegularExpression(regex) => regex.pattern.as_str() == NO_SYSTEM,
            RawBsonRef::Document(operators) => {
                operators
                    .get_str("$regex")
                    .is_ok_and(|text| text == NO_SYSTEM)
                    && operators.iter().count() == 1
            }
            _ => false,
        },
        _ => false,
    }
}

fn list_collections(context: &mut Context<'_>) -> Result<Reply> {
    let fields = &context.fields;
    let filter = fields
        .document("filter")?
        .filter(|filter| !is_no_system(filter));
    let filter = Filter::compile(filter.unwrap_or(crate::fields::empty()))?;
    let name_only = fields.boolean("nameOnly")? == Some(true);
    let database = context.server.database.database(context.database);
    let mut documents = Vec::new();
    for info in database.list_collections()? {
        let described = rawdoc! {
            "name": info.name.as_str(),
            "type": "collection",
            "options": info.options.clone(),
            "info": { "readOnly": false, "uuid": uuid_of(context, &info) },
            "idIndex": { "v": 2, "key": { "_id": 1 }, "name": "_id_" },
        };
        if !filter.matches(&described)? {
            continue;
        }
        documents.push(match name_only {
            true => rawdoc! { "name": info.name, "type": "collection" },
            false => described,
        });
    }
    listed(context, documents, "$cmd.listCollections")
}

fn modify(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    let options = options_of(context)?;
    collection.modify_with(&context.operation(), options)?;
    Ok(Reply::ok())
}

fn rename(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let fields = &context.fields;
    fields.refuse(&["stayTemp"])?;
    let (Some(from), Some(to)) = (fields.text("renameCollection")?, fields.text("to")?) else {
        return Err(fields.required("to").err().unwrap_or_else(|| {
            CommandError::bad_value("'renameCollection' has to name a collection")
        }));
    };
    let (from, to) = (Namespace::parse(from)?, Namespace::parse(to)?);
    context.demand(Privilege::Shape, &from)?;
    context.demand(Privilege::Shape, &to)?;
    if from.database != to.database {
        let message = "renaming a collection into another database is not supported";
        return Err(CommandError::new(code::COMMAND_NOT_SUPPORTED, message));
    }
    let collection = context.collection(&from)?;
    let drop_target = fields.boolean("dropTarget")? == Some(true);
    if !collection.exists_now()? {
        let message = format!("Source collection {from} does not exist");
        return Err(CommandError::new(code::NAMESPACE_NOT_FOUND, message));
    }
    collection
        .rename_with(&context.operation(), &to.collection, drop_target)
        .map_err(|error| match error.code() {
            Some(code::NAMESPACE_EXISTS) => {
                CommandError::new(code::NAMESPACE_EXISTS, "target namespace exists")
            }
            _ => error.into(),
        })?;
    Ok(Reply::ok())
}

/// Every index against the documents, both ways.
fn validate(context: &mut Context<'_>) -> Result<Reply> {
    let namespace = context.namespace()?;
    let collection = context.collection(&namespace)?;
    context.fields.refuse(&["repair", "metadata"])?;
    if !collection.exists_now()? {
        let message = format!("Collection '{namespace}' does not exist to validate.");
        return Err(CommandError::new(code::NAMESPACE_NOT_FOUND, message));
    }
    let check = collection.check_indexes_with(&context.operation())?;
    let mut keys = RawDocumentBuf::new();
    let mut details = RawDocumentBuf::new();
    let stats = collection.stats()?;
    let all = collection.list_indexes()?;
    for index in &all {
        if let Ok(name) = bson::raw::CString::try_from(index.name.clone()) {
            details.append(&name, rawdoc! { "valid": check.findings.is_empty() });
            if index.name == "_id_" {
                keys.append(&name, count(stats.documents));
            }
        }
    }
    let mut errors = RawArrayBuf::new();
    for finding in &check.findings {
        errors.push(finding.as_str());
    }
    let mut reply = rawdoc! {
        "ns": namespace.to_string(),
        "nInvalidDocuments": 0,
        "nrecords": count(stats.documents),
        "nIndexes": count(all.len() as u64),
        "keysPerIndex": keys,
        "indexDetails": details,
        "valid": check.findings.is_empty(),
        "repaired": false,
        "warnings": RawArrayBuf::new(),
        "errors": errors,
    };
    reply.append(cstr!("extraIndexEntries"), RawArrayBuf::new());
    reply.append(cstr!("missingIndexEntries"), RawArrayBuf::new());
    Ok(reply.into())
}

fn drop_database(context: &mut Context<'_>) -> Result<Reply> {
    if context.fields.integer("dropDatabase")? != Some(1) {
        return Err(CommandError::bad_value("have to pass 1 as db parameter"));
    }
    if context.database == "admin" {
        let message = "Dropping the 'admin' database is prohibited.";
        return Err(CommandError::new(code::ILLEGAL_OPERATION, message));
    }
    let dropped = context
        .server
        .database
        .database(context.database)
        .drop_database()?;
    let mut reply = RawDocumentBuf::new();
    if dropped > 0 {
        reply.append(cstr!("dropped"), context.database);
    }
    Ok(reply.into())
}

fn list_databases(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let fields = &context.fields;
    let filter = Filter::compile(fields.document("filter")?.unwrap_or(crate::fields::empty()))?;
    let name_only = fields.boolean("nameOnly")? == Some(true);
    let (mut databases, mut total) = (RawArrayBuf::new(), 0_u64);
    for name in context.server.database.list_databases()? {
        let hidden = check_client_database(&name).is_err();
        if hidden || !context.may_see(&name) {
            continue;
        }
        let size = match name_only {
            true => 0,
            false => size_of(context, &name)?,
        };
        let described = rawdoc! {
            "name": name.as_str(),
            "sizeOnDisk": i64::try_from(size).unwrap_or(i64::MAX),
            "empty": size == 0,
        };
        if !filter.matches(&described)? {
            continue;
        }
        total += size;
        databases.push(match name_only {
            true => rawdoc! { "name": name },
            false => described,
        });
    }
    let mut reply = rawdoc! { "databases": databases };
    if !name_only {
        let total = i64::try_from(total).unwrap_or(i64::MAX);
        reply.append(cstr!("totalSize"), total);
        reply.append(cstr!("totalSizeMb"), total >> 20);
    }
    Ok(reply.into())
}

/// The bytes of the documents of a database.
fn size_of(context: &Context<'_>, name: &str) -> Result<u64> {
    let database = context.server.database.database(name);
    let mut size = 0;
    for info in database.list_collections()? {
        size += database.collection(&info.name).stats()?.bytes;
    }
    Ok(size)
}
