//! Document databases side by side: the same documents, the same durability, in one run.
//!
//! Each round does all of its work with one engine after the other, in new directories; what
//! is told is the median of the rounds. Documents are made outside the clock. All engines
//! have every acknowledged commit on disk, with one client.
//!
//! | row | what is done |
//! |---|---|
//! | `insert_one` | one document a commit, no index but that of the id |
//! | `insert_many, n indexes` | 1,000 documents a commit |
//! | `find by _id` | a document as the engine hands it out; decoded into fields |
//! | `find by index` | the one document with this e-mail address; the same, decoded |
//! | `filter scan` | documents that match three conditions that no index helps with, counted |
//! | `group` | count and sum for each of 50 cities |

mod cs;
#[cfg(feature = "peers")]
mod sqlite;

use std::hint::black_box;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

pub use cs::CollectionStore;
#[cfg(feature = "peers")]
pub use sqlite::Sqlite;

/// Documents of one commit of many.
pub const BATCH: usize = 1000;
/// The fields of up to five indexes.
pub const INDEXED: [&str; 5] = ["email", "status", "city", "age", "balance"];
/// Statuses, of which documents that match have the first.
const STATUSES: [&str; 20] = [
    "active", "archived", "blocked", "closed", "draft", "expired", "failed", "frozen", "hidden",
    "idle", "lost", "moved", "new", "open", "paused", "pending", "queued", "sent", "spent", "void",
];

/// What a document is made of; its other fields are the same in all.
#[derive(Clone, Debug)]
pub struct Fields {
    /// Its id.
    pub id: i64,
    /// Unlike that of any other.
    pub email: String,
    /// A name.
    pub name: String,
    /// One of 20.
    pub status: &'static str,
    /// One of 50.
    pub city: String,
    /// From 18 to 67.
    pub age: i32,
    /// Below 10,000.
    pub balance: f64,
}

impl Fields {
    /// Those of a document: 20 fields, and about 458 bytes as BSON.
    #[must_use]
    pub fn of(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        Self {
            id: number.cast_signed(),
            email: email(number),
            name: format!("customer number {number:08}"),
            status: STATUSES[(mixed % 20) as usize],
            city: format!("Town {:02}", mixed / 20 % 50),
            age: 18 + (mixed / 1000 % 50) as i32,
            balance: (mixed / 50_000 % 1_000_000) as f64 / 100.0,
        }
    }
}

/// The address that one document has.
#[must_use]
pub fn email(number: u64) -> String {
    format!("customer.{number:06}@example.com")
}

/// A document database.
pub trait Engine {
    /// Its name, in the table.
    fn name(&self) -> &'static str;
    /// A new database in an empty directory, with indexes over the first so many of
    /// [`INDEXED`].
    fn open(&self, directory: &Path, indexes: usize) -> Box<dyn Store>;
}

/// One of its databases. A method that returns bytes, fields or documents does so that
/// nothing is left out.
pub trait Store {
    /// Makes documents that are inserted later, in order.
    fn prepare(&mut self, numbers: Range<u64>);
    /// Inserts the next of them, in one commit.
    fn insert(&mut self, count: usize);
    /// Bytes of the document with this id, as it is handed out.
    fn find_by_id(&mut self, number: u64) -> usize;
    /// Fields of the document with this id, decoded.
    fn decode_by_id(&mut self, number: u64) -> usize;
    /// Bytes of the document with this address, as it is handed out.
    fn find_by_index(&mut self, number: u64) -> usize;
    /// Fields of the document with this address, decoded.
    fn decode_by_index(&mut self, number: u64) -> usize;
    /// How many are active, from 18 to 39, with a balance below 5,000.
    fn count_matching(&mut self) -> u64;
    /// How many cities there are; `None` if it cannot group.
    fn group(&mut self) -> Option<u64>;
}

/// How much is done.
#[derive(Clone, Debug)]
pub struct Extent {
    documents: u64,
    rounds: usize,
    directory: Option<PathBuf>,
}

impl Extent {
    /// As `CS_BENCH_DOCUMENTS` (100,000), `CS_BENCH_ROUNDS` (5) and `CS_BENCH_DIR` (that for
    /// temporary files) say; next to nothing unless the program was called by `cargo bench`
    /// or with `--bench`.
    ///
    /// # Panics
    /// A number is none.
    #[must_use]
    pub fn from_environment() -> Self {
        let is_bench = std::env::args().any(|argument| argument == "--bench");
        let number = |name: &str, usual: u64, least: u64| {
            let given = std::env::var(name).ok();
            let given = given.map(|text| text.parse().expect("a number"));
            given.unwrap_or(if is_bench { usual } else { least })
        };
        Self {
            documents: number("CS_BENCH_DOCUMENTS", 100_000, 2000).max(BATCH as u64),
            rounds: number("CS_BENCH_ROUNDS", 5, 1).max(1) as usize,
            directory: std::env::var_os("CS_BENCH_DIR").map(PathBuf::from),
        }
    }

    fn directory(&self) -> tempfile::TempDir {
        let made = match &self.directory {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir(),
        };
        made.expect("a directory")
    }
}

