//! Commands: one table says of each what it is called, who may give it, which fields it has; one
//! function carries any of them out.
//!
//! ## Invariants
//! * Every command passes [`run`]: there its fields are checked, there it is authorised, and
//!   nowhere else.
//! * A field that is not in the table is refused (40415); one that is, is honoured or refused by
//!   name where it is read.
//! * Whatever goes wrong is a reply.

mod aggregate;
mod bulk_write;
mod collections;
mod diagnostic;
mod explain;
mod find_and_modify;
mod indexes;
pub(crate) mod login;
mod monitor;
pub mod pipeline;
pub(crate) mod read;
mod statement;
mod users;
mod variables;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bson::{RawBsonRef, RawDocument};
use collection_store::CancelFlag;

use crate::clock;
use crate::connection::ConnectionState;
use crate::cursor::Cursor;
use crate::error::{CommandError, Result, code};
use crate::failpoint;
use crate::fields::Fields;
use crate::hello;
use crate::namespace::{Namespace, check_client_database};
use crate::observe::{Operation, tell_if_slow};
use crate::reply::Reply;
use crate::security::{Ask, Grant, authorize, is_sensitive, may_see_database};
use crate::server::Server;
use crate::session::{self, Envelope, is_generic};
use crate::transaction::{self, Part};
use crate::wire::Sequence;

/// What a command demands of who gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// Nothing.
    None,
    /// To be somebody.
    Authenticated,
    /// To read the database.
    Read,
    /// To see what is in the database, but for documents.
    Inspect,
    /// To write to the database.
    ReadWrite,
    /// To make and drop collections and indexes of the database.
    Shape,
    /// To change the rules of collections of the database, and to drop it.
    DbAdmin,
    /// To manage the users of the database.
    UserAdmin,
    /// To look at what the server does.
    Monitor,
    /// To tell the server what to do.
    ClusterAdmin,
    /// To take and restore backups.
    Backup,
}

/// In [`CommandSpec::fields`]: whatever there is.
pub const ANY_FIELD: &[&str] = &["*"];

/// What a command does.
pub type Handler = fn(&mut Context<'_>) -> Result<Reply>;

/// A command of the table.
#[derive(Clone, Copy, Debug)]
pub struct CommandSpec {
    /// What clients call it.
    pub name: &'static str,
    /// Who may give it.
    pub role: Privilege,
    /// Whether it may be given by somebody of whom nothing is known.
    pub before_auth: bool,
    /// Whether it may be part of a transaction.
    pub in_txn: bool,
    /// Whether it may wait: for a disk, for other writers, for many documents.
    pub waits: bool,
    /// Its fields, beside its name and those that any command may have.
    pub fields: &'static [&'static str],
    /// What it does.
    pub run: Handler,
}

impl CommandSpec {
    /// A command of somebody who has logged in, outside of transactions, that may wait.
    pub(crate) const fn new(
        name: &'static str,
        role: Privilege,
        fields: &'static [&'static str],
        run: Handler,
    ) -> Self {
        Self {
            name,
            role,
            before_auth: false,
            in_txn: false,
            waits: true,
            fields,
            run,
        }
    }
}

/// All commands.
static FAMILIES: &[&[CommandSpec]] = &[
    hello::COMMANDS,
    diagnostic::COMMANDS,
    login::COMMANDS,
    users::COMMANDS,
    read::COMMANDS,
    write::COMMANDS,
    find_and_modify::COMMANDS,
    bulk_write::COMMANDS,
    aggregate::COMMANDS,
    explain::COMMANDS,
    collections::COMMANDS,
    indexes::COMMANDS,
    monitor::COMMANDS,
    session::commands::COMMANDS,
    transaction::COMMANDS,
    failpoint::COMMANDS,
];

/// The command of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static CommandSpec> {
    static BY_NAME: OnceLock<HashMap<&'static str, &'static CommandSpec>> = OnceLock::new();
    let by_name = BY_NAME.get_or_init(|| all().map(|spec| (spec.name, spec)).collect());
    by_name.get(name).copied()
}

/// All commands, family by family.
pub fn all() -> impl Iterator<Item = &'static CommandSpec> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// A command as it came.
#[derive(Debug)]
pub struct Request<'a> {
    /// Its fields.
    pub body: &'a RawDocument,
    /// Its sequences of documents.
    pub sequences: Vec<Sequence<'a>>,
    /// The database, where the message names it and not the command.
    database: Option<&'a str>,
}

