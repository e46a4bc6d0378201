//! Where the documents are that an operation changes batch by batch.
//!
//! ## Invariants
//! * An index is asked once, when the operation begins: a change that moves a document in
//!   the index cannot make it come again.
//! * Documents are taken in the order of their keys, and matched again in each batch.

use super::matches::{Matches, Wish, choose};
use super::place::Place;
use crate::catalog::Entry;
use crate::context::Watch;
use crate::error::Result;
use crate::filter::Filter;
use crate::index::Plan;

/// Most bytes of keys that are held; beyond it all documents are looked at instead.
const MOST_BYTES: usize = 64 << 20;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) enum Targets {
    /// Not known yet.
    #[default]
    Unknown,
    /// Where the filter bounds their `_id`, or anywhere.
    Tree,
    /// Under these keys, ascending.
    Keys(Vec<Vec<u8>>),
}

impl Targets {
    /// Those that match and come after a key.
    pub(super) fn after(
        &mut self,
        watch: &Watch,
        place: &Place,
        entry: &Entry,
        filter: &Filter,
        after: Option<&[u8]>,
    ) -> Result<Matches> {
        if matches!(self, Self::Unknown) {
            *self = Self::find(watch, place, entry, filter)?;
        }
        match self {
            Self::Keys(keys) => {
                let first = after.map_or(0, |after| {
                    keys.partition_point(|key| key.as_slice() <= after)
                });
                let left = keys.get(first..).unwrap_or_default().to_vec();
                Ok(Matches::of_keys(place, filter.clone(), left))
            }
            Self::Tree | Self::Unknown => Matches::new(place, filter.clone(), after),
        }
    }

    fn find(watch: &Watch, place: &Place, entry: &Entry, filter: &Filter) -> Result<Self> {
        let wish = Wish::default();
        let plan = choose(place, entry, filter, &wish)?;
        let uses_index = match &plan {
            Some(Plan::One(access)) => access.index.is_some(),
            Some(Plan::Several(_) | Plan::Nothing) => true,
            Some(Plan::All { .. }) | None => false,
        };
        if !uses_index {
            return Ok(Self::Tree);
        }
        let mut matches = Matches::of_plan(place, filter.clone(), plan, &wish)?;
        let (mut keys, mut bytes) = (Vec::new(), 0);
        while let Some(key) = matches.next(watch, |key, _| key.to_vec())? {
            bytes += key.len() + std::mem::size_of::<Vec<u8>>();
            if bytes > MOST_BYTES || watch.room_for(bytes).is_err() {
                return Ok(Self::Tree);
            }
            keys.push(key);
        }
        keys.sort_unstable();
        Ok(Self::Keys(keys))
    }
}
