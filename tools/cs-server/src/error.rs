//! What went wrong with a command, as clients expect to be told: code, code name, labels.

use bson::raw::cstr;
use bson::{RawArrayBuf, RawDocumentBuf, rawdoc};
use collection_store::{Error, ErrorKind, WriteError};

/// `Result` of a command.
pub type Result<T, E = CommandError> = std::result::Result<T, E>;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct CommandError {
    /// MongoDB's code.
    pub code: i32,
    /// What happened.
    pub message: String,
    /// What a driver may do about it.
    pub labels: Vec<&'static str>,
    /// Fields of the reply beyond code and message, as `keyPattern` and `errInfo`.
    pub extra: RawDocumentBuf,
}

/// The codes that the server itself uses, by MongoDB's names of them.
pub mod code {
    #![allow(missing_docs, reason = "each is named as MongoDB names it")]
    pub const INTERNAL_ERROR: i32 = 1;
    pub const BAD_VALUE: i32 = 2;
    pub const FAILED_TO_PARSE: i32 = 9;
    pub const UNAUTHORIZED: i32 = 13;
    pub const TYPE_MISMATCH: i32 = 14;
    pub const AUTHENTICATION_FAILED: i32 = 18;
    pub const ILLEGAL_OPERATION: i32 = 20;
    pub const NAMESPACE_NOT_FOUND: i32 = 26;
    pub const INDEX_NOT_FOUND: i32 = 27;
    pub const CURSOR_NOT_FOUND: i32 = 43;
    pub const NAMESPACE_EXISTS: i32 = 48;
    pub const COMMAND_NOT_FOUND: i32 = 59;
    pub const INVALID_OPTIONS: i32 = 72;
    pub const INVALID_NAMESPACE: i32 = 73;
    pub const SHUTDOWN_IN_PROGRESS: i32 = 91;
    pub const COMMAND_NOT_SUPPORTED: i32 = 115;
    pub const CURSOR_IN_USE: i32 = 12051;
    pub const EXCEEDED_MEMORY: i32 = 146;
    pub const TRANSACTION_TOO_OLD: i32 = 225;
    pub const NO_SUCH_TRANSACTION: i32 = 251;
    pub const NOT_IN_TRANSACTION: i32 = 263;
    pub const OBJECT_TOO_LARGE: i32 = 10334;
    pub const FAILED_FIELD_MISSING: i32 = 40414;
    pub const UNKNOWN_FIELD: i32 = 40415;
}

/// MongoDB's name of a code; those without one are called by their place.
#[must_use]
pub fn code_name(code: i32) -> String {
    let name = match code {
        1 => "InternalError",
        2 => "BadValue",
        4 => "NoSuchKey",
        6 => "HostUnreachable",
        8 => "UnknownError",
        9 => "FailedToParse",
        11 => "UserNotFound",
        13 => "Unauthorized",
        14 => "TypeMismatch",
        15 => "Overflow",
        16 => "InvalidLength",
        17 => "ProtocolError",
        18 => "AuthenticationFailed",
        20 => "IllegalOperation",
        22 => "InvalidBSON",
        24 => "LockTimeout",
        26 => "NamespaceNotFound",
        27 => "IndexNotFound",
        28 => "PathNotViable",
        31 => "RoleNotFound",
        40 => "ConflictingUpdateOperators",
        43 => "CursorNotFound",
        47 => "NoMatchingDocument",
        48 => "NamespaceExists",
        50 => "MaxTimeMSExpired",
        51 => "ManualInterventionRequired",
        52 => "DollarPrefixedFieldName",
        53 => "InvalidIdField",
        54 => "NotSingleValueField",
        56 => "EmptyFieldName",
        57 => "DottedFieldName",
        59 => "CommandNotFound",
        61 => "ShardKeyNotFound",
        64 => "WriteConcernFailed",
        65 => "MultipleErrorsOccurred",
        66 => "ImmutableField",
        67 => "CannotCreateIndex",
        68 => "IndexAlreadyExists",
        72 => "InvalidOptions",
        73 => "InvalidNamespace",
        79 => "UnknownReplWriteConcern",
        85 => "IndexOptionsConflict",
        86 => "IndexKeySpecsConflict",
        89 => "NetworkTimeout",
        91 => "ShutdownInProgress",
        96 => "OperationFailed",
        100 => "UnsatisfiableWriteConcern",
        112 => "WriteConflict",
        115 => "CommandNotSupported",
        121 => "DocumentValidationFailure",
        136 => "CappedPositionLost",
        146 => "ExceededMemoryLimit",
        148 => "ReadConcernMajorityNotEnabled",
        165 => "ViewDepthLimitExceeded",
        166 => "CommandNotSupportedOnView",
        167 => "OptionNotSupportedOnView",
        168 => "InvalidPipelineOperator",
        171 => "CannotIndexParallelArrays",
        189 => "PrimarySteppedDown",
        197 => "InvalidIndexSpecificationOption",
        206 => "NoSuchSession",
        211 => "KeyNotFound",
        217 => "IncompleteTransactionHistory",
        225 => "TransactionTooOld",
        232 => "MaxSubPipelineDepthExceeded",
        237 => "CursorKilled",
        238 => "NotImplemented",
        239 => "SnapshotTooOld",
        241 => "ConversionFailure",
        244 => "TransactionAborted",
        246 => "SnapshotUnavailable",
        251 => "NoSuchTransaction",
        256 => "TransactionCommitted",
        260 => "InvalidResumeToken",
        261 => "TooManyLogicalSessions",
        262 => "ExceededTimeLimit",
        263 => "OperationNotSupportedInTransaction",
        267 => "PreparedTransactionInProgress",
        276 => "IndexBuildAborted",
        280 => "ChangeStreamFatalError",
        286 => "ChangeStreamHistoryLost",
        290 => "TransactionExceededLifetimeLimitSeconds",
        291 => "NoQueryExecutionPlans",
        292 => "QueryExceededMemoryLimitNoDiskUseAllowed",
        322 => "APIVersionError",
        334 => "MechanismUnavailable",
        352 => "UnsupportedOpQueryCommand",
        9001 => "SocketException",
        10003 => "CannotGrowDocumentInCappedNamespace",
        10107 => "NotWritablePrimary",
        10334 => "BSONObjectTooLarge",
        11000 => "DuplicateKey",
        11600 => "InterruptedAtShutdown",
        11601 => "Interrupted",
        11602 => "InterruptedDueToReplStateChange",
        12051 => "CursorInUse",
        12587 => "BackgroundOperationInProgressForNamespace",
        13435 => "NotPrimaryNoSecondaryOk",
        13436 => "NotPrimaryOrSecondary",
        14031 => "OutOfDiskSpace",
        17280 => "KeyTooLong",
        other => return format!("Location{other}"),
    };
    name.to_owned()
}

