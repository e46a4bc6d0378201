//! What a schema says of a document that it refuses.

use bson::RawDocumentBuf;

use crate::error::{Error, ErrorKind};
use crate::id::id_of;
use crate::schema::FieldFault;
use crate::values::{DocumentBuilder, PositionName};

/// Most faults that the message names.
const NAMED: usize = 10;

/// The error that lists them all.
pub(super) fn refusal(document: &[u8], faults: Vec<FieldFault>) -> Error {
    let mut info = DocumentBuilder::new();
    if let Some(id) = id_of(document) {
        info.append(b"failingDocumentId", id);
    }
    info.open_document(b"details");
    info.append_text(b"operatorName", b"schema");
    info.open_array(b"fieldsNotSatisfied");
    for (place, fault) in faults.iter().enumerate() {
        info.open_document(PositionName::new(place).as_bytes());
        info.append_text(b"path", fault.path.as_bytes());
        info.append_text(b"rule", fault.rule.as_bytes());
        info.append_text(b"expected", fault.expected.as_bytes());
        info.append_text(b"found", fault.found.as_bytes());
        info.close();
    }
    let named: Vec<String> = faults.iter().take(NAMED).map(ToString::to_string).collect();
    let more = match faults.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!("document failed validation: {}{more}", named.join(", "));
    let error = Error::new(ErrorKind::DocumentValidation, message).with_faults(faults);
    match RawDocumentBuf::from_bytes(info.finish()) {
        Ok(info) => error.with_details(info),
        Err(_) => error,
    }
}
