//! The one place where it is decided whether a command may run.

use bson::{RawBsonRef, RawDocument};

use crate::command::Privilege;

use super::fault::SecurityFault;
use super::is_internal;
use super::role::{ADMIN, Role};
use super::users::User;

/// A command that asks to run.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Whether clients have to say who they are.
    pub authentication: bool,
    /// Who asks; nobody yet, if none.
    pub user: Option<&'a User>,
    /// Whether the client is on this host, there is no user, and the first one may be made.
    pub first_user_may_be_made: bool,
    /// The command.
    pub name: &'a str,
    /// What it takes.
    pub privilege: Privilege,
    /// Whether it is open to everybody.
    pub before_auth: bool,
    /// The database that it was sent to.
    pub database: &'a str,
    /// All of it.
    pub command: &'a RawDocument,
}

/// Whether a command may run. All that it reaches for is looked at: the database that it was sent
/// to, where a pipeline writes, what is renamed.
///
/// # Errors
/// It may not (13), or it reaches for the server's own database (73).
pub fn authorize(ask: &Ask<'_>) -> Result<(), SecurityFault> {
    let others = reached(ask);
    for database in std::iter::once(ask.database).chain(others.iter().map(|(_, name)| *name)) {
        if is_internal(database) {
            let message = format!("invalid database name '{database}': it is the server's own");
            return Err(SecurityFault::new(
                SecurityFault::INVALID_NAMESPACE,
                message,
            ));
        }
    }
    if !ask.authentication || ask.before_auth {
        return Ok(());
    }
    let Some(user) = ask.user else {
        return match ask.first_user_may_be_made && makes_first_user(ask) {
            true => Ok(()),
            false => Err(refused(format!(
                "command {} requires authentication",
                ask.name
            ))),
        };
    };
    let is_about_itself = || others.is_empty() || ask.name != "renameCollection";
    let asked = std::iter::once((ask.privilege, ask.database)).filter(|_| is_about_itself());
    for (privilege, database) in asked.chain(others.iter().copied()) {
        // Whoever is somebody may; roles are not asked.
        if matches!(privilege, Privilege::None | Privilege::Authenticated) {
            continue;
        }
        if !user
            .grants
            .iter()
            .any(|grant| grant.allows(privilege, database))
        {
            return Err(refused(format!(
                "not authorized on {database} to execute command {}",
                ask.name
            )));
        }
    }
    Ok(())
}

/// Whether the user may know that the database is there.
#[must_use]
pub fn may_see_database(user: &User, database: &str) -> bool {
    let allows = |grant: &super::Grant| grant.allows(Privilege::Inspect, database);
    !is_internal(database) && user.grants.iter().any(allows)
}

/// Whether a command carries what must not be written anywhere.
#[must_use]
pub fn is_sensitive(name: &str) -> bool {
    ["saslStart", "saslContinue", "createUser", "updateUser"].contains(&name)
}

fn refused(message: String) -> SecurityFault {
    SecurityFault::new(SecurityFault::UNAUTHORIZED, message)
}

/// The first user has to be one who can make others; anything else would lock everybody out.
fn makes_first_user(ask: &Ask<'_>) -> bool {
    if ask.name != "createUser" || ask.database != ADMIN {
        return false;
    }
    let Ok(roles) = ask.command.get_array("roles") else {
        return false;
    };
    let root = Role::Root.name();
    roles.into_iter().flatten().any(|role| match role {
        RawBsonRef::String(name) => name == root,
        RawBsonRef::Document(role) => role.get_str("role").is_ok_and(|name| name == root),
        _ => false,
    })
}

/// What a command reaches for beyond its own database, and what that takes.
fn reached<'a>(ask: &Ask<'a>) -> Vec<(Privilege, &'a str)> {
    match ask.name {
        "renameCollection" => ["renameCollection", "to"]
            .into_iter()
            .filter_map(|field| ask.command.get_str(field).ok())
            .filter_map(|name| Some((Privilege::Shape, name.split_once('.')?.0)))
            .collect(),
        "aggregate" => in_pipeline(ask.command, ask.database),
        // What is explained is not done; an explained pipeline writes nothing.
        "explain" => match ask.command.get_document("explain") {
            Ok(inner) => in_pipeline(inner, ask.database),
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// What the stages of a pipeline reach for. A stage that is nested reads, or the engine refuses it:
/// `$out` and `$merge` are last, and outermost.
fn in_pipeline<'a>(command: &'a RawDocument, database: &'a str) -> Vec<(Privilege, &'a str)> {
    let mut found = Vec::new();
    let Ok(pipeline) = command.get_array("pipeline") else {
        return found;
    };
    for stage in pipeline.into_iter().flatten() {
        let RawBsonRef::Document(stage) = stage else {
            continue;
        };
        // A stage has one field; if it has more, the engine refuses it, but not before this.
        for (name, value) in stage.iter().flatten() {
            match name.as_str() {
                "$out" => found.push((
                    Privilege::ReadWrite,
                    target(value, "db").unwrap_or(database),
                )),
                "$merge" => {
                    let into = match value {
                        RawBsonRef::Document(merge) => merge.get("into").ok().flatten(),
                        other => Some(other),
                    };
                    let into = into.and_then(|into| target(into, "db"));
                    found.push((Privilege::ReadWrite, into.unwrap_or(database)));
                }
                "$lookup" | "$unionWith" | "$graphLookup" => {
                    let from = match value {
                        RawBsonRef::Document(stage) => stage.get("from").ok().flatten(),
                        _ => None,
                    };
                    let other = from.and_then(|from| target(from, "db"));
                    let other = other.or_else(|| target(value, "db"));
                    found.extend(other.map(|other| (Privilege::Read, other)));
                }
                "$changeStream" => {
                    // One over all databases reads all of them: only a wide role reads `admin`
                    // and everything else.
                    if let RawBsonRef::Document(stage) = value
                        && stage.get_bool("allChangesForCluster").unwrap_or(false)
                    {
                        found.push((Privilege::Backup, ADMIN));
                    }
                }
                "$currentOp" | "$listSessions" | "$listLocalSessions" => {
                    found.push((Privilege::Monitor, ADMIN));
                }
                _ => {}
            }
        }
    }
    found
}

/// The database that a stage names.
fn target<'a>(value: RawBsonRef<'a>, field: &str) -> Option<&'a str> {
    match value {
        RawBsonRef::Document(document) => document.get_str(field).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
