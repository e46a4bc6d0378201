//! `backup`: a backup of a database, in use or not.
//!
//! Invariants
//! * The database is only read. Where it is overtaken by whoever writes, the
//!   next pass goes on with the chunks that are still good.
//! * The file has its name only when it is whole.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cs_io::Disk;
use cs_io::sys::{DirectIo, SysDisk, SysOptions};
use cs_kv::{BackupError, BackupOptions, BackupReport, BackupSummary, Compression};
use serde_json::{Value, json};

use crate::cli::{BackupArgs, CompressionChoice, Global};
use crate::error::{InspectError, Result};
use crate::output::{self, Report, count, size, table, write_table};
use crate::passes::{Sound, settle};
use crate::place::Place;
use crate::progress::Progress;
use crate::view::{Log, View};

struct BackedUp {
    directory: String,
    output: String,
    report: BackupReport,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &BackupArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let (disk, name) = destination(&arguments.output)?;
    let progress = Progress::new(global.progress);
    let start = Instant::now();
    let mut options = BackupOptions::default();
    options.compression = match arguments.compression {
        CompressionChoice::None => Compression::None,
        CompressionChoice::Lz4 => Compression::Lz4,
        CompressionChoice::Gzip => Compression::Gzip(6),
        CompressionChoice::Auto => Compression::Auto,
    };
    options.bytes_per_second = arguments.limit;
    options.resume = !arguments.fresh;
    let Sound(report) = settle(global.timeout, || {
        let view = View::open(&place, Log::Replay)?;
        let mut phase = false;
        let state = match &arguments.snapshot {
            Some(named) => view.store().open_snapshot(named).map_err(|error| {
                let missing = matches!(error, cs_kv::Error::NoSuchSnapshot(_));
                match missing {
                    true => InspectError::Usage(format!("--snapshot: {error}")),
                    false => InspectError::suspect(error),
                }
            })?,
            None => view.snapshot()?,
        };
        let made = state.backup_to(&disk, &name, &options, &mut |told| {
            if !std::mem::replace(&mut phase, true) {
                progress.begin("bytes", told.total_bytes);
            }
            progress.set(told.bytes);
            ControlFlow::Continue(())
        });
        // What this pass has written, the next may use.
        options.resume = true;
        made.map(Sound)
            .map_err(|error| failed(&arguments.output, error))
    })?;
    drop(progress);
    let done = BackedUp {
        directory: place.path().display().to_string(),
        output: arguments.output.display().to_string(),
        report,
        seconds: start.elapsed().as_secs_f64(),
    };
    output::print(&done, global.format)
}

/// The directory and the name of the file.
fn destination(path: &Path) -> Result<(Arc<dyn Disk>, String)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name
        .filter(|name| cs_io::check_name(name).is_ok())
        .ok_or_else(|| {
            InspectError::Usage(format!(
                "--output: {}: expected a file name of ASCII letters, digits, '.', '-' and '_'",
                path.display()
            ))
        })?;
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let options = SysOptions {
        create: false,
        direct: DirectIo::Off,
    };
    let disk = SysDisk::open(parent, options).map_err(InspectError::at("opening", parent))?;
    Ok((disk, name.to_owned()))
}

fn failed(path: &Path, error: cs_kv::Error) -> InspectError {
    let text = format!("{}: {error}", path.display());
    match error {
        cs_kv::Error::InvalidOption(_) => InspectError::Usage(text),
        cs_kv::Error::Backup(error) => match error {
            BackupError::Exists(_)
            | BackupError::OtherDatabase { .. }
            | BackupError::NotABackup { .. } => InspectError::Usage(text),
            _ => InspectError::Unreadable(text),
        },
        // Of the database: it may have been overtaken.
        other => InspectError::suspect(other),
    }
}

/// What is in a backup, as JSON.
pub(super) fn summary_json(summary: &BackupSummary) -> Value {
    let position = &summary.position;
    let trees = summary.trees.iter().map(|(tree, stats)| {
        json!({
            "tree": tree.0,
            "entries": stats.count,
            "bytes": stats.bytes,
            "hash": format!("{:032x}", stats.hash),
        })
    });
    json!({
        "file_id": format!("{:016x}", summary.file.0),
        "incarnation": position.incarnation.0,
        "term": position.term.0,
        "index": position.index.0,
        "ordinal": position.ordinal,
        "time": output::time(summary.time),
        "page_size": summary.page_size,
        "has_log": summary.has_log,
        "entries": summary.entries,
        "bytes": summary.bytes,
        "chunks": summary.chunks,
        "kept_chunks": summary.kept_chunks,
        "attempts": summary.attempts,
        "file_bytes": summary.file_bytes,
        "content": format!("{:032x}", summary.content),
        "hash": format!("{:032x}", summary.hash),
        "trees": trees.collect::<Vec<_>>(),
    })
}

/// The same for people.
pub(super) fn summary_text(summary: &BackupSummary, out: &mut dyn Write) -> io::Result<()> {
    let time = output::time(summary.time).unwrap_or_else(|| "no commit yet".to_owned());
    writeln!(
        out,
        "database {:016x}, pages of {} bytes, at {}, {time}",
        summary.file.0, summary.page_size, summary.position
    )?;
    writeln!(
        out,
        "{}, {} of keys and values; {} in {}, {}; content {:032x}",
        count(summary.entries, "entry").replace("entrys", "entries"),
        size(summary.bytes),
        count(summary.chunks, "chunk"),
        size(summary.file_bytes),
        count(u64::from(summary.attempts), "attempt"),
        summary.content
    )?;
    let mut rows = table(&["tree", "entries", "bytes", "hash"], &[0, 1, 2]);
    for (tree, stats) in &summary.trees {
        rows.add_row([
            tree.to_string(),
            stats.count.to_string(),
            stats.bytes.to_string(),
            format!("{:032x}", stats.hash),
        ]);
    }
    write_table(out, &rows)
}

impl Report for BackedUp {
    fn json(&self) -> Value {
        json!({
            "directory": self.directory,
            "output": self.output,
            "written": self.report.written,
            "discarded": self.report.discarded,
            "seconds": self.seconds,
            "backup": summary_json(&self.report.summary),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{}: {} written in {:.2} s",
            self.output,
            size(self.report.written),
            self.seconds
        )?;
        summary_text(&self.report.summary, out)
    }

    fn exit_code(&self) -> u8 {
        0
    }
}
