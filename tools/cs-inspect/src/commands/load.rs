//! `load`: inserts documents from lines of extended JSON, or from a collection file of the
//! TypeScript library (`collection_file`). With `compact` the
//! only command that writes to a database.
//!
//! Invariants
//! * Documents go in in the order of their lines, at most a batch in one commit.
//! * At the first line that cannot be inserted it ends; all before it are in.
//! * Whatever happens, the database is closed.
//! * No database is made among files that are not one's, nor for a file that is not what
//!   it seems.

mod collection_file;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Cursor, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use bson::RawDocumentBuf;
use collection_store::json::LineReader;
use collection_store::{Collection, Database, ErrorKind, IndexModel, MAX_BATCH_BYTES};
use cs_pager::format::DATA_FILE;
use serde_json::{Value, json};

use self::collection_file::CollectionFile;
use crate::cli::{Global, InputForm, LoadArgs};
use crate::error::{InspectError, Result};
use crate::output::{self, Report, count};
use crate::progress::Progress;

/// Time between two attempts at the lock.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes read at once.
const BUFFER_BYTES: usize = 1 << 20;

struct Loaded {
    database: String,
    collection: String,
    documents: u64,
    bytes: u64,
    seconds: f64,
    /// What a collection file turned out to be; nothing of lines.
    form: &'static str,
    recognised: Vec<String>,
    indexes: Vec<String>,
    skipped: Vec<String>,
    /// Indexes that could not be made.
    failed: Vec<String>,
}

/// Bytes at which it can be seen what a file is.
const BEGINNING: u64 = 4096;

/// Runs the command.
pub(crate) fn run(global: &Global, arguments: &LoadArgs) -> Result<u8> {
    let progress = Progress::new(global.progress);
    let is_stdin = arguments.file.as_os_str() == "-";
    let reader: Box<dyn BufRead> = if is_stdin {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, io::stdin()))
    } else {
        let file =
            File::open(&arguments.file).map_err(InspectError::at("opening", &arguments.file))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        progress.begin("bytes", bytes);
        Box::new(BufReader::with_capacity(BUFFER_BYTES, file))
    };
    let source = if is_stdin {
        "standard input".to_owned()
    } else {
        arguments.file.display().to_string()
    };
    let start = Instant::now();
    let (input, reader) = recognise(arguments, reader, &source)?;
    refuse_foreign(&arguments.dir)?;
    let database = open(&arguments.dir, global.timeout)?;
    let named = database.database(&arguments.database);
    let unit = match &input {
        Some(_) => "document",
        None => "line",
    };
    let mut load = Load {
        collection: named.collection(&arguments.collection),
        source,
        unit,
        batch: arguments.batch as usize,
        documents: 0,
        progress: &progress,
    };
    let mut loaded = Loaded {
        database: arguments.database.clone(),
        collection: arguments.collection.clone(),
        documents: 0,
        bytes: 0,
        seconds: 0.0,
        form: "lines",
        recognised: Vec::new(),
        indexes: Vec::new(),
        skipped: Vec::new(),
        failed: Vec::new(),
    };
    let result = match input {
        Some((file, bytes)) => load.run_file(file, &mut loaded).map(|()| bytes),
        None => load.run(LineReader::new(reader)),
    };
    loaded.documents = load.documents;
    let closed = database.close();
    drop(progress);
    loaded.bytes = result?;
    closed.map_err(|error| InspectError::Unreadable(error.to_string()))?;
    loaded.seconds = start.elapsed().as_secs_f64();
    output::print(&loaded, global.format)
}

/// A collection file, read whole, with its size in bytes.
type Input = Option<(CollectionFile, u64)>;

