//! `salvage`: what can be read of a damaged database, as a new one.
//!
//! 1. Judge all pages and all records of the log.
//! 2. The trees, each from wherever its entries can be had (`gather.rs`).
//! 3. The log up to the state of the trees, for what they lack; then each tree
//!    is compared with what its root says of it.
//! 4. The log behind it, for all.
//! 5. Names for trees that have lost theirs, trees for names that have lost theirs.
//!
//! ## Invariants
//! * The damaged database is only read.
//! * Nothing is invented: each entry was read from a sound page or record.
//! * A deleted key does not rise again where its tree can be read.

mod gather;
mod identity;
mod log;
mod names;
mod report;
mod rescue;
mod segments;
mod source;
mod target;

use std::fs;
use std::path::Path;

use crate::cli::{Global, SalvageArgs};
use crate::error::{InspectError, Result};
use crate::lock::Holder;
use crate::output;
use crate::place::Place;
use crate::progress::Progress;

use log::Log;
use rescue::Rescue;
use source::Source;
use target::Target;

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &SalvageArgs) -> Result<u8> {
    let place = Place::open(&arguments.dir)?;
    let holder = Holder::look(place.path());
    if holder.held == Some(true) {
        return Err(InspectError::Busy(format!(
            "directory '{}' is {}: salvage reads a database that nobody writes",
            place.path().display(),
            holder.line()
        )));
    }
    refuse_output(&place, &arguments.output)?;
    let progress = Progress::new(global.progress);
    let file = identity::open(&place, arguments.page_size)?;
    let source = Source::read(file, &progress)?;
    let disk = place.disk();
    let log = Log::read(&disk, source.file.meta.file, source.root.as_ref())?;
    let has_log = match &source.root {
        Some(root) => root.log_incarnation.0 > 0,
        None => log.has_log,
    };
    let page_size = source.file.meta.page_size;
    let target = Target::create(&arguments.output, page_size, has_log)?;
    let mut salvaged = Rescue::new(&source, &log, target, &progress).run()?;
    drop(progress);
    salvaged.directory = place.path().display().to_string();
    salvaged.output = arguments.output.display().to_string();
    output::print(&salvaged, global.format)
}

/// The new database goes to a place of its own.
fn refuse_output(place: &Place, output: &Path) -> Result<()> {
    let shown = output.display();
    if let (Ok(old), Ok(new)) = (
        place.path().canonicalize(),
        output.parent().unwrap_or(output).join(".").canonicalize(),
    ) && new.starts_with(&old)
    {
        return Err(InspectError::Usage(format!(
            "--output: {shown} would lie within the damaged database"
        )));
    }
    match fs::read_dir(output) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(InspectError::Usage(format!(
                "--output: {shown} is not empty; expected a missing or an empty directory"
            ))),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(InspectError::Usage(format!(
            "--output: {shown} cannot be used: {error}"
        ))),
    }
}
