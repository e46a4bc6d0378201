//! `verify-backup`: proves a backup without making a database of it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use cs_kv::{BackupSummary, verify_backup};
use serde_json::{Value, json};

use crate::cli::{Global, VerifyBackupArgs};
use crate::error::{InspectError, Result};
use crate::finding::Finding;
use crate::output::{self, Report, code_of_findings};
use crate::progress::Progress;

use super::backup::{summary_json, summary_text};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

struct Verified {
    file: String,
    /// What is in it, or why it is not what was written.
    found: Result<BackupSummary, Finding>,
}

/// Opens a backup.
pub(super) fn open(path: &Path) -> Result<File> {
    let file = File::open(path).map_err(InspectError::at("opening", path))?;
    let metadata = file.metadata().map_err(InspectError::at("opening", path))?;
    if metadata.is_dir() {
        let text = format!("{} is a directory, not a backup", path.display());
        return Err(InspectError::Usage(text));
    }
    Ok(file)
}

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &VerifyBackupArgs) -> Result<u8> {
    let progress = Progress::new(global.progress);
    let source: Box<dyn Read> = if arguments.file.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        let file = open(&arguments.file)?;
        progress.begin(
            "bytes",
            file.metadata().map_or(0, |metadata| metadata.len()),
        );
        Box::new(file)
    };
    let reader = BufReader::with_capacity(READ_BYTES, source);
    let found = verify_backup(reader, &mut |bytes| {
        progress.set(bytes);
        ControlFlow::Continue(())
    });
    drop(progress);
    let found = match found {
        Ok(summary) => Ok(summary),
        Err(error) if error.is_corruption() => {
            Err(Finding::new("backup-damaged", error.to_string()))
        }
        Err(error) => {
            let path = arguments.file.display();
            return Err(InspectError::Unreadable(format!("{path}: {error}")));
        }
    };
    let verified = Verified {
        file: arguments.file.display().to_string(),
        found,
    };
    output::print(&verified, global.format)
}

impl Report for Verified {
    fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .found
            .as_ref()
            .err()
            .map(Finding::json)
            .into_iter()
            .collect();
        json!({
            "file": self.file,
            "sound": self.found.is_ok(),
            "backup": self.found.as_ref().ok().map(summary_json),
            "findings": findings,
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.found {
            Ok(summary) => {
                writeln!(out, "{}: sound", self.file)?;
                summary_text(summary, out)
            }
            Err(finding) => writeln!(out, "{}: {}", self.file, finding.text),
        }
    }

    fn exit_code(&self) -> u8 {
        code_of_findings(self.found.is_ok())
    }
}
