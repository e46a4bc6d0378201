//! Names of databases and collections.
//!
//! Names never become paths of files: they map to numeric ids in the catalog.
//! The rules keep them printable, unambiguous as `database.collection`, and
//! out of the way of MongoDB's own.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result};

/// The longest name of a database or collection, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// The database that an embedded program uses unless it names another.
pub const DEFAULT_DATABASE: &str = "main";

/// The full name of a collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Namespace {
    /// The name of the database.
    pub(crate) database: Arc<str>,
    /// The name of the collection in it.
    pub(crate) collection: Arc<str>,
}

impl Namespace {
    /// Checks both names.
    pub(crate) fn check(&self) -> Result<()> {
        check_database(&self.database)?;
        check_collection(&self.collection)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.database, self.collection)
    }
}

/// Whether a database may have this name.
///
/// # Errors
/// [`ErrorKind::InvalidNamespace`] (MongoDB's code 73), with the reason.
pub fn check_database(name: &str) -> Result<()> {
    check("database", name, &['/', '\\', '.', ' ', '"', '$'])
}

/// Whether a collection may have this name.
///
/// # Errors
/// [`ErrorKind::InvalidNamespace`] (MongoDB's code 73), with the reason.
pub fn check_collection(name: &str) -> Result<()> {
    check("collection", name, &['/', '\\'])?;
    let fault = if name.starts_with('$') {
        "starts with '$'"
    } else if name == "system" || name.starts_with("system.") {
        "starts with 'system.'"
    } else if name.starts_with('.') || name.ends_with('.') || name.contains("..") {
        "has an empty part between dots"
    } else {
        return Ok(());
    };
    Err(invalid("collection", name, fault))
}

/// Whether a snapshot may have this name: 1 to 255 bytes without control
/// characters, and no white space at either end.
///
/// # Errors
/// [`ErrorKind::BadValue`], with the reason.
pub fn check_snapshot(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > MAX_NAME_LEN {
        format!("has {} bytes, the limit is {MAX_NAME_LEN}", name.len())
    } else if let Some(found) = name.chars().find(|c| c.is_control()) {
        format!("contains {found:?}")
    } else if name.trim() != name {
        "begins or ends with white space".to_owned()
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(32).collect();
    let message = format!("invalid snapshot name {shown:?}: it {fault}");
    Err(Error::new(ErrorKind::BadValue, message))
}

fn check(what: &str, name: &str, forbidden: &[char]) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(what, name, "is empty"));
    }
    if name.len() > MAX_NAME_LEN {
        let fault = format!("has {} bytes, the limit is {MAX_NAME_LEN}", name.len());
        return Err(invalid(
            what,
            &name.chars().take(32).collect::<String>(),
            &fault,
        ));
    }
    match name.chars().find(|c| *c == '\0' || forbidden.contains(c)) {
        Some(found) => Err(invalid(what, name, &format!("contains {found:?}"))),
        None => Ok(()),
    }
}

fn invalid(what: &str, name: &str, fault: &str) -> Error {
    let message = format!("invalid {what} name {name:?}: it {fault}");
    Error::new(ErrorKind::InvalidNamespace, message)
}

#[cfg(test)]
mod tests;
