//! What was saved, and what is lost.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::output::{Report, code_of_findings, count, hex, table, write_table};

use super::gather::Loss;
use super::log::Gap;

/// Bytes of a key that are shown to people.
const KEY_SHOWN: usize = 32;
/// Losses of a tree that are shown to people.
const LOSSES_SHOWN: usize = 10;

/// How sure it is that nothing of a tree is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Certainty {
    /// Count, bytes and hash are those of the checkpoint, and the log is whole.
    Whole,
    /// Nothing is known to be missing, but nothing says how much there was.
    Unproven,
    /// Something is missing.
    Lossy,
}

impl Certainty {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Unproven => "unproven",
            Self::Lossy => "lossy",
        }
    }
}

/// What became of a tree.
#[derive(Debug)]
pub(super) struct TreeReport {
    pub(super) tree: u32,
    pub(super) name: String,
    pub(super) certainty: Certainty,
    /// Entries at the checkpoint, where its root says so.
    pub(super) expected: Option<u64>,
    /// Of those, how many were had again.
    pub(super) at_checkpoint: u64,
    pub(super) from_tree: u64,
    pub(super) from_older: u64,
    pub(super) from_leaves: u64,
    /// Changes from the log, in ranges that the tree lacks.
    pub(super) log_repairs: u64,
    /// Changes from the log behind the checkpoint.
    pub(super) log_changes: u64,
    /// Entries in the new database.
    pub(super) entries: u64,
    pub(super) losses: Vec<Loss>,
}

impl TreeReport {
    fn missing(&self) -> Option<u64> {
        self.expected
            .map(|expected| expected.saturating_sub(self.at_checkpoint))
    }
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Salvaged {
    pub(super) directory: String,
    pub(super) output: String,
    /// Where the state comes from.
    pub(super) state: String,
    pub(super) has_map: bool,
    pub(super) trees: Vec<TreeReport>,
    pub(super) records: u64,
    pub(super) gaps: Vec<Gap>,
    /// What else is to be known.
    pub(super) notes: Vec<String>,
    /// Something is lost, or may be, that no tree tells of.
    pub(super) is_doubtful: bool,
}

impl Salvaged {
    fn is_whole(&self) -> bool {
        let trees = self
            .trees
            .iter()
            .all(|tree| tree.certainty == Certainty::Whole);
        trees && !self.is_doubtful && self.gaps.is_empty()
    }
}

fn loss_json(loss: &Loss) -> Value {
    json!({
        "page": loss.page,
        "key": loss.key.as_ref().map(|key| hex(key, usize::MAX)),
        "from": loss.range.as_ref().map(|range| hex(&range.from, usize::MAX)),
        "to": loss.range.as_ref().and_then(|range| range.to.as_ref()).map(|to| hex(to, usize::MAX)),
        "reason": loss.why,
    })
}

fn loss_line(loss: &Loss) -> String {
    match (&loss.key, &loss.range) {
        (Some(key), _) => format!("key {}: {}", hex(key, KEY_SHOWN), loss.why),
        (None, Some(range)) => format!("{}: {}", range.line(KEY_SHOWN), loss.why),
        (None, None) => loss.why.clone(),
    }
}

impl Report for Salvaged {
    fn json(&self) -> Value {
        let trees: Vec<Value> = self
            .trees
            .iter()
            .map(|tree| {
                json!({
                    "tree": tree.tree,
                    "name": tree.name,
                    "result": tree.certainty.name(),
                    "entries": tree.entries,
                    "expected_at_checkpoint": tree.expected,
                    "missing_at_checkpoint": tree.missing(),
                    "from_tree": tree.from_tree,
                    "from_older_state": tree.from_older,
                    "from_leaves": tree.from_leaves,
                    "log_repairs": tree.log_repairs,
                    "log_changes": tree.log_changes,
                    "damage": tree.losses.iter().map(loss_json).collect::<Vec<_>>(),
                })
            })
            .collect();
        let gaps: Vec<Value> = self
            .gaps
            .iter()
            .map(|gap| json!({ "from_lsn": gap.from.0, "to_lsn": gap.to.0 }))
            .collect();
        json!({
            "directory": self.directory,
            "output": self.output,
            "whole": self.is_whole(),
            "state": self.state,
            "allocation_map": self.has_map,
            "records": self.records,
            "log_gaps": gaps,
            "trees": trees,
            "notes": self.notes,
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "state    {}", self.state)?;
        writeln!(out, "log      {} applied", count(self.records, "record"))?;
        for gap in &self.gaps {
            writeln!(out, "missing  the log from lsn {} to {}", gap.from, gap.to)?;
        }
        let header = [
            "tree", "name", "result", "entries", "missing", "tree", "older", "leaves", "repairs",
            "log",
        ];
        let mut rows = table(&header, &[0, 3, 4, 5, 6, 7, 8, 9]);
        for tree in &self.trees {
            let missing = tree
                .missing()
                .map_or_else(|| "?".to_owned(), |n| n.to_string());
            rows.add_row([
                tree.tree.to_string(),
                tree.name.clone(),
                tree.certainty.name().to_owned(),
                tree.entries.to_string(),
                missing,
                tree.from_tree.to_string(),
                tree.from_older.to_string(),
                tree.from_leaves.to_string(),
                tree.log_repairs.to_string(),
                tree.log_changes.to_string(),
            ]);
        }
        write_table(out, &rows)?;
        for tree in self.trees.iter().filter(|tree| !tree.losses.is_empty()) {
            let fate = if tree.certainty == Certainty::Whole {
                "had again from elsewhere"
            } else {
                "damaged"
            };
            for loss in tree.losses.iter().take(LOSSES_SHOWN) {
                writeln!(out, "{fate}: {}, {}", tree.name, loss_line(loss))?;
            }
            let hidden = tree.losses.len().saturating_sub(LOSSES_SHOWN) as u64;
            if hidden > 0 {
                writeln!(
                    out,
                    "{fate}: {}, {hidden} more, see --format json",
                    tree.name
                )?;
            }
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        let verdict = if self.is_whole() {
            "everything was saved"
        } else {
            "what could be read was saved, not everything, or not provably"
        };
        writeln!(out, "{}: {verdict}", self.output)
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.is_whole())
    }
}
