//! Writing in a transaction: nothing is committed, and nothing can be lost to
//! another before the transaction is.

use std::sync::Arc;

use bson::RawDocumentBuf;

use super::Collection;
use super::inserter::Waiting;
use super::place::Place;
use super::tally::Tally;
use super::write::{Change, Changed};
use crate::catalog::Entry;
use crate::context::Watch;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::Filter;
use crate::transaction::session::Session;

impl Collection {
    /// The same collection, in a transaction.
    pub(crate) fn within(mut self, session: Arc<Session>) -> Self {
        self.session = Some(session);
        self
    }

    /// Refuses what cannot be part of a transaction.
    pub(crate) fn outside_only(&self, what: &str) -> Result<()> {
        if self.session.is_none() {
            return Ok(());
        }
        let message = format!("{what} cannot be part of a transaction");
        Err(Error::new(ErrorKind::NotInTransaction, message))
    }

    /// Inserts all, or none if one has a key that is there already: the inner error
    /// is its position.
    pub(super) fn insert_within(
        &self,
        session: &Session,
        watch: &Watch,
        documents: &[Waiting],
    ) -> Result<Result<(), usize>> {
        self.environment.writable()?;
        let entry = session.entry_or_create(&self.namespace)?;
        for (position, Waiting { document, .. }) in documents.iter().enumerate() {
            watch.check()?;
            if session.get(entry.tree, &document.key)?.is_some() {
                return Ok(Err(position));
            }
        }
        self.tell_before_within(session, &entry)?;
        for Waiting { document, .. } in documents {
            let (key, value) = (document.key.clone(), document.document.clone());
            session.put(entry.tree, key, value)?;
        }
        Ok(Ok(()))
    }

    /// What it changes in this collection tells what was before, if anybody asks.
    pub(super) fn tell_before_within(&self, session: &Session, entry: &Entry) -> Result<()> {
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
        session.create(&self.namespace, options).map(drop)
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
        let Some((key, document)) = self.first_match(watch, &place, filter)? else {
            return Ok(Changed::Nothing);
        };
        self.tell_before_within(session, &entry)?;
        match change(&document)? {
            Change::None => return Ok(Changed::Same),
            Change::Put(new) => {
                watch.room_for(key.len() + document.len() + new.len())?;
                session.put(entry.tree, key, new)?;
            }
            Change::Update(new) => {
                watch.room_for(key.len() + document.len() + new.len())?;
                session.put_in_part(entry.tree, key, new)?;
            }
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
        self.tell_before_within(session, &entry)?;
        let place = Place::Within(Arc::clone(session), entry.tree);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let keys = self.matching_keys(watch, &place, filter, after.as_deref())?;
            let Some(newest) = keys.last().cloned() else {
                return Ok(());
            };
            for key in keys {
                session.delete(entry.tree, key)?;
                tally.add_within(1);
            }
            after = Some(newest);
        }
    }
}
