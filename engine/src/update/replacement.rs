//! Updates that are whole documents.

use bson::{RawDocument, RawDocumentBuf};

use super::parse::{failed, is_operator};
use super::path::dollar_prefixed;
use super::{Applied, Checks, finish};
use crate::error::Result;
use crate::id;
use crate::values::Elements;

/// Whether a document may be a replacement.
pub(super) fn check(document: &RawDocument, filters: &[RawDocumentBuf]) -> Result<()> {
    if !filters.is_empty() {
        return Err(failed(
            "array filters may not be specified for a replacement".to_owned(),
        ));
    }
    for field in Elements::new(document.as_bytes()) {
        if is_operator(field.name) {
            return Err(failed(format!(
                "a replacement must not have the operator {}",
                String::from_utf8_lossy(field.name)
            )));
        }
        if field.name.starts_with(b"$") {
            return Err(dollar_prefixed(field.name));
        }
    }
    Ok(())
}

/// What a pipeline computed, with the `_id` of the old one where it has none.
pub(super) fn apply_computed(new: &[u8], old: &[u8]) -> Result<Applied> {
    if new == old {
        return Ok(Applied::Unchanged);
    }
    let has_id = id::id_of(new).is_some();
    let bytes = match id::id_of(old) {
        Some(id) if !has_id => id::with_stored_id(new, id)?,
        _ => new.to_vec(),
    };
    let checks = Checks {
        has_dollar: true,
        may_deepen: true,
        ..Checks::default()
    };
    finish(old, bytes, checks.with_id())
}

/// The new document, with the `_id` of the old one where that has one.
pub(super) fn apply(new: &RawDocument, old: &[u8]) -> Result<Applied> {
    let bytes = match id::id_of(old) {
        Some(id) => id::with_stored_id(new.as_bytes(), id)?,
        None => new.as_bytes().to_vec(),
    };
    finish(old, bytes, Checks::default().with_id())
}
