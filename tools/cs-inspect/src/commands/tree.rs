//! `tree`: the shape of a tree, level by level.

use std::io::{self, Write};

use cs_base::TreeId;
use cs_kv::node::{Branch, ChildRef, Leaf, ValueRef};
use cs_kv::system;
use cs_pager::{PageHeader, PageKind, PageRef};
use serde_json::{Value, json};

use crate::catalog;
use crate::cli::{Global, TreeArgs};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings, count, table, write_table};
use crate::pages::PageFile;
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::roots::{self, ROOT_BYTES};
use crate::view::{Log, View};

/// What is on one level.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    pages: u64,
    entries: u64,
    fill: f64,
}

struct Shape {
    /// Of the collection whose tree it is, where one was asked for.
    name: Option<String>,
    tree: TreeId,
    root: PageRef,
    documents: u64,
    bytes: u64,
    /// Leaves first.
    levels: Vec<Level>,
    overflow_runs: u64,
    overflow_pages: u64,
    page_size: u64,
    findings: Vec<Finding>,
}

impl Suspects for Shape {
    fn identities(&self) -> Vec<String> {
        self.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &TreeArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let shape = settle(global.timeout, || look(&place, arguments))?;
    output::print(&shape, global.format)
}

fn look(place: &Place, arguments: &TreeArgs) -> Result<Shape> {
    let view = View::open(place, Log::Replay)?;
    let (tree, name) = match (arguments.id, &arguments.collection) {
        (None, Some(collection)) => {
            let entry = catalog::find(&view, &arguments.database, collection)?;
            (entry.tree, Some(entry.full_name()))
        }
        (id, _) => (TreeId(id.unwrap_or_default()), None),
    };
    let file = view.pages()?;
    let encoded = if tree == system::DIRECTORY {
        file.meta.root.payload[..ROOT_BYTES].to_vec()
    } else {
        let key = tree.0.to_be_bytes();
        let found = view.snapshot()?.get(system::DIRECTORY, &key);
        match found.map_err(InspectError::suspect)? {
            Some(found) => found,
            // A system tree is not in the directory before its first entry.
            None if tree.0 < system::FIRST_USER => vec![0; ROOT_BYTES],
            None => return Err(InspectError::Usage(format!("there is no tree {tree}"))),
        }
    };
    let root = roots::decode(tree, &encoded).map_err(InspectError::Suspect)?;
    let mut shape = Shape {
        name,
        tree,
        root: root.page,
        documents: root.stats.count,
        bytes: root.stats.bytes,
        levels: vec![Level::default(); usize::from(root.height)],
        overflow_runs: 0,
        overflow_pages: 0,
        page_size: file.page_size(),
        findings: Vec::new(),
    };
    shape.walk(&file);
    Ok(shape)
}

impl Shape {
    /// Visits every node. One that cannot be read is a finding, and the walk
    /// goes on beside it.
    fn walk(&mut self, file: &PageFile) {
        let Some(top) = self.levels.len().checked_sub(1) else {
            return;
        };
        let mut stack = vec![(self.root, top)];
        while let Some((at, level)) = stack.pop() {
            match file
                .read_at(at)
                .and_then(|bytes| self.expect(&bytes, at, level).map(|()| bytes))
            {
                Ok(bytes) if level == 0 => self.leaf(&bytes),
                Ok(bytes) => {
                    let children = self.branch(&bytes, level);
                    stack.extend(children.map(|child| (child.into(), level - 1)));
                }
                Err(error) => {
                    let finding = Finding::unreadable(error.to_string()).in_tree(self.tree.0);
                    self.findings.push(finding);
                }
            }
        }
    }

    /// Checks that a page is the tree's own, at this height.
    fn expect(&self, bytes: &[u8], at: PageRef, level: usize) -> Result<()> {
        let header = PageHeader::of(bytes);
        let kind = if level == 0 {
            PageKind::Leaf
        } else {
            PageKind::Branch
        };
        let fits = header.kind == kind as u8
            && usize::from(header.level) == level
            && header.tree.get() == self.tree.0;
        if fits {
            return Ok(());
        }
        Err(InspectError::Suspect(format!(
            "page {} is damaged: expected a page of tree {}, level {level}, found tree {}, level {}, kind {}",
            at.page,
            self.tree,
            header.tree.get(),
            header.level,
            header.kind
        )))
    }

