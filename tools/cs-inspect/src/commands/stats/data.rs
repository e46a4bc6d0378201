//! The bytes of the data file.

use std::collections::BTreeMap;
use std::io::{self, Write};

use cs_kv::node::{
    Branch, CHILD_REF, Leaf, NODE_HEADER, OVERFLOW_REF, OverflowRef, SLOT, VALUE_TAG, ValueRef,
};
use cs_kv::system;
use cs_pager::{PAGE_HEADER, PageKind, RootRecord};
use serde_json::{Value, json};

use crate::census::{Census, Content, Fact, State};
use crate::error::Result;
use crate::finding::Finding;
use crate::output::{table, write_table};
use crate::owners::Owners;
use crate::pages::PageFile;
use crate::place::Place;
use crate::progress::Progress;
use crate::runs::DIGEST;

use super::Part;

/// Where the length of a node's prefix is; see the FORMAT.md of cs-kv.
const PREFIX_LEN: usize = PAGE_HEADER + 2;

/// What the pages of one tree hold.
#[derive(Clone, Copy, Debug, Default)]
struct Tree {
    pages: u64,
    /// Of leaves: prefixes, suffixes and runs, as they are stored.
    keys: u64,
    values: u64,
    /// Of branches: what tells the children apart.
    separators: u64,
    children: u64,
    page_headers: u64,
    /// Node headers, slots, tags and references to runs.
    structure: u64,
    free: u64,
    digests: u64,
    slack: u64,
    /// Overflow pages in use, and those that a node in use refers to.
    overflow_pages: u64,
    referred_pages: u64,
}

impl Tree {
    fn leaf(&mut self, bytes: &[u8], room: u64) {
        let leaf = Leaf::new(bytes);
        self.node(leaf.len(), leaf.free_bytes());
        self.keys += prefix_len(bytes);
        for slot in 0..leaf.len() {
            self.keys += leaf.key_parts(slot).1.len() as u64;
            self.structure += VALUE_TAG as u64;
            if let Some(run) = leaf.key_overflow(slot) {
                self.keys += run.run_bytes();
                self.run(&run, room);
            }
            match leaf.value(slot) {
                ValueRef::Inline(value) => self.values += value.len() as u64,
                ValueRef::Overflow(run) => {
                    let digest = run.run_bytes().min(DIGEST as u64);
                    self.digests += digest;
                    self.values += run.run_bytes() - digest;
                    self.run(&run, room);
                }
            }
        }
    }

    fn branch(&mut self, bytes: &[u8], room: u64) {
        let branch = Branch::new(bytes);
        self.node(branch.len(), branch.free_bytes());
        self.separators += prefix_len(bytes);
        for child in 0..branch.len() {
            self.separators += branch.key_parts(child).1.len() as u64;
            self.children += CHILD_REF as u64;
            if let Some(run) = branch.key_overflow(child) {
                self.separators += run.run_bytes();
                self.run(&run, room);
            }
        }
    }

    fn node(&mut self, slots: usize, free: usize) {
        self.pages += 1;
        self.page_headers += PAGE_HEADER as u64;
        self.structure += (NODE_HEADER + slots * SLOT) as u64;
        self.free += free as u64;
    }

    /// A reference in a node, and what the run behind it leaves unused.
    fn run(&mut self, run: &OverflowRef, room: u64) {
        self.structure += OVERFLOW_REF as u64;
        self.referred_pages += u64::from(run.pages);
        self.slack += (u64::from(run.pages) * room).saturating_sub(run.run_bytes());
    }

    fn overflow(&mut self) {
        self.pages += 1;
        self.overflow_pages += 1;
        self.page_headers += PAGE_HEADER as u64;
    }
}

fn prefix_len(bytes: &[u8]) -> u64 {
    u64::from(u16::from_le_bytes([
        bytes[PREFIX_LEN],
        bytes[PREFIX_LEN + 1],
    ]))
}

/// What the data file is made of.
#[derive(Debug, Default)]
pub(super) struct Data {
    pub(super) root: Option<RootRecord>,
    trees: BTreeMap<u32, Tree>,
    owners: Owners,
    page_size: u64,
    metas: u64,
    map_pages: u64,
    dropped_pages: u64,
    damaged_pages: u64,
    pending_pages: u64,
    free_pages: u64,
    unknown_pages: u64,
    tail: u64,
}

impl Data {
    pub(super) fn look(
        place: &Place,
        progress: &Progress,
        findings: &mut Vec<Finding>,
    ) -> Result<Self> {
        let file = PageFile::open(&*place.disk())?;
        let owners = Owners::read(&file, &file.meta.root);
        let mut data = Self {
            page_size: file.page_size(),
            owners,
            ..Self::default()
        };
        let census = Census::take(&file, progress, &mut |_, fact, bytes| data.add(fact, bytes))?;
        data.tail = census.file_bytes - census.facts.len() as u64 * census.page_size;
        data.root = Some(census.root);
        findings.extend(census.findings);
        for (tree, sum) in &data.trees {
            // With a damaged page, what it refers to is not known.
            if sum.overflow_pages != sum.referred_pages && data.damaged_pages == 0 {
                let text = format!(
                    "{} overflow pages are in use, {} are referred to",
                    sum.overflow_pages, sum.referred_pages
                );
                findings.push(Finding::new("unexplained-overflow", text).in_tree(*tree));
            }
        }
        Ok(data)
    }

