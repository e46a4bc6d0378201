//! Why something was refused, with MongoDB's code.

use std::fmt;

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityFault {
    /// MongoDB's code.
    pub code: i32,
    /// What to tell the client.
    pub message: String,
}

impl SecurityFault {
    /// A value that makes no sense.
    pub(crate) const BAD_VALUE: i32 = 2;
    pub(crate) const USER_NOT_FOUND: i32 = 11;
    pub(crate) const UNAUTHORIZED: i32 = 13;
    pub(crate) const TYPE_MISMATCH: i32 = 14;
    pub(crate) const PROTOCOL_ERROR: i32 = 17;
    pub(crate) const AUTHENTICATION_FAILED: i32 = 18;
    pub(crate) const ROLE_NOT_FOUND: i32 = 31;
    pub(crate) const INVALID_NAMESPACE: i32 = 73;
    pub(crate) const MECHANISM_UNAVAILABLE: i32 = 334;
    pub(crate) const UNKNOWN_FIELD: i32 = 40415;
    pub(crate) const USER_EXISTS: i32 = 51003;

    pub(crate) fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// The same for a wrong password, an unknown user and a forged message: whoever tries
    /// learns nothing from it.
    pub(crate) fn authentication() -> Self {
        Self::new(Self::AUTHENTICATION_FAILED, "Authentication failed.")
    }
}

impl fmt::Display for SecurityFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SecurityFault {}

impl From<SecurityFault> for crate::error::CommandError {
    fn from(fault: SecurityFault) -> Self {
        Self::new(fault.code, fault.message)
    }
}

impl From<bson::error::Error> for SecurityFault {
    fn from(error: bson::error::Error) -> Self {
        Self::new(22, format!("invalid document: {error}"))
    }
}

/// What the engine said, under the same code.
impl From<collection_store::Error> for SecurityFault {
    fn from(error: collection_store::Error) -> Self {
        Self::new(error.code().unwrap_or(8), error.message())
    }
}
