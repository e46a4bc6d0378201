//! `wal dump`: the records of the log.

use std::collections::BTreeSet;
use std::io::{self, Write};

use cs_base::{Lsn, TreeId};
use cs_kv::Effect;
use cs_wal::{LogReader, RecordHead, RecordKind, Verdict};
use serde_json::{Value, json};

use crate::cli::{Global, WalDumpArgs};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::log_state::LogState;
use crate::output::{self, Report, code_of_findings, count, time};
use crate::parts::{Parts, for_each_effect};
use crate::passes::{Suspects, settle};
use crate::place::Place;

/// Trees that are named in a summary of effects.
const TREES_SHOWN: usize = 8;

struct Dump {
    lines: Vec<Line>,
    /// The limit came before the end.
    cut: bool,
    /// Why there is nothing to show.
    notice: Option<String>,
    findings: Vec<Finding>,
}

/// One record, or the lack of one.
struct Line {
    lsn: Lsn,
    verdict: Verdict,
    record: Option<Record>,
}

struct Record {
    head: RecordHead,
    payload_bytes: u64,
    durable: Lsn,
    effects: Option<Summary>,
}

/// What the effects of a transaction come to.
#[derive(Debug, Default)]
struct Summary {
    puts: u64,
    deletes: u64,
    befores: u64,
    creates: u64,
    drops: u64,
    trees: BTreeSet<TreeId>,
    /// The effects cannot be read, and why.
    error: Option<String>,
}

impl Suspects for Dump {
    fn identities(&self) -> Vec<String> {
        self.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &WalDumpArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let dump = settle(global.timeout, || look(&place, arguments))?;
    if let Some(notice) = &dump.notice {
        eprintln!("{notice}");
    }
    output::print(&dump, global.format)
}

fn look(place: &Place, arguments: &WalDumpArgs) -> Result<Dump> {
    let disk = place.disk();
    let mut dump = Dump {
        lines: Vec::new(),
        cut: false,
        notice: None,
        findings: Vec::new(),
    };
    // Where no meta can be read, the log says itself whose it is; then nobody
    // knows where it has to begin and how far it has to go.
    let reader = match place.metas()?.newest() {
        Ok(meta) => {
            if LogState::look(&disk, meta, &mut dump.findings).is_none() {
                dump.notice = Some("the database has no log".to_owned());
            }
            LogReader::new(disk, meta.file)
        }
        Err(_) => LogReader::discover(disk).map_err(InspectError::suspect)?,
    };
    let limit = arguments.limit.unwrap_or(u64::MAX);
    let mut parts = Parts::default();
    let mut last = None;
    let read = reader.for_each_record(|report| {
        let effects = match (&report.verdict, &report.record) {
            (Verdict::Good, Some(record)) => parts.push(&record.head, record.payload),
            _ => None,
        };
        let effects = effects.map(Summary::of);
        last = Some(report.lsn);
        if report.lsn < Lsn(arguments.from) {
            return true;
        }
        if dump.lines.len() as u64 >= limit {
            dump.cut = true;
            return false;
        }
        if let Some(error) = effects.as_ref().and_then(|effects| effects.error.as_ref()) {
            let text = format!("record at lsn {}: {error}", report.lsn);
            let finding = Finding::new("log-effects", text);
            dump.findings.push(Finding {
                lsn: Some(report.lsn.0),
                ..finding
            });
        }
        dump.lines.push(Line {
            lsn: report.lsn,
            verdict: report.verdict.clone(),
            record: report.record.as_ref().map(|record| Record {
                head: record.head,
                payload_bytes: record.payload.len() as u64,
                durable: record.durable,
                effects,
            }),
        });
        true
    });
    read.map_err(InspectError::suspect)?;
    if dump.lines.is_empty() && !dump.cut && dump.notice.is_none() {
        let from = arguments.from;
        dump.notice = Some(match last {
            Some(last) => format!("nothing at or after lsn {from}: the log ends at lsn {last}"),
            None => "the log has no segment that can be read".to_owned(),
        });
    }
    Ok(dump)
}

impl Summary {
    fn of(payload: Result<Vec<u8>, String>) -> Self {
        let mut summary = Self::default();
        let read = payload.and_then(|plain| {
            for_each_effect(&plain, |effect| {
                summary.trees.insert(effect.tree());
                *match effect {
                    Effect::Put { .. } | Effect::PutPacked { .. } => &mut summary.puts,
                    Effect::Delete { .. } => &mut summary.deletes,
                    Effect::Before { .. } => &mut summary.befores,
                    Effect::CreateTree { .. } => &mut summary.creates,
                    Effect::DropTree { .. } => &mut summary.drops,
                } += 1;
            })
        });
        summary.error = read.err();
        summary
    }

