//! The commands that change users: `createUser` and its kin.
//!
//! An option that is not honoured is refused by name: mechanisms but SCRAM-SHA-256, restrictions by
//! address, `digestPassword: false`, `showCredentials`, `showPrivileges`, `filter`.

use bson::{Bson, Document, doc};
use zeroize::Zeroizing;

use super::fault::SecurityFault;
use super::role::{ADMIN, Grant, Role};
use super::scram::MECHANISM;
use super::users::{MAX_ROLES, User, Users, write_grants};

type Result<T> = std::result::Result<T, SecurityFault>;

/// A command about users.
#[derive(Clone, Copy, Debug)]
pub struct UserCommand {
    /// Its name.
    pub name: &'static str,
    /// The fields that it knows, but for those that any command may have.
    pub fields: &'static [&'static str],
    run: fn(&Users, &Request<'_>) -> Result<Document>,
}

/// All of them.
pub const USER_COMMANDS: [UserCommand; 7] = [
    UserCommand {
        name: "createUser",
        fields: &[
            "pwd",
            "roles",
            "customData",
            "mechanisms",
            "digestPassword",
            "authenticationRestrictions",
        ],
        run: create,
    },
    UserCommand {
        name: "updateUser",
        fields: &[
            "pwd",
            "roles",
            "customData",
            "mechanisms",
            "digestPassword",
            "authenticationRestrictions",
        ],
        run: update,
    },
    UserCommand {
        name: "dropUser",
        fields: &[],
        run: drop_user,
    },
    UserCommand {
        name: "dropAllUsersFromDatabase",
        fields: &[],
        run: drop_all,
    },
    UserCommand {
        name: "grantRolesToUser",
        fields: &["roles"],
        run: grant_roles,
    },
    UserCommand {
        name: "revokeRolesFromUser",
        fields: &["roles"],
        run: revoke_roles,
    },
    UserCommand {
        name: "usersInfo",
        fields: &[
            "showCredentials",
            "showPrivileges",
            "showCustomData",
            "filter",
        ],
        run: info,
    },
];

/// A command, and the database that it was sent to.
#[derive(Debug)]
struct Request<'a> {
    database: &'a str,
    name: &'static str,
    body: &'a Document,
}

/// Carries a command out. Setting a password takes milliseconds of a core.
///
/// # Errors
/// An option is not honoured, a name is unknown or taken, or the engine failed.
pub fn manage(
    users: &Users,
    command: &UserCommand,
    database: &str,
    body: &Document,
) -> Result<Document> {
    let request = Request {
        database,
        name: command.name,
        body,
    };
    (command.run)(users, &request)
}

