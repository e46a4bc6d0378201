//! The document that an upsert starts from: what the filter says for certain.

use std::borrow::Cow;

use bson::RawDocumentBuf;

use super::node::Node;
use super::path::{Step, UpdatePath};
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::values::{MAX_DEPTH, RawValue};

/// The fields that `filter` demands to equal one value, as a document, with the
/// `_id` in front; of a replacement only the `_id`.
pub(super) fn base(filter: &Filter, only_id: bool) -> Result<RawDocumentBuf> {
    let mut root = Node::document();
    let mut taken: Vec<&[u8]> = Vec::new();
    let mut equalities = filter.equalities();
    // The `_id` is the first field of every document.
    equalities.sort_by_key(|(path, _)| !is_id(path));
    for (path, value) in equalities {
        if only_id && !is_id(path) {
            continue;
        }
        if only_id && path != b"_id" {
            let message = "cannot infer query fields to set: the filter is about a part of '_id'";
            return Err(Error::bad_value(message).with_code(111));
        }
        if let Some(other) = taken.iter().find(|other| overlap(other, path)) {
            return Err(Error::bad_value(format!(
                "cannot infer query fields to set, the paths '{}' and '{}' are both matched",
                String::from_utf8_lossy(other),
                String::from_utf8_lossy(path)
            ))
            .with_code(54));
        }
        // A filter may have paths that no update could make: with empty steps, too long.
        let steps = path.split(|byte| *byte == b'.').count();
        if steps > MAX_DEPTH {
            let message = format!("a path has {steps} steps, the limit is {MAX_DEPTH} levels");
            return Err(Error::new(ErrorKind::TooLarge, message).with_code(15));
        }
        for step in UpdatePath::parse(path)?.steps {
            if !matches!(step, Step::Name(_)) {
                let message = format!(
                    "cannot infer query fields to set from path '{}'",
                    String::from_utf8_lossy(path)
                );
                return Err(Error::bad_value(message).with_code(52));
            }
        }
        put(&mut root, path, value);
        taken.push(path);
    }
    root.touch();
    Ok(RawDocumentBuf::from_bytes(root.to_bytes()?)?)
}

fn is_id(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'.').next() == Some(b"_id")
}

/// Whether the paths are the same, or one leads to the other.
fn overlap(left: &[u8], right: &[u8]) -> bool {
    let mut left = left.split(|byte| *byte == b'.');
    let mut right = right.split(|byte| *byte == b'.');
    loop {
        match (left.next(), right.next()) {
            (Some(left), Some(right)) if left == right => {}
            (Some(_), Some(_)) => return false,
            _ => return true,
        }
    }
}

/// Puts a value at a path through documents only.
fn put<'a>(root: &mut Node<'a>, path: &[u8], value: RawValue<'a>) {
    let mut node = root;
    let mut steps = path.split(|byte| *byte == b'.').peekable();
    while let Some(step) = steps.next() {
        let known = node.child_at(step);
        let Node::Document(document) = node else {
            return;
        };
        let at = known.unwrap_or(document.fields.len());
        if known.is_none() {
            let child = if steps.peek().is_some() {
                Node::document()
            } else {
                Node::Raw(value)
            };
            document.fields.push((Cow::Owned(step.to_vec()), child));
        }
        match document.fields.get_mut(at) {
            Some((_, child)) => node = child,
            None => return,
        }
    }
}