    fn json(&self) -> Value {
        json!({
            "put": self.puts,
            "delete": self.deletes,
            "before": self.befores,
            "create_tree": self.creates,
            "drop_tree": self.drops,
            "trees": self.trees.iter().map(|tree| tree.0).collect::<Vec<_>>(),
            "error": self.error,
        })
    }

    fn line(&self) -> String {
        if let Some(error) = &self.error {
            return error.clone();
        }
        let counts = [
            (self.puts, "put"),
            (self.deletes, "delete"),
            (self.befores, "before"),
            (self.creates, "create tree"),
            (self.drops, "drop tree"),
        ];
        let counts: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{what} {count}"))
            .collect();
        let mut trees: Vec<String> = self
            .trees
            .iter()
            .take(TREES_SHOWN)
            .map(ToString::to_string)
            .collect();
        if self.trees.len() > TREES_SHOWN {
            trees.push("…".to_owned());
        }
        let word = if self.trees.len() == 1 {
            "tree"
        } else {
            "trees"
        };
        format!("{} in {word} {}", counts.join(", "), trees.join(" "))
    }
}

/// The name of a kind, as `snapshot-mark`.
fn kind_name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Transaction => "transaction",
        RecordKind::Part => "part",
        RecordKind::Prepare => "prepare",
        RecordKind::Decision => "decision",
        RecordKind::Catalog => "catalog",
        RecordKind::SnapshotMark => "snapshot-mark",
        RecordKind::Membership => "membership",
        RecordKind::Vote => "vote",
        RecordKind::NoOp => "no-op",
        RecordKind::Seal => "seal",
    }
}

impl Line {
    fn json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Detached => "detached",
            Verdict::End { .. } => "end",
        };
        let mut object = json!({ "lsn": self.lsn.0, "verdict": verdict });
        if let Verdict::End { expected, found } = &self.verdict {
            object["expected"] = json!(expected);
            object["found"] = json!(found);
        }
        if let Some(record) = &self.record {
            object["kind"] = json!(kind_name(record.head.kind));
            object["flags"] = json!(record.head.flags);
            object["term"] = json!(record.head.term.0);
            object["index"] = json!(record.head.index.0);
            object["time"] = json!(time(record.head.time));
            object["payload_bytes"] = json!(record.payload_bytes);
            object["durable_lsn"] = json!(record.durable.0);
            object["effects"] = json!(record.effects.as_ref().map(Summary::json));
        }
        object
    }

    fn text(&self) -> String {
        let mut line = format!("lsn {}", self.lsn);
        if let Some(record) = &self.record {
            let RecordHead {
                kind, term, index, ..
            } = record.head;
            let at = time(record.head.time).unwrap_or_else(|| "no time".to_owned());
            line.push_str(&format!(
                "  term {term} index {index}  {at}  {}, {}, durable to {}",
                kind_name(kind),
                count(record.payload_bytes, "byte"),
                record.durable
            ));
            if let Some(effects) = &record.effects {
                line.push_str(&format!(": {}", effects.line()));
            }
        }
        match &self.verdict {
            Verdict::Good => {}
            Verdict::Detached => line.push_str("  [behind the end, does not count]"),
            Verdict::End { expected, found } => {
                line.push_str(&format!("  end: expected {expected}, found {found}"));
            }
        }
        line
    }
}

impl Report for Dump {
    fn json(&self) -> Value {
        json!({
            "records": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            "limited": self.cut,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        for line in &self.lines {
            writeln!(out, "{}", line.text())?;
        }
        if self.cut {
            let next = self.lines.last().map_or(0, |line| line.lsn.0 + 1);
            writeln!(out, "there is more; go on with --from {next}")?;
        }
        for finding in &self.findings {
            writeln!(out, "{}", finding.line())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.findings.is_empty())
    }
}