impl<'a> Request<'a> {
    /// Of a message.
    #[must_use]
    pub fn new(body: &'a RawDocument, sequences: Vec<Sequence<'a>>) -> Self {
        Self {
            body,
            sequences,
            database: None,
        }
    }

    /// Of a query of old.
    #[must_use]
    pub fn query(database: &'a str, body: &'a RawDocument) -> Self {
        Self {
            body,
            sequences: Vec::new(),
            database: Some(database),
        }
    }

    /// The command's name: that of its first field.
    #[must_use]
    pub fn name(&self) -> &'a str {
        let first = self.body.into_iter().next();
        first
            .and_then(|field| field.ok())
            .map_or("", |(name, _)| name.as_str())
    }

    /// Whether its reply must not be compressed, for secrets could be told from its length.
    #[must_use]
    pub fn is_never_compressed(&self) -> bool {
        let name = self.name();
        hello::is_hello(name) || is_sensitive(name)
    }
}

/// Whether carrying it out may wait; a thread that others need must not.
#[must_use]
pub fn may_wait(request: &Request<'_>) -> bool {
    find(request.name()).is_some_and(|spec| spec.waits && !is_point_read(request.body))
}

/// A find by `_id` looks at one document.
fn is_point_read(body: &RawDocument) -> bool {
    let filter = match body.get("filter") {
        Ok(Some(RawBsonRef::Document(filter))) => filter,
        _ => return false,
    };
    let mut fields = filter.into_iter();
    match (fields.next(), fields.next()) {
        (Some(Ok((name, value))), None) => {
            name.as_str() == "_id" && value.as_document().is_none() && value.as_array().is_none()
        }
        _ => false,
    }
}

/// All that a command depends on.
#[derive(Debug)]
pub struct Context<'a> {
    /// What all connections share.
    pub server: &'a Arc<Server>,
    /// The connection that it came over.
    pub connection: &'a mut ConnectionState,
    /// What the table says.
    pub spec: &'static CommandSpec,
    /// The database that it is for.
    pub database: &'a str,
    /// The command as it came.
    pub body: &'a RawDocument,
    /// The same, read.
    pub fields: Fields<'a>,
    /// Documents that came beside it.
    pub sequences: Vec<Sequence<'a>>,
    /// What any command may say.
    pub envelope: Envelope<'a>,
    /// Ends it, if somebody wants that.
    pub cancel: CancelFlag,
    /// What it is in its session.
    pub part: Part,
}

/// Carries a command out.
#[must_use]
pub fn run(server: &Arc<Server>, state: &mut ConnectionState, request: &Request<'_>) -> Reply {
    let running = server.operations.begin(operation(state, request));
    let operation = &running.operation;
    let (mut reply, code) = match try_run(server, state, request, operation) {
        Ok(reply) => (reply, None),
        Err(error) => {
            let reply = Reply {
                document: error.to_reply(),
                cursor: 0,
            };
            (reply, Some(error.code))
        }
    };
    server.observer.finished(server, operation, code);
    tell_if_slow(server, operation, request, code);
    if code.is_some_and(hello::sounds_like_news) {
        hello::tell_topology(server, &mut reply.document);
    }
    clock::stamp(server, &mut reply);
    reply
}

/// What is known of a command before it is read.
fn operation(state: &ConnectionState, request: &Request<'_>) -> Operation {
    let (name, body) = (request.name(), request.body);
    let first = body.into_iter().next().and_then(|field| field.ok());
    let spec = find(name);
    Operation {
        id: 0,
        command: spec.map_or("unknown", |spec| spec.name),
        database: body.get_str("$db").unwrap_or_default().to_owned(),
        collection: match first {
            // The value may be anything: of users, or where a login failed, it is told elsewhere.
            Some((_, RawBsonRef::String(collection)))
                if spec.is_some_and(|spec| spec.role != Privilege::UserAdmin) =>
            {
                Some(collection.to_owned())
            }
            _ => None,
        },
        connection: state.id,
        user: state.user.as_ref().map(|(user, _)| user.id()),
        begun: Instant::now(),
        cancel: CancelFlag::new(),
    }
}

