//! Writing in a transaction: nothing is committed, and nothing can be lost to
//! another before the transaction is.

use std::sync::Arc;

use bson::RawDocumentBuf;
use cs_kv::system;

use super::Collection;
use super::indexing::Refused;
use super::inserter::Waiting;
use super::place::Place;
use super::tally::Tally;
use super::targets::Targets;
use super::write::{Change, Changed};
use crate::catalog::{Entry, key_of};
use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::id::Identified;
use crate::transaction::session::Session;

impl Collection {
    /// The same collection, in a transaction.
    pub(crate) fn within(mut self, session: Arc<Session>) -> Self {
        self.session = Some(session);
        self
    }

    /// Whether what is done with this handle is part of a transaction.
    pub(super) fn is_in_transaction(&self) -> bool {
        self.session.is_some()
    }

    /// Refuses what cannot be part of a transaction.
    pub(crate) fn outside_only(&self, what: &str) -> Result<()> {
        if self.session.is_none() {
            return Ok(());
        }
        let message = format!("{what} cannot be part of a transaction");
        Err(Error::new(ErrorKind::NotInTransaction, message))
    }

    /// Inserts all, or none if one cannot be inserted: the inner error is that one.
    pub(super) fn insert_within(
        &self,
        session: &Session,
        watch: &Watch,
        documents: &[Waiting],
    ) -> Result<Result<(), Refused>> {
        self.environment.writable()?;
        let entry = session.entry_or_create(&self.namespace)?;
        self.begin_writing(session, &entry)?;
        let before = session.with(|store| Ok(store.set_savepoint()))?;
        let mut inserted = Ok(());
        for (position, Waiting { document, .. }) in documents.iter().enumerate() {
            let one = watch
                .check()
                .and_then(|()| self.insert_one_within(session, &entry, document));
            if let Err(error) = one {
                inserted = Err(Refused { position, error });
                break;
            }
        }
        session.with(|store| {
            if inserted.is_err() {
                store.roll_back_to(before)?;
            }
            store.release(before)
        })?;
        // The context's end is no document's fault.
        match inserted {
            Err(Refused { error, .. }) if !is_refusal(&error) => Err(error),
            other => Ok(other),
        }
    }

    fn insert_one_within(
        &self,
        session: &Session,
        entry: &Entry,
        document: &Identified,
    ) -> Result<()> {
        if session.get(entry.tree, &document.key)?.is_some() {
            self.judge(entry, None, Some(&document.document))?;
            return Err(self.duplicate(document));
        }
        let (key, value) = (document.key.clone(), document.document.clone());
        self.write_indexes(&mut &*session, entry, &key, None, Some(&value))?;
        session.put(entry.tree, key, value)
    }

    /// It will write to this collection: that relies on the indexes being these, and
    /// tells what was before, if anybody asks.
    pub(super) fn begin_writing(&self, session: &Session, entry: &Entry) -> Result<()> {
        let key = key_of(&self.namespace);
        session.with(|store| {
            store.keep(system::CATALOG, &key);
            Ok(())
        })?;
        if self.tells_before(entry) {
            session.tell_before(entry.tree)?;
        }
        Ok(())
    }

    /// How many documents there are.
    pub(super) fn count_within(&self, session: &Session) -> Result<u64> {
        let entry = session.entry(&self.namespace)?;
        entry.map_or(Ok(0), |entry| session.count(entry.tree))
    }

    /// Creates the collection.
    pub(super) fn create_within(&self, session: &Session, options: RawDocumentBuf) -> Result<()> {
        self.environment.writable()?;
        if session.entry(&self.namespace)?.is_some() {
            return Err(self.exists());
        }
        let entry = session.create(&self.namespace, options)?;
        if entry.ttl.is_some() {
            self.environment.expiry.made(&self.environment);
        }
        Ok(())
    }

    /// Changes the first document that matches.
    pub(super) fn change_within(
        &self,
        session: &Arc<Session>,
        watch: &Watch,
        filter: &Filter,
        change: impl Fn(&[u8]) -> Result<Change>,
    ) -> Result<Changed> {
        watch.check()?;
        self.environment.writable()?;
        let Some(entry) = session.entry(&self.namespace)? else {
            return Ok(Changed::Nothing);
        };
        let place = Place::Within(Arc::clone(session), entry.tree);
        let place = self.shown(place, &entry)?;
        let Some((key, document)) = self.first_match(watch, &place, &entry, filter)? else {
            return Ok(Changed::Nothing);
        };
        self.begin_writing(session, &entry)?;
        let change = self.shape_change(&entry, &document, change(&document)?)?;
        let room = change.document().map_or(0, <[u8]>::len);
        watch.room_for(key.len() + document.len() + room)?;
        if !matches!(change, Change::None) {
            let (old, new) = (Some(document.as_slice()), change.document());
            self.write_indexes(&mut &**session, &entry, &key, old, new)?;
        }
        match change {
            Change::None => return Ok(Changed::Same),
            Change::Put(new) => session.put(entry.tree, key, new)?,
            Change::Update(new) => session.put_in_part(entry.tree, key, new)?,
            Change::Delete => session.delete(entry.tree, key)?,
        }
        Ok(Changed::Written)
    }

    /// Deletes all documents that match.
    pub(super) fn delete_within(
        &self,
        session: &Arc<Session>,
        watch: &Watch,
        filter: &Filter,
        tally: &mut Tally,
    ) -> Result<()> {
        self.environment.writable()?;
        let Some(entry) = session.entry(&self.namespace)? else {
            return Ok(());
        };
        self.begin_writing(session, &entry)?;
        let place = Place::Within(Arc::clone(session), entry.tree);
        let place = self.shown(place, &entry)?;
        let mut after: Option<Vec<u8>> = None;
        let mut targets = Targets::default();
        loop {
            let from = (&mut targets, after.as_deref());
            let found = self.to_delete(watch, &place, &entry, filter, from)?;
            let Some((newest, _)) = found.last().cloned() else {
                return Ok(());
            };
            for (key, old) in found {
                self.write_indexes(&mut &**session, &entry, &key, Some(&old), None)?;
                session.delete(entry.tree, key)?;
                tally.add_within(1);
            }
            after = Some(newest);
        }
    }
}

/// Whether an error speaks of the document that was to be inserted.
fn is_refusal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::DuplicateKey | ErrorKind::CannotIndex | ErrorKind::DocumentValidation
    ) || error.code() == Some(17280)
}
