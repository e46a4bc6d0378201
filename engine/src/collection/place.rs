//! Where an operation reads: a state of the database, or a transaction.

use std::sync::Arc;

use cs_kv::base::TreeId;
use cs_kv::{KeyRange, Snapshot, TransactionEntries, TreeReader};

use super::Collection;
use super::lens::{Lens, Shown};
use super::matches::in_tree;
use crate::catalog::Entry;
use crate::error::Result;
use crate::transaction::session::Session;

/// The documents of one collection, as an operation sees them.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In a snapshot, which it keeps.
    Stored(TreeReader),
    /// In a transaction, its own writes included.
    Within(Arc<Session>, TreeId),
    /// Of several schema versions, and seen as the newest.
    Shown(Box<Lens>),
}

/// The documents of a range, one by one.
#[derive(Debug)]
pub(super) enum Rows {
    Stored(cs_kv::Cursor),
    /// Backwards.
    Back(cs_kv::Cursor),
    Within(Box<TransactionEntries>),
    Shown(Box<Shown>),
}

impl Place {
    /// The documents as they are stored, whatever their version.
    pub(super) fn stored(&self) -> &Self {
        match self {
            Self::Shown(lens) => &lens.stored,
            other => other,
        }
    }

    /// Another tree of the same state, if it is there.
    pub(super) fn sibling(&self, tree: TreeId) -> Result<Option<Self>> {
        Ok(match self {
            Self::Stored(documents) => in_tree(documents.sibling(tree))?.map(Self::Stored),
            Self::Within(session, _) => Some(Self::Within(Arc::clone(session), tree)),
            Self::Shown(lens) => lens.stored.sibling(tree)?,
        })
    }

    /// The entries of a range, ascending.
    pub(super) fn rows(&self, range: KeyRange) -> Result<Rows> {
        Ok(match self {
            Self::Stored(tree) => Rows::Stored(tree.cursor(range)),
            Self::Within(session, tree) => Rows::Within(Box::new(session.entries(*tree, range)?)),
            Self::Shown(_) => self.rows_toward(range, false)?,
        })
    }

    /// The entries of a range, ascending or descending.
    pub(super) fn rows_toward(&self, range: KeyRange, reverse: bool) -> Result<Rows> {
        Ok(match self {
            Self::Stored(tree) if reverse => Rows::Back(tree.cursor(range)),
            Self::Within(session, tree) if reverse => {
                Rows::Within(Box::new(session.entries_back(*tree, range)?))
            }
            Self::Shown(lens) => {
                let rows = lens.stored.rows_toward(range, reverse)?;
                Rows::Shown(Box::new(Shown::new(rows, (**lens).clone())))
            }
            _ => self.rows(range)?,
        })
    }

    /// What `read` makes of the document under a key.
    pub(super) fn with_value<R>(
        &self,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        Ok(match self {
            Self::Stored(tree) => tree.with_value(key, read)?,
            Self::Within(session, tree) => session.get(*tree, key)?.map(|value| read(&value)),
            Self::Shown(lens) => match lens.stored.with_value(key, <[u8]>::to_vec)? {
                Some(stored) => Some(read(&lens.show(key, &stored)?)),
                None => None,
            },
        })
    }
}

impl Rows {
    /// The next key and document.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        Ok(match self {
            Self::Stored(cursor) => cursor.next()?,
            Self::Back(cursor) => cursor.prev()?,
            Self::Within(entries) => entries.next()?,
            Self::Shown(shown) => shown.next()?,
        })
    }

    /// The next document.
    #[inline]
    pub(super) fn next_value(&mut self) -> Result<Option<&[u8]>> {
        Ok(match self {
            Self::Stored(cursor) => cursor.next_value()?,
            Self::Back(cursor) => cursor.prev()?.map(|(_, value)| value),
            Self::Within(entries) => entries.next()?.map(|(_, value)| value),
            Self::Shown(shown) => shown.next()?.map(|(_, value)| value),
        })
    }
}

/// What an operation sees: the collection, if it is there, and the last commit.
pub(crate) struct View {
    pub(super) place: Option<Place>,
    pub(crate) entry: Option<Entry>,
    pub(super) index: u64,
}

impl Collection {
    /// What an operation that begins now sees.
    pub(super) fn view(&self) -> Result<View> {
        if let Some(session) = &self.session {
            self.environment.store()?;
            let entry = session.entry(&self.namespace)?;
            let within = |entry: &Entry| Place::Within(Arc::clone(session), entry.tree);
            let place = match &entry {
                Some(entry) => Some(self.shown(within(entry), entry)?),
                None => None,
            };
            return Ok(View {
                place,
                index: session.index()?,
                entry,
            });
        }
        let (snapshot, entry) = self.environment.snapshot(&self.namespace)?;
        self.view_of(&snapshot, entry)
    }

    /// What the collection with this entry holds in a state.
    pub(super) fn view_of(&self, snapshot: &Snapshot, entry: Option<Entry>) -> Result<View> {
        let tree = match &entry {
            Some(entry) => in_tree(snapshot.tree(entry.tree))?,
            None => None,
        };
        let place = match (tree.map(Place::Stored), &entry) {
            (Some(place), Some(entry)) => Some(self.shown(place, entry)?),
            (place, _) => place,
        };
        Ok(View {
            place,
            entry,
            index: snapshot.index().get(),
        })
    }
}