/// Measured, in operations (for scans and groups: documents) a second.
type Row = (&'static str, Option<f64>);

fn rate(count: u64, work: impl FnOnce()) -> Option<f64> {
    let start = Instant::now();
    work();
    Some(count as f64 / start.elapsed().as_secs_f64())
}

fn round(engine: &dyn Engine, extent: &Extent) -> Vec<Row> {
    let documents = extent.documents;
    let mut rows = Vec::new();
    let directory = extent.directory();
    let new = |name: &str, indexes| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(&path).expect("a directory");
        engine.open(&path, indexes)
    };
    let ones = (documents / 50).max(100);
    let mut store = new("ones", 0);
    store.prepare(0..ones);
    let done = rate(ones, || (0..ones).for_each(|_| store.insert(1)));
    rows.push(("insert_one", done));
    drop(store);
    let batches = documents.div_ceil(BATCH as u64);
    let mut kept = None;
    for (name, row, indexes) in [
        ("none", "insert_many, 0 indexes", 0),
        ("five", "insert_many, 5 indexes", 5),
        ("one", "insert_many, 1 index", 1),
    ] {
        let mut store = new(name, indexes);
        store.prepare(0..batches * BATCH as u64);
        let insert = || (0..batches).for_each(|_| store.insert(BATCH));
        rows.push((row, rate(batches * BATCH as u64, insert)));
        kept = Some(store);
    }
    let mut store = kept.expect("the last one");
    let finds = (documents / 2).max(1000);
    let mut random = oorandom::Rand64::new(7);
    let numbers: Vec<u64> = (0..finds)
        .map(|_| random.rand_range(0..documents))
        .collect();
    let mut each = |find: &mut dyn FnMut(&mut dyn Store, u64) -> usize| {
        let work = || {
            for number in &numbers {
                assert!(black_box(find(&mut *store, *number)) > 0);
            }
        };
        rate(finds, work)
    };
    rows.push(("find by _id", each(&mut |store, it| store.find_by_id(it))));
    rows.push((
        "find by _id, decoded",
        each(&mut |store, it| store.decode_by_id(it)),
    ));
    let found = each(&mut |store, it| store.find_by_index(it));
    rows.push(("find by index", found));
    let found = each(&mut |store, it| store.decode_by_index(it));
    rows.push(("find by index, decoded", found));
    let inserted = batches * BATCH as u64;
    let expected = (0..inserted).map(Fields::of).filter(matches).count() as u64;
    let scanned = rate(inserted, || assert_eq!(store.count_matching(), expected));
    rows.push(("filter scan, documents", scanned));
    let mut groups = None;
    let grouped = rate(inserted, || groups = store.group());
    rows.push(("group, documents", grouped.filter(|_| groups.is_some())));
    assert!(groups.is_none_or(|groups| groups <= 50));
    rows
}

fn matches(fields: &Fields) -> bool {
    fields.status == "active" && (18..40).contains(&fields.age) && fields.balance < 5000.0
}

/// Measures all engines and prints a table, the first engine's ratio to each other behind it.
///
/// # Panics
/// If anything fails: a bench has nobody to tell.
pub fn run(engines: &[Box<dyn Engine>], extent: &Extent) {
    let mut measured: Vec<Vec<Vec<Row>>> = vec![Vec::new(); engines.len()];
    for number in 0..extent.rounds {
        for (engine, rounds) in engines.iter().zip(&mut measured) {
            eprintln!(
                "round {} of {}: {}",
                number + 1,
                extent.rounds,
                engine.name()
            );
            rounds.push(round(&**engine, extent));
        }
    }
    println!(
        "{} documents, median of {} rounds, per second",
        extent.documents, extent.rounds
    );
    print!("| row |");
    engines
        .iter()
        .for_each(|engine| print!(" {} |", engine.name()));
    println!("\n|---|{}", "---|".repeat(engines.len()));
    let rows = measured.first().and_then(|rounds| rounds.first());
    for (at, (row, _)) in rows.into_iter().flatten().enumerate() {
        print!("| {row} |");
        let medians: Vec<Option<f64>> = measured.iter().map(|rounds| median(rounds, at)).collect();
        for (engine, median) in medians.iter().enumerate() {
            match (median, medians[0]) {
                (Some(rate), Some(first)) if engine > 0 => {
                    print!(" {} ({:.2}) |", rounded(*rate), first / rate);
                }
                (Some(rate), _) => print!(" {} |", rounded(*rate)),
                (None, _) => print!(" – |"),
            }
        }
        println!();
    }
}

fn median(rounds: &[Vec<Row>], at: usize) -> Option<f64> {
    let rates = rounds.iter().filter_map(|rows| rows.get(at)?.1);
    let mut rates: Vec<f64> = rates.collect();
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied()
}

fn rounded(rate: f64) -> String {
    match rate {
        rate if rate >= 1e6 => format!("{:.2} M", rate / 1e6),
        rate if rate >= 1e4 => format!("{:.1} k", rate / 1e3),
        rate => format!("{rate:.0}"),
    }
}
