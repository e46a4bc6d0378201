//! Deleting what has expired, some at a time.
//!
//! ## Invariants
//! * A step looks at a bounded number of documents and makes one commit of bounded size.
//! * What is deleted had expired in the state that the commit is on: where another wrote
//!   one of the documents meanwhile, nothing is committed, and the step is made again with
//!   fewer, until that document is alone and passed over.

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;

use bson::{DateTime, doc};
use cs_kv::{CommitOptions, Durability, KeyRange};

use super::Collection;
use super::index_read::IndexRead;
use super::insert::{MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS};
use super::matches::in_tree;
use super::place::Place;
use super::write::{Found, lost};
use crate::catalog::Entry;
use crate::context::Watch;
use crate::error::Result;
use crate::expiry::{Rule, TtlOption};
use crate::filter::Filter;
use crate::index::{Access, Index};
use crate::input::IntoFilter;
use crate::stats::Counters;

/// Most documents that a step looks at.
const MOST_LOOKED_AT: usize = 10_000;
/// Most documents that a pass leaves behind in a collection before it leaves the rest too.
const MOST_PASSED_OVER: usize = 10_000;

/// How far the expiry of a collection is.
#[derive(Debug)]
pub(crate) struct Expiring {
    rule: Rule,
    now_ms: i64,
    /// The last document that was looked at, where all are.
    after: Option<Vec<u8>>,
    /// Most documents of the next commit.
    size: usize,
    passed_over: HashSet<Vec<u8>>,
    is_done: bool,
}

/// What a step found.
#[derive(Default)]
struct Expired {
    found: Vec<Found>,
    bytes: usize,
    /// Where the next step goes on.
    after: Option<Vec<u8>>,
    is_last: bool,
}

impl Expired {
    fn is_full(&self, size: usize) -> bool {
        self.found.len() >= size || self.bytes >= MAX_BATCH_BYTES
    }

    fn add(&mut self, key: &[u8], document: &[u8]) {
        self.bytes += key.len() + document.len();
        self.found.push((key.to_vec(), document.to_vec()));
    }
}

impl Expiring {
    /// By this rule, at this time in milliseconds since 1970.
    pub(crate) fn new(rule: Rule, now_ms: i64) -> Self {
        Self {
            rule,
            now_ms,
            after: None,
            size: MAX_BATCH_DOCUMENTS,
            passed_over: HashSet::new(),
            is_done: false,
        }
    }

    /// Whether there is nothing more that has expired.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done
    }
}

impl Collection {
    /// Deletes some documents that have expired; returns how many.
    pub(crate) fn expire_some(&self, watch: &Watch, expiring: &mut Expiring) -> Result<u64> {
        watch.check()?;
        let (mut transaction, entry) = self.environment.begin(&self.namespace)?;
        let expired = match &entry {
            Some(entry) => match in_tree(transaction.snapshot().tree(entry.tree))? {
                Some(tree) => self.find_expired(watch, Place::Stored(tree), entry, expiring)?,
                None => None,
            },
            None => None,
        };
        let (Some(entry), Some(expired)) = (entry, expired) else {
            // The collection went away, or does not expire any more.
            expiring.is_done = true;
            return Ok(0);
        };
        if self.tells_before(&entry) && !expired.found.is_empty() {
            transaction.tell_before(entry.tree)?;
        }
        for (key, document) in &expired.found {
            self.write_indexes(&mut transaction, &entry, key, Some(document), None)?;
            transaction.delete(entry.tree, key.clone())?;
        }
        let committed = match expired.found.is_empty() {
            true => Ok(()),
            // What a crash takes back has expired all the same.
            false => transaction
                .commit(&CommitOptions::with_durability(Durability::Async))
                .and_then(|ticket| ticket.wait()),
        };
        match committed {
            Ok(()) => {
                expiring.after = expired.after;
                expiring.size = (expiring.size * 2).min(MAX_BATCH_DOCUMENTS);
                expiring.is_done = expired.is_last;
                Ok(expired.found.len() as u64)
            }
            Err(error) if lost(&error) => {
                if let [(key, _)] = &*expired.found {
                    Counters::add(&self.environment.counters.expiry_passed_over, 1);
                    expiring.passed_over.insert(key.clone());
                    expiring.is_done = expiring.passed_over.len() >= MOST_PASSED_OVER;
                }
                expiring.size = (expired.found.len() / 4).max(1);
                Ok(0)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next documents that have expired; `None` if none ever do.
    fn find_expired(
        &self,
        watch: &Watch,
        place: Place,
        entry: &Entry,
        expiring: &Expiring,
    ) -> Result<Option<Expired>> {
        match expiring.rule {
            Rule::Index(tree) => {
                let index = entry.indexes.of_tree(tree).filter(|index| index.expires());
                let found = index.map(|index| by_index(watch, place, index, expiring));
                found.transpose()
            }
            Rule::Option => {
                let found = entry.ttl.as_ref();
                let found = found.map(|ttl| by_option(watch, &place, ttl, expiring));
                found.transpose()
            }
        }
    }
}

/// The entries of the index up to the date before which documents have expired.
fn by_index(
    watch: &Watch,
    place: Place,
    index: &Arc<Index>,
    expiring: &Expiring,
) -> Result<Expired> {
    let mut expired = Expired {
        is_last: true,
        ..Expired::default()
    };
    let life_ms = i64::from(index.definition.expire_after_seconds.unwrap_or_default()) * 1000;
    let Some(field) = index.definition.fields.first() else {
        return Ok(expired);
    };
    // Of an array any date that is early enough will do: the least is one.
    let until = DateTime::from_millis(expiring.now_ms.saturating_sub(life_ms));
    let path = String::from_utf8_lossy(&field.path).into_owned();
    let filter: Filter = doc! { path: { "$lte": until } }.into_filter()?;
    let access = Access::new(Some(index), 1, &filter.conjuncts());
    let mut read = IndexRead::new(place, vec![access]);
    let mut examined = 0;
    while let Some(()) = read.next(watch, &filter, &mut examined, |key, document| {
        if !expiring.passed_over.contains(key) {
            expired.add(key, document);
        }
    })? {
        if expired.is_full(expiring.size) {
            expired.is_last = false;
            break;
        }
    }
    watch.room_for(expired.bytes)?;
    Ok(expired)
}

/// All documents, from where the last step came to.
fn by_option(
    watch: &Watch,
    place: &Place,
    ttl: &TtlOption,
    expiring: &Expiring,
) -> Result<Expired> {
    let mut expired = Expired::default();
    let after = expiring.after.clone();
    let lower = after.map_or(Bound::Unbounded, Bound::Excluded);
    let upper = Bound::Unbounded;
    let mut rows = place.rows(KeyRange { lower, upper })?;
    for looked_at in 1.. {
        watch.check()?;
        let Some((key, document)) = rows.next()? else {
            expired.is_last = true;
            break;
        };
        let is_over = ttl.has_expired(document, expiring.now_ms);
        if is_over && !expiring.passed_over.contains(key) {
            watch.room_for(expired.bytes + key.len() + document.len())?;
            expired.add(key, document);
        }
        if expired.is_full(expiring.size) || looked_at >= MOST_LOOKED_AT {
            expired.after = Some(key.to_vec());
            break;
        }
    }
    Ok(expired)
}
