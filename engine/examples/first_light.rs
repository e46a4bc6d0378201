//! The main job, end to end: documents in, a crash, documents out.
//!
//! ```text
//! cargo run --release --example first_light [DIRECTORY]
//! ```
//!
//! 1. Opens a database on disk, stores a few thousand documents, queries them.
//! 2. Starts itself again as a writer whose four threads insert documents,
//!    one durable commit each, and report each one that was acknowledged.
//! 3. Kills the writer with SIGKILL in the middle of it.
//! 4. Reopens, and looks for every document that had been acknowledged.

use std::error::Error;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use bson::doc;
use collection_store::Database;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Documents of the first part.
const DOCUMENTS: i32 = 5_000;
const STATES: [&str; 4] = ["MA", "NY", "TX", "CA"];
/// Acknowledgements to wait for before the writer is killed.
const BEFORE_KILL: usize = 2_000;
/// Threads of the writer.
const WRITERS: u64 = 4;
/// The hidden argument that makes this program the writer.
const WRITER: &str = "--writer";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [flag, directory] if flag == WRITER => write_until_killed(Path::new(directory)),
        [] => {
            let name = format!("first-light-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            let done = run(&directory);
            // A directory of our own making goes again.
            let _ = std::fs::remove_dir_all(&directory);
            done
        }
        [directory] if !directory.starts_with('-') => run(&PathBuf::from(directory)),
        _ => {
            eprintln!("usage: first_light [DIRECTORY]");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("first_light: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(directory: &Path) -> Result<()> {
    println!("database in {}", directory.display());
    store_and_query(directory)?;
    let acknowledged = crash(directory)?;
    find_all(directory, &acknowledged)
}

/// Part 1.
fn store_and_query(directory: &Path) -> Result<()> {
    let database = Database::open(directory)?;
    let cities = database.collection("cities");
    cities.drop_collection()?;

    let start = Instant::now();
    let documents = (0..DOCUMENTS).map(|number| {
        doc! {
            "_id": number,
            "name": format!("city {number}"),
            "state": STATES[number as usize % STATES.len()],
            "location": { "row": number / 100, "column": number % 100 },
            "population": i64::from(number) * 37 % 100_000,
        }
    });
    let inserted = cities.insert_many(documents)?.ids.len();
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "stored  {inserted} documents in {:.1} ms, {:.0} a second",
        seconds * 1e3,
        inserted as f64 / seconds
    );

    let start = Instant::now();
    let filter =
        doc! { "state": "TX", "population": { "$gte": 90_000 }, "location.column": { "$lt": 50 } };
    let mut found = 0;
    for city in cities.find(filter).run()? {
        let city = city?;
        assert!(city.get_str("state")? == "TX" && city.get_i64("population")? >= 90_000);
        found += 1;
    }
    println!(
        "queried {DOCUMENTS} documents in {:.1} ms, {found} match",
        start.elapsed().as_secs_f64() * 1e3
    );

    let start = Instant::now();
    for number in 0..DOCUMENTS {
        cities
            .find_by_id(number)?
            .ok_or("a document that was stored is not there")?;
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "found   {DOCUMENTS} documents by _id in {:.1} ms, {:.0} a second",
        seconds * 1e3,
        f64::from(DOCUMENTS) / seconds
    );
    database.close()?;
    Ok(())
}

/// Parts 2 and 3: the `_id`s that the writer had acknowledged when it died.
fn crash(directory: &Path) -> Result<Vec<i64>> {
    let mut writer = Command::new(std::env::current_exe()?)
        .args([WRITER.as_ref(), directory.as_os_str()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut pipe = writer.stdout.take().ok_or("the writer has no pipe")?;
    let mut acknowledged = Vec::new();
    let mut frame = [0; 8];
    let start = Instant::now();
    while acknowledged.len() < BEFORE_KILL {
        pipe.read_exact(&mut frame)?;
        acknowledged.push(i64::from_le_bytes(frame));
    }
    let seconds = start.elapsed().as_secs_f64();
    writer.kill()?;
    writer.wait()?;
    // What it said before it died counts too; half a frame was never said.
    while pipe.read_exact(&mut frame).is_ok() {
        acknowledged.push(i64::from_le_bytes(frame));
    }
    println!(
        "killed  the writer with SIGKILL after {} acknowledged inserts of {WRITERS} threads, {:.0} a second",
        acknowledged.len(),
        BEFORE_KILL as f64 / seconds
    );
    Ok(acknowledged)
}

/// What the writer does. Each frame on standard output is the `_id` of a
/// document whose insert has returned: it is on disk.
fn write_until_killed(directory: &Path) -> Result<()> {
    let database = Database::open(directory)?;
    let events = database.collection("events");
    std::thread::scope(|scope| {
        for thread in 0..WRITERS {
            let events = events.clone();
            scope.spawn(move || {
                for number in 0_i64.. {
                    let id = number * WRITERS as i64 + thread as i64;
                    let event =
                        doc! { "_id": id, "thread": thread as i64, "note": "x".repeat(100) };
                    if events.insert_one(event).is_err()
                        || io::stdout().write_all(&id.to_le_bytes()).is_err()
                        || io::stdout().flush().is_err()
                    {
                        return;
                    }
                }
            });
        }
    });
    Ok(())
}

/// Part 4.
fn find_all(directory: &Path, acknowledged: &[i64]) -> Result<()> {
    let start = Instant::now();
    let database = Database::open(directory)?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let recovery = database.store().recovery();
    println!(
        "reopened in {milliseconds:.1} ms, {} commits came back from the log",
        recovery.records
    );

    let events = database.collection("events");
    for &id in acknowledged {
        let event = events
            .find_by_id(id)?
            .ok_or_else(|| format!("document {id} was acknowledged and is lost"))?;
        if event.get_str("note")?.len() != 100 {
            return Err(format!("document {id} is not whole").into());
        }
    }
    let present = events.count(doc! {})?;
    let cities = database.collection("cities").count(doc! {})?;
    println!(
        "found   all {} acknowledged documents ({} more were on their way), and all {cities} cities",
        acknowledged.len(),
        present - acknowledged.len() as u64
    );
    if cities != DOCUMENTS as u64 {
        return Err("cities are missing".into());
    }
    database.close()?;
    Ok(())
}
