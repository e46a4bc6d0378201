//! What drivers and shells ask at once, and what tells about the server itself.

use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use collection_store::values::MAX_DOCUMENT_LEN;

use super::{ANY_FIELD, CommandSpec, Context, Handler, Privilege};
use crate::MONGODB_VERSION;
use crate::error::{CommandError, Result, code};
use crate::reply::Reply;

const fn spec(
    name: &'static str,
    role: Privilege,
    before_auth: bool,
    fields: &'static [&'static str],
    run: Handler,
) -> CommandSpec {
    CommandSpec {
        before_auth,
        waits: false,
        ..CommandSpec::new(name, role, fields, run)
    }
}

/// The family.
pub(super) const COMMANDS: &[CommandSpec] = &[
    spec("ping", Privilege::None, true, &[], ping),
    spec("buildInfo", Privilege::None, true, &[], build_info),
    spec("buildinfo", Privilege::None, true, &[], build_info),
    spec("whatsmyuri", Privilege::None, true, &[], whats_my_uri),
    spec("hostInfo", Privilege::Monitor, false, &[], host_info),
    spec(
        "getCmdLineOpts",
        Privilege::Monitor,
        false,
        &[],
        command_line,
    ),
    spec("getLog", Privilege::Monitor, false, &[], get_log),
    spec(
        "getParameter",
        Privilege::Monitor,
        false,
        ANY_FIELD,
        get_parameter,
    ),
    spec(
        "connectionStatus",
        Privilege::None,
        true,
        &["showPrivileges"],
        connection_status,
    ),
    spec("features", Privilege::None, false, &["oidReset"], features),
    spec(
        "getFreeMonitoringStatus",
        Privilege::Monitor,
        false,
        &[],
        free_monitoring,
    ),
    spec("listCommands", Privilege::None, false, &[], list_commands),
];

fn ping(_context: &mut Context<'_>) -> Result<Reply> {
    Ok(Reply::ok())
}

/// The version of MongoDB that it presents itself as.
pub(super) fn version() -> String {
    let [major, minor, patch, _] = MONGODB_VERSION;
    format!("{major}.{minor}.{patch}")
}

fn build_info(context: &mut Context<'_>) -> Result<Reply> {
    let mut versions = RawArrayBuf::new();
    for part in MONGODB_VERSION {
        versions.push(part);
    }
    let mut engines = RawArrayBuf::new();
    engines.push("collection-store");
    let database = &context.server.database;
    Ok(rawdoc! {
        "version": version(),
        "gitVersion": env!("CARGO_PKG_VERSION"),
        "modules": RawArrayBuf::new(),
        "allocator": "system",
        "javascriptEngine": "none",
        "sysInfo": "deprecated",
        "versionArray": versions,
        "bits": 64,
        "debug": cfg!(debug_assertions),
        "maxBsonObjectSize": i32::try_from(MAX_DOCUMENT_LEN).unwrap_or(i32::MAX),
        "storageEngines": engines,
        "readOnly": database.is_read_only(),
        "collectionStore": { "version": env!("CARGO_PKG_VERSION") },
    }
    .into())
}

fn whats_my_uri(context: &mut Context<'_>) -> Result<Reply> {
    Ok(rawdoc! { "you": context.connection.peer.address.as_str() }.into())
}

fn host_info(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let cores = i32::try_from(cores).unwrap_or(i32::MAX);
    Ok(rawdoc! {
        "system": {
            "currentTime": bson::DateTime::now(),
            "hostname": context.server.advertised.as_str(),
            "cpuAddrSize": 64,
            "numCores": cores,
            "cpuArch": std::env::consts::ARCH,
        },
        "os": { "type": std::env::consts::OS, "name": std::env::consts::OS, "version": "" },
        "extra": {},
    }
    .into())
}

/// What the server was told, without what is secret.
fn command_line(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let config = &context.server.config;
    let mut argv = RawArrayBuf::new();
    argv.push("cs-server");
    Ok(rawdoc! {
        "argv": argv,
        "parsed": {
            "net": { "bindIp": config.bind.to_string(), "port": i32::from(config.port) },
            "replication": { "replSet": config.replica_set.as_str() },
        },
    }
    .into())
}

