//! The one error of the crate.
//!
//! ## Invariants
//! * Every error has a [kind](ErrorKind); where MongoDB has a code for it,
//!   [`Error::code`] is that code.
//! * Messages are lower case and say which thing, what was expected, what was
//!   found. They never hold the contents of a document but where a key clashes.

use std::fmt;

use bson::RawDocumentBuf;

use crate::schema::FieldFault;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of thing went wrong. The numbers are those of the C ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum ErrorKind {
    /// An argument, filter or option makes no sense.
    BadValue = 1,
    /// Text is not (extended) JSON.
    FailedToParse = 2,
    /// Bytes are not valid BSON.
    InvalidDocument = 3,
    /// A document, key or batch exceeds its limit.
    TooLarge = 4,
    /// An `_id` of a type that none may have, or one that would change.
    InvalidId = 5,
    /// The key is there already.
    DuplicateKey = 6,
    /// A database or collection name that is not allowed.
    InvalidNamespace = 7,
    /// No such database or collection.
    NamespaceNotFound = 8,
    /// There is one of that name already.
    NamespaceExists = 9,
    /// The deadline of the operation has passed.
    TimedOut = 10,
    /// The operation was cancelled.
    Interrupted = 11,
    /// The operation exceeded its memory budget.
    MemoryExceeded = 12,
    /// Another writer was first; the transaction may be tried again.
    Conflict = 13,
    /// The database was opened for reading only.
    ReadOnly = 14,
    /// Somebody else has the database open.
    Locked = 15,
    /// The disk is full; nothing was changed.
    NoSpace = 16,
    /// An earlier write failed; the database refuses further ones until it is opened anew.
    Poisoned = 17,
    /// Stored bytes are not what was written.
    Corruption = 18,
    /// The files are of a version or have a feature that this build does not know.
    Unsupported = 19,
    /// The database was closed.
    Closed = 20,
    /// The system refused an input or output operation.
    Io = 21,
    /// Some writes of a batch failed; [`Error::write_errors`] lists them.
    BulkWrite = 22,
    /// A state that should not occur: a defect of this crate.
    Internal = 23,
    /// The database failed while a commit was waited for: after opening anew
    /// it is there wholly or not at all.
    OutcomeUnknown = 24,
    /// This process was forked off after the database was opened; it has to
    /// open it itself.
    Forked = 25,
    /// There is no transaction under way, or prepared, of that id or name.
    NoSuchTransaction = 26,
    /// The transaction took longer than it may, and was rolled back.
    TransactionTimedOut = 27,
    /// The transaction has ended, or was decided, before.
    TransactionEnded = 28,
    /// The operation cannot be part of a transaction.
    NotInTransaction = 29,
    /// The state that was read kept old versions for too long, and was ended.
    SnapshotEvicted = 30,
    /// What comes next in a stream of changes is not kept any more.
    ChangesLost = 31,
    /// A store of the caller's would not take part in a transaction.
    ResourceRefused = 32,
    /// A statement of a session was carried out before.
    AlreadyApplied = 33,
    /// An index that cannot be: its fields or options make no sense.
    CannotCreateIndex = 34,
    /// There is another index of that name, or the same under another.
    IndexConflict = 35,
    /// There is no such index.
    IndexNotFound = 36,
    /// A document cannot be in an index: two paths meet different arrays, or a step is
    /// both a position and a name.
    CannotIndex = 37,
    /// A document is not what its collection demands; [`Error::details`] says why.
    DocumentValidation = 38,
    /// A stored rule names a function that is not registered in this process.
    NotRegistered = 39,
    /// A document cannot be made one of the next schema version.
    MigrationFailed = 40,
}

