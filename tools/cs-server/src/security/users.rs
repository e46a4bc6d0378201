//! Users, as they are stored.
//!
//! A collection of the internal database holds one document each: `_id` is
//! `database.user`. The engine makes changes durable and, in a cluster, would carry them like
//! any data.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use collection_store::{Collection, Database, ErrorKind};

use super::fault::SecurityFault;
use super::role::{ADMIN, Grant, Role};
use super::scram::{Credentials, SALT_BYTES, random};
use super::{INTERNAL_DATABASE, MECHANISM};

const USERS: &str = "users";
const SECRETS: &str = "secrets";
/// The one secret: it makes salts of users that are not there.
const PRETENCE: &str = "pretence";
const SECRET_BYTES: usize = 32;
/// The longest name of a user, in bytes.
const MAX_NAME_BYTES: usize = 128;
/// The most roles of one user.
pub(super) const MAX_ROLES: usize = 256;

type Result<T> = std::result::Result<T, SecurityFault>;

/// Somebody who may come in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct User {
    /// The name.
    pub name: String,
    /// The database to which the name belongs.
    pub database: String,
    /// What the user may do.
    pub grants: Vec<Grant>,
    pub(super) credentials: Credentials,
    pub(super) custom_data: Option<Document>,
}

impl User {
    /// `database.name`, which is unique.
    #[must_use]
    pub fn id(&self) -> String {
        id(&self.database, &self.name)
    }
}

fn id(database: &str, name: &str) -> String {
    // A database's name has no dot, so this is unambiguous.
    format!("{database}.{name}")
}

/// The users of a server.
#[derive(Debug)]
pub struct Users {
    collection: Collection,
    secrets: Collection,
    /// Read, or made, when somebody logs in first.
    secret: OnceLock<Vec<u8>>,
    iterations: u32,
    /// Changes since the server started: who remembers a user looks again after one.
    changes: AtomicU64,
}

impl Users {
    /// The users in this database. `iterations` is for new passwords.
    #[must_use]
    pub fn open(database: &Database, iterations: u32) -> Self {
        let internal = database.database(INTERNAL_DATABASE);
        Self {
            collection: internal.collection(USERS),
            secrets: internal.collection(SECRETS),
            secret: OnceLock::new(),
            iterations,
            changes: AtomicU64::new(0),
        }
    }

