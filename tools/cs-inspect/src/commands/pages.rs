//! `pages`: all pages of the data file, and what they come to.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};

use crate::census::{Census, Content, Fact, State};
use crate::cli::{Global, KindChoice, PagesArgs, StateChoice};
use crate::error::Result;
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings, count, size, table, write_table};
use crate::owners::Owners;
use crate::pages::PageFile;
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::progress::Progress;

struct Pages<'a> {
    arguments: &'a PagesArgs,
    census: Census,
    owners: Owners,
}

impl Suspects for Pages<'_> {
    fn identities(&self) -> Vec<String> {
        self.census.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.census.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &PagesArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let progress = Progress::new(global.progress);
    let pages = settle(global.timeout, || {
        let file = PageFile::open(&*place.disk())?;
        let census = Census::take(&file, &progress, &mut |_, _, _| {})?;
        let owners = Owners::read(&file, &census.root);
        Ok(Pages {
            arguments,
            census,
            owners,
        })
    })?;
    drop(progress);
    output::print(&pages, global.format)
}

/// Whether a page is of the kind that was asked for.
fn is_kind(content: Content, wanted: KindChoice) -> bool {
    let name = content.name();
    match wanted {
        KindChoice::Leaf => name == "leaf",
        KindChoice::Branch => name == "branch",
        KindChoice::Overflow => name == "overflow",
        KindChoice::Map => name.starts_with("allocation"),
        KindChoice::Meta => name == "meta",
        KindChoice::Blank => name == "blank",
        KindChoice::Damaged => name == "damaged",
    }
}

fn is_state(state: State, wanted: StateChoice) -> bool {
    match wanted {
        StateChoice::Used => state == State::Used,
        StateChoice::Pending => state == State::Pending,
        StateChoice::Free => state == State::Free,
        StateChoice::Meta => state == State::Meta,
    }
}

/// What pages of one owner, kind and state come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    pages: u64,
    fill: u64,
    filled: u64,
    oldest: Option<u64>,
}

impl Sum {
    fn add(&mut self, fact: &Fact, age: Option<u64>) {
        self.pages += 1;
        if let Some(fill) = fact.fill {
            self.fill += u64::from(fill);
            self.filled += 1;
        }
        self.oldest = self.oldest.max(age);
    }

    fn fill(&self) -> Option<f64> {
        (self.filled > 0).then(|| self.fill as f64 / self.filled as f64)
    }
}

impl Pages<'_> {
    fn is_wanted(&self, page: u64, fact: &Fact) -> bool {
        let PagesArgs {
            kind,
            state,
            tree,
            range,
            ..
        } = self.arguments;
        kind.is_none_or(|kind| is_kind(fact.content, kind))
            && state.is_none_or(|state| is_state(fact.state, state))
            && tree.is_none_or(|tree| self.tree(fact) == Some(tree))
            && range.is_none_or(|range| (range.from..range.to).contains(&page))
    }

    fn wanted(&self) -> impl Iterator<Item = (u64, &Fact)> {
        let facts = self.census.facts.iter().enumerate();
        facts
            .map(|(page, fact)| (page as u64, fact))
            .filter(|(page, fact)| self.is_wanted(*page, fact))
    }

    /// The tree that owns a page; none owns the allocation map.
    fn tree(&self, fact: &Fact) -> Option<u32> {
        let is_trees = fact.is_sound() && !is_kind(fact.content, KindChoice::Map);
        is_trees.then_some(fact.tree)
    }

    fn owner(&self, fact: &Fact) -> String {
        match self.tree(fact) {
            Some(tree) => self.owners.name(tree),
            None if is_kind(fact.content, KindChoice::Map) => "(allocation map)".to_owned(),
            None => "-".to_owned(),
        }
    }

    /// By state, owner and kind. What once lay on free pages is no matter.
    fn sums(&self) -> BTreeMap<(State, String, &'static str), Sum> {
        let mut sums: BTreeMap<_, Sum> = BTreeMap::new();
        for (_, fact) in self.wanted() {
            let (owner, kind) = match fact.state {
                State::Free => ("-".to_owned(), "any"),
                _ => (self.owner(fact), fact.content.name()),
            };
            let sum = sums.entry((fact.state, owner, kind)).or_default();
            sum.add(fact, self.census.age(fact));
        }
        sums
    }

    fn tail(&self) -> u64 {
        self.census.file_pages - self.census.facts.len() as u64
    }
}

