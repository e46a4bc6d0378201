//! The distinct values of a field.

use std::collections::BTreeMap;

use bson::Bson;

use super::Collection;
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};
use crate::input::IntoFilter;
use crate::key::append_unbounded;
use crate::monitor::Operation;
use crate::sort::check_path;
use crate::values::{Elements, Kind, MAX_DOCUMENT_LEN, OwnedValue, RawValue};

impl Collection {
    /// The distinct values at the path `name` in the documents that match, in the order
    /// of values. Arrays count as their elements; missing counts as nothing.
    ///
    /// ```
    /// # use bson::doc;
    /// # let database = collection_store::Database::open_in_memory()?;
    /// # let books = database.collection("books");
    /// books.insert_one(doc! { "_id": 1, "tags": ["sea", "war"] })?;
    /// books.insert_one(doc! { "_id": 2, "tags": "sea" })?;
    /// assert_eq!(books.distinct("tags", doc! {})?, ["sea".into(), "war".into()]);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// The path or the filter make no sense; the values exceed 16 MiB (code 17217).
    pub fn distinct(&self, name: &str, filter: impl IntoFilter) -> Result<Vec<Bson>> {
        self.distinct_with(&OperationContext::new(), name, filter)
    }

    /// [`distinct`](Self::distinct) with a context.
    ///
    /// # Errors
    /// As [`distinct`](Self::distinct), and those of the context.
    pub fn distinct_with(
        &self,
        context: &OperationContext,
        name: &str,
        filter: impl IntoFilter,
    ) -> Result<Vec<Bson>> {
        self.timed(Operation::Find, || {
            self.distinct_untimed(context, name, filter)
        })
    }

    fn distinct_untimed(
        &self,
        context: &OperationContext,
        name: &str,
        filter: impl IntoFilter,
    ) -> Result<Vec<Bson>> {
        let filter = filter.into_filter()?;
        // As in MongoDB: without a filter any path will do, and reaches nothing.
        if !filter.is_all() {
            check_path(name.as_bytes())?;
        }
        let steps: Vec<&[u8]> = name.as_bytes().split(|byte| *byte == b'.').collect();
        let mut watch = context.start(&self.environment().runtime);
        let mut cursor = self.find(filter).context(context.clone()).run()?;
        let mut found: BTreeMap<Vec<u8>, OwnedValue> = BTreeMap::new();
        let mut bytes = 0;
        while let Some(document) = cursor.advance()? {
            let mut values = Vec::new();
            collect(document.as_bytes(), &steps, &mut values);
            for value in values {
                let mut key = Vec::new();
                append_unbounded(value, &mut key);
                if found.contains_key(&key) {
                    continue;
                }
                bytes += value.bytes().len();
                if bytes > MAX_DOCUMENT_LEN {
                    let message = format!(
                        "the distinct values of '{name}' exceed the limit of {MAX_DOCUMENT_LEN} bytes"
                    );
                    return Err(Error::new(ErrorKind::TooLarge, message).with_code(17217));
                }
                watch.charge(key.len() + value.bytes().len())?;
                found.insert(key, value.into());
            }
        }
        let values = found.values().map(OwnedValue::to_bson);
        Ok(values.collect::<std::result::Result<_, _>>()?)
    }
}

/// The values at a path, the elements of an array in its place. A step of digits into
/// an array is a position and nothing else. Recursion is bounded by the path.
fn collect<'a>(document: &'a [u8], steps: &[&[u8]], values: &mut Vec<RawValue<'a>>) {
    let Some((step, rest)) = steps.split_first() else {
        return;
    };
    let Some(value) = Elements::new(document).find_name(step) else {
        return;
    };
    let Some(next) = rest.first() else {
        if value.kind() == Kind::Array {
            values.extend(Elements::new(value.bytes()).map(|element| element.value));
        } else {
            values.push(value);
        }
        return;
    };
    match value.kind() {
        Kind::Document => collect(value.bytes(), rest, values),
        Kind::Array if next.iter().all(u8::is_ascii_digit) => collect(value.bytes(), rest, values),
        Kind::Array => {
            for element in Elements::new(value.bytes()) {
                if matches!(element.value.kind(), Kind::Document | Kind::Array) {
                    collect(element.value.bytes(), rest, values);
                }
            }
        }
        _ => {}
    }
}
