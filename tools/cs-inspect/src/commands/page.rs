//! `page`: one page as it lies in the data file, damaged or not.

use std::io::{self, Write};

use cs_base::PageId;
use cs_kv::node::{Branch, Leaf, OverflowRef, ValueRef};
use cs_pager::format::first_page;
use cs_pager::{PAGE_HEADER, PageHeader, PageKind};
use serde_json::{Value, json};

use crate::cli::{Global, PageArgs};
use crate::error::{InspectError, Result};
use crate::output::{self, Report, code_of_findings, count, hex};
use crate::pages::{POINTER, PageFile, Verdict, judge, pointer};
use crate::passes::{Suspects, settle};
use crate::place::Place;

/// Bytes of a key that are shown.
const KEY_SHOWN: usize = 48;
/// Bytes in a line of `--hex`.
const HEX_LINE: usize = 16;

struct Page {
    number: u64,
    page_size: u64,
    bytes: Vec<u8>,
    /// Whether the newest checkpoint uses it; `None` if that cannot be told.
    used: Option<bool>,
    what: What,
    hex: bool,
}

enum What {
    /// Metas lie here: of each, what it says.
    Metas(Vec<String>, bool),
    Page(Verdict),
}

impl Page {
    /// What is wrong, if anything is. A page that nobody uses may hold anything.
    fn damage(&self) -> Option<String> {
        match &self.what {
            What::Metas(lines, false) => Some(lines.join("; ")),
            What::Page(Verdict::Damaged(why)) if self.used != Some(false) => Some(why.clone()),
            What::Page(Verdict::Blank) if self.used == Some(true) => {
                Some(format!("page {} is in use and all zeroes", self.number))
            }
            _ => None,
        }
    }
}

impl Suspects for Page {
    fn identities(&self) -> Vec<String> {
        self.damage().into_iter().collect()
    }

    fn keep(&mut self, _confirmed: &dyn Fn(&str) -> bool) {}
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &PageArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let page = settle(global.timeout, || look(&place, arguments))?;
    output::print(&page, global.format)
}

fn look(place: &Place, arguments: &PageArgs) -> Result<Page> {
    let file = PageFile::open(&*place.disk())?;
    let number = arguments.page;
    if number >= file.pages() {
        let pages = file.pages();
        return Err(InspectError::Usage(format!(
            "page {number} is beyond the data file, which has {pages} pages"
        )));
    }
    let bytes = file.read(PageId(number))?;
    let what = if number < first_page(file.meta.page_size).0 {
        metas(&file, number)
    } else {
        What::Page(judge(&bytes, file.meta.file, PageId(number)))
    };
    let used = match what {
        What::Metas(..) => Some(true),
        What::Page(_) => file.is_used(PageId(number)).ok(),
    };
    let page_size = file.page_size();
    Ok(Page {
        number,
        page_size,
        bytes,
        used,
        what,
        hex: arguments.hex,
    })
}

/// The metas on a page at the start of the file.
fn metas(file: &PageFile, number: u64) -> What {
    let page_size = file.page_size();
    let mut valid = true;
    let mut lines = Vec::new();
    for (slot, (meta, offset)) in file
        .metas
        .slots
        .iter()
        .zip(cs_pager::format::META_OFFSETS)
        .enumerate()
    {
        if offset / page_size == number {
            lines.push(match meta {
                Ok(meta) => format!(
                    "meta {slot}: valid, sequence {}, version {}, checkpoint lsn {}",
                    meta.sequence, meta.root.version, meta.root.lsn
                ),
                Err(why) => {
                    valid = false;
                    format!("meta {slot} on page {number} is not valid: {why}")
                }
            });
        }
    }
    What::Metas(lines, valid)
}

/// The name of a kind.
fn kind_name(kind: PageKind) -> &'static str {
    match kind {
        PageKind::Leaf => "leaf",
        PageKind::Branch => "branch",
        PageKind::Overflow => "overflow",
        PageKind::AllocationMap => "allocation-map",
        PageKind::AllocationIndex => "allocation-index",
    }
}