impl ErrorKind {
    /// MongoDB's code for most errors of the kind.
    const fn default_code(self) -> Option<i32> {
        match self {
            Self::BadValue => Some(2),
            Self::FailedToParse => Some(9),
            Self::InvalidDocument => Some(22),
            Self::TooLarge => Some(10334),
            Self::InvalidId => Some(53),
            Self::DuplicateKey => Some(11000),
            Self::InvalidNamespace => Some(73),
            Self::NamespaceNotFound => Some(26),
            Self::NamespaceExists => Some(48),
            Self::TimedOut => Some(50),
            Self::Interrupted => Some(11601),
            Self::MemoryExceeded => Some(146),
            Self::Conflict => Some(112),
            Self::ReadOnly => Some(20),
            Self::NoSpace => Some(14031),
            Self::NoSuchTransaction | Self::TransactionEnded => Some(251),
            Self::TransactionTimedOut => Some(290),
            Self::NotInTransaction => Some(263),
            Self::SnapshotEvicted => Some(239),
            Self::ChangesLost => Some(286),
            Self::CannotCreateIndex => Some(67),
            Self::IndexConflict => Some(85),
            Self::IndexNotFound => Some(27),
            Self::CannotIndex => Some(171),
            Self::DocumentValidation => Some(121),
            Self::Internal => Some(1),
            _ => None,
        }
    }
}

/// One failed write of a batch.
#[derive(Debug)]
pub struct WriteError {
    /// Position of the document in the batch, from 0.
    pub index: u64,
    /// What went wrong.
    pub error: Error,
}

/// Which key was there already.
#[derive(Clone, Debug)]
pub struct DuplicateKey {
    /// The fields of the index, as `{ _id: 1 }`.
    pub key_pattern: RawDocumentBuf,
    /// Their values.
    pub key_value: RawDocumentBuf,
}

/// An error of any operation.
///
/// ```
/// use collection_store::{ErrorKind, filter::Filter};
/// let error = Filter::compile(&bson::rawdoc! { "age": { "$nearly": 5 } }).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::BadValue);
/// assert_eq!(error.code(), Some(2));
/// assert!(!error.is_retryable());
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    code: Option<i32>,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    duplicate: Option<DuplicateKey>,
    bulk: Option<(u64, Vec<WriteError>)>,
    details: Option<RawDocumentBuf>,
    faults: Vec<FieldFault>,
}

impl Error {
    /// An error with the usual code of its kind. For adapters and tools over
    /// this crate; its message follows the rules in the module's head.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            code: kind.default_code(),
            message: message.into(),
            source: None,
            duplicate: None,
            bulk: None,
            details: None,
            faults: Vec::new(),
        }))
    }

    pub(crate) fn with_code(mut self, code: i32) -> Self {
        self.0.code = Some(code);
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error with `place` before its message.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    pub(crate) fn bad_value(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::BadValue, message)
    }

    pub(crate) fn with_details(mut self, details: RawDocumentBuf) -> Self {
        self.0.details = Some(details);
        self
    }

    pub(crate) fn with_faults(mut self, faults: Vec<FieldFault>) -> Self {
        self.0.faults = faults;
        self
    }

    pub(crate) fn with_duplicate(mut self, duplicate: DuplicateKey) -> Self {
        self.0.duplicate = Some(duplicate);
        self
    }

    /// The same error, after so many writes of a batch had succeeded.
    pub(crate) fn with_written(mut self, written: u64) -> Self {
        self.0.bulk.get_or_insert((written, Vec::new()));
        self
    }

    /// The same failed writes, where those that had succeeded were rolled back.
    pub(crate) fn rolled_back(mut self) -> Self {
        match self.0.bulk.take() {
            Some((_, errors)) => Self::bulk(0, errors),
            None => self,
        }
    }

    /// What a batch came to of which some writes failed; its code is that of the first.
    pub(crate) fn bulk(written: u64, errors: Vec<WriteError>) -> Self {
        let first = errors.first();
        let what = first.map_or_else(String::new, |first| {
            format!("; the first, at position {}: {}", first.index, first.error)
        });
        let message = format!(
            "{} of the writes failed, {written} succeeded{what}",
            errors.len()
        );
        let code = first.and_then(|first| first.error.code());
        let mut error = Self::new(ErrorKind::BulkWrite, message);
        error.0.code = code;
        error.0.bulk = Some((written, errors));
        error
    }

    /// What sort of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// MongoDB's code for it, where it has one.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.0.code
    }

    /// What happened, without the source.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the same operation, tried again, may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Conflict)
    }

    /// Whether stored bytes are not what was written.
    #[must_use]
    pub fn is_corruption(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Corruption)
    }

    /// The key that was there already, of a [`ErrorKind::DuplicateKey`].
    #[must_use]
    pub fn duplicate_key(&self) -> Option<&DuplicateKey> {
        self.0.duplicate.as_ref()
    }

    /// Why a document was refused, of a [`ErrorKind::DocumentValidation`]: which field and
    /// which rule. It is what MongoDB calls `errInfo`, and may hold values of the document.
    #[must_use]
    pub fn details(&self) -> Option<&RawDocumentBuf> {
        self.0.details.as_ref()
    }

    /// All fields that break a rule of the collection's [`Schema`](crate::Schema).
    #[must_use]
    pub fn faults(&self) -> &[FieldFault] {
        &self.0.faults
    }

    /// The failed writes of a batch, of a [`ErrorKind::BulkWrite`].
    #[must_use]
    pub fn write_errors(&self) -> &[WriteError] {
        self.0.bulk.as_ref().map_or(&[], |(_, errors)| errors)
    }

    /// How many writes of a batch had succeeded when it failed. Each of them was
    /// acknowledged: it is visible, and as durable as was asked for.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.0.bulk.as_ref().map_or(0, |(written, _)| *written)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Error");
        debug
            .field("kind", &self.0.kind)
            .field("code", &self.0.code);
        debug.field("message", &self.0.message);
        if let Some(source) = &self.0.source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<crate::values::InvalidDocument> for Error {
    fn from(error: crate::values::InvalidDocument) -> Self {
        use crate::values::Reason;
        let (kind, code) = match error.reason {
            Reason::TooLarge => (ErrorKind::TooLarge, 10334),
            Reason::TooDeep => (ErrorKind::TooLarge, 15),
            _ => (ErrorKind::InvalidDocument, 22),
        };
        Self::new(kind, error.to_string()).with_code(code)
    }
}

