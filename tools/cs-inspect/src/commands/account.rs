//! `account`: whose a page or a byte is.

mod log;

use std::io::{self, Write};

use cs_base::PageId;
use cs_kv::node::{Branch, Leaf};
use cs_pager::format::{DATA_FILE, META_BYTES, META_OFFSETS, first_page};
use cs_pager::{PageHeader, PageKind};
use serde_json::{Value, json};

use crate::allocation::Allocation;
use crate::census::State;
use crate::cli::{AccountArgs, Global, Spot};
use crate::error::{InspectError, Result};
use crate::locate::{Located, locate};
use crate::output::{self, Report, code_of_findings, hex, time};
use crate::owners::Owners;
use crate::pages::{PageFile, Verdict, judge};
use crate::passes::{Suspects, settle};
use crate::place::Place;

/// Bytes of a key that are shown to people.
const KEY_SHOWN: usize = 48;

/// What a page turned out to be.
struct Account {
    page: u64,
    /// The byte that was asked about, within the page.
    byte: Option<u64>,
    offset: u64,
    state: State,
    /// Behind the last page that the newest meta tells of.
    is_tail: bool,
    verdict: Verdict,
    header: Header,
    owner: Option<String>,
    located: Option<Located>,
    /// First and last key, of a sound node.
    keys: Option<(Vec<u8>, Vec<u8>)>,
    entries: Option<u64>,
    /// Versions and times of the newest meta and the older one.
    metas: [Option<(u64, Option<String>)>; 2],
    /// Of a page with metas.
    metas_here: Vec<String>,
}

/// What the page says of itself.
#[derive(Clone, Copy)]
struct Header {
    kind: u8,
    level: u8,
    tree: u32,
    version: u64,
}

impl Account {
    fn damage(&self) -> Option<String> {
        match (&self.verdict, self.state) {
            (Verdict::Damaged(why), State::Used | State::Unknown) => Some(why.clone()),
            (Verdict::Blank, State::Used) => {
                Some(format!("page {} is in use and all zeroes", self.page))
            }
            (Verdict::Sound(_), State::Used) if self.located.is_none() && !self.is_map() => Some(
                format!("page {} is in use, and nothing reaches it", self.page),
            ),
            _ => None,
        }
    }

    fn is_map(&self) -> bool {
        matches!(
            self.verdict,
            Verdict::Sound(PageKind::AllocationMap | PageKind::AllocationIndex)
        )
    }
}

impl Suspects for Account {
    fn identities(&self) -> Vec<String> {
        self.damage().into_iter().collect()
    }

    fn keep(&mut self, _confirmed: &dyn Fn(&str) -> bool) {}
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &AccountArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    match (&arguments.file, arguments.spot) {
        (Some(name), Spot::Offset(offset)) if name != DATA_FILE => {
            let account = settle(global.timeout, || log::look(&place, name, offset))?;
            output::print(&account, global.format)
        }
        (Some(name), Spot::Page(page)) => Err(InspectError::Usage(format!(
            "--file {name} needs an offset: expected @ and bytes, found page {page}"
        ))),
        (_, spot) => {
            let account = settle(global.timeout, || look(&place, spot))?;
            output::print(&account, global.format)
        }
    }
}

