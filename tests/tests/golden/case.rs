//! One case, as its line has it.

use bson::{RawDocument, RawDocumentBuf};
use collection_store::values::{Elements, Kind, RawValue};
use collection_store::{Collection, Database, Error, json};

/// What became of a case.
pub(crate) enum Verdict {
    Right,
    Wrong(String),
}

impl Verdict {
    pub(crate) fn wrong(what: impl Into<String>) -> Self {
        Self::Wrong(what.into())
    }

    /// Right if nothing is said against it.
    pub(crate) fn of(complaint: Option<String>) -> Self {
        complaint.map_or(Self::Right, Self::Wrong)
    }
}

/// Name of the collection that a case is about.
pub(crate) const NAME: &str = "coll";

pub(crate) struct Case<'a>(&'a RawDocument);

impl<'a> Case<'a> {
    pub(crate) fn new(document: &'a RawDocument) -> Self {
        Self(document)
    }

    pub(crate) fn get(&self, name: &str) -> Option<RawValue<'a>> {
        Elements::new(self.0.as_bytes()).find_name(name.as_bytes())
    }

    pub(crate) fn text(&self, name: &str) -> &'a str {
        let text = self.get(name).and_then(|value| value.text());
        std::str::from_utf8(text.unwrap_or_default()).unwrap()
    }

    pub(crate) fn document(&self, name: &str) -> Option<RawDocumentBuf> {
        document(self.get(name)?)
    }

    pub(crate) fn documents(&self, name: &str) -> Vec<RawDocumentBuf> {
        let all = self.values(name).into_iter();
        all.map(|value| document(value).expect("documents"))
            .collect()
    }

    pub(crate) fn values(&self, name: &str) -> Vec<RawValue<'a>> {
        let array = self.get(name);
        let elements = array.and_then(|array| array.elements());
        elements.map_or_else(Vec::new, |all| all.map(|element| element.value).collect())
    }

    pub(crate) fn flag(&self, name: &str) -> bool {
        self.get(name).and_then(|value| value.boolean()) == Some(true)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.integer()
    }

    /// The code of the error that is expected.
    pub(crate) fn error(&self) -> Option<i32> {
        let error = self.get("error")?;
        error_code(error)
    }

    /// An empty collection with the documents of the case.
    pub(crate) fn set_up(&self, database: &Database) -> Collection {
        let collection = database.collection(NAME);
        collection.drop_collection().unwrap();
        fill(&collection, self.documents("docs"));
        collection
    }

    /// What is to be said about an error that came.
    pub(crate) fn judge_error(&self, error: &Error) -> Verdict {
        match self.error() {
            Some(code) if error.code() == Some(code) => Verdict::Right,
            Some(code) => Verdict::wrong(format!("expected code {code}, found {error:?}")),
            None => Verdict::wrong(format!("expected a result, found {error:?}")),
        }
    }

    /// Complains if an error was expected.
    pub(crate) fn expects_no_error(&self) -> Result<(), Verdict> {
        match self.error() {
            Some(code) => Err(Verdict::wrong(format!(
                "expected code {code}, no error came"
            ))),
            None => Ok(()),
        }
    }
}

/// The `code` in an error.
pub(crate) fn error_code(error: RawValue<'_>) -> Option<i32> {
    let code = error.elements()?.find_name(b"code")?.integer()?;
    i32::try_from(code).ok()
}

/// Inserts documents, all of them.
pub(crate) fn fill(collection: &Collection, documents: Vec<RawDocumentBuf>) {
    if !documents.is_empty() {
        collection.insert_many(documents).unwrap();
    }
}

/// A value, if it is a document or an array, as a document.
pub(crate) fn document(value: RawValue<'_>) -> Option<RawDocumentBuf> {
    matches!(value.kind(), Kind::Document | Kind::Array)
        .then(|| RawDocumentBuf::from_bytes(value.bytes().to_vec()).unwrap())
}

/// A value as text.
pub(crate) fn show(value: RawValue<'_>) -> String {
    format!(
        "{:?}",
        value.to_bson().map(bson::Bson::into_canonical_extjson)
    )
    .chars()
    .take(400)
    .collect()
}

/// A document as text.
pub(crate) fn show_document(document: &RawDocument) -> String {
    json::to_string(document, json::Form::Relaxed).unwrap_or_else(|error| error.to_string())
}

pub(crate) fn show_all(documents: &[RawDocumentBuf]) -> String {
    let all: Vec<String> = documents.iter().map(|one| show_document(one)).collect();
    all.join(" ").chars().take(1500).collect()
}