fn run_json(run: &OverflowRef) -> Value {
    json!({ "page": run.first.0, "version": run.version.0, "pages": run.pages, "bytes": run.total_len })
}

/// The entries of a sound page, and figures about it.
fn content(kind: PageKind, bytes: &[u8]) -> Value {
    let body = &bytes[PAGE_HEADER..];
    let mut key = Vec::new();
    match kind {
        PageKind::Leaf => {
            let leaf = Leaf::new(bytes);
            let entries: Vec<Value> = (0..leaf.len())
                .map(|slot| {
                    leaf.key(slot, &mut key);
                    let (len, run) = match leaf.value(slot) {
                        ValueRef::Inline(value) => (value.len() as u64, None),
                        ValueRef::Overflow(run) => (run.total_len, Some(run_json(&run))),
                    };
                    json!({
                        "slot": slot,
                        "key": hex(&key, usize::MAX),
                        "key_overflow": leaf.key_overflow(slot).as_ref().map(run_json),
                        "value_bytes": len,
                        "value_overflow": run,
                    })
                })
                .collect();
            json!({ "fill": leaf.fill(), "free_bytes": leaf.free_bytes(), "entries": entries })
        }
        PageKind::Branch => {
            let branch = Branch::new(bytes);
            let entries: Vec<Value> = (0..branch.len())
                .map(|slot| {
                    branch.key(slot, &mut key);
                    let child = branch.child(slot);
                    json!({
                        "slot": slot,
                        "key": hex(&key, usize::MAX),
                        "key_overflow": branch.key_overflow(slot).as_ref().map(run_json),
                        "child": child.page.0,
                        "child_version": child.version.0,
                    })
                })
                .collect();
            json!({ "fill": branch.fill(), "free_bytes": branch.free_bytes(), "entries": entries })
        }
        PageKind::Overflow => json!({ "body_bytes": body.len() }),
        PageKind::AllocationMap => {
            let used: u64 = body.iter().map(|byte| u64::from(byte.count_ones())).sum();
            json!({ "pages": body.len() / 8 * 64, "used_pages": used })
        }
        PageKind::AllocationIndex => {
            let pointers = (0..body.len() / POINTER).map(|position| pointer(body, position));
            let children: Vec<u64> = pointers
                .filter(|at| !at.is_none())
                .map(|at| at.page.0)
                .collect();
            json!({ "children": children })
        }
    }
}

