//! `recorder`: what the engine did before the database failed.

use std::io::{self, Write};

use cs_io::OpenMode;
use cs_kv::{EVENTS, RECORDER_FILE, RECORDER_HEAD};
use serde_json::{Value, json};

use crate::cli::{Global, RecorderArgs};
use crate::error::{InspectError, Result};
use crate::output::{self, Report};
use crate::place::Place;

/// More than any such file has: the longest line is a reason, and short.
const MOST_BYTES: u64 = EVENTS as u64 * 4096;

/// One line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    micros: u64,
    name: String,
    details: String,
}

struct Recorded {
    lines: Vec<Line>,
    hidden: usize,
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &RecorderArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let text = read(&place)?;
    let mut lines = parse(&text).map_err(InspectError::Unreadable)?;
    if let Some(name) = &arguments.event {
        lines.retain(|line| line.name == *name);
    }
    let hidden = lines.len().saturating_sub(arguments.limit);
    let recorded = Recorded {
        lines: lines.split_off(hidden),
        hidden,
    };
    output::print(&recorded, global.format)
}

fn read(place: &Place) -> Result<String> {
    let failed = |error: io::Error| InspectError::Unreadable(format!("{RECORDER_FILE}: {error}"));
    let disk = place.disk();
    let names = disk.list().map_err(failed)?;
    if !names.iter().any(|name| name == RECORDER_FILE) {
        return Err(InspectError::Unreadable(format!(
            "there is no file {RECORDER_FILE}: no failure of this database was recorded"
        )));
    }
    let file = disk
        .open(RECORDER_FILE, OpenMode::ReadOnly)
        .map_err(failed)?;
    let len = file.len().map_err(failed)?;
    if len > MOST_BYTES {
        return Err(InspectError::Unreadable(format!(
            "{RECORDER_FILE}: expected at most {MOST_BYTES} bytes, found {len}"
        )));
    }
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0).map_err(failed)?;
    bytes.truncate(read);
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The events, oldest first. A file that was cut short loses its last line.
fn parse(text: &str) -> std::result::Result<Vec<Line>, String> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    if head != RECORDER_HEAD {
        return Err(format!(
            "{RECORDER_FILE}: expected the line {RECORDER_HEAD:?}, found {head:?}"
        ));
    }
    let parsed = lines.map_while(|line| {
        let mut words = line.splitn(3, ' ');
        Some(Line {
            micros: words.next()?.parse().ok()?,
            name: words.next()?.to_owned(),
            details: words.next().unwrap_or_default().to_owned(),
        })
    });
    Ok(parsed.collect())
}

impl Report for Recorded {
    fn json(&self) -> Value {
        let events: Vec<Value> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "micros": line.micros,
                    "event": line.name,
                    "details": line.details,
                })
            })
            .collect();
        json!({ "hidden": self.hidden, "events": events })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.hidden > 0 {
            writeln!(
                out,
                "{} older events are not shown: see --limit",
                self.hidden
            )?;
        }
        for line in &self.lines {
            let seconds = line.micros as f64 / 1e6;
            let text = format!("{seconds:>14.6} s  {:<16} {}", line.name, line.details);
            writeln!(out, "{}", text.trim_end())?;
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_a_torn_last_one_is_left_out() {
        let text = format!("{RECORDER_HEAD}\n5 sealed version=2 index=1\n9 no-space\n1");
        let lines = parse(&text).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].details, "version=2 index=1");
        assert_eq!((lines[1].micros, lines[1].name.as_str()), (9, "no-space"));
    }

    #[test]
    fn another_file_is_refused_by_its_first_line() {
        let error = parse("something else\n").unwrap_err();
        assert!(error.contains("something else"), "{error}");
    }
}
