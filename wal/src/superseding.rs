//! Which records were superseded by later ones of the same or a lower index.

use cs_base::{Index, Lsn};

use crate::scan::Found;

/// Which records were superseded by later ones. Holds an entry only for each
/// record that went back in index.
#[derive(Debug, Default)]
pub(crate) struct Superseding(Vec<(Lsn, Index)>);

impl Superseding {
    pub(crate) fn note(&mut self, found: &Found, last: Index) {
        if found.head.kind.takes_index() && found.head.index <= last {
            // An earlier step back to the same or a higher index says less than
            // this one for what lies before it, but not for what lies between.
            self.0.push((found.lsn, found.head.index));
        }
    }

    /// Turns each entry's index into the lowest from there on, so that one
    /// look-up answers for all later ones.
    pub(crate) fn seal(&mut self) {
        let mut lowest = Index::MAX;
        for (_, index) in self.0.iter_mut().rev() {
            lowest = lowest.min(*index);
            *index = lowest;
        }
    }

    pub(crate) fn survives(&self, found: &Found) -> bool {
        let later = self.0.partition_point(|&(lsn, _)| lsn <= found.lsn);
        self.0
            .get(later)
            .is_none_or(|&(_, lowest)| found.head.index < lowest)
    }
}