/// Reads what is to be loaded, if it is a collection file; lines are left to be read.
fn recognise(
    arguments: &LoadArgs,
    mut reader: Box<dyn BufRead>,
    source: &str,
) -> Result<(Input, Box<dyn BufRead>)> {
    let failed = |error: io::Error| InspectError::Unreadable(format!("{source}: {error}"));
    let mut beginning = Vec::new();
    let taken = (&mut reader).take(BEGINNING).read_to_end(&mut beginning);
    taken.map_err(failed)?;
    let is_file = match arguments.input {
        InputForm::Auto => collection_file::is_one(&beginning),
        InputForm::Lines => false,
        InputForm::CollectionFile => true,
    };
    let mut whole = Cursor::new(beginning.clone()).chain(reader);
    if !is_file {
        let first = beginning.split(|byte| *byte == b'\n').next();
        let is_spread = first.is_some_and(|line| matches!(line.trim_ascii(), b"{" | b"["));
        if is_spread && beginning.len() > 1 {
            return Err(InspectError::Input(format!(
                "{source}: a JSON value over several lines, expected a document on each line, \
                 or a collection file (an object that begins with list)"
            )));
        }
        return Ok((None, Box::new(whole)));
    }
    let most = collection_file::MAX_BYTES;
    let mut text = Vec::new();
    let read = (&mut whole).take(most + 1).read_to_end(&mut text);
    read.map_err(failed)?;
    if text.len() as u64 > most {
        let message = format!("{source}: a collection file has at most {most} bytes");
        return Err(InspectError::Input(message));
    }
    let directory = arguments.file.parent();
    let directory = directory.filter(|_| arguments.file.as_os_str() != "-");
    let file = collection_file::read(&text, directory);
    let file = file.map_err(|error| InspectError::Input(format!("{source}: {error}")))?;
    Ok((Some((file, text.len() as u64)), Box::new(io::empty())))
}

/// Opens the database for writing; waits for whoever has it.
pub(crate) fn open(path: &Path, timeout: Duration) -> Result<Database> {
    let start = Instant::now();
    loop {
        match Database::open(path) {
            Ok(database) => return Ok(database),
            Err(error) if error.kind() == ErrorKind::Locked => {
                if start.elapsed() >= timeout {
                    return Err(InspectError::Busy(error.to_string()));
                }
                thread::sleep(PAUSE);
            }
            Err(error) => {
                let text = error.to_string();
                let path = path.display().to_string();
                // The layers below know names of files, not where they lie.
                let named = if text.contains(&path) {
                    text
                } else {
                    format!("directory '{path}': {text}")
                };
                return Err(InspectError::Unreadable(named));
            }
        }
    }
}

/// Refuses a directory without a database that holds files of somebody else.
fn refuse_foreign(path: &Path) -> Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        // It is made, or opening it says what is wrong.
        Err(_) => return Ok(()),
    };
    let mut foreign: Option<String> = None;
    for entry in entries {
        let entry = entry.map_err(InspectError::at("listing", path))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == DATA_FILE {
            return Ok(());
        }
        if !is_ours(&name) && foreign.as_ref().is_none_or(|known| name < *known) {
            foreign = Some(name);
        }
    }
    foreign.map_or(Ok(()), |name| {
        let path = path.display();
        Err(InspectError::Usage(format!(
            "directory '{path}' has no {DATA_FILE} but other files ({name}): expected a database, an empty or a new directory"
        )))
    })
}

/// Whether a database may have a file of this name, also one whose making was
/// cut short before it had a data file.
fn is_ours(name: &str) -> bool {
    name == "lock"
        || name.starts_with("wal-")
        || name.starts_with("spare-")
        || name.ends_with(".tmp")
}

struct Load<'a> {
    collection: Collection,
    source: String,
    /// What a number of an error counts.
    unit: &'static str,
    batch: usize,
    documents: u64,
    progress: &'a Progress,
}