impl Report for Pages<'_> {
    fn json(&self) -> Value {
        let census = &self.census;
        let pages = self.wanted().map(|(page, fact)| {
            json!({
                "page": page,
                "state": fact.state.name(),
                "kind": fact.content.name(),
                "tree": self.tree(fact),
                "owner": self.tree(fact).map(|tree| self.owners.name(tree)),
                "level": fact.is_node().then_some(fact.level),
                "version": fact.is_sound().then_some(fact.version),
                "age": census.age(fact),
                "fill_percent": fact.fill,
            })
        });
        let pages: Option<Vec<Value>> = (!self.arguments.summary).then(|| pages.collect());
        let sums: Vec<Value> = self
            .sums()
            .iter()
            .map(|((state, owner, kind), sum)| {
                json!({
                    "state": state.name(),
                    "owner": owner,
                    "kind": kind,
                    "pages": sum.pages,
                    "bytes": sum.pages * census.page_size,
                    "fill_percent": sum.fill(),
                    "oldest_age": sum.oldest,
                })
            })
            .collect();
        json!({
            "page_size": census.page_size,
            "version": census.root.version.0,
            "page_count": census.facts.len(),
            "preallocated_pages": self.tail(),
            "pages": pages,
            "summary": sums,
            "findings": census.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let census = &self.census;
        let shown = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
        if !self.arguments.summary {
            // Not a table of comfy_table: a million lines are to be possible.
            let line = |out: &mut dyn Write, page: &str, row: [&str; 7]| {
                let [state, kind, level, version, age, fill, owner] = row;
                writeln!(
                    out,
                    "{page:>10}  {state:8} {kind:16} {level:>5} {version:>10} {age:>8} {fill:>5}  {owner}"
                )
            };
            let header = ["state", "kind", "level", "version", "age", "fill", "owner"];
            line(out, "page", header)?;
            for (page, fact) in self.wanted() {
                let fill = fact.fill.map(|fill| format!("{fill} %"));
                let row = [
                    fact.state.name(),
                    fact.content.name(),
                    &shown(fact.is_node().then_some(u64::from(fact.level))),
                    &shown(fact.is_sound().then_some(fact.version)),
                    &shown(census.age(fact)),
                    fill.as_deref().unwrap_or("-"),
                    &self.owner(fact),
                ];
                line(out, &page.to_string(), row)?;
            }
            writeln!(out)?;
        }
        let header = ["state", "owner", "kind", "pages", "bytes", "fill", "oldest"];
        let mut rows = table(&header, &[3, 4, 5, 6]);
        let mut total = 0;
        for ((state, owner, kind), sum) in &self.sums() {
            total += sum.pages;
            rows.add_row([
                state.name().to_owned(),
                owner.clone(),
                (*kind).to_owned(),
                sum.pages.to_string(),
                size(sum.pages * census.page_size),
                sum.fill()
                    .map_or_else(|| "-".to_owned(), |fill| format!("{fill:.0} %")),
                shown(sum.oldest),
            ]);
        }
        write_table(out, &rows)?;
        writeln!(
            out,
            "{} of {} at version {}; {} preallocated behind them",
            count(total, "page"),
            count(census.facts.len() as u64, "page"),
            census.root.version,
            count(self.tail(), "page"),
        )?;
        for finding in &census.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.census.findings.is_empty())
    }
}
