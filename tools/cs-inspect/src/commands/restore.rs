//! `restore`: a new database from a backup.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use cs_io::sys::DirectIo;
use cs_io::uring::{IoChoice, open_best};
use cs_io::{Disk, RealRuntime};
use cs_kv::{
    BackupError, BackupSummary, RestoreOptions, RestoreProgress, VerifiedBackup, restore_stream,
};
use serde_json::{Value, json};

use crate::cli::{Global, RestoreArgs};
use crate::error::{InspectError, Result};
use crate::output::{self, Report};
use crate::progress::Progress;

use super::backup::{summary_json, summary_text};
use super::verify_backup;

struct Restored {
    directory: String,
    summary: BackupSummary,
    seconds: f64,
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &RestoreArgs) -> Result<u8> {
    let progress = Progress::new(global.progress);
    let start = Instant::now();
    let mut options = RestoreOptions::default();
    options.page_size = arguments.page_size;
    let mut restoring = false;
    let mut tell = |told: &RestoreProgress| {
        if told.total_entries > 0 && !std::mem::replace(&mut restoring, true) {
            progress.begin("entries", told.total_entries);
        }
        progress.set(told.entries);
        ControlFlow::Continue(())
    };
    let failed = |error| failed(arguments, &error);
    let restored = if arguments.file.as_os_str() == "-" {
        let disk = directory(&arguments.dir)?;
        let stdin = io::stdin().lock();
        restore_stream(stdin, &disk, RealRuntime::new(), &options, &mut tell).map_err(failed)?
    } else {
        let file = verify_backup::open(&arguments.file)?;
        progress.begin(
            "bytes",
            file.metadata().map_or(0, |metadata| metadata.len()),
        );
        let mut verifying = |bytes| {
            progress.set(bytes);
            ControlFlow::Continue(())
        };
        let verified = VerifiedBackup::verify(file, &mut verifying).map_err(failed)?;
        // Nothing is made before the backup is known to be good.
        let disk = directory(&arguments.dir)?;
        let restored = verified.restore(&disk, RealRuntime::new(), &options, &mut tell);
        restored.map_err(failed)?
    };
    drop(progress);
    let restored = Restored {
        directory: arguments.dir.display().to_string(),
        summary: restored.summary,
        seconds: start.elapsed().as_secs_f64(),
    };
    output::print(&restored, global.format)
}

fn directory(path: &Path) -> Result<Arc<dyn Disk>> {
    open_best(path, true, IoChoice::default(), DirectIo::Auto)
        .map_err(InspectError::at("opening", path))
}

fn failed(arguments: &RestoreArgs, error: &cs_kv::Error) -> InspectError {
    let (file, new) = (arguments.file.display(), arguments.dir.display());
    match error {
        cs_kv::Error::Backup(BackupError::NotEmpty(_)) | cs_kv::Error::InvalidOption(_) => {
            InspectError::Usage(format!("{new}: {error}"))
        }
        cs_kv::Error::Backup(BackupError::NeedsFile) => InspectError::Usage(error.to_string()),
        cs_kv::Error::Backup(_) => InspectError::Unreadable(format!("{file}: {error}")),
        cs_kv::Error::Locked(_) => InspectError::Busy(format!("{new}: {error}")),
        _ => InspectError::Unreadable(format!("{new}: {error}")),
    }
}

impl Report for Restored {
    fn json(&self) -> Value {
        json!({
            "directory": self.directory,
            "seconds": self.seconds,
            "backup": summary_json(&self.summary),
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}: restored in {:.2} s", self.directory, self.seconds)?;
        summary_text(&self.summary, out)
    }

    fn exit_code(&self) -> u8 {
        0
    }
}