impl Load<'_> {
    /// Inserts the documents of a collection file, and makes its indexes.
    fn run_file(&mut self, file: CollectionFile, loaded: &mut Loaded) -> Result<()> {
        loaded.form = "collection-file";
        loaded.recognised = file.recognised;
        loaded.skipped = file.skipped;
        let mut left = file.documents.into_iter().peekable();
        let mut number = 0;
        while left.peek().is_some() {
            let (mut batch, mut numbers, mut bytes) = (Vec::new(), Vec::new(), 0);
            while batch.len() < self.batch && bytes < MAX_BATCH_BYTES {
                let Some(document) = left.next() else { break };
                number += 1;
                bytes += document.as_bytes().len();
                batch.push(document);
                numbers.push(number);
            }
            self.insert(batch, &numbers)?;
        }
        self.create_if_empty()?;
        for (name, spec) in file.indexes {
            match self.collection.create_index(IndexModel::from_spec(&spec)) {
                Ok(made) => loaded.indexes.push(made),
                Err(error) => loaded.failed.push(format!("index '{name}': {error}")),
            }
        }
        Ok(())
    }

    /// Inserts everything; how many bytes of text there were.
    fn run(&mut self, mut lines: LineReader<Box<dyn BufRead>>) -> Result<u64> {
        let (mut batch, mut numbers, mut bytes) = (Vec::new(), Vec::new(), 0);
        loop {
            match lines.next() {
                Some(Ok(document)) => {
                    bytes += document.as_bytes().len();
                    batch.push(document);
                    numbers.push(lines.line_number());
                    if batch.len() >= self.batch || bytes >= MAX_BATCH_BYTES {
                        self.insert(std::mem::take(&mut batch), &numbers)?;
                        numbers.clear();
                        bytes = 0;
                        self.progress.set(lines.bytes_read());
                    }
                }
                Some(Err(error)) => {
                    // What stands before the bad line goes in first.
                    self.insert(batch, &numbers)?;
                    return Err(self.failed(&error.to_string(), error.kind()));
                }
                None => {
                    self.insert(batch, &numbers)?;
                    self.create_if_empty()?;
                    return Ok(lines.bytes_read());
                }
            }
        }
    }

    fn insert(&mut self, batch: Vec<RawDocumentBuf>, numbers: &[u64]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let len = batch.len() as u64;
        let Err(error) = self.collection.insert_many(batch) else {
            self.documents += len;
            return Ok(());
        };
        self.documents += error.written();
        let Some(first) = error.write_errors().first() else {
            return Err(self.failed(&error.to_string(), error.kind()));
        };
        let line = numbers
            .get(first.index as usize)
            .copied()
            .unwrap_or_default();
        let text = format!("{} {line}: {}", self.unit, first.error);
        Err(self.failed(&text, first.error.kind()))
    }

    /// Makes the collection even if there was no document, so that what was
    /// dumped as empty is there again.
    fn create_if_empty(&self) -> Result<()> {
        if self.documents > 0 {
            return Ok(());
        }
        match self.collection.create() {
            Err(error) if error.kind() != ErrorKind::NamespaceExists => {
                Err(self.failed(&error.to_string(), error.kind()))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, text: &str, kind: ErrorKind) -> InspectError {
        let loaded = count(self.documents, "document");
        let text = format!("{}, {text}; loaded before it: {loaded}", self.source);
        match kind {
            ErrorKind::Io
            | ErrorKind::NoSpace
            | ErrorKind::Poisoned
            | ErrorKind::Corruption
            | ErrorKind::OutcomeUnknown
            | ErrorKind::Internal => InspectError::Unreadable(text),
            ErrorKind::InvalidNamespace => InspectError::Usage(text),
            _ => InspectError::Input(text),
        }
    }
}

impl Report for Loaded {
    fn json(&self) -> Value {
        json!({
            "database": self.database,
            "collection": self.collection,
            "documents": self.documents,
            "bytes": self.bytes,
            "seconds": self.seconds,
            "form": self.form,
            "recognised": self.recognised,
            "indexes": self.indexes,
            "skipped": self.skipped,
            "failed": self.failed,
        })
    }

    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{} loaded into {}.{} in {:.2} s",
            count(self.documents, "document"),
            self.database,
            self.collection,
            self.seconds
        )?;
        if self.form == "lines" {
            return Ok(());
        }
        writeln!(
            out,
            "recognised   a collection file: {}",
            self.recognised.join(", ")
        )?;
        for (title, notes) in [
            ("index made", &self.indexes),
            ("not carried", &self.skipped),
            ("not made", &self.failed),
        ] {
            for note in notes {
                writeln!(out, "{title:<12} {note}")?;
            }
        }
        Ok(())
    }

    fn exit_code(&self) -> u8 {
        u8::from(!self.failed.is_empty())
    }
}