fn look(place: &Place, spot: Spot) -> Result<Account> {
    let file = PageFile::open(&*place.disk())?;
    let page_size = file.page_size();
    let (page, byte) = match spot {
        Spot::Page(page) => (page, None),
        Spot::Offset(offset) => (offset / page_size, Some(offset % page_size)),
    };
    if page >= file.pages() {
        return Err(InspectError::Usage(format!(
            "page {page} is beyond the data file, which has {} pages of {page_size} bytes",
            file.pages()
        )));
    }
    let root = file.meta.root;
    let first = first_page(file.meta.page_size).0;
    let older = file.metas.older().map(|meta| meta.root);
    let is_tail = page >= root.page_count;
    let state = if page < first {
        State::Meta
    } else {
        state_of(&file, PageId(page))?
    };
    let bytes = file.read(PageId(page))?;
    let verdict = judge(&bytes, file.meta.file, PageId(page));
    // A pending page is found in the state that keeps it.
    let seen = match (state, older) {
        (State::Pending, Some(older)) => older,
        _ => root,
    };
    let owners = Owners::read(&file, &seen);
    let reached = matches!(state, State::Used | State::Pending | State::Unknown);
    let located = reached
        .then(|| locate(&file, &owners, PageId(page)))
        .flatten();
    let raw = PageHeader::of(&bytes);
    let header = Header {
        kind: raw.kind,
        level: raw.level,
        tree: raw.tree.get(),
        version: raw.version.get(),
    };
    let tree = located.as_ref().map(|located| located.tree.0);
    let mut account = Account {
        page,
        byte,
        offset: page * page_size,
        state,
        is_tail,
        header,
        owner: tree.map(|tree| owners.name(tree)),
        located,
        keys: None,
        entries: None,
        metas: [Some(root), older].map(|root| root.map(|root| (root.version.0, time(root.time)))),
        metas_here: Vec::new(),
        verdict,
    };
    match account.verdict {
        _ if state == State::Meta => account.metas_here = metas_here(&file, page),
        Verdict::Sound(kind @ (PageKind::Leaf | PageKind::Branch)) => {
            account.look_at_keys(kind, &bytes);
        }
        _ => {}
    }
    Ok(account)
}

/// Who needs a page that holds no meta.
fn state_of(file: &PageFile, page: PageId) -> Result<State> {
    match Allocation::load(file, &file.meta.root) {
        Ok(map) if map.is_used(page) => Ok(State::Used),
        Ok(_) => {
            let older = file.metas.older();
            let older = older.and_then(|meta| Allocation::load(file, &meta.root).ok());
            let kept = older.is_some_and(|map| map.is_used(page));
            Ok(if kept { State::Pending } else { State::Free })
        }
        Err(InspectError::Suspect(_)) => Ok(State::Unknown),
        Err(other) => Err(other),
    }
}

fn metas_here(file: &PageFile, page: u64) -> Vec<String> {
    let bytes = page * file.page_size()..(page + 1) * file.page_size();
    let slots = file.metas.slots.iter().zip(META_OFFSETS).enumerate();
    let mut lines: Vec<String> = slots
        .filter(|(_, (_, offset))| bytes.contains(offset))
        .map(|(slot, (meta, _))| match meta {
            Ok(meta) => format!(
                "meta {slot}: sequence {}, version {}",
                meta.sequence, meta.root.version
            ),
            Err(why) => format!("meta {slot} is not valid: {why}"),
        })
        .collect();
    if bytes.end > META_BYTES && bytes.start < META_BYTES {
        lines.push(format!("nothing from byte {META_BYTES} on"));
    }
    lines
}

impl Account {
    fn look_at_keys(&mut self, kind: PageKind, bytes: &[u8]) {
        let (mut first, mut last) = (Vec::new(), Vec::new());
        let len = if kind == PageKind::Leaf {
            let leaf = Leaf::new(bytes);
            if let Some(end) = leaf.len().checked_sub(1) {
                leaf.key(0, &mut first);
                leaf.key(end, &mut last);
            }
            leaf.len()
        } else {
            let branch = Branch::new(bytes);
            // Child 0 has no key.
            if branch.len() > 1 {
                branch.key(1, &mut first);
                branch.key(branch.len() - 1, &mut last);
            }
            branch.len()
        };
        self.entries = Some(len as u64);
        self.keys = (!first.is_empty() || !last.is_empty()).then_some((first, last));
    }

    /// Since when nobody uses it, or who keeps it.
    fn free_since(&self) -> Option<String> {
        let at = |meta: &Option<(u64, Option<String>)>| {
            meta.as_ref().map(|(version, time)| {
                let time = time
                    .clone()
                    .unwrap_or_else(|| "before the first commit".to_owned());
                format!("version {version} ({time})")
            })
        };
        let [newest, older] = &self.metas;
        match self.state {
            State::Pending => Some(format!(
                "freed after {}, by {}; the next checkpoint lets it go",
                at(older)?,
                at(newest)?
            )),
            State::Free if self.is_tail => Some("never used: behind the last page".to_owned()),
            State::Free => Some(match at(older) {
                Some(older) => format!("free since {older} or before"),
                None => format!("free at {}", at(newest)?),
            }),
            _ => None,
        }
    }