    /// How often users were changed since the server started.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Whether there is none.
    ///
    /// # Errors
    /// The engine failed.
    pub fn is_empty(&self) -> Result<bool> {
        match self.collection.count(doc! {}) {
            Ok(count) => Ok(count == 0),
            Err(error) if error.kind() == ErrorKind::NamespaceNotFound => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// The user of that name.
    ///
    /// # Errors
    /// The engine failed, or what it holds is no user.
    pub fn find(&self, database: &str, name: &str) -> Result<Option<User>> {
        if name.len() > MAX_NAME_BYTES {
            return Ok(None);
        }
        let found = self.collection.find_by_id(id(database, name))?;
        found
            .map(|found| read(&Document::try_from(found.as_ref())?))
            .transpose()
    }

    /// All users, or those of one database, in order.
    ///
    /// # Errors
    /// The engine failed, or what it holds is no user.
    pub fn list(&self, database: Option<&str>) -> Result<Vec<User>> {
        let filter = database.map_or_else(|| doc! {}, |database| doc! { "db": database });
        let mut users = Vec::new();
        for found in self.collection.find(filter).run()? {
            users.push(read(&Document::try_from(found?.as_ref())?)?);
        }
        Ok(users)
    }

    /// Adds a user.
    ///
    /// # Errors
    /// There is one of that name, or the name, the password or a role makes no sense.
    pub fn create(
        &self,
        database: &str,
        name: &str,
        password: &str,
        grants: Vec<Grant>,
        custom_data: Option<Document>,
    ) -> Result<()> {
        check_name(name)?;
        let user = User {
            name: name.to_owned(),
            database: database.to_owned(),
            grants,
            credentials: Credentials::of(password, self.iterations)?,
            custom_data,
        };
        let added = self.collection.insert_one(write(&user));
        self.changes.fetch_add(1, Ordering::AcqRel);
        match added {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::DuplicateKey => Err(SecurityFault::new(
                SecurityFault::USER_EXISTS,
                format!("User \"{name}@{database}\" already exists"),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Changes a user.
    ///
    /// # Errors
    /// There is none of that name, or the change makes no sense.
    pub fn change(
        &self,
        database: &str,
        name: &str,
        change: impl FnOnce(&mut User) -> Result<()>,
    ) -> Result<()> {
        let mut user = self
            .find(database, name)?
            .ok_or_else(|| not_found(database, name))?;
        let before = write(&user);
        change(&mut user)?;
        // Whoever changed it in between is not overwritten.
        let replaced = self.collection.replace_one(before, write(&user));
        self.changes.fetch_add(1, Ordering::AcqRel);
        match replaced?.matched {
            0 => Err(SecurityFault::new(
                112,
                format!("user \"{name}@{database}\" was changed by somebody else meanwhile"),
            )),
            _ => Ok(()),
        }
    }

    /// New credentials for a user.
    pub(super) fn credentials(&self, password: &str) -> Result<Credentials> {
        Credentials::of(password, self.iterations)
    }

    /// Removes a user.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn remove(&self, database: &str, name: &str) -> Result<()> {
        let removed = self
            .collection
            .delete_one(doc! { "_id": id(database, name) });
        self.changes.fetch_add(1, Ordering::AcqRel);
        match removed? {
            true => Ok(()),
            false => Err(not_found(database, name)),
        }
    }

    /// Removes all users of a database; how many.
    ///
    /// # Errors
    /// The engine failed.
    pub fn remove_all(&self, database: &str) -> Result<u64> {
        let removed = self.collection.delete_many(doc! { "db": database });
        self.changes.fetch_add(1, Ordering::AcqRel);
        Ok(removed?)
    }

    /// Makes the first user, with the role root, if there is none; whether it was made.
    ///
    /// # Errors
    /// The name or the password makes no sense, or the engine failed.
    pub fn bootstrap(&self, name: &str, password: &str) -> Result<bool> {
        if !self.is_empty()? {
            return Ok(false);
        }
        let root = Grant {
            role: Role::Root,
            database: ADMIN.to_owned(),
        };
        self.create(ADMIN, name, password, vec![root], None)?;
        Ok(true)
    }

    fn secret(&self) -> Result<&[u8]> {
        if let Some(secret) = self.secret.get() {
            return Ok(secret);
        }
        let found = secret(&self.secrets)?;
        Ok(self.secret.get_or_init(|| found))
    }

    /// What a login is judged by, and whether the user is there.
    pub(super) fn login(&self, database: &str, name: &str) -> Result<(Credentials, Option<User>)> {
        // Computed in either case, so that the time tells nothing.
        let pretended =
            Credentials::pretended(self.secret()?, &id(database, name), self.iterations);
        let user = self.find(database, name)?;
        let credentials = user.as_ref().map(|user| user.credentials.clone());
        Ok((credentials.unwrap_or(pretended), user))
    }
}

fn not_found(database: &str, name: &str) -> SecurityFault {
    SecurityFault::new(
        SecurityFault::USER_NOT_FOUND,
        format!("Could not find user \"{name}\" for db \"{database}\""),
    )
}

fn check_name(name: &str) -> Result<()> {
    let is_right = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
    match is_right && !name.chars().any(char::is_control) {
        true => Ok(()),
        false => Err(SecurityFault::new(
            SecurityFault::BAD_VALUE,
            format!("a user's name has 1 to {MAX_NAME_BYTES} bytes and no control characters"),
        )),
    }
}

/// The secret of this server, made when it is first asked for.
fn secret(secrets: &Collection) -> Result<Vec<u8>> {
    let stored = |secrets: &Collection| -> Result<Option<Vec<u8>>> {
        let Some(found) = secrets.find_by_id(PRETENCE)? else {
            return Ok(None);
        };
        let bytes = Document::try_from(found.as_ref())?;
        let bytes = bytes
            .get_binary_generic("bytes")
            .map_err(|_| damaged("a secret"))?;
        Ok(Some(bytes.clone()))
    };
    if let Some(secret) = stored(secrets)? {
        return Ok(secret);
    }
    let mut bytes = vec![0; SECRET_BYTES];
    random(&mut bytes)?;
    match secrets.insert_one(doc! { "_id": PRETENCE, "bytes": binary(&bytes) }) {
        Ok(_) => Ok(bytes),
        // Somebody else was first: theirs is the one.
        Err(error) if error.kind() == ErrorKind::DuplicateKey => {
            stored(secrets)?.ok_or_else(|| damaged("no secret"))
        }
        Err(error) => Err(error.into()),
    }
}

fn binary(bytes: &[u8]) -> Binary {
    Binary {
        subtype: BinarySubtype::Generic,
        bytes: bytes.to_vec(),
    }
}

fn damaged(what: &str) -> SecurityFault {
    SecurityFault::new(
        1,
        format!("the internal database holds {what} that is none"),
    )
}

fn write(user: &User) -> Document {
    let credentials = &user.credentials;
    let mut document = doc! {
        "_id": user.id(),
        "user": &user.name,
        "db": &user.database,
        "roles": write_grants(&user.grants),
        "credentials": { MECHANISM: {
            "iterationCount": i64::from(credentials.iterations),
            "salt": binary(&credentials.salt),
            "storedKey": binary(&credentials.stored_key),
            "serverKey": binary(&credentials.server_key),
        } },
    };
    if let Some(custom_data) = &user.custom_data {
        document.insert("customData", custom_data.clone());
    }
    document
}

/// Roles as commands and answers have them.
pub(super) fn write_grants(grants: &[Grant]) -> Vec<Document> {
    let one = |grant: &Grant| doc! { "role": grant.role.name(), "db": &grant.database };
    grants.iter().map(one).collect()
}

fn read(document: &Document) -> Result<User> {
    parse(document).ok_or_else(|| damaged("a user"))
}

fn parse(document: &Document) -> Option<User> {
    let keys = document.get_document("credentials").ok()?;
    let keys = keys.get_document(MECHANISM).ok()?;
    let bytes = |name: &str| keys.get_binary_generic(name).ok();
    let mut salt = [0; SALT_BYTES];
    salt.copy_from_slice(bytes("salt")?.get(..SALT_BYTES)?);
    let mut grants = Vec::new();
    for grant in document.get_array("roles").ok()? {
        let grant = grant.as_document()?;
        grants.push(Grant {
            role: Role::named(grant.get_str("role").ok()?)?,
            database: grant.get_str("db").ok()?.to_owned(),
        });
    }
    Some(User {
        name: document.get_str("user").ok()?.to_owned(),
        database: document.get_str("db").ok()?.to_owned(),
        grants,
        credentials: Credentials {
            iterations: u32::try_from(keys.get_i64("iterationCount").ok()?).ok()?,
            salt,
            stored_key: bytes("storedKey")?.as_slice().try_into().ok()?,
            server_key: bytes("serverKey")?.as_slice().try_into().ok()?,
        },
        custom_data: document.get_document("customData").ok().cloned(),
    })
}

#[cfg(test)]
mod tests;