impl Request<'_> {
    fn fault(&self, what: &str) -> SecurityFault {
        SecurityFault::new(SecurityFault::BAD_VALUE, format!("{}: {what}", self.name))
    }

    fn mismatch(&self, field: &str, expected: &str) -> SecurityFault {
        let message = format!("{}: field '{field}' must be {expected}", self.name);
        SecurityFault::new(SecurityFault::TYPE_MISMATCH, message)
    }

    /// The user that the command names.
    fn user(&self) -> Result<&str> {
        let name = self.body.get_str(self.name);
        name.map_err(|_| self.mismatch(self.name, "the name of a user"))
    }

    fn password(&self) -> Result<Option<Zeroizing<String>>> {
        match self.body.get("pwd") {
            None => Ok(None),
            Some(Bson::String(password)) => Ok(Some(Zeroizing::new(password.clone()))),
            Some(_) => Err(self.mismatch("pwd", "a string")),
        }
    }

    fn custom_data(&self) -> Result<Option<Document>> {
        match self.body.get("customData") {
            None => Ok(None),
            Some(Bson::Document(document)) => Ok(Some(document.clone())),
            Some(_) => Err(self.mismatch("customData", "a document")),
        }
    }

    /// Refuses what is not honoured, and would be believed to be.
    fn check_options(&self) -> Result<()> {
        if let Some(mechanisms) = self.body.get("mechanisms") {
            let is_ours = mechanisms
                .as_array()
                .is_some_and(|array| array.len() == 1 && array[0].as_str() == Some(MECHANISM));
            if !is_ours {
                return Err(self.fault(&format!("the one mechanism is [\"{MECHANISM}\"]")));
            }
        }
        match self.body.get("digestPassword") {
            None | Some(Bson::Boolean(true)) => {}
            Some(_) => return Err(self.fault("digestPassword other than true is not supported")),
        }
        match self.body.get("authenticationRestrictions") {
            None => Ok(()),
            Some(Bson::Array(array)) if array.is_empty() => Ok(()),
            Some(_) => Err(self.fault("authenticationRestrictions are not supported")),
        }
    }

    fn grants(&self) -> Result<Option<Vec<Grant>>> {
        let Some(roles) = self.body.get("roles") else {
            return Ok(None);
        };
        let roles = roles
            .as_array()
            .ok_or_else(|| self.mismatch("roles", "an array"))?;
        if roles.len() > MAX_ROLES {
            return Err(self.fault(&format!("a user has {MAX_ROLES} roles at most")));
        }
        let mut grants = Vec::new();
        for role in roles {
            let grant = self.grant(role)?;
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        Ok(Some(grants))
    }

    fn grant(&self, role: &Bson) -> Result<Grant> {
        let (name, database) = match role {
            Bson::String(name) => (name.as_str(), self.database),
            Bson::Document(document) => {
                let text = |field: &str| {
                    let text = document.get_str(field);
                    text.map_err(|_| self.mismatch(&format!("roles.{field}"), "a string"))
                };
                if let Some(other) = document
                    .keys()
                    .find(|key| !["role", "db"].contains(&key.as_str()))
                {
                    let message = format!(
                        "BSON field '{}.roles.{other}' is an unknown field.",
                        self.name
                    );
                    return Err(SecurityFault::new(SecurityFault::UNKNOWN_FIELD, message));
                }
                (text("role")?, text("db")?)
            }
            _ => return Err(self.mismatch("roles", "an array of names or { role, db }")),
        };
        let found = Role::named(name).filter(|role| !role.is_wide() || database == ADMIN);
        let role = found.ok_or_else(|| {
            let message = format!("Could not find role: {name}@{database}");
            SecurityFault::new(SecurityFault::ROLE_NOT_FOUND, message)
        })?;
        check_database(database)?;
        Ok(Grant {
            role,
            database: database.to_owned(),
        })
    }
}

fn check_database(database: &str) -> Result<()> {
    let own = super::is_internal(database);
    match collection_store::names::check_database(database) {
        Ok(()) if !own => Ok(()),
        _ => Err(SecurityFault::new(
            SecurityFault::INVALID_NAMESPACE,
            format!("invalid database name {database:?}"),
        )),
    }
}

fn create(users: &Users, request: &Request<'_>) -> Result<Document> {
    request.check_options()?;
    check_database(request.database)?;
    let password = request
        .password()?
        .ok_or_else(|| request.fault("a pwd is required"))?;
    let grants = request
        .grants()?
        .ok_or_else(|| request.fault("roles are required"))?;
    let custom_data = request.custom_data()?;
    users.create(
        request.database,
        request.user()?,
        &password,
        grants,
        custom_data,
    )?;
    Ok(doc! {})
}

fn update(users: &Users, request: &Request<'_>) -> Result<Document> {
    request.check_options()?;
    let (password, grants) = (request.password()?, request.grants()?);
    let custom_data = request.custom_data()?;
    if password.is_none() && grants.is_none() && custom_data.is_none() {
        return Err(request.fault("at least one of pwd, roles and customData is required"));
    }
    let credentials = password
        .map(|password| users.credentials(&password))
        .transpose()?;
    users.change(request.database, request.user()?, |user| {
        if let Some(credentials) = credentials {
            user.credentials = credentials;
        }
        if let Some(grants) = grants {
            user.grants = grants;
        }
        if custom_data.is_some() {
            user.custom_data = custom_data;
        }
        Ok(())
    })?;
    Ok(doc! {})
}