    fn path_text(&self) -> Option<String> {
        let located = self.located.as_ref()?;
        let mut path: Vec<String> = located.path.iter().map(|at| at.page.to_string()).collect();
        path.push(self.page.to_string());
        Some(path.join(" > "))
    }
}

impl Report for Account {
    fn json(&self) -> Value {
        let located = self.located.as_ref();
        let sound = matches!(self.verdict, Verdict::Sound(_));
        let key = |key: &Vec<u8>| hex(key, usize::MAX);
        json!({
            "file": DATA_FILE,
            "page": self.page,
            "offset": self.offset,
            "byte_in_page": self.byte,
            "state": self.state.name(),
            "tail": self.is_tail,
            "verdict": match (&self.verdict, self.state) {
                (_, State::Meta) => "meta",
                (Verdict::Sound(_), _) => "sound",
                (Verdict::Blank, _) => "blank",
                (Verdict::Damaged(_), _) => "damaged",
            },
            "damage": self.damage(),
            "metas": self.metas_here,
            "header": (sound && self.state != State::Meta).then(|| json!({
                "kind": self.header.kind,
                "level": self.header.level,
                "tree": self.header.tree,
                "version": self.header.version,
            })),
            "tree": located.map(|located| located.tree.0),
            "owner": self.owner,
            "path": located.map(|located| located.path.iter().map(|at| at.page.0).collect::<Vec<_>>()),
            "range_from": located.map(|located| key(&located.range.from)),
            "range_to": located.and_then(|located| located.range.to.as_ref()).map(key),
            "run": located.and_then(|located| located.run.as_ref()).map(|run| json!({
                "of": if run.is_key { "key" } else { "value" },
                "key": key(&run.key),
                "first": run.run.first.0,
                "pages": run.run.pages,
                "bytes": run.run.run_bytes(),
            })),
            "entries": self.entries,
            "first_key": self.keys.as_ref().map(|(first, _)| key(first)),
            "last_key": self.keys.as_ref().map(|(_, last)| key(last)),
            "free_since": self.free_since(),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(out, "page {} at byte {}", self.page, self.offset)?;
        match self.byte {
            Some(byte) => writeln!(out, ", byte {byte} of it, {}", self.state.name())?,
            None => writeln!(out, ", {}", self.state.name())?,
        }
        for line in &self.metas_here {
            writeln!(out, "{line}")?;
        }
        if let Some(since) = self.free_since() {
            writeln!(out, "{since}")?;
        }
        let Header {
            kind,
            level,
            tree,
            version,
        } = self.header;
        match &self.verdict {
            _ if self.state == State::Meta => return Ok(()),
            Verdict::Sound(name) => {
                let name = crate::census::Content::Sound(*name).name();
                let was = if self.state == State::Free {
                    "once "
                } else {
                    ""
                };
                writeln!(
                    out,
                    "header  {was}{name} (kind {kind}) of tree {tree}, level {level}, version {version}"
                )?;
            }
            Verdict::Blank => writeln!(out, "header  none: never written")?,
            Verdict::Damaged(why) => writeln!(out, "header  cannot be believed: {why}")?,
        }
        if let Some(located) = &self.located {
            let owner = self.owner.as_deref().unwrap_or_default();
            writeln!(out, "owner   {owner} (tree {})", located.tree)?;
            writeln!(out, "path    {}", self.path_text().unwrap_or_default())?;
            match &located.run {
                Some(run) => writeln!(
                    out,
                    "run     of a {}, pages {} to {}, {} bytes, key {}",
                    if run.is_key { "key" } else { "value" },
                    run.run.first,
                    run.run.first.0 + u64::from(run.run.pages) - 1,
                    run.run.run_bytes(),
                    hex(&run.key, KEY_SHOWN)
                )?,
                None => writeln!(out, "range   {}", located.range.line(KEY_SHOWN))?,
            }
        } else if self.is_map() {
            writeln!(out, "owner   the allocation map")?;
        }
        if let (Some((first, last)), Some(entries)) = (&self.keys, self.entries) {
            writeln!(
                out,
                "keys    {entries} entries, first {}, last {}",
                hex(first, KEY_SHOWN),
                hex(last, KEY_SHOWN)
            )?;
        }
        if let Some(damage) = self.damage() {
            writeln!(out, "finding: {damage}")?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.damage().is_none())
    }
}
