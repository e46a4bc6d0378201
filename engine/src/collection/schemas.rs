//! The schema of a collection: given to it, and asked without writing.

use bson::RawDocumentBuf;

use super::Collection;
use crate::context::OperationContext;
use crate::error::{ErrorKind, Result};
use crate::input::IntoDocument;
use crate::rules::{Rules, check_options};
use crate::schema::Schema;
use crate::values::DocumentBuilder;

impl Collection {
    /// Gives the collection a schema in the place of any that it has, and makes the indexes
    /// of its unique fields; creates the collection if need be. What is stored already is
    /// judged when it is written next.
    ///
    /// # Errors
    /// The schema makes no sense; documents that are there are in the way of a unique field
    /// ([`ErrorKind::DuplicateKey`]), and nothing has changed; the commit failed.
    pub fn set_schema(&self, schema: Schema) -> Result<()> {
        let stored = schema.to_raw()?;
        let mut options = DocumentBuilder::new();
        options.append_parts(
            b"schema",
            crate::values::Kind::Document,
            &[stored.as_bytes()],
        );
        let options = RawDocumentBuf::from_bytes(options.finish())?;
        check_options(&options)?;
        match self.create_with(&OperationContext::new(), &options) {
            Err(error) if error.kind() == ErrorKind::NamespaceExists => self.modify(options),
            created => created,
        }
    }

    /// Judges a document as an insert would, and writes nothing: its values are coerced and
    /// defaults filled in first. Returns the document as it would be stored, but for an
    /// `_id` that is still to be made.
    ///
    /// ```
    /// use bson::{doc, rawdoc};
    /// use collection_store::{Database, Schema, SchemaField};
    ///
    /// let database = Database::open_in_memory()?;
    /// let users = database.collection("users");
    /// users.set_schema(Schema::new().field("age", SchemaField::int().coerce()))?;
    /// assert_eq!(users.validate_document(doc! { "age": "25" })?, rawdoc! { "age": 25 });
    /// assert!(users.validate_document(doc! { "age": "old" }).is_err());
    /// assert_eq!(users.count(doc! {})?, 0);
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::DocumentValidation`]; the document is not valid BSON.
    pub fn validate_document(&self, document: impl IntoDocument) -> Result<RawDocumentBuf> {
        let document = document.into_document()?;
        crate::values::validate_document(document.as_bytes())?;
        let entry = self.ruled_entry()?;
        let Some(judge) = entry.and_then(|entry| self.judge_of(&entry)) else {
            return Ok(document);
        };
        let shaped = judge.shape(document.into_bytes())?;
        judge.judge_content(&shaped)?;
        Ok(RawDocumentBuf::from_bytes(shaped)?)
    }

    /// Makes the indexes that unique fields in new options need.
    pub(super) fn index_unique_fields(&self, options: &RawDocumentBuf) -> Result<()> {
        let models = Rules::of(options)?.map_or_else(Vec::new, |rules| rules.index_models());
        if !models.is_empty() {
            self.create_indexes(models)?;
        }
        Ok(())
    }
}
