//! What is on a sound page, by its kind.

use std::io::{self, Write};

use cs_kv::node::{Branch, Leaf, OverflowRef, ValueRef};
use cs_pager::{PAGE_HEADER, PageKind};
use serde_json::{Value, json};

use crate::output::{count, hex};
use crate::pages::{POINTER, pointer};

/// Bytes of a key that are shown.
const KEY_SHOWN: usize = 48;
/// Bytes in a line of `--hex`.
const HEX_LINE: usize = 16;

/// The name of a kind.
pub(super) fn kind_name(kind: PageKind) -> &'static str {
    match kind {
        PageKind::Leaf => "leaf",
        PageKind::Branch => "branch",
        PageKind::Overflow => "overflow",
        PageKind::AllocationMap => "allocation-map",
        PageKind::AllocationIndex => "allocation-index",
    }
}

fn run_json(run: &OverflowRef) -> Value {
    json!({ "page": run.first.0, "version": run.version.0, "pages": run.pages, "bytes": run.run_bytes(), "packed": run.is_packed() })
}

/// The entries of a sound page, and figures about it.
pub(super) fn content(kind: PageKind, bytes: &[u8]) -> Value {
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
                        ValueRef::Overflow(run) => (run.run_bytes(), Some(run_json(&run))),
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

/// The same for people.
pub(super) fn write_content(out: &mut dyn Write, kind: PageKind, bytes: &[u8]) -> io::Result<()> {
    let mut key = Vec::new();
    let run = |run: &OverflowRef| {
        let pages = count(u64::from(run.pages), "page");
        let packed = if run.is_packed() { ", packed" } else { "" };
        let bytes = run.run_bytes();
        format!("{bytes} bytes in {pages} from {}{packed}", run.first)
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

/// All bytes, with the text they may be.
pub(super) fn write_hex(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
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
