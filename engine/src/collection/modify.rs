//! Changing the options of a collection.
//!
//! A commit that writes documents relies on the catalog entry that it was judged by; so
//! whoever writes beside a change either comes before it, or is judged again by the new
//! rules.

use bson::{RawDocument, RawDocumentBuf};
use cs_kv::{Batch, CommitOptions, Expect, system};

use super::modify_index::IndexChanges;
use super::write::lost;
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::{Entry, entry_in, key_of};
use crate::context::OperationContext;
use crate::error::{Error, ErrorKind, Result};
use crate::input::IntoDocument;
use crate::rules::{MODIFIABLE, check_options};
use crate::values::{DocumentBuilder, Elements, validate_document};

/// What of a change is about an index.
const INDEX: &[u8] = b"index";

impl Collection {
    /// Changes options, as MongoDB's `collMod` does: those given take the place of the
    /// collection's; an empty `validator` takes it away. What is stored already is not
    /// judged by the new rules until it is written. `index` changes an index instead:
    /// `{ index: { name: "used_1", expireAfterSeconds: 60 } }`, or `hidden`.
    ///
    /// ```
    /// use bson::doc;
    /// use collection_store::Database;
    ///
    /// let database = Database::open_in_memory()?;
    /// let people = database.collection("people");
    /// people.insert_one(doc! { "_id": 1, "age": -1 })?;
    /// people.modify(doc! { "validator": { "age": { "$gte": 0 } }, "validationLevel": "moderate" })?;
    /// assert!(people.insert_one(doc! { "age": -1 }).is_err());
    /// people.update_one(doc! { "_id": 1 }, doc! { "$set": { "age": -2 } })?;
    /// # Ok::<(), collection_store::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NamespaceNotFound`]; an option makes no sense or cannot be changed;
    /// the commit failed. Nothing has changed then.
    pub fn modify(&self, options: impl IntoDocument) -> Result<()> {
        self.modify_with(&OperationContext::new(), options)
    }

    /// [`modify`](Self::modify) with a context.
    ///
    /// # Errors
    /// As [`modify`](Self::modify), and those of the context.
    pub fn modify_with(
        &self,
        context: &OperationContext,
        options: impl IntoDocument,
    ) -> Result<()> {
        self.outside_only("changing the options of a collection")?;
        let options = options.into_document()?;
        validate_document(options.as_bytes())?;
        let index = Elements::new(options.as_bytes()).find_name(INDEX);
        let index = index.map(IndexChanges::of).transpose()?;
        for field in Elements::new(options.as_bytes()) {
            let name = String::from_utf8_lossy(field.name);
            if !MODIFIABLE.contains(&&*name) && field.name != INDEX {
                let message = format!("the option '{name}' of a collection cannot be changed");
                return Err(Error::new(ErrorKind::BadValue, message).with_code(72));
            }
        }
        check_options(&options)?;
        context.start(&self.environment.runtime).check()?;
        if !self.exists_now()? {
            return Err(self.not_there());
        }
        self.index_unique_fields(&options)?;
        // What is loaded in bulk is judged by the rules that there were when it began.
        let loads = self.environment.loads.pause();
        let mut may_expire = index.as_ref().is_some_and(IndexChanges::expires);
        self.change_entry(&context.commit_options(), |_, entry, _| {
            if loads.is_loading(entry.tree) {
                let message =
                    "something is being loaded into the collection: no option can be changed";
                return Err(Error::new(ErrorKind::Conflict, message).with_code(12587));
            }
            let options = merged(&entry.options, &options)?;
            let new = entry.with_options(options)?;
            may_expire |= new.ttl.is_some();
            let new = match &index {
                Some(index) => index.apply(self, &new)?,
                None => new,
            };
            Ok(Some(new))
        })?;
        if may_expire {
            self.environment.expiry.made(&self.environment);
        }
        Ok(())
    }

    fn not_there(&self) -> Error {
        let message = format!("collection '{}' does not exist", self.namespace);
        Error::new(ErrorKind::NamespaceNotFound, message)
    }

    /// Gives the collection the entry that `change` makes of its own, if it makes one.
    pub(super) fn change_entry(
        &self,
        options: &CommitOptions,
        mut change: impl FnMut(&cs_kv::Store, &Entry, &mut Batch) -> Result<Option<Entry>>,
    ) -> Result<()> {
        let store = self.environment.writable()?;
        self.namespace.check()?;
        let _change = self.environment.catalog.change();
        for _ in 0..MAX_ATTEMPTS {
            let Some(entry) = entry_in(&store.snapshot()?, &self.namespace)? else {
                return Err(self.not_there());
            };
            let mut batch = Batch::new();
            let Some(new) = change(store, &entry, &mut batch)? else {
                return Ok(());
            };
            if let Some(kept) = &entry.kept {
                batch.keep(kept.clone());
            }
            batch.tell_before(system::CATALOG);
            let key = key_of(&self.namespace);
            batch.put(system::CATALOG, key, new.encode(), Expect::Present);
            match store.write(&batch, options) {
                Ok(ticket) => return Ok(ticket.wait()?),
                Err(error) if lost(&error) => {}
                Err(cs_kv::Error::Expectation { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.gave_up())
    }
}

/// The options with these in the place of those of the same names. An empty document
/// takes an option away.
fn merged(options: &RawDocument, changed: &RawDocument) -> Result<RawDocumentBuf> {
    let of = |options: &'_ RawDocument, name: &[u8]| {
        Elements::new(options.as_bytes()).find_name(name).is_some()
    };
    let mut merged = DocumentBuilder::new();
    for field in Elements::new(options.as_bytes()) {
        if field.name == INDEX || !of(changed, field.name) {
            merged.append(field.name, field.value);
        }
    }
    for field in Elements::new(changed.as_bytes()) {
        let is_empty = field
            .value
            .elements()
            .is_some_and(|mut it| it.next().is_none());
        if !is_empty && field.name != INDEX {
            merged.append(field.name, field.value);
        }
    }
    Ok(RawDocumentBuf::from_bytes(merged.finish())?)
}