/// Shells show the warnings of the start: what makes the server less safe than it is by itself.
fn get_log(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let wanted = context.fields.text("getLog")?.unwrap_or_default();
    if wanted == "*" {
        let mut names = RawArrayBuf::new();
        names.push("global");
        names.push("startupWarnings");
        return Ok(rawdoc! { "names": names }.into());
    }
    if !["global", "startupWarnings"].contains(&wanted) {
        let message = format!("No log named '{wanted}'");
        return Err(CommandError::new(code::BAD_VALUE, message));
    }
    let mut log = RawArrayBuf::new();
    let mut lines = 0;
    if wanted == "startupWarnings" {
        for setting in context.server.config.unsafe_settings() {
            log.push(warning(setting));
            lines += 1;
        }
    }
    Ok(rawdoc! { "totalLinesWritten": lines, "log": log }.into())
}

/// A line of the log as shells read it.
fn warning(setting: &str) -> String {
    let now = bson::DateTime::now().try_to_rfc3339_string();
    serde_json::json!({
        "t": { "$date": now.unwrap_or_default() },
        "s": "W",
        "c": "CONTROL",
        "id": 0,
        "ctx": "initandlisten",
        "msg": format!("the server is less safe than by itself: {setting}"),
        "tags": ["startupWarnings"],
    })
    .to_string()
}

fn get_parameter(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    let config = &context.server.config;
    let known = rawdoc! {
        "featureCompatibilityVersion": { "version": "8.0" },
        "enableTestCommands": config.test_commands,
        "authenticationMechanisms": mechanisms(),
        "requireApiVersion": false,
        "transactionLifetimeLimitSeconds": 60,
        "quiet": false,
    };
    let wants_all = match context.fields.get("getParameter") {
        Some(bson::RawBsonRef::String("*")) => true,
        Some(bson::RawBsonRef::Document(options)) => {
            options.get_bool("allParameters").unwrap_or(false)
        }
        _ => false,
    };
    let mut reply = RawDocumentBuf::new();
    for (name, value) in known.iter().flatten() {
        if wants_all || context.fields.has(name.as_str()) {
            reply.append(name, value);
        }
    }
    if reply.is_empty() {
        let message = "no option found to get";
        return Err(CommandError::new(code::INVALID_OPTIONS, message));
    }
    Ok(reply.into())
}

fn mechanisms() -> RawArrayBuf {
    let mut mechanisms = RawArrayBuf::new();
    mechanisms.push("SCRAM-SHA-256");
    mechanisms
}

fn connection_status(context: &mut Context<'_>) -> Result<Reply> {
    let (mut users, mut roles) = (RawArrayBuf::new(), RawArrayBuf::new());
    if let Some((user, _)) = &context.connection.user {
        users.push(rawdoc! { "user": user.name.as_str(), "db": user.database.as_str() });
        for grant in &user.grants {
            roles.push(rawdoc! { "role": grant.role.name(), "db": grant.database.as_str() });
        }
    }
    let mut info = rawdoc! {
        "authenticatedUsers": users,
        "authenticatedUserRoles": roles,
    };
    if context.fields.boolean("showPrivileges")? == Some(true) {
        info.append(cstr!("authenticatedUserPrivileges"), RawArrayBuf::new());
    }
    Ok(rawdoc! { "authInfo": info }.into())
}

fn features(_context: &mut Context<'_>) -> Result<Reply> {
    Ok(rawdoc! { "js": false, "oidMachine": 0 }.into())
}

fn free_monitoring(context: &mut Context<'_>) -> Result<Reply> {
    context.admin_only()?;
    Ok(rawdoc! { "state": "undecided" }.into())
}

fn list_commands(_context: &mut Context<'_>) -> Result<Reply> {
    let mut commands = RawDocumentBuf::new();
    for spec in super::all() {
        let described = rawdoc! {
            "help": "see the README of cs-server",
            "requiresAuth": !spec.before_auth,
            "secondaryOk": false,
            "adminOnly": false,
        };
        // Names of commands hold no NUL.
        if let Ok(name) = bson::raw::CString::try_from(spec.name.to_owned()) {
            commands.append(name, described);
        }
    }
    Ok(rawdoc! { "commands": commands }.into())
}
