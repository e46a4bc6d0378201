//! The entries of one tree, from wherever they can be had.
//!
//! 1. From the tree itself, walked from its root.
//! 2. Where a page of it is broken: from the state before, if the log leads on
//!    from there.
//! 3. Where that is broken too: from leaves that name the tree. With the
//!    allocation map those in use, which are of the newest state. Without it
//!    all, the newest first: a newer leaf hides the keys between its first and
//!    its last from older ones.
//!
//! Invariant: no entry comes from a range of keys in which the tree can be read.

use std::collections::BTreeSet;

use cs_base::TreeId;
use cs_kv::TreeRoot;

use crate::error::{InspectError, Result};
use crate::walk::{Go, Place, Range, Visit, walk};

use super::source::{Entry, Source};

/// Where an entry was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Tree,
    Older,
    Leaf,
    /// In a leaf that is in use, and in no range that its tree lacks.
    Stray,
}

/// What becomes of an entry.
pub(super) type Sink<'a> = dyn FnMut(From, Vec<u8>, Vec<u8>) -> Result<()> + 'a;

/// Something that cannot be read.
#[derive(Clone, Debug)]
pub(super) struct Loss {
    pub(super) page: Option<u64>,
    pub(super) range: Option<Range>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) why: String,
}

/// What became of one tree.
#[derive(Default)]
pub(super) struct Gathered {
    /// Where the tree itself cannot be read.
    pub(super) broken: Vec<Range>,
    pub(super) losses: Vec<Loss>,
    /// Pages of leaves that are in use and have keys that the tree has elsewhere.
    pub(super) strays: Vec<u64>,
}

/// The states of one tree.
#[derive(Clone, Copy)]
pub(super) struct Roots {
    pub(super) newest: Option<TreeRoot>,
    /// Only where the log leads on from there.
    pub(super) older: Option<TreeRoot>,
    /// `newest` may be of a state before: the log has to go over all of it.
    pub(super) is_stale: bool,
}

/// Collects the entries of `tree`.
pub(super) fn gather(
    source: &Source,
    tree: TreeId,
    roots: Roots,
    sink: &mut Sink<'_>,
) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    let mut met: BTreeSet<u64> = BTreeSet::new();
    let everything = [Range::default()];
    // 1.
    match roots.newest.or_else(|| source.guess_root(tree)) {
        Some(root) => {
            let mut steps = Steps {
                source,
                tree,
                from: From::Tree,
                within: &everything,
                met: &mut met,
                broken: Vec::new(),
                losses: &mut gathered.losses,
                sink,
            };
            steps.walk(&root)?;
            gathered.broken = steps.broken;
        }
        None => gathered.broken.push(Range::default()),
    }
    if gathered.broken.is_empty() && !source.has_map {
        return Ok(gathered);
    }
    // 2.
    let mut open = gathered.broken.clone();
    if let (Some(root), false) = (roots.older, open.is_empty()) {
        let mut ignored = Vec::new();
        let mut steps = Steps {
            source,
            tree,
            from: From::Older,
            within: &open,
            met: &mut met,
            broken: Vec::new(),
            losses: &mut ignored,
            sink,
        };
        steps.walk(&root)?;
        let broken = steps.broken;
        open = open
            .iter()
            .flat_map(|range| broken.iter().filter_map(|other| range.common(other)))
            .collect();
    }
    // 3.
    leaves(source, tree, &open, &met, &mut gathered, sink)?;
    Ok(gathered)
}

/// A walk that hands out entries and notes what it misses.
struct Steps<'a, 's> {
    source: &'a Source,
    tree: TreeId,
    from: From,
    within: &'a [Range],
    met: &'a mut BTreeSet<u64>,
    broken: Vec<Range>,
    losses: &'a mut Vec<Loss>,
    sink: &'a mut Sink<'s>,
}

impl Steps<'_, '_> {
    fn walk(&mut self, root: &TreeRoot) -> Result<()> {
        let within = self.within;
        let wanted = |place: &Place<'_>| within.iter().any(|range| range.overlaps(place.range));
        let (source, tree) = (self.source, self.tree);
        walk::<InspectError>(&source.file, tree, root, &wanted, &mut |visit| {
            match visit {
                Visit::Node(place, bytes) => {
                    self.met.insert(place.at.page.0);
                    if place.level == 0 {
                        self.leaf(bytes)?;
                    }
                }
                Visit::Broken(place, why) => {
                    self.broken.push(place.range.clone());
                    self.losses.push(Loss {
                        page: Some(place.at.page.0),
                        range: Some(place.range.clone()),
                        key: None,
                        why,
                    });
                }
            }
            Ok(Go::Down)
        })
    }

    fn leaf(&mut self, bytes: &[u8]) -> Result<()> {
        for entry in self.source.entries(self.tree, bytes) {
            let key = match &entry {
                Entry::Whole(key, _) | Entry::Lost(key, _) => key,
            };
            if !self.within.iter().any(|range| range.contains(key)) {
                continue;
            }
            match entry {
                Entry::Whole(key, value) => (self.sink)(self.from, key, value)?,
                Entry::Lost(key, why) => {
                    // That key is missing as those of a broken page are.
                    let mut behind = key.clone();
                    behind.push(0);
                    self.broken.push(Range {
                        from: key.clone(),
                        to: Some(behind),
                    });
                    self.losses.push(Loss {
                        page: None,
                        range: None,
                        key: Some(key),
                        why,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Step 3: leaves by their own word.
fn leaves(
    source: &Source,
    tree: TreeId,
    open: &[Range],
    met: &BTreeSet<u64>,
    gathered: &mut Gathered,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut hidden: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for page in source.leaves(tree, met) {
        let bytes = source.read_page(page)?;
        let mut ends: Option<(Vec<u8>, Vec<u8>)> = None;
        // An empty leaf is nobody's loss.
        let mut is_stray = false;
        for entry in source.entries(tree, &bytes) {
            let key = match &entry {
                Entry::Whole(key, _) | Entry::Lost(key, _) => key.clone(),
            };
            match &mut ends {
                Some((_, last)) => last.clone_from(&key),
                None => ends = Some((key.clone(), key.clone())),
            }
            is_stray |= !gathered.broken.iter().any(|range| range.contains(&key));
            let is_wanted = open.iter().any(|range| range.contains(&key))
                && !hidden
                    .iter()
                    .any(|(first, last)| *first <= key && key <= *last);
            if !is_wanted {
                continue;
            }
            match entry {
                Entry::Whole(key, value) => sink(From::Leaf, key, value)?,
                Entry::Lost(key, why) => gathered.losses.push(Loss {
                    page: Some(page),
                    range: None,
                    key: Some(key),
                    why,
                }),
            }
        }
        hidden.extend(ends);
        if is_stray && source.has_map {
            gathered.strays.push(page);
        }
    }
    Ok(())
}
