//! The filters that stand behind `$[x]`.

use bson::RawDocumentBuf;

use super::members;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::values::RawValue;

/// The array filters of an update, each with its identifier.
#[derive(Clone, Debug, Default)]
pub(super) struct ArrayFilters {
    all: Vec<(Box<[u8]>, Filter)>,
}

impl ArrayFilters {
    /// Compiles them. Each is about one identifier, and no two about the same.
    pub(super) fn parse(filters: &[RawDocumentBuf]) -> Result<Self> {
        let mut all: Vec<(Box<[u8]>, Filter)> = Vec::new();
        for document in filters {
            let filter = members::filter(document.as_bytes())
                .map_err(|error| error.at("error parsing array filter"))?;
            let identifier = identifier(&filter)?;
            if all.iter().any(|(other, _)| *other == identifier) {
                return Err(failed(format!(
                    "found multiple array filters with the same top-level field name {}",
                    String::from_utf8_lossy(&identifier)
                )));
            }
            all.push((identifier, filter));
        }
        Ok(Self { all })
    }

    /// The place of the filter with this identifier.
    pub(super) fn find(&self, identifier: &[u8]) -> Option<usize> {
        self.all.iter().position(|(own, _)| **own == *identifier)
    }

    /// Whether the filter at this place matches an element.
    pub(super) fn matches(&self, at: usize, element: RawValue<'_>) -> Result<bool> {
        match self.all.get(at) {
            Some((identifier, filter)) => filter.matches_bytes(&element.to_document(identifier)),
            None => Ok(false),
        }
    }

    /// That each was used; `used` has their places.
    pub(super) fn check_used(&self, used: &[usize]) -> Result<()> {
        let unused = (0..self.all.len()).find(|at| !used.contains(at));
        match unused.and_then(|at| self.all.get(at)) {
            Some((identifier, _)) => Err(failed(format!(
                "the array filter for identifier '{}' was not used in the update",
                String::from_utf8_lossy(identifier)
            ))),
            None => Ok(()),
        }
    }
}

/// The one name with which all paths of the filter begin.
fn identifier(filter: &Filter) -> Result<Box<[u8]>> {
    let names = filter.first_names();
    let Some(first) = names.first() else {
        return Err(failed(
            "cannot use an expression without a top-level field name in arrayFilters".to_owned(),
        ));
    };
    if let Some(other) = names.iter().find(|name| *name != first) {
        return Err(failed(format!(
            "error parsing array filter: expected a single top-level field name, found '{}' and \
             '{}'",
            String::from_utf8_lossy(first),
            String::from_utf8_lossy(other)
        )));
    }
    let is_good = first.first().is_some_and(u8::is_ascii_lowercase)
        && first.iter().all(u8::is_ascii_alphanumeric);
    if !is_good {
        return Err(Error::bad_value(format!(
            "error parsing array filter: the top-level field name must be an alphanumeric string \
             beginning with a lowercase letter, found '{}'",
            String::from_utf8_lossy(first)
        )));
    }
    Ok((*first).into())
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::FailedToParse, message)
}