/// The codes after which a driver may send a retryable write once more.
const RETRYABLE: [i32; 12] = [
    6, 7, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436,
];

impl CommandError {
    /// An error of this code.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            labels: Vec::new(),
            extra: RawDocumentBuf::new(),
        }
    }

    /// An argument that makes no sense.
    pub fn bad_value(message: impl Into<String>) -> Self {
        Self::new(code::BAD_VALUE, message)
    }

    /// An option that is known and not honoured.
    #[must_use]
    pub fn not_supported(command: &str, option: &str) -> Self {
        let message = format!("option '{option}' of '{command}' is not supported");
        Self::new(code::INVALID_OPTIONS, message)
    }

    /// The same with a label, once.
    #[must_use]
    pub fn with_label(mut self, label: &'static str) -> Self {
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
        self
    }

    /// Whether drivers may send a retryable write again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        RETRYABLE.contains(&self.code)
    }

    /// The reply.
    #[must_use]
    pub fn to_reply(&self) -> RawDocumentBuf {
        let mut reply = rawdoc! {
            "ok": 0.0,
            "errmsg": self.message.as_str(),
            "code": self.code,
            "codeName": code_name(self.code),
        };
        if !self.labels.is_empty() {
            let mut labels = RawArrayBuf::new();
            for label in &self.labels {
                labels.push(*label);
            }
            reply.append(cstr!("errorLabels"), labels);
        }
        append_all(&mut reply, &self.extra);
        reply
    }

    /// As one of the `writeErrors` of a reply.
    #[must_use]
    pub fn to_write_error(&self, index: usize) -> RawDocumentBuf {
        let mut error = rawdoc! {
            "index": i32::try_from(index).unwrap_or(i32::MAX),
            "code": self.code,
            "errmsg": self.message.as_str(),
        };
        append_all(&mut error, &self.extra);
        error
    }
}

fn append_all(target: &mut RawDocumentBuf, source: &RawDocumentBuf) {
    for (name, value) in source.iter().flatten() {
        target.append(name, value);
    }
}

impl From<&Error> for CommandError {
    fn from(error: &Error) -> Self {
        let code = error.code().unwrap_or(match error.kind() {
            ErrorKind::Closed => code::SHUTDOWN_IN_PROGRESS,
            ErrorKind::AlreadyApplied => 225,
            ErrorKind::Unsupported => code::COMMAND_NOT_SUPPORTED,
            _ => code::INTERNAL_ERROR,
        });
        let mut extra = RawDocumentBuf::new();
        let mut message = error.message().to_owned();
        if let Some(duplicate) = error.duplicate_key() {
            // Drivers and the frameworks on top of them look for this number in the text.
            message = format!("E11000 {message}");
            extra.append(cstr!("keyPattern"), duplicate.key_pattern.clone());
            extra.append(cstr!("keyValue"), duplicate.key_value.clone());
        }
        if let Some(details) = error.details() {
            extra.append(cstr!("errInfo"), details.clone());
        }
        Self {
            code,
            message,
            labels: Vec::new(),
            extra,
        }
    }
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::from(&error)
    }
}

impl From<&WriteError> for CommandError {
    fn from(error: &WriteError) -> Self {
        Self::from(&error.error)
    }
}

/// Bytes that were validated cannot be unreadable; if they are all the same, this is said.
impl From<bson::error::Error> for CommandError {
    fn from(error: bson::error::Error) -> Self {
        Self::new(22, format!("invalid document: {error}"))
    }
}

#[cfg(test)]
mod tests;
