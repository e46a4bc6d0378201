//! `page`: one page as it lies in the data file, damaged or not.

mod bare;
mod content;

use std::io::{self, Write};

use cs_base::PageId;
use cs_pager::format::{META_OFFSETS, first_page};
use cs_pager::{PageHeader, PageKind};
use serde_json::{Value, json};

use crate::cli::{Global, PageArgs};
use crate::error::{InspectError, Result};
use crate::output::{self, Report, code_of_findings, hex};
use crate::pages::{PageFile, Verdict, judge};
use crate::passes::{Suspects, settle};
use crate::place::{Metas, Place};

use content::{content, kind_name, write_content, write_hex};

struct Page {
    number: u64,
    offset: u64,
    page_size: u64,
    bytes: Vec<u8>,
    /// Whether the newest checkpoint uses it; `None` if that cannot be told.
    used: Option<bool>,
    what: What,
    hex: bool,
    /// Neither meta is valid.
    is_bare: bool,
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
    let metas = place.metas()?;
    if metas.newest().is_err() {
        return bare::look(place, &metas, arguments);
    }
    let file = PageFile::open(&*place.disk())?;
    let number = arguments.page;
    let page_size = file.page_size();
    if let Some(wanted) = arguments.page_size
        && u64::from(wanted) != page_size
    {
        return Err(InspectError::Usage(format!(
            "--page-size: found {wanted}, but the metas say {page_size}"
        )));
    }
    if number >= file.pages() {
        let pages = file.pages();
        return Err(InspectError::Usage(format!(
            "page {number} is beyond the data file, which has {pages} pages"
        )));
    }
    let bytes = file.read(PageId(number))?;
    let what = if number < first_page(file.meta.page_size).0 {
        metas_within(&file.metas, number, number * page_size, page_size)
    } else {
        What::Page(judge(&bytes, file.meta.file, PageId(number)))
    };
    let used = match what {
        What::Metas(..) => Some(true),
        What::Page(_) => file.is_used(PageId(number)).ok(),
    };
    Ok(Page {
        number,
        offset: number * page_size,
        page_size,
        bytes,
        used,
        what,
        hex: arguments.hex,
        is_bare: false,
    })
}

/// The metas that begin within `size` bytes from `start`.
fn metas_within(metas: &Metas, number: u64, start: u64, size: u64) -> What {
    let mut valid = true;
    let mut lines = Vec::new();
    for (slot, (meta, offset)) in metas.slots.iter().zip(META_OFFSETS).enumerate() {
        if (start..start + size).contains(&offset) {
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

impl Report for Page {
    fn json(&self) -> Value {
        let mut object = json!({
            "page": self.number,
            "offset": self.offset,
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
        let offset = self.offset;
        writeln!(
            out,
            "page {} at byte {offset}, {} bytes{}, {used}",
            self.number,
            self.page_size,
            if self.is_bare {
                " shown, neither meta says the page size"
            } else {
                ""
            }
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
