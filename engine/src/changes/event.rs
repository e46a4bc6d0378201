//! An event: one change to one document or collection.

use std::sync::Arc;

use bson::{Bson, RawDocumentBuf};
use cs_kv::base::HybridTime;

use super::difference::UpdateDescription;
use super::token::ResumeToken;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ChangeOperation {
    /// A document is there that was not.
    Insert,
    /// A document was changed in part, by an update. Where what was before is in the
    /// log too, [`ChangeEvent::update`] says what that came to.
    Update,
    /// A document was replaced. So is one that a transaction both replaced and updated.
    Replace,
    /// A document is gone.
    Delete,
    /// A collection was made.
    Create,
    /// A collection is gone, with all it held.
    Drop,
    /// A collection has another name, [`ChangeEvent::to`].
    Rename,
    /// A database is gone; its collections were told one by one before.
    DropDatabase,
    /// What was watched is gone or has another name: the stream ends here.
    Invalidate,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChangeEvent {
    /// The place behind it, to go on from.
    pub token: ResumeToken,
    /// What was done.
    pub operation: ChangeOperation,
    /// In which database.
    pub database: Arc<str>,
    /// In which collection, by the name that it had; none where it is all of them.
    pub collection: Option<Arc<str>>,
    /// The new name, of a [`Rename`](ChangeOperation::Rename). A collection that
    /// had it before is gone.
    pub to: Option<Arc<str>>,
    /// The `_id` of the document. Of a [`Delete`](ChangeOperation::Delete) that
    /// does not tell what was before, a value equal to it: a number has the
    /// narrowest type that holds it.
    pub document_key: Option<Bson>,
    /// The document as it is now.
    pub document: Option<RawDocumentBuf>,
    /// The document as it was, where that was asked for and is in the log.
    pub before: Option<RawDocumentBuf>,
    /// What an [`Update`](ChangeOperation::Update) did, where what was before is in
    /// the log (whether it was asked for here or not) and telling it takes no more
    /// than a document may.
    pub update: Option<UpdateDescription>,
    /// Which commit: all events of one transaction have the same number, later
    /// ones higher ones.
    pub transaction: u64,
    /// When; grows with the number.
    pub time: HybridTime,
}
