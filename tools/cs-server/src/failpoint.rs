//! Faults on demand, for the tests of drivers: `configureFailPoint` with `failCommand`,
//! `failGetMoreAfterCursorCheckout` and `onPrimaryTransactionalWrite`. There only where the server was started with test commands.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bson::raw::cstr;
use bson::{RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, rawdoc};
use parking_lot::Mutex;

use crate::command::{CommandSpec, Context, Privilege};
use crate::error::{CommandError, Result, code, code_name};
use crate::fields::Fields;
use crate::reply::Reply;
use crate::session::SessionId;

/// The longest that a command may be held up.
const MAX_BLOCK: Duration = Duration::from_secs(60);
/// Labels that an error may be given.
const LABELS: [&str; 9] = [
    "RetryableWriteError",
    "TransientTransactionError",
    "UnknownTransactionCommitResult",
    "ResumableChangeStreamError",
    "NonResumableChangeStreamError",
    "NoWritesPerformed",
    "NetworkError",
    "SystemOverloadedError",
    "RetryableError",
];

/// Errors after which drivers resume a change stream.
const RESUMABLE: [i32; 17] = [
    6, 7, 63, 89, 91, 133, 150, 189, 234, 262, 9001, 10107, 11600, 11602, 13388, 13435, 13436,
];

/// The family.
pub(crate) const COMMANDS: &[CommandSpec] = &[CommandSpec {
    name: "configureFailPoint",
    role: Privilege::ClusterAdmin,
    before_auth: false,
    in_txn: false,
    waits: false,
    fields: &["mode", "data"],
    run: configure,
}];

/// How often commands fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Always,
    /// So often, and then no more.
    Times(u64),
    /// Always but for the first.
    Skip(u64),
}

impl Mode {
    /// Whether it is time.
    fn enter(&mut self) -> bool {
        match self {
            Self::Always => true,
            Self::Times(0) => false,
            Self::Times(left) => {
                *left -= 1;
                true
            }
            Self::Skip(0) => true,
            Self::Skip(left) => {
                *left -= 1;
                false
            }
        }
    }
}

/// What befalls which commands.
#[derive(Clone, Debug)]
struct FailPoint {
    mode: Mode,
    commands: Vec<String>,
    app_name: Option<String>,
    closes: bool,
    blocks: Option<Duration>,
    error_code: Option<i32>,
    labels: Option<Vec<&'static str>>,
    write_concern_error: Option<RawDocumentBuf>,
}

/// What befalls retryable writes: their connection breaks before they happen, or behind it.
#[derive(Clone, Copy, Debug)]
struct WritePoint {
    mode: Mode,
    closes: bool,
    error_code: Option<i32>,
}

/// Those that there may be: one of each kind.
#[derive(Debug, Default)]
pub(crate) struct FailPoints {
    is_set: AtomicBool,
    current: Mutex<Option<FailPoint>>,
    writes: Mutex<Option<WritePoint>>,
    entered: Mutex<i64>,
}

/// What befalls a command that is carried out all the same.
#[derive(Debug, Default)]
pub(crate) struct Mishap {
    write_concern_error: Option<RawDocumentBuf>,
    labels: Option<Vec<&'static str>>,
}

impl FailPoints {
    fn set(&self, fail_point: Option<FailPoint>) -> i64 {
        self.is_set.store(fail_point.is_some(), Ordering::Release);
        *self.current.lock() = fail_point;
        *self.entered.lock()
    }

    fn enter_write(&self) -> Option<WritePoint> {
        let mut writes = self.writes.lock();
        let point = writes.as_mut()?;
        point.mode.enter().then_some(*point)
    }

    /// The one that befalls a command of this name and client.
    fn enter(&self, name: &str, app_name: Option<&str>) -> Option<FailPoint> {
        if !self.is_set.load(Ordering::Acquire) {
            return None;
        }
        let mut current = self.current.lock();
        let fail_point = current.as_mut()?;
        let is_meant = fail_point.commands.iter().any(|command| command == name)
            && (fail_point.app_name.is_none() || fail_point.app_name.as_deref() == app_name);
        if !is_meant || !fail_point.mode.enter() {
            return None;
        }
        *self.entered.lock() += 1;
        Some(fail_point.clone())
    }
}

