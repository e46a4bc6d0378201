//! `compact`: gives unused space back to the file system.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use cs_kv::{CompactOptions, CompactReport};
use serde_json::{Value, json};

use crate::cli::{CompactArgs, Global};
use crate::error::{InspectError, Result};
use crate::output::{self, Report, count, size};
use crate::place::Place;
use crate::progress::Progress;

use super::load;

struct Compacted {
    directory: String,
    report: CompactReport,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &CompactArgs) -> Result<u8> {
    // Opening would make a database where there is none.
    let place = Place::open(&arguments.dir)?;
    let progress = Progress::new(global.progress);
    let start = Instant::now();
    let database = load::open(place.path(), global.timeout)?;
    let mut options = CompactOptions::default();
    options.fill_percent = arguments.fill;
    progress.begin("pages", 0);
    let compacted = database.store().compact(&options, &mut |done| {
        progress.set(done.pages);
        ControlFlow::Continue(())
    });
    let closed = database.close();
    drop(progress);
    let report = compacted.map_err(|error| InspectError::Unreadable(error.to_string()))?;
    closed.map_err(|error| InspectError::Unreadable(error.to_string()))?;
    let compacted = Compacted {
        directory: place.path().display().to_string(),
        report,
        seconds: start.elapsed().as_secs_f64(),
    };
    output::print(&compacted, global.format)
}

impl Report for Compacted {
    fn json(&self) -> Value {
        json!({
            "directory": self.directory,
            "bytes_before": self.report.bytes_before,
            "bytes_after": self.report.bytes_after,
            "pages": self.report.pages,
            "passes": self.report.passes,
            "checkpoints": self.report.checkpoints,
            "seconds": self.seconds,
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let report = &self.report;
        writeln!(
            out,
            "{}: {} before, {} after; {} written anew, {}, {:.2} s",
            self.directory,
            size(report.bytes_before),
            size(report.bytes_after),
            count(report.pages, "page"),
            count(u64::from(report.checkpoints), "checkpoint"),
            self.seconds
        )
    }

    fn exit_code(&self) -> u8 {
        0
    }
}