    /// Whether there are named snapshots.
    pub(super) fn has_snapshots(&self) -> bool {
        let tree = self.owners.roots.get(&system::SNAPSHOTS.0);
        tree.is_some_and(|root| root.stats.count > 0)
    }

    fn add(&mut self, fact: &Fact, bytes: &[u8]) {
        let room = self.page_size - PAGE_HEADER as u64;
        match fact.state {
            State::Meta => self.metas += self.page_size,
            State::Pending => self.pending_pages += 1,
            State::Free => self.free_pages += 1,
            State::Unknown => self.unknown_pages += 1,
            State::Used => match fact.content {
                Content::Sound(PageKind::AllocationMap | PageKind::AllocationIndex) => {
                    self.map_pages += 1;
                }
                Content::Sound(_) if self.owners.dropped.contains_key(&fact.tree) => {
                    self.dropped_pages += 1;
                }
                Content::Sound(kind) => {
                    let tree = self.trees.entry(fact.tree).or_default();
                    match kind {
                        PageKind::Leaf => tree.leaf(bytes, room),
                        PageKind::Branch => tree.branch(bytes, room),
                        _ => tree.overflow(),
                    }
                }
                _ => self.damaged_pages += 1,
            },
        }
    }

    fn total(&self, part: impl Fn(&Tree) -> u64) -> u64 {
        self.trees.values().map(part).sum()
    }

    fn of_users(&self, part: impl Fn(&Tree) -> u64) -> u64 {
        let users = self
            .trees
            .iter()
            .filter(|(tree, _)| **tree >= system::FIRST_USER);
        users.map(|(_, sum)| part(sum)).sum()
    }

    /// Keys and values of trees that are not the system's.
    pub(super) fn payload(&self) -> u64 {
        self.of_users(|tree| tree.keys + tree.values)
    }

    /// Bytes of overflow pages in use that no node in use refers to. Below
    /// zero where such a page is damaged, for it is counted there.
    fn loose_overflow(&self) -> (u64, u64) {
        let room = self.page_size - PAGE_HEADER as u64;
        let (used, referred) = (
            self.total(|tree| tree.overflow_pages) * room,
            self.total(|tree| tree.referred_pages) * room,
        );
        (used.saturating_sub(referred), referred.saturating_sub(used))
    }

    pub(super) fn parts(&self) -> Vec<Part> {
        let page = self.page_size;
        let system = self.total(|tree| tree.keys + tree.values) - self.payload();
        let (loose, missing) = self.loose_overflow();
        let damaged = (self.damaged_pages * page).saturating_sub(missing);
        let parts = [
            ("keys", self.of_users(|tree| tree.keys)),
            ("values", self.of_users(|tree| tree.values)),
            ("system trees: keys and values", system),
            ("branches: separators", self.total(|tree| tree.separators)),
            ("branches: children", self.total(|tree| tree.children)),
            ("page headers", self.total(|tree| tree.page_headers)),
            (
                "node headers, slots, references",
                self.total(|tree| tree.structure),
            ),
            ("free inside pages", self.total(|tree| tree.free)),
            ("overflow: digests", self.total(|tree| tree.digests)),
            ("overflow: slack", self.total(|tree| tree.slack)),
            ("overflow: nobody's", loose),
            ("dropped trees", self.dropped_pages * page),
            ("damaged pages", damaged),
            ("allocation map", self.map_pages * page),
            ("kept by the older meta", self.pending_pages * page),
            ("free pages", self.free_pages * page),
            (
                "used or free: the map cannot be read",
                self.unknown_pages * page,
            ),
            ("metas", self.metas),
            ("preallocated tail", self.tail),
        ];
        let parts = parts.into_iter().map(|(name, bytes)| Part {
            group: "data",
            name,
            bytes,
        });
        parts.collect()
    }

    pub(super) fn owners_json(&self) -> Vec<Value> {
        let trees = self.trees.iter().map(|(id, tree)| {
            json!({
                "tree": id,
                "owner": self.owners.name(*id),
                "pages": tree.pages,
                "bytes": tree.pages * self.page_size,
                "keys": tree.keys,
                "values": tree.values,
                "branches": tree.separators + tree.children,
                "headers": tree.page_headers + tree.structure + tree.digests,
                "free_inside": tree.free,
                "overflow_slack": tree.slack,
            })
        });
        trees.collect()
    }

    pub(super) fn write_owners(&self, out: &mut dyn Write) -> io::Result<()> {
        let header = [
            "owner", "pages", "keys", "values", "branches", "headers", "free", "slack",
        ];
        let mut rows = table(&header, &[1, 2, 3, 4, 5, 6, 7]);
        for (id, tree) in &self.trees {
            rows.add_row([
                self.owners.name(*id),
                tree.pages.to_string(),
                tree.keys.to_string(),
                tree.values.to_string(),
                (tree.separators + tree.children).to_string(),
                (tree.page_headers + tree.structure + tree.digests).to_string(),
                tree.free.to_string(),
                tree.slack.to_string(),
            ]);
        }
        write_table(out, &rows)
    }
}