fn try_run(
    server: &Arc<Server>,
    state: &mut ConnectionState,
    request: &Request<'_>,
    operation: &Operation,
) -> Result<Reply> {
    let name = request.name();
    let spec = find(name).ok_or_else(|| {
        let message = format!("no such command: '{name}'");
        CommandError::new(code::COMMAND_NOT_FOUND, message)
    })?;
    let takes_any = spec.fields == ANY_FIELD;
    let fields = Fields::read(spec.name, request.body, |field| {
        takes_any || field == spec.name || is_generic(field) || spec.fields.contains(&field)
    })?;
    let database = match request.database {
        Some(_) if !hello::is_hello(name) => {
            let message = format!("'{name}' cannot be sent as OP_QUERY, only a hello");
            return Err(CommandError::new(352, message));
        }
        Some(database) => database,
        None => match fields.required("$db")? {
            RawBsonRef::String(database) => database,
            other => return Err(fields.mismatch("$db", other, "string")),
        },
    };
    check_client_database(database)?;
    let envelope = Envelope::read(&fields)?;
    let mut context = Context {
        server,
        connection: state,
        spec,
        database,
        body: request.body,
        fields,
        sequences: request.sequences.clone(),
        envelope,
        cancel: operation.cancel.clone(),
        part: Part::default(),
    };
    context.authorize()?;
    transaction::run(&mut context)
}

impl<'a> Context<'a> {
    /// Whether the one who gives the command may. Who that is was settled when the connection
    /// said so; what that one may do is looked up again after any change of users.
    fn authorize(&mut self) -> Result<()> {
        let (users, authentication) = (
            &self.server.users,
            self.server.config.security.authentication,
        );
        if let Some((user, seen)) = &mut self.connection.user {
            let changes = users.changes();
            if *seen != changes {
                match users.find(&user.database, &user.name)? {
                    Some(found) => (*user, *seen) = (found, changes),
                    None => self.connection.user = None,
                }
            }
        }
        let user = self.connection.user.as_ref().map(|(user, _)| user);
        let may_be_first = authentication
            && user.is_none()
            && self.connection.peer.is_local
            && self.server.config.security.localhost_exception
            && !self.spec.before_auth;
        let ask = Ask {
            authentication,
            user,
            first_user_may_be_made: may_be_first && users.is_empty()?,
            name: self.spec.name,
            privilege: self.spec.role,
            before_auth: self.spec.before_auth,
            database: self.database,
            command: self.body,
        };
        Ok(authorize(&ask)?)
    }

    /// The value of the command's first field, where that is the name of a collection.
    ///
    /// # Errors
    /// It is no name, or not one that is allowed (73).
    pub fn namespace(&self) -> Result<Namespace> {
        match self.fields.first() {
            Some((_, RawBsonRef::String(name))) => Namespace::new(self.database, name),
            other => {
                let found = other.map_or("nothing", |(_, value)| crate::fields::type_name(value));
                let message = format!("collection name has invalid type {found}");
                Err(CommandError::new(code::INVALID_NAMESPACE, message))
            }
        }
    }

    /// Whether the command may ask this cursor for more.
    ///
    /// # Errors
    /// The cursor belongs to another session or transaction.
    pub fn check_cursor(&self, cursor: &Cursor) -> Result<()> {
        if cursor.lsid == self.session_id() && cursor.txn_number == self.transaction_number() {
            return Ok(());
        }
        let message = "the cursor was made in another session, or in another transaction";
        Err(CommandError::new(50738, message))
    }

    /// Who gives the command.
    #[must_use]
    pub fn user_name(&self) -> Option<String> {
        self.connection.user.as_ref().map(|(user, _)| user.id())
    }

    /// Demands a privilege on what the command touches beside its own namespace.
    ///
    /// # Errors
    /// The user has it not (13).
    pub fn demand(&self, privilege: Privilege, namespace: &Namespace) -> Result<()> {
        if !self.server.config.security.authentication {
            return Ok(());
        }
        let database = &namespace.database;
        let has = |grant: &Grant| grant.allows(privilege, database);
        let user = self.connection.user.as_ref();
        if user.is_some_and(|(user, _)| user.grants.iter().any(has)) {
            return Ok(());
        }
        let message = format!(
            "not authorized on {database} to execute command {}",
            self.spec.name
        );
        Err(CommandError::new(code::UNAUTHORIZED, message))
    }

    /// Whether the user may know of this database.
    #[must_use]
    pub fn may_see(&self, database: &str) -> bool {
        match &self.connection.user {
            Some((user, _)) => may_see_database(user, database),
            None => !self.server.config.security.authentication,
        }
    }

    /// Commands of the server are given to the database `admin`.
    ///
    /// # Errors
    /// It was given to another.
    pub fn admin_only(&self) -> Result<()> {
        if self.database == "admin" {
            return Ok(());
        }
        let message = format!(
            "{} may only be run against the admin database.",
            self.spec.name
        );
        Err(CommandError::new(code::UNAUTHORIZED, message))
    }
}