impl Report for Page {
    fn json(&self) -> Value {
        let mut object = json!({
            "page": self.number,
            "offset": self.number * self.page_size,
            "bytes": self.page_size,
            "used": self.used,
            "damage": self.damage(),
        });
        match &self.what {
            What::Metas(lines, valid) => {
                object["kind"] = json!("meta");
                object["verdict"] = json!(if *valid { "sound" } else { "damaged" });
                object["metas"] = json!(lines);
            }
            What::Page(verdict) => {
                let header = PageHeader::of(&self.bytes);
                let kind = PageKind::from_u8(header.kind);
                object["kind"] = json!(kind.map(kind_name));
                object["verdict"] = json!(match verdict {
                    Verdict::Sound(_) => "sound",
                    Verdict::Blank => "blank",
                    Verdict::Damaged(_) => "damaged",
                });
                object["header"] = json!({
                    "checksum": format!("{:08x}", header.checksum.get()),
                    "kind": header.kind,
                    "level": header.level,
                    "page": header.page.get(),
                    "version": header.version.get(),
                    "file_id": format!("{:016x}", header.file.get()),
                    "tree": header.tree.get(),
                });
                if let Verdict::Sound(kind) = verdict {
                    object["content"] = content(*kind, &self.bytes);
                }
            }
        }
        if self.hex {
            object["hex"] = json!(hex(&self.bytes, usize::MAX));
        }
        object
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let used = match self.used {
            Some(true) => "in use",
            Some(false) => "not in use",
            None => "in use or not, the allocation map cannot be read",
        };
        let offset = self.number * self.page_size;
        writeln!(
            out,
            "page {} at byte {offset}, {} bytes, {used}",
            self.number, self.page_size
        )?;
        match &self.what {
            What::Metas(lines, _) => {
                for line in lines {
                    writeln!(out, "{line}")?;
                }
            }
            What::Page(verdict) => {
                let header = PageHeader::of(&self.bytes);
                writeln!(
                    out,
                    "header: checksum {:08x}, kind {}, level {}, page {}, version {}, tree {}, file id {:016x}",
                    header.checksum.get(),
                    header.kind,
                    header.level,
                    header.page.get(),
                    header.version.get(),
                    header.tree.get(),
                    header.file.get(),
                )?;
                match verdict {
                    Verdict::Sound(kind) => {
                        writeln!(out, "verdict: a sound page, {}", kind_name(*kind))?;
                        write_content(out, *kind, &self.bytes)?;
                    }
                    Verdict::Blank => writeln!(out, "verdict: never written")?,
                    Verdict::Damaged(why) if self.used == Some(false) => {
                        writeln!(out, "verdict: no page, which does not matter here: {why}")?;
                    }
                    Verdict::Damaged(why) => writeln!(out, "verdict: {why}")?,
                }
            }
        }
        if self.hex {
            write_hex(out, &self.bytes)?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.damage().is_none())
    }
}

fn write_content(out: &mut dyn Write, kind: PageKind, bytes: &[u8]) -> io::Result<()> {
    let mut key = Vec::new();
    let run = |run: &OverflowRef| {
        let pages = count(u64::from(run.pages), "page");
        format!("{} bytes in {pages} from {}", run.total_len, run.first)
    };
    match kind {
        PageKind::Leaf => {
            let leaf = Leaf::new(bytes);
            writeln!(
                out,
                "{} entries, {:.0} % full",
                leaf.len(),
                leaf.fill() * 100.0
            )?;
            for slot in 0..leaf.len() {
                leaf.key(slot, &mut key);
                let whole = leaf
                    .key_overflow(slot)
                    .map_or_else(String::new, |r| format!(" ({})", run(&r)));
                let value = match leaf.value(slot) {
                    ValueRef::Inline(value) => format!("{} bytes", value.len()),
                    ValueRef::Overflow(overflow) => run(&overflow),
                };
                writeln!(
                    out,
                    "{slot:5}  key {}{whole}  value {value}",
                    hex(&key, KEY_SHOWN)
                )?;
            }
        }
        PageKind::Branch => {
            let branch = Branch::new(bytes);
            writeln!(
                out,
                "{} children, {:.0} % full",
                branch.len(),
                branch.fill() * 100.0
            )?;
            for slot in 0..branch.len() {
                branch.key(slot, &mut key);
                let child = branch.child(slot);
                let from = if slot == 0 {
                    "the start".to_owned()
                } else {
                    hex(&key, KEY_SHOWN)
                };
                writeln!(
                    out,
                    "{slot:5}  page {} of version {}  from {from}",
                    child.page, child.version
                )?;
            }
        }
        other => {
            let content = content(other, bytes);
            for (name, value) in content.as_object().into_iter().flatten() {
                writeln!(out, "{}: {value}", name.replace('_', " "))?;
            }
        }
    }
    Ok(())
}

fn write_hex(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    for (line, chunk) in bytes.chunks(HEX_LINE).enumerate() {
        let text: String = chunk
            .iter()
            .map(|&byte| {
                if byte.is_ascii_graphic() {
                    char::from(byte)
                } else {
                    '.'
                }
            })
            .collect();
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(out, "{:05x}  {}  {text}", line * HEX_LINE, digits.join(" "))?;
    }
    Ok(())
}
