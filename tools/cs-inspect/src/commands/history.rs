//! `history`: what the log says about the keys of one page.

use std::collections::VecDeque;
use std::io::{self, Write};

use cs_base::{Lsn, PageId, TreeId};
use cs_kv::{Effect, system};
use cs_wal::{LogReader, RecordHead, Verdict};
use serde_json::{Value, json};

use crate::cli::{Global, HistoryArgs};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::locate::locate;
use crate::log_state::LogState;
use crate::output::{self, Report, code_of_findings, count, hex, time};
use crate::owners::Owners;
use crate::pages::PageFile;
use crate::parts::{Parts, for_each_effect};
use crate::passes::{Suspects, settle};
use crate::place::Place;
use crate::walk::Range;

/// Bytes of a key that are shown to people.
const KEY_SHOWN: usize = 48;

/// One change of a key.
struct Operation {
    lsn: Lsn,
    head: RecordHead,
    name: &'static str,
    key: Option<Vec<u8>>,
    value_bytes: Option<u64>,
    /// The checkpoint has it.
    in_file: bool,
}

struct History {
    page: u64,
    tree: TreeId,
    owner: String,
    range: Range,
    /// The one key that an overflow page belongs to.
    single: Option<Vec<u8>>,
    /// Where the log begins.
    from: Option<Lsn>,
    operations: VecDeque<Operation>,
    hidden: u64,
    notice: Option<String>,
    findings: Vec<Finding>,
}

impl Suspects for History {
    fn identities(&self) -> Vec<String> {
        self.findings.identities()
    }

    fn keep(&mut self, confirmed: &dyn Fn(&str) -> bool) {
        self.findings.keep(confirmed);
    }
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &HistoryArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let history = settle(global.timeout, || look(&place, arguments))?;
    if let Some(notice) = &history.notice {
        eprintln!("{notice}");
    }
    output::print(&history, global.format)
}

fn look(place: &Place, arguments: &HistoryArgs) -> Result<History> {
    let disk = place.disk();
    let file = PageFile::open(&*disk)?;
    let page = PageId(arguments.page);
    if page.0 >= file.pages() {
        return Err(InspectError::Usage(format!(
            "page {page} is beyond the data file, which has {} pages",
            file.pages()
        )));
    }
    let owners = Owners::read(&file, &file.meta.root);
    let Some(located) = locate(&file, &owners, page) else {
        return Err(InspectError::Usage(format!(
            "page {page} is in no tree, so it has no keys: see account"
        )));
    };
    let mut history = History {
        page: page.0,
        tree: located.tree,
        owner: owners.name(located.tree.0),
        range: located.range,
        single: located.run.map(|run| run.key),
        from: None,
        operations: VecDeque::new(),
        hidden: 0,
        notice: None,
        findings: Vec::new(),
    };
    if matches!(located.tree, system::DIRECTORY | system::DROPPED) {
        history.notice = Some(format!(
            "tree {} is kept by the store itself: the log has no records of its keys",
            located.tree
        ));
    }
    match LogState::look(&disk, &file.meta, &mut history.findings) {
        Some(log) => history.from = log.first,
        None => {
            history.notice = Some("the database has no log".to_owned());
            return Ok(history);
        }
    }
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let mut parts = Parts::default();
    let read = LogReader::new(disk, file.meta.file).for_each_record(|report| {
        let (Verdict::Good, Some(record)) = (&report.verdict, &report.record) else {
            return false;
        };
        match parts.push(&record.head, record.payload) {
            Some(Ok(payload)) => {
                let in_file = record.lsn < file.meta.root.lsn;
                let read = for_each_effect(&payload, |effect| {
                    history.add(&effect, record.lsn, record.head, in_file, limit);
                });
                if let Err(error) = read {
                    history.doubt(record.lsn, &error);
                }
            }
            // The parts before the beginning of the log are of no account.
            Some(Err(error)) if record.lsn >= file.meta.root.lsn => {
                history.doubt(record.lsn, &error);
            }
            Some(Err(_)) | None => {}
        }
        true
    });
    read.map_err(InspectError::suspect)?;
    if history.operations.is_empty() && history.notice.is_none() {
        let from = history.from.map_or(0, |from| from.0);
        history.notice = Some(format!(
            "the log, which begins at lsn {from}, has nothing about the keys of page {page}"
        ));
    }
    Ok(history)
}

