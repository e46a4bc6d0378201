//! `dump`: all documents of a collection, as lines of extended JSON.
//!
//! Invariants
//! * The documents are those of one moment. So nothing is printed before the
//!   last one was read where somebody may be writing: a pass that is overtaken
//!   must be able to begin anew.
//! * A file appears under its name only when it is whole.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use bson::RawDocument;
use collection_store::ErrorKind;
use collection_store::json::{Form, LineWriter};
use cs_kv::KeyRange;
use tempfile::NamedTempFile;

use crate::catalog;
use crate::cli::{DumpArgs, Format, Global};
use crate::error::{InspectError, Result};
use crate::lock::Holder;
use crate::passes::{Sound, settle};
use crate::place::Place;
use crate::progress::Progress;
use crate::view::{Log, View};

/// Documents between two looks at the clock of the progress bar.
const STEP: u64 = 256;

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &DumpArgs) -> Result<u8> {
    if global.format == Format::Json {
        let text = "--format json: dump prints documents, one on each line, not one JSON object";
        return Err(InspectError::Usage(text.to_owned()));
    }
    let place = Place::open(&arguments.dir)?;
    let progress = Progress::new(global.progress);
    let mut pass = |out: &mut dyn Write| dump(&place, arguments, &progress, out);
    match &arguments.output {
        Some(path) => {
            let mut file = beside(path)?;
            settle(global.timeout, || repeat(file.as_file_mut(), &mut pass))?;
            file.as_file().sync_all()?;
            file.persist(path)
                .map_err(|error| InspectError::Output(error.error))?;
        }
        None if Holder::look(place.path()).may_be_live() => {
            let mut file = tempfile::tempfile().map_err(InspectError::Output)?;
            settle(global.timeout, || repeat(&mut file, &mut pass))?;
            file.rewind()?;
            io::copy(&mut BufReader::new(file), &mut io::stdout().lock())?;
        }
        None => {
            let mut out = Once {
                inner: io::stdout().lock(),
                used: false,
            };
            settle(global.timeout, || match pass(&mut out) {
                // What was printed cannot be taken back.
                Err(InspectError::Suspect(text)) if out.used => Err(InspectError::Unreadable(text)),
                result => result,
            })?;
            out.flush()?;
        }
    }
    Ok(0)
}

/// A file in the directory of `path`, to be given that name.
fn beside(path: &Path) -> Result<NamedTempFile> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    NamedTempFile::new_in(parent).map_err(InspectError::at("making a file in", parent))
}

/// One pass into a file that may hold the beginning of an earlier one.
fn repeat(
    file: &mut File,
    pass: &mut impl FnMut(&mut dyn Write) -> Result<Sound<u64>>,
) -> Result<Sound<u64>> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    pass(file)
}

/// Knows whether anything was written.
struct Once<W> {
    inner: W,
    used: bool,
}

impl<W: Write> Write for Once<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.used = true;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// One pass; how many documents were written.
fn dump(
    place: &Place,
    arguments: &DumpArgs,
    progress: &Progress,
    out: &mut dyn Write,
) -> Result<Sound<u64>> {
    let view = View::open(place, Log::Replay)?;
    let entry = catalog::find(&view, &arguments.database, &arguments.collection)?;
    let snapshot = view.snapshot()?;
    let total = entry.stats(&snapshot)?.map_or(0, |stats| stats.count);
    progress.begin("documents", total);
    let form = if arguments.relaxed {
        Form::Relaxed
    } else {
        Form::Canonical
    };
    let mut lines = LineWriter::new(BufWriter::with_capacity(1 << 20, out), form);
    let range = KeyRange::all();
    let mut cursor = snapshot
        .cursor(entry.tree, range)
        .map_err(InspectError::suspect)?;
    let mut documents = 0;
    while let Some((_, document)) = cursor.next().map_err(InspectError::suspect)? {
        let document = RawDocument::from_bytes(document).map_err(InspectError::suspect)?;
        lines.write(document).map_err(write_error)?;
        documents += 1;
        if documents % STEP == 0 {
            progress.set(documents);
        }
    }
    lines.finish().map_err(write_error)?;
    Ok(Sound(documents))
}

/// Tells the reader's end from a document that cannot be written.
fn write_error(error: collection_store::Error) -> InspectError {
    if error.kind() != ErrorKind::Io {
        return InspectError::suspect(error);
    }
    let source = std::error::Error::source(&error).and_then(|source| source.downcast_ref());
    let kind = source.map_or(io::ErrorKind::Other, io::Error::kind);
    InspectError::Output(io::Error::new(kind, error.to_string()))
}
