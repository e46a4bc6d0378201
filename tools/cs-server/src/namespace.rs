//! Names of databases and collections, and which of them clients may name.

use collection_store::names::{check_collection, check_database};

use crate::error::{CommandError, Result, code};

/// The database of the engine that holds what the server keeps for itself: users, roles. No
/// client can name it.
pub const INTERNAL_DATABASE: &str = "__cs_internal";

/// `database.collection`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace {
    /// The database.
    pub database: String,
    /// The collection in it.
    pub collection: String,
}

impl Namespace {
    /// Checks both names.
    ///
    /// # Errors
    /// One is not allowed (73).
    pub fn new(database: &str, collection: &str) -> Result<Self> {
        check_client_database(database)?;
        check_collection(collection).map_err(|error| {
            let message = format!("Invalid namespace specified '{database}.{collection}': {error}");
            CommandError::new(code::INVALID_NAMESPACE, message)
        })?;
        Ok(Self {
            database: database.to_owned(),
            collection: collection.to_owned(),
        })
    }

    /// From `database.collection`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn parse(full: &str) -> Result<Self> {
        match full.split_once('.') {
            Some((database, collection)) => Self::new(database, collection),
            None => {
                let message = format!("Invalid namespace specified '{full}'");
                Err(CommandError::new(code::INVALID_NAMESPACE, message))
            }
        }
    }
}

impl std::fmt::Display for Namespace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

/// Whether a client may name this database.
///
/// # Errors
/// The name is not allowed, or is the server's own (73).
pub fn check_client_database(name: &str) -> Result<()> {
    let refuse = |why: String| {
        let message = format!("Invalid database name: '{name}': {why}");
        CommandError::new(code::INVALID_NAMESPACE, message)
    };
    check_database(name).map_err(|error| refuse(error.to_string()))?;
    if name == INTERNAL_DATABASE {
        return Err(refuse("it is the server's own".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
