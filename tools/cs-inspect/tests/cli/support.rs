//! Running the program, and databases to run it on.

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use bson::{Bson, doc};
use collection_store::{Database, Durability};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) fn inspect(arguments: &[&str]) -> Output {
    inspect_with_input(arguments, b"")
}

pub(crate) fn inspect_with_input(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_cs-inspect"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that ends without reading its input is no failure.
    let _ = child
        .stdin
        .take()
        .expect("there is a pipe")
        .write_all(input);
    child.wait_with_output().expect("the program ends")
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ended it")
}

/// Both streams, for messages of failed tests and for searching.
pub(crate) fn all_text(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("exit {}\n{out}\n{err}", code(output))
}

/// The one JSON object that a command printed.
pub(crate) fn json(arguments: &[&str]) -> Value {
    let mut all = vec!["--format", "json"];
    all.extend(arguments);
    let output = inspect(&all);
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", all_text(&output)));
    assert!(value.is_object(), "{value}");
    value
}

/// A database, and where it is.
pub(crate) struct Scratch {
    pub(crate) directory: TempDir,
}

impl Scratch {
    /// With collections `people` of `count` documents, `empty`, and `other.things`.
    pub(crate) fn closed(count: i32) -> Self {
        let scratch = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let database = scratch.open();
        fill(&database, 0..count);
        database.collection("empty").create().unwrap();
        let things = database.database("other").collection("things");
        things
            .insert_one(doc! { "_id": "one", "when": bson::DateTime::from_millis(1) })
            .unwrap();
        database.close().unwrap();
        scratch
    }

    /// The same as a crash of the process would have left it, with half of
    /// `people` in the log alone.
    pub(crate) fn crashed(count: i32) -> Self {
        let before = Self::closed(count / 2);
        let database = before.open();
        fill(&database, count / 2..count);
        database.flush().unwrap();
        before.copied()
    }

    /// A copy of its files as they are now; the database may be in use.
    pub(crate) fn copied(&self) -> Self {
        let after = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(after.path()).unwrap();
        for entry in fs::read_dir(self.path()).unwrap() {
            let entry = entry.unwrap();
            match fs::copy(entry.path(), after.path().join(entry.file_name())) {
                // A segment of the log that is being made gets its name just now.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
        after
    }

    /// As [`closed`](Self::closed), without a log, after documents were deleted
    /// and replaced, with a checkpoint between any two steps: what is in pages
    /// alone, and old pages of all kinds between them.
    pub(crate) fn without_log(count: i32) -> Self {
        let scratch = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let options = Database::options().durability(Durability::Memory);
        let database = options.page_size(4096).open(scratch.path()).unwrap();
        churn(&database, count);
        database.close().unwrap();
        scratch
    }

    /// The same with a log that was used again since.
    pub(crate) fn churned(count: i32) -> Self {
        let scratch = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let database = scratch.open();
        churn(&database, count);
        database.close().unwrap();
        scratch
    }

    /// Turns every bit of a page; twice is as before.
    pub(crate) fn ruin(&self, page: u64) {
        let path = self.path().join("data.cs");
        let mut bytes = fs::read(&path).unwrap();
        for byte in &mut bytes[page as usize * 4096..][..4096] {
            *byte = !*byte;
        }
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("db")
    }

    pub(crate) fn text(&self) -> String {
        self.path().to_str().unwrap().to_owned()
    }

    pub(crate) fn open(&self) -> Database {
        let options = Database::options()
            .durability(Durability::Async)
            .page_size(4096);
        options.open(self.path()).unwrap()
    }

    /// Changes one bit.
    pub(crate) fn flip(&self, file: &str, offset: u64) {
        let path = self.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[offset as usize] ^= 0x40;
        fs::write(path, bytes).unwrap();
    }
}

pub(crate) fn fill(database: &Database, ids: std::ops::Range<i32>) {
    let documents = ids.map(|id| {
        let text = "x".repeat((id % 200) as usize);
        let big = if id % 50 == 0 {
            Bson::String("y".repeat(20_000))
        } else {
            Bson::Null
        };
        doc! { "_id": id, "text": text, "long": i64::from(id) << 33, "big": big, "half": 0.5 }
    });
    database
        .collection("people")
        .insert_many(documents)
        .unwrap();
}

/// Documents that come, change and go, and checkpoints in between.
fn churn(database: &Database, count: i32) {
    let people = database.collection("people");
    fill(database, 0..count);
    let things = database.database("other").collection("things");
    things.insert_one(doc! { "_id": "one" }).unwrap();
    database.checkpoint().unwrap();
    for round in 0..3 {
        for id in (round..count).step_by(7) {
            people.delete_one(doc! { "_id": id }).unwrap();
        }
        database.checkpoint().unwrap();
        for id in (round + 1..count).step_by(5) {
            let text = "r".repeat((id % 300) as usize);
            let replaced = doc! { "_id": id, "round": round, "text": text };
            people.replace_one(doc! { "_id": id }, replaced).unwrap();
        }
        things.insert_one(doc! { "_id": round }).unwrap();
        database.checkpoint().unwrap();
    }
}

/// Every file of a directory, and the directory itself: bytes and time of change.
pub(crate) fn state(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut state = BTreeMap::new();
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    state.insert(directory.to_owned(), (Vec::new(), modified(directory)));
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let value = (fs::read(&path).unwrap(), modified(&path));
        state.insert(path, value);
    }
    state
}
