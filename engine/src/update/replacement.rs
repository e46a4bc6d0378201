//! Updates that are whole documents.

use bson::{RawDocument, RawDocumentBuf};

use super::parse::{failed, is_operator};
use super::path::dollar_prefixed;
use super::{Applied, Checks, finish};
use crate::error::Result;
use crate::id;
use crate::values::{DocumentBuilder, Elements, RawValue};

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

fn with_id_in_front(document: &[u8], id: RawValue<'_>) -> Vec<u8> {
    let mut out = DocumentBuilder::with_capacity(document.len());
    out.append(b"_id", id);
    for field in Elements::new(document).filter(|field| field.name != b"_id") {
        out.append(field.name, field.value);
    }
    out.finish()
}

/// What a pipeline computed, with the `_id` of the old one where it has none.
pub(super) fn apply_computed(new: &[u8], old: &[u8]) -> Result<Applied> {
    if new == old {
        return Ok(Applied::Unchanged);
    }
    let bytes = match (id::id_of(new), id::id_of(old)) {
        (None, Some(id)) => id::with_stored_id(new, id)?,
        (Some(id), _) => with_id_in_front(new, id),
        (None, None) => new.to_vec(),
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
    if new.as_bytes() == old {
        return Ok(Applied::Unchanged);
    }
    let bytes = match id::id_of(old) {
        Some(id) => id::with_stored_id(new.as_bytes(), id)?,
        None => new.as_bytes().to_vec(),
    };
    finish(old, bytes, Checks::default().with_id())
}
