//! Walking a tree as it lies in a data file, damaged or not.
//!
//! ## Invariants
//! * Pages come depth first, in key order, each with the range of keys that its
//!   place stands for.
//! * A page that cannot be read, or is another than its parent implies, is
//!   broken; the walk goes on beside it.
//! * It ends: a child is one level below its parent.

use cs_base::TreeId;
use cs_kv::TreeRoot;
use cs_kv::node::Branch;
use cs_pager::{PageHeader, PageKind, PageRef};

use crate::error::{InspectError, Result};
use crate::output::hex;
use crate::pages::PageFile;
use crate::runs;

/// Keys from one, up to and without another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Range {
    /// The first that may be there.
    pub(crate) from: Vec<u8>,
    /// The first that may not; `None`: all may.
    pub(crate) to: Option<Vec<u8>>,
}

impl Range {
    /// Whether a key is in it.
    pub(crate) fn contains(&self, key: &[u8]) -> bool {
        key >= self.from.as_slice() && self.to.as_deref().is_none_or(|to| key < to)
    }

    /// The keys that are in both, if there can be any.
    pub(crate) fn common(&self, other: &Self) -> Option<Self> {
        let to = match (&self.to, &other.to) {
            (Some(one), Some(two)) => Some(one.min(two).clone()),
            (one, two) => one.clone().or_else(|| two.clone()),
        };
        self.overlaps(other).then(|| Self {
            from: self.from.clone().max(other.from.clone()),
            to,
        })
    }

    /// For people: `keys from .. up to ..`.
    pub(crate) fn line(&self, most: usize) -> String {
        let from = if self.from.is_empty() {
            "the first".to_owned()
        } else {
            hex(&self.from, most)
        };
        let to = self.to.as_ref();
        let to = to.map_or_else(
            || "the last".to_owned(),
            |to| format!("before {}", hex(to, most)),
        );
        format!("keys from {from} to {to}")
    }

    /// Whether any key is in both.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let below = |from: &[u8], to: Option<&[u8]>| to.is_none_or(|to| from < to);
        below(&self.from, other.to.as_deref()) && below(&other.from, self.to.as_deref())
    }
}

/// A place in a tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The page that has to be there.
    pub(crate) at: PageRef,
    /// Height above the leaves.
    pub(crate) level: u8,
    /// Which keys are below it.
    pub(crate) range: &'a Range,
    /// From the root to it, without it: page, and which child.
    pub(crate) path: &'a [(PageRef, usize)],
}

/// What the walk came to.
#[derive(Debug)]
pub(crate) enum Visit<'a> {
    /// A sound node of the tree.
    Node(Place<'a>, &'a [u8]),
    /// None, and why.
    Broken(Place<'a>, String),
}

/// How the walk goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Go {
    /// To the children.
    Down,
    /// Not at all.
    Stop,
}

struct Pending {
    at: PageRef,
    level: u8,
    range: Range,
    path: Vec<(PageRef, usize)>,
}

/// Visits the pages of a tree. `wanted` is asked before a page is read.
///
/// # Errors
/// What `visit` said.
pub(crate) fn walk<E>(
    file: &PageFile,
    tree: TreeId,
    root: &TreeRoot,
    wanted: &dyn Fn(&Place<'_>) -> bool,
    visit: &mut dyn FnMut(Visit<'_>) -> std::result::Result<Go, E>,
) -> std::result::Result<(), E> {
    let Some(top) = root.height.checked_sub(1) else {
        return Ok(());
    };
    let mut stack = vec![Pending {
        at: root.page,
        level: top,
        range: Range::default(),
        path: Vec::new(),
    }];
    while let Some(next) = stack.pop() {
        let place = Place {
            at: next.at,
            level: next.level,
            range: &next.range,
            path: &next.path,
        };
        if !wanted(&place) {
            continue;
        }
        match read_node(file, tree, next.at, next.level) {
            Ok(bytes) => match visit(Visit::Node(place, &bytes))? {
                Go::Down if next.level > 0 => push_children(file, tree, &bytes, &next, &mut stack),
                Go::Down => {}
                Go::Stop => return Ok(()),
            },
            Err(error) => {
                if visit(Visit::Broken(place, error.to_string()))? == Go::Stop {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

fn push_children(
    file: &PageFile,
    tree: TreeId,
    bytes: &[u8],
    parent: &Pending,
    stack: &mut Vec<Pending>,
) {
    let branch = Branch::new(bytes);
    let mut to = parent.range.to.clone();
    for child in (0..branch.len()).rev() {
        let from = if child == 0 {
            parent.range.from.clone()
        } else {
            child_key(file, tree, branch, child)
        };
        let mut path = parent.path.clone();
        path.push((parent.at, child));
        stack.push(Pending {
            at: branch.child(child).into(),
            level: parent.level - 1,
            range: Range {
                from: from.clone(),
                to: to.take(),
            },
            path,
        });
        to = Some(from);
    }
}

/// The whole key of a child; its first bytes where the rest cannot be read.
fn child_key(file: &PageFile, tree: TreeId, branch: Branch<'_>, child: usize) -> Vec<u8> {
    let mut key = Vec::new();
    branch.key(child, &mut key);
    let whole = branch
        .key_overflow(child)
        .map(|run| runs::read_key(file, tree, &run));
    match whole {
        Some(Ok(whole)) => whole,
        Some(Err(_)) | None => key,
    }
}

/// The node that a pointer leads to, if it is the tree's, at this height.
///
/// # Errors
/// [`InspectError::Suspect`].
pub(crate) fn read_node(file: &PageFile, tree: TreeId, at: PageRef, level: u8) -> Result<Vec<u8>> {
    let bytes = file.read_at(at)?;
    let header = PageHeader::of(&bytes);
    let kind = if level == 0 {
        PageKind::Leaf
    } else {
        PageKind::Branch
    };
    if header.kind == kind as u8 && header.level == level && header.tree.get() == tree.0 {
        return Ok(bytes);
    }
    Err(InspectError::Suspect(format!(
        "page {} is damaged: expected a page of tree {tree}, level {level}, found tree {}, level {}, kind {}",
        at.page,
        header.tree.get(),
        header.level,
        header.kind
    )))
}
