//! MongoDB's validators: a filter that documents must match.

use bson::{RawDocument, RawDocumentBuf};

use super::Verdict;
use super::explain::explain;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, Variables};
use crate::id::id_of;
use crate::surroundings::Surroundings;
use crate::values::{Elements, Kind, RawValue};

/// MongoDB's code for an option of a wrong type.
const TYPE_MISMATCH: i32 = 14;

/// Which writes are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Off,
    Strict,
    /// Not those to documents that are at fault already.
    Moderate,
}

/// What becomes of a document that does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Refuse,
    /// It is written, and counted.
    Warn,
    /// It is refused, and counted.
    RefuseAndLog,
}

/// A validator, and when it is asked.
#[derive(Debug)]
pub(super) struct Validator {
    filter: Filter,
    source: RawDocumentBuf,
    level: Level,
    action: Action,
}

impl Validator {
    /// The one in the options, if there is one that is ever asked.
    pub(super) fn of(options: &RawDocument) -> Result<Option<Self>> {
        let options = Elements::new(options.as_bytes());
        let level = match text(&options, "validationLevel")? {
            None | Some(b"strict") => Level::Strict,
            Some(b"moderate") => Level::Moderate,
            Some(b"off") => Level::Off,
            Some(other) => return Err(no_choice("validationLevel", other)),
        };
        let action = match text(&options, "validationAction")? {
            None | Some(b"error") => Action::Refuse,
            Some(b"warn") => Action::Warn,
            Some(b"errorAndLog") => Action::RefuseAndLog,
            Some(other) => return Err(no_choice("validationAction", other)),
        };
        let Some(value) = options.find_name(b"validator") else {
            return Ok(None);
        };
        if value.kind() != Kind::Document {
            return Err(wrong_type("validator", "an object", value));
        }
        let source = RawDocumentBuf::from_bytes(value.bytes().to_vec())?;
        let filter = Filter::compile(&source)?;
        Ok((!filter.is_all()).then_some(Self {
            filter,
            source,
            level,
            action,
        }))
    }

    /// See [`Rules::judge`](super::Rules::judge).
    pub(super) fn judge(
        &self,
        surroundings: &Surroundings,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<Verdict> {
        if self.level == Level::Off {
            return Ok(Verdict::Right);
        }
        let variables = surroundings.variables();
        let filter = self.filter.with_variables(variables.clone());
        if accepts(&filter, new) {
            return Ok(Verdict::Right);
        }
        if self.level == Level::Moderate && old.is_some_and(|old| !accepts(&filter, old)) {
            return Ok(Verdict::Right);
        }
        if self.action == Action::Warn {
            return Ok(Verdict::Warned);
        }
        Err(self.refusal(&variables, new))
    }

    fn refusal(&self, variables: &Variables, document: &[u8]) -> Error {
        let details = explain(&self.source, document, variables);
        let mut info = crate::values::DocumentBuilder::new();
        if let Some(id) = id_of(document) {
            info.append(b"failingDocumentId", id);
        }
        info.append(
            b"details",
            RawValue {
                kind: Kind::Document,
                bytes: &details,
            },
        );
        let error = Error::new(ErrorKind::DocumentValidation, "document failed validation");
        match RawDocumentBuf::from_bytes(info.finish()) {
            Ok(info) => error.with_details(info),
            Err(_) => error,
        }
    }

    /// Whether refusals are counted too.
    pub(super) fn logs(&self) -> bool {
        self.action == Action::RefuseAndLog
    }
}

/// What cannot be evaluated over a document does not accept it, as in MongoDB.
fn accepts(filter: &Filter, document: &[u8]) -> bool {
    filter.matches_bytes(document).unwrap_or(false)
}

fn text<'a>(options: &Elements<'a>, name: &str) -> Result<Option<&'a [u8]>> {
    let Some(value) = options.clone().find_name(name.as_bytes()) else {
        return Ok(None);
    };
    match value.text().filter(|_| value.kind() == Kind::String) {
        Some(text) => Ok(Some(text)),
        None => Err(wrong_type(name, "a string", value)),
    }
}

fn wrong_type(name: &str, expected: &str, found: RawValue<'_>) -> Error {
    let found = found.kind().name();
    let message = format!("the option '{name}' must be {expected}, found {found}");
    Error::bad_value(message).with_code(TYPE_MISMATCH)
}

fn no_choice(name: &str, found: &[u8]) -> Error {
    let expected = match name {
        "validationLevel" => "off, strict or moderate",
        _ => "error, warn or errorAndLog",
    };
    let found = String::from_utf8_lossy(found);
    Error::bad_value(format!(
        "the option '{name}' must be {expected}, found '{found}'"
    ))
}
