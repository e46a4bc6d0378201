use std::error::Error as _;

use super::{Error, ErrorKind};
use crate::values::validate_document;

#[test]
fn an_error_says_kind_code_message_and_source() {
    let io = std::io::Error::other("gone");
    let error = Error::new(ErrorKind::Io, "file 'data' could not be read").with_source(io);
    assert_eq!(error.kind(), ErrorKind::Io);
    assert_eq!(error.code(), None);
    assert_eq!(error.to_string(), "file 'data' could not be read");
    assert_eq!(error.source().unwrap().to_string(), "gone");
    assert!(!error.is_retryable() && !error.is_corruption());
}

#[test]
fn invalid_documents_have_mongodb_codes() {
    let error = Error::from(validate_document(b"\0").unwrap_err());
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::InvalidDocument, Some(22))
    );
    let error = Error::from(validate_document(&vec![0; 17 << 20]).unwrap_err());
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::TooLarge, Some(10334))
    );
}

#[test]
fn conflicts_alone_are_retryable() {
    assert!(Error::new(ErrorKind::Conflict, "lost").is_retryable());
    assert!(!Error::new(ErrorKind::NoSpace, "full").is_retryable());
    assert!(Error::new(ErrorKind::Corruption, "page 7").is_corruption());
}

#[test]
fn damage_and_unknown_versions_are_told_from_refusals_of_the_system() {
    let damaged = Error::from(cs_kv::Error::Damaged("a key is lost".into()));
    assert!(damaged.is_corruption());
    let io = std::io::Error::other("gone");
    let error = Error::from(cs_kv::Error::Directory(io));
    assert_eq!(error.kind(), ErrorKind::Io);
}
