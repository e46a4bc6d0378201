//! What reads and writes ask for beyond being carried out, and what of it one server can give.
//!
//! | asked | given |
//! |---|---|
//! | read concern `local`, `available`, `majority`, `linearizable` | what is visible is acknowledged, and there is one server: all four are the same |
//! | read concern `snapshot` | in transactions, which read one state; refused elsewhere, with `atClusterTime` everywhere |
//! | `afterClusterTime` | everything that was acknowledged is visible |
//! | `w: 1`, `w: "majority"` | what the database's durability says |
//! | `j: true` | on disk, whatever the database's durability |
//! | `w: 0` | no answer is waited for, nor the disk |
//! | `w` of more members, or a tag | written, and a `writeConcernError` |

use bson::raw::cstr;
use bson::{RawBsonRef, rawdoc};
use collection_store::Durability;

use crate::command::{Context, Privilege};
use crate::error::{CommandError, Result, code, code_name};
use crate::fields::Fields;
use crate::reply::Reply;

/// What a write asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct WriteConcern {
    members: Members,
    journal: bool,
}

/// How many members are to have it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Members {
    /// Nobody waits.
    None,
    #[default]
    Enough,
    TooMany,
    Unknown(String),
}

impl WriteConcern {
    /// Of a command.
    ///
    /// # Errors
    /// It makes no sense.
    pub(crate) fn of(context: &Context<'_>) -> Result<Self> {
        let Some(concern) = context.envelope.write_concern else {
            return Ok(Self::default());
        };
        let known = ["w", "j", "wtimeout", "fsync", "provenance"];
        let fields = Fields::within("writeConcern", concern, &known)?;
        fields.natural("wtimeout")?;
        let syncs = fields.boolean("fsync")? == Some(true);
        let journal = fields.boolean("j")?;
        let members = match fields.get("w") {
            None | Some(RawBsonRef::String("majority")) => Members::Enough,
            Some(RawBsonRef::String(tag)) => Members::Unknown(tag.to_owned()),
            Some(value) => match crate::fields::integer(value) {
                Some(0) => Members::None,
                Some(1) => Members::Enough,
                Some(2..=50) => Members::TooMany,
                Some(number) => {
                    let message = format!("w has to be a number from 0 to 50, found {number}");
                    return Err(CommandError::new(code::FAILED_TO_PARSE, message));
                }
                None => return Err(fields.mismatch("w", value, "string or int")),
            },
        };
        if members == Members::None && journal == Some(true) {
            let message = "cannot have both j: true and w: 0";
            return Err(CommandError::bad_value(message));
        }
        Ok(Self {
            members,
            journal: journal == Some(true) || syncs,
        })
    }

    /// What the writes are to survive, where that is not what the database has anyway.
    pub(crate) fn durability(&self) -> Option<Durability> {
        match self.members {
            _ if self.journal => Some(Durability::Sync),
            Members::None => Some(Durability::Async),
            _ => None,
        }
    }

    /// Says in the reply what could not be given.
    pub(crate) fn judge(&self, reply: &mut Reply) {
        let (code, message) = match &self.members {
            Members::None | Members::Enough => return,
            Members::TooMany => (100, "Not enough data-bearing nodes".to_owned()),
            Members::Unknown(tag) => (
                79,
                format!("No write concern mode named '{tag}' found in replica set configuration"),
            ),
        };
        let error = rawdoc! { "code": code, "codeName": code_name(code), "errmsg": message };
        reply.document.append(cstr!("writeConcernError"), error);
    }
}

/// Checks what a read asks for.
///
/// # Errors
/// It makes no sense, or is not to be had here.
pub(crate) fn check_read(context: &Context<'_>) -> Result<()> {
    let Some(concern) = context.envelope.read_concern else {
        return Ok(());
    };
    let known = ["level", "afterClusterTime", "atClusterTime", "provenance"];
    let fields = Fields::within("readConcern", concern, &known)?;
    let level = fields.text("level")?.unwrap_or("local");
    let refuse = |message: String| Err(CommandError::new(code::INVALID_OPTIONS, message));
    if fields.has("atClusterTime") {
        return refuse("read concern 'atClusterTime' is not supported".to_owned());
    }
    match fields.get("afterClusterTime") {
        None | Some(RawBsonRef::Timestamp(_)) => {}
        Some(other) => return Err(fields.mismatch("afterClusterTime", other, "timestamp")),
    }
    let is_in_transaction = context.envelope.is_in_transaction();
    match level {
        "local" | "majority" => Ok(()),
        "snapshot" if is_in_transaction => Ok(()),
        "snapshot" => {
            refuse("read concern 'snapshot' is supported in transactions only".to_owned())
        }
        "available" | "linearizable" if is_in_transaction => refuse(format!(
            "The readConcern level must be either 'local' (default), 'majority' or 'snapshot' in \
             order to run in a transaction, found '{level}'"
        )),
        "available" | "linearizable" if context.spec.role == Privilege::Read => Ok(()),
        "available" | "linearizable" => refuse(format!(
            "'{}' does not support read concern '{level}'",
            context.spec.name
        )),
        other => {
            let message = format!("'{other}' is not a valid read concern level");
            Err(CommandError::new(code::FAILED_TO_PARSE, message))
        }
    }
}