/// Has a command fail, if it is to.
///
/// # Errors
/// It is to; the error has its labels where the fail point says which.
pub(crate) fn befall(context: &mut Context<'_>) -> Result<Mishap> {
    let server = std::sync::Arc::clone(context.server);
    let client = context.connection.client.as_ref();
    let app_name = client
        .and_then(|client| client.get_document("application").ok())
        .and_then(|application| application.get_str("name").ok());
    let Some(fail_point) = server.fail_points.enter(context.spec.name, app_name) else {
        return Ok(Mishap::default());
    };
    if let Some(time) = fail_point.blocks {
        tokio::task::block_in_place(|| std::thread::sleep(time));
    }
    if fail_point.closes {
        context.connection.must_close = true;
        return Err(CommandError::new(6, "the fail point closes the connection"));
    }
    if let Some(code) = fail_point.error_code {
        let message = "Failing command via 'failCommand' failpoint";
        let mut error = CommandError::new(code, message);
        context.part.keeps_labels = fail_point.labels.is_some();
        error.labels = fail_point.labels.unwrap_or_default();
        return Err(error);
    }
    Ok(Mishap {
        write_concern_error: fail_point.write_concern_error,
        labels: fail_point.labels,
    })
}

/// Carries a retryable write out, unless something befalls it before or behind.
///
/// # Errors
/// Those of the write, and that which it is to fail with.
pub(crate) fn befall_write(
    context: &mut Context<'_>,
    (session, number): (&SessionId, i64),
    write: impl FnOnce(&mut Context<'_>) -> Result<Reply>,
) -> Result<Reply> {
    let server = std::sync::Arc::clone(context.server);
    if server.fail_points.writes.lock().is_none() {
        return write(context);
    }
    // What only answers once more writes nothing.
    let last = server.database.last_statement(session)?;
    if last.is_some_and(|last| i64::try_from(last.number).is_ok_and(|last| last >= number)) {
        return write(context);
    }
    let Some(point) = server.fail_points.enter_write() else {
        return write(context);
    };
    let outcome = match point.error_code {
        None => write(context),
        Some(code) => {
            let message = "Failing write via 'onPrimaryTransactionalWrite' failpoint";
            Err(CommandError::new(code, message))
        }
    };
    context.connection.must_close |= point.closes;
    outcome
}

impl Mishap {
    /// Tells of what did not happen.
    pub(crate) fn tell(self, reply: &mut Reply, is_retryable: bool) {
        let Some(error) = self.write_concern_error else {
            return;
        };
        let code = error.get_i32("code").unwrap_or_default();
        reply.document.append(cstr!("writeConcernError"), error);
        let labels = self.labels.unwrap_or_else(|| {
            let helps = is_retryable && CommandError::new(code, "").is_retryable();
            if helps { vec![LABELS[0]] } else { Vec::new() }
        });
        if !labels.is_empty() {
            let mut array = RawArrayBuf::new();
            for label in labels {
                array.push(label);
            }
            reply.document.append(cstr!("errorLabels"), array);
        }
    }
}

fn configure(context: &mut Context<'_>) -> Result<Reply> {
    if !context.server.config.test_commands {
        let message = "no such command: 'configureFailPoint': the server was started without test \
                       commands";
        return Err(CommandError::new(code::COMMAND_NOT_FOUND, message));
    }
    context.admin_only()?;
    let fields = &context.fields;
    match fields.text("configureFailPoint")? {
        Some("failCommand") => {}
        Some("failGetMoreAfterCursorCheckout") => {
            let point = match mode(fields.required("mode")?)? {
                None => None,
                Some(mode) => Some(FailPoint::of_get_more(mode, fields.document("data")?)?),
            };
            let entered = context.server.fail_points.set(point);
            return Ok(rawdoc! { "count": entered }.into());
        }
        Some("onPrimaryTransactionalWrite") => {
            let point = match mode(fields.required("mode")?)? {
                None => None,
                Some(mode) => Some(WritePoint::read(mode, fields.document("data")?)?),
            };
            *context.server.fail_points.writes.lock() = point;
            return Ok(rawdoc! { "count": 0 }.into());
        }
        other => {
            let message = format!("there is no fail point '{}'", other.unwrap_or_default());
            return Err(CommandError::bad_value(message));
        }
    }
    let fail_point = match mode(fields.required("mode")?)? {
        None => None,
        Some(mode) => Some(FailPoint::read(mode, fields.document("data")?)?),
    };
    let entered = context.server.fail_points.set(fail_point);
    Ok(rawdoc! { "count": entered }.into())
}

/// `None` where it is to be off.
fn mode(value: RawBsonRef<'_>) -> Result<Option<Mode>> {
    let wrong =
        || CommandError::bad_value("'mode' has to be 'off', 'alwaysOn', { times } or { skip }");
    match value {
        RawBsonRef::String("off") => Ok(None),
        RawBsonRef::String("alwaysOn") => Ok(Some(Mode::Always)),
        RawBsonRef::Document(mode) => {
            let fields = Fields::within("mode", mode, &["times", "skip"])?;
            match (fields.natural("times")?, fields.natural("skip")?) {
                (Some(times), None) => Ok(Some(Mode::Times(times))),
                (None, Some(skipped)) => Ok(Some(Mode::Skip(skipped))),
                _ => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

impl WritePoint {
    fn read(mode: Mode, data: Option<&RawDocument>) -> Result<Self> {
        let data = data.unwrap_or(crate::fields::empty());
        let known = ["closeConnection", "failBeforeCommitExceptionCode"];
        let fields = Fields::within("data", data, &known)?;
        let code = fields.integer("failBeforeCommitExceptionCode")?;
        let code = code.map(i32::try_from).transpose();
        Ok(Self {
            mode,
            closes: fields.boolean("closeConnection")?.unwrap_or(true),
            error_code: code.map_err(|_| CommandError::bad_value("a code is an int32"))?,
        })
    }
}

impl FailPoint {
    /// Of the getMore of a change stream, which a driver resumes where that may help.
    fn of_get_more(mode: Mode, data: Option<&RawDocument>) -> Result<Self> {
        let mut point = Self::read(mode, data)?;
        point.commands = vec!["getMore".to_owned()];
        let helps = point
            .error_code
            .is_some_and(|code| RESUMABLE.contains(&code));
        point.labels = helps.then(|| vec!["ResumableChangeStreamError"]);
        Ok(point)
    }

    fn read(mode: Mode, data: Option<&RawDocument>) -> Result<Self> {
        let known = [
            "failCommands",
            "errorCode",
            "errorLabels",
            "closeConnection",
            "blockConnection",
            "blockTimeMS",
            "writeConcernError",
            "appName",
            "failInternalCommands",
        ];
        let data = data.unwrap_or(crate::fields::empty());
        let fields = Fields::within("data", data, &known)?;
        let mut commands = Vec::new();
        for name in fields.array("failCommands")?.into_iter().flatten() {
            match name? {
                RawBsonRef::String(name) => commands.push(name.to_owned()),
                other => return Err(fields.mismatch("failCommands", other, "string")),
            }
        }
        let error_code = fields.integer("errorCode")?;
        let error_code = error_code.map(i32::try_from).transpose();
        let time = Duration::from_millis(fields.natural("blockTimeMS")?.unwrap_or(0));
        if time > MAX_BLOCK {
            let message = format!("blockTimeMS may be {} at most", MAX_BLOCK.as_millis());
            return Err(CommandError::bad_value(message));
        }
        let blocks = fields.boolean("blockConnection")? == Some(true);
        Ok(Self {
            mode,
            commands,
            app_name: fields.text("appName")?.map(ToOwned::to_owned),
            closes: fields.boolean("closeConnection")? == Some(true),
            blocks: blocks.then_some(time),
            error_code: error_code.map_err(|_| CommandError::bad_value("errorCode is an int32"))?,
            labels: labels(&fields)?,
            write_concern_error: match fields.document("writeConcernError")? {
                Some(error) => Some(named(error)?),
                None => None,
            },
        })
    }
}

/// The error as it is told: with a name, if it has a code and none.
fn named(error: &RawDocument) -> Result<RawDocumentBuf> {
    let mut told = error.to_owned();
    if let (Some(code), None) = (error.get("code")?, error.get("codeName")?) {
        let code = crate::fields::integer(code).and_then(|code| i32::try_from(code).ok());
        told.append(cstr!("codeName"), code_name(code.unwrap_or_default()));
    }
    Ok(told)
}

fn labels(fields: &Fields<'_>) -> Result<Option<Vec<&'static str>>> {
    let Some(array) = fields.array("errorLabels")? else {
        return Ok(None);
    };
    let mut labels = Vec::new();
    for label in array {
        let label = label?.as_str().unwrap_or_default();
        let Some(known) = LABELS.iter().find(|known| **known == label) else {
            let message = format!("errorLabels: '{label}' is not known");
            return Err(CommandError::bad_value(message));
        };
        labels.push(*known);
    }
    Ok(Some(labels))
}

#[cfg(test)]
mod tests;
