//! Tables and numbers for people.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::error::BenchError;

/// Version of the shape of the JSON objects; grows when a field changes its
/// meaning or goes away, not when one is added.
pub(crate) const SCHEMA_VERSION: u32 = 1;

/// Version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether this is a build whose figures mean nothing.
pub(crate) const DEBUG_BUILD: bool = cfg!(debug_assertions);

/// A table with these headings; columns from `numbers_from` on are numbers.
pub(crate) fn table(headings: &[&str], numbers_from: usize) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(headings.iter().map(Cell::new));
    for column in table.column_iter_mut().skip(numbers_from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A rate or a count: three digits and a unit, `12.3 k`.
pub(crate) fn count(value: f64) -> String {
    match value {
        v if v >= 999_500.0 => format!("{:.2} M", v / 1e6),
        v if v >= 9_999.5 => format!("{:.1} k", v / 1e3),
        v => format!("{v:.0}"),
    }
}

/// A time in microseconds, with a unit that suits it.
pub(crate) fn time(us: f64) -> String {
    match us {
        v if v >= 1e6 => format!("{:.2} s", v / 1e6),
        v if v >= 1e3 => format!("{:.2} ms", v / 1e3),
        v if v >= 100.0 => format!("{v:.0} µs"),
        v => format!("{v:.1} µs"),
    }
}

/// A number of bytes, with a binary unit.
pub(crate) fn bytes(value: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if value < 1024 {
        return format!("{value} B");
    }
    let mut scaled = value as f64 / 1024.0;
    let mut unit = 0;
    while scaled >= 1024.0 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    format!("{scaled:.1} {}", UNITS[unit])
}

/// A rate rounded to a tenth, for JSON: more digits would be noise.
pub(crate) fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Writes `value` to standard output as one JSON object and a newline.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), BenchError> {
    let text = serde_json::to_string_pretty(value).map_err(unwritable)?;
    print(&text)
}

/// Delivers a report as `--json` says: absent, as a table; without a file, as
/// JSON to standard output; else the table there and JSON to the file.
pub(crate) fn deliver(
    value: &impl Serialize,
    json: Option<&Option<PathBuf>>,
    table: impl FnOnce() -> String,
) -> Result<(), BenchError> {
    match json {
        Some(None) => print_json(value),
        Some(Some(file)) => {
            print(&table())?;
            let text = serde_json::to_string_pretty(value).map_err(unwritable)?;
            write_file(file, &(text + "\n"))
        }
        None => print(&table()),
    }
}

fn unwritable(error: serde_json::Error) -> BenchError {
    BenchError::Io {
        what: "write the report".into(),
        source: error.into(),
    }
}

/// Writes `text` to `file`.
pub(crate) fn write_file(file: &Path, text: &str) -> Result<(), BenchError> {
    fs::write(file, text).map_err(BenchError::at("write", file))
}

/// Writes `text` to standard output. A reader that has gone away is no error:
/// `cs-bench … | head` is a fair thing to do.
pub(crate) fn print(text: &str) -> Result<(), BenchError> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(BenchError::Io {
            what: "write the report".into(),
            source: error,
        }),
        _ => Ok(()),
    }
}

/// A line on standard error that nobody should overlook; never in the report.
pub(crate) fn warn(text: &str) {
    eprintln!("WARNING: {text}");
}

#[cfg(test)]
mod tests;