impl From<bson::error::Error> for Error {
    fn from(error: bson::error::Error) -> Self {
        Self::new(
            ErrorKind::InvalidDocument,
            format!("invalid document: {error}"),
        )
        .with_source(error)
    }
}

impl From<cs_kv::Error> for Error {
    fn from(error: cs_kv::Error) -> Self {
        use cs_kv::{BackupError, Error as Kv};
        let kind = match &error {
            _ if error.is_no_space() => ErrorKind::NoSpace,
            _ if error.is_corruption() => ErrorKind::Corruption,
            _ if error.is_unsupported() => ErrorKind::Unsupported,
            Kv::Conflict { .. } | Kv::Prepared { .. } => ErrorKind::Conflict,
            Kv::NotPrepared { .. } => ErrorKind::NoSuchTransaction,
            Kv::AlreadyDecided { .. } => ErrorKind::TransactionEnded,
            Kv::NameTaken { .. } | Kv::SnapshotExists(_) => ErrorKind::NamespaceExists,
            Kv::NoSuchSnapshot(_) => ErrorKind::NamespaceNotFound,
            Kv::ResourceRefused { .. } => ErrorKind::ResourceRefused,
            Kv::SnapshotEvicted { .. } => ErrorKind::SnapshotEvicted,
            Kv::ChangesLost(_) => ErrorKind::ChangesLost,
            Kv::AlreadyApplied { .. } => ErrorKind::AlreadyApplied,
            Kv::Locked(_) => ErrorKind::Locked,
            Kv::Poisoned(_) => ErrorKind::Poisoned,
            Kv::OutcomeUnknown(_) => ErrorKind::OutcomeUnknown,
            Kv::Refused(_) => ErrorKind::Closed,
            Kv::DuplicateEntry { .. } => ErrorKind::DuplicateKey,
            Kv::Cancelled => ErrorKind::Interrupted,
            Kv::TooLarge { .. } => ErrorKind::TooLarge,
            Kv::InvalidOption(_)
            | Kv::Backup(
                BackupError::Exists(_)
                | BackupError::NotEmpty(_)
                | BackupError::OtherDatabase { .. }
                | BackupError::NeedsFile,
            ) => ErrorKind::BadValue,
            Kv::Backup(BackupError::Mismatch { .. }) => ErrorKind::Internal,
            Kv::Expectation { .. } | Kv::Declined { .. } | Kv::UnknownTree(_) => {
                ErrorKind::Internal
            }
            _ => ErrorKind::Io,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

#[cfg(test)]
mod tests;
