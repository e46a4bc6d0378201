//! Documents on their way in: shaped by the schema, and given the `_id` under which they are
//! stored.

use cs_kv::base::TreeId;
use cs_kv::{KeyRange, system};

use super::place::Place;
use super::{Collection, MAX_ATTEMPTS};
use crate::catalog::Entry;
use crate::error::{DuplicateKey, Error, ErrorKind, Result};
use crate::expression::Value;
use crate::id::{Identified, id_of, identify};
use crate::input::IntoDocument;
use crate::rules::ids::{Generated, Ids, Ready};
use crate::sequences;
use crate::transaction::session::Session;
use crate::values::{Class, Kind, OwnedValue, RawValue, validate_document};

impl Collection {
    /// Validates a document and brings it into the form in which it is stored.
    pub(super) fn prepare(&self, document: impl IntoDocument) -> Result<Identified> {
        let document = document.into_document()?;
        validate_document(document.as_bytes())?;
        let document = document.into_bytes();
        let generate = || self.environment.object_ids.next();
        let Some(entry) = self.ruled_entry()? else {
            return identify(document, generate);
        };
        let document = match self.judge_of(&entry) {
            Some(judge) => judge.shape(document)?,
            None => document,
        };
        let Some(ids) = entry.rules.as_ref().and_then(|rules| rules.ids()) else {
            return identify(document, generate);
        };
        match ids.prepare(document)? {
            Ready::Whole(document) => identify(document, generate),
            Ready::Wanting(document, generated) => {
                let id = match generated {
                    Generated::ObjectId => Value::object_id(generate().bytes()).to_owned_value()?,
                    Generated::Uuid => {
                        OwnedValue::try_from(&self.environment.object_ids.next_uuid().into())?
                    }
                    Generated::Number => return self.numbered(&entry, ids, &document),
                };
                let mut identified = identify(ids.identified(&document, &id), generate)?;
                identified.generated = true;
                Ok(identified)
            }
        }
    }

    /// The document under the next number of the collection.
    fn numbered(&self, entry: &Entry, ids: &Ids, document: &[u8]) -> Result<Identified> {
        let number = self.next_number(entry)?;
        let id = Value::int64(number).to_owned_value()?;
        let document = ids.identified(document, &id);
        let mut identified = identify(document, || self.environment.object_ids.next())?;
        identified.numbered = true;
        Ok(identified)
    }

    fn next_number(&self, entry: &Entry) -> Result<i64> {
        let store = self.environment.writable()?;
        let mut counter = entry.counter;
        for _ in 0..MAX_ATTEMPTS {
            let tree = counter.ok_or_else(|| {
                let message = format!("collection '{}' has no counter", self.namespace);
                Error::new(ErrorKind::Corruption, message)
            })?;
            if let Some(number) = self.environment.sequences.next(store, tree)? {
                return Ok(number);
            }
            if let Some(session) = &self.session {
                return next_within(session, tree);
            }
            // It was dropped, and perhaps made again.
            counter = self
                .environment
                .entry(&self.namespace)?
                .and_then(|it| it.counter);
        }
        Err(self.gave_up())
    }

    /// A document whose number another has, one that came with it, under a later number;
    /// `None` if it has none, or nothing is in its way but something else.
    pub(super) fn renumbered(
        &self,
        document: &Identified,
        error: &Error,
    ) -> Result<Option<Identified>> {
        let is_over_id = |it: &DuplicateKey| it.key_pattern.get("_id").ok().flatten().is_some();
        if !document.numbered || !error.duplicate_key().is_some_and(is_over_id) {
            return Ok(None);
        }
        let view = self.view()?;
        let (Some(entry), Some(place)) = (view.entry, view.place) else {
            return Ok(None);
        };
        let (Some(tree), Some(ids)) = (entry.counter, entry.rules.as_ref().and_then(|it| it.ids()))
        else {
            return Ok(None);
        };
        if let Some(greatest) = greatest_number(&place)? {
            let store = self.environment.writable()?;
            self.environment.sequences.pass(store, tree, greatest)?;
        }
        self.numbered(&entry, ids, &document.document).map(Some)
    }
}

/// A number off a counter that only the transaction knows yet.
fn next_within(session: &Session, tree: TreeId) -> Result<i64> {
    debug_assert_ne!(tree, system::CATALOG);
    let (key, _) = sequences::stored(0);
    let number = sequences::read(session.get(tree, &key)?.as_deref());
    let number = number.ok_or_else(|| Error::new(ErrorKind::Corruption, "a damaged counter"))?;
    let (key, next) = sequences::stored(number.saturating_add(1));
    session.put(tree, key, next)?;
    Ok(number)
}

/// The greatest whole number that is an `_id`, as far as 64 bits go.
fn greatest_number(place: &Place) -> Result<Option<i64>> {
    let greatest = i64::MAX.to_le_bytes();
    let greatest = RawValue {
        kind: Kind::Int64,
        bytes: &greatest,
    };
    let range = KeyRange {
        lower: std::ops::Bound::Included(vec![Class::Number as u8]),
        upper: std::ops::Bound::Excluded(crate::key::encode(greatest)?),
    };
    let mut rows = place.rows_toward(range, true)?;
    let Some((_, document)) = rows.next()? else {
        return Ok(None);
    };
    let number = id_of(document).and_then(|id| id.number());
    Ok(number.and_then(crate::values::Number::truncate_to_i64))
}
