//! How results are printed.

use std::io::{self, BufWriter, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use cs_base::HybridTime;
use serde_json::Value;

use crate::cli::Format;
use crate::error::Result;

/// What a command found out.
pub(crate) trait Report {
    /// As one JSON object with stable names; README.md lists them.
    fn json(&self) -> Value;
    /// For people.
    fn text(&self, out: &mut dyn Write) -> io::Result<()>;
    /// What the process returns.
    fn exit_code(&self) -> u8;
}

/// Exit code of a command that found something wrong, or nothing.
pub(crate) fn code_of_findings(is_sound: bool) -> u8 {
    u8::from(!is_sound)
}

/// Prints a report to standard output; its exit code.
pub(crate) fn print(report: &impl Report, format: Format) -> Result<u8> {
    let mut out = BufWriter::new(io::stdout().lock());
    match format {
        Format::Text => report.text(&mut out)?,
        Format::Json => {
            serde_json::to_writer(&mut out, &report.json()).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    Ok(report.exit_code())
}

/// A table without lines, whose columns in `right` are numbers.
pub(crate) fn table(header: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header.iter().copied());
    for &column in right {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// Writes a table without blanks at the ends of its lines.
pub(crate) fn write_table(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// `unix_ms` as `2026-01-31T23:59:59Z`.
pub(crate) fn utc(unix_ms: u64) -> String {
    let ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let text = bson::DateTime::from_millis(ms).try_to_rfc3339_string();
    text.unwrap_or_else(|_| format!("{unix_ms} ms since 1970"))
}

/// The wall-clock part of a time, if there is one.
pub(crate) fn time(time: HybridTime) -> Option<String> {
    (time > HybridTime::ZERO).then(|| utc(time.unix_ms()))
}

/// Bytes as people read them: `12.3 MiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

/// Bytes as hexadecimal digits, the first `most` of them.
pub(crate) fn hex(bytes: &[u8], most: usize) -> String {
    let mut text: String = bytes
        .iter()
        .take(most)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if bytes.len() > most {
        text.push('…');
    }
    text
}

/// `count` and a word, in the plural where it has to be.
pub(crate) fn count(count: u64, word: &str) -> String {
    if count == 1 {
        format!("1 {word}")
    } else {
        format!("{count} {word}s")
    }
}