impl History {
    fn doubt(&mut self, lsn: Lsn, error: &str) {
        let text = format!("record at lsn {lsn}: {error}");
        self.findings.push(Finding {
            lsn: Some(lsn.0),
            ..Finding::new("log-effects", text)
        });
    }

    fn concerns(&self, key: &[u8]) -> bool {
        match &self.single {
            Some(single) => key == single.as_slice(),
            None => self.range.contains(key),
        }
    }

    fn add(
        &mut self,
        effect: &Effect<'_>,
        lsn: Lsn,
        head: RecordHead,
        in_file: bool,
        limit: usize,
    ) {
        if effect.tree() != self.tree {
            return;
        }
        let (name, key, value_bytes) = match *effect {
            Effect::Put { key, value, .. } => ("put", Some(key), Some(value.len() as u64)),
            Effect::PutPacked { key, block, .. } => {
                let plain = cs_base::codec::inspect(block).ok();
                ("put", Some(key), plain.map(|info| info.plain_len as u64))
            }
            Effect::Delete { key, .. } => ("delete", Some(key), None),
            Effect::Before { key, value, .. } => ("before", Some(key), Some(value.len() as u64)),
            Effect::CreateTree { .. } => ("create-tree", None, None),
            Effect::DropTree { .. } => ("drop-tree", None, None),
        };
        if key.is_some_and(|key| !self.concerns(key)) {
            return;
        }
        self.operations.push_back(Operation {
            lsn,
            head,
            name,
            key: key.map(<[u8]>::to_vec),
            value_bytes,
            in_file,
        });
        if self.operations.len() > limit {
            self.operations.pop_front();
            self.hidden += 1;
        }
    }
}

impl Report for History {
    fn json(&self) -> Value {
        let operations: Vec<Value> = self
            .operations
            .iter()
            .map(|one| {
                json!({
                    "lsn": one.lsn.0,
                    "term": one.head.term.0,
                    "index": one.head.index.0,
                    "time": time(one.head.time),
                    "operation": one.name,
                    "key": one.key.as_ref().map(|key| hex(key, usize::MAX)),
                    "value_bytes": one.value_bytes,
                    "in_data_file": one.in_file,
                })
            })
            .collect();
        json!({
            "page": self.page,
            "tree": self.tree.0,
            "owner": self.owner,
            "from": hex(&self.range.from, usize::MAX),
            "to": self.range.to.as_ref().map(|to| hex(to, usize::MAX)),
            "key": self.single.as_ref().map(|key| hex(key, usize::MAX)),
            "log_from": self.from.map(Lsn::get),
            "operations": operations,
            "hidden": self.hidden,
            "findings": self.findings.iter().map(Finding::json).collect::<Vec<_>>(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let keys = match &self.single {
            Some(key) => format!("key {}", hex(key, KEY_SHOWN)),
            None => self.range.line(KEY_SHOWN),
        };
        writeln!(
            out,
            "page {}, {} (tree {}), {keys}",
            self.page, self.owner, self.tree
        )?;
        if self.hidden > 0 {
            writeln!(
                out,
                "{} before these, see --limit",
                count(self.hidden, "operation")
            )?;
        }
        for one in &self.operations {
            let at = time(one.head.time).unwrap_or_else(|| "no time".to_owned());
            let what = match (&one.key, one.value_bytes) {
                (Some(key), Some(bytes)) => {
                    format!("{}  {}", hex(key, KEY_SHOWN), count(bytes, "byte"))
                }
                (Some(key), None) => hex(key, KEY_SHOWN),
                (None, _) => String::new(),
            };
            let ahead = if one.in_file {
                ""
            } else {
                "  [not in the data file yet]"
            };
            let line = format!(
                "lsn {}  index {}  {at}  {:11} {what}{ahead}",
                one.lsn, one.head.index, one.name
            );
            writeln!(out, "{}", line.trim_end())?;
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
