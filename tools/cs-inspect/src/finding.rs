//! What is wrong with a database.

use cs_kv::Finding as StoreFinding;
use cs_wal::LogError;
use serde_json::{Value, json};

use crate::passes::Suspects;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// A stable name; README.md lists them.
    pub(crate) code: &'static str,
    /// The tree concerned.
    pub(crate) tree: Option<u32>,
    /// The page concerned.
    pub(crate) page: Option<u64>,
    /// The position in the log concerned.
    pub(crate) lsn: Option<u64>,
    /// What was expected and what was found.
    pub(crate) text: String,
}

/// Codes whose text tells of the moment rather than of the damage, so that two
/// passes over a database in use would word the same damage differently. None
/// of them can come of being overtaken: they are only found on pages, or in
/// records, that passed all their checks.
const KNOWN_BY_PLACE: [&str; 6] = [
    "reached-twice",
    "reached-but-free",
    "leaked",
    "out-of-order",
    "wrong-stats",
    "log-corrupt",
];

impl Finding {
    /// About the database as a whole.
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            tree: None,
            page: None,
            lsn: None,
            text: text.into(),
        }
    }

    /// About a page that cannot be read; its number is in the text.
    pub(crate) fn unreadable(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            page: page_in(&text),
            ..Self::new("unreadable", text)
        }
    }

    /// The same, of this page.
    pub(crate) fn on_page(self, page: u64) -> Self {
        Self {
            page: Some(page),
            ..self
        }
    }

    /// The same, of this tree.
    pub(crate) fn in_tree(self, tree: u32) -> Self {
        Self {
            tree: Some(tree),
            ..self
        }
    }

    /// What the check of the store found.
    pub(crate) fn of_store(finding: &StoreFinding) -> Self {
        Self {
            code: finding.code,
            tree: finding.tree.map(|tree| tree.0),
            page: finding
                .page
                .map(|page| page.0)
                .or_else(|| page_in(&finding.text)),
            lsn: None,
            text: finding.text.clone(),
        }
    }

    /// What reading the log came to.
    pub(crate) fn of_log(error: &LogError) -> Self {
        match error {
            LogError::Corrupt { lsn, .. } => Self {
                lsn: Some(lsn.0),
                ..Self::new("log-corrupt", error.to_string())
            },
            _ => Self::new("log-unreadable", error.to_string()),
        }
    }

    /// Two passes that have this in common speak of the same thing.
    fn identity(&self) -> String {
        let place = format!(
            "{} {:?} {:?} {:?}",
            self.code, self.tree, self.page, self.lsn
        );
        if KNOWN_BY_PLACE.contains(&self.code) {
            place
        } else {
            format!("{place} {}", self.text)
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> Value {
        json!({
            "code": self.code,
            "tree": self.tree,
            "page": self.page,
            "lsn": self.lsn,
            "text": self.text,
        })
    }

    /// As one line.
    pub(crate) fn line(&self) -> String {
        let mut place = String::new();
        if let Some(tree) = self.tree {
            place.push_str(&format!(" tree {tree}"));
        }
        let named = self.page.filter(|page| page_in(&self.text) != Some(*page));
        if let Some(page) = named {
            place.push_str(&format!(" page {page}"));
        }
        format!("{}{place}: {}", self.code, self.text)
    }
}

impl Suspects for Vec<Finding> {
    fn identities(&self) -> Vec<String> {
        self.iter().map(Finding::identity).collect()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.retain(|finding| confirmed(&finding.identity()));
    }
}

/// The page that an error of the pager names. The layers between here and
/// there keep its text and nothing else.
fn page_in(text: &str) -> Option<u64> {
    let rest = text
        .strip_prefix("page ")
        .or_else(|| text.split_once(" page ").map(|(_, r)| r))?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests;
