//! The fields that any command may have: which session and transaction it belongs to, what it
//! asks of reads and writes, how long it may take. Read here, and nowhere else.
//!
//! | file | what |
//! |---|---|
//! | `session.rs` | the fields |
//! | `registry.rs` | the sessions that there are, and when they end |
//! | `state.rs` | what a session is at: which transaction, in which state |
//! | `commands.rs` | commands about sessions |

pub(crate) mod commands;
mod registry;
mod state;

pub use registry::{MAX_SESSIONS, SESSION_TIMEOUT, Session, SessionId, Sessions};
pub(crate) use state::{Phase, State};

use std::time::Duration;

use bson::spec::BinarySubtype;
use bson::{RawBsonRef, RawDocument};

use crate::error::{CommandError, Result, code};
use crate::fields::Fields;

/// Fields of every command.
const GENERIC: [&str; 22] = [
    "$db",
    "$clusterTime",
    "$readPreference",
    "$queryOptions",
    "$configTime",
    "$topologyTime",
    "$audit",
    "$client",
    "apiVersion",
    "apiStrict",
    "apiDeprecationErrors",
    "autocommit",
    "comment",
    "lsid",
    "maxTimeMS",
    "maxTimeMSOpOnly",
    "readConcern",
    "startTransaction",
    "stmtId",
    "stmtIds",
    "txnNumber",
    "writeConcern",
];

/// Whether every command may have this field.
#[must_use]
pub fn is_generic(name: &str) -> bool {
    GENERIC.contains(&name)
}

/// What surrounds a command.
#[derive(Clone, Debug, Default)]
pub struct Envelope<'a> {
    /// The session: the bytes of its UUID.
    pub lsid: Option<[u8; 16]>,
    /// The number of the transaction, or of the retryable write, in its session.
    pub txn_number: Option<i64>,
    /// Whether the command begins a transaction.
    pub start_transaction: Option<bool>,
    /// The number of the first write of the command among those of its `txnNumber`.
    pub statement: Option<i64>,
    /// `false` in all commands of a transaction.
    pub autocommit: Option<bool>,
    /// What a read asks for.
    pub read_concern: Option<&'a RawDocument>,
    /// What a write asks for.
    pub write_concern: Option<&'a RawDocument>,
    /// The newest time of a cluster that the client has seen.
    pub cluster_time: Option<&'a RawDocument>,
    /// Where a read may go. There is one place.
    pub read_preference: Option<&'a RawDocument>,
    /// How long the command may take.
    pub max_time: Option<Duration>,
    /// What the client says about it, for logs.
    pub comment: Option<RawBsonRef<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads the generic fields.
    ///
    /// # Errors
    /// One is of a wrong type, or asks for something that there is not.
    pub fn read(fields: &Fields<'a>) -> Result<Self> {
        let max_time = fields.natural("maxTimeMS")?.filter(|time| *time > 0);
        let envelope = Self {
            lsid: fields.document("lsid")?.map(session_id).transpose()?,
            txn_number: fields.integer("txnNumber")?,
            start_transaction: fields.boolean("startTransaction")?,
            statement: fields.integer("stmtId")?,
            autocommit: fields.boolean("autocommit")?,
            read_concern: fields.document("readConcern")?,
            write_concern: fields.document("writeConcern")?,
            cluster_time: fields.document("$clusterTime")?,
            read_preference: fields.document("$readPreference")?,
            max_time: max_time.map(Duration::from_millis),
            comment: fields.get("comment"),
        };
        fields.refuse(&["stmtIds"])?;
        if let Some(version) = fields.text("apiVersion")?
            && version != "1"
        {
            let message = format!("API version must be \"1\", found \"{version}\"");
            return Err(CommandError::new(322, message));
        }
        envelope.check()?;
        Ok(envelope)
    }

    /// Whether the fields make sense together.
    fn check(&self) -> Result<()> {
        let wrong = |message: &str| Err(CommandError::new(code::INVALID_OPTIONS, message));
        if self.txn_number.is_some_and(|number| number < 0) {
            return wrong("Transaction number cannot be negative");
        }
        if self.txn_number.is_some() && self.lsid.is_none() {
            return wrong("Transaction number requires a session ID to also be specified");
        }
        match (self.autocommit, self.start_transaction) {
            (None, None) => {}
            (Some(true), _) => return wrong("Specifying autocommit=true is not allowed."),
            (_, Some(false)) => return wrong("Specifying startTransaction=false is not allowed."),
            (None, Some(true)) => {
                return wrong(
                    "'startTransaction' field requires 'autocommit' field to also be specified",
                );
            }
            (Some(false), _) if self.txn_number.is_none() => {
                return wrong(
                    "'autocommit' field requires a transaction number to also be specified",
                );
            }
            (Some(false), _) => {}
        }
        // Drivers never say it; one that does may only say what holds anyway.
        match self.statement {
            None | Some(0) => Ok(()),
            Some(_) => {
                wrong("option 'stmtId' is supported as 0 only: a command has all its writes")
            }
        }
    }

    /// Whether the command is part of a transaction.
    #[must_use]
    pub fn is_in_transaction(&self) -> bool {
        self.autocommit == Some(false)
    }
}

/// The UUID of `lsid: { id: UUID }`.
pub(crate) fn session_id(lsid: &RawDocument) -> Result<[u8; 16]> {
    match lsid.get("id")? {
        Some(RawBsonRef::Binary(id)) if id.subtype == BinarySubtype::Uuid => id
            .bytes
            .try_into()
            .map_err(|_| CommandError::new(207, "a session id has 16 bytes")),
        _ => {
            let message = "BSON field 'OperationSessionInfo.lsid.id' has to be a UUID";
            Err(CommandError::new(code::TYPE_MISMATCH, message))
        }
    }
}
