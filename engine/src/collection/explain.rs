//! How a query is carried out, and what that took.

use std::fmt;
use std::time::Duration;

use bson::RawDocumentBuf;

use crate::filter::FilterPlan;
use crate::index::{Access, Cut, Interval, Plan};
use crate::key;

/// How a query was carried out. See [`Find::explain`](super::Find::explain).
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Explain {
    /// What was read: one step, or one for each branch of an `$or`; none where nothing can
    /// match, or the collection does not exist.
    pub steps: Vec<ExplainStep>,
    /// How what was read is matched with the filter.
    pub filter: FilterPlan,
    /// Whether an index told all that was asked for, and no document was read.
    pub covered: bool,
    /// Whether the documents were sorted: no index gave the order that was asked for.
    pub sorted: bool,
    /// Entries of indexes that were looked at.
    pub keys_examined: u64,
    /// Documents that were looked at.
    pub documents_examined: u64,
    /// Documents that the query returned.
    pub returned: u64,
    /// How long it took.
    pub duration: Duration,
}

/// One thing that is read. See [`Explain`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ExplainStep {
    /// The index; `None`: the documents themselves, by `_id` where there are bounds, else
    /// all of them.
    pub index: Option<String>,
    /// Its fields.
    pub key: Option<RawDocumentBuf>,
    /// For each field the ranges of its values; empty where all documents are read.
    pub bounds: Vec<(String, Vec<String>)>,
    /// How many ranges of keys that makes.
    pub ranges: usize,
    /// Whether it is read backwards.
    pub reverse: bool,
    /// Whether a path of the index has met an array: documents may have several entries.
    pub multikey: bool,
}

impl ExplainStep {
    /// Of documents without an index.
    pub(super) fn documents(ids: Option<String>, reverse: bool) -> Self {
        Self {
            ranges: 1,
            bounds: ids
                .map(|ids| vec![("_id".into(), vec![ids])])
                .unwrap_or_default(),
            reverse,
            ..Self::default()
        }
    }

    fn of(access: &Access) -> Self {
        let definition = access.index.as_ref().map(|index| &index.definition);
        let paths: Vec<String> = match definition {
            None => vec!["_id".into()],
            Some(definition) => definition
                .fields
                .iter()
                .map(|field| String::from_utf8_lossy(&field.path).into_owned())
                .collect(),
        };
        let shown = access
            .bounds
            .iter()
            .map(|intervals| intervals.0.iter().map(show).collect());
        Self {
            index: definition.map(|definition| definition.name.clone()),
            key: definition.map(|definition| definition.key.clone()),
            bounds: paths.into_iter().zip(shown).collect(),
            ranges: access.ranges.len(),
            reverse: access.reverse,
            multikey: access.multikey != 0,
        }
    }
}

/// What a plan reads.
pub(super) fn describe(plan: &Plan) -> Vec<ExplainStep> {
    match plan {
        Plan::Nothing => Vec::new(),
        Plan::All { reverse, .. } => vec![ExplainStep::documents(None, *reverse)],
        Plan::One(access) => vec![ExplainStep::of(access)],
        Plan::Several(accesses) => accesses.iter().map(ExplainStep::of).collect(),
    }
}

/// An interval as MongoDB writes it: `[1, 5)`.
fn show(interval: &Interval) -> String {
    let value = |bytes: &[u8]| match key::decode(bytes) {
        Some(value) => value.to_string(),
        // The edge of a type, or of the texts that begin alike.
        None => match bytes {
            [] => "MinKey".into(),
            [0xFF] => "MaxKey".into(),
            bytes => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        },
    };
    let lower = match &interval.lower {
        Cut::Edge(bytes) | Cut::Before(bytes) => format!("[{}", value(bytes)),
        Cut::After(bytes) => format!("({}", value(bytes)),
    };
    let upper = match &interval.upper {
        Cut::Edge(bytes) if bytes == &[0xFF] => "MaxKey]".into(),
        Cut::Edge(bytes) | Cut::Before(bytes) => format!("{})", value(bytes)),
        Cut::After(bytes) => format!("{}]", value(bytes)),
    };
    format!("{lower}, {upper}")
}

impl fmt::Display for Explain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let direction = if step.reverse {
                "backwards"
            } else {
                "forwards"
            };
            match &step.index {
                Some(index) => write!(f, "index {index} {direction}")?,
                None if step.bounds.is_empty() => write!(f, "all documents {direction}")?,
                None => write!(f, "documents by _id {direction}")?,
            }
            if step.multikey {
                write!(f, ", multikey")?;
            }
            for (path, ranges) in &step.bounds {
                write!(f, ", {path}: {}", ranges.join(" "))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "filter {}", self.filter)?;
        for (is_so, word) in [(self.covered, "covered"), (self.sorted, "sorted")] {
            if is_so {
                writeln!(f, "{word}")?;
            }
        }
        write!(
            f,
            "{} keys and {} documents examined, {} returned, {:?}",
            self.keys_examined, self.documents_examined, self.returned, self.duration
        )
    }
}