fn drop_user(users: &Users, request: &Request<'_>) -> Result<Document> {
    users.remove(request.database, request.user()?)?;
    Ok(doc! {})
}

fn drop_all(users: &Users, request: &Request<'_>) -> Result<Document> {
    let removed = users.remove_all(request.database)?;
    Ok(doc! { "n": i32::try_from(removed).unwrap_or(i32::MAX) })
}

fn grant_roles(users: &Users, request: &Request<'_>) -> Result<Document> {
    let grants = request
        .grants()?
        .ok_or_else(|| request.fault("roles are required"))?;
    users.change(request.database, request.user()?, |user| {
        for grant in grants {
            if !user.grants.contains(&grant) {
                user.grants.push(grant);
            }
        }
        match user.grants.len() > MAX_ROLES {
            true => Err(request.fault(&format!("a user has {MAX_ROLES} roles at most"))),
            false => Ok(()),
        }
    })?;
    Ok(doc! {})
}

fn revoke_roles(users: &Users, request: &Request<'_>) -> Result<Document> {
    let grants = request
        .grants()?
        .ok_or_else(|| request.fault("roles are required"))?;
    users.change(request.database, request.user()?, |user| {
        user.grants.retain(|grant| !grants.contains(grant));
        Ok(())
    })?;
    Ok(doc! {})
}

fn info(users: &Users, request: &Request<'_>) -> Result<Document> {
    for option in ["showCredentials", "showPrivileges", "filter"] {
        match request.body.get(option) {
            None | Some(Bson::Boolean(false)) => {}
            Some(_) => return Err(request.fault(&format!("{option} is not supported"))),
        }
    }
    let mut found = Vec::new();
    match request.body.get(request.name) {
        Some(Bson::Array(wanted)) if wanted.len() > MAX_ROLES => {
            return Err(request.fault(&format!("asks for more than {MAX_ROLES} users at once")));
        }
        Some(Bson::Array(wanted)) => {
            for one in wanted {
                found.extend(asked(users, request, one)?);
            }
        }
        Some(one) => found = asked(users, request, one)?,
        None => {}
    }
    let found: Vec<Document> = found.iter().map(shown).collect();
    Ok(doc! { "users": found })
}

fn asked(users: &Users, request: &Request<'_>, wanted: &Bson) -> Result<Vec<User>> {
    let one = |database: &str, name: &str| Ok(users.find(database, name)?.into_iter().collect());
    match wanted {
        Bson::Int32(1) | Bson::Int64(1) => users.list(Some(request.database)),
        Bson::Double(number) if (*number - 1.0).abs() < f64::EPSILON => {
            users.list(Some(request.database))
        }
        Bson::String(name) => one(request.database, name),
        Bson::Document(wanted) if wanted.get_bool("forAllDBs").unwrap_or(false) => users.list(None),
        Bson::Document(wanted) => match (wanted.get_str("user"), wanted.get_str("db")) {
            (Ok(name), Ok(database)) => one(database, name),
            _ => Err(request.mismatch("usersInfo", "{ user, db } or { forAllDBs: true }")),
        },
        _ => Err(request.mismatch("usersInfo", "1, a name, { user, db }, or an array of them")),
    }
}

/// A user as others may see it.
fn shown(user: &User) -> Document {
    let mut document = doc! {
        "_id": user.id(),
        "user": &user.name,
        "db": &user.database,
        "roles": write_grants(&user.grants),
        "mechanisms": [MECHANISM],
    };
    if let Some(custom_data) = &user.custom_data {
        document.insert("customData", custom_data.clone());
    }
    document
}

#[cfg(test)]
mod tests;