    fn leaf(&mut self, bytes: &[u8]) {
        let leaf = Leaf::new(bytes);
        self.count(0, leaf.len(), leaf.fill());
        for slot in 0..leaf.len() {
            let value = match leaf.value(slot) {
                ValueRef::Overflow(run) => Some(run),
                ValueRef::Inline(_) => None,
            };
            for run in leaf.key_overflow(slot).into_iter().chain(value) {
                self.overflow_runs += 1;
                self.overflow_pages += u64::from(run.pages);
            }
        }
    }

    fn branch<'b>(
        &mut self,
        bytes: &'b [u8],
        level: usize,
    ) -> impl Iterator<Item = ChildRef> + use<'b> {
        let branch = Branch::new(bytes);
        self.count(level, branch.len(), branch.fill());
        for run in (0..branch.len()).filter_map(|child| branch.key_overflow(child)) {
            self.overflow_runs += 1;
            self.overflow_pages += u64::from(run.pages);
        }
        (0..branch.len()).map(move |child| branch.child(child))
    }

    fn count(&mut self, level: usize, entries: usize, fill: f64) {
        let level = &mut self.levels[level];
        level.pages += 1;
        level.entries += entries as u64;
        level.fill += fill;
    }

    fn pages(&self) -> u64 {
        self.levels.iter().map(|level| level.pages).sum::<u64>() + self.overflow_pages
    }

    /// Part of the level's pages in use, from 0 to 1.
    fn fill(level: &Level) -> f64 {
        if level.pages == 0 {
            0.0
        } else {
            level.fill / level.pages as f64
        }
    }
}

impl Report for Shape {
    fn json(&self) -> Value {
        let levels: Vec<Value> = self
            .levels
            .iter()
            .enumerate()
            .map(|(height, level)| {
                json!({
                    "level": height,
                    "pages": level.pages,
                    "entries": level.entries,
                    "fill": Self::fill(level),
                })
            })
            .collect();
        json!({
            "collection": self.name,
            "tree": self.tree.0,
            "root_page": (!self.root.is_none()).then_some(self.root.page.0),
            "root_version": (!self.root.is_none()).then_some(self.root.version.0),
            "height": self.levels.len(),
            "entries": self.documents,
            "bytes": self.bytes,
            "page_size": self.page_size,
            "pages": self.pages(),
            "levels": levels,
            "overflow_runs": self.overflow_runs,
            "overflow_pages": self.overflow_pages,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let height = self.levels.len();
        let root = match height {
            0 => "empty".to_owned(),
            _ => format!(
                "{} from page {}",
                count(height as u64, "level"),
                self.root.page
            ),
        };
        if let Some(name) = &self.name {
            write!(out, "collection {name}, ")?;
        }
        writeln!(out, "tree {}, {root}", self.tree)?;
        let payload = self.pages() * self.page_size;
        let part = if payload == 0 {
            0.0
        } else {
            self.bytes as f64 / payload as f64 * 100.0
        };
        writeln!(
            out,
            "{} entries, {} bytes, {part:.0} % of {} of {} bytes",
            self.documents,
            self.bytes,
            count(self.pages(), "page"),
            self.page_size
        )?;
        if height > 0 {
            let mut rows = table(
                &["level", "pages", "entries", "per page", "fill"],
                &[1, 2, 3, 4],
            );
            for (number, level) in self.levels.iter().enumerate().rev() {
                let name = if number == 0 {
                    "leaves".to_owned()
                } else {
                    format!("branches {number}")
                };
                let per_page = level.entries as f64 / level.pages.max(1) as f64;
                rows.add_row([
                    name,
                    level.pages.to_string(),
                    level.entries.to_string(),
                    format!("{per_page:.1}"),
                    format!("{:.0} %", Self::fill(level) * 100.0),
                ]);
            }
            write_table(out, &rows)?;
        }
        let runs = count(self.overflow_runs, "run");
        writeln!(
            out,
            "overflow: {runs}, {}",
            count(self.overflow_pages, "page")
        )?;
        for finding in &self.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.findings.is_empty())
    }
}
